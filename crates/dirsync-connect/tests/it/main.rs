//! Files that are written can be read, and errors in files are reported.

mod csv;
mod generated;
mod ldif;
mod maps;
mod readers;
mod round_trip;
mod targets;
mod vcard;

use std::fs;
use std::path::PathBuf;

use dirsync_connect::{
    AddresslessRow, Format, Item, OpenError, OpenOptions, Private, ReadError, RejectedRow,
    SourceRow, open,
};

/// All items of a file.
struct Read {
    rows: Vec<SourceRow>,
    addressless: Vec<AddresslessRow>,
    rejected: Vec<RejectedRow>,
    notes: Vec<String>,
    complete: Result<(), ReadError>,
}

impl Read {
    fn row(&self, at: usize) -> &SourceRow {
        self.rows.get(at).unwrap_or_else(|| panic!("no row {at}: {:?}", self.rejected))
    }

    fn details(&self, at: usize) -> &str {
        &self.row(at).record.details
    }

    fn reasons(&self) -> Vec<&str> {
        self.rejected.iter().map(|row| row.reason.as_str()).collect()
    }

    fn has_note(&self, part: &str) -> bool {
        self.notes.iter().any(|note| note.contains(part))
    }
}

fn read_with(name: &str, content: &[u8], options: &OpenOptions) -> Result<Read, OpenError> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let mut source =
        open(fs::File::open(&path).unwrap(), &path, Format::of_path(&path).unwrap(), options)?;
    let mut read = Read {
        rows: vec![],
        addressless: vec![],
        rejected: vec![],
        notes: vec![],
        complete: Ok(()),
    };
    for item in &mut source {
        match item {
            Ok(Item::Row(row)) => read.rows.push(row),
            Ok(Item::WithoutAddress(row)) => read.addressless.push(row),
            Ok(Item::Rejected(row)) => read.rejected.push(row),
            Err(error) => read.complete = Err(error),
        }
    }
    assert!(source.next().is_none(), "a source that ended stays ended");
    read.notes = source.notes().to_vec();
    Ok(read)
}

fn read(name: &str, content: impl AsRef<[u8]>) -> Read {
    read_with(name, content.as_ref(), &OpenOptions::default()).unwrap()
}

#[test]
fn files_that_are_none_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let opened = fs::File::open(folder.path()).unwrap();
    let no_file = open(opened, folder.path(), Format::Ldif, &OpenOptions::default());
    let error = no_file.err().unwrap();
    assert!(matches!(error, OpenError::Io { .. }));
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    for name in ["a.csv", "a.ldif", "a.vcf"] {
        let empty = read_with(name, b"", &OpenOptions::default());
        assert!(matches!(empty, Err(OpenError::Empty { .. })), "{name}");
        let only_mark = read_with(name, b"\xef\xbb\xbf", &OpenOptions::default());
        assert!(matches!(only_mark, Err(OpenError::Empty { .. })), "{name}");
    }
    let no_rows = read("a.csv", "mail,cn\n");
    assert!(no_rows.rows.is_empty() && no_rows.complete.is_ok(), "a list of nobody is a list");
    let options = OpenOptions { encoding: Some("latin-9000".into()), ..OpenOptions::default() };
    let error = read_with("a.csv", b"mail,cn\n", &options).err().unwrap();
    assert!(error.to_string().contains("\"latin-9000\" is not an encoding"), "{error}");
}

