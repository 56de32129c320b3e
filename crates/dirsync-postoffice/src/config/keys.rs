//! The one list of all keys, with what each may be and its default: files are read by it, unknown keys are
//! compared with it, and the reference is made from it.

use std::fmt;

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A length of time that may be zero.
    Duration,
    /// A length of time that is longer than zero.
    Period,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// One of some words.
    Word(&'static [&'static str]),
    /// Anything else, in words.
    Is(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Duration | Self::Period => f.write_str("length of time"),
            Self::Number(first, i64::MAX) => write!(f, "number from {first}"),
            Self::Number(first, last) => write!(f, "number from {first} to {last}"),
            Self::Word([words @ .., last]) => {
                write!(f, "`{}` or `{last}`", words.join("`, `"))
            }
            Self::Word([]) => f.write_str("no word"),
            Self::Is(words) => f.write_str(words),
        }
    }
}

/// One key of `dirsync.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its tables and its name, joined by dots; `*` is a name that the user chooses.
    pub path: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Its default as TOML; empty when there is none.
    pub default: &'static str,
    /// A value as TOML, for the example of the reference and the first `dirsync.toml`; empty if that is
    /// the default.
    example: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

impl Key {
    /// A value that it may have, as TOML.
    pub fn example(&self) -> &'static str {
        if self.example.is_empty() { self.default } else { self.example }
    }
}

/// One table of `dirsync.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its path, joined by dots.
    pub path: &'static str,
    /// It may stand several times, as `[[path]]`.
    pub many: bool,
    /// What it is for.
    pub meaning: &'static str,
}

/// All tables, in the order of the reference.
pub const SECTIONS: &[Section] = &[
    section("postoffice", "What holds for the postoffice as a whole."),
    section(
        "view",
        "What this postoffice wants to see of the directory. In force is what the server allows \
         *and* this table wants. A key that is left out puts no limit.",
    ),
    section("schedule", "When the agent (`dirsync run`) does its steps."),
    Section {
        many: true,
        ..section(
            "source",
            "A file that feeds own entries of this postoffice; it is read when it has changed (T0). May \
             stand several times.",
        )
    },
    section(
        "source.map",
        "From the columns of a file to entries. A line is a template, a table \
         `{ value = \"…\", if = \"(filter)\" }`, or a list of these; [file formats](file-formats.md#maps) \
         describes the language. Without this table the columns are recognised by their names. The file \
         of `dirsync import --map FILE` has the same keys, and a table `[details]`.",
    ),
    section(
        "source.map.details",
        "The details of an entry: LDAP attribute names, each with a line.",
    ),
    Section {
        many: true,
        ..section(
            "target",
            "A file that equals the list after each T3: what others altered there is put right. May \
             stand several times.",
        )
    },
    section(
        "guard",
        "Changes of more than `entries` entries *and* of more than `percent` percent of an origin's \
         entries, within 24 hours, wait for a person (`dirsync held`).",
    ),
    section("guard.delete", "The same for deletions alone."),
    section("guard.blank", "The same for entries that lose a field."),
    section("guard.move", "The same for entries that change their kind or their primary address."),
    section(
        "guard.taken",
        "The same for new entries, of one read, whose addresses entries of other postoffices have. Those that were \
         read before the first list had arrived are compared with it when it is here.",
    ),
    section(
        "guard.settings",
        "The same for changes of any kind in the first read after the file, format, encoding or map \
         of a source was changed.",
    ),
    section(
        "alarm",
        "A command that is run when something becomes held, quarantined, overdue, fenced or copied, when a \
         place, source, target or step fails, and again, with a subject that begins with `OK: `, when that is \
         over. It finds `DIRSYNC_SUBJECT` and `DIRSYNC_POSTOFFICE_NAME` in its environment, and reads the subject, \
         an empty line, and up to twenty lines of the log of the last day on its standard input.",
    ),
    section("keep", "How long things that are over are kept."),
    section("carrier", "How messages travel."),
    section(
        "link",
        "The link, by which requestors reach their directory server with HTTPS ([the link](carriers/link.md)).",
    ),
    section(
        "mail",
        "The mailbox of this postoffice, and how its mail leaves ([mail](carriers/mail.md)).",
    ),
    Section {
        many: true,
        ..section(
            "place",
            "What holds for one of the places through which messages travel (`dirsync carrier list`, `dirsync requestor \
             show`). May stand several times.",
        )
    },
];

