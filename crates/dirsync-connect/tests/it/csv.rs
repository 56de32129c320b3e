//! CSV files of other programs, maps, and errors in files.

use dirsync_connect::{Line, Map, OpenOptions, ReadError, Template};

use super::{read, read_with};

#[test]
fn exports_of_outlook_google_and_thunderbird_are_recognised() {
    let cases = [
        "\"Title\",\"First Name\",\"Last Name\",\"Company\",\"Job Title\",\"Business Phone\",\"E-mail Address\",\"E-mail 2 Address\"\r\n\
         \"Dr.\",\"Ana\",\"Souza\",\"\",\"Pilot\",\"+1 206\",\"ana@n.example\",\"a2@n.example\"\r\n",
        "First Name,Middle Name,Last Name,Organization Title,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value\n\
         Ana,,Souza,Pilot,x,Work,ana@n.example ::: a2@n.example,Work,+1 206\n",
        "Name,Given Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,E-mail 2 - Value,Phone 1 - Type,Phone 1 - Value,Organization 1 - Title\n\
         Ana Souza,Ana,Souza,* Work,ana@n.example,a2@n.example,Work,+1 206,Pilot\n",
        "First Name,Last Name,Display Name,Nickname,Primary Email,Secondary Email,Work Phone,Job Title\n\
         Ana,Souza,Ana Souza,,ana@n.example,a2@n.example,+1 206,Pilot\n",
        "mail\tMAIL\tsn\tgivenname\ttelephonenumber\ttitle\n\
         ana@n.example\ta2@n.example\tSouza\tAna\t+1 206\tPilot\n",
        "\"sn\";\"cn\";\"mail\";\"e-mail 2 address\";\"givenName\";\"telephoneNumber\";\"title\"\n\
         Souza;Ana Souza;ana@n.example;a2@n.example;Ana;+1 206;Pilot\n",
    ];
    for content in cases {
        let read = read("a.csv", content);
        let row = read.row(0);
        assert_eq!(row.record.name, "Ana Souza", "{content}");
        assert_eq!(row.record.addresses, "SMTP:ana@n.example\tSMTP:a2@n.example", "{content}");
        assert_eq!(
            row.record.details, "givenName/Ana\nsn/Souza\ntelephoneNumber/+1 206\ntitle/Pilot\n",
            "{content}"
        );
        assert_eq!((row.key.as_str(), row.derived_key), ("ana@n.example", true));
        assert!(read.has_note("no column is a key"));
        assert_eq!(row.record.as_ref().check(), Ok(()));
    }
}

#[test]
fn google_says_the_sort_of_a_number_elsewhere() {
    let content = "Name,E-mail 1 - Value,Phone 1 - Type,Phone 1 - Value,Phone 2 - Type,Phone 2 - Value\n\
                   A,a@x.example,Mobile,0171,Work Fax,030 ::: 031\n";
    assert_eq!(
        read("a.csv", content).details(0),
        "facsimileTelephoneNumber/030\nfacsimileTelephoneNumber/031\nmobile/0171\n"
    );
}

#[test]
fn keys_are_chosen_by_trust_and_unused_columns_are_named() {
    let read = read(
        "a.csv",
        "employeeNumber,objectGUID,cn,mail,shoe size,userPassword\n\
         007,{03020100-0504-0706-0809-0A0B0C0D0E0F},A,A@x.example,43,secret\n,,B,b@x.example,,\n",
    );
    assert_eq!(read.row(0).key, "03020100-0504-0706-0809-0a0b0c0d0e0f");
    assert!(!read.row(0).derived_key);
    assert_eq!(read.details(0), "employeeNumber/007\n");
    assert!(read.has_note("the key is the column \"objectGUID\""));
    assert!(read.has_note("columns that are not used: shoe size, userPassword"));
    assert_eq!(read.reasons(), ["the row has no key"], "no row falls back alone");
    let folded = read_mail_key("Ana@X.example");
    assert_eq!(folded, read_mail_key("ana@x.example"), "another writing is no other entry");
}

