//! `docs/configuration.md` and the first `dirsync.toml`, made from the list of keys.

use std::fmt::Write;

use super::keys::{KEYS, Key, SECTIONS, Section, find, heading};

const BEGINNING: &str = "\
# Configuration

The file `dirsync.toml` in a postoffice folder holds what people decide about this postoffice, in
[TOML](https://toml.io). The program never changes it. Every key is optional, and so is the file. A key that
is not known is a mistake, not something to pass over. `dirsync config check` names all that is wrong, each with
its line, and changes nothing.

A *length of time* is a whole number and a unit: `s`, `min` or `m`, `h`, `days` or `d`, `weeks` or `w`, `years`
(365 days), for example `\"90 min\"`, `\"2d\"` or `\"1h30m\"`. Files are named relative to the postoffice folder.

`DIRSYNC_POSTOFFICE` in the environment names the postoffice folder where `-C` does not.

This page is made from the program's own list of keys, and a test compares them.
";

/// The keys that the first `dirsync.toml` proposes, with a word on those that need one.
const PROPOSED: [(&str, &str); 8] = [
    ("source.name", ""),
    ("source.file", ""),
    ("source.whole", "the file is the whole list"),
    ("target.file", ""),
    ("target.for_people", "safe to open in a spreadsheet"),
    ("schedule.zone", ""),
    ("schedule.times", ""),
    ("alarm.command", ""),
];

/// What `dirsync init` writes: nothing but comments.
pub fn template() -> String {
    let mut text = String::from(
        "# Settings of this postoffice. Every key is optional; see docs/configuration.md.\n\
         # \"dirsync config check\" says what is wrong with this file.\n",
    );
    let mut last = "";
    for (path, word) in PROPOSED {
        let Some((table, name)) = path.rsplit_once('.') else { continue };
        let example = find(table, name).map_or("", Key::example);
        if table != last {
            text.push_str(&format!("\n# {}\n", heading(table)));
            last = table;
        }
        let word = if word.is_empty() { String::new() } else { format!("# {word}") };
        let line = format!("# {:36}{word}", format!("{name} = {example}"));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Keys of targets that only some formats have. They stand in targets of their own.
const OF_OTHER_TARGETS: [&str; 3] = ["target.base", "target.dirsync", "target.domains"];
/// The targets that have them.
const OTHER_TARGETS: &str = r#"
[[target]]
file = "/srv/ldap/gal.ldif"
base = "ou=People,dc=example,dc=org"
dirsync = false

[[target]]
file = "/etc/postfix/virtual"
format = "postfix-virtual"
domains = ["example.org"]
"#;

/// A file with every key.
pub(super) fn example() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        text.push_str(&format!("\n{}\n", heading(section.path)));
        for key in KEYS {
            if let Some((table, name)) = key.path.rsplit_once('.')
                && table == section.path
                && !OF_OTHER_TARGETS.contains(&key.path)
            {
                let name = if name == "*" { "telephoneNumber" } else { name };
                text.push_str(&format!("{name} = {}\n", key.example()));
            }
        }
        if section.path == "target" {
            text.push_str(OTHER_TARGETS);
        }
    }
    text.trim_start().to_owned()
}

/// The text of `docs/configuration.md`.
#[allow(dead_code, reason = "the page is written and compared by a test")]
pub fn render_reference() -> String {
    let mut page = String::from(BEGINNING);
    for section in SECTIONS {
        section_of(&mut page, section);
    }
    page.push_str("\n## Example\n\n```toml\n");
    page.push_str(&example());
    page.push_str("```\n");
    page
}

fn section_of(page: &mut String, section: &Section) {
    let keys = KEYS.iter().filter_map(|key| {
        let (table, name) = key.path.rsplit_once('.')?;
        (table == section.path).then_some((name, key))
    });
    let rows: String = keys.map(|(name, key)| row(name, key)).collect();
    let heading = heading(section.path);
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "\n## `{heading}`\n\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n{rows}",
        section.meaning
    );
}

fn row(name: &str, key: &Key) -> String {
    let name = if name == "*" { "*attribute*".to_owned() } else { format!("`{name}`") };
    let default = if key.default.is_empty() { "–".into() } else { format!("`{}`", key.default) };
    format!("| {name} | {} | {default} | {} |\n", key.kind, key.meaning)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn parse(text: &str) -> String {
        let config = Config::parse(Path::new("dirsync.toml"), text);
        format!("{:?}", config.unwrap_or_else(|errors| panic!("{errors}")))
    }

    #[test]
    fn the_reference_is_the_list_of_keys() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        if std::env::var_os("DIRSYNC_WRITE_DOCS").is_some() {
            std::fs::write(&path, render_reference()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(
            written == render_reference(),
            "{} is not made from the list of keys; run this test with DIRSYNC_WRITE_DOCS=1",
            path.display()
        );
    }

    #[test]
    fn the_example_is_right_and_has_every_key() {
        parse(&example());
        assert!(KEYS.iter().all(|key| !key.example().is_empty()));
        for path in OF_OTHER_TARGETS {
            let (table, name) = path.rsplit_once('.').unwrap();
            assert!(find(table, name).is_some());
            assert!(OTHER_TARGETS.contains(&format!("\n{name} = ")), "{path}");
        }
    }

    /// Written out, the defaults change nothing.
    #[test]
    fn the_defaults_of_the_list_are_those_of_the_program() {
        let with_default = || KEYS.iter().filter(|key| !key.default.is_empty());
        let mut text = String::new();
        for key in with_default()
            .filter(|key| !key.path.starts_with(['s', 't']) || key.path.starts_with("schedule"))
            .filter(|key| !key.path.starts_with("place."))
        {
            text += &format!("{} = {}\n", key.path, key.default);
        }
        assert!(text.contains("guard.entries = 10") && text.contains("schedule.poll"));
        // What a table requires besides.
        text += "alarm.command = [\"page\"]\n";
        let alarm = vec!["page".into()];
        assert_eq!(parse(&text), format!("{:?}", Config { alarm, ..Config::default() }));

        let plain = "[[source]]\nname = \"a\"\nfile = \"a.csv\"\n[[target]]\nfile = \"b.csv\"\n";
        let mut full = String::new();
        for line in plain.lines() {
            full += &format!("{line}\n");
            let table = line.trim_matches(['[', ']']);
            for key in with_default() {
                if key.path.rsplit_once('.').is_some_and(|(parent, _)| parent == table) {
                    full += &format!("{} = {}\n", &key.path[table.len() + 1..], key.default);
                }
            }
        }
        assert!(full.contains("whole = false") && full.contains("own = false"));
        assert_eq!(parse(&full), parse(plain));
    }

    #[test]
    fn the_first_file_is_the_default_and_its_proposals_are_right() {
        assert_eq!(parse(&template()), format!("{:?}", Config::default()));
        let uncommented: String = template()
            .lines()
            .skip(3)
            .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line)))
            .collect();
        assert!(parse(&uncommented).contains("Berlin"));
    }
}
