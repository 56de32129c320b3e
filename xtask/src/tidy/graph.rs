//! The graph of crates: ARCHITECTURE.md says which may use which, and cargo agrees.
//!
//! ARCHITECTURE.md holds one fenced block with the word `crates` behind the opening fence, one
//! line for each crate, in order of name: `dirsync-store -> dirsync-directory, dirsync-message`,
//! or the name alone. Only normal dependencies on crates of the workspace count.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Breach, find};
use crate::workspace::TextFile;

const PATH: &str = "ARCHITECTURE.md";
const RULE: &str = "crate graph";

type Graph = BTreeMap<String, Vec<String>>;

pub fn check(files: &[TextFile], metadata: &Value) -> Vec<Breach> {
    let real = real_graph(metadata);
    let Some(file) = find(files, PATH) else {
        return vec![Breach::new(
            PATH,
            0,
            RULE,
            format!("not written yet; it needs\n{}", print(&real)),
        )];
    };
    let Some(documented) = documented_graph(&file.text) else {
        let text = format!("no block of crates; it needs\n{}", print(&real));
        return vec![Breach::new(PATH, 0, RULE, text)];
    };
    differences(&documented, &real)
}

fn differences(documented: &BTreeMap<String, (usize, Vec<String>)>, real: &Graph) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (name, uses) in real {
        match documented.get(name) {
            None => {
                breaches.push(Breach::new(
                    PATH,
                    0,
                    RULE,
                    format!("missing line: {}", line(name, uses)),
                ));
            }
            Some((number, said)) if said != uses => {
                let text = format!("cargo says: {}", line(name, uses));
                breaches.push(Breach::new(PATH, *number, RULE, text));
            }
            Some(_) => {}
        }
    }
    for (name, (number, _)) in documented.iter().filter(|(name, _)| !real.contains_key(*name)) {
        breaches.push(Breach::new(PATH, *number, RULE, format!("there is no crate {name}")));
    }
    breaches
}

fn real_graph(metadata: &Value) -> Graph {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages
        .iter()
        .filter_map(|package| {
            let dependencies = package["dependencies"].as_array()?;
            let mut uses: Vec<String> = dependencies
                .iter()
                // `kind` is null for normal dependencies; `path` is there for those of the workspace.
                .filter(|dependency| dependency["kind"].is_null() && dependency["path"].is_string())
                .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
                .collect();
            uses.sort();
            uses.dedup();
            Some((package["name"].as_str()?.to_owned(), uses))
        })
        .collect()
}

/// A crate and every crate of the workspace that it needs, in any number of steps.
pub fn needs(metadata: &Value, name: &str) -> Vec<String> {
    let graph = real_graph(metadata);
    let mut needed = vec![name.to_owned()];
    let mut at = 0;
    while let Some(name) = needed.get(at).cloned() {
        let uses = graph.get(&name).into_iter().flatten();
        let new: Vec<String> = uses.filter(|one| !needed.contains(one)).cloned().collect();
        needed.extend(new);
        at += 1;
    }
    needed.sort();
    needed
}

/// Crate → line number and sorted dependencies.
fn documented_graph(text: &str) -> Option<BTreeMap<String, (usize, Vec<String>)>> {
    let mut lines = text.lines().enumerate();
    lines.find(|(_, line)| line.trim_end() == "```crates")?;
    let block = lines.take_while(|(_, line)| !line.starts_with("```"));
    let graph = block
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let (name, uses) = line.split_once("->").unwrap_or((line, ""));
            let mut uses: Vec<String> = uses
                .split(',')
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect();
            uses.sort();
            (name.trim().to_owned(), (index + 1, uses))
        })
        .collect();
    Some(graph)
}

fn line(name: &str, uses: &[String]) -> String {
    if uses.is_empty() { name.to_owned() } else { format!("{name} -> {}", uses.join(", ")) }
}

fn print(graph: &Graph) -> String {
    let lines: Vec<String> = graph.iter().map(|(name, uses)| line(name, uses)).collect();
    format!("```crates\n{}\n```", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::file;
    use super::*;

    fn metadata() -> Value {
        let dependency = |name, kind: Option<&str>, path: Option<&str>| json!({"name": name, "kind": kind, "path": path});
        json!({"packages": [
            {"name": "a", "dependencies": []},
            {"name": "b", "dependencies": [
                dependency("a", None, Some("crates/a")),
                dependency("serde", None, None),
                dependency("c", Some("dev"), Some("crates/c")),
            ]},
        ]})
    }

    fn texts(architecture: &str) -> Vec<String> {
        check(&[file(PATH, architecture)], &metadata())
            .into_iter()
            .map(|breach| breach.text)
            .collect()
    }

    #[test]
    fn an_equal_graph_passes() {
        assert_eq!(texts("# A\n```crates\na\nb -> a\n```\n"), [""; 0]);
    }

    #[test]
    fn a_crate_needs_itself_and_what_it_uses() {
        assert_eq!(needs(&metadata(), "b"), ["a", "b"]);
    }

    #[test]
    fn each_difference_is_named() {
        let found = texts("```crates\nb -> a, x\nd -> a\n```\n");
        assert_eq!(found, ["missing line: a", "cargo says: b -> a", "there is no crate d"]);
    }

    #[test]
    fn a_missing_page_or_block_says_what_it_needs() {
        let block = "```crates\na\nb -> a\n```";
        assert!(check(&[], &metadata())[0].text.ends_with(block));
        assert!(texts("# A\n")[0].ends_with(block));
    }
}
