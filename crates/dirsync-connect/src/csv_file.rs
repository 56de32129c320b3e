//! CSV as a source.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};
use dirsync_directory::{AttributeName, PostofficeName, Record, escape, unescape};

use crate::headers::{Meaning, meaning};
use crate::map::{Compiled, Map};
use crate::source::{Item, OpenError, ReadError, RejectedRow, SourceRow, did_you_mean, shortened};
use crate::text::Text;

/// A spreadsheet that shows such a value would run it; see [`crate::Target`].
pub(crate) const NEUTRAL: char = '\'';

/// Which columns make an entry.
struct Plan {
    origin: Option<usize>,
    key: Vec<Compiled>,
    kind: Option<Compiled>,
    name: Compiled,
    addresses: Vec<Compiled>,
    aliases: Option<usize>,
    details: Vec<(String, Compiled)>,
    /// Columns of our own export hold several values, one a line.
    lines_are_values: bool,
}

/// A CSV file that is being read.
pub(crate) struct CsvSource {
    reader: Reader<BufReader<Box<dyn Read>>>,
    path: PathBuf,
    plan: Plan,
    bytes: ByteRecord,
    value: String,
    lines: Vec<(usize, String)>,
    ended: bool,
}

impl CsvSource {
    pub(crate) fn open(
        path: &Path,
        text: Text,
        map: Option<&Map>,
        notes: &mut Vec<String>,
    ) -> Result<Self, OpenError> {
        let mut input = text.into_reader();
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let start = input.fill_buf().map_err(io)?;
        let header_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let count = |delimiter: u8| header_line.iter().filter(|byte| **byte == delimiter).count();
        let delimiter =
            [b',', b';', b'\t'].into_iter().max_by_key(|d| (count(*d), *d == b',')).unwrap_or(b',');
        let mut reader =
            ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(input);
        let headers = match reader.headers() {
            Ok(headers) if headers.iter().all(|header| header.trim().is_empty()) => {
                return Err(OpenError::Empty { path: path.to_owned() });
            }
            Ok(headers) => headers.clone(),
            Err(error) => return Err(io(error.into())),
        };
        let plan = match map {
            Some(map) => plan_of_map(path, &headers, map)?,
            None => plan_of_headers(path, &headers, notes)?,
        };
        Ok(Self {
            reader,
            path: path.to_owned(),
            plan,
            bytes: ByteRecord::new(),
            value: String::new(),
            lines: Vec::new(),
            ended: false,
        })
    }

    pub(crate) fn next(&mut self) -> Option<Result<Item, ReadError>> {
        if self.ended {
            return None;
        }
        match self.reader.read_byte_record(&mut self.bytes) {
            Ok(true) => {}
            Ok(false) => {
                self.ended = true;
                return None;
            }
            Err(error) => {
                self.ended = true;
                let line = self.reader.position().line();
                let source = error.into();
                return Some(Err(ReadError::Io { path: self.path.clone(), line, source }));
            }
        }
        let line = self.bytes.position().map_or(0, csv::Position::line);
        let row = match StringRecord::from_byte_record(std::mem::take(&mut self.bytes)) {
            Ok(row) => row,
            Err(error) => {
                let column = error.utf8_error().field() + 1;
                self.bytes = error.into_byte_record();
                let text = String::from_utf8_lossy(self.bytes.as_slice()).into_owned();
                return Some(Ok(rejected(
                    line,
                    &text,
                    format!("column {column} is not UTF-8; name the file's encoding"),
                    false,
                )));
            }
        };
        if row.iter().all(|field| field.trim().is_empty()) {
            self.bytes = row.into_byte_record();
            return self.next();
        }
        let item = self.row(line, &row);
        self.bytes = row.into_byte_record();
        Some(Ok(item))
    }

