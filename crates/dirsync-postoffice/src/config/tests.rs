//! Each kind of mistake with its text, and that all of them are found in one run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dirsync_connect::TargetFormat;
use dirsync_protocol::guard::GuardLimits;

use super::keys::{KEYS, Kind};
use super::map::{built_in, parse_map};
use super::*;

const MAP: &str = "\
[[source]]
name = \"a\"
file = \"a.csv\"
[source.map]
key = \"{no}\"
name = \"{name}\"
address = [\"SMTP:{mail}\"]
";

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(Path::new("dirsync.toml"), text)
}

fn mistakes(text: &str) -> ConfigErrors {
    match parse(text) {
        Ok(config) => panic!("nothing is wrong with {text}: {config:?}"),
        Err(errors) => errors,
    }
}

#[track_caller]
fn shows(text: &str, rendered: &str) {
    let errors = mistakes(text);
    assert_eq!(format!("error: {errors}"), rendered.trim_matches('\n'));
    assert_eq!(errors.positions().len(), 1);
}

#[test]
fn a_missing_and_an_empty_file_are_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dirsync.toml");
    let default = format!("{:?}", Config::default());
    assert_eq!(format!("{:?}", Config::load(&path).unwrap()), default);
    for text in ["", "\u{feff}# only a comment\r\n", "[view]\n[schedule]\n[keep]"] {
        fs::write(&path, text).unwrap();
        assert_eq!(format!("{:?}", Config::load(&path).unwrap()), default, "{text:?}");
    }
}

