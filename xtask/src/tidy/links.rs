//! Relative links in Markdown lead to files.

use std::path::Path;

use super::Breach;
use crate::workspace::TextFile;

pub fn check(files: &[TextFile], root: &Path) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (line, target) in targets(&file.text) {
            let path = target.split('#').next().unwrap_or_default();
            let full = match path.strip_prefix('/') {
                Some(from_root) => root.join(from_root),
                None => root.join(folder).join(path),
            };
            if !full.exists() {
                let text = format!("\"{target}\" leads nowhere");
                breaches.push(Breach::new(&file.path, line, "dead link", text));
            }
        }
    }
    breaches
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
    !target.is_empty() && !target.starts_with('#') && !is_elsewhere
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
[a](docs/a.md#part) and [b](https://b.example) `[c](c.md)` [d](#d)
```
[e](e.md)
```
<img src=\"docs/f.svg\" alt=\"\"> ![g](g.png \"title\") [`h`](h.md)
";
        let expected = [(1, "docs/a.md#part"), (5, "g.png"), (5, "h.md"), (5, "docs/f.svg")];
        assert_eq!(targets(text), expected.map(|(line, target)| (line, target.to_owned())));
    }

    #[test]
    fn a_link_to_a_missing_file_is_found() {
        let root = crate::workspace::root();
        let page = |text: &str| TextFile { path: "docs/a.md".to_owned(), text: text.to_owned() };
        assert_eq!(check(&[page("[a](../Cargo.toml) [b](/xtask/src)")], &root), []);
        let breaches = check(&[page("\n[a](missing.md)")], &root);
        assert_eq!((breaches.len(), breaches[0].line), (1, 2));
    }
}
