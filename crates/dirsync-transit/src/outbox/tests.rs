use super::*;
use crate::disk::DiskBodies;
use crate::testing::frozen;

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

/// Runs a test with bodies in memory, and with those in a folder.
fn both(test: impl Fn(&Outbox, &Outbox)) {
    test(&Outbox::default(), &Outbox::default());
    let folder = tempfile::tempdir().unwrap();
    let on_disk = |name: &str| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        Outbox::new(DiskBodies::open(folder).unwrap())
    };
    test(&on_disk("sender"), &on_disk("receiver"));
}

fn content(outbox: &Outbox, body: &FrozenBody) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    outbox.open(&body.content).unwrap()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

/// Hands pieces over until nothing is left or `lose` says that the next one gets lost.
fn carry(from: &Outbox, to: &Outbox, mut lose: impl FnMut(&Piece) -> bool) -> u64 {
    let (north, south) = (name("NORTH/HQ"), name("SOUTH/HQ"));
    let mut carried = 0;
    while let Some(NextPiece { piece, bytes, .. }) = from.next_piece(&south, 10_000).unwrap() {
        carried += piece.bytes;
        if !lose(&piece) {
            to.take_piece(&north, &piece, &bytes, 1).unwrap();
        }
        from.hand_over(&south, &piece).unwrap();
    }
    carried
}

#[test]
fn a_body_arrives_in_pieces_of_which_some_are_lost() {
    both(|sender, receiver| {
        let (north, south) = (name("NORTH/HQ"), name("SOUTH/HQ"));
        let bytes: Vec<u8> =
            (0..100_000_u32).flat_map(|nth| nth.to_le_bytes()).take(95_000).collect();
        let body = frozen(&bytes);
        sender.freeze(&south, &body, &mut bytes.as_slice()).unwrap();
        let mut nth = 0;
        let carried = carry(sender, receiver, |_| {
            nth += 1;
            nth % 3 == 0
        });
        assert_eq!(carried, 95_000);
        assert_eq!(content(receiver, &body), None, "a part is not the whole");
        for _ in 0..2 {
            sender.hear(&south, &receiver.holds(&north).unwrap()).unwrap();
        }
        assert_eq!(carry(sender, receiver, |_| false), 30_000, "only what was lost");
        assert_eq!(content(receiver, &body).as_ref(), Some(&bytes));
        let (frozen, progress) = sender.frozen(&south).unwrap();
        assert_eq!(frozen.len(), 1);
        assert_eq!(
            progress,
            Progress { bytes: 95_000, bytes_taken: 95_000, has_begun: true, heard_whole: 0 }
        );
        sender.thaw(&south).unwrap();
        assert!(sender.frozen(&south).unwrap().0.is_empty());
    });
}

#[test]
fn a_body_that_is_not_what_it_says_is_dropped() {
    both(|_, receiver| {
        let north = name("NORTH/HQ");
        let body = frozen(b"the right body");
        let piece = |at, bytes| Piece { body: body.content, at, bytes };
        assert!(!receiver.take_piece(&north, &piece(0, 6), b"the wr", 1).unwrap());
        assert!(!receiver.take_piece(&north, &piece(6, 8), b"ong body", 1).unwrap());
        assert_eq!((content(receiver, &body), receiver.holds(&north).unwrap()), (None, vec![]));
        assert!(receiver.take_piece(&north, &piece(0, 14), b"the right body", 1).unwrap());
        assert!(
            !receiver.take_piece(&north, &piece(0, 14), b"the right body", 1).unwrap(),
            "doubled"
        );
        assert_eq!(content(receiver, &body).unwrap(), b"the right body");
    });
}

#[test]
fn bodies_go_when_nobody_needs_them() {
    both(|sender, receiver| {
        let (north, south, east) = (name("NORTH/HQ"), name("SOUTH/HQ"), name("EAST/HQ"));
        let (shared, alone) = (frozen(b"for two"), frozen(b"for one"));
        sender.freeze(&south, &shared, &mut b"for two".as_slice()).unwrap();
        sender.freeze(&east, &shared, &mut b"for two".as_slice()).unwrap();
        sender.freeze(&south, &alone, &mut b"for one".as_slice()).unwrap();
        carry(sender, receiver, |_| false);
        sender.thaw(&south).unwrap();
        sender.tidy_up(0).unwrap();
        assert!(content(sender, &shared).is_some(), "the other one needs it");
        assert_eq!(content(sender, &alone), None);
        receiver.tidy_up(1).unwrap();
        assert_eq!(content(receiver, &alone).unwrap(), b"for one", "it came at 1");
        receiver.tidy_up(2).unwrap();
        assert_eq!((content(receiver, &alone), receiver.holds(&north).unwrap()), (None, vec![]));
    });
}

/// Files and state are lost apart from each other. What is lost is sent again.
#[test]
fn files_that_are_lost_are_missed() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Outbox::new(DiskBodies::open(folder.path()).unwrap());
    let (north, body) = (name("NORTH/HQ"), frozen(b"body"));
    let piece = Piece { body: body.content, at: 0, bytes: 4 };
    assert!(open().take_piece(&north, &piece, b"body", 1).unwrap());
    open().miss(&north, &body.content).unwrap();
    assert_eq!(open().holds(&north).unwrap().len(), 1, "a clone of the handle has it");

    std::fs::remove_dir_all(folder.path().join("bodies")).unwrap();
    assert!(open().open(&body.content).unwrap().is_none());
    open().miss(&north, &body.content).unwrap();
    assert_eq!(open().holds(&north).unwrap(), []);
    assert!(open().take_piece(&north, &piece, b"body", 1).unwrap());

    open().freeze(&north, &body, &mut b"body".as_slice()).unwrap();
    std::fs::remove_dir_all(folder.path().join("bodies")).unwrap();
    assert!(open().frozen(&north).unwrap().0.is_empty());
    assert!(open().next_piece(&north, 10).unwrap().is_none());

    std::fs::write(folder.path().join("transit.db"), "no database").unwrap();
    assert_eq!(open().holds(&north).unwrap(), []);
}

/// A peer that sends other bytes under the name of a body does no harm to the one that sends the right ones.
#[test]
fn wrong_pieces_of_another_peer_do_no_harm() {
    both(|_, receiver| {
        let (north, east) = (name("NORTH/HQ"), name("EAST/HQ"));
        let body = frozen(b"the right body");
        let piece = |at, bytes| Piece { body: body.content, at, bytes };
        assert!(!receiver.take_piece(&north, &piece(0, 6), b"the ri", 1).unwrap());
        assert!(!receiver.take_piece(&east, &piece(0, 14), b"the wrong body", 1).unwrap());
        assert!(receiver.take_piece(&north, &piece(6, 8), b"ght body", 1).unwrap());
        assert_eq!(content(receiver, &body).unwrap(), b"the right body");
        assert_eq!(receiver.holds(&east).unwrap(), []);
    });
}
