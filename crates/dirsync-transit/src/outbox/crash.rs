//! Programs that are killed at any file operation, and several that work at once.

use std::fs;
use std::path::Path;

use dirsync_carrier::durable;
use tempfile::TempDir;

use super::*;
use crate::disk::DiskBodies;
use crate::testing::frozen;

const PIECE: u64 = 10_000;

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

fn north() -> PostofficeName {
    name("NORTH/HQ")
}

fn south() -> PostofficeName {
    name("SOUTH/HQ")
}

fn bytes(count: u32) -> Vec<u8> {
    (0..count).flat_map(u32::to_le_bytes).collect()
}

fn open(folder: &Path) -> Outbox {
    Outbox::new(DiskBodies::open(folder).unwrap())
}

fn content(outbox: &Outbox, body: &FrozenBody) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    outbox.open(&body.content).unwrap()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

/// Hands over all pieces that are left.
fn carry(sender: &Outbox, receiver: &Outbox) -> Result<u64, BodiesError> {
    let mut carried = 0;
    while let Some(NextPiece { piece, bytes, .. }) = sender.next_piece(&south(), PIECE)? {
        receiver.take_piece(&north(), &piece, &bytes, 1)?;
        sender.hand_over(&south(), &piece)?;
        carried += piece.bytes;
    }
    Ok(carried)
}

/// A body on its way from one folder to another.
struct Exchange {
    folders: [TempDir; 2],
    body: FrozenBody,
    bytes: Vec<u8>,
}

impl Exchange {
    fn new(bytes: Vec<u8>) -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        Self { folders, body: frozen(&bytes), bytes }
    }

    fn open(&self) -> [Outbox; 2] {
        [open(self.folders[0].path()), open(self.folders[1].path())]
    }

    /// All of it, from the beginning.
    fn run(&self) -> Result<(), BodiesError> {
        let [sender, receiver] = self
            .folders
            .each_ref()
            .map(|folder| Ok::<_, BodiesError>(Outbox::new(DiskBodies::open(folder.path())?)));
        let (sender, receiver) = (sender?, receiver?);
        sender.freeze(&south(), &self.body, &mut self.bytes.as_slice())?;
        carry(&sender, &receiver)?;
        // A body for which nobody waits.
        let other = frozen(b"other");
        sender.freeze(&south(), &other, &mut b"other".as_slice())?;
        sender.thaw(&south())?;
        sender.tidy_up(0)?;
        receiver.tidy_up(0)
    }

    /// Nothing wrong is taken for whole, and going on ends with the right bytes. Returns the bytes that it cost.
    fn go_on(&self) -> u64 {
        let [sender, receiver] = self.open();
        for outbox in [&sender, &receiver] {
            let content = content(outbox, &self.body);
            assert!(content.is_none_or(|bytes| bytes == self.bytes), "whole is right");
        }
        let mut cost = 0;
        for _ in 0..6 {
            let is_frozen = |body: &FrozenBody| body.content == self.body.content;
            if !sender.frozen(&south()).unwrap().0.iter().any(is_frozen) {
                sender.freeze(&south(), &self.body, &mut self.bytes.as_slice()).unwrap();
            }
            cost += carry(&sender, &receiver).unwrap();
            receiver.miss(&north(), &self.body.content).unwrap();
            sender.hear(&south(), &receiver.holds(&north()).unwrap()).unwrap();
        }
        assert_eq!(content(&receiver, &self.body).as_ref(), Some(&self.bytes));
        cost
    }
}

/// As on a full disk, or when the program is killed: at each file operation of an exchange of four pieces.
#[test]
fn an_exchange_ends_well_after_a_crash_at_any_operation() {
    let mut met = 0;
    for nth in 1.. {
        let exchange = Exchange::new(bytes(8_000));
        durable::fail_at(Some(nth));
        let outcome = exchange.run();
        let is_met = !durable::failure_pending();
        durable::fail_at(None);
        if let Err(error) = &outcome {
            assert!(error.to_string().contains("nothing is lost"), "{nth}: {error}");
        }
        assert!(is_met || outcome.is_ok(), "{nth}");
        let cost = exchange.go_on();
        assert!(cost <= 2 * 32_000, "{nth}: {cost} bytes, the body at most twice");
        if !is_met {
            break;
        }
        met = nth;
    }
    assert!(met > 40, "{met} operations failed");
}

/// A crash after the last piece made the body whole, and before the state says so, costs that piece alone.
#[test]
fn a_body_that_is_whole_before_its_state_is_not_sent_again() {
    let is_whole = |exchange: &Exchange| {
        let folder = exchange.folders[1].path();
        folder.join("bodies").join(exchange.body.content.hash.to_string()).exists()
    };
    for nth in 1.. {
        let exchange = Exchange::new(bytes(8_000));
        let [sender, receiver] = exchange.open();
        sender.freeze(&south(), &exchange.body, &mut exchange.bytes.as_slice()).unwrap();
        let is_last = |piece: &Piece| piece.end() == 32_000;
        while let Some(NextPiece { piece, bytes, .. }) = sender.next_piece(&south(), PIECE).unwrap()
        {
            durable::fail_at(is_last(&piece).then_some(nth));
            let taken = receiver.take_piece(&north(), &piece, &bytes, 1);
            durable::fail_at(None);
            if taken.is_err() && is_whole(&exchange) {
                assert!(receiver.take_piece(&north(), &piece, &bytes, 1).unwrap(), "whole now");
                assert_eq!(exchange.go_on(), 2_000, "the sender does not know it yet");
                return;
            }
            taken.unwrap_or(false);
            if is_last(&piece) {
                assert!(!is_whole(&exchange) || nth < 20, "the crash is found");
                break;
            }
            sender.hand_over(&south(), &piece).unwrap();
        }
    }
}