    fn row(&mut self, line: u64, row: &StringRecord) -> Item {
        let text = || row.iter().collect::<Vec<_>>().join(",");
        let origin = match self.plan.origin.and_then(|at| row.get(at)).filter(|o| !o.is_empty()) {
            Some(origin) => match origin.parse::<PostofficeName>() {
                Ok(origin) => Some(origin),
                Err(error) => return rejected(line, &text(), error.to_string(), false),
            },
            None => None,
        };
        let mut key = String::new();
        for template in &self.plan.key {
            let (any, every) = template.fill(row, &mut self.value);
            if any && every {
                key.push_str(plain(&self.value));
                break;
            }
        }
        if key.is_empty() {
            return rejected(line, &text(), "the row has no key".into(), true);
        }
        if let Err(error) = key.parse::<dirsync_directory::Key>() {
            return rejected(line, &text(), error.to_string(), false);
        }
        let mut record = Record { kind: "mailbox".into(), ..Record::default() };
        if let Some(kind) = &self.plan.kind {
            kind.fill(row, &mut self.value);
            if !self.value.is_empty() {
                record.kind = self.value.to_lowercase();
            }
        }
        self.plan.name.fill(row, &mut self.value);
        record.name = escape(plain(&self.value)).into_owned();
        for template in &self.plan.addresses {
            if template.fill(row, &mut self.value).1 {
                push_address(&mut record.addresses, plain(&self.value));
            }
        }
        if let Some(aliases) = self.plan.aliases.and_then(|at| row.get(at)) {
            for alias in aliases.lines().map(str::trim).filter(|alias| !alias.is_empty()) {
                let alias = plain(alias);
                let own = if self.plan.lines_are_values { unescape(alias) } else { None };
                push_address(&mut record.addresses, &own.unwrap_or(alias.into()));
            }
        }
        self.fill_details(row, &mut record);
        Item::Row(SourceRow { origin, key, record, line })
    }

    /// Details are gathered as lines and sorted, as the record's form wants them.
    fn fill_details(&mut self, row: &StringRecord, record: &mut Record) {
        let mut used = 0;
        for (attribute, template) in &self.plan.details {
            if !template.fill(row, &mut self.value).0 {
                continue;
            }
            let values: &mut dyn Iterator<Item = &str> = if self.plan.lines_are_values {
                &mut self.value.split('\n')
            } else {
                &mut std::iter::once(self.value.as_str())
            };
            for value in values.map(plain).filter(|value| !value.is_empty()) {
                if used == self.lines.len() {
                    self.lines.push((0, String::new()));
                }
                let (number, line) = &mut self.lines[used];
                *number = used;
                line.clear();
                line.push_str(attribute);
                line.push('/');
                // Inside one of our own values a line break is written as an escape already.
                if self.plan.lines_are_values && value.contains('\\') {
                    let value = unescape(value).unwrap_or(value.into());
                    line.push_str(&escape(&value));
                } else {
                    line.push_str(&escape(value));
                }
                used += 1;
            }
        }
        let lines = &mut self.lines[..used];
        lines.sort_unstable_by(|left, right| left.1.cmp(&right.1));
        let mut previous = "";
        for (_, line) in lines.iter() {
            if line != previous {
                record.details.push_str(line);
                record.details.push('\n');
            }
            previous = line;
        }
    }
}

/// A value without the mark that keeps spreadsheets from running it.
fn plain(value: &str) -> &str {
    match value.strip_prefix(NEUTRAL) {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r']) => rest,
        _ => value,
    }
}

fn push_address(addresses: &mut String, text: &str) {
    if !addresses.is_empty() {
        addresses.push('\t');
    }
    // The type in capitals, as in its one form.
    match text.split_once(':') {
        Some((kind, value)) => {
            addresses.push_str(&kind.to_ascii_uppercase());
            addresses.push(':');
            addresses.push_str(&escape(value));
        }
        None => addresses.push_str(&escape(text)),
    }
}

fn rejected(line: u64, text: &str, reason: String, keyless: bool) -> Item {
    Item::Rejected(RejectedRow { line, text: shortened(text), reason, keyless })
}

