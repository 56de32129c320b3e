//! Bodies: one that is written can be read, and a damaged one is refused as a whole.

use dirsync_directory::{EntryId, PostofficeName, Record, RecordRef, composed, escape};
use dirsync_message::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::strategies::{hostile, id, number, postoffice};

/// A transaction that owns its texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub number: u64,
    pub stamp: u64,
    pub owner: Option<PostofficeName>,
    pub first_origin: Option<PostofficeName>,
    pub key: String,
    pub released_to: Option<Option<PostofficeName>>,
    pub change: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Whole(Record),
    Delta { kind: Option<String>, name: Option<String>, addresses: Option<String>, details: String },
    Delete { id: EntryId, approved: bool },
}

impl Item {
    pub fn id(&self) -> EntryId {
        match (&self.change, &self.first_origin) {
            (Action::Delete { id, .. }, _) => *id,
            (_, Some(first)) => EntryId::derive(first, &self.key),
            (_, None) => panic!("only a deletion has no origin"),
        }
    }
}

impl From<Transaction<'_>> for Item {
    fn from(read: Transaction<'_>) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let change = match read.change {
            Change::Whole(record) => Action::Whole(record.to_record()),
            Change::Delta { kind, name, addresses, details } => Action::Delta {
                kind: text(kind),
                name: text(name),
                addresses: text(addresses),
                details: details.into(),
            },
            Change::Delete { approved } => Action::Delete { id: read.id, approved },
        };
        let item = Self {
            number: read.number,
            stamp: read.stamp.0,
            owner: read.owner.cloned(),
            first_origin: read.first_origin.cloned(),
            key: read.key.into(),
            released_to: read.released_to.map(|to| to.cloned()),
            change,
        };
        assert_eq!(item.id(), read.id);
        item
    }
}

pub fn write(items: &[Item]) -> String {
    let mut writer = BodyWriter::new(Vec::new());
    for item in items {
        put(&mut writer, item).unwrap();
    }
    assert_eq!(writer.count(), items.len() as u64);
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

fn put(writer: &mut BodyWriter<Vec<u8>>, item: &Item) -> std::io::Result<()> {
    let change = match &item.change {
        Action::Delete { approved, .. } => Change::Delete { approved: *approved },
        Action::Whole(record) => Change::Whole(record.as_ref()),
        Action::Delta { kind, name, addresses, details } => Change::Delta {
            kind: kind.as_deref(),
            name: name.as_deref(),
            addresses: addresses.as_deref(),
            details,
        },
    };
    writer.write(&Transaction {
        number: item.number,
        stamp: Stamp(item.stamp),
        id: item.id(),
        owner: item.owner.as_ref(),
        first_origin: item.first_origin.as_ref(),
        key: &item.key,
        released_to: item.released_to.as_ref().map(Option::as_ref),
        change,
        line: 0,
    })
}

pub fn read(bytes: &[u8]) -> Result<Vec<Item>, BodyError> {
    // The buffer is small, so that lines and transactions cross its ends.
    let mut reader = BodyReader::new(std::io::BufReader::with_capacity(7, bytes));
    let mut items = Vec::new();
    while let Some(transaction) = reader.next()? {
        let _ = transaction.change.check();
        items.push(transaction.into());
    }
    assert_eq!(reader.count(), items.len() as u64);
    assert!(reader.next().unwrap().is_none(), "the end stays the end");
    Ok(items)
}

fn fault(text: &str) -> (u64, usize, BodyFault) {
    match read(text.as_bytes()) {
        Err(BodyError::Refused { line, column, fault, .. }) => (line, column, fault),
        other => panic!("{text:?} gave {other:?}"),
    }
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,8}", "[^\\pC]{1,6}", Just("CN=a\\,b".into()), Just("[END] 1".into())]
        .prop_map(|text| composed(&text).into_owned())
}

fn field() -> impl Strategy<Value = String> {
    hostile().prop_map(|text| escape(&text).into_owned())
}

fn addresses() -> impl Strategy<Value = String> {
    vec(field().prop_map(|text| format!("X:{text}")), 1..3).prop_map(|list| list.join("\t"))
}

