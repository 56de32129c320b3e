//! vCards as telephones and mail programs write them.

use calcard::vcard::VCardProperty;
use dirsync_connect::{OpenOptions, ReadError, TargetFormat};
use dirsync_directory::Record;

use super::{read, read_with};

#[test]
fn all_three_versions_are_read() {
    let cards = [
        "BEGIN:VCARD\r\nVERSION:2.1\r\nUID:7\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=96rtel;Ana=\r\n\
         ;;;\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Ana =\r\n=C3=96rtel\r\n\
         TEL;CELL:+1 206\r\nTEL;WORK;FAX:007\r\nEMAIL;INTERNET:b@x.example\r\nEMAIL;PREF;INTERNET:a@x.example\r\n\
         ORG:Acme;Sales\r\nPHOTO;ENCODING=BASE64;JPEG:\r\n /9j/4AAQ\r\n SkZJRg==\r\n\r\nEND:VCARD\r\n",
        "begin:vcard\nVERSION:3.0\nUID:7\nN:Örtel;Ana;;;\nFN:Ana Örtel\nitem1.TEL;TYPE=cell:+1 206\nTEL;TYPE=WORK,FAX:007\n\
         EMAIL;TYPE=INTERNET:b@x.example\nEMAIL;TYPE=INTERNET,PREF:a@x.example\nORG:Acme;Sales\nend:vcard\n",
        "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:7\r\nN:Örtel;Ana;;;\r\nFN:Ana\r\n  Örtel\r\nTEL;VALUE=uri;TYPE=\"voice,cell\":tel:+1 206\r\n\
         TEL;TYPE=fax:007\r\nEMAIL:b@x.example\r\nEMAIL;PREF=1:a@x.example\r\nORG:Acme;Sales\r\nEND:VCARD\r\n",
    ];
    for card in cards {
        let read = read("a.vcf", card);
        let row = read.row(0);
        assert_eq!((row.record.name.as_str(), row.key.as_str()), ("Ana Örtel", "7"), "{card}");
        assert_eq!(
            row.record.details,
            "department/Sales\nfacsimileTelephoneNumber/007\ngivenName/Ana\nmobile/+1 206\no/Acme\nsn/Örtel\n",
            "{card}"
        );
        assert_eq!(row.record.addresses, "SMTP:a@x.example\tSMTP:b@x.example", "{card}");
    }
}

#[test]
fn a_character_that_a_fold_cut_in_half_is_whole() {
    let card =
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:7\r\nFN:Ana \u{d6}rtel\r\nEMAIL:a@x\r\nEND:VCARD\r\n";
    let at = card.find('\u{d6}').unwrap() + 1;
    let folded = [&card.as_bytes()[..at], b"\r\n ", &card.as_bytes()[at..]].concat();
    assert_eq!(read("a.vcf", folded).row(0).record.name, "Ana Örtel");
    let wrong = card.replace("\u{d6}", "?").into_bytes();
    let wrong: Vec<u8> =
        wrong.into_iter().map(|byte| if byte == b'?' { 0xd6 } else { byte }).collect();
    let read = read("a.vcf", wrong);
    assert!(
        read.rejected[0].reason.starts_with("FN on line 4 is not UTF-8"),
        "{:?}",
        read.rejected
    );
}

#[test]
fn version_2_folds_before_a_blank_that_stays() {
    let card =
        "BEGIN:VCARD\r\nVERSION:2.1\r\nUID:7\r\nFN:Ana\r\n Souza\r\nEMAIL:a@x\r\nEND:VCARD\r\n";
    assert_eq!(read("a.vcf", card).row(0).record.name, "Ana Souza");
}

