//! Mistakes in a configuration file: file, line, column, the line itself, and a caret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Everything that is wrong with one file.
#[derive(Debug)]
pub struct ConfigErrors {
    path: PathBuf,
    text: String,
    mistakes: Vec<Mistake>,
}

#[derive(Debug)]
struct Mistake {
    span: Range<usize>,
    reason: String,
    help: Option<String>,
}

impl ConfigErrors {
    /// No mistake yet.
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), mistakes: Vec::new() }
    }

    /// A file that cannot be read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let mut errors = Self::new(path, "");
        errors.add(0..0, format!("it cannot be read: {error}"), None);
        errors
    }

    /// Adds a mistake at some bytes of the text.
    pub(super) fn add(&mut self, span: Range<usize>, reason: String, help: Option<String>) {
        self.mistakes.push(Mistake { span, reason, help });
    }

    /// The value, if there is no mistake.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Self> {
        self.mistakes.sort_by_key(|mistake| mistake.span.start);
        if self.mistakes.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The mistakes as (line, column, reason), both from 1.
    pub fn positions(&self) -> Vec<(usize, usize, String)> {
        let place = |mistake: &Mistake| self.place(mistake.span.start);
        self.mistakes
            .iter()
            .map(|mistake| (place(mistake).0, place(mistake).1, mistake.reason.clone()))
            .collect()
    }

    fn place(&self, at: usize) -> (usize, usize, &str) {
        let at = at.min(self.text.len());
        let before = &self.text[..at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        (before.matches('\n').count() + 1, self.text[start..at].chars().count() + 1, line)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.mistakes.iter().enumerate() {
            let (line, column, text) = self.place(mistake.span.start);
            let gutter = " ".repeat(line.to_string().len());
            let rest = text.chars().count().saturating_sub(column - 1).max(1);
            let width = self.text.get(mistake.span.clone()).map_or(1, |t| t.chars().count());
            if number > 0 {
                f.write_str("\n\n")?;
            }
            writeln!(f, "{}", mistake.reason)?;
            writeln!(f, "{gutter}--> {}:{line}:{column}", self.path.display())?;
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{line} | {text}")?;
            let marks = "^".repeat(width.clamp(1, rest));
            write!(f, "{gutter} | {}{marks}", " ".repeat(column - 1))?;
            if let Some(help) = &mistake.help {
                write!(f, "\n{gutter} = {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