fn plan_of_map(path: &Path, headers: &StringRecord, map: &Map) -> Result<Plan, OpenError> {
    let names: BTreeMap<String, usize> =
        headers.iter().enumerate().map(|(at, name)| (name.trim().to_lowercase(), at)).collect();
    let index = |column: &str| {
        names.get(&column.trim().to_lowercase()).copied().ok_or_else(|| OpenError::NoColumn {
            path: path.to_owned(),
            column: column.to_owned(),
            hint: did_you_mean(column, headers.iter()),
        })
    };
    let compile = |template: &crate::map::Template| template.compile(index);
    Ok(Plan {
        origin: None,
        key: vec![compile(&map.key)?],
        kind: map.kind.as_ref().map(compile).transpose()?,
        name: compile(&map.name)?,
        addresses: map.address.iter().map(compile).collect::<Result<_, _>>()?,
        aliases: None,
        details: map
            .details
            .iter()
            .map(|(name, template)| Ok((name.as_str().to_owned(), compile(template)?)))
            .collect::<Result<_, OpenError>>()?,
        lines_are_values: false,
    })
}

fn plan_of_headers(
    path: &Path,
    headers: &StringRecord,
    notes: &mut Vec<String>,
) -> Result<Plan, OpenError> {
    let no_subject = |what| OpenError::NoSubject {
        path: path.to_owned(),
        what,
        columns: headers.iter().collect::<Vec<_>>().join(", "),
    };
    let meanings: Vec<Option<Meaning>> = headers.iter().map(meaning).collect();
    let find = |wanted: Meaning| meanings.iter().position(|m| *m == Some(wanted));
    let of = |pick: &dyn Fn(Meaning) -> Option<u8>| {
        let mut found: Vec<(u8, usize)> = meanings
            .iter()
            .enumerate()
            .filter_map(|(at, meaning)| Some((pick((*meaning)?)?, at)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).collect::<Vec<_>>()
    };
    let mails = of(&|meaning| if let Meaning::Mail(n) = meaning { Some(n) } else { None });
    let parts = of(&|meaning| if let Meaning::NamePart(n) = meaning { Some(n) } else { None });
    let employee = headers.iter().position(|h| h.trim().eq_ignore_ascii_case("employeeNumber"));
    let name = match find(Meaning::Name) {
        Some(at) => Compiled::column(at),
        None if !parts.is_empty() => Compiled::joined(&parts),
        None => return Err(no_subject("a name")),
    };
    let address = find(Meaning::Address);
    if address.is_none() && mails.is_empty() {
        return Err(no_subject("an address"));
    }
    let mut key: Vec<Compiled> =
        find(Meaning::Key).or(employee).into_iter().map(Compiled::column).collect();
    if key.is_empty() {
        let at = mails.first().copied().or(address);
        key.extend(at.map(Compiled::column));
        notes.push(
            "warning: no column is a key; the mail address is used, so an entry whose address \
             changes is another entry"
                .into(),
        );
    }
    let mut details = Vec::new();
    let mut unknown = Vec::new();
    for (at, header) in headers.iter().enumerate() {
        match meanings[at] {
            Some(Meaning::Detail(attribute)) => {
                details.push((attribute.to_owned(), Compiled::column(at)));
            }
            Some(_) => {}
            None => match header.trim().parse::<AttributeName>() {
                Ok(name) if is_attribute(&name) || find(Meaning::Origin).is_some() => {
                    details.push((name.as_str().to_owned(), Compiled::column(at)));
                }
                _ => unknown.push(header.trim().to_owned()),
            },
        }
    }
    if !unknown.is_empty() {
        notes.push(format!("columns that are not used: {}", unknown.join(", ")));
    }
    Ok(Plan {
        origin: find(Meaning::Origin),
        key,
        kind: find(Meaning::Kind).map(Compiled::column),
        name,
        addresses: address
            .map(Compiled::column)
            .into_iter()
            .chain(mails.into_iter().map(|at| Compiled::prefixed("SMTP:", at)))
            .collect(),
        aliases: find(Meaning::Aliases),
        lines_are_values: find(Meaning::Origin).is_some(),
        details,
    })
}

/// Whether a plain column name is taken for a detail: only the well-known attributes are.
fn is_attribute(name: &AttributeName) -> bool {
    name.is_well_known()
}
