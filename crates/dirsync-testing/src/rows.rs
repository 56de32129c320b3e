//! Material for tests of stores: sample rows and hostile texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dirsync_directory::{BucketSums, EntryId, PostofficeName, Record, SetDigest, View, ViewHash};
use dirsync_message::{
    Challenge, Evidence, Health, Instance, Mark, ReqEpoch, ReqSeq, RequestId, RequestNo,
    ServerEpoch, Side, SrvSeq, Stamp, SyncPoint,
};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::tables::{
    Agreement, Answered, Copies, Mode, OwnRow, OwnTombstone, OwnedListRow, Position, Published,
    Registration, RegistrationState, RequestorState, SeenIn, ServerRow, SideAnswer, Submitted,
    Tombstone,
};

/// The greatest counter or time that a store has to keep: 2^63 - 1. Marks and the random parts of
/// epochs take all 64 bits.
pub const GREATEST: u64 = i64::MAX as u64;

/// Texts that have to come back as they were: empty, with NUL, like numbers, like SQL, like
/// patterns, not composed, beyond the basic plane.
pub const TEXTS: [&str; 12] = [
    "",
    "\0",
    "a\0b",
    "'; DROP TABLE own; --",
    "\"quoted\" \\ `back`",
    "%_*?[a]",
    "0012",
    "1e5",
    "NULL",
    " \r\n\ttrailing ",
    "e\u{301} \u{df} \u{130} \u{202e}",
    "\u{10ffff}\u{feff}",
];

/// A postoffice by its name.
///
/// # Panics
///
/// When the text is no name.
pub fn postoffice(text: &str) -> PostofficeName {
    text.parse().expect("a test names postoffices correctly")
}

/// The id of the `n`th sample entry.
pub fn entry_id(n: u64) -> EntryId {
    EntryId::derive(&postoffice("NORTH/HQ"), &n.to_string())
}

/// A view's hash that no definition has to have.
pub fn view_hash(n: u8) -> ViewHash {
    ViewHash::from_bytes([n; 16])
}

/// A record with an address; the name and details may be any text.
pub fn record(name: &str, address: &str, details: &str) -> Record {
    Record {
        kind: "mailbox".into(),
        name: name.into(),
        addresses: address.into(),
        details: details.into(),
    }
}

/// People (key, name, address, phone), numbered.
pub fn people(numbers: std::ops::Range<u32>) -> Vec<(String, String, String, String)> {
    let person = |number: u32| {
        let (name, address) = (format!("Person {number}"), format!("SMTP:p{number}@x.example"));
        (number.to_string(), name, address, number.to_string())
    };
    numbers.map(person).collect()
}

/// Numbers of changes with parts that changed since.
pub fn numbers(last: u64) -> ChangeNumbers {
    let mut numbers = ChangeNumbers::new(last / 2);
    numbers.changed(last, [":name".to_owned(), "telephoneNumber".to_owned()]);
    numbers
}

/// A sync point at a number.
pub fn point(number: u64) -> SyncPoint {
    SyncPoint {
        epoch: server_epoch(3),
        srv_seq: SrvSeq(number),
        mark: Mark(u64::MAX),
        view: view_hash(0xfe),
        complete: true,
    }
}

/// A server epoch whose random parts use all their bits.
pub fn server_epoch(generation: u64) -> ServerEpoch {
    ServerEpoch { generation, instance: Instance(u64::MAX - 1), random: u64::MAX }
}

/// A digest whose sum uses all its bits.
pub fn digest(count: u64) -> SetDigest {
    SetDigest { count, sum: u128::MAX - u128::from(count) }
}

/// A view with most parts set.
pub fn view() -> View {
    View {
        types: Some(BTreeSet::from(["SMTP".into(), "X400".into()])),
        origins: Some(BTreeSet::from([postoffice("NORTH/HQ"), postoffice("South/O-Brien &_")])),
        kinds: Some(BTreeSet::new()),
        filter: None,
        attributes: Some(BTreeSet::from(["title".parse().expect("a name of an attribute")])),
    }
}

/// A requestor's row with every part set.
pub fn requestor() -> RequestorState {
    RequestorState {
        name: postoffice("North/O-Brien"),
        server: postoffice("NORTH/SERVER"),
        epoch: ReqEpoch([0xff; 16]),
        lineage: vec![ReqEpoch([9; 16]), ReqEpoch([0; 16])],
        former_epochs: vec![ReqEpoch([7; 16]), ReqEpoch([6; 16])],
        epoch_accepted: true,
        req_seq: ReqSeq(GREATEST),
        req_sync: ReqSeq(GREATEST - 1),
        last_stamp: Stamp(GREATEST - 2),
        request_no: RequestNo(GREATEST - 3),
        last_answer: RequestNo(4),
        sent: vec![(RequestNo(4), RequestId([1; 16])), (RequestNo(GREATEST), RequestId([0; 16]))],
        epoch_heard: Some(server_epoch(GREATEST)),
        epoch_evidence: Some(Evidence([0xfd; 16])),
        point: Some(point(GREATEST)),
        point_evidence: Some(Evidence([0; 16])),
        list_digest: digest(7),
        filling: Some(SrvSeq(GREATEST)),
        own_digest: digest(0),
        staging: Some(dirsync_protocol::tables::Staging {
            point: SyncPoint { complete: false, ..point(0) },
            view: view(),
            head: SrvSeq(3),
            digest: digest(2),
        }),
        list_bad: true,
        send_buckets: false,
        request_due: true,
        view_wanted: view(),
        view: View::default(),
        mode: Mode::Resubmitting { base: digest(5), challenge: Challenge([0xee; 16]) },
        proof: Some("s\0 '\u{e9}".into()),
    }
}

