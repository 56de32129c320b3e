//! CSV files as sources.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};
use encoding_rs::{Encoding, WINDOWS_1252};

use crate::csv_columns::{CsvColumns, Reading};
use crate::draft::Draft;
use crate::error::{OpenError, ReadError, listed};
use crate::map::{Columns as _, Evaluator, LeftOut, Map, NamedMap, Plan, RowMade, Subject};
use crate::private::{Private, PrivateCounts};
use crate::recognised::map_of;
use crate::row::{self, Item, rejected};
use crate::source::OpenOptions;
use crate::text::{ENCODING_ADVICE, Input};

/// The longest row that is read, in bytes. A quote that is not closed makes the rest of the file
/// one row.
const ROW_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A mark after the last byte of the file, which cannot occur in UTF-8.
///
/// The CSV parser accepts a file that ends inside a quoted field. If the mark is a row of its own,
/// the file did not; otherwise it was cut off.
const END: &[u8] = b"\xff\xfeend\xff";

/// A CSV file that is being read.
pub(crate) struct CsvSource {
    reader: Reader<Guard>,
    /// The number of bytes that the present row may still have; shared with the [`Guard`].
    budget: Arc<AtomicUsize>,
    path: PathBuf,
    reading: Reading,
    /// The built-in map by which the file is read because it fits.
    known: Option<&'static str>,
    width: usize,
    /// The number of lines before the header.
    skipped: u64,
    carriage_returns: bool,
    row: StringRecord,
    draft: Draft,
    subject: Subject,
}

impl CsvSource {
    pub(crate) fn open(
        path: &Path,
        mut input: Input,
        options: &OpenOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let (separator, skipped) = lines_before_header(&mut input).map_err(io)?;
        let header_line = first_line(&mut input).map_err(io)?;
        let delimiter = separator.unwrap_or_else(|| delimiter_of(&header_line));
        let budget = Arc::new(AtomicUsize::new(ROW_BYTES_MAX));
        let mut reader = reader_of(input, delimiter, budget.clone());
        let headers = read_headers(&mut reader, path)?;
        notes.push(format!("delimiter: {}", delimiter_name(delimiter)));
        let mut known = None;
        let reading = match (&options.map, Reading::of_own(&headers)) {
            (None, Some(own)) => own,
            (Some(map), _) => mapped(path, &headers, map, options)?,
            (None, None) => {
                let found = fitting(&headers, options);
                known = found.map(|found| found.name);
                recognised(path, &headers, found, options, notes)?
            }
        };
        let draft = Draft::new(match reading {
            Reading::Own { .. } => Private::Keep,
            Reading::Mapped { .. } => options.private(),
        });
        Ok(Self {
            reader,
            budget,
            path: path.to_owned(),
            reading,
            known,
            width: headers.len(),
            skipped,
            carriage_returns: header_line.ends_with(b"\r"),
            row: StringRecord::new(),
            draft,
            subject: Subject::default(),
        })
    }

