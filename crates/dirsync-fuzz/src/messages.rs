//! Heads and bodies of messages.

use std::io::{BufRead, BufReader, Cursor};

use dirsync_directory::{EntryId, PostofficeName, Record};
use dirsync_message::{BodyReader, BodyWriter, Change, Head, Stamp, Transaction};

use crate::texts::check_record;

/// A head that is read prints as a text that reads the same. One of this version is that text.
pub fn head(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(head) = Head::parse(text) else { return };
    let printed = head.to_text();
    let again = Head::parse(&printed);
    assert_eq!(again.as_ref(), Ok(&head), "{printed}");
    assert!(printed == text || !text.starts_with("[DIRSYNC]\nformat=1.0\n"), "{printed}");
    if let Head::Request(request) = &head {
        request.view_wanted.hash();
    }
}

/// A transaction that owns its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    number: u64,
    stamp: Stamp,
    id: EntryId,
    owner: Option<String>,
    first_origin: Option<String>,
    key: String,
    released_to: Option<Option<PostofficeName>>,
    change: KeptChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum KeptChange {
    Whole(Record),
    Delta { kind: Option<String>, name: Option<String>, addresses: Option<String>, details: String },
    Delete { approved: bool },
}

impl From<&Transaction<'_>> for Kept {
    fn from(transaction: &Transaction<'_>) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            number: transaction.number,
            stamp: transaction.stamp,
            id: transaction.id,
            owner: text(transaction.owner.map(PostofficeName::as_str)),
            first_origin: text(transaction.first_origin.map(PostofficeName::as_str)),
            key: transaction.key.to_owned(),
            released_to: transaction.released_to.map(|to| to.cloned()),
            change: match transaction.change {
                Change::Whole(record) => KeptChange::Whole(record.to_record()),
                Change::Delta { kind, name, addresses, details } => KeptChange::Delta {
                    kind: text(kind),
                    name: text(name),
                    addresses: text(addresses),
                    details: details.to_owned(),
                },
                Change::Delete { approved } => KeptChange::Delete { approved },
            },
        }
    }
}

/// Reads a body to its end. The error is the text of the refusal.
fn read(input: impl BufRead) -> (Vec<Kept>, Result<(), String>) {
    let mut reader = BodyReader::new(input);
    let mut kept = Vec::new();
    let ended = loop {
        match reader.next() {
            Ok(Some(transaction)) => {
                // Content is checked separately, which must not panic for any content.
                let _ = transaction.change.check();
                kept.push(Kept::from(&transaction));
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.to_string()),
        }
    };
    assert_eq!(reader.count(), kept.len() as u64);
    match (&ended, reader.next()) {
        (Ok(()), Ok(None)) | (Err(_), Err(_)) => {}
        (_, next) => panic!("what ended stays ended, and what is refused stays refused: {next:?}"),
    }
    (kept, ended)
}

/// Writes transactions that were read, which always have a form.
fn write(kept: &[Kept]) -> Vec<u8> {
    let mut writer = BodyWriter::new(Vec::new());
    for transaction in kept {
        let Kept { number, stamp, id, key, .. } = transaction;
        let name = |text: &str| -> PostofficeName { text.parse().expect("it was one") };
        let name = |text: &Option<String>| text.as_deref().map(name);
        let (owner, first_origin) = (name(&transaction.owner), name(&transaction.first_origin));
        let change = match &transaction.change {
            KeptChange::Delete { approved } => Change::Delete { approved: *approved },
            KeptChange::Whole(record) => {
                check_record(record.as_ref());
                Change::Whole(record.as_ref())
            }
            KeptChange::Delta { kind, name, addresses, details } => Change::Delta {
                kind: kind.as_deref(),
                name: name.as_deref(),
                addresses: addresses.as_deref(),
                details,
            },
        };
        let written = writer.write(&Transaction {
            number: *number,
            stamp: *stamp,
            id: *id,
            owner: owner.as_ref(),
            first_origin: first_origin.as_ref(),
            key,
            released_to: transaction.released_to.as_ref().map(Option::as_ref),
            change,
            line: 0,
        });
        written.unwrap_or_else(|error| panic!("{error}: {transaction:?}"));
    }
    writer.finish().expect("memory takes everything")
}

/// A body is read the same in whatever pieces its bytes arrive, and is written as a text that reads the
/// same.
pub fn body(data: &[u8]) {
    let (kept, ended) = read(data);
    let drop_by_drop = read(BufReader::with_capacity(1, Cursor::new(data)));
    assert_eq!((&kept, &ended), (&drop_by_drop.0, &drop_by_drop.1));
    if ended.is_err() {
        return;
    }
    let written = write(&kept);
    let (again, whole) = read(written.as_slice());
    assert_eq!((&again, whole), (&kept, Ok(())), "{}", String::from_utf8_lossy(&written));
    assert_eq!(write(&again), written, "what is written has one form");
}
