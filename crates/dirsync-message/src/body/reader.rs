//! The reader of bodies.

use std::io::{self, BufRead, Read};
use std::mem;
use std::ops::Range;

use dirsync_directory::{EntryId, IdDeriver, Key, PostofficeName, RecordRef, unescape};

use super::fault::{BodyError, BodyFault};
use super::line::{Shape, StampDelta, TransactionLine, decimal};
use super::{HEADER, LINE_BYTES_MAX, TRAILER, TRANSACTION_BYTES_MAX, TRANSACTIONS_MAX, USUAL_KIND};
use crate::text::excerpt;
use crate::{Change, NUMBER_MAX, Stamp, Transaction};

/// Reads a body as a stream of transactions, which borrow from the reader.
///
/// A body is refused as a *whole*. After an error nothing of it may be kept, and it is known to be whole
/// only when [`Self::next`] has returned `None`; so apply it inside one database transaction.
///
/// The content of a transaction never refuses a body, as long as the transaction has clear limits
/// and names its entry: one bad entry must not stop everybody else's. An unknown kind, a broken
/// address, unsorted details, or a release to something that is not a postoffice is handed on in
/// the texts of the transaction. [`Change::check`] reports it, and the caller keeps the entry
/// unpublished (`docs/protocol.md`, P2). In particular:
///
/// - an unknown code in capitals yields [`Change::Whole`] with the code as its kind;
/// - a line of an unknown type below a transaction becomes one of its details, together with its first
///   character, with which no attribute begins.
///
/// The reader needs memory for one transaction, at most [`TRANSACTION_BYTES_MAX`]. It uses its buffers
/// again, so reading allocates nothing once they are large enough, except for origins, releases and keys
/// that contain a backslash.
pub struct BodyReader<R> {
    lines: Lines<R>,
    /// The first line of the transaction.
    text: String,
    /// The detail lines of the transaction.
    details: String,
    /// The key of the transaction, if it had to be unescaped.
    key: String,
    origin: Option<Origin>,
    release: Option<Option<PostofficeName>>,
    /// The number of the last transaction.
    number: u64,
    /// The stamp of the last transaction.
    stamp: u64,
    count: u64,
    state: State,
}

/// The origin of the transactions that follow.
struct Origin {
    owner: PostofficeName,
    first: PostofficeName,
    ids: IdDeriver,
    /// Whether a transaction has followed.
    used: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Within,
    Ended,
    Refused,
}

/// A transaction whose texts are in the buffers of the reader.
struct Parsed {
    line: u64,
    id: EntryId,
    /// The range of the key in the first line. `None` if the key is in its own buffer.
    key: Option<Range<usize>>,
    shape: Shape,
}

impl<R: BufRead> BodyReader<R> {
    /// A reader at the first line of a body.
    pub fn new(input: R) -> Self {
        Self {
            lines: Lines { input, number: 0, skipped: 0 },
            text: String::new(),
            details: String::new(),
            key: String::new(),
            origin: None,
            release: None,
            number: 0,
            stamp: 0,
            count: 0,
            state: State::Start,
        }
    }

    /// A reader that has just read a transaction with this number and stamp, of this owner and first
    /// origin. The writer reads single transactions back with it.
    pub(super) fn continued(
        input: R,
        origin: Option<&(PostofficeName, PostofficeName)>,
        number: u64,
        stamp: Stamp,
    ) -> Self {
        let origin = origin.map(|(owner, first)| Origin {
            owner: owner.clone(),
            first: first.clone(),
            ids: IdDeriver::new(first),
            used: true,
        });
        Self { origin, number, stamp: stamp.0, state: State::Within, ..Self::new(input) }
    }