    pub(crate) fn next(&mut self) -> Option<Result<Item, ReadError>> {
        loop {
            self.budget.store(ROW_BYTES_MAX, Ordering::Relaxed);
            let mut bytes = std::mem::take(&mut self.row).into_byte_record();
            let before = self.line_after();
            match self.reader.read_byte_record(&mut bytes) {
                Ok(true) if bytes.as_slice() == END => return None,
                Ok(true) if bytes.as_slice().ends_with(END) => {
                    let path = self.path.clone();
                    let what = "a quoted field";
                    return Some(Err(ReadError::CutOff { path, what, line: before }));
                }
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    let (path, source) = (self.path.clone(), error.into());
                    return Some(Err(ReadError::Io { path, line: before, source }));
                }
            }
            let line = self.line_of(&bytes);
            match StringRecord::from_byte_record(bytes) {
                Ok(row) => {
                    self.row = row;
                    if let Some(column) = self.reading.unexported(&self.row) {
                        let (path, column) = (self.path.clone(), column.to_owned());
                        return Some(Err(ReadError::TypeNames { path, line, column }));
                    }
                    if self.row.iter().any(|field| !field.trim().is_empty())
                        && let Some(item) = self.item(line)
                    {
                        return Some(Ok(item));
                    }
                }
                Err(error) => {
                    let column = error.utf8_error().field() + 1;
                    let reason = format!("column {column} is not UTF-8; {ENCODING_ADVICE}");
                    let bytes = error.into_byte_record();
                    let text = text_of(bytes.iter().map(String::from_utf8_lossy));
                    return Some(Ok(rejected(line, &text, reason)));
                }
            }
        }
    }

    /// The line at which the next row begins, unless empty lines come before it.
    fn line_after(&self) -> u64 {
        self.skipped + self.reader.position().line() + u64::from(self.carriage_returns)
    }

    /// The line at which the row that was just read begins.
    ///
    /// The reader counts line feeds, but stops after a carriage return before it sees the line feed.
    /// Lines that end with a carriage return alone are not counted, so in such a file the result is a
    /// lower bound.
    fn line_of(&self, row: &ByteRecord) -> u64 {
        let breaks = row.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        self.line_after().saturating_sub(breaks + 1).max(1)
    }

    /// The item of the row that was just read, or `None` if the map leaves it out.
    fn item(&mut self, line: u64) -> Option<Item> {
        let surplus = self.row.iter().skip(self.width).any(|field| !field.trim().is_empty());
        if surplus || self.row.len() < self.width {
            let reason = format!(
                "the row has {} fields and the header has {}; a value with a delimiter or a line \
                 break needs quotes",
                self.row.len(),
                self.width
            );
            return Some(self.refused(line, reason));
        }
        match self.reading.fill(line, &self.row, &mut self.draft, &mut self.subject) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(reason) => return Some(self.refused(line, reason)),
        }
        let address_has_key = self.evaluator().is_some_and(|map| map.plan().address_has_key);
        let draft = &mut self.draft;
        let row = row::mapped(line, &self.subject, draft, address_has_key, "the row has no key");
        Some(row.unwrap_or_else(|reason| self.refused(line, reason)))
    }

    fn refused(&self, line: u64, reason: String) -> Item {
        rejected(line, &text_of(self.row.iter().map(Into::into)), reason)
    }

    /// The built-in map by which the file is read because it fits.
    pub(crate) fn known(&self) -> Option<&'static str> {
        self.known
    }

    fn evaluator(&self) -> Option<&Evaluator> {
        match &self.reading {
            Reading::Own { .. } => None,
            Reading::Mapped { evaluator, .. } => Some(evaluator),
        }
    }

    pub(crate) fn private(&self) -> &PrivateCounts {
        self.draft.private()
    }

    /// Adds notes on the rows as a whole.
    pub(crate) fn summarize(&self, notes: &mut Vec<String>) {
        if let Some(evaluator) = self.evaluator() {
            evaluator.summarize(notes);
        }
    }

    /// The rows that the map left out so far.
    pub(crate) fn left_out(&self) -> Vec<LeftOut> {
        self.evaluator().map_or(Vec::new(), Evaluator::left_out)
    }

    /// The rows that were traced since the last call.
    pub(crate) fn take_trace(&mut self) -> Vec<RowMade> {
        match &mut self.reading {
            Reading::Own { .. } => Vec::new(),
            Reading::Mapped { evaluator, .. } => evaluator.take_trace(),
        }
    }
}

/// Reads by a map.
fn mapped(
    path: &Path,
    headers: &StringRecord,
    map: &Map,
    options: &OpenOptions,
) -> Result<Reading, OpenError> {
    let mut columns = CsvColumns::new(headers);
    let plan = Plan::new(path, map, &mut columns)?;
    let evaluator = Box::new(Evaluator::new(plan, options.traced));
    Ok(Reading::Mapped { evaluator, columns })
}

/// The built-in map that fits a file.
pub(crate) fn fitting(headers: &StringRecord, options: &OpenOptions) -> Option<&'static NamedMap> {
    let columns = CsvColumns::new(headers);
    options.known.iter().find(|known| known.map.fits(&columns))
}

