//! Relative links in Markdown lead to files, and to headings in them.

use std::fs;
use std::path::Path;

use super::Breach;
use crate::workspace::TextFile;

pub fn check(files: &[TextFile], root: &Path) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (line, target) in targets(&file.text) {
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let full = match path.strip_prefix('/') {
                Some(from_root) => root.join(from_root),
                None if path.is_empty() => root.join(&file.path),
                None => root.join(folder).join(path),
            };
            let is_there = || match full.extension() {
                Some(end) if end == "md" && !heading.is_empty() => {
                    has_heading(&fs::read_to_string(&full).unwrap_or_default(), heading)
                }
                _ => full.exists(),
            };
            if !is_there() {
                let text = format!("\"{target}\" leads nowhere");
                breaches.push(Breach::new(&file.path, line, "dead link", text));
            }
        }
    }
    breaches
}

/// Whether a page has a heading with this anchor: in small letters, with hyphens for blanks, and
/// without other signs.
fn has_heading(page: &str, anchor: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| line.trim_start_matches('#').trim().to_lowercase()).any(|heading| {
        let letters = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        letters.map(|c| if c == ' ' { '-' } else { c }).eq(anchor.chars())
    })
}

/// Relative link targets outside code, each with its line.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        let line = without_code_spans(line);
        for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"')] {
            for (at, _) in line.match_indices(opening) {
                let rest = &line[at + opening.len()..];
                let target = rest.split(closing).next().unwrap_or_default();
                let target = target.split_whitespace().next().unwrap_or_default();
                if is_relative(target) {
                    found.push((index + 1, target.to_owned()));
                }
            }
        }
    }
    found
}

fn is_relative(target: &str) -> bool {
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    !target.is_empty() && !is_elsewhere
}

fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_targets_outside_code_count() {
        let text = "\
[a](docs/a.md#part) and [b](https://b.example) `[c](c.md)`
```
[e](e.md)
```
<img src=\"docs/f.svg\" alt=\"\"> ![g](g.png \"title\") [`h`](h.md)
";
        let expected = [(1, "docs/a.md#part"), (5, "g.png"), (5, "h.md"), (5, "docs/f.svg")];
        assert_eq!(targets(text), expected.map(|(line, target)| (line, target.to_owned())));
    }

    #[test]
    fn a_link_to_a_missing_file_or_heading_is_found() {
        let root = crate::workspace::root();
        let page = |text: &str| TextFile { path: "docs/a.md".to_owned(), text: text.to_owned() };
        assert_eq!(check(&[page("[a](../Cargo.toml) [b](/xtask/src)")], &root), []);
        assert_eq!(check(&[page("[a](../CONTRIBUTING.md#before-you-start)")], &root), []);
        assert_eq!(check(&[page("[a](../CONTRIBUTING.md#before)")], &root).len(), 1);
        let breaches = check(&[page("\n[a](missing.md)")], &root);
        assert_eq!((breaches.len(), breaches[0].line), (1, 2));
    }
}
