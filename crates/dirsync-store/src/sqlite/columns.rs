//! Converts columns of rows to values, and values to columns.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use dirsync_directory::{EntryId, Record, RecordRef, View, ViewHash};
use dirsync_protocol::tables::{SeenIn, StoreError, StoreErrorKind, Stored};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::failure::{failed, refused};

/// Reads the columns of a row one after the other.
pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    /// The action that reads them, which errors name.
    pub action: &'static str,
    next: usize,
}

impl<'r, 's> Columns<'r, 's> {
    /// The columns of a row, from the first on.
    pub fn new(action: &'static str, row: &'r Row<'s>) -> Self {
        Self { row, action, next: 0 }
    }

    /// Skips `count` columns.
    pub fn skip(&mut self, count: usize) {
        self.next += count;
    }

    /// Goes back by one column.
    pub fn back(&mut self) {
        self.next -= 1;
    }

    fn value(&mut self) -> Stored<ValueRef<'r>> {
        let value = self.row.get_ref(self.next).map_err(failed(self.action))?;
        self.next += 1;
        Ok(value)
    }

    fn wrong(&self, what: &str) -> StoreError {
        StoreError::corrupt(self.action, format!("column {} is not a {what}", self.next))
    }

    /// A text, or `None` for null.
    pub fn optional_text(&mut self) -> Stored<Option<&'r str>> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map(Some).map_err(|_| self.wrong("UTF-8"))
            }
            _ => Err(self.wrong("text")),
        }
    }

    /// A text.
    pub fn text(&mut self) -> Stored<&'r str> {
        self.optional_text()?.ok_or_else(|| self.wrong("text"))
    }

    /// A signed number, or `None` for null.
    pub fn optional_integer(&mut self) -> Stored<Option<i64>> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number)),
            _ => Err(self.wrong("number")),
        }
    }

    /// A signed number, as SQLite stores it.
    pub fn integer(&mut self) -> Stored<i64> {
        self.optional_integer()?.ok_or_else(|| self.wrong("number"))
    }

    /// A counter or time, or `None` for null.
    pub fn optional_number(&mut self) -> Stored<Option<u64>> {
        let number = self.optional_integer()?;
        number.map(u64::try_from).transpose().map_err(|_| self.wrong("counter or time"))
    }

    /// A counter or time.
    pub fn number(&mut self) -> Stored<u64> {
        self.optional_number()?.ok_or_else(|| self.wrong("number"))
    }

    /// A small number, or `None` for null.
    pub fn optional_small(&mut self) -> Stored<Option<u32>> {
        let number = self.optional_integer()?;
        number.map(u32::try_from).transpose().map_err(|_| self.wrong("small number"))
    }

    /// A flag.
    pub fn flag(&mut self) -> Stored<bool> {
        Ok(self.integer()? != 0)
    }

    /// Bytes.
    pub fn blob(&mut self) -> Stored<&'r [u8]> {
        let ValueRef::Blob(bytes) = self.value()? else { return Err(self.wrong("bytes")) };
        Ok(bytes)
    }

    /// Sixteen bytes, or `None` for null.
    pub fn optional_bytes(&mut self) -> Stored<Option<[u8; 16]>> {
        if matches!(self.value()?, ValueRef::Null) {
            return Ok(None);
        }
        self.back();
        self.bytes().map(Some)
    }

    /// Sixteen bytes.
    pub fn bytes(&mut self) -> Stored<[u8; 16]> {
        self.blob()?.try_into().map_err(|_| self.wrong("16 bytes"))
    }

    /// The id of an entry.
    pub fn id(&mut self) -> Stored<EntryId> {
        self.bytes().map(EntryId::from_bytes)
    }

    /// A value that is stored as its text, or `None` for null.
    pub fn optional_parsed<T: FromStr>(&mut self) -> Stored<Option<T>> {
        let text = self.optional_text()?;
        text.map(str::parse).transpose().map_err(|_| self.wrong("value of its type"))
    }

    /// A value that is stored as its text.
    pub fn parsed<T: FromStr>(&mut self) -> Stored<T> {
        self.optional_parsed()?.ok_or_else(|| self.wrong("value"))
    }

    /// A view, which is stored as its definition.
    pub fn view(&mut self) -> Stored<View> {
        self.parsed()
    }

    /// A value that `read` makes of its text.
    pub fn read<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Stored<T> {
        let text = self.text()?;
        read(text).ok_or_else(|| self.wrong("known value"))
    }

    /// Several values, which are stored separated by blanks.
    pub fn words<T: FromStr, C: FromIterator<T>>(&mut self) -> Stored<C> {
        self.read(|text| {
            let words = text.split(' ').filter(|word| !word.is_empty());
            words.map(|word| word.parse().ok()).collect()
        })
    }

    /// A record.
    pub fn record(&mut self) -> Stored<RecordRef<'r>> {
        Ok(RecordRef {
            kind: self.text()?,
            name: self.text()?,
            addresses: self.text()?,
            details: self.text()?,
        })
    }

    /// A record, or `None` for null.
    pub fn optional_record(&mut self) -> Stored<Option<Record>> {
        let Some(kind) = self.optional_text()? else {
            self.skip(3);
            return Ok(None);
        };
        Ok(Some(Record {
            kind: kind.into(),
            name: self.text()?.into(),
            addresses: self.text()?.into(),
            details: self.text()?.into(),
        }))
    }

    /// The views in which an entry was visible.
    pub fn seen_in(&mut self) -> Stored<SeenIn> {
        match self.optional_text()? {
            None => Ok(SeenIn::default()),
            Some("all") => Ok(SeenIn::All),
            Some(text) => {
                let views: Result<BTreeSet<ViewHash>, ()> =
                    text.split(' ').map(str::parse).collect();
                views.map(SeenIn::Some).map_err(|()| self.wrong("list of views"))
            }
        }
    }
}

/// A counter or time as a column.
pub(super) fn integer(action: &'static str, number: u64) -> Stored<i64> {
    i64::try_from(number).map_err(|_| {
        let why = format!("the number {number} is above 2^63 - 1");
        refused(action, StoreErrorKind::Other, why)
    })
}

/// A bound of a range of numbers. A bound above the largest number of a column is that number.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A value as a column of text.
pub(super) fn text_of(value: &Option<impl Display>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

/// Several values as a column of text.
pub(super) fn words_of<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    words.join(" ")
}

/// The views in which an entry was visible, as a column.
pub(super) fn seen_in_text(seen_in: &SeenIn) -> Option<String> {
    match seen_in {
        SeenIn::All => Some("all".into()),
        SeenIn::Some(views) if views.is_empty() => None,
        SeenIn::Some(views) => Some(words_of(views)),
    }
}