const fn section(path: &'static str, meaning: &'static str) -> Section {
    Section { path, many: false, meaning }
}

const fn key(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key { path, kind, default, example, meaning }
}

const TARGET_FORMATS: Kind = Kind::Word(&dirsync_connect::TargetFormat::WORDS);
/// The formats of sources, among them the names of the built-in maps.
const SOURCE_FORMATS: Kind = Kind::Word(&[
    "csv",
    "ldif",
    "vcard",
    "exchange",
    "microsoft365",
    "entra",
    "google-workspace",
    "thunderbird",
    "thunderbird-de",
    "thunderbird-fr",
    "thunderbird-es",
    "thunderbird-it",
    "thunderbird-pt",
    "thunderbird-pt-br",
    "outlook",
    "outlook-de",
    "outlook-fr",
    "outlook-es",
    "outlook-it",
    "outlook-pt",
    "outlook-pt-br",
]);
const LINE: Kind = Kind::Is("line of a map");
const ENTRIES: Kind = Kind::Number(0, i64::MAX);
/// Levels of zstd; those above take gigabytes of memory at both ends.
const COMPRESSION: Kind = Kind::Number(1, 19);
const PERCENT: Kind = Kind::Number(0, 100);
const GUARD_ENTRIES: &str = "As `guard.entries`, which is also its default.";
const GUARD_PERCENT: &str = "As `guard.percent`, which is also its default.";

