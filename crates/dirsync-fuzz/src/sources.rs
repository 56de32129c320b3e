//! CSV, LDIF and vCard files, and the texts in them.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_connect::parsers::{csv_cell, dn as distinguished, guid as guids};
use dirsync_connect::{
    ExportRow, Format, Item, Map, Members, OpenOptions, Rule, SourceRow, Target, TargetFormat,
    TargetOptions, Template, open,
};
use dirsync_directory::{AttributeName, EntryId, Filter, PostofficeName};

use crate::bytes::Bytes;
use crate::scratch::with_file;

/// Encodings that fail in different ways: none stated, single bytes, pairs of bytes, states.
const ENCODINGS: [Option<&str>; 12] = [
    None,
    Some("utf-8"),
    Some("windows-1252"),
    Some("windows-1255"),
    Some("iso-8859-16"),
    Some("utf-16le"),
    Some("utf-16be"),
    Some("shift_jis"),
    Some("iso-2022-jp"),
    Some("gb18030"),
    Some("big5"),
    Some("replacement"),
];

/// A CSV file. The first byte chooses encoding and map.
pub fn csv(data: &[u8]) {
    let mut bytes = Bytes(data);
    let choice = bytes.byte();
    let map = (choice & 0x80 != 0).then(sample_map);
    let options = OpenOptions { encoding: encoding(choice), map, ..OpenOptions::default() };
    source(Format::Csv, &options, bytes.rest());
}

/// An LDIF file. The first byte chooses encoding and map.
pub fn ldif(data: &[u8]) {
    let mut bytes = Bytes(data);
    let choice = bytes.byte();
    let map = (choice & 0x80 != 0).then(sample_map);
    let options = OpenOptions { encoding: encoding(choice), map, ..OpenOptions::default() };
    source(Format::Ldif, &options, bytes.rest());
}

/// A file of vCards. The first byte chooses encoding and map.
pub fn vcard(data: &[u8]) {
    let mut bytes = Bytes(data);
    let choice = bytes.byte();
    let map = (choice & 0x80 != 0).then(sample_map);
    let options = OpenOptions { encoding: encoding(choice), map, ..OpenOptions::default() };
    source(Format::Vcard, &options, bytes.rest());
}

fn encoding(choice: u8) -> Option<String> {
    ENCODINGS[usize::from(choice & 0x0f) % ENCODINGS.len()].map(str::to_owned)
}

fn sample_map() -> Map {
    let rule = |text| Rule::from(Template::parse(text).expect("a template"));
    let condition = Filter::over_columns("(|(kind=x*)(first=*))").expect("a filter");
    let title = "title".parse().expect("an attribute");
    let details = rule("{title|replace \"^(.)x*\" \"$1\"|split \";\"|limit 9}, {first|upper}");
    Map {
        key: vec![rule("{key}")],
        name: vec![rule("{first} {last}")],
        address: vec![rule("SMTP:{mail|lower}"), rule("{{{x}}}:{mail|domain \"x.example\"}")],
        kind: vec![Rule { condition: Some(condition), ..rule("{kind}") }],
        skip: vec![rule("{x|digits|trim}")],
        details: BTreeMap::from([(title, vec![details])]),
        ..Map::default()
    }
}

/// Reads a file. Its valid entries can be written in any format, and are read back exactly.
fn source(format: Format, options: &OpenOptions, content: &[u8]) {
    let Some((rows, _)) = read(format, options, content) else { return };
    let rows: Vec<SourceRow> = rows.into_iter().filter(is_exportable).collect();
    for format in TargetFormat::ALL {
        let options = TargetOptions::new(format);
        let read = match format {
            TargetFormat::Csv => {
                let options = TargetOptions { for_people: true, ..options.clone() };
                written_and_read(options, Some(Format::Csv), &rows);
                Some(Format::Csv)
            }
            TargetFormat::Ldif => {
                let (base, dirsync) = (Some("dc=x".into()), true);
                let options = TargetOptions { base, dirsync, ..options.clone() };
                written_and_read(options, None, &rows);
                Some(Format::Ldif)
            }
            TargetFormat::Vcard | TargetFormat::Vcard4 => Some(Format::Vcard),
            _ => None,
        };
        let domains = if format.is_postfix() { vec!["x.example".into()] } else { Vec::new() };
        written_and_read(TargetOptions { domains, ..options }, read, &rows);
    }
}

/// Whether an entry is valid. An import puts any other one into quarantine.
fn is_exportable(row: &SourceRow) -> bool {
    row.record.as_ref().check().is_ok()
}