fn details() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec!["x/\t", "?x", "\u{1}", "[END] 1", "*A/B", ">A/B", "\r-"]);
    let line = prop_oneof![field(), odd.prop_map(String::from)];
    vec(line.prop_map(|line| line + "\n"), 0..4).prop_map(|lines| lines.concat())
}

fn action() -> impl Strategy<Value = Action> {
    let kind = || prop::sample::select(vec!["mailbox", "contact", "list", "", "Z", "ro\\bot"]);
    let whole = (kind(), field(), of(addresses()), details()).prop_map(
        |(kind, name, addresses, details)| {
            let addresses = addresses.unwrap_or_default();
            Action::Whole(Record { kind: kind.into(), name, addresses, details })
        },
    );
    let name = field().prop_filter("an M holds no empty name", |name| !name.is_empty());
    let delta = (of(kind()), of(name), of(addresses()), details()).prop_map(
        |(kind, name, addresses, details)| Action::Delta {
            kind: kind.map(String::from),
            name,
            addresses,
            details,
        },
    );
    let delete = (id(), any::<bool>()).prop_map(|(id, approved)| Action::Delete { id, approved });
    prop_oneof![3 => whole, 2 => delta, 1 => delete]
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let step = prop_oneof![Just(1u64), 1..9u64, Just(1 << 58)];
    let stamp = prop_oneof![Just(None), number().prop_map(Some)];
    let release = of(of(postoffice()));
    let item = (step, stamp, postoffice(), of(postoffice()), key(), release, action());
    vec(item, 0..9).prop_map(|items| {
        let (mut number, mut last) = (0, 0u64);
        let item = items.into_iter().map(|(step, stamp, owner, first, key, release, change)| {
            number += step;
            last = stamp.unwrap_or((last + 1) % (NUMBER_MAX + 1));
            let deletes = matches!(change, Action::Delete { .. });
            let released_to: Option<Option<PostofficeName>> = match change {
                Action::Delete { .. } => None,
                Action::Whole(_) => release.filter(Option::is_some),
                Action::Delta { .. } => release,
            };
            let first_origin = Some(first.unwrap_or_else(|| PostofficeName::clone(&owner)));
            Item {
                number,
                stamp: last,
                owner: Some(owner).filter(|_| !deletes),
                first_origin: first_origin.filter(|_| !deletes),
                key: if deletes { String::new() } else { key },
                released_to,
                change,
            }
        });
        item.collect()
    })
}