#[test]
fn what_is_written_is_read() {
    let text = "[view]\ntypes = [\"smtp\"]\nkinds = [\"list\"]\norigins = [\"NORTH/HQ\"]\n\
         attributes = [\"TelephoneNumber\"]\nfilter = \"(ou=x)\"\n\
         [schedule]\nzone = \"Europe/Berlin\"\ntimes = [\"T1 daily 22:00\"]\nwindow = \"90 min\"\n\
         mode = \"scheduled\"\n\
         [guard]\nentries = 5\ndelete.percent = 0\n\
         [alarm]\ncommand = [\"page\", \"for {subject}\"]\n\
         [[target]]\nfile = \"own.vcf\"\nown = true\n\
         [carrier]\npart_mib = 5\n";
    let config = Config::parse(Path::new("/srv/po/dirsync.toml"), text).unwrap();
    let view = "types\tSMTP\norigins\tNORTH/HQ\nkinds\tlist\nattributes\ttelephoneNumber\n\
                filter\t(ou=x)\n";
    assert_eq!(config.view.to_string(), view);
    let schedule = config.schedule.unwrap();
    assert_eq!(schedule.times, ["T1 daily 22:00".parse().unwrap()]);
    assert_eq!(schedule.zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(schedule.window, Duration::from_secs(5400));
    assert_eq!(config.guards.settings, GuardLimits { entries: 5, percent: 10 });
    assert_eq!(config.guards.delete, GuardLimits { entries: 5, percent: 0 });
    assert_eq!(config.guards.moved, config.guards.settings);
    assert_eq!(config.alarm, ["page", "for {subject}"]);
    let export = &config.targets[0].export;
    assert_eq!((export.target.format, export.own), (TargetFormat::Vcard, true));
    assert_eq!(config.targets[0].file, Path::new("/srv/po/own.vcf"));
    assert_eq!(config.part_bytes, 5 << 20);

    let config = parse(&format!("{MAP}details.OU = \"{{unit}}\"\n")).unwrap();
    let map = config.sources[0].options.map.clone().unwrap();
    assert_eq!((map.kind.len(), map.details.len()), (0, 1));
    let one = parse(&MAP.replace("[\"SMTP:{mail}\"]", "\"SMTP:{mail}\"")).unwrap();
    let text = |map: &dirsync_connect::Map| map.address[0].value.as_str().to_owned();
    assert_eq!(text(one.sources[0].options.map.as_ref().unwrap()), text(&map));
}

#[test]
fn the_mode_follows_the_times_unless_it_is_written() {
    let times = "times = [\"T1 daily 22:00\"]\n";
    let scheduled = |text: &str| parse(&format!("[schedule]\n{text}")).unwrap().schedule.is_some();
    assert!(scheduled(times));
    assert!(!scheduled("") && !scheduled("times = []\n") && !scheduled("zone = \"UTC\"\n"));
    assert!(!scheduled(&format!("mode = \"continuous\"\n{times}")));
    assert!(scheduled(&format!("mode = \"scheduled\"\n{times}")));
}

#[test]
fn a_fingerprint_is_of_what_shapes_the_rows() {
    let fingerprint = |text: &str| parse(text).unwrap().sources[0].fingerprint.clone();
    let first = fingerprint(MAP);
    assert_eq!(first, fingerprint(&format!("# a comment\n{MAP}[keep]\nlog = \"1 year\"\n")));
    for (old, new) in [
        ("a.csv", "b.csv"),
        ("file =", "encoding = \"latin1\"\nfile ="),
        ("{no}", "{no}x"),
        ("{name}", "{names}"),
        ("SMTP:{mail}\"", "SMTP:{mail}\", \"X400:{x}\""),
        ("key =", "kind = \"contact\"\nkey ="),
        ("key =", "details.ou = \"{unit}\"\nkey ="),
        ("[source.map]", "[source.map.details]\n[source.map]"),
    ] {
        let same = first == fingerprint(&MAP.replace(old, new));
        assert_eq!(same, new.contains("details]"), "{new}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest() {
    shows(
        "[schedule]\ntims = []\n",
        "
error: unknown key \"tims\"; did you mean \"times\"?
 --> dirsync.toml:2:1
  |
2 | tims = []
  | ^^^^ not a key of [schedule]
  |
  = help: [schedule] may have: zone, times, window, mode, poll",
    );
    shows(
        "[gaurd]\n",
        "
error: unknown table \"gaurd\"; did you mean \"[guard]\"?
 --> dirsync.toml:1:2
  |
1 | [gaurd]
  |  ^^^^^ not a table of this file
  |
  = help: this file may have: [postoffice], [view], [schedule], [[source]], [[target]], [guard], [alarm], [keep], \
         [carrier], [link], [mail], [[place]]",
    );
    shows(
        "[carrier]\npoll = \"30 s\"\n",
        "
error: unknown key \"poll\"; it belongs to \"[schedule]\"
 --> dirsync.toml:2:1
  |
2 | poll = \"30 s\"
  | ^^^^ not a key of [carrier]
  |
  = help: [carrier] may have: part_mib, compression, patience, settle",
    );
    shows(
        "[keep]\nmemories = 1\n",
        "
error: unknown key \"memories\"
 --> dirsync.toml:2:1
  |
2 | memories = 1
  | ^^^^^^^^ not a key of [keep]
  |
  = help: [keep] may have: done, log, undo, tombstones, confirmed",
    );
}

#[test]
fn a_wrong_type_names_the_right_one() {
    shows(
        "[schedule]\r\nwindow = 8\r\n",
        "
error: \"schedule.window\" must be a length of time, for example \"90 min\"
 --> dirsync.toml:2:10
  |
2 | window = 8
  |          ^ this is a number",
    );
    shows(
        "[source]\nname = \"a\"\n",
        "
error: \"source\" is a list of tables
 --> dirsync.toml:1:1
  |
1 | [source]
  | ^^^^^^^^ one pair of brackets makes a single table
  |
  = help: write [[source]]",
    );
    shows(
        "[[keep]]\n",
        "
error: \"[keep]\" stands once
 --> dirsync.toml:1:1
  |
1 | [[keep]]
  | ^^^^^^^^ this makes a list of tables
  |
  = help: write [keep]",
    );
}

/// No key is in the list only: each is read, and a value that no key can have is found.
#[test]
fn every_key_of_the_list_is_read() {
    for key in KEYS {
        let (table, name) = key.path.rsplit_once('.').unwrap();
        let name = name.replace('*', "ou");
        let header = match table {
            "source" | "target" | "place" => format!("[[{table}]]"),
            "source.map" | "source.map.details" => format!("[[source]]\n[{table}]"),
            _ => format!("[{table}]"),
        };
        let errors = mistakes(&format!("{header}\n{name} = 1979-05-27\n"));
        let found = errors.positions().iter().any(|(_, _, reason)| {
            reason.contains(&format!("\"{table}.{name}\" must be"))
                && reason.ends_with("this is a date or time")
        });
        assert!(found, "{}: {errors}", key.path);
    }
}

#[test]
fn a_number_has_limits() {
    shows(
        "[guard.delete]\npercent = 101\n",
        "
error: \"guard.delete.percent\" must be a whole number from 0 to 100
 --> dirsync.toml:2:11
  |
2 | percent = 101
  |           ^^^ too large",
    );
    for text in ["[guard]\npercent = 100", "[carrier]\ncompression = 19"] {
        assert!(parse(text).is_ok(), "{text}");
    }
    for text in [
        "[guard]\nentries = -1",
        "[carrier]\ncompression = 20",
        "[carrier]\npart_mib = 0",
        "[carrier]\npart_mib = 99999999999999999999",
        "[carrier]\npart_mib = 1.5",
    ] {
        assert_eq!(mistakes(text).positions().len(), 1, "{text}");
    }
}

#[test]
fn a_length_of_time_is_pointed_into() {
    shows(
        "[schedule]\nwindow = \"8 moons\"\n",
        "
error: \"schedule.window\" is not a length of time
 --> dirsync.toml:2:10
  |
2 | window = \"8 moons\"
  |          ^^^^^^^^^ \"moons\" at character 3 is wrong: a unit is expected: s, min, h, days, weeks or years",
    );
    shows(
        "[schedule]\npoll = \"0 s\"\n",
        "
error: \"schedule.poll\" must not be zero
 --> dirsync.toml:2:8
  |
2 | poll = \"0 s\"
  |        ^^^^^ longer than zero is expected",
    );
    shows(
        "[keep]\nconfirmed = \"2 years\"\n",
        "
error: \"keep.confirmed\" must not be longer than \"keep.tombstones\"
 --> dirsync.toml:2:13
  |
2 | confirmed = \"2 years\"
  |             ^^^^^^^^^ confirmed is 730 days, tombstones 365 days",
    );
    assert!(parse("[keep]\ntombstones = \"1000 years\"\n").is_ok());
    let long = mistakes("[keep]\ntombstones = \"1001 years\"\n").to_string();
    assert!(long.starts_with("\"keep.tombstones\" is too long\n"), "{long}");
    for key in ["schedule]\nwindow", "keep]\nlog", "keep]\ntombstones", "keep]\nconfirmed"] {
        assert!(mistakes(&format!("[{key} = \"0 s\"")).to_string().contains("not be zero"));
    }
}

#[test]
fn schedule_lines_and_zones_are_pointed_at() {
    shows(
        "[schedule]\ntimes = [\n  \"T1 daily 22:00\",\n  \"T\\u0033 daily 25:00\",\n]\n",
        "
error: \"schedule.times\": this is not a schedule line
 --> dirsync.toml:4:18
  |
4 |   \"T\\u0033 daily 25:00\",
  |                  ^ a time is expected, e.g. 22:00",
    );
    shows(
        "[schedule]\nzone = \"Mars/Olympus\"\n",
        "
error: \"Mars/Olympus\" is not a time zone
 --> dirsync.toml:2:8
  |
2 | zone = \"Mars/Olympus\"
  |        ^^^^^^^^^^^^^^ no zone has this name
  |
  = help: IANA names are expected, for example \"Europe/Berlin\"",
    );
    shows(
        "[schedule]\nmode = \"scheduled\"\ntimes = []\n",
        "
error: nothing would ever run
 --> dirsync.toml:2:8
  |
2 | mode = \"scheduled\"
  |        ^^^^^^^^^^^ steps run at \"times\", and there are none
  |
  = help: for example: times = [\"T1 daily 22:00\", \"T3 daily 06:00\"]",
    );
}

#[test]
fn words_are_of_a_list() {
    shows(
        "[schedule]\nmode = \"contineous\"\n",
        "
error: \"schedule.mode\" cannot be \"contineous\"; did you mean \"continuous\"?
 --> dirsync.toml:2:8
  |
2 | mode = \"contineous\"
  |        ^^^^^^^^^^^^ unknown word
  |
  = help: allowed: scheduled, continuous",
    );
    shows(
        "[view]\nkinds = [\"mailbox\", \"person\"]\n",
        "
error: \"view.kinds\" cannot be \"person\"
 --> dirsync.toml:2:21
  |
2 | kinds = [\"mailbox\", \"person\"]
  |                     ^^^^^^^^ unknown word
  |
  = help: allowed: mailbox, contact, resource, list",
    );
    shows(
        "[[target]]\nfile = \"a.csv\"\nformat = \"xlsx\"\n",
        "
error: \"target.format\" cannot be \"xlsx\"
 --> dirsync.toml:3:10
  |
3 | format = \"xlsx\"
  |          ^^^^^^ unknown word
  |
  = help: allowed: csv, ldif, vcard, vcard4, outlook, google, thunderbird, postfix-virtual, \
         postfix-relay-recipient",
    );
    shows(
        &format!("{MAP}kind = \"mailboxes\"\n"),
        "
error: \"source.map.kind\" cannot be \"mailboxes\"; did you mean \"mailbox\"?
 --> dirsync.toml:8:8
  |
8 | kind = \"mailboxes\"
  |        ^^^^^^^^^^^ unknown word
  |
  = help: allowed: mailbox, contact, resource, list",
    );
    assert!(parse(&format!("{MAP}kind = \"{{type}}\"\n")).is_ok());
}

#[test]
fn a_view_is_checked_to_its_last_character() {
    shows(
        "[view]\nfilter = \"(&(ou=\\u00fc)(mail=)\"\n",
        "
error: \"view.filter\" is not a filter
 --> dirsync.toml:2:31
  |
2 | filter = \"(&(ou=\\u00fc)(mail=)\"
  |                               ^ \")\" is expected",
    );
    shows(
        "[view]\norigins = [\"NORTH\"]\n",
        "
error: \"NORTH\" is not a postoffice name: write NETWORK/POSTOFFICE, for example NORTH/HQ
 --> dirsync.toml:2:12
  |
2 | origins = [\"NORTH\"]
  |            ^^^^^^^",
    );
    shows(
        "[view]\ntypes = [\"SMTP:\"]\n",
        "
error: \"SMTP:\" is not an address type
 --> dirsync.toml:2:10
  |
2 | types = [\"SMTP:\"]
  |          ^^^^^^^ 1 to 16 letters or digits are expected, without a colon
  |
  = help: for example: SMTP, X400, PCM",
    );
    shows(
        "[view]\nattributes = [\"1st\"]\n",
        "
error: \"1st\" is not an attribute name: a letter, then letters, digits and \"-\", at most 64 bytes
 --> dirsync.toml:2:15
  |
2 | attributes = [\"1st\"]
  |               ^^^^^",
    );
    shows(
        "[view]\nkinds = []\n",
        "
error: \"view.kinds\" is empty
 --> dirsync.toml:2:9
  |
2 | kinds = []
  |         ^^ nothing would be seen
  |
  = help: leave the key out to put no limit",
    );
}

#[test]
fn sources_have_names_of_their_own() {
    shows(
        "[[source]]\nname = \"staff\"\nfile = \"a.csv\"\n[[source]]\nname = \"Staff\"\nfile = \"b.csv\"\n",
        "
error: two sources have the name \"Staff\"
 --> dirsync.toml:5:8
  |
2 | name = \"staff\"
  |        ------- first here
...
5 | name = \"Staff\"
  |        ^^^^^^^ entries could not be told apart by their source",
    );
    for name in ["hand", "Import", "adopted", "merge"] {
        shows(
            &format!("[[source]]\nname = \"{name}\"\nfile = \"a.csv\"\n"),
            &format!(
                "
error: \"{name}\" cannot be the name of a source
 --> dirsync.toml:2:8
  |
2 | name = \"{name}\"
  |        {} these stand for other entries: hand, import, adopted, merge",
                "^".repeat(name.len() + 2)
            ),
        );
    }
    let long = "n".repeat(64);
    assert!(parse(&format!("[[source]]\nname = \"{long}\"\nfile = \"a.csv\"\n")).is_ok());
    for name in [format!("{long}n"), " a".into(), "a\\tb".into(), "  ".into()] {
        let errors = mistakes(&format!("[[source]]\nname = \"{name}\"\nfile = \"a.csv\"\n"));
        assert_eq!(errors.positions().len(), 1, "{name}");
    }
}

#[test]
fn what_is_needed_is_asked_for() {
    shows(
        "[[source]]\nname = \"a\"\n",
        "
error: \"source.file\" is missing
 --> dirsync.toml:1:1
  |
1 | [[source]]
  | ^^^^^^^^^^ this table needs \"file\"
  |
  = help: for example: file = \"people.csv\"",
    );
    shows(
        &MAP.replace("key = \"{no}\"\n", ""),
        "
error: \"source.map.key\" is missing
 --> dirsync.toml:4:1
  |
4 | [source.map]
  | ^^^^^^^^^^^^ this table needs \"key\"
  |
  = help: for example: key = \"{employee_no}\"",
    );
    shows(
        "[[target]]\nfile = \"list.export\"\n",
        "
error: the format of this file is not known
 --> dirsync.toml:2:8
  |
2 | file = \"list.export\"
  |        ^^^^^^^^^^^^^ its extension names none
  |
  = help: add format = \"…\", one of csv, ldif, vcard, vcard4, outlook, google, thunderbird, \
         postfix-virtual, postfix-relay-recipient",
    );
    shows(
        "[alarm]\n",
        "
error: \"alarm.command\" is missing
 --> dirsync.toml:1:1
  |
1 | [alarm]
  | ^^^^^^^ this table needs \"command\"
  |
  = help: for example: command = [\"/usr/local/bin/page\", \"{subject}\"]",
    );
}

#[test]
fn a_template_is_pointed_into() {
    shows(
        &MAP.replace("SMTP:{mail}", "SMTP:{mail"),
        "
error: \"source.map.address\" is not a template
 --> dirsync.toml:7:18
  |
7 | address = [\"SMTP:{mail\"]
  |                  ^ this \"{\" is not closed; write \"{{\" for a brace",
    );
    shows(
        &format!("{MAP}[source.map.details]\nou = \"a}}\"\n"),
        "
error: \"source.map.details.ou\" is not a template
 --> dirsync.toml:9:8
  |
9 | ou = \"a}\"
  |        ^ this \"}\" closes nothing; write \"}}\" for a brace",
    );
    shows(
        &format!("{MAP}[source.map.details]\nOU = \"{{a}}\"\nou = \"{{b}}\"\n"),
        "
error: \"ou\" stands twice
  --> dirsync.toml:10:1
   |
 9 | OU = \"{a}\"
   | -- also here
10 | ou = \"{b}\"
   | ^^ the same attribute",
    );
}

#[test]
fn a_target_destroys_no_source_and_no_target() {
    shows(
        "[[source]]\nname = \"a\"\nfile = \"a.csv\"\n[[target]]\nfile = \"./a.csv\"\n",
        "
error: this is also the file of a source
 --> dirsync.toml:5:8
  |
3 | file = \"a.csv\"
  |        ------- also here
4 | [[target]]
5 | file = \"./a.csv\"
  |        ^^^^^^^^^ writing it would destroy what the source reads",
    );
    shows(
        "[[target]]\nfile = \"a.csv\"\n[[target]]\nfile = \"a.csv\"\n",
        "
error: this is also the file of another target
 --> dirsync.toml:4:8
  |
2 | file = \"a.csv\"
  |        ------- also here
3 | [[target]]
4 | file = \"a.csv\"
  |        ^^^^^^^ each would overwrite the other",
    );
}

#[test]
fn a_target_destroys_no_file_of_the_postoffice() {
    shows(
        "[[target]]\nfile = \"./keys/list.csv\"\n",
        "
error: this name belongs to the postoffice itself
 --> dirsync.toml:2:8
  |
2 | file = \"./keys/list.csv\"
  |        ^^^^^^^^^^^^^^^^^ writing it would destroy what the postoffice keeps there
  |
  = help: these do: dirsync.toml, postoffice.db, postoffice.db-shm, postoffice.db-wal, decisions.log, keys, \
         transit",
    );
    for file in ["dirsync.toml", "postoffice.db", "x/../decisions.log", "transit"] {
        let errors = mistakes(&format!("[[target]]\nfile = \"{file}\"\nformat = \"csv\"\n"));
        assert_eq!(errors.positions().len(), 1, "{file}");
    }
    assert!(parse("[[target]]\nfile = \"lists/keys/a.csv\"\n").is_ok());
    assert!(parse("[[target]]\nfile = \"../keys/a.csv\"\n").is_ok());
}

#[test]
fn a_target_destroys_no_file_of_a_postoffice_by_another_path() {
    let sandbox = tempfile::tempdir().unwrap();
    let folder = sandbox.path().join("hq");
    crate::init::make_server(&folder, &"NORTH/HQ".parse().unwrap()).unwrap();
    let path = folder.display();
    let mistakes_of = |file: &str| {
        let text = format!("[[target]]\nfile = \"{file}\"\nformat = \"csv\"\n");
        Config::parse(&folder.join("dirsync.toml"), &text).err().map(|errors| errors.to_string())
    };
    for file in ["../hq/postoffice.db", &format!("{path}/decisions.log"), &format!("{path}/keys/a")]
    {
        let mistakes = mistakes_of(file).unwrap_or_default();
        assert!(mistakes.contains("belongs to the postoffice itself"), "{file}: {mistakes}");
    }
    assert_eq!(mistakes_of(&format!("{path}/list.csv")), None);
}

#[test]
fn an_option_of_another_format_is_refused() {
    shows(
        "[[target]]\nfile = \"a.vcf\"\nfor_people = true\n",
        "
error: \"target.for_people\" is wrong here
 --> dirsync.toml:3:1
  |
3 | for_people = true
  | ^^^^^^^^^^ this option is for csv, outlook, google and thunderbird, and the format is vcard",
    );
    shows(
        "[[target]]\nfile = \"virtual\"\nformat = \"postfix-virtual\"\n",
        "
error: \"target.domains\" is missing
 --> dirsync.toml:1:1
  |
1 | [[target]]
  | ^^^^^^^^^^ this table needs \"domains\"
  |
  = help: for example: domains = [\"example.org\"]",
    );
    for wrong in ["base = \"example.org\"", "domains = [\"a@b\"]", "dirsync = 1"] {
        let errors = mistakes(&format!("[[target]]\nfile = \"a.ldif\"\n{wrong}\n"));
        assert_eq!(errors.positions().len(), 1, "{wrong}");
    }
    let good = "[[target]]\nfile = \"a.ldif\"\nbase = \"dc=example,dc=org\"\ndirsync = true\n";
    assert!(parse(good).is_ok());
    assert!(parse(&MAP.replace("a.csv", "a.ldif")).is_ok(), "maps are for every format");
}

#[test]
fn an_alarm_can_ring() {
    shows(
        "[alarm]\ncommand = [\"page\", \"{subjekt}\"]\n",
        "
error: \"{subjekt}\" stands for nothing in \"alarm.command\"
 --> dirsync.toml:2:21
  |
2 | command = [\"page\", \"{subjekt}\"]
  |                     ^ known: {subject}",
    );
    shows(
        "[alarm]\ncommand = []\n",
        "
error: \"alarm.command\" is empty
 --> dirsync.toml:2:11
  |
2 | command = []
  |           ^^ a program is expected
  |
  = help: leave the table out for no alarm",
    );
    assert!(
        parse("[alarm]\ncommand = [\"page\", '{\"text\": \"{subject}\"}', \"${HOME}\"]\n").is_ok()
    );
}

#[test]
fn broken_syntax_hides_nothing_else() {
    let errors = mistakes(
        "[schedule]\nzone = \nwindow = \"8 moons\"\n[[source]]\nname = \"a\"\nfile = \"a.csv\n\
         [keep\ndone = \"14 days\"\n[carrier]\npart_mib = 0\n",
    );
    let lines: Vec<_> = errors.positions().iter().map(|place| (place.0, place.1)).collect();
    assert_eq!(lines, [(2, 8), (3, 10), (6, 14), (7, 6), (10, 12)], "{errors}");
    shows(
        "[keep]\ndone = \"1 days\"\ndone = \"2 days\"\n",
        "
error: this is not TOML: duplicate key
 --> dirsync.toml:3:1
  |
3 | done = \"2 days\"
  | ^^^^",
    );
}

#[test]
fn the_remains_of_a_broken_value_are_not_mistakes_of_their_own() {
    for (text, count) in [
        // The parser itself misses the comma after the broken text.
        ("[alarm]\ncommand = [\"page\",\n  \"on call,\n  \"{subject}\",\n]\n", 2),
        ("[keep]\ndone = \"1 day\"\ndone = \"\"\"\na\nb\n\"\"\"\n", 1),
    ] {
        let errors = mistakes(text);
        assert_eq!(errors.positions().len(), count, "{errors}");
    }
}

#[test]
fn all_mistakes_are_found_in_one_run() {
    let errors = mistakes(
        "[veiw]\n\
         [view]\ntypes = [\"SMTP\", 3, \"a b\"]\nfilter = \"ou=x\"\n\
         [schedule]\nzone = \"Mars\"\ntimes = [\"T1 25:00\", \"T2 25:00\"]\npoll = \"0 s\"\n\
         [[source]]\nname = \"hand\"\nfile = \"a.csv\"\nwhole = \"yes\"\n\
         [source.map]\nname = \"{\"\n\
         [guard]\npercent = 200\n\
         [carrier]\nparts = 1\n",
    );
    let lines: Vec<_> = errors.positions().iter().map(|place| (place.0, place.1)).collect();
    let expected = [
        (1, 2),
        (3, 18),
        (3, 21),
        (4, 11),
        (6, 8),
        (7, 14),
        (7, 26),
        (8, 8),
        (10, 8),
        (12, 9),
        (13, 1),
        (13, 1),
        (14, 9),
        (16, 11),
        (18, 1),
    ];
    assert_eq!(lines, expected, "{errors}");
    assert_eq!(errors.to_string().matches("\n\nerror: ").count(), expected.len() - 1);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dirsync.toml");
    fs::write(&path, b"[keep]\n# M\xfcller\n").unwrap();
    let shown = path.display();
    assert_eq!(
        Config::load(&path).unwrap_err().to_string(),
        format!(
            "this file is not UTF-8\n --> {shown}:2:4\n  |\n2 | # M\u{fffd}ller\n  |    ^ no \
             character of UTF-8\n  |\n  = help: save the file as UTF-8"
        )
    );
    fs::write(&path, " ".repeat(FILE_BYTES_MAX)).unwrap();
    assert!(Config::load(&path).is_ok());
    fs::write(&path, " ".repeat(FILE_BYTES_MAX + 1)).unwrap();
    assert_eq!(
        Config::load(&path).unwrap_err().to_string(),
        format!("this is no file of settings\n--> {shown}\n = note: it is longer than 256 KiB")
    );
    let errors = Config::load(folder.path()).unwrap_err();
    assert!(errors.to_string().starts_with("could not read the settings\n"), "{errors}");
    assert_eq!((errors.positions()[0].0, errors.positions()[0].1), (1, 1));
}

#[test]
fn a_map_may_be_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.toml");
    fs::write(
        &path,
        "key = \"{no}\"\nname = \"{n}\"\naddress = [\"SMTP:{m}\"]\n[details]\nou = \"{u}\"\n",
    )
    .unwrap();
    assert_eq!(load_map(&path).unwrap().details.len(), 1);
    let errors = parse_map(Path::new("map.toml"), "adress = []\nkey = \"{}\"\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "\
\"name\" is missing
--> map.toml
 = help: for example: name = \"{first} {last}\"

error: \"address\" is missing
--> map.toml
 = help: for example: address = [\"SMTP:{mail}\"]

error: unknown key \"adress\"; did you mean \"address\"?
 --> map.toml:1:1
  |
1 | adress = []
  | ^^^^^^ not a key of this file
  |
  = help: this file may have: title, columns, absent, encoding, key, name, address, kind, hidden, skip, details

error: \"key\" is not a template
 --> map.toml:2:8
  |
2 | key = \"{}\"
  |        ^ a column's name is expected between \"{\" and \"}\""
    );
    assert!(load_map(&folder.path().join("none.toml")).is_err());
}

#[test]
fn a_line_of_a_map_may_be_a_list_and_have_a_condition() {
    let text = r#"
absent = "empty"
key = ["{no}", "{mail}"]
name = '{n|replace "^x" ""}'
address = { value = "SMTP:{mail}", if = "(Job Title=*)" }
kind = [{ value = "resource", if = "(type=room)" }, "{kind}"]
skip = { if = "(gone=true)" }
[details]
ou = ["{a}", { value = "{b}", if = "(!(a=*))" }]
"#;
    let map = parse_map(Path::new("maps/m.toml"), text).unwrap();
    assert_eq!((map.file.as_str(), map.folder.as_path()), ("m.toml", Path::new("maps")));
    assert!(map.lenient && map.address[0].condition.is_some() && map.kind[1].condition.is_none());
    assert_eq!((map.key[1].line, map.skip[0].value.as_str()), (3, "true"));
    let ou = &map.details[&"ou".parse::<dirsync_directory::AttributeName>().unwrap()];
    assert_eq!((ou.len(), ou[1].line), (2, 9));
}

#[test]
fn mistakes_in_a_line_of_a_map_are_pointed_at() {
    let text = r#"
key = []
name = 5
address = [{ value = "{a|lwer}", when = "x" }, { if = "(a=b)" }]
kind = [{ value = "rom", if = "(a=b" }]
[details]
ou = [["{a}"]]
"#;
    let errors = parse_map(Path::new("m.toml"), text).unwrap_err();
    let places: Vec<_> = errors.positions().into_iter().map(|place| (place.0, place.1)).collect();
    let expected = [(2, 7), (3, 8), (4, 26), (4, 34), (4, 48), (5, 19), (7, 7)];
    assert_eq!(places, expected, "{errors}");
    let shown = errors.to_string();
    for part in ["did you mean \"lower\"?", "\"value\" and \"if\"", "a rule needs \"value\""] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn every_built_in_map_is_a_format_of_sources() {
    let Some(Kind::Word(words)) = super::keys::find("source", "format").map(|key| key.kind) else {
        panic!("the formats are words")
    };
    let maps: Vec<&str> = built_in().iter().map(|known| known.name).collect();
    assert_eq!(words[3..], maps, "and every built-in map can be read");
    assert_eq!(maps, dirsync_connect::BUILT_IN.map(|(name, _)| name));
    assert!(
        built_in().iter().all(|known| known.map.lenient && !known.map.recognised_by.is_empty())
    );
}

#[test]
fn what_is_shown_cannot_command_the_terminal() {
    let errors = mistakes("[keep]\n\"\\u001b[2J\" = '\t\u{7f}' # \u{9b}\n");
    assert!(
        errors.to_string().chars().all(|character| character == '\n' || !character.is_control())
    );
}

#[test]
fn a_long_line_is_shown_around_its_mistake() {
    let text = format!(
        "[view]\ntypes = [\"{}\", 3, \"{}\"]\n",
        "A".repeat(16).repeat(20),
        "B".repeat(500)
    );
    let shown = mistakes(&text).to_string();
    let longest = shown.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest < 200 && shown.contains("AAA\", 3, \"BBB"), "{shown}");
    let lines: Vec<_> = shown.lines().collect();
    let number = lines.iter().position(|line| line.contains("this is a number")).unwrap();
    let caret = lines[number].find('^').unwrap();
    assert_eq!(lines[number - 1].as_bytes()[caret], b'3', "{shown}");
}

/// A CSV file taken for a map has a mistake on each line.
#[test]
fn mistakes_without_end_are_cut_off() {
    use super::problem::PROBLEMS_MAX;
    for line in ["1;Ana;ana@north.example\n", "x.y = 1\n", "[x]\n", "[[x]\n", "= ]\n", "\"\n"] {
        let errors = mistakes(&line.repeat(2000));
        assert!(errors.positions().len() <= PROBLEMS_MAX + 1);
        assert!(!errors.to_string().is_empty());
    }
    let line = |number| {
        format!(
            "[keep]\n{}",
            (0..number)
                .fold(String::new(), |text, number| { text + &format!("memories{number} = 1\n") })
        )
    };
    assert_eq!(mistakes(&line(PROBLEMS_MAX)).positions().len(), PROBLEMS_MAX);
    let errors = mistakes(&line(PROBLEMS_MAX + 2));
    assert_eq!(errors.positions().len(), PROBLEMS_MAX + 1);
    assert!(errors.to_string().ends_with("error: 2 more mistakes are not shown\n--> dirsync.toml"));
}

/// Whatever is done to a file, it is read or its mistakes are shown.
#[test]
fn damaged_files_are_mistakes_not_panics() {
    let whole = super::reference::example();
    for at in 0..whole.len() {
        let (before, after) = whole.split_at(at);
        let text = match at % 3 {
            0 => before.to_owned(),
            1 => format!("{before}{}", &after[1..]),
            _ => format!("{before}\"ü\"{after}"),
        };
        if let Err(errors) = parse(&text) {
            assert!(!errors.positions().is_empty() && !errors.to_string().is_empty());
        }
    }
    for text in ["=", "[", "[[", "]", "\"", "'''", "\0", "a.b.c=[[[[{", "\r"] {
        let errors = mistakes(text);
        assert!(!errors.to_string().is_empty());
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}
