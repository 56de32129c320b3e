//! Reading around mistakes of syntax, so that the rest of the file is still checked.

use std::ops::Range;

use toml::de::DeTable;

use super::problem::{PROBLEMS_MAX, Problem, line_of};

/// How often broken lines are blanked before the rest is read as it is.
const PASSES_MAX: usize = 8;

/// A text whose broken lines are blank, and the mistakes in them. All other bytes keep their places.
#[derive(Debug)]
pub(super) struct Syntax {
    /// The text that can be read.
    pub text: String,
    /// The mistakes of TOML.
    pub problems: Vec<Problem>,
    /// Where nothing can be said about what is read: broken lines, and the table whose header is
    /// broken, as its keys seem to belong to the table before it.
    broken: Vec<Range<usize>>,
}

impl Syntax {
    /// Finds the mistakes of syntax of a text.
    pub fn of(text: &str) -> Self {
        let mut syntax = Self { text: text.to_owned(), problems: Vec::new(), broken: Vec::new() };
        for pass in 0..PASSES_MAX {
            let (_, errors) = DeTable::parse_recoverable(&syntax.text);
            if errors.is_empty() {
                break;
            }
            for error in errors.into_iter().take(PROBLEMS_MAX) {
                let span = error.span().unwrap_or(text.len()..text.len());
                let line = line_of(text, span.start);
                // Later passes see what the first did not reach, but also the remains of values
                // of many lines that lost one: these do not look like assignments.
                if pass == 0 || text.get(line.clone()).is_some_and(is_assignment) {
                    let message = format!("this is not TOML: {}", error.message());
                    syntax.problems.push(Problem::at(span, message));
                }
                syntax.take_out(line);
            }
        }
        syntax
    }

    fn take_out(&mut self, line: Range<usize>) {
        let is_header = |line: &str| line.trim_start().starts_with('[');
        let mut end = line.end;
        if self.text.get(line.clone()).is_some_and(is_header) {
            while end < self.text.len() {
                let next = line_of(&self.text, end + 1);
                if self.text.get(next.clone()).is_none_or(is_header) {
                    break;
                }
                end = next.end.max(end + 1);
            }
        }
        self.broken.push(line.start..end);
        let blank: String = " ".repeat(line.len());
        if self.text.get(line.clone()).is_some() {
            self.text.replace_range(line, &blank);
        }
    }

    /// Of the mistakes of meaning those that broken syntax cannot have feigned, after those of
    /// syntax.
    pub fn with(self, meaning: Vec<Problem>) -> Vec<Problem> {
        let mut problems = self.problems;
        let feigned = |problem: &Problem| {
            let inside = |span: &Range<usize>| {
                self.broken.iter().any(|range| (range.start..=range.end).contains(&span.start))
            };
            problem.absence || problem.span.as_ref().is_some_and(inside)
        };
        problems.extend(
            meaning.into_iter().filter(|problem| self.broken.is_empty() || !feigned(problem)),
        );
        problems
    }
}

fn is_assignment(line: &str) -> bool {
    let plain = |character: char| character.is_alphanumeric() || "_-.\"' ".contains(character);
    line.split_once('=').is_some_and(|(key, _)| !key.trim().is_empty() && key.chars().all(plain))
}
