//! The rules of the house as checks: each says `file:line: rule: text`.

mod figures;
mod graph;
mod leftovers;
mod lengths;
mod links;
mod lints;
mod references;
mod stories;
mod words;

use std::fmt;

use anyhow::{Result, bail};

use crate::workspace::{self, TextFile};

#[derive(Default, clap::Args)]
pub struct Arguments {
    /// Also list every failure story and protocol trace with its test, or what it waits for
    #[arg(long)]
    stories: bool,
    /// Print figures about the code: asserts, panics, comments, tests
    #[arg(long)]
    figures: bool,
}

pub const NOTES: &str = "\
Rules: no leftovers and no machine paths in committed files; short files and functions;
documented libraries; crates depend on each other as ARCHITECTURE.md says; forbidden calls are
forbidden by lint; links in Markdown lead somewhere; stories marked as tested have a test; code
refers to rows, sections and pages that are there; shipped code says the words of the glossary.

Examples:
  cargo xtask tidy
  cargo xtask tidy --stories
  cargo xtask tidy --figures";

/// One breach of one rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach {
    path: String,
    /// Counted from 1; 0 where the whole file is meant.
    line: usize,
    rule: &'static str,
    text: String,
}

impl Breach {
    fn new(path: &str, line: usize, rule: &'static str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, text: text.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, text } = self;
        if *line == 0 {
            return write!(f, "{path}: {rule}: {text}");
        }
        write!(f, "{path}:{line}: {rule}: {text}")
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let root = workspace::root();
    let files = workspace::text_files(&root)?;
    let stories = stories::read(&files)?;

    let metadata = workspace::metadata()?;
    let shipped = graph::needs(&metadata, "dirsync");

    let mut breaches = Vec::new();
    breaches.extend(leftovers::check(&files));
    breaches.extend(lengths::check(&files));
    breaches.extend(lints::check(&files));
    breaches.extend(graph::check(&files, &metadata));
    breaches.extend(links::check(&files, &root));
    breaches.extend(stories.check());
    breaches.extend(references::check(&files));
    breaches.extend(words::check(&files, &shipped));

    if arguments.stories {
        print!("{}", stories.list());
    }
    if arguments.figures {
        print!("{}", figures::table(&files, &shipped));
    }
    println!("{}", stories.summary());
    for breach in &breaches {
        println!("{breach}");
    }
    match breaches.len() {
        0 => Ok(()),
        1 => bail!("one house rule is broken once"),
        number => bail!("house rules are broken {number} times"),
    }
}

fn find<'a>(files: &'a [TextFile], path: &str) -> Option<&'a TextFile> {
    files.iter().find(|file| file.path == path)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> TextFile {
    TextFile { path: path.to_owned(), text: text.to_owned() }
}