proptest! {
    #[test]
    fn a_body_is_read_as_it_was_written(items in items()) {
        let text = write(&items);
        let back = read(text.as_bytes());
        prop_assert_eq!(back.unwrap(), items, "{}", text);
    }

    #[test]
    fn spelling_of_owners_is_kept(items in items()) {
        let back = read(write(&items).as_bytes()).unwrap();
        for (item, back) in items.iter().zip(&back) {
            let name = |owner: &Option<PostofficeName>| owner.as_ref().map(|o| o.to_string());
            prop_assert_eq!(name(&item.owner), name(&back.owner));
        }
    }

    /// Failure story `half_written_file_is_left_alone`.
    #[test]
    fn a_body_truncated_at_any_byte_is_refused(items in items()) {
        let text = write(&items);
        for length in 0..text.len() {
            prop_assert!(read(&text.as_bytes()[..length]).is_err(), "{}", length);
        }
        prop_assert!(read((text.clone() + "\n").as_bytes()).is_err());
        prop_assert!(read((text.clone() + &text).as_bytes()).is_err());
    }

    #[test]
    fn a_body_without_one_of_its_transaction_lines_is_refused(items in items()) {
        let text = write(&items);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let counted = |line: &str| {
            line.starts_with([' ', '@', '[']) || line.as_bytes()[0].is_ascii_digit()
        };
        for omitted in (0..lines.len()).filter(|at| counted(lines[*at])) {
            let rest = [&lines[..omitted], &lines[omitted + 1..]].concat().concat();
            prop_assert!(read(rest.as_bytes()).is_err(), "{}", omitted);
        }
    }

    /// A body that was read can be written, and is then the same, because stores may keep raw content.
    #[test]
    fn a_damaged_body_is_refused_or_can_be_written_again(
        items in items(),
        at in any::<prop::sample::Index>(),
        with in vec(any::<u8>(), 0..3),
    ) {
        let mut bytes = write(&items).into_bytes();
        let at = at.index(bytes.len());
        bytes.splice(at..=at, with);
        if let Ok(read_once) = read(&bytes) {
            prop_assert_eq!(read(write(&read_once).as_bytes()).unwrap(), read_once);
        }
    }

    #[test]
    fn swapped_lines_are_refused_or_can_be_written_again(
        items in items(),
        swap in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let text = write(&items);
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (left, right) = (swap.0.index(lines.len()), swap.1.index(lines.len()));
        lines.swap(left, right);
        let swapped = lines.concat();
        if let Ok(items) = read(swapped.as_bytes()) {
            prop_assert_eq!(read(write(&items).as_bytes()).unwrap(), items);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in vec(
            prop_oneof![any::<u8>(), prop::sample::select(b" \n\t*->@+A.MD/[0".to_vec())],
            0..60,
        ),
    ) {
        let _ = read(&bytes);
        let _ = read(&[b"[DIRSYNC-TRANSACTIONS]\n", bytes.as_slice()].concat());
    }
}

/// A body of these lines.
fn body(lines: &str, count: u64) -> String {
    format!("[DIRSYNC-TRANSACTIONS]\n{lines}[END] {count}\n")
}

#[test]
fn what_refuses_a_body_is_said() {
    use BodyFault::*;
    let id = "0".repeat(32);
    let deleted = format!("*A/B\n A k\tN\n D {id}\n-title/x\n");
    let table: &[(&str, u64, u64, usize, BodyFault)] = &[
        (" A k\tN\n", 1, 2, 1, NoOrigin),
        ("*A/B\n A k\tN\n", 2, 4, 7, Count { read: 1 }),
        ("*A/B\n A k\tN\n5 A l\tN\n5 A m\tN\n", 3, 5, 1, NumberOrder { previous: 5 }),
        ("*A/B\n A k\tN\n2 A l\tN\n", 2, 4, 1, Number),
        ("*A/B\n1 A k\tN\n", 1, 3, 1, Number),
        ("*A/B\n0 A k\tN\n", 1, 3, 1, NumberOrder { previous: 0 }),
        ("*A/B\n@+5 A k\tN\n@-6 A l\tN\n", 2, 4, 1, StampRange),
        ("*A/B\n@+4611686018427387904 A k\tN\n", 1, 3, 1, StampRange),
        ("*A/B\n@+4611686018427387903 A k\tN\n A l\tN\n", 2, 4, 1, StampRange),
        ("*A/B\n4611686018427387904 A k\tN\n", 1, 3, 1, Number),
        ("*A/B\n A \tN\n", 1, 3, 4, Key),
        ("*A/B\n A a\\tb\tN\n", 1, 3, 4, Key),
        ("*A/B\n A a\\qb\tN\n", 1, 3, 4, Key),
        ("*A/B\n A k\tN\r\n", 1, 3, 7, CarriageReturn),
        ("*A/B\n A k\tN\n-title/x\r\n", 1, 4, 9, CarriageReturn),
        ("*AB\n A k\tN\n", 1, 2, 2, Origin),
        ("*A/B\ta/b\n A k\tN\n", 1, 2, 2, Origin),
        ("*A/B\n*A/C\n A k\tN\n", 1, 3, 1, OriginIdle),
        ("*A/B\n A k\tN\n*A/B\n A l\tN\n", 2, 4, 1, OriginIdle),
        ("*A/B\n A k\tN\n*A/C\n", 1, 5, 1, OriginIdle),
        ("*A/B\n A k\tN\ntitle/x\n", 1, 4, 1, Line),
        ("*A/B\n A k\tN\n\n", 1, 4, 1, Line),
        ("?x\n", 0, 2, 1, Line),
        (&deleted, 2, 5, 1, DeletionLines),
        ("[END] 0\n", 0, 2, 8, AfterTrailer),
        ("[end]\n", 0, 2, 1, Trailer),
    ];
    for (lines, count, line, column, expected) in table {
        assert_eq!(fault(&body(lines, *count)), (*line, *column, *expected), "{lines:?}");
    }
    assert_eq!(fault(""), (1, 1, Header));
    assert_eq!(fault(&format!("\u{feff}{}", body("", 0))).2, Header);
    assert_eq!(fault("[DIRSYNC-TRANSACTIONS]\n[END] 00\n").2, Trailer);
    assert_eq!(fault("[DIRSYNC-TRANSACTIONS]\n[END]\n").2, Trailer);
    let said = read(body("*A/B\n A k\tN\n", 2).as_bytes()).unwrap_err().to_string();
    assert!(said.contains("line 4, column 7, \"[END] 2\": 1 transactions"), "{said}");
}

#[test]
fn bytes_that_are_not_utf_8_are_pointed_at() {
    let place = |bytes: &[u8]| match read(bytes).unwrap_err() {
        BodyError::Refused { line, column, fault: BodyFault::Utf8, .. } => (line, column),
        other => panic!("{other}"),
    };
    let start = b"[DIRSYNC-TRANSACTIONS]\n*A/B\n A k\tN".as_slice();
    assert_eq!(place(&[start, b"\xff\n[END] 1\n"].concat()), (3, 7));
    let details = b"\n>C/D\n-a/1\n-b/\xc3\n-c/1\n[END] 1\n".as_slice();
    assert_eq!(place(&[start, details].concat()), (6, 4));
}

#[test]
fn wrong_content_is_kept_raw_and_not_refused() {
    let lines = [
        "*A/B",
        " A.robot k\tN\tX:a",
        " A l\tN",
        " A m\tN\tnone",
        " A n\tN\tX:a\n-b/1\n-a/1",
        " A o\tN\tX:a\n-TITLE/x",
        " A p\tN\tX:a\n-a/1\n?new thing",
        " R.x q\tN\tX:a",
        " A r\tN\tX:a\n>nobody",
        " A s\tN\tX:a\n>",
        " M t\n?x",
        " M u\n-b/1\n-a/1",
        " A v\tN\tX:a\n-a/\\q",
        "",
    ];
    let text = body(&lines.join("\n"), 12);
    let mut reader = BodyReader::new(text.as_bytes());
    let mut wrong = Vec::new();
    while let Some(transaction) = reader.next().unwrap() {
        assert!(transaction.change.check().is_err(), "line {}", transaction.line);
        if let Change::Whole(record) = transaction.change {
            wrong.push((transaction.key.to_owned(), record.to_record()));
        }
    }
    let record = |key: &str| &wrong.iter().find(|(found, _)| found == key).unwrap().1;
    assert_eq!(record("k").kind, "robot");
    assert_eq!(record("p").details, "a/1\n?new thing\n");
    assert_eq!(record("q").kind, "R.x");
    assert_eq!(record("r").details, ">nobody\n");
    assert_eq!(record("s").details, ">\n");
}

#[test]
fn right_content_passes_its_check() {
    let lines = [
        "*A/B\tC/D",
        " A.list k\tN\tX:a\n>E/F\n-member/X:b\n-title/x",
        " M k\n>\n-mobile\n-title/y",
        " M.contact k\tN\tX:b",
        "",
    ];
    let text = body(&lines.join("\n"), 3);
    let mut reader = BodyReader::new(text.as_bytes());
    while let Some(transaction) = reader.next().unwrap() {
        transaction.change.check().unwrap();
    }
    let items = read(text.as_bytes()).unwrap();
    assert_eq!(items[0].released_to, Some(Some("E/F".parse().unwrap())));
    assert_eq!(items[1].released_to, Some(None));
    assert_eq!(write(&items), text);
}

#[test]
fn an_error_stays_an_error() {
    let text = body("*A/B\n A k\tN\n0 A l\tN\n", 2);
    let mut reader = BodyReader::new(text.as_bytes());
    assert!(reader.next().unwrap().is_some());
    assert!(reader.next().is_err());
    for _ in 0..2 {
        let error = reader.next().unwrap_err();
        assert!(matches!(error, BodyError::Refused { fault: BodyFault::Refused, .. }));
    }
}

#[test]
fn limits_hold_at_the_limit_and_one_over() {
    let line = |bytes: usize| body(&format!("*A/B\n A k\t{}\n", "n".repeat(bytes - 5)), 1);
    assert!(read_fast(&line(LINE_BYTES_MAX)).is_ok());
    assert_eq!(read_fast(&line(LINE_BYTES_MAX + 1)), Err(BodyFault::LineLength));
    let detail = |bytes: usize| format!("-{}\n", "d".repeat(bytes - 1));
    let under = |lines: &str| body(&format!("*A/B\n A k\t\n{lines}"), 1);
    assert!(read_fast(&under(&detail(LINE_BYTES_MAX))).is_ok());
    assert_eq!(read_fast(&under(&detail(LINE_BYTES_MAX + 1))), Err(BodyFault::LineLength));
    let half = detail(TRANSACTION_BYTES_MAX / 4);
    let rest = |bytes: usize| under(&(half.repeat(3) + &detail(bytes)));
    let left = TRANSACTION_BYTES_MAX / 4 - 5;
    assert!(read_fast(&rest(left)).is_ok());
    assert_eq!(read_fast(&rest(left + 1)), Err(BodyFault::TransactionLength));
}

fn read_fast(text: &str) -> Result<(), BodyFault> {
    let mut reader = BodyReader::new(text.as_bytes());
    loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(BodyError::Refused { fault, .. }) => return Err(fault),
            Err(error) => panic!("{error}"),
        }
    }
}