#[test]
fn a_broken_card_is_alone() {
    let good =
        |key: u8| format!("BEGIN:VCARD\nVERSION:3.0\nUID:{key}\nFN:A\nEMAIL:a{key}@x\nEND:VCARD\n");
    let bad = [
        ("BEGIN:VCARD\nVERSION:3.0\nFN:B\n", "no END:VCARD"),
        ("stray\ntext\n", "BEGIN:VCARD is expected"),
        ("END:VCARD\n", "BEGIN:VCARD is expected"),
        (
            "BEGIN:VCARD\nVERSION:3.0\nUID:b\nEMAIL:b@x\nX-DIRSYNC-ORIGIN:NORTH\nEND:VCARD\n",
            "X-DIRSYNC-ORIGIN",
        ),
        ("BEGIN:VCARD\nVERSION:3.0\nX-DIRSYNC-KEY:\\\\q\nEND:VCARD\n", "wrong escape"),
    ];
    for (card, reason) in bad {
        let read = read("a.vcf", format!("{}{card}{}", good(1), good(2)));
        assert_eq!(read.rows.len(), 2, "{card}");
        assert_eq!((read.rejected.len(), read.rejected[0].line), (1, 7), "{card}");
        assert!(read.rejected[0].reason.contains(reason), "{:?}", read.rejected);
        assert!(read.rejected[0].keyless && !read.rejected[0].text.is_empty());
        assert_eq!(read.row(1).line, 7 + card.lines().count() as u64);
    }
}

#[test]
fn a_card_that_is_cut_off_ends_the_read() {
    let read = read(
        "a.vcf",
        "BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:A\nEMAIL:a@b\nEND:VCARD\nBEGIN:VCARD\nUID:2\n",
    );
    assert_eq!(read.rows.len(), 1);
    assert!(matches!(read.complete, Err(ReadError::CutOff { line: 7, .. })));
}

#[test]
fn an_agents_card_is_part_of_its_card() {
    let card = "BEGIN:VCARD\nVERSION:2.1\nUID:1\nFN:A\nEMAIL:a@b\nAGENT:\nBEGIN:VCARD\nFN:B\nEND:VCARD\nEND:VCARD\n";
    let read = read("a.vcf", card);
    assert_eq!((read.rows.len(), read.rejected.len()), (1, 0), "{:?}", read.rejected);
    assert_eq!(read.row(0).record.name, "A");
}