/// An own entry.
pub fn own_row(n: u64, number: u64) -> OwnRow {
    OwnRow {
        id: entry_id(n),
        first_origin: postoffice("North/Hq"),
        key: n.to_string(),
        source: "hand".into(),
        record: record("Ana", "SMTP:ana@north.example", "title/Pilot\n"),
        numbers: numbers(number),
        stamp: Stamp(number),
        released_to: (n % 2 == 1).then(|| postoffice("SOUTH/HQ")),
    }
}

/// An own deletion.
pub fn own_tombstone(n: u64, number: u64) -> OwnTombstone {
    let req_seq = ReqSeq(number);
    OwnTombstone { id: entry_id(n), req_seq, stamp: Stamp(number), approved: n % 2 == 1 }
}

/// A row of a list.
pub fn list_row(n: u64, name: &str) -> OwnedListRow {
    OwnedListRow {
        id: entry_id(n),
        owner: postoffice("South/Hq"),
        first_origin: postoffice("NORTH/HQ"),
        key: n.to_string(),
        srv_seq: SrvSeq(n),
        stamp: Stamp(n),
        released_to: (n % 2 == 1).then(|| postoffice("West/Hq")),
        record: record(name, "SMTP:a@b", "title/x\n"),
    }
}

/// A registration with every part set.
pub fn registration(name: &str) -> Registration {
    Registration {
        name: postoffice(name),
        state: RegistrationState::Suspended,
        key: Some("ssh-ed25519 AAAA' \u{e9}".into()),
        invitation: Some(("00ff'\0".into(), GREATEST)),
        places: vec!["folder:/srv/%_/'x'".into(), "folder:/srv/a\tb\n\\c".into()],
        view_allowed: view(),
        view_wanted: View::default(),
        epoch: Some(ReqEpoch([0xab; 16])),
        retired: BTreeSet::from([ReqEpoch([0; 16]), ReqEpoch([0xff; 16])]),
        acknowledged: ReqSeq(GREATEST),
        answer_due: true,
        send_own: false,
        challenge: Some(Challenge([8; 16])),
        challenged: Some(ReqEpoch([9; 16])),
        side_answers: Side::ALL
            .into_iter()
            .map(|side| SideAnswer {
                epoch: ReqEpoch([3; 16]),
                side,
                answers: RequestNo(GREATEST),
                request_id: RequestId([0xfe; 16]),
            })
            .collect(),
        taken: vec![
            (RequestNo(GREATEST - 1), RequestId([7; 16])),
            (RequestNo(GREATEST), RequestId([6; 16])),
        ],
        copies: Copies::Contest,
        position: Position {
            point: Some(point(12)),
            digest: digest(3),
            bad: true,
            buckets: Some((
                12,
                BucketSums(BTreeMap::from([(0, digest(1)), (4095, digest(GREATEST))])),
            )),
        },
        agreement: Agreement { equal: Some(false), since: GREATEST },
        answered: Answered { cycle: GREATEST, upto: SrvSeq(GREATEST) },
        spoke_in: Some(server_epoch(2)),
        own_digest: digest(9),
        last_contact: GREATEST,
        health: Health {
            version: "1.0 '\0".into(),
            held: GREATEST,
            quarantined: 1,
            clock: GREATEST - 5,
        },
    }
}

/// A server's row that is submitted and published alike.
pub fn server_row(n: u64, origin: &str, number: u64) -> ServerRow {
    as_submitted(ServerRow {
        id: entry_id(n),
        origin: postoffice(origin),
        first_origin: postoffice("North/Hq"),
        key: n.to_string(),
        submitted: Some(submitted(&format!("SMTP:{n}@north.example"))),
        published: Some(published(number)),
    })
}

/// A server's row with its published content equal to the submitted one.
pub fn as_submitted(mut row: ServerRow) -> ServerRow {
    if let (Some(submitted), Some(published)) = (&row.submitted, &mut row.published) {
        published.record = Arc::clone(&submitted.record);
    }
    row
}

/// A submitted entry with some addresses, separated by tabs.
pub fn submitted(addresses: &str) -> Submitted {
    Submitted {
        record: Arc::new(record("Ana", addresses, "title/x\n")),
        stamp: Stamp(GREATEST),
        released_to: None,
        claim: GREATEST,
        invalid: None,
    }
}

/// A published part with content of its own.
pub fn published(number: u64) -> Published {
    Published {
        record: Arc::new(record("Eva", "SMTP:eva@b", "")),
        released_to: None,
        stamp: Stamp(1),
        numbers: numbers(number),
        seen_in: SeenIn::Some(BTreeSet::from([view_hash(0), view_hash(0xff)])),
        held: None,
    }
}

/// A stub.
pub fn tombstone(n: u64, number: u64) -> Tombstone {
    let seen_in = match n % 3 {
        0 => SeenIn::All,
        1 => SeenIn::default(),
        _ => SeenIn::Some(BTreeSet::from([view_hash(1), view_hash(0xff)])),
    };
    Tombstone { id: entry_id(n), srv_seq: SrvSeq(number), seen_in, at: GREATEST - n }
}