    /// The number of transactions that were read.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next transaction, or `None` if the body was read to its end and is whole.
    ///
    /// # Errors
    ///
    /// If the body is refused, and again at each later call.
    #[expect(clippy::should_implement_trait, reason = "it lends, which an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Transaction<'_>>, BodyError> {
        let parsed = match self.state {
            State::Ended => return Ok(None),
            State::Refused => return Err(self.lines.refuse(b"", 0, BodyFault::Refused)),
            State::Start | State::Within => self.advance(),
        };
        match parsed {
            Ok(Some(parsed)) => Ok(Some(self.transaction(parsed))),
            Ok(None) => {
                self.state = State::Ended;
                Ok(None)
            }
            Err(error) => {
                self.state = State::Refused;
                Err(error)
            }
        }
    }

    /// Reads up to the end of the next transaction, or of the body.
    fn advance(&mut self) -> Result<Option<Parsed>, BodyError> {
        if self.state == State::Start {
            self.read_text(BodyFault::Header)?;
            if self.text != HEADER {
                return Err(self.refuse(0, BodyFault::Header));
            }
            self.state = State::Within;
        }
        loop {
            let first = self.lines.peek()?;
            self.read_text(BodyFault::Truncated)?;
            match first {
                Some(b' ' | b'@' | b'0'..=b'9') => return self.parse().map(Some),
                Some(b'*') => self.parse_origin()?,
                Some(b'[') => return self.parse_trailer().map(|()| None),
                _ => return Err(self.refuse(0, BodyFault::Line)),
            }
        }
    }

    fn refuse(&self, at: usize, fault: BodyFault) -> BodyError {
        self.lines.refuse(self.text.as_bytes(), at, fault)
    }

    /// Reads one line into `text`. At the end of the body it fails with `missing`.
    fn read_text(&mut self, missing: BodyFault) -> Result<(), BodyError> {
        let mut bytes = mem::take(&mut self.text).into_bytes();
        bytes.clear();
        self.lines.read(&mut bytes, missing)?;
        self.text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            self.lines.refuse(error.as_bytes(), at, BodyFault::Utf8)
        })?;
        Ok(())
    }

    /// Reads an origin line. One that changes nothing, or follows another, is refused: a body has
    /// one text.
    fn parse_origin(&mut self) -> Result<(), BodyError> {
        let name = |text| unescape(text)?.parse::<PostofficeName>().ok();
        let (owner, first) = match self.text[1..].split_once('\t') {
            Some((owner, first)) => (name(owner), Some(name(first))),
            None => (name(&self.text[1..]), None),
        };
        let (Some(owner), first) = (owner, first) else {
            return Err(self.refuse(1, BodyFault::Origin));
        };
        let first = match first {
            None => owner.clone(),
            Some(Some(first)) if first != owner => first,
            Some(_) => return Err(self.refuse(1, BodyFault::Origin)),
        };
        let idle = self.origin.as_ref().is_some_and(|last| {
            !last.used
                || last.owner.as_str() == owner.as_str() && last.first.as_str() == first.as_str()
        });
        if idle {
            return Err(self.refuse(0, BodyFault::OriginIdle));
        }
        let ids = IdDeriver::new(&first);
        self.origin = Some(Origin { owner, first, ids, used: false });
        Ok(())
    }

    /// Reads the trailer, which proves that no transaction is missing, and checks that it is the
    /// last line.
    fn parse_trailer(&mut self) -> Result<(), BodyError> {
        let count = self.text.strip_prefix(TRAILER).and_then(|count| {
            let mut at = 0;
            decimal(count.as_bytes(), &mut at).filter(|_| at == count.len())
        });
        let count = count.ok_or_else(|| self.refuse(0, BodyFault::Trailer))?;
        if count != self.count {
            return Err(self.refuse(TRAILER.len(), BodyFault::Count { read: self.count }));
        }
        if self.origin.as_ref().is_some_and(|origin| !origin.used) {
            return Err(self.refuse(0, BodyFault::OriginIdle));
        }
        match self.lines.peek()? {
            None => Ok(()),
            Some(_) => Err(self.refuse(self.text.len(), BodyFault::AfterTrailer)),
        }
    }

    /// Parses the transaction whose first line was read, and reads its other lines.
    fn parse(&mut self) -> Result<Parsed, BodyError> {
        let line = self.lines.number;
        if self.count == TRANSACTIONS_MAX {
            return Err(self.refuse(0, BodyFault::Transactions));
        }
        let parsed =
            TransactionLine::parse(&self.text).map_err(|(at, fault)| self.refuse(at, fault))?;
        let number = self.next_number(parsed.number).map_err(|fault| self.refuse(0, fault))?;
        debug_assert!(number > self.number && number <= NUMBER_MAX, "numbers rise");
        self.number = number;
        self.stamp = match parsed.delta {
            None => self.stamp.checked_add(1),
            Some(StampDelta::Plus(amount)) => self.stamp.checked_add(amount),
            Some(StampDelta::Minus(amount)) => self.stamp.checked_sub(amount),
        }
        .filter(|stamp| *stamp <= NUMBER_MAX)
        .ok_or_else(|| self.refuse(0, BodyFault::StampRange))?;
        let (id, key) = match parsed.shape {
            Shape::Delete { id, .. } => (id, Some(parsed.key)),
            _ => self.derive(parsed.key)?,
        };
        self.read_details(&parsed.shape)?;
        self.count += 1;
        Ok(Parsed { line, id, key, shape: parsed.shape })
    }

    /// The number of a transaction that states this one, or none.
    fn next_number(&self, stated: Option<u64>) -> Result<u64, BodyFault> {
        let next = self.number + 1;
        match stated {
            None if next <= NUMBER_MAX => Ok(next),
            None => Err(BodyFault::Number),
            Some(number) if number == next || number > NUMBER_MAX => Err(BodyFault::Number),
            Some(number) if number > self.number => Ok(number),
            Some(_) => Err(BodyFault::NumberOrder { previous: self.number }),
        }
    }

    /// The id of the entry, and the range of its key, or `None` if the key is in its own buffer.
    fn derive(&mut self, key: Range<usize>) -> Result<(EntryId, Option<Range<usize>>), BodyError> {
        let Some(origin) = &mut self.origin else {
            return Err(self.refuse(0, BodyFault::NoOrigin));
        };
        origin.used = true;
        let escaped = &self.text[key.clone()];
        let unescaped = unescape(escaped).filter(|text| Key::is_key(text));
        let Some(unescaped) = unescaped else {
            return Err(self.refuse(key.start, BodyFault::Key));
        };
        let id = origin.ids.id(&unescaped);
        debug_assert_eq!(id, EntryId::derive(&origin.first, &unescaped));
        // An escape is longer than its character, so equal lengths mean that there was none.
        if unescaped.len() == escaped.len() {
            return Ok((id, Some(key)));
        }
        self.key.clear();
        self.key.push_str(&unescaped);
        Ok((id, None))
    }

    /// Reads the lines below a transaction: a release, and details.
    fn read_details(&mut self, shape: &Shape) -> Result<(), BodyError> {
        self.release = None;
        let mut details = mem::take(&mut self.details).into_bytes();
        details.clear();
        let head = self.text.len();
        let mut first_line = self.lines.number + 1;
        loop {
            let first = match self.lines.peek()? {
                // The lines that end a transaction, and those that are refused anywhere.
                None | Some(b' ' | b'@' | b'[' | b'*' | b'\n') => break,
                Some(byte) if byte.is_ascii_alphanumeric() => break,
                Some(byte) => byte,
            };
            if matches!(shape, Shape::Delete { .. }) {
                self.read_text(BodyFault::Truncated)?;
                return Err(self.refuse(0, BodyFault::DeletionLines));
            }
            let start = details.len();
            if first == b'-' {
                self.lines.skip();
            }
            self.lines.read(&mut details, BodyFault::Truncated)?;
            if first == b'>' && start == 0 && self.release.is_none() {
                self.release = release(&details, shape);
                if self.release.is_some() {
                    details.clear();
                    first_line += 1;
                    continue;
                }
            }
            details.push(b'\n');
            if head + details.len() > TRANSACTION_BYTES_MAX {
                return Err(self.refuse(0, BodyFault::TransactionLength));
            }
        }
        self.details =
            String::from_utf8(details).map_err(|error| invalid_details(first_line, error))?;
        debug_assert!(self.details.is_empty() || self.details.ends_with('\n'), "whole lines");
        Ok(())
    }

    /// The transaction, borrowed from the buffers.
    fn transaction(&self, parsed: Parsed) -> Transaction<'_> {
        let text = |range: Range<usize>| &self.text[range];
        let kind = |kind: Option<Range<usize>>| kind.map(text);
        let details = self.details.as_str();
        let deletes = matches!(parsed.shape, Shape::Delete { .. });
        let origin = self.origin.as_ref().filter(|_| !deletes);
        debug_assert!(origin.is_some() != deletes, "all but a deletion have an origin");
        debug_assert!(!deletes || details.is_empty() && self.release.is_none());
        let change = match parsed.shape {
            Shape::Whole { kind: word, name, addresses } => Change::Whole(RecordRef {
                kind: kind(word).unwrap_or(USUAL_KIND),
                name: text(name),
                addresses: text(addresses),
                details,
            }),
            Shape::Delta { kind: word, name, addresses } => Change::Delta {
                kind: kind(word),
                name: name.map(text),
                addresses: addresses.map(text),
                details,
            },
            Shape::Delete { approved, .. } => Change::Delete { approved },
        };
        Transaction {
            number: self.number,
            stamp: Stamp(self.stamp),
            id: parsed.id,
            owner: origin.map(|origin| &origin.owner),
            first_origin: origin.map(|origin| &origin.first),
            key: parsed.key.map_or(&self.key, text),
            released_to: self.release.as_ref().map(Option::as_ref),
            change,
            line: parsed.line,
        }
    }
}

