//! How values are written into columns and read back.

use std::error::Error;
use std::str::FromStr;

use dirsync_directory::{EntryId, Record, RecordRef, SetDigest};
use dirsync_protocol::delta::ChangeNumbers;
use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{Row, ToSql};

/// A counter or time. SQLite's integers have a sign, so 2^63 and more cannot be stored.
pub(super) struct Number(pub u64);

impl ToSql for Number {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = i64::try_from(self.0)
            .map_err(|_| rusqlite::Error::ToSqlConversionFailure("a number is 2^63 or more".into()));
        Ok(ToSqlOutput::Borrowed(ValueRef::Integer(number?)))
    }
}

/// The upper bound of a range of numbers.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// 16 bytes.
pub(super) struct Bytes<'a>(pub &'a [u8; 16]);

impl ToSql for Bytes<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0)))
    }
}

/// An entry id as a column.
pub(super) fn bytes(id: &EntryId) -> Bytes<'_> {
    Bytes(id.as_bytes())
}

/// A column holds something that was never written there.
pub(super) fn wrong(at: usize, what: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Null, what.into())
}

pub(super) fn text<'r>(row: &'r Row<'_>, at: usize) -> rusqlite::Result<&'r str> {
    row.get_ref(at)?.as_str().map_err(|error| wrong(at, error))
}

pub(super) fn optional_text<'r>(row: &'r Row<'_>, at: usize) -> rusqlite::Result<Option<&'r str>> {
    row.get_ref(at)?.as_str_or_null().map_err(|error| wrong(at, error))
}

pub(super) fn integer(row: &Row<'_>, at: usize) -> rusqlite::Result<i64> {
    row.get_ref(at)?.as_i64().map_err(|error| wrong(at, error))
}

pub(super) fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    u64::try_from(integer(row, at)?).map_err(|_| wrong(at, "a counter or time is negative"))
}

pub(super) fn optional_number(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        _ => number(row, at).map(Some),
    }
}

pub(super) fn flag(row: &Row<'_>, at: usize) -> rusqlite::Result<bool> {
    Ok(integer(row, at)? != 0)
}

/// A `BLOB` of 16 bytes.
pub(super) fn sixteen(row: &Row<'_>, at: usize) -> rusqlite::Result<[u8; 16]> {
    let blob = row.get_ref(at)?.as_blob().map_err(|error| wrong(at, error))?;
    blob.try_into().map_err(|_| wrong(at, "a blob does not have 16 bytes"))
}

pub(super) fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<EntryId> {
    sixteen(row, at).map(EntryId::from_bytes)
}

/// A value in its text form.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    parse(at, text(row, at)?)
}

pub(super) fn optional_parsed<T: FromStr>(
    row: &Row<'_>,
    at: usize,
) -> rusqlite::Result<Option<T>> {
    optional_text(row, at)?.map(|text| parse(at, text)).transpose()
}

/// A value from a part of a column's text.
pub(super) fn parse<T: FromStr>(at: usize, text: &str) -> rusqlite::Result<T> {
    text.parse().map_err(|_| wrong(at, format!("{text:?} is not what the column holds")))
}

/// An optional value's text form.
pub(super) fn shown<T: ToString>(value: Option<&T>) -> Option<String> {
    value.map(T::to_string)
}

/// The four columns of a record.
pub(super) fn record<'r>(row: &'r Row<'_>, at: usize) -> rusqlite::Result<RecordRef<'r>> {
    Ok(RecordRef {
        kind: text(row, at)?,
        name: text(row, at + 1)?,
        addresses: text(row, at + 2)?,
        details: text(row, at + 3)?,
    })
}

/// The four columns of a record that may be absent.
pub(super) fn optional_record(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Record>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        _ => record(row, at).map(|record| Some(record.to_record())),
    }
}

/// Writes a record over another, whose buffers are used again.
pub(super) fn overwrite(record: &mut Record, new: RecordRef<'_>) {
    let parts = [
        (&mut record.kind, new.kind),
        (&mut record.name, new.name),
        (&mut record.addresses, new.addresses),
        (&mut record.details, new.details),
    ];
    for (part, text) in parts {
        overwrite_text(part, text);
    }
}

pub(super) fn overwrite_text(old: &mut String, new: &str) {
    old.clear();
    old.push_str(new);
}

/// The parts of change numbers as a column: `part=number part=number`.
pub(super) fn parts(numbers: &ChangeNumbers) -> Option<String> {
    let mut text = String::new();
    for (part, number) in &numbers.parts {
        let blank = if text.is_empty() { "" } else { " " };
        text.push_str(&format!("{blank}{part}={number}"));
    }
    (!text.is_empty()).then_some(text)
}

/// Reads the columns `last`, `whole` and `parts` into change numbers.
pub(super) fn read_numbers(
    numbers: &mut ChangeNumbers,
    row: &Row<'_>,
    at: usize,
) -> rusqlite::Result<()> {
    numbers.last = number(row, at)?;
    numbers.whole = number(row, at + 1)?;
    numbers.parts.clear();
    if let Some(text) = optional_text(row, at + 2)? {
        numbers.parts = parse::<ChangeNumbers>(at + 2, &format!("0 0 {text}"))?.parts;
    }
    Ok(())
}

/// The columns `count` and `sum` of a bucket. Both wrap, so all their bits count.
pub(super) fn bucket_digest(row: &Row<'_>, at: usize) -> rusqlite::Result<SetDigest> {
    let count = integer(row, at)?.cast_unsigned();
    Ok(SetDigest { count, sum: u128::from_be_bytes(sixteen(row, at + 1)?) })
}

/// A digest in its text form.
pub(super) fn digest(row: &Row<'_>, at: usize) -> rusqlite::Result<SetDigest> {
    parsed(row, at)
}