/// The encoding that files of this kind have if they are not UTF-8, by the map that is used for them.
pub(crate) fn usual_encoding(start: &[u8], options: &OpenOptions) -> Option<&'static Encoding> {
    let map = match &options.map {
        Some(map) => map,
        None => {
            let text = match std::str::from_utf8(start) {
                Err(error) if error.error_len().is_some() => {
                    WINDOWS_1252.decode_without_bom_handling(start).0.into_owned().into_bytes()
                }
                _ => start.to_vec(),
            };
            let mut input = BufReader::new(Box::new(io::Cursor::new(text)) as Box<dyn Read + Send>);
            let (separator, _) = lines_before_header(&mut input).ok()?;
            let header_line = first_line(&mut input).ok()?;
            let delimiter = separator.unwrap_or_else(|| delimiter_of(&header_line));
            let mut reader = reader_of(input, delimiter, Arc::new(AtomicUsize::new(ROW_BYTES_MAX)));
            let headers = read_headers(&mut reader, Path::new("")).ok()?;
            &fitting(&headers, options)?.map
        }
    };
    Encoding::for_label(map.encoding.as_ref()?.as_bytes())
}

/// Reads a file without a map, by one that fits it, or else by the names of its columns.
fn recognised(
    path: &Path,
    headers: &StringRecord,
    known: Option<&NamedMap>,
    options: &OpenOptions,
    notes: &mut Vec<String>,
) -> Result<Reading, OpenError> {
    if let Some(known) = known {
        notes.push(format!("read by the map {}: {}", known.name, known.map.title));
        let reading = mapped(path, headers, &known.map, options)?;
        note_columns(&reading, &known.map, notes);
        return Ok(reading);
    }
    let names: Vec<&str> = headers.iter().collect();
    let map = map_of(&names);
    if map.address.is_empty() {
        let columns = names.iter().map(|name| name.trim()).collect::<Vec<_>>().join(", ");
        let path = path.to_owned();
        return Err(OpenError::NoSubject { path, what: "an address", columns });
    }
    let reading = mapped(path, headers, &map, options)?;
    note_columns(&reading, &map, notes);
    Ok(reading)
}

/// Says which column is the key, and which are not used.
fn note_columns(reading: &Reading, map: &Map, notes: &mut Vec<String>) {
    let Reading::Mapped { evaluator, columns } = reading else { return };
    let names = columns.names();
    let is_there = |name: &&str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let key = map.key.iter().flat_map(|rule| rule.value.columns()).find(is_there);
    notes.push(if evaluator.plan().key_is_mail {
        "warning: no column is a key; the mail address is used, so an entry whose address changes \
         is another entry"
            .into()
    } else {
        format!("the key is the column \"{}\"", key.unwrap_or_default())
    });
    let unused: BTreeSet<String> = columns.unused().map(str::to_owned).collect();
    if !unused.is_empty() {
        // A program's own export has columns that nobody misses.
        let weight = if map.title.is_empty() { "warning: " } else { "" };
        notes.push(format!("{weight}columns that are not used: {}", listed(&unused)));
    }
}

fn text_of<'a>(fields: impl Iterator<Item = std::borrow::Cow<'a, str>>) -> String {
    fields.collect::<Vec<_>>().join(",")
}

/// The parser of a file after the lines before its header.
fn reader_of(input: Input, delimiter: u8, budget: Arc<AtomicUsize>) -> Reader<Guard> {
    let guard = Guard { input, budget, end: io::Cursor::new(end_record()) };
    ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(false)
        .buffer_capacity(128 * 1024)
        .from_reader(guard)
}

/// The header of a file.
pub(crate) fn headers(path: &Path, mut input: Input) -> Result<StringRecord, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let (separator, _) = lines_before_header(&mut input).map_err(io)?;
    let header_line = first_line(&mut input).map_err(io)?;
    let delimiter = separator.unwrap_or_else(|| delimiter_of(&header_line));
    let budget = Arc::new(AtomicUsize::new(ROW_BYTES_MAX));
    read_headers(&mut reader_of(input, delimiter, budget), path)
}

