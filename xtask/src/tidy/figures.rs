//! Figures about the code: what is asserted, what can panic, how much is explained and tested.

use std::fmt::Write as _;
use std::ops::AddAssign;

use super::lints::PURE_CRATES;
use crate::rust_source::{is_test_file, shipped_lines};
use crate::workspace::TextFile;

const ASSERTS: [&str; 3] = ["assert!(", "assert_eq!(", "assert_ne!("];
const PANICS: [&str; 4] = [".unwrap()", ".expect(", "panic!(", "unreachable!("];

/// Lines of some files, blank ones apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    /// Lines of code that are not tests and not comments.
    code: usize,
    /// Lines of comments between them.
    comments: usize,
    /// Lines of tests.
    tests: usize,
    asserts: usize,
    panics: usize,
}

/// The table that `--figures` prints. What `dirsync` links ships; the other crates only test and measure.
pub fn table(files: &[TextFile], shipped: &[String]) -> String {
    let mut table =
        "lines of code, comments in 100 lines of code and comments, lines of tests; asserts and \
                     unwrap/expect/panic\nin 1,000 lines of code that is no test\n\n\
                     crate                 code  comments  tests  asserts  panics\n"
            .to_owned();
    let (mut core, mut ships, mut others) = Default::default();
    for name in crates(files) {
        let figures = of_crate(files, name);
        row(&mut table, name, figures);
        if PURE_CRATES.contains(&name) {
            core += figures;
        }
        *(if shipped.iter().any(|one| one == name) { &mut ships } else { &mut others }) += figures;
    }
    row(&mut table, "the core", core);
    row(&mut table, "what ships", ships);
    row(&mut table, "the rest", others);
    let ratio = |tests: usize| tests as f64 / ships.code.max(1) as f64;
    let _ = writeln!(
        table,
        "\nfor each line of code that ships: {:.2} of its tests, {:.2} with the crates that do not ship",
        ratio(ships.tests),
        ratio(ships.tests + others.tests + others.code)
    );
    table
}

fn row(
    table: &mut String,
    name: &str,
    Figures { code, comments, tests, asserts, panics }: Figures,
) {
    let of = |part: usize, whole: usize, unit: f64| part as f64 * unit / whole.max(1) as f64;
    let _ = writeln!(
        table,
        "{name:<20} {code:>5} {:>7.1} % {tests:>6} {:>8.1} {:>7.1}",
        of(comments, code + comments, 100.0),
        of(asserts, code, 1000.0),
        of(panics, code, 1000.0),
    );
}

fn crates(files: &[TextFile]) -> Vec<&str> {
    files
        .iter()
        .filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
        .collect()
}

fn of_crate(files: &[TextFile], name: &str) -> Figures {
    let folder = format!("crates/{name}/");
    let mut sum = Figures::default();
    files
        .iter()
        .filter(|file| file.path.ends_with(".rs") && file.path.starts_with(&folder))
        .for_each(|file| sum += of_file(file));
    sum
}

fn of_file(file: &TextFile) -> Figures {
    let is_blank = |line: &&str| line.trim().is_empty();
    let all = file.text.lines().filter(|line| !is_blank(line)).count();
    if is_test_file(&file.path) {
        return Figures { tests: all, ..Figures::default() };
    }
    let lines: Vec<&str> = shipped_lines(file).into_iter().map(|(_, line)| line).collect();
    let (comments, code): (Vec<&str>, Vec<&str>) = lines
        .into_iter()
        .filter(|line| !is_blank(line))
        .partition(|line| line.trim_start().starts_with("//"));
    let count = |words: &[&str]| {
        words
            .iter()
            .map(|word| code.iter().map(|line| line.matches(word).count()).sum::<usize>())
            .sum()
    };
    Figures {
        code: code.len(),
        comments: comments.len(),
        tests: all - code.len() - comments.len(),
        asserts: count(&ASSERTS),
        panics: count(&PANICS),
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.code += other.code;
        self.comments += other.comments;
        self.tests += other.tests;
        self.asserts += other.asserts;
        self.panics += other.panics;
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const TEXT: &str = "//! A.\n\nfn f() {\n    debug_assert!(true);\n    g().unwrap();\n}\n\n#[cfg(test)]\n\
                        mod tests {\n    fn t() {\n        assert!(true);\n    }\n}\n";

    #[test]
    fn tests_are_apart_from_code() {
        let expected = Figures { code: 4, comments: 1, tests: 6, asserts: 1, panics: 1 };
        assert_eq!(of_file(&file("crates/a/src/lib.rs", TEXT)), expected);
        let expected = Figures { tests: 11, ..Figures::default() };
        assert_eq!(of_file(&file("crates/a/tests/it/main.rs", TEXT)), expected);
    }

    #[test]
    fn every_crate_and_the_sums_have_a_line() {
        let files = [file("crates/a/Cargo.toml", ""), file("crates/a/src/lib.rs", TEXT)];
        let table = table(&files, &["a".to_owned()]);
        assert!(
            table.contains("a                        4    20.0 %      6    250.0   250.0\n"),
            "{table}"
        );
        assert!(table.contains("1.50 of its tests, 1.50 with"), "{table}");
    }
}
