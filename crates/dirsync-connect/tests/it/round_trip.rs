//! Any entry that is written is read back unchanged.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_connect::{ExportRow, Members, Omitted, Target, TargetFormat, TargetOptions};
use dirsync_directory::{
    AttributeName, Entry, EntryId, EntryKind, PostofficeName, Record, composed,
};
use proptest::prelude::*;

use super::{read, read_with};

pub(super) type Row = (PostofficeName, String, Record);

const FILES: [(TargetFormat, &str); 4] = [
    (TargetFormat::Csv, "a.csv"),
    (TargetFormat::Ldif, "a.ldif"),
    (TargetFormat::Vcard, "a.vcf"),
    (TargetFormat::Vcard4, "a.vcf"),
];

/// A file of the formats that are read back; only CSV has a form for people.
pub(super) fn write(format: TargetFormat, rows: &[Row], for_people: bool) -> Vec<u8> {
    let for_people = for_people && format == TargetFormat::Csv;
    written(TargetOptions { for_people, ..TargetOptions::new(format) }, rows).0
}

/// A file, and the target after its last row.
pub(super) fn written(options: TargetOptions, rows: &[Row]) -> (Vec<u8>, Omitted) {
    options.check().unwrap();
    let attributes: BTreeSet<AttributeName> = rows
        .iter()
        .flat_map(|(_, _, record)| record.as_ref().to_entry().unwrap().details.into_keys())
        .collect();
    let attributes = attributes.into_iter().collect();
    let mut members = Members::default();
    rows.iter().for_each(|(_, _, record)| members.ask(record.as_ref()));
    for (origin, key, record) in rows {
        members.answer(EntryId::derive(origin, key), record.as_ref());
    }
    let mut target = Target::begin(Vec::new(), options, attributes, members).unwrap();
    for (origin, key, record) in rows {
        let id = EntryId::derive(origin, key);
        target.write(ExportRow { id, origin, key, record: record.as_ref() }).unwrap();
    }
    let omitted = target.omitted();
    (target.finish().unwrap(), omitted)
}

/// Any text, made of characters and words that have a meaning in the formats.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "\"", ",", ";", "\\", "\\n", "\\\\", "=1+1", "+1 206", "-", "@", "'", "#", "<", ">", ":",
            "/", "|", "=", " ", "  ", "\n", "\r\n", "\r", "\t", "\x1b", "\x7f", "\u{85}",
            "\u{feff}", "\u{2028}", "ümläut", "u\u{308}", "漢字", "😀", "BEGIN:VCARD", "END:VCARD", "{}",
            "data:", "tel:", "mailto:", "TEL:5", " ::: ", "dn: x", "# ", "\u{301}", "sep=;", "\\x41",
        ])
        .prop_map(str::to_owned),
        1 => Just("x".repeat(80)),
        2 => "[a-zA-Z0-9]{1,5}",
        1 => any::<char>().prop_filter("no NUL", |c| *c != '\0').prop_map(String::from),
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

/// A text without control characters and blanks at its ends, as keys and values of addresses are.
fn tame() -> impl Strategy<Value = String> {
    hostile()
        .prop_map(|text| composed(text.replace(char::is_control, "").trim()).into_owned())
        .prop_filter("1 to 256 bytes", |text| (1..=256).contains(&text.len()))
}

fn attribute() -> impl Strategy<Value = AttributeName> {
    proptest::sample::select(vec![
        "telephoneNumber",
        "mobile",
        "homePhone",
        "pager",
        "facsimileTelephoneNumber",
        "title",
        "info",
        "labeledURI",
        "o",
        "company",
        "department",
        "sn",
        "givenName",
        "cn",
        "mail",
        "mail;lang-fr",
        "dn",
        "changetype",
        "objectClass",
        "version",
        "control",
        "name",
        "key",
        "origin",
        "kind",
        "address",
        "aliases",
        "member",
        "employeeNumber",
        "entryUUID",
        "userPassword",
        "jpegPhoto",
        "uid",
        "x-floor",
        "dirsyncKey",
        "dirsyncDetail",
        "cn;lang-de;x-a",
        "title;lang-fr",
    ])
    .prop_map(|name| name.parse().unwrap())
}

