//! Targets: files to which the Global Address List is written.
//!
//! The same list gives the same bytes at every postoffice, so a file is replaced only if it differs.

use std::io::{self, Write};

use dirsync_directory::AttributeName;

use crate::csv_cell::{push_value, write_field};
use crate::format::Format;
use crate::headers::OWN;
use crate::ldif_record::push_record;
use crate::row::{ExportRow, plain};
use crate::vcard_card::push_card;

/// A file that is being written, row by row.
pub struct Target<W> {
    output: W,
    format: Format,
    attributes: Vec<AttributeName>,
    for_people: bool,
    text: String,
    field: String,
}

impl<W: Write> Target<W> {
    /// Begins a file. `attributes` are the columns of a CSV file after the fixed ones.
    ///
    /// `for_people` makes a CSV file that is safe to open in a spreadsheet: it has a byte order mark, a
    /// header with capitals, and a `'` before each value that the spreadsheet would run as a formula. A
    /// source removes that mark again. Otherwise the values are written exactly as they are.
    ///
    /// # Errors
    ///
    /// If the output cannot be written.
    pub fn begin(
        mut output: W,
        format: Format,
        attributes: Vec<AttributeName>,
        for_people: bool,
    ) -> io::Result<Self> {
        match format {
            Format::Csv => output.write_all(csv_header(&attributes, for_people).as_bytes())?,
            Format::Ldif => output.write_all(b"version: 1\n")?,
            Format::Vcard => {}
        }
        let (text, field) = (String::new(), String::new());
        Ok(Self { output, format, attributes, for_people, text, field })
    }

    /// Writes an entry.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn write(&mut self, row: ExportRow<'_>) -> io::Result<()> {
        self.text.clear();
        match self.format {
            Format::Csv => self.push_row(row),
            Format::Ldif => push_record(&mut self.text, row),
            Format::Vcard => push_card(&mut self.text, row),
        }
        self.output.write_all(self.text.as_bytes())
    }

    /// Ends the file and gives the output back.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }

    fn push_row(&mut self, row: ExportRow<'_>) {
        let (text, field) = (&mut self.text, &mut self.field);
        let mut put = |value: &str| {
            write_field(text, value, self.for_people);
            text.push(',');
        };
        let mut addresses = row.record.address_texts();
        put(row.origin.as_str());
        put(row.key);
        put(row.record.kind);
        put(&plain(row.record.name));
        put(&plain(addresses.next().unwrap_or_default()));
        field.clear();
        for alias in addresses {
            push_value(field, &plain(alias));
        }
        put(field);
        for attribute in &self.attributes {
            field.clear();
            for (name, value) in row.record.detail_lines() {
                if name == attribute.as_str() {
                    push_value(field, &plain(value));
                }
            }
            put(field);
        }
        text.pop();
        text.push_str("\r\n");
    }
}

fn csv_header(attributes: &[AttributeName], for_people: bool) -> String {
    let mut header = String::new();
    if for_people {
        header.push('\u{feff}');
    }
    for (at, column) in OWN.into_iter().enumerate() {
        let (first, rest) = column.split_at(1);
        let first = if for_people { first.to_uppercase() } else { first.to_owned() };
        header.push_str(if at == 0 { "" } else { "," });
        header.push_str(&first);
        header.push_str(rest);
    }
    for attribute in attributes {
        header.push(',');
        header.push_str(attribute.as_str());
    }
    header.push_str("\r\n");
    header
}
