//! What is wrong with a file of settings, shown at its place as compilers do.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

/// Most mistakes that are shown; a file with more is most likely not a file of settings.
pub(super) const PROBLEMS_MAX: usize = 100;

/// The width in which long lines are cut around their mistake.
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

    /// The mistake at its place, as compilers show it.
    fn shown(&self, problem: &Problem) -> String {
        let path = self.path.display().to_string();
        let title = Level::ERROR.primary_title(&problem.message);
        let mut report = match &problem.span {
            Some(span) => {
                let reason = AnnotationKind::Primary.span(span.clone()).label(&problem.reason);
                let related = problem
                    .related
                    .as_ref()
                    .map(|(span, why)| AnnotationKind::Context.span(span.clone()).label(why));
                let snippet = Snippet::source(&self.text).path(&path).annotation(reason);
                title.element(snippet.annotations(related))
            }
            None => title.element(Origin::path(&path)),
        };
        if problem.span.is_none() && !problem.reason.is_empty() {
            report = report.element(Level::NOTE.message(&problem.reason));
        }
        report = report.elements(problem.help.as_ref().map(|help| Level::HELP.message(help)));
        // The renderer replaces the control characters of ASCII alone.
        let printable = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
        let shown = Renderer::plain().term_width(LINE_CHARACTERS_MAX).render(&[report]);
        shown.chars().map(printable).collect()
    }
}

/// The first mistake without a heading, as an error's text; the others begin with `error:`.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let shown = self.shown(problem);
            match number {
                0 => f.write_str(shown.trim_start_matches("error: "))?,
                _ => write!(f, "\n\n{shown}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

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