fn read_headers(reader: &mut Reader<Guard>, path: &Path) -> Result<StringRecord, OpenError> {
    let mut bytes = ByteRecord::new();
    let any = reader
        .read_byte_record(&mut bytes)
        .map_err(|error| OpenError::Io { path: path.to_owned(), source: error.into() })?;
    if bytes.as_slice().ends_with(END) && bytes.as_slice() != END {
        return Err(OpenError::HeaderCutOff { path: path.to_owned() });
    }
    if !any || bytes.as_slice() == END || bytes.iter().all(|field| field.trim_ascii().is_empty()) {
        return Err(OpenError::Empty { path: path.to_owned() });
    }
    let zero = bytes.iter().position(|field| field.contains(&0));
    match StringRecord::from_byte_record(bytes) {
        Ok(headers) if zero.is_none() => Ok(headers),
        Ok(_) => {
            let column = zero.unwrap_or_default() + 1;
            Err(OpenError::Header { path: path.to_owned(), column, advice: "utf-16le" })
        }
        Err(error) => {
            let column = error.utf8_error().field() + 1;
            Err(OpenError::Header { path: path.to_owned(), column, advice: "windows-1252" })
        }
    }
}

/// Reads the lines before the header: `sep=;`, which Excel understands, and `#TYPE …`, which Export-Csv
/// of Windows PowerShell writes. Returns the separator and the number of lines.
pub(crate) fn lines_before_header(input: &mut Input) -> io::Result<(Option<u8>, u64)> {
    let start = input.fill_buf()?;
    let (separator, length) = match start {
        [b's', b'e', b'p', b'=', separator, b'\n', ..] => (Some(*separator), 6),
        [b's', b'e', b'p', b'=', separator, b'\r', b'\n', ..] => (Some(*separator), 7),
        [b'#', b'T', b'Y', b'P', b'E', b' ', ..] => {
            match start.iter().position(|byte| *byte == b'\n') {
                Some(end) => (None, end + 1),
                None => return Ok((None, 0)),
            }
        }
        _ => return Ok((None, 0)),
    };
    input.consume(length);
    Ok((separator, 1))
}

/// The first line of the file, or as much of it as is in the buffer.
pub(crate) fn first_line(input: &mut Input) -> io::Result<Vec<u8>> {
    let start = input.fill_buf()?;
    Ok(start.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec())
}

/// The delimiter: the one of comma, semicolon, tab and pipe that occurs most often in the header outside
/// quotes.
pub(crate) fn delimiter_of(header_line: &[u8]) -> u8 {
    let outside = |delimiter: u8| {
        let mut quoted = false;
        let mut count = 0;
        for byte in header_line {
            quoted ^= *byte == b'"';
            count += usize::from(*byte == delimiter && !quoted);
        }
        count
    };
    [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|delimiter| outside(*delimiter))
        .unwrap_or(b',')
}

fn delimiter_name(delimiter: u8) -> &'static str {
    match delimiter {
        b'|' => "pipe",
        b'\t' => "tab",
        b';' => "semicolon",
        b',' => "comma",
        _ => "as the \"sep=\" line says",
    }
}

fn end_record() -> Vec<u8> {
    // There is no line end after the mark: inside quotes it would belong to the field.
    [b"\n", END].concat()
}

/// The bytes of the file, followed by [`END`]. Fails if the present row has used up its budget.
struct Guard {
    input: Input,
    budget: Arc<AtomicUsize>,
    end: io::Cursor<Vec<u8>>,
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.load(Ordering::Relaxed) == 0 {
            return Err(io::Error::other(
                "the next row is longer than 16 MiB; a quote is probably not closed",
            ));
        }
        let count = match self.input.read(buffer)? {
            0 => self.end.read(buffer)?,
            count => count,
        };
        let left = self.budget.load(Ordering::Relaxed).saturating_sub(count);
        self.budget.store(left, Ordering::Relaxed);
        Ok(count)
    }
}
