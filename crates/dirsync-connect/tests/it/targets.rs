//! Files for other programs, read by what knows nothing of this one.

use calcard::common::IanaString;
use calcard::vcard::{VCard, VCardValue, VCardVersion};
use dirsync_connect::{Omitted, TargetFormat, TargetOptions};
use dirsync_directory::{EntryId, Record};

use super::round_trip::{Row, written};

fn row(key: &str, kind: &str, name: &str, addresses: &str, details: &str) -> Row {
    let record = Record {
        kind: kind.into(),
        name: name.into(),
        addresses: addresses.into(),
        details: details.into(),
    };
    record.as_ref().check().unwrap();
    ("NORTH/HQ".parse().unwrap(), key.into(), record)
}

/// Two persons, a contact with one name and no mail address, and two lists, one of them in the other.
fn rows() -> Vec<Row> {
    vec![
        row(
            "1",
            "mailbox",
            "Souza, Ana \"Pilot\"",
            "SMTP:Ana@north.example\tSMTP:a2@north.example\tSMTP:a3@other.example\tX400:/c=BR",
            "department/Air\ngivenName/Ana\ninfo/one\\ntwo\nl/Kiel\nmobile/+49 170 1\no/North, Inc.\nsn/Souza\n\
             telephoneNumber/+49 431 1\ntelephoneNumber/+49 431 2\nx-floor/2\n",
        ),
        row("2", "resource", "=Room 7", "SMTP:room7@north.example", "telephoneNumber/5#1\n"),
        row("3", "contact", "Ünal", "X400:/c=TR", "title/Chief\ntitle/chief\n"),
        row(
            "4",
            "list",
            "Crew",
            "SMTP:crew@north.example\tSMTP:all@north.example",
            "member/DN:cn=x\nmember/SMTP:ROOM7@north.example\nmember/SMTP:a2@north.example\n\
             member/SMTP:ana@north.example\nmember/SMTP:gone+1@far.example\nmember/X400:/c=TR\n",
        ),
        row(
            "5",
            "list",
            "Everybody",
            "SMTP:everybody@north.example",
            "member/SMTP:crew@north.example\n",
        ),
    ]
}

fn text(options: TargetOptions) -> (String, Omitted) {
    let (bytes, omitted) = written(options, &rows());
    (String::from_utf8(bytes).unwrap(), omitted)
}

/// The header of a CSV file, and of each row the fields that are not empty, by their header.
fn table(text: &str) -> (Vec<String>, Vec<Vec<(String, String)>>) {
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let headers: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|record| {
        let record = record.unwrap();
        let fields = headers.iter().zip(record.iter()).filter(|(_, field)| !field.is_empty());
        fields.map(|(header, field)| (header.clone(), field.to_owned())).collect()
    });
    let rows = rows.collect();
    (headers, rows)
}

fn fields(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(header, field)| ((*header).to_owned(), (*field).to_owned())).collect()
}

/// The headers as these programs export and document them.
#[test]
fn contact_files_have_the_documented_headers() {
    for (format, documented) in [
        (TargetFormat::Outlook, include_str!("headers/outlook.csv")),
        (TargetFormat::Google, include_str!("headers/google.csv")),
        (TargetFormat::Thunderbird, include_str!("headers/thunderbird.csv")),
    ] {
        let (headers, _) = table(&text(TargetOptions::new(format)).0);
        let documented: Vec<&str> = documented.trim_end().split(',').collect();
        assert_eq!(headers, documented, "{format}");
    }
}

#[test]
fn outlook_gets_names_addresses_and_numbers_in_its_columns() {
    let (text, omitted) = text(TargetOptions::new(TargetFormat::Outlook));
    assert!(text.starts_with('\u{feff}'), "Outlook takes a file without the mark for windows-1252");
    let (_, rows) = table(&text);
    assert_eq!(
        rows[0],
        fields(&[
            ("First Name", "Ana"),
            ("Last Name", "Souza"),
            ("E-mail Address", "Ana@north.example"),
            ("E-mail 2 Address", "a2@north.example"),
            ("E-mail 3 Address", "a3@other.example"),
            ("Business Phone", "+49 431 1"),
            ("Business Phone 2", "+49 431 2"),
            ("Mobile Phone", "+49 170 1"),
            ("Department", "Air"),
            ("Company", "North, Inc."),
            ("Business City", "Kiel"),
            ("Notes", "one\ntwo"),
        ])
    );
    assert_eq!(
        rows[1],
        fields(&[
            ("First Name", "=Room 7"),
            ("E-mail Address", "room7@north.example"),
            ("Business Phone", "5#1"),
        ])
    );
    assert_eq!(rows.len(), 5, "an entry without a mail address is a contact, too");
    // The X.400 addresses and the floor; the two lists.
    assert_eq!(omitted, Omitted { entries: 0, values: 3, members: 7 });
}