fn entry<'a>(
    owner: &'a PostofficeName,
    number: u64,
    key: &'a str,
    change: Change<'a>,
) -> Transaction<'a> {
    Transaction {
        number,
        stamp: Stamp(number),
        id: EntryId::derive(owner, "k"),
        owner: Some(owner),
        first_origin: Some(owner),
        key,
        released_to: None,
        change,
        line: 0,
    }
}

#[test]
fn the_writer_makes_nothing_that_the_reader_refuses() {
    let north: PostofficeName = "NORTH/HQ".parse().unwrap();
    let good = RecordRef { kind: "list", name: "N", addresses: "X:a", details: "a/1\n" };
    let mut writer = BodyWriter::new(Vec::new());
    let mut add = |number: u64, key: &str, record: RecordRef<'_>| {
        writer.write(&entry(&north, number, key, Change::Whole(record)))
    };
    add(5, "k", good).unwrap();
    let wrong = [
        (5, "l", good),
        (4, "l", good),
        (6, "", good),
        (6, "a\tb", good),
        (6, "l", RecordRef { kind: "li st", ..good }),
        (6, "l", RecordRef { kind: "list\n", ..good }),
        (6, "l", RecordRef { name: "a\nb", ..good }),
        (6, "l", RecordRef { name: "a\tb", ..good }),
        (6, "l", RecordRef { name: "a\r", addresses: "", ..good }),
        (6, "l", RecordRef { addresses: "X:a\t\tX:b", ..good }),
        (6, "l", RecordRef { addresses: "X:a\nD", ..good }),
        (6, "l", RecordRef { details: "a/1", ..good }),
        (6, "l", RecordRef { details: "a/1\r\n", ..good }),
    ];
    for (number, key, record) in wrong {
        let error = add(number, key, record).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{number} {key:?} {record:?}");
    }
    let long = "n".repeat(LINE_BYTES_MAX);
    assert!(add(6, "l", RecordRef { name: &long, ..good }).is_err());
    add(6, "l", good).unwrap();
    let deletion = entry(&north, 6, "", Change::Delete { approved: false });
    assert!(writer.write(&deletion).is_err());
    for (name, addresses) in [(Some(""), None), (None, Some(""))] {
        let delta = Change::Delta { kind: None, name, addresses, details: "" };
        assert!(writer.write(&entry(&north, 7, "k", delta)).is_err());
    }
    let ownerless = Transaction { owner: None, ..entry(&north, 7, "k", Change::Whole(good)) };
    assert!(writer.write(&ownerless).is_err());
    let text = String::from_utf8(writer.finish().unwrap()).unwrap();
    let expected = "[DIRSYNC-TRANSACTIONS]\n*NORTH/HQ\n5@+5 A.list k\tN\tX:a\n-a/1\n\
                    \u{20}A.list l\tN\tX:a\n-a/1\n[END] 2\n";
    assert_eq!(text, expected);
}
