//! What is written is read, and what is wrong is said.

use std::fs;
use std::path::PathBuf;

use dirsync_connect::{
    ExportRow, Format, Item, Map, OpenError, OpenOptions, ReadError, RejectedRow, SourceRow,
    Target, Template, open,
};
use dirsync_directory::{AttributeName, Entry, EntryKind, PostofficeName, Record};
use proptest::prelude::*;

struct Read {
    rows: Vec<SourceRow>,
    rejected: Vec<RejectedRow>,
    notes: Vec<String>,
    complete: Result<(), ReadError>,
}

fn read_with(name: &str, content: &[u8], options: &OpenOptions) -> Result<Read, OpenError> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let mut source = open(&path, Format::of_path(&path).unwrap(), options)?;
    let mut read = Read { rows: vec![], rejected: vec![], notes: vec![], complete: Ok(()) };
    for item in &mut source {
        match item {
            Ok(Item::Row(row)) => read.rows.push(row),
            Ok(Item::Rejected(row)) => read.rejected.push(row),
            Err(error) => read.complete = Err(error),
        }
    }
    read.notes = source.notes().to_vec();
    Ok(read)
}

fn read(name: &str, content: &[u8]) -> Read {
    read_with(name, content, &OpenOptions::default()).unwrap()
}

fn write(format: Format, rows: &[(PostofficeName, String, Record)], for_people: bool) -> Vec<u8> {
    let mut attributes: Vec<AttributeName> = rows
        .iter()
        .flat_map(|(_, _, record)| record.as_ref().to_entry().unwrap().details.into_keys())
        .collect();
    attributes.sort_unstable();
    attributes.dedup();
    let mut target = Target::begin(Vec::new(), format, attributes, for_people).unwrap();
    for (origin, key, record) in rows {
        target.write(ExportRow { origin, key, record: record.as_ref() }).unwrap();
    }
    target.finish().unwrap()
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\"".to_owned()),
        Just(",".to_owned()),
        Just(";".to_owned()),
        Just("\\".to_owned()),
        Just("\\n".to_owned()),
        Just("=1+1".to_owned()),
        Just("#<>:".to_owned()),
        Just("ümläut 漢字".to_owned()),
        Just("x".repeat(80)),
        "[a-zA-Z0-9]{1,5}",
    ];
    proptest::collection::vec(piece, 1..6)
        .prop_map(|pieces| pieces.concat().trim().to_owned())
        .prop_filter("not empty", |text| !text.is_empty() && !text.starts_with('\''))
}