/// A power failure loses the last changes of the state, and no file.
#[test]
fn a_state_that_is_older_than_the_files_costs_bytes_alone() {
    for of in [0, 1] {
        for pieces in 0..=4 {
            let exchange = Exchange::new(bytes(8_000));
            let state = exchange.folders[of].path().join("transit.db");
            let [sender, receiver] = exchange.open();
            sender.freeze(&south(), &exchange.body, &mut exchange.bytes.as_slice()).unwrap();
            let take = |sender: &Outbox, receiver: &Outbox| {
                let next = sender.next_piece(&south(), PIECE).unwrap().unwrap();
                receiver.take_piece(&north(), &next.piece, &next.bytes, 1).unwrap();
                sender.hand_over(&south(), &next.piece).unwrap();
            };
            (0..pieces).for_each(|_| take(&sender, &receiver));
            // The last handle that is closed writes everything to one file.
            drop((sender, receiver));
            let old = fs::read(&state).unwrap();
            let [sender, receiver] = exchange.open();
            (pieces..4).for_each(|_| take(&sender, &receiver));
            drop((sender, receiver));
            fs::write(&state, old).unwrap();
            exchange.go_on();
        }
    }
}

/// A file that is shorter than its body is as good as lost: others are sent instead.
#[test]
fn a_frozen_body_that_was_cut_off_is_not_sent() {
    let exchange = Exchange::new(bytes(8_000));
    let [sender, _] = exchange.open();
    sender.freeze(&south(), &exchange.body, &mut exchange.bytes.as_slice()).unwrap();
    let hash = exchange.body.content.hash.to_string();
    let path = exchange.folders[0].path().join("bodies").join(hash);
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(15_000).unwrap();
    let first = sender.next_piece(&south(), PIECE).unwrap().unwrap();
    sender.hand_over(&south(), &first.piece).unwrap();
    assert_eq!(sender.next_piece(&south(), PIECE).unwrap(), None);
    assert!(sender.frozen(&south()).unwrap().0.is_empty());
}

/// Two senders and two receivers at once, of which one removes what nobody needs.
fn at_once(body: &FrozenBody, bytes: &[u8], open: &(dyn Fn() -> [Outbox; 2] + Sync)) {
    let [sender, _] = open();
    sender.freeze(&south(), body, &mut &*bytes).unwrap();
    for _ in 0..6 {
        let wholes: u32 = std::thread::scope(|scope| {
            let carry = |tidies: bool| {
                let [sender, receiver] = open();
                let mut wholes = 0;
                while let Some(next) = sender.next_piece(&south(), PIECE).unwrap() {
                    let NextPiece { piece, bytes, .. } = next;
                    let taken = receiver.take_piece(&north(), &piece, &bytes, 1).unwrap();
                    wholes += u32::from(taken);
                    sender.hand_over(&south(), &piece).unwrap();
                    if tidies {
                        receiver.tidy_up(0).unwrap();
                        sender.tidy_up(0).unwrap();
                    }
                }
                wholes
            };
            let both = [true, false].map(|tidies| scope.spawn(move || carry(tidies)));
            both.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert!(wholes <= 1, "it is made whole once");
        let [sender, receiver] = open();
        sender.hear(&south(), &receiver.holds(&north()).unwrap()).unwrap();
        if content(&receiver, body).is_some() {
            break;
        }
    }
    let [sender, receiver] = open();
    assert_eq!(content(&receiver, body).unwrap(), bytes);
    assert_eq!(sender.frozen(&south()).unwrap().1.bytes_taken, bytes.len() as u64);
}

#[test]
fn several_programs_work_at_once() {
    for _ in 0..4 {
        let exchange = Exchange::new(bytes(100_000));
        at_once(&exchange.body, &exchange.bytes, &|| exchange.open());
        let (sender, receiver) = (Outbox::default(), Outbox::default());
        at_once(&exchange.body, &exchange.bytes, &|| [sender.clone(), receiver.clone()]);
    }
}

/// Everybody's change counts, also those that others make meanwhile.
#[test]
fn changes_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Outbox::default();
    for open in [&(|| memory.clone()) as &(dyn Fn() -> Outbox + Sync), &|| open(folder.path())] {
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                scope.spawn(move || {
                    let outbox = open();
                    for nth in 0..10 {
                        let bytes = (10 * thread + nth).to_le_bytes();
                        outbox.freeze(&south(), &frozen(&bytes), &mut bytes.as_slice()).unwrap();
                    }
                });
            }
        });
        assert_eq!(open().frozen(&south()).unwrap().0.len(), 40);
    }
}
