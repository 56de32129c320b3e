//! LDIF files as sources (RFC 2849): their records.

use std::io;
use std::path::{Path, PathBuf};

use crate::draft::Draft;
use crate::error::{OpenError, ReadError, listed};
use crate::ldif_entry::{Ignored, item_of};
use crate::ldif_line::{BadLine, Value, value_of};
use crate::ldif_mapped::Mapped;
use crate::lines::Lines;
use crate::map::{LeftOut, RowMade};
use crate::private::PrivateCounts;
use crate::row::{Item, rejected};
use crate::source::OpenOptions;
use crate::text::Input;

/// The longest record that is read, in bytes.
const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An LDIF file that is being read.
pub(crate) struct LdifSource {
    lines: Lines,
    path: PathBuf,
    record: Record,
    ignored: Ignored,
    draft: Draft,
    map: Option<Mapped>,
    ended: bool,
}

/// The lines of a record, unfolded and without comments.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    /// The position in `bytes` at which each line begins, and the number of the line.
    starts: Vec<(usize, u64)>,
    too_long: bool,
}

impl LdifSource {
    pub(crate) fn open(
        path: &Path,
        reader: Input,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        let map = options.map.as_ref().map(|map| Mapped::new(path, map, options));
        Ok(Self {
            lines: Lines::new(reader),
            path: path.to_owned(),
            record: Record::default(),
            ignored: Ignored::default(),
            draft: Draft::new(options.private()),
            map: map.transpose()?,
            ended: false,
        })
    }

    pub(crate) fn private(&self) -> &PrivateCounts {
        self.map.as_ref().map_or(&self.draft, |map| &map.draft).private()
    }

    /// The rows that the map left out so far.
    pub(crate) fn left_out(&self) -> Vec<LeftOut> {
        self.map.as_ref().map_or(Vec::new(), |map| map.evaluator.left_out())
    }

    /// The rows that were traced since the last call.
    pub(crate) fn take_trace(&mut self) -> Vec<RowMade> {
        self.map.as_mut().map_or(Vec::new(), |map| map.evaluator.take_trace())
    }

    pub(crate) fn next(&mut self) -> Option<Result<Item, ReadError>> {
        while !self.ended {
            if let Err(error) = self.read_record() {
                return Some(Err(error));
            }
            if self.record.starts.is_empty() && !self.record.too_long {
                continue;
            }
            if let Some(item) = self.item() {
                return Some(Ok(item));
            }
        }
        None
    }

    /// Adds notes on the values and records that were left out.
    pub(crate) fn summarize(&mut self, notes: &mut Vec<String>) {
        if let Some(map) = &self.map {
            map.summarize(notes);
        }
        let Ignored { attributes, binary, records, derived_keys, members } = &self.ignored;
        match derived_keys {
            0 => {}
            1 => notes.push(derived("1 record has")),
            many => notes.push(derived(&format!("{many} records have"))),
        }
        let mut note = |count: u64, one: &str, many: &str, rest: &str| match count {
            0 => {}
            1 => notes.push(format!("1 {one}{rest}")),
            _ => notes.push(format!("{count} {many}{rest}")),
        };
        let nobody = " left out: neither a person, contact, resource or list, nor an address";
        note(*records, "record", "records", nobody);
        note(*binary, "binary value", "binary values", " left out");
        note(*members, "member is", "members are", " known by the distinguished name only");
        if !attributes.is_empty() {
            notes.push(format!("attributes that are not used: {}", listed(attributes)));
        }
    }

    /// Reads the lines up to an empty one.
    fn read_record(&mut self) -> Result<(), ReadError> {
        let record = &mut self.record;
        record.bytes.clear();
        record.starts.clear();
        record.too_long = false;
        let mut in_comment = false;
        loop {
            let last = self.lines.number();
            let line = self.lines.next().map_err(|source| ReadError::Io {
                path: self.path.clone(),
                line: last,
                source,
            })?;
            let Some(line) = line else {
                self.ended = true;
                return Ok(());
            };
            // In RFC 2849 every line has an end. If it is missing, any amount may be missing after it.
            if !line.ended && !line.bytes.is_empty() {
                let (path, line) = (self.path.clone(), line.number);
                return Err(ReadError::CutOff { path, what: "a line", line });
            }
            record.too_long |= line.cut || record.bytes.len() + line.bytes.len() > RECORD_BYTES_MAX;
            match line.bytes {
                [] => return Ok(()),
                [b' ', ..] if in_comment => {}
                [b'#', ..] => in_comment = true,
                [first, ..] => {
                    in_comment = false;
                    if record.starts.is_empty() || *first != b' ' {
                        record.starts.push((record.bytes.len(), line.number));
                    }
                    let fold = usize::from(*first == b' ');
                    if !record.too_long {
                        record.bytes.extend_from_slice(&line.bytes[fold..]);
                    }
                }
            }
        }
    }

