//! The words that people read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dirsync_protocol::row::Row;

use crate::sandbox::{Sandbox, people};

#[test]
fn the_words_are_explained_in_twelve_lines() {
    let sandbox = Sandbox::new();
    let words = sandbox.run("words").expect(0).out;
    assert_eq!(words.lines().count(), 12, "{words}");
    let help = sandbox.run("help words").expect(0).out;
    for line in words.lines() {
        assert!(help.contains(line), "{line}: {help}");
    }
    let json = sandbox.run("words --json").expect(0).json();
    assert_eq!(json[0]["word"], "postoffice");
}

#[test]
fn one_of_anything_is_said_in_the_singular() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("one.csv", &people(0..1));
    sandbox.write("none.csv", "key,cn,mail\n2,,\n");
    let mut said = String::new();
    for line in [
        "-C hq import one.csv --whole",
        "-C sales send",
        "-C hq status",
        "-C hq check",
        "-C hq cycle",
        "-C sales apply",
        "-C hq import none.csv --whole",
        "-C hq status -v",
        "-C hq run --dry-run",
        "-C hq requestor remove SOUTH/SALES --dry-run",
        "-C hq undo --yes",
        "-C hq log",
        "-C sales log",
    ] {
        let ran = sandbox.run(line);
        said += &format!("{}\n{}\n", ran.out, ran.err);
    }
    for fact in ["1 row: ", "1 message to be looked at", "1 change of", "1 entry applied"] {
        assert!(said.contains(fact), "{fact}: {said}");
    }
    assert!(!said.contains("those of the reads"), "there is no source: {said}");
    let said = said.replace('\n', " ");
    for nouns in
        ["entries", "rows", "changes", "deletions", "messages", "requests", "updates", "answers"]
    {
        assert!(!said.contains(&format!(" 1 {nouns}")), "{nouns}: {said}");
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A name in brackets, as log lines end with it: "[S13c]".
fn tags(text: &str) -> Vec<&str> {
    let inner = text.split('[').skip(1).filter_map(|rest| Some(rest.split_once(']')?.0));
    let is_tag = |name: &&str| {
        let rest = name.trim_start_matches(|c: char| c.is_ascii_uppercase());
        let suffix = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.len() < name.len() && suffix.len() < rest.len() && suffix.len() <= 1
    };
    inner.filter(is_tag).collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// A reader of a log finds each name in the page; one that is not there tells nobody anything.
#[test]
fn no_rule_is_named_to_people_that_the_page_does_not_have() {
    let page = std::fs::read_to_string(repository().join("docs/protocol.md")).unwrap();
    let known: BTreeSet<&str> =
        page.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    for row in Row::ALL {
        assert!(known.contains(row.name()), "{row} is no row of docs/protocol.md");
    }
    let mut files = Vec::new();
    for library in [
        "dirsync",
        "dirsync-agent",
        "dirsync-postoffice",
        "dirsync-protocol",
        "dirsync-carrier",
        "dirsync-connect",
    ] {
        rust_files(&repository().join("crates").join(library).join("src"), &mut files);
    }
    assert!(files.len() > 100);
    let mut named = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in shipped.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for tag in tags(line) {
                assert!(
                    known.contains(tag),
                    "{}: [{tag}] is not in docs/protocol.md",
                    file.display()
                );
                named += 1;
            }
        }
    }
    assert!(named > 0, "the look finds what there is");
}
