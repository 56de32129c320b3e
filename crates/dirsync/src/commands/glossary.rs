//! `dirsync words`, which `dirsync help words` prints as well.

use schemars::JsonSchema;
use serde::Serialize;

use crate::document;
use crate::failure::{ExitStatus, Result};

/// The words and their meanings, a line each. README has the same lines.
pub const GLOSSARY: &str = include_str!("../words/glossary.txt");

/// A word of this program.
#[derive(Serialize, JsonSchema)]
pub struct Word {
    /// The word.
    word: &'static str,
    /// Its meaning.
    meaning: &'static str,
}

/// `dirsync words`.
pub fn words(json: bool) -> Result<ExitStatus> {
    if json {
        document::print(&entries());
    } else {
        GLOSSARY.lines().for_each(|line| println!("{line}"));
    }
    Ok(ExitStatus::Done)
}

fn entries() -> Vec<Word> {
    let lines = GLOSSARY.lines().filter_map(|line| line.split_once("  "));
    lines.map(|(word, meaning)| Word { word, meaning: meaning.trim_start() }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_glossary_has_twelve_lines() {
        assert_eq!(super::entries().len(), 12);
        assert_eq!(super::GLOSSARY.lines().count(), 12);
    }

    #[test]
    fn the_readme_has_the_same_words() {
        assert!(include_str!("../../../../README.md").contains(super::GLOSSARY));
    }
}