    fn item(&mut self) -> Option<Item> {
        let (first, text) = (self.record.first_line(), || self.record.text());
        if self.record.too_long {
            let reason = "the record is longer than 16 MiB, or one of its lines than 4 MiB";
            return Some(rejected(first, &text(), reason.into()));
        }
        let outcome = self.record.values().and_then(|mut values| match &mut self.map {
            _ if values.is_empty() => Ok(None),
            Some(map) => map.item(first, &mut values),
            None => item_of(first, &values, &mut self.draft, &mut self.ignored),
        });
        match outcome {
            Ok(item) => item.map(|item| match item {
                Item::Rejected(row) => rejected(row.line, &self.record.text(), row.reason),
                row => row,
            }),
            Err(bad) => Some(rejected(bad.line, &self.record.text(), bad.reason)),
        }
    }
}

/// The attributes of the first records of a file, in the order in which they occur.
pub(crate) fn attributes(reader: Input) -> io::Result<Vec<String>> {
    /// More records rarely have other attributes.
    const LINES_MAX: u64 = 100_000;
    const NAMES_MAX: usize = 200;
    let mut lines = Lines::new(reader);
    let mut names: Vec<String> = Vec::new();
    while let Some(line) = lines.next()? {
        if line.number > LINES_MAX || names.len() == NAMES_MAX {
            break;
        }
        if let Ok(value) = value_of(line.number, line.bytes)
            && !line.bytes.starts_with(b" ")
            && !line.bytes.starts_with(b"#")
            && !["version", "dn", "objectclass", "changetype"].contains(&value.attribute.as_str())
            && !names.contains(&value.attribute)
        {
            names.push(value.attribute);
        }
    }
    Ok(names)
}

/// The note on records without a key.
fn derived(records: &str) -> String {
    format!(
        "warning: {records} no entryUUID, objectGUID or employeeNumber; the mail address is the key, so an \
         entry whose address changes is another entry"
    )
}

impl Record {
    fn first_line(&self) -> u64 {
        self.starts.first().map_or(0, |(_, line)| *line)
    }

    fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let ends = self.starts.iter().skip(1).map(|(start, _)| *start).chain([self.bytes.len()]);
        self.starts
            .iter()
            .zip(ends)
            .map(|((start, number), end)| (*number, &self.bytes[*start..end]))
    }

    /// The beginning of the record for a message, without passwords.
    fn text(&self) -> String {
        let shown = self.lines().map(|(_, line)| match line.get(..12) {
            Some(name) if name.eq_ignore_ascii_case(b"userPassword") => "userPassword: …".into(),
            _ => String::from_utf8_lossy(line),
        });
        shown.take(8).collect::<Vec<_>>().join("\n")
    }

    /// The values of the record. A version line at the beginning is checked and skipped.
    fn values(&self) -> Result<Vec<Value>, BadLine> {
        let mut values = Vec::with_capacity(self.starts.len());
        for (line, bytes) in self.lines() {
            let bad = |reason| BadLine { line, reason };
            let value = value_of(line, bytes).map_err(bad)?;
            if values.is_empty() && value.attribute == "version" {
                if value.bytes != b"1" {
                    return Err(bad("only LDIF version 1 is known".into()));
                }
                continue;
            }
            let is_change =
                value.is("changetype") && !value.bytes.trim_ascii().eq_ignore_ascii_case(b"add");
            values.push(value);
            if is_change {
                // The lines after it describe a change, not an entry. The error names the kind of change.
                break;
            }
        }
        Ok(values)
    }
}
