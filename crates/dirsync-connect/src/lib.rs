//! Reads entries from CSV, LDIF and vCard files, and writes them to such files.
//!
//! The formats, and the maps from the columns of a CSV file to entries, are described in
//! `docs/file-formats.md`. A file is read and written as a stream, in constant memory.
//!
//! This crate does not know the protocol: it assigns no sequence numbers, and never decides that an
//! entry is new, changed or deleted. That is done in `dirsync-agent`.
//!
//! Begin with [`Source`], which yields the rows of a file. A row that cannot be used is an item
//! too, with the reason, and does not stop the read. [`Target`] is the way back.
//!
//! ```
//! use std::io::{Seek, Write};
//! use std::path::Path;
//!
//! use dirsync_connect::{Format, Item, OpenOptions, open};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut file = tempfile::tempfile()?;
//! file.write_all(b"Employee No,Name,E-Mail,Room Plan\n4711,Ana Souza,ana@north.example,a\n")?;
//! file.rewind()?;
//! for item in open(file, Path::new("staff.csv"), Format::Csv, &OpenOptions::default())? {
//!     match item? {
//!         Item::Row(row) => assert_eq!(row.record.addresses, "SMTP:ana@north.example"),
//!         Item::WithoutAddress(row) => eprintln!("line {} has no address", row.line),
//!         Item::Rejected(row) => eprintln!("line {}: {}", row.line, row.reason),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

mod csv_cell;
mod csv_columns;
mod csv_file;
mod dn;
mod draft;
mod error;
mod format;
mod guid;
mod headers;
mod ldif;
mod ldif_entry;
mod ldif_line;
mod ldif_mapped;
mod ldif_mozilla;
mod ldif_record;
mod lines;
mod map;
mod private;
mod recognised;
mod row;
mod source;
mod suggest;
mod target;
mod text;
mod vcard;
mod vcard_card;
mod vcard_entry;
mod vcard_lists;
mod vcard_mapped;
mod vcard_property;

/// Parsers of single texts, for tests of other crates.
#[cfg(feature = "testing")]
pub mod parsers {
    /// Fields of our own CSV.
    pub mod csv_cell {
        pub use crate::csv_cell::{push_value, unmarked, values, write_field};
    }
    /// Distinguished names.
    pub mod dn {
        pub use crate::dn::{escape, parse};
    }
    /// Object GUIDs.
    pub mod guid {
        pub use crate::guid::{canonical, of_object_guid};
    }
}

pub use error::{OpenError, ReadError};
pub use format::{Format, UnknownFormat};
pub use map::{
    BUILT_IN, LeftOut, Line, Made, Map, NamedMap, RowMade, Rule, Template, TemplateError,
};
pub use private::{Private, PrivateCount, UnknownPrivate};
pub use row::{AddresslessRow, ExportRow, Item, RejectedRow, SourceRow};
pub use source::{OpenOptions, Source, open};
pub use suggest::{Suggestion, suggest};
pub use target::{
    Members, Omitted, Target, TargetFormat, TargetOption, TargetOptionError, TargetOptions,
    UnknownTargetFormat,
};
