//! The CSV files of address books: their columns, and what stands in each.

use dirsync_directory::RecordRef;

use super::Omitted;
use super::members::mail_of;
use crate::csv_cell::write_field;
use crate::row::plain;

/// A column: its header, and what stands in it.
pub(super) type Column = (&'static str, Cell);

/// What stands in a column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    /// Nothing: the program knows the column, and entries have nothing for it.
    Empty,
    /// The given name. An entry that has neither given name nor surname has its whole name here.
    Given,
    /// The surname.
    Surname,
    /// The whole name.
    Name,
    /// The mail address with this number, from 0.
    Mail(usize),
    /// The mail addresses from this number on, with the text between them.
    Mails(usize, &'static str),
    /// Of the values of these attributes the one with this number, from 0.
    Value(&'static [&'static str], usize),
    /// All values of these attributes, with the text between them.
    Values(&'static [&'static str], &'static str),
    /// A word, if another cell is not empty.
    Label(&'static str, &'static Cell),
}

/// Adds the header.
pub(super) fn push_header(text: &mut String, columns: &[Column]) {
    for (header, _) in columns {
        write_field(text, header, false);
        text.push(',');
    }
    text.pop();
    text.push_str("\r\n");
}

/// Adds the row of an entry.
pub(super) fn push_row(
    text: &mut String,
    field: &mut String,
    record: RecordRef<'_>,
    columns: &[Column],
    for_people: bool,
    omitted: &mut Omitted,
) {
    let mut written = 0;
    for (_, cell) in columns {
        field.clear();
        written += cell.push(field, record);
        write_field(text, field, for_people);
        text.push(',');
    }
    text.pop();
    text.push_str("\r\n");
    let mut all = record.address_texts().count() as u64;
    for (name, _) in record.detail_lines() {
        // No such file has a place for the members of a list.
        *(if name == "member" { &mut omitted.members } else { &mut all }) += 1;
    }
    omitted.values += all.saturating_sub(written);
}

impl Cell {
    /// Adds the text of the cell. Returns how many of the entry's addresses and values it states.
    fn push(self, field: &mut String, record: RecordRef<'_>) -> u64 {
        let mut count = 0;
        let mut put = |value: &str, separator: &str| {
            if count > 0 {
                field.push_str(separator);
            }
            field.push_str(value);
            count += 1;
        };
        match self {
            Self::Empty => {}
            Self::Given => {
                let mut parts = values(record, &["givenName", "sn"]).peekable();
                if parts.peek().is_none() {
                    field.push_str(&plain(record.name));
                    return 0;
                }
                values(record, &["givenName"]).take(1).for_each(|value| put(&plain(value), ""));
            }
            Self::Surname => {
                values(record, &["sn"]).take(1).for_each(|value| put(&plain(value), ""));
            }
            Self::Name => {
                field.push_str(&plain(record.name));
                return 0;
            }
            Self::Mail(at) => mails(record).skip(at).take(1).for_each(|mail| put(&mail, "")),
            Self::Mails(from, between) => {
                mails(record).skip(from).for_each(|mail| put(&mail, between));
            }
            Self::Value(attributes, at) => {
                let value = values(record, attributes).nth(at);
                value.iter().for_each(|value| put(&plain(value), ""));
            }
            Self::Values(attributes, between) => {
                values(record, attributes).for_each(|value| put(&plain(value), between));
            }
            Self::Label(word, cell) => {
                if cell.push(field, record) > 0 {
                    field.clear();
                    field.push_str(word);
                }
                return 0;
            }
        }
        count
    }
}

fn mails<'a>(record: RecordRef<'a>) -> impl Iterator<Item = std::borrow::Cow<'a, str>> {
    record.address_texts().filter_map(mail_of)
}

/// The values of these attributes, escaped, in the order of the attributes.
fn values<'a>(record: RecordRef<'a>, attributes: &[&str]) -> impl Iterator<Item = &'a str> {
    attributes.iter().flat_map(move |wanted| {
        record.detail_lines().filter(move |(name, _)| name == wanted).map(|(_, value)| value)
    })
}
