//! The writer of bodies.

use std::io::{self, Write};

use dirsync_directory::{Key, PostofficeName, escape};

use super::reader::BodyReader;
use super::{HEADER, LINE_BYTES_MAX, TRAILER, TRANSACTION_BYTES_MAX, TRANSACTIONS_MAX, USUAL_KIND};
use crate::head::READ_BACK;
use crate::{Change, NUMBER_MAX, Stamp, Transaction};

/// Writes a body, with one call of the output for each transaction. The output should be buffered.
///
/// Nothing is written that [`super::BodyReader`] refuses. A transaction without such a form is an
/// error of kind [`io::ErrorKind::InvalidInput`], and leaves the body as it was. Content that
/// [`Change::check`] refuses can be written, as long as it is escaped.
///
/// [`Self::finish`] writes the trailer. Without it, the text is not a body.
pub struct BodyWriter<W> {
    output: W,
    /// The lines that were not written yet: those of the present transaction, and the header before the
    /// first one.
    buffer: Vec<u8>,
    /// Owner and first origin of the transactions that follow.
    origin: Option<(PostofficeName, PostofficeName)>,
    /// The number of the last transaction.
    number: u64,
    /// The stamp of the last transaction.
    stamp: Stamp,
    count: u64,
}

impl<W: Write> BodyWriter<W> {
    /// A body without transactions. Nothing is written yet.
    pub fn new(output: W) -> Self {
        let buffer = format!("{HEADER}\n").into_bytes();
        Self { output, buffer, origin: None, number: 0, stamp: Stamp(0), count: 0 }
    }

    /// Adds a transaction. Its line is ignored, and so is its id, except in a deletion: an entry is
    /// named by its first origin and key.
    ///
    /// # Errors
    ///
    /// If the output cannot be written, or the transaction has no form in a body, such as an entry
    /// without an owner, or a delta with an empty name.
    pub fn write(&mut self, transaction: &Transaction<'_>) -> io::Result<()> {
        let start = self.buffer.len();
        let (number, stamp) = (transaction.number, transaction.stamp);
        if let Change::Delete { approved } = transaction.change {
            self.put_deletion(transaction, approved);
            return self.commit(start, number, stamp, true);
        }
        let Some((owner, first_origin)) = transaction.owner.zip(transaction.first_origin) else {
            return self.commit(start, number, stamp, false);
        };
        self.put_origin(owner, first_origin);
        let sound = self.put_entry(transaction);
        self.commit(start, number, stamp, sound)?;
        self.keep_origin(owner, first_origin);
        Ok(())
    }

    /// The number of transactions so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The output to which the body is written.
    pub fn output(&self) -> &W {
        &self.output
    }

