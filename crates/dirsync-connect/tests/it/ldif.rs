//! LDIF files of directory servers and address books.

use dirsync_connect::{OpenOptions, Private, ReadError};

use super::{read, read_with};

/// `docs/failure-stories.md` §10, the part that needs no slapd.
#[test]
fn dn_and_binary_values_survive() {
    let read = read(
        "a.ldif",
        "version: 1\r\n\r\n\
         dn: cn=\"Doe\\, John\",o=x\r\nobjectClass: user\r\ncn: Doe, John\r\n\
         objectGUID:: AAECCgQFBgcICQoLDA0ODw==\r\nmail: j@x.example\r\n\
         title:: ICBvdXRlciBibGFua3MgIA==\r\ntitle;lang-fr: Pilote\r\ntelephoneNumber:  +1 206\r\n\
         userPassword: secret\r\njpegPhoto:: /9j/\r\nobjectSid:: AQUAAAAAAAU=\r\n\
         x-blob:: /////w==\r\nuserCertificate;binary:: MIIB\r\nmsExchHomeServerName: x\r\n\r\n\
         dn: cn=list,o=x\r\nobjectClass: groupOfNames\r\ncn: All\r\n  sail\r\n ors\r\n\
         entryUUID: 6BA7B810-9DAD-11D1-80B4-00C04FD430C8\r\n\
         proxyAddresses: smtp:b@x.example\r\nproxyAddresses: SMTP:a@x.example\r\n# note\r\n  more\r\n\
         member: cn=Ana\\, B,mail=ana@x.example\r\nmember: cn=Ben,o=x\r\n",
    );
    assert!(read.rejected.is_empty(), "{:?}", read.rejected);
    assert!(read.complete.is_ok());
    let (john, list) = (read.row(0), read.row(1));
    assert_eq!(john.key, "0a020100-0504-0706-0809-0a0b0c0d0e0f");
    assert_eq!(john.record.name, "Doe, John");
    assert_eq!(
        john.record.details,
        "telephoneNumber/+1 206\ntitle/  outer blanks  \ntitle;lang-fr/Pilote\n"
    );
    assert_eq!((list.record.kind.as_str(), list.line), ("list", 18));
    assert_eq!(list.record.name, "All sailors");
    assert_eq!(list.key, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    assert_eq!(list.record.addresses, "SMTP:a@x.example\tSMTP:b@x.example");
    assert_eq!(list.record.details, "member/DN:cn=Ben,o=x\nmember/SMTP:ana@x.example\n");
    assert!(read.has_note("4 binary values left out"), "{:?}", read.notes);
    assert!(
        read.has_note("attributes that are not used: msexchhomeservername"),
        "{:?}",
        read.notes
    );
    assert!(read.has_note("1 member is known by the distinguished name"));
}

#[test]
fn a_bad_record_is_alone() {
    let good = |name: &str| format!("dn: cn={name}\ncn: {name}\nmail: {name}@x.example\n\n");
    let bad = [
        ("dn: cn=x\ncn:< file:///etc/passwd\n\n", 2, "is a URL"),
        ("dn: cn=x\nchangetype: delete\n\n", 2, "a change of type delete"),
        (
            "dn: cn=x\nchangetype: modify\nreplace: mail\nmail: a\n-\n\n",
            2,
            "a change of type modify",
        ),
        ("dn: cn=x\nchangetype: moddn\nnewrdn: cn=y\n\n", 2, "a change of type moddn"),
        ("dn: cn=x\ncn:: QUJ*\nmail: x@x.example\n\n", 2, "not base64"),
        ("dn: cn=x\ncn X\nmail: x@x.example\n\n", 2, "not ATTRIBUTE"),
        ("cn: X\nmail: x@x.example\n\n", 1, "does not begin with its dn"),
        ("dn: cn=x\nmail: x@x\nmember;range=0-1499: cn=a\n\n", 3, "only the members 0-1499"),
        (" x\ndn: cn=x\n\n", 1, "not ATTRIBUTE"),
    ];
    for (record, line, reason) in bad {
        let read = read("a.ldif", format!("{}{record}{}", good("a"), good("b")));
        assert_eq!(read.rows.len(), 2, "{record}");
        assert_eq!(read.rejected[0].line, 4 + line, "{record} {:?}", read.rejected);
        assert!(read.rejected[0].reason.contains(reason), "{:?}", read.rejected);
        assert!(read.rejected[0].keyless && !read.rejected[0].text.is_empty());
    }
    let added =
        read("a.ldif", "dn: cn=a\ncontrol: 1.2.3 true\nchangetype: add\ncn: A\nmail: a@x\n");
    assert_eq!(added.row(0).record.name, "A");
}

/// As Thunderbird writes its address book: a person with two addresses, and a list, which has none.
#[test]
fn thunderbirds_people_and_lists_come_in() {
    let content = "dn: cn=Ana Souza,mail=ana@n.example\nobjectclass: top\nobjectclass: person\n\
        objectclass: organizationalPerson\nobjectclass: inetOrgPerson\nobjectclass: mozillaAbPersonAlpha\n\
        givenName: Ana\nsn: Souza\ncn: Ana Souza\nmail: ana@n.example\nmozillaSecondEmail: a2@n.example\n\
        modifytimestamp: 1700000000\ntelephoneNumber: +1 206\nhomePhone: 1\nmozillaHomeStreet: Pier 7\n\
        mozillaHomeLocalityName: Lisbon\nbirthyear: 1970\nbirthmonth: 1\nbirthday: 31\ndescription: afraid of cats\n\
        mozillaWorkUrl: http://n.example\n\n\
        dn: cn=Sailors\nobjectclass: top\nobjectclass: groupOfNames\ncn: Sailors\nmozillaNickname: s\n\
        member: cn=Ana Souza,mail=ana@n.example\n\n";
    let with = |private| {
        let options = OpenOptions { private, ..OpenOptions::default() };
        read_with("a.ldif", content.as_bytes(), &options).unwrap()
    };
    let omitted = with(Private::Omit);
    assert!(omitted.rejected.is_empty(), "{:?}", omitted.rejected);
    let (ana, list) = (omitted.row(0), omitted.row(1));
    assert_eq!(ana.record.addresses, "SMTP:ana@n.example\tSMTP:a2@n.example");
    let public = "givenName/Ana\nlabeledURI/http://n.example\nsn/Souza\ntelephoneNumber/+1 206\n";
    assert_eq!(ana.record.details, public);
    assert_eq!(
        (list.key.as_str(), list.record.addresses.as_str()),
        ("list:sailors", "LIST:Sailors")
    );
    assert_eq!(list.record.details, "member/SMTP:ana@n.example\n");
    assert!(
        omitted.has_note(
            "left out: 1 home telephone, 1 home address, 1 birthday, 1 note; --private keep"
        ),
        "{:?}",
        omitted.notes
    );
    let kept = with(Private::Keep);
    assert_eq!(
        kept.details(0),
        "birthday/1970-01-31\ngivenName/Ana\nhomePhone/1\nhomePostalAddress/Pier 7$Lisbon\ninfo/afraid of cats\n\
         labeledURI/http://n.example\nsn/Souza\ntelephoneNumber/+1 206\n"
    );
    assert!(!kept.has_note("private"));
}

#[test]
fn what_stands_for_nobody_is_counted() {
    let read = read(
        "a.ldif",
        "dn: dc=x\nobjectClass: dcObject\nobjectClass: organization\no: X\n\n\
         dn: ou=y\nobjectClass: organizationalUnit\nou: y\n\n\
         dn: cn=pc\nobjectClass: user\nobjectClass: computer\nmail: pc@x\n\n\
         dn: cn=c\nobjectClass: person\nobjectClass: contact\ndisplayName: C\nmail: c@x\n\n\
         dn: cn=d\nobjectClass: device\nemployeeNumber: 007\ngivenName: D\nsn: E\nmail: d@x\n",
    );
    assert!(read.rejected.is_empty());
    assert_eq!((read.row(0).record.kind.as_str(), read.row(0).derived_key), ("contact", true));
    assert_eq!((read.row(1).record.kind.as_str(), read.row(1).key.as_str()), ("resource", "007"));
    assert_eq!(read.row(1).record.name, "D E");
    assert!(read.has_note("3 records left out"), "{:?}", read.notes);
    assert!(read.has_note("1 record has no entryUUID"), "{:?}", read.notes);
}

#[test]
fn a_last_line_without_its_end_makes_the_read_incomplete() {
    let read =
        read("a.ldif", "dn: cn=a\ncn: A\nmail: a@x\n\ndn: cn=b\ncn: B\nmail: b@x\nmobile: +1 20");
    assert_eq!(read.rows.len(), 1);
    assert!(matches!(read.complete, Err(ReadError::CutOff { line: 8, .. })));
}

#[test]
fn a_record_has_a_limit_and_the_next_goes_on() {
    let long = "x".repeat(5 * 1024 * 1024);
    let read = read("a.ldif", format!("dn: cn=a\ninfo: {long}\n\ndn: cn=b\ncn: B\nmail: b@x\n"));
    assert_eq!((read.rows.len(), read.rejected.len()), (1, 1));
    assert!(read.rejected[0].reason.contains("longer than"));
}

#[test]
fn passwords_stay_out_of_messages() {
    let read = read("a.ldif", "dn: cn=a\nuserPassword: secret\ncn:< x\n");
    assert!(!read.rejected[0].text.contains("secret"), "{:?}", read.rejected);
}
