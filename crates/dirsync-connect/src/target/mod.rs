//! Targets: files to which the Global Address List is written.
//!
//! The same list gives the same bytes at every postoffice, so a file is replaced only if it differs.

mod contacts;
mod format;
mod google;
mod ldap;
pub(crate) mod members;
mod outlook;
mod own_csv;
mod postfix;
mod thunderbird;

use std::fmt;
use std::io::{self, Write};

use dirsync_directory::AttributeName;

use crate::ldif_record::push_record;
use crate::row::ExportRow;
use crate::vcard_card::{Version, push_card};
pub use format::{
    TargetFormat, TargetOption, TargetOptionError, TargetOptions, UnknownTargetFormat,
};
pub use members::Members;

/// What a format cannot express, so that the file lacks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    /// Entries.
    pub entries: u64,
    /// Addresses and values of details of the entries that were written.
    pub values: u64,
    /// Members of lists.
    pub members: u64,
}

impl Omitted {
    /// Whether nothing was omitted.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What was omitted, in words; nothing where nothing was.
impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "left out, as the format cannot express them: ";
        for (count, one, many) in [
            (self.entries, "entry", "entries"),
            (self.values, "value", "values"),
            (self.members, "member of a list", "members of lists"),
        ] {
            if count > 0 {
                write!(f, "{before}{count} {}", if count == 1 { one } else { many })?;
                before = ", ";
            }
        }
        Ok(())
    }
}

/// A file that is being written, row by row.
pub struct Target<W> {
    output: W,
    options: TargetOptions,
    attributes: Vec<AttributeName>,
    members: Members,
    entries: u64,
    omitted: Omitted,
    text: String,
    field: String,
}

impl<W: Write> Target<W> {
    /// Begins a file. `attributes` are the columns of our own CSV file after the fixed ones, and
    /// `members` the entries that lists name; the options say which of them are needed.
    ///
    /// A CSV file for people is safe to open in a spreadsheet: it has a byte order mark, and a `'` before
    /// each value that the spreadsheet would run as a formula. In our own CSV the header has capitals
    /// then, by which a source knows to remove that mark again. Otherwise the values are written
    /// exactly as they are.
    ///
    /// # Errors
    ///
    /// If the output cannot be written.
    pub fn begin(
        mut output: W,
        options: TargetOptions,
        attributes: Vec<AttributeName>,
        members: Members,
    ) -> io::Result<Self> {
        let mut text = String::new();
        match options.format {
            TargetFormat::Csv => own_csv::push_header(&mut text, &attributes, options.for_people),
            // `slapadd` takes a version for a record without a name.
            TargetFormat::Ldif if options.base.is_some() => {}
            TargetFormat::Ldif => text.push_str("version: 1\n"),
            TargetFormat::Vcard | TargetFormat::Vcard4 => {}
            TargetFormat::Outlook => {
                // Outlook takes a file without the mark for one in the encoding of the system.
                text.push('\u{feff}');
                contacts::push_header(&mut text, outlook::COLUMNS);
            }
            TargetFormat::Google | TargetFormat::Thunderbird => {
                if options.for_people {
                    text.push('\u{feff}');
                }
                contacts::push_header(&mut text, contact_columns(options.format));
            }
            TargetFormat::PostfixVirtual | TargetFormat::PostfixRelayRecipient => {
                text.push_str("# Written by dirsync: changes are overwritten.\n");
            }
        }
        output.write_all(text.as_bytes())?;
        let (entries, omitted, field) = (0, Omitted::default(), String::new());
        Ok(Self { output, options, attributes, members, entries, omitted, text, field })
    }

    /// Writes an entry.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn write(&mut self, row: ExportRow<'_>) -> io::Result<()> {
        self.text.clear();
        let (text, omitted) = (&mut self.text, &mut self.omitted);
        let format = self.options.format;
        match format {
            TargetFormat::Csv => {
                let for_people = self.options.for_people;
                own_csv::push_row(text, &mut self.field, row, &self.attributes, for_people);
            }
            TargetFormat::Ldif => match &self.options.base {
                None => push_record(text, row),
                Some(_) => ldap::push_record(text, row, &self.options, &self.members, omitted),
            },
            TargetFormat::Vcard => push_card(text, row, Version::Three, &self.members),
            TargetFormat::Vcard4 => push_card(text, row, Version::Four, &self.members),
            TargetFormat::Outlook | TargetFormat::Google | TargetFormat::Thunderbird => {
                let columns = contact_columns(format);
                let for_people = self.options.for_people;
                contacts::push_row(text, &mut self.field, row.record, columns, for_people, omitted);
            }
            TargetFormat::PostfixVirtual => {
                postfix::push_aliases(text, row.record, &self.options, omitted);
            }
            TargetFormat::PostfixRelayRecipient => {
                postfix::push_recipients(text, row.record, &self.options, omitted);
            }
        }
        self.entries += u64::from(!self.text.is_empty());
        self.output.write_all(self.text.as_bytes())
    }

    /// The number of entries that were written so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// What the file lacks so far.
    pub fn omitted(&self) -> Omitted {
        self.omitted
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
}

fn contact_columns(format: TargetFormat) -> &'static [contacts::Column] {
    match format {
        TargetFormat::Google => google::COLUMNS,
        TargetFormat::Thunderbird => thunderbird::COLUMNS,
        _ => outlook::COLUMNS,
    }
}