#[test]
fn google_gets_several_values_in_one_column() {
    let (text, omitted) = text(TargetOptions::new(TargetFormat::Google));
    let (_, rows) = table(&text);
    assert_eq!(
        rows[0],
        fields(&[
            ("First Name", "Ana"),
            ("Last Name", "Souza"),
            ("File As", "Souza, Ana \"Pilot\""),
            ("Organization Name", "North, Inc."),
            ("Organization Department", "Air"),
            ("Notes", "one\ntwo"),
            ("E-mail 1 - Label", "Work"),
            ("E-mail 1 - Value", "Ana@north.example"),
            ("E-mail 2 - Label", "Work"),
            ("E-mail 2 - Value", "a2@north.example ::: a3@other.example"),
            ("Phone 1 - Label", "Work"),
            ("Phone 1 - Value", "+49 431 1 ::: +49 431 2"),
            ("Phone 2 - Label", "Mobile"),
            ("Phone 2 - Value", "+49 170 1"),
            ("Address 1 - Label", "Work"),
            ("Address 1 - City", "Kiel"),
        ])
    );
    assert_eq!(omitted, Omitted { entries: 0, values: 3, members: 7 });
}

#[test]
fn thunderbird_gets_the_display_name() {
    let (text, omitted) = text(TargetOptions::new(TargetFormat::Thunderbird));
    let (_, rows) = table(&text);
    assert_eq!(rows[0][2], ("Display Name".into(), "Souza, Ana \"Pilot\"".into()));
    assert_eq!(rows[2], fields(&[("Display Name", "Ünal"), ("Job Title", "Chief; chief")]));
    // A third mail address and a second telephone number have no column.
    assert_eq!(omitted, Omitted { entries: 0, values: 5, members: 7 });
}

/// A program that imports the file gets exact values; a person who opens it in a spreadsheet gets none
/// that runs.
#[test]
fn contact_files_run_no_formula_for_people() {
    for format in [TargetFormat::Outlook, TargetFormat::Google, TargetFormat::Thunderbird] {
        let exact = table(&text(TargetOptions::new(format)).0);
        let options = TargetOptions { for_people: true, ..TargetOptions::new(format) };
        let (people, _) = text(options);
        assert!(people.starts_with('\u{feff}'));
        let (headers, rows) = table(&people);
        assert_eq!(headers, exact.0, "the program knows them still");
        let values = || rows.iter().flatten().map(|(_, value)| value.as_str());
        assert!(values().any(|value| value == "'=Room 7"));
        assert!(values().all(|value| !value.starts_with(['=', '+', '-', '@'])), "{people}");
    }
}

fn id(key: &str) -> EntryId {
    EntryId::derive(&"NORTH/HQ".parse().unwrap(), key)
}

#[test]
fn ldif_below_a_base_has_the_attributes_of_the_standards_alone() {
    let base = Some("ou=People,dc=example,dc=org".to_owned());
    let options = TargetOptions { base, ..TargetOptions::new(TargetFormat::Ldif) };
    let (text, omitted) = text(options.clone());
    let records: Vec<&str> = text.split("\n\n").map(str::trim_end).collect();
    let dn = |key: &str| format!("uid={},ou=People,dc=example,dc=org", id(key));
    let unfolded = |record: &str| record.replace("\n ", "");
    assert_eq!(
        unfolded(records[1]),
        format!(
            "dn: {}\nobjectClass: inetOrgPerson\nuid: {}\ncn: =Room 7\ndisplayName: =Room 7\n\
             mail: room7@north.example\nsn: =Room 7",
            dn("2"),
            id("2")
        )
    );
    assert!(records[2].ends_with("title: Chief\nsn:: w5xuYWw="), "one of two equal values: {text}");
    let crew = unfolded(records[3]);
    let tail = format!(
        "mail: crew@north.example\nmail: all@north.example\nmember: {}\nmember: {}\nmember: {}",
        dn("2"),
        dn("1"),
        dn("3")
    );
    assert!(crew.ends_with(&tail), "{crew}");
    assert!(unfolded(records[4]).ends_with(&format!("member: {}", dn("4"))), "{text}");
    assert!(!text.contains("dirsync") && !text.contains("x-floor"), "{text}");
    // Two X.400 addresses, the floor, and a telephone number with a character that none may have; whom
    // nobody knows.
    assert_eq!(omitted, Omitted { entries: 0, values: 4, members: 2 });

    let (ours, _) = self::text(TargetOptions { dirsync: true, ..options });
    assert!(ours.contains("\ndirsyncKey: 4\n") && ours.contains("\ndirsyncAddress: X400:/c=TR\n"));
}