/// Reads a release line. `None` if it is not a valid one, and so is kept among the details. `Some(None)`
/// takes a release back, which has a meaning only in an `M`.
fn release(line: &[u8], shape: &Shape) -> Option<Option<PostofficeName>> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix('>')?;
    if text.is_empty() {
        return matches!(shape, Shape::Delta { .. }).then_some(None);
    }
    unescape(text)?.parse().ok().map(Some)
}

/// The error for the first byte of the details that is not UTF-8. Columns count the `-` at the beginning
/// of each line, which the buffer does not contain.
fn invalid_details(first_line: u64, error: std::string::FromUtf8Error) -> BodyError {
    let at = error.utf8_error().valid_up_to();
    let (before, after) = error.as_bytes().split_at(at);
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |lf| lf + 1);
    debug_assert!(start <= at, "the line begins before its bad byte");
    let length = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
    BodyError::Refused {
        line: first_line + before.iter().filter(|byte| **byte == b'\n').count() as u64,
        column: at - start + 2,
        text: excerpt(&error.as_bytes()[start..at + length]),
        fault: BodyFault::Utf8,
    }
}

/// The lines of an input, with their numbers.
struct Lines<R> {
    input: R,
    /// The number of the last line read, from 1.
    number: u64,
    /// The number of bytes of the next line that were skipped.
    skipped: usize,
}

