//! One name for one thing: words that the glossary has abandoned are not in shipped code.
//!
//! The protocol page has a section about words that are not used; those in backticks are looked for in identifiers
//! and comments, not in strings: what an LDAP attribute is called is not ours to say.

use super::{Breach, find};
use crate::rust_source::{is_test_file, shipped_lines};
use crate::workspace::TextFile;

const PAGE: &str = "docs/protocol.md";
const HEADING: &str = "Words that are not used";

/// Checks the code of the crates in `shipped`.
pub fn check(files: &[TextFile], shipped: &[String]) -> Vec<Breach> {
    let abandoned = find(files, PAGE).map(|page| abandoned(&page.text)).unwrap_or_default();
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| is_shipped(&file.path, shipped)) {
        for (number, line) in shipped_lines(file) {
            let line = without_strings(line);
            let parts: Vec<String> = whole(&line)
                .flat_map(|(_, word)| parts(word))
                .map(|part| part.to_lowercase())
                .collect();
            for (word, instead) in &abandoned {
                let is_word = |part: &String| matches!(part.strip_prefix(word), Some("" | "s"));
                if parts.iter().any(is_word) {
                    let text = format!("\"{word}\": say {instead}");
                    breaches.push(Breach::new(&file.path, number, "abandoned word", text));
                }
            }
        }
    }
    breaches
}

fn is_shipped(path: &str, shipped: &[String]) -> bool {
    let is_of =
        |name: &String| path.strip_prefix("crates/")?.strip_prefix(&**name)?.strip_prefix("/src/");
    path.ends_with(".rs") && !is_test_file(path) && shipped.iter().any(|name| is_of(name).is_some())
}

/// The abandoned words of a page, each with the word to use.
fn abandoned(page: &str) -> Vec<(&str, &str)> {
    let rows = page.lines().skip_while(|line| !line.ends_with(HEADING)).skip(1);
    rows.take_while(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "))
        .collect()
}

/// The words of a line with their places; an identifier is one word.
pub fn whole(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_between = |c: char| !c.is_alphanumeric() && c != '_';
    line.split(is_between)
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr().addr() - line.as_ptr().addr(), word))
}

/// The parts of an identifier in either case.
fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for piece in word.split('_') {
        let mut start = 0;
        let ends = piece.char_indices().zip(piece.chars().skip(1));
        for ((at, before), after) in ends {
            if before.is_lowercase() && after.is_uppercase() {
                parts.push(&piece[start..at + before.len_utf8()]);
                start = at + before.len_utf8();
            }
        }
        parts.push(&piece[start..]);
    }
    parts
}

fn without_strings(line: &str) -> String {
    match line.trim_start().starts_with("//") {
        true => line.to_owned(),
        false => line.split('"').step_by(2).collect::<Vec<_>>().join("\"\""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const GLOSSARY: &str = "### 1.2 Words that are not used\n\n| instead of | say |\n| --- | --- |\n\
                            | `life` | epoch |\n| place, here | postoffice |\n## 2 A\n| `b` | c |\n";

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let files = [file(PAGE, GLOSSARY), file(path, text)];
        check(&files, &["a".to_owned()]).into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn an_abandoned_word_is_found_in_identifiers_and_comments() {
        let text = "fn new_life() {}\n/// A Life of it.\nstruct AnyLife;\nlet lifetime = \"life\";\n// alive\n";
        assert_eq!(lines("crates/a/src/lib.rs", text), [1, 2, 3]);
    }

    #[test]
    fn tests_and_crates_that_do_not_ship_may_say_it() {
        let text = "#[cfg(test)]\nmod tests {\n    fn life() {}\n}\n";
        assert_eq!(lines("crates/a/src/lib.rs", text), [0; 0]);
        assert_eq!(lines("crates/a/tests/it/main.rs", "fn life() {}\n"), [0; 0]);
        assert_eq!(lines("crates/b/src/lib.rs", "fn life() {}\n"), [0; 0]);
    }
}
