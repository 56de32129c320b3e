//! Files and functions a reader can take in: limits on what ships, not on tests.

use super::Breach;
use crate::rust_source::{functions, is_test_file, shipped_lines};
use crate::workspace::TextFile;

/// Most lines of a file, without its test module.
const FILE_LINES_MAX: usize = 600;
/// Most lines of a function, with signature and brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Files and functions (`path` or `path::function`) that may be longer, each with the reason.
const ALLOWED: [(&str, &str); 0] = [];

pub fn check(files: &[TextFile]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs") && !is_test_file(&file.path))
    {
        let lines = shipped_lines(file);
        if lines.len() > FILE_LINES_MAX && !is_allowed(&file.path) {
            let text = format!("{} lines, {FILE_LINES_MAX} are the limit", lines.len());
            breaches.push(Breach::new(&file.path, 0, "long file", text));
        }
        for function in functions(&lines) {
            let name = &function.name;
            if function.length > FUNCTION_LINES_MAX
                && !is_allowed(&format!("{}::{name}", file.path))
            {
                let text = format!(
                    "{name}: {} lines, {FUNCTION_LINES_MAX} are the limit",
                    function.length
                );
                breaches.push(Breach::new(&file.path, function.line, "long function", text));
            }
        }
    }
    breaches
}

fn is_allowed(what: &str) -> bool {
    ALLOWED.iter().any(|(allowed, _reason)| *allowed == what)
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn function(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_at_the_limit_passes_and_one_line_more_does_not() {
        let path = "crates/a/src/lib.rs";
        assert_eq!(check(&[file(path, &function(FUNCTION_LINES_MAX))]), []);
        let breaches = check(&[file(path, &function(FUNCTION_LINES_MAX + 1))]);
        assert_eq!((breaches.len(), breaches[0].line, breaches[0].rule), (1, 1, "long function"));
    }

    #[test]
    fn a_file_at_the_limit_passes_and_one_line_more_does_not() {
        let text = "const A: u8 = 1;\n".repeat(FILE_LINES_MAX);
        let tests = "#[cfg(test)]\nmod tests {\n    fn a() {}\n}\n";
        let path = "crates/a/src/lib.rs";
        assert_eq!(check(&[file(path, &format!("{text}{tests}"))]), []);
        assert_eq!(check(&[file(path, &format!("{text}\n"))])[0].rule, "long file");
        assert_eq!(check(&[file("crates/a/tests/it/main.rs", &format!("{text}\n"))]), []);
    }
}