fn read_mail_key(mail: &str) -> String {
    read("a.csv", format!("cn,mail\nA,{mail}\n")).row(0).key.clone()
}

#[test]
fn an_organisation_without_a_person_has_its_name() {
    let content =
        "First Name,Last Name,Company,E-mail Address\n,,Acme,info@acme.example\n,,,x@y.example\n";
    let read = read("a.csv", content);
    assert_eq!(read.row(0).record.name, "Acme");
    assert_eq!(read.row(1).record.name, "x@y.example");
}

#[test]
fn a_row_that_does_not_fit_its_header_is_alone() {
    let content = "cn,mail,title\r\nA,a@x.example,x\r\nSmith, J,b@x.example,x\r\n\r\nC,c@x.example\r\n\
                   \"D\r\nE\",d@x.example,\r\nF,f@x.example,x,,\r\n,,\r\n\"G\",g@x.example,ö\r\n";
    let read = read("a.csv", content);
    let keys: Vec<_> = read.rows.iter().map(|row| (row.key.as_str(), row.line)).collect();
    assert_eq!(
        keys,
        [("a@x.example", 2), ("d@x.example", 6), ("f@x.example", 8), ("g@x.example", 10)]
    );
    let lines: Vec<_> = read.rejected.iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 5]);
    assert!(read.rejected[0].reason.contains("4 fields and the header has 3"));
    assert!(read.rejected.iter().all(|row| row.keyless), "nobody knows whom they stand for");
    assert_eq!(read.rejected[0].text, "Smith, J,b@x.example,x");
}

#[test]
fn a_quote_that_is_not_closed_makes_the_read_incomplete() {
    for tail in ["\"B,b@x.example\nC,c@x.example\n", "B,\"b@x", "B,\"b\"\"", "\"", "\"\n"] {
        let read = read("a.csv", format!("cn,mail\nA,a@x.example\n{tail}"));
        assert_eq!(read.rows.len(), 1, "{tail:?}");
        let error = read.complete.unwrap_err();
        assert!(matches!(error, ReadError::CutOff { line: 3, .. }), "{tail:?}: {error}");
    }
    let complete = read("a.csv", "cn,mail\nA,\"a@x.example\"");
    assert_eq!(complete.rows.len(), 1);
    assert!(complete.complete.is_ok(), "a last line without a line end is a line");
    let header = read_with("a.csv", b"cn,\"mail\nA,a@x\n", &OpenOptions::default());
    assert!(header.err().unwrap().to_string().contains("quote in the header"));
}

#[test]
fn a_row_has_a_limit() {
    let mut content = b"cn,mail\nA,a@x.example\n\"".to_vec();
    content.resize(40 * 1024 * 1024, b'x');
    let read = read("a.csv", content);
    assert_eq!(read.rows.len(), 1);
    let error = read.complete.unwrap_err().to_string();
    assert!(error.contains("longer than 16 MiB"), "{error}");
}

#[test]
fn blank_rows_are_many_and_nothing() {
    let content = format!("sep=;\r\ncn;mail\r\n{}A;a@x.example\r\n", ";\r\n".repeat(100_000));
    let read = read("a.csv", content);
    assert_eq!((read.rows.len(), read.row(0).line), (1, 100_003));
}

#[test]
fn files_without_a_subject_ask_for_a_map() {
    let error = read_with("a.csv", b"colour,size\nred,1\n", &OpenOptions::default()).err().unwrap();
    assert!(error.to_string().contains("its columns are colour, size; use a map"), "{error}");
}

