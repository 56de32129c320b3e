use std::io::Write as _;
use std::sync::Arc;

use dirsync_agent::peers::Peer;
use dirsync_agent::sealing::Letter;
use dirsync_carrier::{Body, Spool};
use dirsync_seal::{BodyPlace, Content, MessageName, SealedBody};
use dirsync_testing::{peer_keys, sealing_of};
use dirsync_transit::Piece;
use tempfile::TempDir;

use super::*;

fn north() -> PostofficeName {
    "NORTH/HQ".parse().unwrap()
}

fn south() -> PostofficeName {
    "SOUTH/HQ".parse().unwrap()
}

/// The place as NORTH/HQ has it.
struct Fixture {
    home: TempDir,
    place: SlowPlace,
    outbox: Outbox,
    sealing: Arc<dyn Sealing>,
}

impl Fixture {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let place = SlowPlace::open(home.path(), &Place::Local, &north()).unwrap();
        Self { home, place, outbox: Outbox::default(), sealing: sealing_of(&north(), true) }
    }

    fn send(&self, to: &PostofficeName, epoch: &str, number: u64, part: u32) {
        let (from, body) = (&north(), &Body::default());
        let message = Outgoing { from, to, epoch, number, part, front: b"front", body };
        self.place.send(&message).unwrap();
    }

    /// The names of the messages that wait for the line.
    fn queued(&self) -> Vec<String> {
        let to = [south()];
        let waiting = self.place.queue(&to).waiting().unwrap();
        waiting.into_iter().flat_map(|(_, names)| names).collect()
    }

    fn deliver(&self, name: &str, bytes: &[u8]) {
        self.place.queue(&[]).deliver(name, &mut &*bytes).unwrap();
    }

    fn release(&self) -> bool {
        self.place.release(&*self.sealing, &self.outbox).unwrap()
    }

    fn arrived(&self) -> Vec<String> {
        self.place.arrived().unwrap().into_iter().map(|message| message.id).collect()
    }

    fn incomplete(&self) -> Vec<String> {
        self.place.incomplete.arrived().unwrap().into_iter().map(|message| message.id).collect()
    }

    /// The names in the folder of the postoffice.
    fn files_in_home(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn named(epoch: &str, number: u64) -> String {
    format!("south+hq-{epoch}-{number}-1.dirsync")
}

/// A message of SOUTH/HQ whose body travels apart, and that body.
fn apart(text: &str) -> (Vec<u8>, Content, Vec<u8>) {
    let sealing = sealing_of(&south(), true);
    let mut output = sealing.body(1, Spool::in_memory().begin()).unwrap();
    output.write_all(text.as_bytes()).unwrap();
    let body = output.finish().unwrap();
    let sealed: &SealedBody = &body.sealed;
    let name = &MessageName::new("e", 1, 1).unwrap();
    let to = &Peer::pinned(peer_keys(&north()));
    let (place, holds, head) = (BodyPlace::Apart, &[], "head");
    let letter = Letter { to, name, head, body: sealed, place, holds, first_contact: None };
    let mut bytes = Vec::new();
    body.bytes.write_to(&mut bytes).unwrap();
    (sealing.front(&letter).unwrap(), sealed.content, bytes)
}

#[test]
fn only_the_newest_number_of_each_epoch_waits_for_the_line() {
    let fixture = Fixture::new();
    for (epoch, number, part) in [("a", 9, 1), ("a", 10, 1), ("a", 10, 2), ("b", 2, 1)] {
        fixture.send(&south(), epoch, number, part);
    }
    fixture.send(&"WEST/HQ".parse().unwrap(), "a", 11, 1);
    let newest = ["north+hq-a-10-1.dirsync", "north+hq-a-10-2.dirsync", "north+hq-b-2-1.dirsync"];
    assert_eq!(fixture.place.queued(&south()).unwrap(), (3, 15));
    assert_eq!(fixture.queued(), newest, "all parts, by number; another addressee has its own");
    let left = fs::read_dir(fixture.place.outbox.inbox(&south())).unwrap().count();
    assert_eq!(left, 3, "the older one is gone");

    let to = [south()];
    let queue = fixture.place.queue(&to);
    assert_eq!(queue.read(&south(), newest[0]).unwrap().unwrap(), b"front");
    for _ in 0..2 {
        queue.sent(&south(), newest[0]).unwrap();
    }
    assert_eq!(queue.read(&south(), newest[0]).unwrap(), None, "gone is not an error");
    assert_eq!(fixture.queued(), newest[1..]);
}

#[test]
fn a_message_is_released_when_its_body_has_come() {
    let fixture = Fixture::new();
    let (message, body, bytes) = apart("a body");
    fixture.deliver(&named("e", 1), &message);
    assert!(!fixture.release() && fixture.arrived().is_empty(), "its body is on its way");
    assert_eq!(fixture.incomplete(), [named("e", 1)]);

    let half = bytes.len() as u64 / 2;
    let (first, last) = bytes.split_at(half as usize);
    let piece = Piece { body, at: 0, bytes: half };
    fixture.outbox.take_piece(&south(), &piece, first, 1).unwrap();
    assert!(!fixture.release(), "half of it has come");
    let piece = Piece { body, at: half, bytes: last.len() as u64 };
    assert!(fixture.outbox.take_piece(&south(), &piece, last, 1).unwrap());
    assert!(fixture.release());
    assert_eq!((fixture.arrived(), fixture.incomplete()), (vec![named("e", 1)], vec![]));
    let arrived = fixture.place.arrived().unwrap().remove(0);
    let mut file = fixture.place.open(&arrived).unwrap().unwrap().unwrap();
    let mut read = Vec::new();
    io::Read::read_to_end(&mut file, &mut read).unwrap();
    assert_eq!(read, message);
    assert!(!fixture.release(), "once");
}

#[test]
fn of_incomplete_messages_the_newest_are_kept() {
    let fixture = Fixture::new();
    for (epoch, number) in [("a", 3), ("a", 20), ("b", 1)] {
        fixture.deliver(&named(epoch, number), &apart("a body").0);
    }
    assert!(!fixture.release());
    assert_eq!(fixture.incomplete(), [named("a", 20), named("b", 1)]);
    // It is no message, and must not drive one out. The step says why it cannot be read.
    fixture.deliver(&named("a", 99), b"nothing that was sealed");
    assert!(fixture.release());
    assert_eq!(fixture.arrived(), [named("a", 99)]);
    assert_eq!(fixture.incomplete(), [named("a", 20), named("b", 1)]);
}

#[test]
fn names_that_are_not_messages_are_not_delivered() {
    let fixture = Fixture::new();
    let before = fixture.files_in_home();
    for name in [
        "",
        "..",
        "../x.dirsync",
        "/south+hq-e-1-1.dirsync",
        "../south+hq-e-1-1.dirsync",
        "SOUTH+hq-e-1-1.dirsync",
        "south+hq-e-01-1.dirsync",
        "0000-0000000000-9-ab.piece",
        "south+hq-e-1-1.dirsync.reason.txt",
    ] {
        fixture.deliver(name, b"bytes");
        assert!(!fixture.release(), "{name}");
        assert_eq!((fixture.arrived(), fixture.incomplete()), (vec![], vec![]), "{name}");
    }
    assert_eq!(fixture.files_in_home(), before);
}

/// A crash at any file operation delays a message, or doubles it, and loses none.
#[test]
fn a_crash_loses_no_message() {
    for nth in 1.. {
        let fixture = Fixture::new();
        durable::fail_at(Some(nth));
        let to = [north()];
        let delivered =
            fixture.place.queue(&to).deliver(&named("e", 1), &mut &b"whole"[..]).is_ok();
        let released = fixture.place.release(&*fixture.sealing, &fixture.outbox);
        let is_met = !durable::failure_pending();
        durable::fail_at(None);
        if !delivered {
            fixture.deliver(&named("e", 1), b"whole");
        }
        let again = fixture.release();
        assert!(again || released.unwrap_or(true), "{nth}: the next step is called");
        assert_eq!(
            (fixture.arrived(), fixture.incomplete()),
            (vec![named("e", 1)], vec![]),
            "{nth}"
        );
        if !is_met {
            assert!(nth > 15, "{nth} operations");
            break;
        }
    }
}
