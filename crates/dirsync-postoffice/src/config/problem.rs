//! What is wrong with a file of settings, shown at its place as compilers do.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Most mistakes that are shown; a file with more is most likely not what it was taken for.
pub(super) const PROBLEMS_MAX: usize = 100;

/// Longest part of a line that is shown, in characters.
const LINE_CHARACTERS_MAX: usize = 120;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// What is wrong, in one line.
    pub message: String,
    /// The reason, shown under the place; may be empty.
    pub reason: String,
    /// What to do, or which values are allowed.
    pub help: Option<String>,
    /// Bytes of the text that are wrong.
    pub(super) span: Option<Range<usize>>,
    /// Another place that explains this one.
    pub(super) related: Option<(Range<usize>, String)>,
    /// It says that something is missing.
    pub(super) absence: bool,
}

impl Problem {
    /// A mistake at a place.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::of_file(message) }
    }

    /// A mistake of the whole file.
    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            reason: String::new(),
            help: None,
            span: None,
            related: None,
            absence: false,
        }
    }

    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn see(mut self, span: Range<usize>, why: impl Into<String>) -> Self {
        self.related = Some((span, why.into()));
        self
    }

    fn whole_reason(&self) -> String {
        match self.reason.as_str() {
            "" => self.message.clone(),
            reason => format!("{}: {reason}", self.message),
        }
    }

    /// Marks it as the lack of something, which a mistake of syntax can feign.
    pub(super) fn lack(mut self) -> Self {
        self.absence = true;
        self
    }
}

/// Everything that is wrong with one file of settings, by place.
#[derive(Debug)]
pub struct ConfigErrors {
    path: PathBuf,
    text: String,
    problems: Vec<Problem>,
}

impl ConfigErrors {
    /// `problems` are those of `text`, the content of the file at `path`.
    pub(super) fn new(path: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        for problem in &mut problems {
            if let Some(span) = &mut problem.span {
                *span = within_line(text, span);
            }
            if let Some((span, _)) = &mut problem.related {
                *span = within_line(text, span);
            }
        }
        if more > 0 {
            problems.push(Problem::of_file(format!("{more} more mistakes are not shown")));
        }
        Self { path: path.to_owned(), text: text.to_owned(), problems }
    }

    /// The mistakes as line, column and reason; line and column from 1.
    pub fn positions(&self) -> Vec<(usize, usize, String)> {
        let position = |problem: &Problem| {
            let start = problem.span.as_ref().map_or(0, |span| span.start);
            let (line, column) = line_and_column(&self.text, start);
            (line, column, problem.whole_reason())
        };
        self.problems.iter().map(position).collect()
    }

    fn show(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&problem.message))?;
        let path = self.path.display();
        let mut gutter = String::new();
        match &problem.span {
            None => {
                write!(f, "\n--> {path}")?;
                if !problem.reason.is_empty() {
                    write!(f, "\n = note: {}", printable(&problem.reason))?;
                }
            }
            Some(span) => {
                let mut marks = vec![Mark { span, sign: "^", label: &problem.reason }];
                if let Some((span, why)) = &problem.related {
                    marks.push(Mark { span, sign: "-", label: why });
                }
                marks.sort_by_key(|mark| mark.span.start);
                let lines = marks.iter().map(|mark| line_and_column(&self.text, mark.span.start).0);
                gutter = " ".repeat(lines.max().unwrap_or(1).to_string().len());
                let (line, column) = line_and_column(&self.text, span.start);
                write!(f, "\n{gutter}--> {path}:{line}:{column}\n{gutter} |")?;
                self.show_marks(&marks, gutter.len(), f)?;
                if problem.help.is_some() {
                    write!(f, "\n{gutter} |")?;
                }
            }
        }
        match &problem.help {
            Some(help) => write!(f, "\n{gutter} = help: {}", printable(help)),
            None => Ok(()),
        }
    }

    fn show_marks(
        &self,
        marks: &[Mark<'_>],
        width: usize,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let mut last = None;
        for mark in marks {
            let (number, column) = line_and_column(&self.text, mark.span.start);
            if last.is_some_and(|last| number > last + 1) {
                f.write_str("\n...")?;
            }
            let line = &self.text[line_of(&self.text, mark.span.start)];
            // A long line is shown from a little before the mistake on.
            let skipped = if column > LINE_CHARACTERS_MAX - 40 { column - 40 } else { 0 };
            let shown = line.chars().skip(skipped).take(LINE_CHARACTERS_MAX).collect::<String>();
            if last != Some(number) {
                write!(f, "\n{number:>width$} | {}", printable(&shown))?;
            }
            let room = shown.chars().count().saturating_sub(column - 1 - skipped).max(1);
            let marked = self.text[mark.span.clone()].chars().count().clamp(1, room);
            write!(
                f,
                "\n{:width$} | {:indent$}{}",
                "",
                "",
                mark.sign.repeat(marked),
                indent = column - 1 - skipped,
            )?;
            if !mark.label.is_empty() {
                write!(f, " {}", printable(mark.label))?;
            }
            last = Some(number);
        }
        Ok(())
    }
}

/// Bytes that are pointed at.
struct Mark<'a> {
    span: &'a Range<usize>,
    sign: &'static str,
    label: &'a str,
}

/// The first mistake without a heading, as an error's text; the others begin with `error:`.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\n\nerror: ")?;
            }
            self.show(problem, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// A text in which every character takes one place and none commands the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The line around a byte, without its end.
pub(super) fn line_of(text: &str, at: usize) -> Range<usize> {
    let at = boundary(text, at);
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find(['\n', '\r']).map_or(text.len(), |length| at + length);
    start..end.max(start)
}

/// Line and column of a byte, from 1, the column in characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let at = boundary(text, at);
    let start = line_of(text, at).start;
    let line = 1 + text[..at].bytes().filter(|byte| *byte == b'\n').count();
    (line, 1 + text[start..at].chars().count())
}

/// A span within its first line, of at least one character where there is one.
fn within_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = boundary(text, span.start);
    let line = line_of(text, start);
    let end = boundary(text, span.end).min(line.end);
    let first = text[start..line.end.max(start)].chars().next().map_or(0, char::len_utf8);
    start..end.max(start + first)
}

/// The last start of a character at or before a byte.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let text = "a\r\nüb = 1\n";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, 5), (2, 2));
        assert_eq!(line_and_column(text, 4), (2, 1), "inside a character");
        assert_eq!(line_and_column(text, 99), (3, 1));
        assert_eq!(line_of(text, 1), 0..1);
        assert_eq!(within_line(text, &(0..9)), 0..1);
        assert_eq!(within_line(text, &(3..3)), 3..5);
        assert_eq!(within_line("", &(0..7)), 0..0);
    }
}
