//! The committed corpus: each file in `testdata/` is read or refused, as its folder says.

use std::fs;
use std::path::{Path, PathBuf};

use dirsync_message::Head;

use crate::bodies::{Action, read, write};

fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has files", folder.display());
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn valid_bodies_are_read_and_written_again() {
    for (path, bytes) in files("bodies/valid") {
        let items = read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(write(&items).as_bytes(), bytes, "{}", path.display());
    }
}

#[test]
fn odd_bodies_are_read_for_quarantine() {
    for (path, bytes) in files("bodies/odd") {
        read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn broken_bodies_are_refused() {
    for (path, bytes) in files("bodies/broken") {
        assert!(read(&bytes).is_err(), "{}", path.display());
    }
}

#[test]
fn valid_heads_are_read_and_printed_again() {
    for (path, bytes) in files("heads/valid") {
        let text = String::from_utf8(bytes).unwrap();
        let head = Head::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(head.to_text(), text, "{}", path.display());
    }
}

#[test]
fn broken_heads_are_refused() {
    for (path, bytes) in files("heads/broken") {
        let text = String::from_utf8_lossy(&bytes);
        assert!(Head::parse(&text).is_err(), "{}", path.display());
    }
}

/// Messages of format 1.0 are read for ever. Never change these files or their meaning.
#[test]
fn messages_of_format_1_0_are_read() {
    let text = |name: &str| {
        let found = files("format-1.0").into_iter().find(|(path, _)| path.ends_with(name));
        String::from_utf8(found.unwrap().1).unwrap()
    };
    let Head::Request(request) = Head::parse(&text("request.head")).unwrap() else {
        panic!("a request is a request")
    };
    assert_eq!((request.number.0, request.own.from.0, request.own.to.0), (12, 40, 44));
    assert_eq!((request.lineage.len(), request.list_digest.count), (2, 1204));
    assert_eq!(request.view_wanted.to_string(), "types\tSMTP\tX400\nfilter\t(ou=nav*)\n");
    let Head::Update(update) = Head::parse(&text("update.head")).unwrap() else {
        panic!("an update is an update")
    };
    let body = update.body.unwrap();
    assert_eq!((update.answers.0, update.ack.0, update.outcomes.len()), (12, 44, 2));
    assert_eq!((body.from.0, body.to.srv_seq.0, body.part), (4711, 4720, 1));

    let own = read(text("request.body").as_bytes()).unwrap();
    let numbers: Vec<u64> = own.iter().map(|item| item.number).collect();
    assert_eq!(numbers, [41, 43, 44]);
    let Action::Whole(record) = &own[0].change else { panic!("the first is whole") };
    assert_eq!(record.name, "Ana Souza");
    assert_eq!(record.addresses, "SMTP:ana@north.example\tPCM:NORTH/HQ/ANA");
    assert_eq!(record.details, "ou/Navigation\ntelephoneNumber/+55 11 4002\ntitle/Pilot\n");
    let list = read(text("update.body").as_bytes()).unwrap();
    let stamps: Vec<u64> = list.iter().map(|item| item.stamp).collect();
    assert_eq!(stamps, [1767225600000, 1767225500000, 1767225500001]);
    let ids: Vec<String> = list.iter().map(|item| item.id().to_string()).collect();
    assert_eq!(ids, IDS_1_0);
}

/// The ids of `update.body`: their derivation is part of the format.
const IDS_1_0: [&str; 3] = [
    "a443fa7df8600a3dc0d7e84a1a2d23d1",
    "930733181f482a78a52c8d30b8a52373",
    "fedcba9876543210fedcba9876543210",
];

/// `docs/message-format.md` is checked against the parsers.
#[test]
fn the_documented_examples_and_fields_are_the_real_ones() {
    let page = include_str!("../../../../docs/message-format.md");
    let fenced = page.split("\n```").skip(1).step_by(2);
    let blocks: Vec<&str> = fenced.filter_map(|block| Some(block.split_once('\n')?.1)).collect();
    let heads: Vec<&&str> = blocks.iter().filter(|text| text.starts_with("[DIRSYNC]")).collect();
    assert_eq!(heads.len(), 2);
    for text in heads {
        assert_eq!(Head::parse(&format!("{text}\n")).unwrap().to_text(), format!("{text}\n"));
    }
    let body = blocks.iter().find(|text| text.starts_with("[DIRSYNC-T")).unwrap();
    let body = format!("{body}\n");
    assert_eq!(write(&read(body.as_bytes()).unwrap()), body);
    for (path, bytes) in files("heads/valid") {
        let text = String::from_utf8(bytes).unwrap();
        for name in text.lines().filter_map(|line| Some(line.split_once('=')?.0)) {
            assert!(page.contains(&format!("\n| `{name}` |")), "{}: {name}", path.display());
        }
    }
}