/// `calcard` reads the cards of both versions.
#[test]
fn lists_are_groups_in_cards() {
    let of = |format| {
        let (text, _) = text(TargetOptions::new(format));
        let cards = text.split_inclusive("END:VCARD\r\n").map(|card| VCard::parse(card).unwrap());
        cards.collect::<Vec<_>>()
    };
    let texts = |card: &VCard, name: &str| -> Vec<String> {
        let entries = card.entries.iter().filter(|entry| entry.name.as_str() == name);
        let values = entries.filter_map(|entry| match entry.values.first()? {
            VCardValue::Text(text) => Some(text.clone()),
            VCardValue::Kind(kind) => Some(kind.as_str().to_owned()),
            _ => None,
        });
        values.collect()
    };
    let urn = |key: &str| {
        let id = id(key).to_string();
        let parts = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]];
        format!("urn:uuid:{}", parts.join("-"))
    };
    let four = of(TargetFormat::Vcard4);
    assert!(four.iter().all(|card| card.version() == Some(VCardVersion::V4_0)));
    assert_eq!(texts(&four[0], "KIND"), [""; 0]);
    assert_eq!(
        texts(&four[0], "EMAIL"),
        ["Ana@north.example", "a2@north.example", "a3@other.example"]
    );
    assert_eq!(texts(&four[3], "KIND"), ["GROUP"], "calcard writes its own word");
    let members = [urn("2"), urn("1"), "mailto:gone+1@far.example".to_owned(), urn("3")];
    assert_eq!(texts(&four[3], "MEMBER"), members);
    assert_eq!(texts(&four[1], "UID"), [urn("2")]);

    let three = of(TargetFormat::Vcard);
    assert_eq!(texts(&three[3], "X-ADDRESSBOOKSERVER-KIND"), ["group"]);
    // Apple names cards alone.
    let members = [urn("2"), urn("1"), urn("3")];
    assert_eq!(texts(&three[3], "X-ADDRESSBOOKSERVER-MEMBER"), members);
    assert_eq!(texts(&three[1], "UID"), [urn("2").replace("urn:uuid:", "")]);
}

#[test]
fn a_table_of_aliases_leads_to_primary_addresses_and_members() {
    let domains = vec!["North.example".into(), "other.example".into()];
    let options = TargetOptions { domains, ..TargetOptions::new(TargetFormat::PostfixVirtual) };
    let (text, omitted) = text(options);
    assert_eq!(
        text.lines().skip(1).collect::<Vec<_>>(),
        [
            "a2@north.example Ana@north.example",
            "a3@other.example Ana@north.example",
            "crew@north.example ROOM7@north.example, a2@north.example, ana@north.example, \
             gone+1@far.example",
            "all@north.example crew@north.example",
            "everybody@north.example crew@north.example",
        ]
    );
    assert_eq!(omitted, Omitted { entries: 1, values: 0, members: 2 });
}

#[test]
fn a_table_of_recipients_has_each_address_of_its_domains() {
    let domains = vec!["north.example".into()];
    let format = TargetFormat::PostfixRelayRecipient;
    let (text, omitted) = text(TargetOptions { domains, ..TargetOptions::new(format) });
    assert_eq!(
        text.lines().skip(1).collect::<Vec<_>>(),
        [
            "ana@north.example OK",
            "a2@north.example OK",
            "room7@north.example OK",
            "crew@north.example OK",
            "all@north.example OK",
            "everybody@north.example OK",
        ]
    );
    assert_eq!(omitted, Omitted { entries: 1, values: 0, members: 0 });
}