/// All keys, in the order of the reference.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("postoffice.home_check", Kind::Flag, "true", "",
        "A folder that was copied, or is on another machine than before, does nothing until a person \
         has said `dirsync moved`, `dirsync rejoin` or `dirsync server promote`. `false` is for those \
         who make their machines from images and run one of them at a time: two copies at work take \
         each other's answers, until one of them is fenced. See [moving and copying](moving.md)."),

    key("view.types", Kind::Is("list of address types"), "", r#"["SMTP", "X400"]"#,
        "Only entries with an address of one of these types, for example `[\"SMTP\", \"X400\"]`."),
    key("view.origins", Kind::Is("list of postoffices"), "", r#"["NORTH/HQ", "SOUTH/HQ"]"#,
        "Only entries of these origins, as `NETWORK/POSTOFFICE`."),
    key("view.kinds", Kind::Is("list of `mailbox`, `contact`, `resource`, `list`"), "", r#"["mailbox", "list"]"#,
        "Only entries of these kinds."),
    key("view.attributes", Kind::Is("list of attribute names"), "", r#"["telephoneNumber", "ou", "title"]"#,
        "Of the details of an entry only these."),
    key("view.filter", Kind::Is("filter (RFC 4515)"), "", r#""(!(ou=Hidden*))""#,
        "Only entries that meet this condition, for example `\"(&(ou=Sales*)(title=*))\"`; `name`, \
         `kind` and `address` can be asked for too."),

    key("schedule.zone", Kind::Is("IANA time zone"), "\"UTC\"", r#""Europe/Berlin""#,
        "The zone of the times of day, for example `\"Europe/Berlin\"`."),
    key("schedule.times", Kind::Is("list of schedule lines"), "[]", r#"["T1 daily 22:00", "T2 daily 00:00", "T3 daily 02:00"]"#,
        "When each step runs: the step, the days, the time, or an interval; for example \
         `\"T1 Mon-Fri 22:00\"`, `\"T3 every 15 min\"`."),
    key("schedule.window", Kind::Period, "\"8 h\"", "",
        "How long after its time a step that was missed may still begin, and one that could not use \
         a place, source or target is tried again at each poll; longer than zero."),
    key("schedule.mode", Kind::Word(&["scheduled", "continuous"]), "", r#""scheduled""#,
        "`scheduled`: steps run at `times`, of which there must be one, and is the default where \
         there is one; `continuous`: a change is sent at once and what arrives is processed at \
         once, and is the default otherwise."),
    key("schedule.poll", Kind::Period, "\"30 s\"", "",
        "How often places are looked at, beside the system's file events; longer than zero."),

    key("source.name", Kind::Is("text"), "", r#""hr""#,
        "Required: its name, unique without regard to case; not \
         `hand`, `import`, `adopted` or `merge`."),
    key("source.file", Kind::Is("path"), "", r#""/srv/hr/people.csv""#,
        "Required: the file, relative to the postoffice folder."),
    key("source.format", SOURCE_FORMATS, "", r#""csv""#,
        "Its format, by default as the file's extension says, or the program that wrote it, for which \
         there is a built-in map (`dirsync map list`)."),
    key("source.claims", Kind::Flag, "false", "true",
        "A row with an address of an entry that another postoffice offers to this one takes that entry over, \
         under its id, instead of waiting behind it."),
    key("source.whole", Kind::Flag, "false", "true",
        "The file is the whole list: an entry that this source named before and that it lacks is \
         deleted (guarded)."),
    key("source.encoding", Kind::Is("encoding name"), "", r#""windows-1252""#,
        "For example `\"windows-1252\"`; by default as a byte order mark says, else UTF-8."),
    key("source.private", Kind::Word(&["omit", "keep"]), "\"omit\"", "",
        "What is done with private things in the files of other programs, if there is no map: home \
         telephones and addresses, birthdays, anniversaries, spouses and notes."),

    key("source.map.title", Kind::Is("text"), "", r#""people of the personnel database""#,
        "What the map is for."),
    key("source.map.columns", Kind::Is("list of texts"), "", r#"["employee_no", "mail,email"]"#,
        "Columns by which files that fit the map are recognised; of several with commas between them a \
         file has one. Only built-in maps are chosen by it."),
    key("source.map.absent", Kind::Word(&["error", "empty"]), "\"error\"", "",
        "What a column is that the file does not have."),
    key("source.map.encoding", Kind::Is("encoding name"), "", r#""windows-1252""#,
        "The encoding of files of this kind that are not UTF-8, if nobody names another."),
    key("source.map.key", LINE, "", r#""{employee_no}""#,
        "Required: what never changes of an entry, for example `\"{employee_no}\"`."),
    key("source.map.name", LINE, "", r#"["{display}", "{first} {last}"]"#,
        "Required: the display name, for example `\"{first} {last}\"`; of a list the first that has a \
         value."),
    key("source.map.address", LINE, "", r#"["SMTP:{mail|lower}", "X400:{x400}"]"#,
        "Required: the addresses as `TYPE:VALUE`, the first is primary; one whose column is empty is \
         left out."),
    key("source.map.kind", LINE, "\"mailbox\"", r#"[{ value = "resource", if = "(type=room)" }, "mailbox"]"#,
        "The kind of the entries: `mailbox`, `contact`, `resource` or `list`; of a list the first that has \
         a value."),
    key("source.map.hidden", LINE, "", r#""{hidden}""#,
        "A row is hidden from address lists, and left out, if this is neither empty nor `false`, `no` or \
         `0`."),
    key("source.map.skip", LINE, "", r#"{ value = "guests", if = "(type=guest)" }"#,
        "A row is left out for another reason; the value is the reason that counts name. Without `value` \
         it is `skipped`."),

    key("source.map.details.*", LINE, "", r#""{phone|replace \"^0\" \"+49 \"}""#,
        "The values of this attribute; empty ones are left out."),

    key("target.file", Kind::Is("path"), "", r#""/srv/lists/gal.csv""#,
        "Required: the file, relative to the postoffice folder; not that of a source or another \
         target, nor one that the postoffice keeps."),
    key("target.format", TARGET_FORMATS, "", r#""csv""#,
        "Its format, by default as the file's extension says, or the program that reads it; \
         [file formats](file-formats.md#for-other-programs) describes them."),
    key("target.base", Kind::Is("distinguished name"), "", r#""ou=People,dc=example,dc=org""#,
        "For `ldif`: an LDAP server takes the file below this entry. Without it the file is our own, which \
         `dirsync import` reads back exactly."),
    key("target.dirsync", Kind::Flag, "false", "true",
        "For `ldif` below a `base`: our own attributes, too, for a server that knows them."),
    key("target.domains", Kind::Is("list of mail domains"), "", r#"["example.org"]"#,
        "Required for `postfix-virtual` and `postfix-relay-recipient`: the domains for which Postfix asks \
         this table. `postmap` makes the table beside the file."),
    key("target.for_people", Kind::Flag, "false", "true",
        "For people who open the CSV in a spreadsheet: values that would be taken for formulas are \
         marked with `'`."),
    key("target.own", Kind::Flag, "false", "",
        "Only own entries of this postoffice, not the whole list."),

    key("guard.entries", ENTRIES, "10", "", "More than this many entries; half of a small list, if that is three or more, counts as more."),
    key("guard.percent", PERCENT, "10", "", "More than this share, in percent."),
    key("guard.delete.entries", ENTRIES, "", "5", GUARD_ENTRIES),
    key("guard.delete.percent", PERCENT, "", "2", GUARD_PERCENT),
    key("guard.blank.entries", ENTRIES, "", "50", GUARD_ENTRIES),
    key("guard.blank.percent", PERCENT, "", "20", GUARD_PERCENT),
    key("guard.move.entries", ENTRIES, "", "20", GUARD_ENTRIES),
    key("guard.move.percent", PERCENT, "", "5", GUARD_PERCENT),
    key("guard.taken.entries", ENTRIES, "", "20", GUARD_ENTRIES),
    key("guard.taken.percent", PERCENT, "", "5", GUARD_PERCENT),
    key("guard.settings.entries", ENTRIES, "", "0", GUARD_ENTRIES),
    key("guard.settings.percent", PERCENT, "", "0", GUARD_PERCENT),

    key("alarm.command", Kind::Is("list of texts"), "", r#"["/usr/local/bin/page", "--subject", "{subject}"]"#,
        "Required: the program and its arguments, without a shell; `{subject}` stands for what \
         happened."),

    key("alarm.timeout", Kind::Period, "\"30 s\"", "",
        "A command that takes longer is ended with all that it started; longer than zero."),

    key("keep.done", Kind::Duration, "\"14 days\"", "", "Message files that were processed."),
    key("keep.log", Kind::Period, "\"90 days\"", "", "Lines of the log; longer than zero."),
    key("keep.undo", Kind::Period, "\"30 days\"", "",
        "What reads, commands and decisions changed, for `dirsync undo`; longer than zero. Above 64 MiB the \
         oldest goes earlier."),
    key("keep.tombstones", Kind::Period, "\"1 year\"", "",
        "At the server: deletions that a requestor has not confirmed; after this time it gets the whole list \
         instead; longer than zero."),
    key("keep.confirmed", Kind::Period, "\"30 days\"", "",
        "At the server: deletions that every requestor has confirmed; longer than zero and not longer than \
         `tombstones`."),

    key("carrier.part_mib", Kind::Number(1, 1024), "8", "",
        "Longest part of a message, in MiB; longer messages are cut."),
    key("carrier.compression", COMPRESSION, "3", "",
        "The level of zstd: low is fast, high is small."),
    key("carrier.patience", Kind::Duration, "\"30 s\"", "",
        "A shared folder that has not answered for this time counts as away, and everything else goes on; \
         long files have more time. The agent waits 2 seconds at first, and each time twice as long for a \
         folder that answered at last."),
    key("carrier.settle", Kind::Duration, "\"60 s\"", "",
        "A file of a foreign program that is still being written is left alone until it has not \
         changed for this time."),

    key("link.listen", Kind::Is("address and port"), "", r#""0.0.0.0:8443""#,
        "At the server: where the agent waits for requestors. By default it does not."),
    key("link.certificate", Kind::Word(&["own", "files", "none"]), "\"own\"", "\"files\"",
        "At the server: `own` makes certificates whose root every invitation has; `files` reads `chain` and `key`, again \
         when they change; `none` is for a reverse proxy on the same machine, which ends the encryption."),
    key("link.chain", Kind::Is("file"), "", r#""hub.pem""#,
        "The certificate and those between it and a public root, as PEM. Relative to the postoffice folder."),
    key("link.key", Kind::Is("file"), "", r#""hub.key""#,
        "Its private key, as PEM. Nobody else may be able to read it."),
    key("link.proxy", Kind::Is("URL"), "", r#""http://proxy.example:3128""#,
        "At a requestor: the proxy through which the server is reached by CONNECT, or `\"none\"`. By default the \
         environment variable `https_proxy` has it."),

    key("mail.address", Kind::Is("address"), "", r#""dirsync@north.example""#,
        "The address of this postoffice. A requestor has it from its invitation."),
    key("mail.out", Kind::Is("URL"), "", r#""smtp://mail.north.example""#,
        "How mail leaves: `smtp://HOST` (STARTTLS, but not to this machine itself), `smtps://HOST`, or `sendmail:PATH`."),
    key("mail.in", Kind::Is("URL"), "", r#""imaps://mail.north.example""#,
        "Where mail arrives: `maildir:PATH`, `imaps://HOST`, or `imap://HOST` (STARTTLS, but not to this machine itself)."),
    key("mail.user", Kind::Is("text"), "", r#""dirsync""#,
        "The user at the mail servers."),
    key("mail.password_file", Kind::Is("file"), "", r#""mail.password""#,
        "The file with the password, which nobody else may be able to read. Without it the environment variable \
         `DIRSYNC_MAIL_PASSWORD`, or the systemd credential `dirsync-mail`."),
    key("mail.mail_kib", Kind::Number(64, 1_048_576), "9765", "",
        "The largest mail, in KiB as it is encoded: longer files travel in several. Stock Postfix takes 10,000."),

    key("place.place", Kind::Is("place"), "", r#""folder:/srv/share""#,
        "Required: the place, as `dirsync carrier list` or `dirsync requestor show` shows it."),
    key("place.windows", Kind::Is("list of windows"), "", r#"["Mon-Fri 22:00-06:00"]"#,
        "When messages go through it: days, and local times of `schedule.zone`; one that ends no later than it \
         begins ends on the day after. By default always."),
    key("place.kib_per_second", Kind::Number(1, 1_048_576), "", "64",
        "How fast messages go through it, in KiB a second. By default as fast as they can."),
    key("place.fall_back", Kind::Duration, "\"6 h\"", "",
        "If it has not worked for this time, messages to postoffices that have other places, too, go through the next one; the \
         first is used again as soon as it takes a message."),
];