/// A contact with a telephone number alone, and a row that is broken.
#[test]
fn a_row_without_an_address_is_no_entry_and_not_broken() {
    for (name, content, broken) in [
        ("a.csv", "key,cn,mail\n1,Ana,a@x\n2,Ben,\n,Carl,\n", "4,Dora\n"),
        ("a.csv", "cn,mail\nAna,a@x\nBen, \nCarl,\n", "Dora\n"),
        (
            "a.ldif",
            "dn: cn=a\ncn: Ana\nmail: a@x\n\ndn: cn=b\ncn: Ben\nobjectClass: person\n\ndn: cn=c\ncn: Carl\n\n",
            "dn: cn=d\ncn D\n",
        ),
        (
            "a.vcf",
            "BEGIN:VCARD\nFN:Ana\nEMAIL:a@x\nEND:VCARD\nBEGIN:VCARD\nUID:2\nFN:Ben\nEMAIL:\nEND:VCARD\n\
             BEGIN:VCARD\nFN:Carl\nTEL:1\nEND:VCARD\n",
            "stray\n",
        ),
    ] {
        let good = read(name, content);
        assert_eq!((good.rows.len(), good.rejected.len()), (1, 0), "{:?}", good.rejected);
        let names: Vec<_> = good.addressless.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["Ben", "Carl"]);
        let bad = read(name, format!("{content}{broken}"));
        assert_eq!((bad.addressless.len(), bad.rejected.len()), (2, 1), "{:?}", bad.rejected);
        assert!(bad.rejected[0].keyless);
    }
}

/// What is private in an address book stays out of the directory; our own files and maps say what they
/// contain.
#[test]
fn private_things_are_left_out_and_counted() {
    let files = [
        ("a.csv", "cn,mail,Home Phone,Notes,title\nAna,a@x,1,shy,Pilot\n"),
        ("a.ldif", "dn: cn=a\ncn: Ana\nmail: a@x\nhomePhone: 1\ninfo: shy\ntitle: Pilot\n"),
        (
            "a.vcf",
            "BEGIN:VCARD\nFN:Ana\nEMAIL:a@x\nTEL;HOME:1\nNOTE:shy\nTITLE:Pilot\nBDAY:\nADR;HOME:;;;;;;\nEND:VCARD\n",
        ),
    ];
    for (name, content) in files {
        let omitted = read(name, content);
        assert_eq!(omitted.details(0), "title/Pilot\n", "{name}");
        assert!(omitted.has_note("left out: 1 home telephone, 1 note;"), "{:?}", omitted.notes);
        let options = OpenOptions { private: Private::Keep, ..OpenOptions::default() };
        let kept = read_with(name, content.as_bytes(), &options).unwrap();
        assert_eq!(kept.details(0), "homePhone/1\ninfo/shy\ntitle/Pilot\n", "{name}");
    }
    let contact =
        "Name,E-mail 1 - Value,Birthday,Anniversary,Spouse\nAna,a@x,1970-01-31,2000-01-01,Ben\n";
    let omitted = read("a.csv", contact);
    assert_eq!(omitted.details(0), "");
    assert!(
        omitted.has_note("left out: 1 birthday, 1 anniversary, 1 spouse;"),
        "{:?}",
        omitted.notes
    );
    let bytes = b"BEGIN:VCARD\nFN:Ana\nEMAIL:a@x\nNOTE:\xff\nBDAY:\xff\nADR;HOME:\xff\nEND:VCARD\n";
    assert_eq!(read("a.vcf", bytes).rows.len(), 1, "bytes that nobody uses harm nobody");
    let options = OpenOptions { private: Private::Keep, ..OpenOptions::default() };
    let full = "BEGIN:VCARD\nFN:Ana\nEMAIL:a@x\nBDAY:1970-01-31\nX-MS-SPOUSE:Ben\nANNIVERSARY:20000101\n\
                ADR;TYPE=home:;;Pier 7;Lisbon;;1100;Portugal\nEND:VCARD\n";
    assert_eq!(
        read_with("a.vcf", full.as_bytes(), &options).unwrap().details(0),
        "anniversary/20000101\nbirthday/1970-01-31\nhomePostalAddress/Pier 7$Lisbon$1100$Portugal\nspouse/Ben\n"
    );
}

