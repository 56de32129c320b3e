//! The lines of a file: read with their numbers, each of a bounded length, and written folded.

use std::io::{self, BufRead};

use crate::text::Input;

/// The longest line that is kept, in bytes. A longer one is cut off, and marked as such.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The lines of a file.
pub(crate) struct Lines {
    reader: Input,
    number: u64,
    line: Vec<u8>,
}

/// A line, without its line end.
pub(crate) struct Line<'a> {
    /// The number of the line, from 1.
    pub(crate) number: u64,
    /// The bytes of the line.
    pub(crate) bytes: &'a [u8],
    /// Whether a line end follows.
    pub(crate) ended: bool,
    /// Whether the line was too long, and is cut off.
    pub(crate) cut: bool,
}

impl Lines {
    pub(crate) fn new(reader: Input) -> Self {
        Self { reader, number: 0, line: Vec::new() }
    }

    /// The number of the last line read.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let (mut any, mut ended, mut cut) = (false, false, false);
        while !ended {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                break;
            }
            any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            let room = LINE_BYTES_MAX - self.line.len();
            cut |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            ended = end.is_some();
            self.reader.consume(used);
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        let bytes = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        Ok(Some(Line { number: self.number, bytes, ended, cut }))
    }
}

/// Adds a line, folded between characters after at most 75 bytes; the next line begins with a blank
/// (RFC 2849 note 2, RFC 2426 §2.6).
pub(crate) fn push_folded(output: &mut String, line: &str, end: &str) {
    const BYTES: usize = 75;
    let mut rest = line;
    let mut room = BYTES;
    while rest.len() > room {
        let cut = rest.floor_char_boundary(room);
        output.push_str(&rest[..cut]);
        output.push_str(end);
        output.push(' ');
        rest = &rest[cut..];
        room = BYTES - 1;
    }
    output.push_str(rest);
    output.push_str(end);
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    #[test]
    fn lines_are_bounded_and_numbered() {
        let mut content = b"a\r\n\n".to_vec();
        content.resize(content.len() + LINE_BYTES_MAX + 7, b'x');
        content.extend_from_slice(b"\nlast");
        let reader = BufReader::new(Box::new(io::Cursor::new(content)) as Box<dyn Read + Send>);
        let mut lines = Lines::new(reader);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            seen.push((line.number, line.bytes.len(), line.ended, line.cut));
        }
        assert_eq!(
            seen,
            [
                (1, 1, true, false),
                (2, 0, true, false),
                (3, LINE_BYTES_MAX, true, true),
                (4, 4, false, false)
            ]
        );
    }

    #[test]
    fn folds_fall_between_characters() {
        for shift in 0..4 {
            let line = "x".repeat(shift) + &"漢".repeat(80);
            let mut folded = String::new();
            push_folded(&mut folded, &line, "\r\n");
            assert!(folded.split("\r\n").all(|line| line.len() <= 75));
            assert_eq!(folded.replace("\r\n ", ""), line + "\r\n");
        }
    }
}
