//! References lead into the repository: rows and sections of the protocol page, and other pages.
//!
//! A row of a decision table is named in a comment (`S13c`), or as a variant of the enum `Row`. A section is named
//! by the page and a number: `docs/protocol.md` §6.2; a later `§` in the same file means the same page, unless a name like
//! that of a standard stands before it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Breach, find, words};
use crate::workspace::TextFile;

const PROTOCOL: &str = "docs/protocol.md";
const RULE: &str = "reference";

/// Papers that the repository does not contain, under names that they had.
const ABSENT: [&str; 3] = ["../shared", "design.md", "`failure-stories`"];

/// This file has to name them.
const OWN_PATH: &str = "xtask/src/tidy/references.rs";
/// It describes names of pages that are yet to be written.
const CHANGELOG: &str = "changelog/README.md";

/// The numbers of the sections of each page.
type Sections<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

pub fn check(files: &[TextFile]) -> Vec<Breach> {
    let rows = find(files, PROTOCOL).map(|page| rows(&page.text)).unwrap_or_default();
    let sections: Sections = files
        .iter()
        .filter(|file| file.path.ends_with(".md"))
        .map(|file| (file.path.as_str(), sections(&file.text)))
        .collect();
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| ![OWN_PATH, CHANGELOG].contains(&&*file.path)) {
        let is_page = file.path.ends_with(".md");
        let mut page = is_page.then_some(file.path.as_str());
        for (index, line) in file.text.lines().enumerate() {
            let mut wrong = |text| breaches.push(Breach::new(&file.path, index + 1, RULE, text));
            for absent in ABSENT.iter().filter(|absent| line.contains(*absent)) {
                wrong(format!("{absent} is not in the repository"));
            }
            for name in pages(line) {
                page = Some(name).filter(|_| !is_page).or(page);
                if !exists(name, &file.path, &sections) {
                    wrong(format!("there is no page {name}"));
                }
            }
            for (source, number) in section_numbers(line) {
                let source = match source {
                    Source::Page(name) => Some(name),
                    Source::Same => page,
                    Source::Standard => None,
                };
                if let Some((name, all)) = source.and_then(|name| sections.get_key_value(name))
                    && !all.contains(number)
                {
                    wrong(format!("{name} has no section {number}"));
                }
            }
            let named = if file.path.ends_with(".rs") { rows_named(line) } else { Vec::new() };
            for row in named.into_iter().filter(|row| !is_known(row, &rows)) {
                wrong(format!("{PROTOCOL} has no row {row}"));
            }
        }
    }
    breaches
}

/// The names of all rows: the first cells of the tables, where they are names of rows.
fn rows(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|cell| is_row(cell))
        .collect()
}

/// A letter, one or two digits and perhaps a small letter.
fn is_row(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letter = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    word.len() - digits.len() == 1
        && matches!(digits.len() - letter.len(), 1 | 2)
        && letter.len() <= 1
        && letter.chars().all(|c| c.is_ascii_lowercase())
}

/// Whether a row is on the page, also by the name that its variants share (S13 for S13a to S13d).
/// Letters without any row mean something else.
fn is_known(name: &str, rows: &BTreeSet<&str>) -> bool {
    let begins_as_name = |row: &&&str| {
        row.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    rows.iter().any(|row| begins_as_name(&row)) || !rows.iter().any(|row| row[..1] == name[..1])
}

/// The rows that a line of code names: in its comment, as `Row::S1`, or as a variant of that enum.
fn rows_named(line: &str) -> Vec<&str> {
    let comment = line.find("//").unwrap_or(line.len());
    let is_named = |at: usize, word: &str| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        let is_in_comment = at > comment && !before.ends_with(['`', '/', '.', '-']);
        let is_variant = before.trim().is_empty() && after.starts_with([',', ':']);
        is_in_comment || is_variant || before.ends_with("Row::")
    };
    words::whole(line)
        .filter(|(at, word)| is_row(word) && is_named(*at, word))
        .map(|(_, word)| word)
        .collect()
}

/// The numbers of the headings of a page.
fn sections(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix('#')?.trim_start_matches('#').split(' ').nth(1))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .collect()
}

/// The document of a section, by the text before its `§`.
enum Source<'a> {
    Page(&'a str),
    Standard,
    /// The page that was named last.
    Same,
}

/// The numbers behind each `§` of a line.
fn section_numbers(line: &str) -> impl Iterator<Item = (Source<'_>, &str)> {
    line.match_indices('§').map(|(at, mark)| {
        let before = line[..at].trim_end();
        let source = match before.strip_suffix('`') {
            Some(code) => Source::Page(code.rsplit('`').next().unwrap_or_default()),
            None if before.ends_with(" and") => Source::Same,
            None if before.ends_with(char::is_alphanumeric) => Source::Standard,
            None => Source::Same,
        };
        let rest = &line[at + mark.len()..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        (source, rest[..end].trim_end_matches('.'))
    })
}

/// The pages that a line names in backticks.
fn pages(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".md"))
}

/// Whether a page is there: named from the root, in Markdown also from the folder of the page.
fn exists(name: &str, path: &str, sections: &Sections<'_>) -> bool {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_beside = path.ends_with(".md") && sections.contains_key(&*format!("{folder}/{name}"));
    sections.contains_key(name) || is_beside
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const PAGE: &str = "# P\n## 1 Words\n### 1.1 More\n| row | when |\n| S1 | a |\n| S13a | b |\n";

    fn texts(path: &str, text: &str) -> Vec<String> {
        let files = [file(PROTOCOL, PAGE), file("docs/b.md", "## 2 B\n"), file(path, text)];
        check(&files).into_iter().map(|breach| breach.text).collect()
    }

    fn in_code(text: &str) -> Vec<String> {
        texts("crates/a/src/lib.rs", text)
    }

    #[test]
    fn a_row_that_is_not_on_the_page_is_found() {
        let text =
            "// S1, S13 and S13a; `S7` is a machine, X9 no row.\nlet a: [S9; 1] = Row::S1;\n";
        assert_eq!(in_code(text), [""; 0]);
        let text = "// by S1–S15\nRow::S2\n    S3: \"text\",\n    S4,\n// S13b\n";
        let expected = ["S15", "S2", "S3", "S4", "S13b"];
        assert_eq!(in_code(text), expected.map(|row| format!("{PROTOCOL} has no row {row}")));
    }

    #[test]
    fn a_section_that_is_not_in_its_page_is_found() {
        assert_eq!(
            in_code("// `docs/protocol.md` §1.1.\n// §1: a\n// `docs/b.md` (§2)\n"),
            [""; 0]
        );
        assert_eq!(in_code("// `docs/b.md`\n// RFC 4180 §3, `docs/protocol.md` §1\n"), [""; 0]);
        assert_eq!(in_code("// `docs/b.md`\n// §1.1\n"), ["docs/b.md has no section 1.1"]);
        assert_eq!(in_code("// `docs/b.md` §2 and §3\n"), ["docs/b.md has no section 3"]);
        assert_eq!(texts("docs/c.md", "## 1 C\n§1, §2\n"), ["docs/c.md has no section 2"]);
    }

    #[test]
    fn a_paper_that_is_not_here_is_found() {
        assert_eq!(texts("docs/c.md", "`b.md`, `docs/b.md`, `a.md`"), ["there is no page a.md"]);
        assert_eq!(in_code("// `protocol.md`\n"), ["there is no page protocol.md"]);
        assert_eq!(in_code("// see design.md\n"), ["design.md is not in the repository"]);
        assert_eq!(in_code("// `failure-stories`: a\n").len(), 1);
    }
}
