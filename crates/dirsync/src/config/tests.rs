use std::path::Path;

use super::file::parse;

fn mistakes(text: &str) -> Vec<(usize, usize, String)> {
    parse(Path::new("dirsync.toml"), text).unwrap_err().positions()
}

#[test]
fn a_full_configuration_is_read() {
    let text = r#"
[view]
types = ["SMTP"]
filter = "(ou=Sales)"
[schedule]
zone = "Europe/Berlin"
times = ["T1 Mon-Fri 22:00"]
window = "4 h"
poll = "5 s"
[[source]]
name = "hr"
file = "people.csv"
whole = true
[source.map]
key = "{no}"
name = "{first} {last}"
address = ["SMTP:{mail}"]
[source.map.details]
telephoneNumber = "{phone}"
[[target]]
file = "gal.vcf"
[guard]
entries = 20
[guard.blank]
percent = 50
[alarm]
command = ["page", "{subject}"]
[keep]
done = "2 days"
[carrier]
part_mib = 4
"#;
    let config = parse(Path::new("/srv/po/dirsync.toml"), text).unwrap();
    assert_eq!(config.sources[0].file, Path::new("/srv/po/people.csv"));
    assert!(config.sources[0].options.map.is_some());
    assert_eq!((config.guards.delete.entries, config.guards.blank.percent), (20, 50));
    assert_eq!(config.poll.as_secs(), 5);
    assert!(config.schedule.is_some());
    assert_eq!(config.part_bytes, 4 << 20);
    assert!(parse(Path::new("x"), super::TEMPLATE).is_ok());
}

#[test]
fn every_mistake_is_found_in_one_run() {
    let text = "[schedule]\ntims = [\"T1\"]\nzone = \"Mars/Olympus\"\n[guard]\npercent = 101\n\
                [[source]]\nname = \"hand\"\nfile = \"a.csv\"\n[source.map]\nkey = \"{\"\n\
                name = \"x\"\naddress = []\n";
    let found = mistakes(text);
    let places: Vec<_> = found.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(places, [(2, 1), (3, 8), (5, 11), (7, 8), (10, 8)], "{found:?}");
    assert!(found[0].2.contains("tims"));
}

#[test]
fn a_mistake_is_shown_with_a_caret_and_the_nearest_key() {
    let error = parse(Path::new("dirsync.toml"), "[schedule]\ntims = []\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown key \"tims\" in [schedule]\n --> dirsync.toml:2:1\n  |\n2 | tims = []\n  | ^^^^\n  \
         = help: did you mean \"times\"?"
    );
}

#[test]
fn broken_toml_says_where() {
    let found = mistakes("[view\n");
    assert_eq!(found[0].0, 1, "{found:?}");
}

/// The reference names every key: its example is read, and each key of the reader stands in it.
#[test]
fn the_reference_names_every_key() {
    let reference = include_str!("../../../../docs/configuration.md");
    let example = reference.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let config = parse(Path::new("dirsync.toml"), example).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((config.sources.len(), config.targets.len()), (1, 1));
    let readers = concat!(include_str!("file.rs"), include_str!("map_file.rs"));
    let calls = [
        "text(\"",
        "texts(\"",
        "table(\"",
        "tables(\"",
        "flag(\"",
        "number(\"",
        "duration(\"",
        "parsed(\"",
        "required(&mut table, \"",
        "value(\"",
    ];
    let mut keys = 0;
    for call in calls {
        for found in readers.split(call).skip(1) {
            let key = found.split('"').next().unwrap();
            let named = [format!("{key} = "), format!("[{key}]"), format!(".{key}]")];
            assert!(named.iter().any(|name| example.contains(name.as_str())), "{key} is not named");
            keys += 1;
        }
    }
    assert!(keys > 30, "{keys} keys were looked for");
}