/// The key of this name in the table at `table`.
pub fn find(table: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path.rsplit_once('.') == Some((table, name)))
}

/// The names that may stand in the table at `table`, in the order of the reference.
pub fn names_in(table: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in KEYS {
        let rest = match table {
            "" => Some(key.path),
            _ => key.path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')),
        };
        let Some(name) = rest.and_then(|rest| rest.split('.').next()) else { continue };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The tables in which a key of this name may stand.
pub fn tables_with(name: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter_map(|key| key.path.rsplit_once('.'))
        .filter_map(move |(table, last)| (last == name).then_some(table))
}

/// How a table is written: `[view]`, `[[source]]`.
pub fn heading(table: &str) -> String {
    match SECTIONS.iter().find(|section| section.path == table) {
        Some(section) if section.many => format!("[[{table}]]"),
        _ => format!("[{table}]"),
    }
}

/// Of some words the one that a mistyped word was most likely meant to be.
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer words are no slips of the hand, and comparing them would cost.
    const WORD_BYTES_MAX: usize = 64;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let wanted = word.to_lowercase();
    words
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&wanted, &candidate.to_lowercase()), candidate))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, candidate)| *edits <= candidate.chars().count().div_ceil(3))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strangers_none() {
        let words = ["zone", "times", "window", "mode", "poll"];
        for (slip, word) in
            [("tims", "times"), ("Times", "times"), ("tiems", "times"), ("widnow", "window")]
        {
            assert_eq!(nearest(slip, words), Some(word));
        }
        for stranger in ["password", "x", "", "interval"] {
            assert_eq!(nearest(stranger, words), None, "{stranger}");
        }
        assert_eq!(nearest(&"times".repeat(100_000), words), None);
    }

    #[test]
    fn each_key_stands_once_and_in_a_section() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..at].iter().all(|other| other.path != key.path), "{}", key.path);
            let (table, _) = key.path.rsplit_once('.').unwrap();
            assert!(SECTIONS.iter().any(|section| section.path == table), "{}", key.path);
            assert!(key.meaning.ends_with('.') && !key.kind.to_string().is_empty(), "{}", key.path);
            // A bar would end the cell of the reference's table.
            assert!(
                !key.meaning.contains('|') && !key.kind.to_string().contains('|'),
                "{}",
                key.path
            );
        }
    }
}
