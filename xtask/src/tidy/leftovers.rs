//! Words that are not committed: unfinished work, and what belongs to one machine.

use super::Breach;
use crate::workspace::TextFile;

/// Marks of unfinished work, in files that are built or run.
const UNFINISHED: [&str; 6] = ["todo!", "unimplemented!", "dbg!", "FIXME", "XXX", "HACK"];

/// Folders of one machine and hosts of package registries, in any file.
const OF_ONE_MACHINE: [&str; 8] = [
    "/work/",
    "/root/",
    "/home/",
    "index.crates.io",
    "static.crates.io",
    "deb.debian.org",
    "pypi.org",
    "registry.npmjs.org",
];

/// This file has to name the words.
const OWN_PATH: &str = "xtask/src/tidy/leftovers.rs";

pub fn check(files: &[TextFile]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.path != OWN_PATH) {
        for (index, line) in file.text.lines().enumerate() {
            let mut report = |words: &[&str], rule, is_found: fn(&str, &str) -> bool| {
                for word in words.iter().filter(|word| is_found(line, word)) {
                    breaches.push(Breach::new(&file.path, index + 1, rule, format!("\"{word}\"")));
                }
            };
            if is_built(&file.path) {
                report(&UNFINISHED, "unfinished work", has_word);
            }
            report(&OF_ONE_MACHINE, "belongs to one machine", has_path);
        }
    }
    breaches
}

fn is_built(path: &str) -> bool {
    [".rs", ".sql", ".sh", ".toml", ".service"].iter().any(|end| path.ends_with(end))
        || path == ".ci/run"
}

/// Whether `word` stands in `line` and is not part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(is_letter) && (word.ends_with('!') || !after.starts_with(is_letter))
    })
}

/// Whether the path or host `word` begins in `line`, not in the middle of another path.
fn has_path(line: &str, word: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}');
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(goes_on))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn lines_with_breaches(path: &str, text: &str) -> Vec<usize> {
        check(&[file(path, text)]).into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn unfinished_work_is_found_as_a_word() {
        let text = "let a = todo!();\n// FIXME later\nfn prefixme() {}\nHACKERS\n    dbg!(a);\n";
        assert_eq!(lines_with_breaches("crates/a/src/lib.rs", text), [1, 2, 5]);
        assert_eq!(lines_with_breaches("docs/a.md", text), [0; 0]);
    }

    #[test]
    fn machine_paths_are_found_where_they_begin() {
        let text = "see /root/a\nvar/work/b\n`/work/b`\nhttps://index.crates.io/x\n$D/home/x\n";
        assert_eq!(lines_with_breaches("docs/a.md", text), [1, 3, 4]);
        assert_eq!(lines_with_breaches("docs/a.md", "${D}/home/x"), [0; 0]);
    }
}
