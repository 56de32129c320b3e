//! Sources and targets: LDIF, CSV and vCard files, and the map from their columns to entries.
//!
//! Formats and maps are described in `docs/file-formats.md`. *Never:* numbers of the protocol.
#![deny(missing_docs)]

mod csv_cell;
mod csv_columns;
mod csv_file;
mod dn;
mod draft;
mod guid;
mod headers;
mod ldif;
mod ldif_entry;
mod ldif_record;
mod lines;
mod map;
mod source;
mod target;
mod text;
mod vcard;
mod vcard_card;
mod vcard_entry;

pub use map::{Map, Template, TemplateError};
pub use source::{
    Format, Item, OpenError, OpenOptions, ReadError, RejectedRow, Source, SourceRow, UnknownFormat,
    open,
};
pub use target::{ExportRow, Target};
