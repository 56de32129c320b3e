//! Rust files as the house rules see them: which lines are tests, where functions begin and end.
//!
//! The text is formatted by rustfmt, so a block ends at a brace in its own column; no parser is
//! needed.

use crate::workspace::TextFile;

/// A function of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// The line of `fn`, counted from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub length: usize,
}

/// Whether a whole file is test code.
pub fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "fuzz"))
        || path.ends_with("/tests.rs")
}

/// The lines of a file that are not in a test module at column 0, each with its number.
pub fn shipped_lines(file: &TextFile) -> Vec<(usize, &str)> {
    let mut shipped = Vec::new();
    let lines: Vec<&str> = file.text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        if lines[at] == "#[cfg(test)]" && opens_module(&lines[at + 1..]) {
            while at < lines.len() && lines[at] != "}" {
                at += 1;
            }
        } else {
            shipped.push((at + 1, lines[at]));
        }
        at += 1;
    }
    shipped
}

fn opens_module(lines: &[&str]) -> bool {
    lines
        .iter()
        .find(|line| !line.starts_with("#["))
        .is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
}

/// The functions in `lines`, in order.
pub fn functions(lines: &[(usize, &str)]) -> Vec<Function> {
    let mut found = Vec::new();
    for (index, (number, line)) in lines.iter().enumerate() {
        if let Some(name) = function_name(line) {
            let length = block_length(&lines[index..]);
            found.push(Function { name: name.to_owned(), line: *number, length });
        }
    }
    found
}

/// The name of the function that `line` begins.
pub fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub(") {
        rest = after.split_once(')')?.1.trim_start();
    }
    for qualifier in ["pub ", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(qualifier).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then(|| &rest[..end])
}

fn block_length(lines: &[(usize, &str)]) -> usize {
    let (_, first) = lines[0];
    let indent = &first[..first.len() - first.trim_start().len()];
    let mut opened = false;
    for (index, (_, line)) in lines.iter().enumerate() {
        opened |= line.contains('{');
        let closes = line.strip_prefix(indent) == Some("}");
        let whole_on_one_line = index == 0 && line.ends_with('}');
        let without_body = !opened && line.ends_with(';');
        if closes || whole_on_one_line || without_body {
            return index + 1;
        }
    }
    lines.len()
}

/// The names of the tests in `text` that run by default.
pub fn test_names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("#[") {
            is_test |= trimmed.starts_with("#[test]");
            is_ignored |= trimmed.starts_with("#[ignore");
            continue;
        }
        if trimmed.starts_with("//") {
            continue;
        }
        if let Some(name) = function_name(line)
            && is_test
            && !is_ignored
        {
            names.push(name);
        }
        (is_test, is_ignored) = (false, false);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
pub(crate) fn long(
    a: u8,
) -> u8 {
    a
}

trait Store {
    fn declared(&self);
    fn short(&self) {}
}

#[cfg(test)]
mod tests {
    #[test]
    /// Why.
    #[allow(clippy::all)]
    fn runs() {}

    #[test]
    #[ignore = \"slow\"]
    fn waits() {}

    fn helper() {}
}
const AFTER: u8 = 1;
";

    fn file() -> TextFile {
        TextFile { path: "crates/a/src/lib.rs".to_owned(), text: TEXT.to_owned() }
    }

    #[test]
    fn functions_have_their_lengths_and_tests_are_left_out() {
        let file = file();
        let found: Vec<(String, usize, usize)> = functions(&shipped_lines(&file))
            .into_iter()
            .map(|function| (function.name, function.line, function.length))
            .collect();
        let expected =
            [("long".to_owned(), 1, 5), ("declared".to_owned(), 8, 1), ("short".to_owned(), 9, 1)];
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_after_a_test_module_count() {
        let file = file();
        assert_eq!(shipped_lines(&file).last().unwrap().1, "const AFTER: u8 = 1;");
    }

    #[test]
    fn only_tests_that_run_are_named() {
        assert_eq!(test_names(TEXT), ["runs"]);
    }
}