impl<R: BufRead> Lines<R> {
    /// The first byte of the next line, or `None` at the end.
    fn peek(&mut self) -> Result<Option<u8>, BodyError> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(BodyError::Read { line: self.number, source }),
            }
        }
    }

    /// Skips the first byte of the next line, which [`Self::peek`] has returned.
    fn skip(&mut self) {
        debug_assert_eq!(self.skipped, 0, "a line loses one byte at most");
        self.input.consume(1);
        self.skipped = 1;
    }

    /// Appends the next line without its LF, or fails with `missing` at the end of the input.
    ///
    /// One byte more than the limit is read, so a line without end is never held in memory.
    fn read(&mut self, into: &mut Vec<u8>, missing: BodyFault) -> Result<(), BodyError> {
        let start = into.len();
        let skipped = mem::take(&mut self.skipped);
        let limit = LINE_BYTES_MAX - skipped;
        let mut input = (&mut self.input).take(limit as u64 + 1);
        let read = input.read_until(b'\n', into);
        let read = read.map_err(|source| BodyError::Read { line: self.number, source })?;
        self.number += 1;
        let line = &into[start..];
        let (at, fault) = match line {
            [text @ .., b'\r', b'\n'] => (text.len(), BodyFault::CarriageReturn),
            [.., b'\n'] => {
                into.pop();
                debug_assert!(!into[start..].contains(&b'\n'), "one line is one line");
                return Ok(());
            }
            _ if read > limit => (limit, BodyFault::LineLength),
            [] if skipped == 0 => (0, missing),
            _ => (line.len(), BodyFault::Truncated),
        };
        Err(self.refuse(line, skipped + at, fault))
    }

    fn refuse(&self, line: &[u8], at: usize, fault: BodyFault) -> BodyError {
        BodyError::Refused { line: self.number, column: at + 1, text: excerpt(line), fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This takes the place of counting allocations, which needs unsafe code.
    #[test]
    fn buffers_are_used_again() {
        let transaction = " A CN=a\\\\,b\tName\tX:a\n-ou/x\n-title/y\n";
        let text = format!("{HEADER}\n*A/B\n{}{TRAILER}1000\n", transaction.repeat(1000));
        let mut reader = BodyReader::new(text.as_bytes());
        let mut first = None;
        while reader.next().unwrap().is_some() {
            let buffers = [&reader.text, &reader.details, &reader.key]
                .map(|text| (text.as_ptr(), text.capacity()));
            assert_eq!(*first.get_or_insert(buffers), buffers);
        }
        assert_eq!(reader.count(), 1000);
    }

    /// The count is set, because reading this many transactions would take minutes.
    #[test]
    fn transactions_are_limited() {
        let text = format!("{HEADER}\n*A/B\n A k\tN\tX:a\n");
        for (before, is_read) in [(TRANSACTIONS_MAX - 1, true), (TRANSACTIONS_MAX, false)] {
            let mut reader = BodyReader::new(text.as_bytes());
            reader.count = before;
            match reader.next() {
                Ok(read) => assert!(read.is_some() && is_read),
                Err(error) => assert!(error.to_string().contains("at most") && !is_read, "{error}"),
            }
        }
    }
}