#[test]
fn home_addresses_of_address_books_are_private() {
    for (columns, row) in [
        (
            "First Name,Last Name,E-mail Address,Business Phone,Job Title,Home Street,Home City,Home State,Home Postal Code,Home Country/Region,Business City",
            "Ana,S,a@x,,,Gasse 7,Ulm,,89073,DE,Kiel",
        ),
        (
            "Name,E-mail 1 - Value,Address 1 - Label,Address 1 - Street,Address 1 - City,Address 1 - Region,Address 1 - Postal Code,Address 1 - Country,Address 2 - Label,Address 2 - Street",
            "Ana,a@x,* Home,Gasse 7,Ulm,,89073,DE,Work,Kai 1",
        ),
        (
            "cn,mail,Home Address,Home City,Home ZipCode,Home Country",
            "Ana,a@x,Gasse 7,Ulm,89073,DE",
        ),
    ] {
        let file = format!("{columns}\n{row}\n");
        let omitted = read("a.csv", &file);
        assert!(!omitted.details(0).contains("Gasse"), "{columns}: {}", omitted.details(0));
        assert!(!omitted.details(0).contains("Ulm"), "{columns}: {}", omitted.details(0));
        assert!(omitted.has_note("left out: 1 home address;"), "{:?}", omitted.notes);
        let options = OpenOptions { private: Private::Keep, ..OpenOptions::default() };
        let kept = read_with("a.csv", file.as_bytes(), &options).unwrap().details(0).to_owned();
        assert!(kept.contains("homePostalAddress/Gasse 7$Ulm$89073$DE\n"), "{columns}: {kept}");
    }
    let office = "Name,E-mail 1 - Value,Address 1 - Label,Address 1 - Street\nAna,a@x,Work,Kai 1\n";
    assert_eq!(read("a.csv", office).details(0), "street/Kai 1\n");
}

/// `docs/failure-stories.md` §10.
#[test]
fn foreign_text_formats_say_their_encoding() {
    let marked = read("a.csv", "\u{feff}mail,cn\nö@x.example,Örtel\n");
    assert_eq!(marked.row(0).record.name, "Örtel", "the mark is no part of a header");
    assert!(marked.has_note("encoding: UTF-8 (byte order mark)"));

    let latin = b"mail,cn\na@x.example,\xd6rtel\nb@x.example,Ben\n";
    let wrong = read("a.csv", latin);
    assert_eq!((wrong.rows.len(), wrong.rejected.len()), (1, 1));
    assert!(wrong.rejected[0].reason.contains("column 2 is not UTF-8"));
    assert_eq!((wrong.rejected[0].line, wrong.rejected[0].keyless), (2, true));
    let options = OpenOptions { encoding: Some("windows-1252".into()), ..OpenOptions::default() };
    let right = read_with("a.csv", latin, &options).unwrap();
    assert_eq!(right.row(0).record.name, "Örtel");
    assert!(right.has_note("encoding: windows-1252"));
    let header = read_with("a.csv", b"mail,Stra\xdfe\n", &OpenOptions::default()).err().unwrap();
    assert!(header.to_string().contains("not UTF-8 in column 2"), "{header}");

    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let text = "mail,cn\r\na@x.example,Örtel\r\n";
    assert_eq!(read("a.csv", utf16(&format!("\u{feff}{text}"))).row(0).record.name, "Örtel");
    let unmarked = read_with("a.csv", &utf16(text), &OpenOptions::default()).err().unwrap();
    assert!(unmarked.to_string().contains("utf-16le"), "{unmarked}");
    let big: Vec<u8> = "BEGIN:VCARD".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let error = read_with("a.vcf", &big, &OpenOptions::default()).err().unwrap();
    assert!(error.to_string().contains("say --encoding utf-16be"), "{error}");
    let mut broken = utf16("\u{feff}mail,cn\na@x.example,A");
    broken.extend_from_slice(&[0x00, 0xd8]);
    broken.extend(utf16("\nb@x.example,Ben\n"));
    let broken = read("a.csv", broken);
    assert_eq!((broken.rows.len(), broken.rejected.len()), (1, 1), "half a character is no text");

    let ldif =
        b"dn: cn=a\ncn: \xd6rtel\nmail: a@x.example\n\ndn: cn=b\ncn: Ben\nmail: b@x.example\n";
    let wrong = read("a.ldif", ldif);
    assert_eq!((wrong.rows.len(), wrong.rejected[0].line), (1, 2));
    assert!(wrong.rejected[0].reason.contains("cn is not UTF-8 from its byte 1 on"));
    assert_eq!(read_with("a.ldif", ldif, &options).unwrap().row(0).record.name, "Örtel");
}