/// The rows of a file and the number of rejected ones, or `None` if it cannot be opened.
fn read(
    format: Format,
    options: &OpenOptions,
    content: &[u8],
) -> Option<(Vec<SourceRow>, Result<usize, String>)> {
    with_file(content, |path| {
        let file = std::fs::File::open(path).expect("it was just written");
        let mut source = match open(file, path, format, options) {
            Ok(source) => source,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return None;
            }
        };
        let (mut rows, mut rejected, mut failed) = (Vec::new(), 0, None);
        for item in source.by_ref() {
            assert!(failed.is_none(), "after an error it ends");
            match item {
                Ok(Item::Row(row)) => {
                    assert!(row.line > 0, "{row:?}");
                    assert!(row.key.parse::<dirsync_directory::Key>().is_ok(), "{row:?}");
                    rows.push(row);
                }
                Ok(Item::WithoutAddress(row)) => assert!(row.line > 0, "{row:?}"),
                Ok(Item::Rejected(row)) => {
                    assert!(
                        row.line > 0 && !row.reason.is_empty() && row.text.len() <= 1000,
                        "{row:?}"
                    );
                    rejected += 1;
                }
                Err(error) => failed = Some(error.to_string()),
            }
        }
        assert!(source.next().is_none(), "a source that ended stays ended");
        assert!(!source.notes().is_empty());
        Some((rows, failed.map_or(Ok(rejected), Err)))
    })
}

/// Writes a file, and reads it if the format is one that is read back exactly.
fn written_and_read(options: TargetOptions, format: Option<Format>, rows: &[SourceRow]) {
    if rows.is_empty() {
        return;
    }
    let lines = rows.iter().flat_map(|row| row.record.as_ref().detail_lines());
    let attributes: BTreeSet<AttributeName> =
        lines.map(|(name, _)| name.parse().expect("it was checked")).collect();
    let attributes = attributes.into_iter().collect();
    let mut members = Members::default();
    rows.iter().for_each(|row| members.ask(row.record.as_ref()));
    let other: PostofficeName = "NORTH/Hq & 1".parse().expect("a name");
    let origin = |row: &SourceRow| row.origin.clone().unwrap_or_else(|| other.clone());
    for row in rows {
        members.answer(EntryId::derive(&origin(row), &row.key), row.record.as_ref());
    }
    let mut target = Target::begin(Vec::new(), options, attributes, members).expect("memory");
    for row in rows {
        let (origin, key, record) = (&origin(row), row.key.as_str(), row.record.as_ref());
        let id = EntryId::derive(origin, key);
        target.write(ExportRow { id, origin, key, record }).expect("memory");
    }
    let written = target.finish().expect("memory");
    let Some(format) = format else { return };
    let shown = || String::from_utf8_lossy(&written).into_owned();
    let options = OpenOptions::default();
    let (again, rejected) = read(format, &options, &written).expect("what is written opens");
    assert_eq!(rejected, Ok(0), "{format}:\n{}", shown());
    assert_eq!(again.len(), rows.len(), "{format}:\n{}", shown());
    for (again, row) in again.iter().zip(rows) {
        let origin = origin(row);
        assert_eq!(again.origin.as_ref().map(PostofficeName::as_str), Some(origin.as_str()));
        assert_eq!((&again.key, &again.record), (&row.key, &row.record), "{format}:\n{}", shown());
    }
}

/// The values of a field of our own CSV are read back, and a field loses only its mark.
pub fn cell(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    csv_cell::values(text).for_each(drop);
    let values: Vec<&str> = text.split('\0').filter(|value| !value.is_empty()).collect();
    let mut field = String::new();
    for value in &values {
        csv_cell::push_value(&mut field, value);
    }
    assert_eq!(csv_cell::values(&field).collect::<Vec<_>>(), values, "{field:?}");
    let mut written = String::new();
    csv_cell::write_field(&mut written, text, true);
    let plain = match written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => written.clone(),
    };
    assert_eq!(csv_cell::unmarked(&plain), text, "{written:?}");
    assert!(!plain.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{written:?}");
}

/// The escaped values of a distinguished name are read back.
pub fn dn(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(parts) = distinguished::parse(text) {
        let printed: Vec<String> = parts
            .iter()
            .map(|(attribute, value)| format!("{attribute}={}", distinguished::escape(value)))
            .collect();
        let again = distinguished::parse(&printed.join(","));
        assert_eq!(again.as_ref(), Some(&parts), "{text:?} prints as {printed:?}");
    }
    let value = distinguished::escape(text);
    let name = format!("uid={value},o={value}");
    let expected = ["uid", "o"].map(|attribute| (attribute.to_owned(), text.to_owned()));
    assert_eq!(distinguished::parse(&name), Some(expected.to_vec()), "{name:?}");
}

/// A GUID has one text form, which is the text form of itself.
pub fn guid(data: &[u8]) {
    if let Ok(bytes) = <&[u8; 16]>::try_from(data) {
        let text = guids::of_object_guid(bytes);
        assert_eq!(guids::canonical(&text), text);
        let hex = data_encoding::HEXUPPER.encode(bytes);
        assert_eq!(guids::canonical(&format!("X'{hex}'")), text);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let canonical = guids::canonical(text);
    assert_eq!(guids::canonical(&canonical), canonical, "{text:?}");
}