#[test]
fn cards_without_a_key_and_groups() {
    let read = read(
        "a.vcf",
        "BEGIN:VCARD\nVERSION:4.0\nN:Souza;Ana;;;\nEMAIL:Ana@x.example\nEND:VCARD\n\n\
         BEGIN:VCARD\nVERSION:4.0\nKIND:group\nUID:urn:uuid:6BA7B810-9DAD-11D1-80B4-00C04FD430C8\nFN:All\n\
         EMAIL:all@x.example\nMEMBER:mailto:ana@x.example\nEND:VCARD\n",
    );
    let (ana, all) = (read.row(0), read.row(1));
    assert_eq!((ana.key.as_str(), ana.derived_key), ("ana@x.example", true));
    assert_eq!(ana.record.name, "Ana Souza");
    assert_eq!(all.key, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    assert_eq!(
        (all.record.kind.as_str(), all.record.details.as_str()),
        ("list", "member/SMTP:ana@x.example\n")
    );
    assert!(read.has_note("1 card has no UID"));
}

#[test]
fn bytes_that_nobody_uses_harm_no_card() {
    let card = |photo: &[u8]| {
        let (start, end) = ("BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:A\n", "\nEMAIL:a@x\nEND:VCARD\n");
        [start.as_bytes(), photo, end.as_bytes()].concat()
    };
    for photo in [
        &b"PHOTO:\xff\xd8\xff\xe0\n\x00\xfe;:\n\n\xff"[..],
        b"X-\xd6:\xd6",
        b"PHOTO;BASE64:/9j/\nAAAA\n\n",
    ] {
        let read = read("a.vcf", card(photo));
        assert_eq!((read.rows.len(), read.rejected.len()), (1, 0), "{:?}", read.rejected);
        assert_eq!(read.row(0).record.addresses, "SMTP:a@x");
    }
}

/// With `--encoding` the plain values of a file have that encoding, and those that state another have that.
#[test]
fn a_value_with_a_charset_keeps_it_in_a_file_with_another() {
    let card = b"BEGIN:VCARD\nVERSION:2.1\nFN:\xd6rtel\nTITLE;CHARSET=UTF-8:\xc3\x84\n\
                 ORG;QUOTED-PRINTABLE:=DC\nEMAIL:a@x\nEND:VCARD\n";
    let options = OpenOptions { encoding: Some("windows-1252".into()), ..OpenOptions::default() };
    let read = read_with("a.vcf", card, &options).unwrap();
    assert_eq!(read.row(0).record.name, "Örtel", "{:?}", read.rejected);
    assert_eq!(read.details(0), "o/Ü\ntitle/Ä\n");
    let text = "\u{feff}BEGIN:VCARD\nFN;CHARSET=windows-1252:Örtel\nEMAIL:a@x\nEND:VCARD\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(super::read("a.vcf", utf16).row(0).record.name, "Örtel", "converted already");
}

#[test]
fn a_company_has_its_name() {
    let read = read(
        "a.vcf",
        "BEGIN:VCARD\nVERSION:3.0\nN:;;;;\nFN:\nORG:Acme\\, Inc.;\nEMAIL:i@acme.example\nX-ABShowAs:COMPANY\n\
         END:VCARD\n",
    );
    assert_eq!(read.row(0).record.name, "Acme, Inc.");
}

/// As Apple's address book exports a group: after or before its members, in vCard 3.0.
#[test]
fn groups_of_apples_address_book_come_in_with_their_members() {
    let ana = "BEGIN:VCARD\r\nVERSION:3.0\r\nPRODID:-//Apple Inc.//macOS 14.0//EN\r\nN:Souza;Ana;;;\r\n\
               FN:Ana Souza\r\nitem1.EMAIL;type=INTERNET;type=pref:ana@n.example\r\n\
               item1.X-ABLabel:_$!<Work>!$_\r\nUID:6BA7B810-9DAD-11D1-80B4-00C04FD430C8\r\nEND:VCARD\r\n";
    let group = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Sailors\r\nFN:Sailors\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n\
                 X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:6BA7B810-9DAD-11D1-80B4-00C04FD430C8\r\n\
                 X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:00000000-9DAD-11D1-80B4-00C04FD430C8\r\n\
                 UID:5F3F0D0A-1111-2222-3333-444444444444:ABGroup\r\nEND:VCARD\r\n";
    for cards in [[ana, group], [group, ana]] {
        let read = read("a.vcf", cards.concat());
        assert_eq!((read.rows.len(), read.rejected.len()), (2, 0), "{:?}", read.rejected);
        let list = &read.row(1).record;
        assert_eq!((list.kind.as_str(), list.name.as_str()), ("list", "Sailors"));
        assert_eq!(list.addresses, "LIST:Sailors", "it has no mail address");
        assert!(list.details.contains("member/SMTP:ana@n.example\n"), "{}", list.details);
        assert!(list.details.contains("member/URN:uuid:00000000-9dad-11d1-80b4-00c04fd430c8\n"));
        assert_eq!(list.as_ref().check(), Ok(()));
        assert_eq!(read.row(1).key, "5f3f0d0a-1111-2222-3333-444444444444");
        assert!(read.has_note("1 member is known by its UID only"), "{:?}", read.notes);
    }
}

/// `calcard` knows nothing of this program.
#[test]
fn another_reader_finds_the_names_and_addresses_of_our_cards() {
    let record = Record {
        kind: "mailbox".into(),
        name: "Örtel, Ana; \\\\ Pilot".into(),
        addresses: "SMTP:ana@n.example\tSMTP:a2@n.example".into(),
        details: "mobile/+1 206\n".into(),
    };
    let rows = [("NORTH/HQ".parse().unwrap(), "1".to_owned(), record)];
    let written =
        String::from_utf8(super::round_trip::write(TargetFormat::Vcard, &rows, false)).unwrap();
    let card = calcard::vcard::VCard::parse(&written).unwrap();
    let texts = |property: &VCardProperty| -> Vec<String> {
        let texts = card.properties(property).filter_map(|entry| entry.values.first()?.as_text());
        texts.map(str::to_owned).collect()
    };
    assert_eq!(texts(&VCardProperty::Fn), ["Örtel, Ana; \\ Pilot"]);
    assert_eq!(texts(&VCardProperty::Email), ["ana@n.example", "a2@n.example"]);
    assert_eq!(texts(&VCardProperty::Tel), ["+1 206"]);
}