fn record() -> impl Strategy<Value = Record> {
    let kind =
        prop_oneof![Just(EntryKind::Mailbox), Just(EntryKind::List), Just(EntryKind::Resource)];
    (kind, hostile(), hostile(), hostile(), hostile(), hostile()).prop_map(
        |(kind, name, alias, phone, title, second)| {
            let addresses =
                vec!["SMTP:a@b.example".parse().unwrap(), format!("X400:{alias}").parse().unwrap()];
            let values = |values: &[&String]| values.iter().map(|v| (*v).clone()).collect();
            let details = [
                ("telephoneNumber".parse().unwrap(), values(&[&phone, &second])),
                ("title".parse().unwrap(), values(&[&title])),
            ];
            let details = details.into_iter().collect();
            Record::from(&Entry { kind, name, addresses, details })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read(
        records in proptest::collection::vec((hostile(), record()), 1..5),
        for_people: bool,
    ) {
        let rows: Vec<_> = records
            .into_iter()
            .map(|(key, record)| ("NORTH/Hq, 1".parse().unwrap(), key, record))
            .collect();
        for (format, name) in
            [(Format::Csv, "a.csv"), (Format::Ldif, "a.ldif"), (Format::Vcard, "a.vcf")]
        {
            let written = write(format, &rows, for_people);
            let text = String::from_utf8_lossy(&written).into_owned();
            let read = read(name, &written);
            prop_assert!(read.rejected.is_empty() && read.complete.is_ok(), "{:?}", read.rejected);
            let found: Vec<_> = read
                .rows
                .into_iter()
                .map(|row| (row.origin.unwrap(), row.key, row.record))
                .collect();
            prop_assert_eq!(&found, &rows, "{}:\n{}", format, text);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        for name in ["a.csv", "a.ldif", "a.vcf"] {
            let _ = read_with(name, &bytes, &OpenOptions::default());
        }
    }
}

#[test]
fn exports_of_outlook_google_and_thunderbird_are_recognised() {
    let cases = [
        "First Name,Last Name,E-mail Address,Business Phone,Job Title\r\nAna,Souza,ana@n.example,1,Pilot\r\n",
        "First Name,Last Name,E-mail 1 - Value,Phone 1 - Value,Organization Title,Labels\nAna,Souza,ana@n.example,1,Pilot,x\n",
        "First Name;Last Name;Display Name;Primary Email;Work Phone;Job Title\nA;S;Ana Souza;ana@n.example;1;Pilot\n",
        "cn\tmail\ttelephoneNumber\ttitle\nAna Souza\tana@n.example\t1\tPilot\n",
    ];
    for content in cases {
        let read = read("a.csv", content.as_bytes());
        let row = &read.rows[0];
        assert_eq!(row.record.name, "Ana Souza", "{content}");
        assert_eq!(row.record.addresses, "SMTP:ana@n.example");
        assert_eq!(row.record.details, "telephoneNumber/1\ntitle/Pilot\n");
        assert_eq!(row.key, "ana@n.example");
        assert!(read.notes.iter().any(|note| note.contains("no column is a key")));
    }
}

fn congress_map() -> Map {
    let template = |text| Template::parse(text).unwrap();
    Map {
        key: template("{bioguide_id}"),
        name: template("{first_name} {last_name}"),
        address: vec![template("SMTP:{bioguide_id}@congress.example")],
        kind: None,
        details: [("telephoneNumber".parse().unwrap(), template("{phone}"))].into_iter().collect(),
    }
}

/// `failure-stories` §1, the reader's part: a row without its key is told apart from a bad row.
#[test]
fn rows_without_their_key_are_told_apart() {
    let content = "bioguide_id,last_name,first_name,phone\nA1,Souza,Ana,+1 202\n,Okoye,Ben,3\n";
    let options = OpenOptions { map: Some(congress_map()), ..OpenOptions::default() };
    let read = read_with("a.csv", content.as_bytes(), &options).unwrap();
    assert_eq!(read.rows[0].record.details, "telephoneNumber/+1 202\n");
    assert_eq!(read.rejected.len(), 1);
    assert!(read.rejected[0].keyless && read.rejected[0].line == 3);
}

#[test]
fn a_map_that_names_a_missing_column_says_the_nearest() {
    let content = "bioguide,last_name,first_name,phone\nA1,Souza,Ana,1\n";
    let options = OpenOptions { map: Some(congress_map()), ..OpenOptions::default() };
    let error = read_with("a.csv", content.as_bytes(), &options).err().unwrap();
    assert!(error.to_string().contains("did you mean \"bioguide\""), "{error}");
}

#[test]
fn files_that_are_none_are_told_apart() {
    let missing = open("/nonexistent/a.csv".as_ref(), Format::Csv, &OpenOptions::default());
    assert!(matches!(missing, Err(OpenError::Io { .. })));
    let empty = read_with("a.csv", b"", &OpenOptions::default());
    assert!(matches!(empty, Err(OpenError::Empty { .. })));
    let pointless = read_with("a.csv", b"colour,size\nred,1\n", &OpenOptions::default());
    assert!(pointless.err().unwrap().to_string().contains("use a map"));
}

/// `failure-stories` §10.
#[test]
fn foreign_text_formats_say_their_encoding() {
    let marked = read("a.csv", "\u{feff}mail,cn\nö@x.example,Örtel\n".as_bytes());
    assert_eq!(marked.rows[0].record.name, "Örtel", "the mark is no part of a header");
    let latin = b"mail,cn\na@x.example,\xd6rtel\nb@x.example,Ben\n";
    let wrong = read("a.csv", latin);
    assert_eq!((wrong.rows.len(), wrong.rejected.len()), (1, 1));
    assert!(wrong.rejected[0].reason.contains("column 2 is not UTF-8"));
    let options = OpenOptions { encoding: Some("windows-1252".into()), map: None };
    let right = read_with("a.csv", latin, &options).unwrap();
    assert_eq!(right.rows[0].record.name, "Örtel");
    assert!(right.notes[0].contains("windows-1252"));
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("mail,cn\na@x.example,Örtel\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    assert_eq!(read("a.csv", &utf16).rows[0].record.name, "Örtel");
    for version in ["2.1", "3.0", "4.0"] {
        let card = format!(
            "BEGIN:VCARD\r\nVERSION:{version}\r\nUID:7\r\nFN:Ana Örtel\r\nEMAIL:a@x.example\r\n\
             TEL;TYPE=CELL:5\r\nEND:VCARD\r\n"
        );
        let read = read("a.vcf", card.as_bytes());
        assert_eq!(read.rows[0].record.name, "Ana Örtel", "{version}");
        assert_eq!(read.rows[0].record.details, "mobile/5\n");
    }
    let cut =
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:7\r\nFN:Ana \u{d6}rtel\r\nEMAIL:a@x\r\nEND:VCARD\r\n";
    let (before, after) = cut.split_at(cut.find('\u{d6}').unwrap());
    let mut folded = before.as_bytes().to_vec();
    folded.push(after.as_bytes()[0]);
    folded.extend_from_slice(b"\r\n ");
    folded.extend_from_slice(&after.as_bytes()[1..]);
    assert_eq!(read("a.vcf", &folded).rows[0].record.name, "Ana Örtel");
}

/// `failure-stories` §13: what a spreadsheet would run is neutral there, and exact for machines.
#[test]
fn values_are_data_in_filters_and_spreadsheets() {
    let record = Record {
        kind: "mailbox".into(),
        name: "=cmd()".into(),
        addresses: "SMTP:a@b.example".into(),
        details: "telephoneNumber/+1 206 555\n".into(),
    };
    let rows = [("NORTH/HQ".parse().unwrap(), "1".to_owned(), record.clone())];
    let people = String::from_utf8(write(Format::Csv, &rows, true)).unwrap();
    assert!(people.contains(",'=cmd(),") && people.contains(",'+1 206 555"), "{people}");
    let exact = String::from_utf8(write(Format::Csv, &rows, false)).unwrap();
    assert!(exact.contains(",=cmd(),"), "{exact}");
    assert_eq!(read("a.csv", people.as_bytes()).rows[0].record, record);
    assert_eq!(read("a.csv", exact.as_bytes()).rows[0].record, record);
}

/// `failure-stories` §10, the part that needs no slapd.
#[test]
fn dn_and_binary_values_survive() {
    let ldif = "version: 1\n\ndn: cn=\"Doe\\, John\",o=x\nobjectClass: user\ncn: Doe, John\n\
                objectGUID:: AAECCgQFBgcICQoLDA0ODw==\nmail: j@x.example\n\
                title:: ICBvdXRlciBibGFua3MgIA==\nuserPassword: secret\njpegPhoto:: /9j/\n\n\
                dn: cn=bad,o=x\ncn:< file:///etc/passwd\n\n\
                dn: cn=gone,o=x\nchangetype: delete\n\n\
                dn: cn=list,o=x\nobjectClass: groupOfNames\ncn: All\n sailors\nentryUUID: u-1\n\
                proxyAddresses: smtp:b@x.example\nproxyAddresses: SMTP:a@x.example\n# note\n  more\n";
    let read = read("a.ldif", ldif.as_bytes());
    assert_eq!(read.rows.len(), 2, "{:?}", read.rejected);
    assert_eq!(read.rows[0].key, "0001020a0405060708090a0b0c0d0e0f");
    assert_eq!(read.rows[0].record.name, "Doe, John");
    assert_eq!(read.rows[0].record.details, "title/  outer blanks  \n");
    assert_eq!(read.rows[1].record.kind, "list");
    assert_eq!(read.rows[1].record.name, "Allsailors");
    assert_eq!(read.rows[1].record.addresses, "SMTP:a@x.example\tSMTP:b@x.example");
    let reasons: Vec<&str> = read.rejected.iter().map(|row| row.reason.as_str()).collect();
    assert!(reasons[0].contains("URL") && reasons[1].contains("type delete"), "{reasons:?}");
    assert_eq!(read.rejected[0].line, 13);
}

#[test]
fn a_card_that_is_cut_off_ends_the_read() {
    let read = read(
        "a.vcf",
        b"BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:A\nEMAIL:a@b\nEND:VCARD\nBEGIN:VCARD\n",
    );
    assert_eq!(read.rows.len(), 1);
    assert!(read.complete.unwrap_err().to_string().contains("cut off"));
}