    /// Writes the trailer and returns the output, which the caller has to flush.
    ///
    /// # Errors
    ///
    /// If the output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        debug_assert!(self.count == 0 || self.buffer.is_empty(), "all transactions are written");
        let trailer = format!("{TRAILER}{}\n", self.count);
        self.put(&trailer);
        self.output.write_all(&self.buffer)?;
        Ok(self.output)
    }

    fn put(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// Puts an origin line, unless the last one already states this origin.
    fn put_origin(&mut self, owner: &PostofficeName, first_origin: &PostofficeName) {
        if self.origin_stands(owner, first_origin) {
            return;
        }
        self.put("*");
        self.put(&escape(owner.as_str()));
        if owner != first_origin {
            self.put("\t");
            self.put(&escape(first_origin.as_str()));
        }
        self.put("\n");
    }

    /// Whether the last origin line states this origin. Names are compared with their case, so that each
    /// owner keeps its spelling.
    fn origin_stands(&self, owner: &PostofficeName, first_origin: &PostofficeName) -> bool {
        self.origin.as_ref().is_some_and(|(last_owner, last_first)| {
            last_owner.as_str() == owner.as_str()
                && last_first.as_str() == other_than(owner, first_origin).as_str()
        })
    }

    fn keep_origin(&mut self, owner: &PostofficeName, first_origin: &PostofficeName) {
        if !self.origin_stands(owner, first_origin) {
            self.origin = Some((owner.clone(), other_than(owner, first_origin).clone()));
        }
        debug_assert!(self.origin_stands(owner, first_origin), "the next entry needs no line");
    }

    fn put_deletion(&mut self, transaction: &Transaction<'_>, approved: bool) {
        self.put_numbers(transaction.number, transaction.stamp);
        self.put(if approved { "D.approved " } else { "D " });
        for byte in transaction.id.as_bytes() {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            self.buffer.push(DIGITS[usize::from(byte >> 4)]);
            self.buffer.push(DIGITS[usize::from(byte & 15)]);
        }
        self.put("\n");
    }

    /// Puts the lines of an `A` or `M`. Returns whether they have a form in a body.
    fn put_entry(&mut self, transaction: &Transaction<'_>) -> bool {
        let key = transaction.key;
        let (code, kind, name, addresses, details, release) = match transaction.change {
            Change::Whole(record) => (
                "A",
                Some(record.kind).filter(|kind| *kind != USUAL_KIND),
                Some(record.name),
                Some(record.addresses).filter(|addresses| !addresses.is_empty()),
                record.details,
                // A whole entry without a release line is not released, so `Some(None)` needs no line.
                transaction.released_to.flatten().map(Some),
            ),
            Change::Delta { kind, name, addresses, details } => {
                ("M", kind, name, addresses, details, transaction.released_to)
            }
            Change::Delete { .. } => return false,
        };
        let line = self.buffer.len();
        self.put_numbers(transaction.number, transaction.stamp);
        self.put_subject(code, kind, key);
        if name.is_some() || addresses.is_some() {
            self.put("\t");
            self.put(name.unwrap_or_default());
        }
        if let Some(addresses) = addresses {
            self.put("\t");
            self.put(addresses);
        }
        let mut sound = self.end_line(line) && Key::is_key(key) && kind.is_none_or(is_kind);
        // In an `M` an empty name means that the name did not change.
        sound &= name.is_none_or(|name| !name.contains('\t') && (code == "A" || !name.is_empty()));
        sound &= addresses.is_none_or(are_addresses);
        self.put_release(release);
        sound & self.put_details(details)
    }

    /// Puts number and stamp, as far as they do not follow from those of the last transaction.
    fn put_numbers(&mut self, number: u64, stamp: Stamp) {
        if self.number + 1 != number {
            self.put_decimal(number);
        }
        if stamp.0.wrapping_sub(self.stamp.0) != 1 || stamp.0 == 0 {
            let sign = if stamp >= self.stamp { "@+" } else { "@-" };
            self.put(sign);
            self.put_decimal(stamp.0.abs_diff(self.stamp.0));
        }
        self.put(" ");
    }

    fn put_decimal(&mut self, number: u64) {
        // Writing to memory cannot fail.
        _ = write!(self.buffer, "{number}");
    }

    fn put_subject(&mut self, code: &str, kind: Option<&str>, key: &str) {
        self.put(code);
        if let Some(kind) = kind {
            self.put(".");
            self.put(kind);
        }
        self.put(" ");
        self.put(&escape(key));
    }

    fn put_release(&mut self, released_to: Option<Option<&PostofficeName>>) {
        if let Some(release) = released_to {
            self.put(">");
            self.put(&escape(release.map_or("", PostofficeName::as_str)));
            self.put("\n");
        }
    }

    /// Ends the line that began at `start`. Returns whether it can be read as one line.
    fn end_line(&mut self, start: usize) -> bool {
        let line = &self.buffer[start..];
        let sound =
            line.len() <= LINE_BYTES_MAX && !line.contains(&b'\n') && !line.ends_with(b"\r");
        self.put("\n");
        sound
    }

    /// Puts the detail lines. Returns whether they have a form in a body.
    fn put_details(&mut self, details: &str) -> bool {
        for line in details.split_inclusive('\n') {
            self.put("-");
            self.put(line);
            if line.len() > LINE_BYTES_MAX || line.ends_with("\r\n") {
                return false;
            }
        }
        details.is_empty() || details.ends_with('\n')
    }

    /// Asserts that the assembled transaction is read as it was written.
    ///
    /// A body is made from committed state. One that its receiver refuses would be made again and
    /// sent again for ever, so it is better to stop.
    fn read_back(&self, start: usize, number: u64, stamp: Stamp) {
        let mut text = self.buffer[start..].to_vec();
        text.extend_from_slice(format!("{TRAILER}1\n").as_bytes());
        let origin = self.origin.as_ref();
        let mut reader = BodyReader::continued(&*text, origin, self.number, self.stamp);
        let read = reader.next().map(|read| read.map(|read| (read.number, read.stamp)));
        let same = read.as_ref().is_ok_and(|read| *read == Some((number, stamp)));
        assert!(same, "transaction {number} is read as {read:?}");
        assert!(matches!(reader.next(), Ok(None)), "more is read than was written");
    }

    /// Writes the assembled transaction to the output, or removes it if it has no form in a body.
    fn commit(&mut self, start: usize, number: u64, stamp: Stamp, sound: bool) -> io::Result<()> {
        let length = self.buffer.len() - start;
        let sound = sound
            && self.count < TRANSACTIONS_MAX
            && number > self.number
            && number.max(stamp.0) <= NUMBER_MAX;
        if !sound || length > TRANSACTION_BYTES_MAX {
            self.buffer.truncate(start);
            let error = format!("transaction {number} has no form in a message body");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        if READ_BACK {
            self.read_back(start, number, stamp);
        }
        self.output.write_all(&self.buffer)?;
        self.buffer.clear();
        debug_assert!(number > self.number && length <= TRANSACTION_BYTES_MAX);
        self.number = number;
        self.stamp = stamp;
        self.count += 1;
        Ok(())
    }
}

/// The first origin as the body states it, which is the owner if both are the same postoffice.
fn other_than<'a>(
    owner: &'a PostofficeName,
    first_origin: &'a PostofficeName,
) -> &'a PostofficeName {
    if owner == first_origin { owner } else { first_origin }
}

fn are_addresses(text: &str) -> bool {
    !text.split('\t').any(str::is_empty)
}

fn is_kind(kind: &str) -> bool {
    !kind.contains([' ', '\t'])
}
