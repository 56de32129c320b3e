//! Failure stories and protocol traces have their tests, or say which work they wait for.
//!
//! `docs/failure-stories.toml` has a table `[stories]`, slug → `"tested"` or `{ waits = "WORK:
//! reason" }`, and a table `[traces]`, name → `{ test = "fn_name" }` or `{ waits = … }`. A test
//! counts when it stands in a crate's `src` or `tests` and is not ignored, and a conversation of the
//! simulator, `crates/dirsync-sim/testdata/NAME.world`, counts as one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

use super::{Breach, find};
use crate::rust_source::test_names;
use crate::workspace::TextFile;

const PATH: &str = "docs/failure-stories.toml";

/// How many there are: a line that is taken out is noticed.
const STORIES: usize = 82;
const TRACES: usize = 35;

/// What a story or trace has.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The test of this name.
    Tested(String),
    /// No test before this work is done, with the reason.
    Waits(String),
}

/// The list with the tests that were found.
#[derive(Debug)]
pub struct Stories {
    stories: BTreeMap<String, State>,
    traces: BTreeMap<String, State>,
    tests: BTreeSet<String>,
}

/// Reads the list, and the names of the tests in `files`.
pub fn read(files: &[TextFile]) -> Result<Stories> {
    let file =
        find(files, PATH).with_context(|| format!("{PATH}: the list of stories is not there"))?;
    let table: Table = file.text.parse().with_context(|| format!("could not read {PATH}"))?;
    let tests = files
        .iter()
        .filter(|file| file.path.starts_with("crates/") && file.path.ends_with(".rs"))
        .flat_map(|file| test_names(&file.text))
        .chain(files.iter().filter_map(conversation))
        .map(str::to_owned)
        .collect();
    Ok(Stories { stories: states(&table, "stories")?, traces: states(&table, "traces")?, tests })
}

/// The name of a conversation of the simulator, all of which one test plays.
fn conversation(file: &TextFile) -> Option<&str> {
    file.path.strip_prefix("crates/dirsync-sim/testdata/")?.strip_suffix(".world")
}

fn states(table: &Table, name: &str) -> Result<BTreeMap<String, State>> {
    let Some(Value::Table(rows)) = table.get(name) else {
        bail!("{PATH}: the table [{name}] is not there");
    };
    rows.iter().map(|(slug, value)| Ok((slug.clone(), state(slug, value)?))).collect()
}

fn state(slug: &str, value: &Value) -> Result<State> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    if value.as_str() == Some("tested") {
        return Ok(State::Tested(slug.to_owned()));
    }
    match (text("test"), text("waits")) {
        (Some(test), None) => Ok(State::Tested(test)),
        (None, Some(reason)) if reason.contains(": ") => Ok(State::Waits(reason)),
        _ => bail!(
            "{PATH}: {slug}: write \"tested\", {{ test = \"NAME\" }} or {{ waits = \"WORK: reason\" }}"
        ),
    }
}

impl Stories {
    pub fn check(&self) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for (kind, rows, expected) in
            [("stories", &self.stories, STORIES), ("traces", &self.traces, TRACES)]
        {
            if rows.len() != expected {
                let text = format!("{} {kind}, there should be {expected}", rows.len());
                breaches.push(Breach::new(PATH, 0, "failure stories", text));
            }
        }
        for (name, test) in self.missing() {
            let text = format!("{name} is marked as tested, and there is no test fn {test}");
            breaches.push(Breach::new(PATH, 0, "failure stories", text));
        }
        breaches
    }

    fn rows(&self) -> impl Iterator<Item = (&String, &State)> {
        self.stories.iter().chain(&self.traces)
    }

    fn missing(&self) -> impl Iterator<Item = (&String, &String)> {
        self.rows().filter_map(|(name, state)| match state {
            State::Tested(test) if !self.tests.contains(test) => Some((name, test)),
            _ => None,
        })
    }

    /// One line: how many are tested, are due, or wait.
    pub fn summary(&self) -> String {
        let all = self.rows().count();
        let waiting = self.rows().filter(|(_, state)| matches!(state, State::Waits(_))).count();
        let missing = self.missing().count();
        format!(
            "failure stories and protocol traces: {} tested, {missing} without their test, \
             {waiting} wait",
            all - waiting - missing
        )
    }

    /// One line for each story and trace.
    pub fn list(&self) -> String {
        self.rows()
            .map(|(name, state)| match state {
                State::Tested(test) if self.tests.contains(test) => format!("tested   {name}\n"),
                State::Tested(_) => format!("MISSING  {name}\n"),
                State::Waits(reason) if self.tests.contains(name) => {
                    format!("waits    {name}: {reason} (has a test by now)\n")
                }
                State::Waits(reason) => format!("waits    {name}: {reason}\n"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const LIST: &str = "[stories]\none = \"tested\"\ntwo = { waits = \"mail carrier: no mail\" }\n\
                        [traces]\nT-RANGE = { test = \"t_range\" }\n";

    fn stories(tests: &str) -> Stories {
        read(&[file(PATH, LIST), file("crates/a/tests/it/main.rs", tests)]).unwrap()
    }

    fn missing(tests: &str) -> Vec<String> {
        stories(tests).missing().map(|(_, test)| test.clone()).collect()
    }

    #[test]
    fn a_story_marked_as_tested_needs_its_test() {
        assert_eq!(missing("#[test]\nfn one() {}\n#[test]\nfn t_range() {}\n"), [""; 0]);
        assert_eq!(missing("#[test]\nfn one() {}\n"), ["t_range"]);
        assert_eq!(
            missing("#[test]\n#[ignore]\nfn one() {}\nfn t_range() {}\n"),
            ["one", "t_range"]
        );
    }

    #[test]
    fn a_line_taken_out_is_noticed() {
        let texts: Vec<String> =
            stories("").check().into_iter().map(|breach| breach.text).take(2).collect();
        assert_eq!(texts, ["2 stories, there should be 82", "1 traces, there should be 35"]);
    }

    #[test]
    fn a_story_that_waits_says_for_what() {
        for row in ["one = { waits = \"later\" }", "one = \"done\"", "one = { test = 1 }"] {
            let list = format!("[stories]\n{row}\n[traces]\n");
            assert!(read(&[file(PATH, &list)]).is_err(), "{row}");
        }
    }

    #[test]
    fn the_summary_counts_each_once() {
        let expected =
            "failure stories and protocol traces: 1 tested, 1 without their test, 1 wait";
        assert_eq!(stories("#[test]\nfn one() {}\n").summary(), expected);
    }
}