fn congress_map() -> Map {
    let line = |texts: &[&str]| {
        texts.iter().map(|text| Template::parse(text).unwrap().into()).collect::<Line>()
    };
    let details = [
        ("telephoneNumber", "{phone}"),
        ("o", "United States {chamber}"),
        ("description", "{{{Party}}}"),
        ("title", "Member"),
    ];
    Map {
        key: line(&["{bioguide_id}"]),
        name: line(&["{first_name} {middle_name} {last_name}"]),
        address: line(&["SMTP:{mail}", "X-BIO:{bioguide_id}/{State }"]),
        kind: line(&["{kind}"]),
        details: details.map(|(name, text)| (name.parse().unwrap(), line(&[text]))).into(),
        ..Map::default()
    }
}

fn with_map() -> OpenOptions {
    OpenOptions { map: Some(congress_map()), ..OpenOptions::default() }
}

#[test]
fn a_map_makes_entries_of_any_columns() {
    let content = "bioguide_id,last_name,first_name,middle_name,PHONE,party,state,chamber,mail,kind\n\
                   A1,Souza,Ana,, +1 202 ,R,NY,,a@x.example,\n\
                   B2,\"O'Hara, Jr.\",Ben,X.,007,,,House,b@x.example,Contact\n";
    let read = read_with("a.csv", content.as_bytes(), &with_map()).unwrap();
    let (ana, ben) = (read.row(0), read.row(1));
    assert_eq!((ana.record.name.as_str(), ana.record.kind.as_str()), ("Ana Souza", "mailbox"));
    assert_eq!(ana.record.addresses, "SMTP:a@x.example\tX-BIO:A1/NY");
    assert_eq!(ana.record.details, "description/{R}\ntelephoneNumber/+1 202\ntitle/Member\n");
    assert_eq!(
        (ben.record.name.as_str(), ben.record.kind.as_str()),
        ("Ben X. O'Hara, Jr.", "contact")
    );
    assert_eq!(ben.record.addresses, "SMTP:b@x.example", "one with an empty column is left out");
    assert_eq!(ben.record.details, "o/United States House\ntelephoneNumber/007\ntitle/Member\n");
}

/// `docs/failure-stories.md` §1, the part of the reader: every row without a key is reported as one.
#[test]
fn rows_without_their_key_delete_nobody() {
    let mut content = String::from(
        "bioguide_id,last_name,first_name,middle_name,phone,party,state,chamber,mail,kind\n",
    );
    for number in 0..100 {
        let key = if number % 5 < 3 { String::new() } else { format!("B{number}") };
        content += &format!("{key},Name,First,,,R,NY,House,m{number}@x.example,\n");
    }
    let read = read_with("a.csv", content.as_bytes(), &with_map()).unwrap();
    assert!(read.complete.is_ok());
    assert_eq!((read.rows.len(), read.rejected.len()), (40, 60));
    assert!(read.rejected.iter().all(|row| row.keyless && row.reason == "the row has no key"));
    assert_eq!(read.rejected[0].line, 2);
    assert!(read.rejected[0].text.starts_with(",Name,First,"), "which row it is can be seen");
}

#[test]
fn a_map_that_names_a_missing_column_says_the_nearest() {
    let content = "bioguide,last_name,first_name,middle_name,phone,party,state,chamber,mail,kind\n";
    let error = read_with("a.csv", content.as_bytes(), &with_map()).err().unwrap();
    assert!(error.to_string().contains("did you mean \"bioguide\"?"), "{error}");
}

#[test]
fn a_wrong_value_keeps_its_row_and_its_key() {
    let content =
        "key,kind,name,address,mail\n1,robot,A,SMTP:a@x.example,\n2,,B,nonsense,\n3,,C,,\n";
    let read = read("a.csv", content);
    assert!(read.rejected.is_empty(), "{:?}", read.rejected);
    assert!(read.rows.iter().all(|row| row.record.as_ref().check().is_err()));
}

/// Half of a line end does not lead to a line 0.
#[test]
fn lines_are_counted_from_one() {
    let read = read("a.csv", "mail,cn\ra@x.example,\"A\nB\"\r\nb@x.example,B,C\r\n");
    let lines: Vec<u64> = read.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [1]);
    assert_eq!(read.rejected[0].line, 2);
}
