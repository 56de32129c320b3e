//! Our own CSV, which is read back exactly.

use dirsync_directory::AttributeName;

use crate::csv_cell::{push_value, write_field};
use crate::headers::OWN;
use crate::row::{ExportRow, plain};

/// Adds the row of an entry.
pub(super) fn push_row(
    text: &mut String,
    field: &mut String,
    row: ExportRow<'_>,
    attributes: &[AttributeName],
    for_people: bool,
) {
    let mut put = |value: &str| {
        write_field(text, value, for_people);
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
    for attribute in attributes {
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

/// Adds the header.
pub(super) fn push_header(header: &mut String, attributes: &[AttributeName], for_people: bool) {
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
}