fn record() -> impl Strategy<Value = Record> {
    let kind = proptest::sample::select(EntryKind::ALL.to_vec());
    let kinds = proptest::sample::select(vec!["SMTP", "SMTP", "X400", "PCM"]);
    let addresses = proptest::collection::vec((kinds, tame()), 1..4);
    let values = proptest::collection::vec(hostile(), 1..3);
    let details = proptest::collection::btree_map(attribute(), values, 0..5);
    (kind, hostile(), addresses, details).prop_map(|(kind, name, addresses, details)| {
        let mut keys = BTreeSet::new();
        let addresses = addresses
            .into_iter()
            .map(|(kind, value)| format!("{kind}:{value}").parse().unwrap())
            .filter(|address: &dirsync_directory::Address| keys.insert(address.comparison_key()))
            .collect();
        Record::from(&Entry { kind, name, addresses, details })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read(
        records in proptest::collection::vec((tame(), record()), 0..4),
        for_people: bool,
    ) {
        let rows: Vec<Row> = records
            .into_iter()
            .map(|(key, record)| ("NORTH/Hq & 1".parse().unwrap(), key, record))
            .collect();
        for (format, name) in FILES {
            let written = write(format, &rows, for_people);
            if written.is_empty() {
                continue;
            }
            let text = String::from_utf8(written.clone()).unwrap();
            let read = read(name, &written);
            prop_assert!(
                read.rejected.is_empty() && read.complete.is_ok(),
                "{:?} {:?}\n{}", read.rejected, read.complete, text
            );
            let found: Vec<Row> = read
                .rows
                .into_iter()
                .map(|row| (row.origin.unwrap(), row.key, row.record))
                .collect();
            prop_assert_eq!(&found, &rows, "{}:\n{}", format, text);
            prop_assert_eq!(write(format, &found, for_people), written);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        for (_, name) in FILES {
            let _ = read_with(name, &bytes, &Default::default());
        }
    }

    /// A good file with some bytes changed, removed or doubled does not cause a panic.
    #[test]
    fn damaged_files_never_panic(
        (key, record) in (tame(), record()),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        let rows = [("NORTH/HQ".parse().unwrap(), key, record)];
        for (format, name) in FILES {
            let mut bytes = write(format, &rows, false);
            for (index, byte, edit) in &edits {
                let at = index.index(bytes.len());
                match edit {
                    0 => bytes[at] = *byte,
                    1 => bytes.insert(at, *byte),
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.extend_from_within(at..),
                }
            }
            let _ = read_with(name, &bytes, &Default::default());
        }
    }

    /// Lines that programs write around cards, in any order.
    #[test]
    fn odd_cards_never_panic(
        lines in proptest::collection::vec(
            proptest::sample::select(vec![
                "BEGIN:VCARD", "END:VCARD", "VERSION:2.1", "VERSION:4.0", "FN:A\\", "FN:\\", "N:;;;", "N:\\;,",
                "TEL;TYPE=:", "TEL;TYPE=\"a,b\":\\n", "NOTE;ENCODING=QUOTED-PRINTABLE:=C3=", "=BC=",
                "NOTE;ENCODING=BASE64:\\==", " folded", "\t", "PHOTO;ENCODING=b:====", ".:", ";:", "a.:",
                "ORG:;\\", "KIND:\\", "AGENT:", "EMAIL;PREF=x:\\ ", "JSPROP;JSCOMPS=\"s,;1\":", "=", "\\",
                "REV:99999999999999999999T", "X-DIRSYNC-KEY:\\", "X-DIRSYNC-DETAIL:a", "UID:data:,%",
            ]),
            0..12,
        ),
        end in proptest::sample::select(vec!["\n", "\r\n", "\n "]),
    ) {
        let card = format!("BEGIN:VCARD{end}{}{end}END:VCARD\r\n", lines.join(end));
        read("a.vcf", card);
    }
}

/// Wherever a line is folded, the text after the fold never begins or ends a card.
#[test]
fn a_folded_value_begins_and_ends_no_card() {
    let mut rows: Vec<Row> = Vec::new();
    for shift in 0..80 {
        for word in ["BEGIN:VCARD", "END:VCARD", "AGENT:"] {
            let title = format!("{}{word}", "x".repeat(shift));
            let record = Record {
                kind: "mailbox".into(),
                name: "Ana".into(),
                addresses: format!("SMTP:{shift}@x.example"),
                details: format!("title/{title}\n"),
            };
            rows.push(("NORTH/HQ".parse().unwrap(), format!("{shift}{word}"), record));
        }
    }
    let read = read("a.vcf", write(TargetFormat::Vcard, &rows, false));
    assert!(read.rejected.is_empty() && read.complete.is_ok(), "{:?}", read.rejected);
    let found: Vec<&Record> = read.rows.iter().map(|row| &row.record).collect();
    assert_eq!(found, rows.iter().map(|(_, _, record)| record).collect::<Vec<_>>());
}

#[test]
fn an_export_is_the_same_bytes_everywhere() {
    let details = BTreeMap::from([
        ("telephoneNumber".parse().unwrap(), vec!["+1 206".into(), "007".into()]),
        ("title".parse().unwrap(), vec!["Pilot, \"first\"".into()]),
        ("x-floor".parse().unwrap(), vec!["2\n\u{1b}".into()]),
    ]);
    let addresses = vec!["SMTP:ana@n.example".parse().unwrap(), "X400:/c=BR".parse().unwrap()];
    let entry = Entry { kind: EntryKind::Contact, name: "Ana Örtel".into(), addresses, details };
    let rows = [("NORTH/HQ".parse().unwrap(), "4711".to_owned(), Record::from(&entry))];
    let written = |format, for_people| String::from_utf8(write(format, &rows, for_people)).unwrap();
    assert_eq!(
        written(TargetFormat::Csv, false),
        "origin,key,kind,name,address,aliases,telephoneNumber,title,x-floor\r\n\
         NORTH/HQ,4711,contact,Ana Örtel,SMTP:ana@n.example,X400:/c=BR,\"+1 206\n007\",\
         \"Pilot, \"\"first\"\"\",2\\n\u{1b}\r\n"
    );
    assert!(
        written(TargetFormat::Csv, true)
            .starts_with("\u{feff}Origin,Key,Kind,Name,Address,Aliases,tele")
    );
    assert_eq!(
        written(TargetFormat::Ldif, false),
        "version: 1\n\n\
         dn: uid=4711,o=NORTH/HQ\n\
         objectClass: mailRecipient\n\
         cn:: QW5hIMOWcnRlbA==\n\
         mail: ana@n.example\n\
         dirsyncOrigin: NORTH/HQ\n\
         dirsyncKey: 4711\n\
         dirsyncKind: contact\n\
         dirsyncAddress: SMTP:ana@n.example\n\
         dirsyncAddress: X400:/c=BR\n\
         telephoneNumber: +1 206\n\
         telephoneNumber: 007\n\
         title: Pilot, \"first\"\n\
         x-floor:: Mgob\n"
    );
    assert_eq!(
        written(TargetFormat::Vcard, false),
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:971a2e93-7adc-ea08-2787-7b319083c332\r\nFN:Ana Örtel\r\nN:;;;;\r\n\
         EMAIL;TYPE=INTERNET,PREF:ana@n.example\r\n\
         X-DIRSYNC-ORIGIN:NORTH/HQ\r\nX-DIRSYNC-KEY:4711\r\nX-DIRSYNC-KIND:contact\r\n\
         X-DIRSYNC-ADDRESS:SMTP:ana@n.example\r\nX-DIRSYNC-ADDRESS:X400:/c=BR\r\n\
         TEL;TYPE=VOICE,WORK:+1 206\r\nTEL;TYPE=VOICE,WORK:007\r\n\
         TITLE:Pilot\\, \"first\"\r\nX-DIRSYNC-DETAIL:x-floor/2\\\\n\\\\x1b\r\nEND:VCARD\r\n"
    );
}

/// `docs/failure-stories.md` §13: a value that a spreadsheet would run is neutralised in files for
/// people, and exact in files for machines.
#[test]
fn values_are_data_in_filters_and_spreadsheets() {
    let record = Record {
        kind: "mailbox".into(),
        name: "=cmd()".into(),
        addresses: "SMTP:a@b.example".into(),
        details: "info/'=kept\ntelephoneNumber/+1 206 555\ntitle/@x\n".into(),
    };
    let rows = [("NORTH/HQ".parse().unwrap(), "-1".to_owned(), record)];
    let people = String::from_utf8(write(TargetFormat::Csv, &rows, true)).unwrap();
    for neutral in [",'-1,", ",'=cmd(),", ",''=kept,", ",'+1 206 555,", ",'@x\r"] {
        assert!(people.contains(neutral), "{people}");
    }
    let exact = String::from_utf8(write(TargetFormat::Csv, &rows, false)).unwrap();
    assert!(exact.contains(",-1,") && exact.contains(",=cmd(),") && exact.contains(",'=kept,"));
    for text in [people, exact] {
        let read = read("a.csv", text);
        assert_eq!((&read.row(0).key, &read.row(0).record), (&rows[0].1, &rows[0].2));
    }
    let foreign = read("a.csv", "cn,mail,title\n'=x,a@x.example,+1 206\n");
    assert_eq!(foreign.row(0).record.name, "'=x", "other programs' apostrophes are theirs");
    assert_eq!(foreign.details(0), "title/+1 206\n");
}
