//! Keys change while messages are under way, and nothing genuine is refused.

use dirsync_seal::{CHAIN_MAX, Confirmed, KeyStatement, RotationError, SignatureError, work};

use super::*;

fn statement(old: u8, new: u8) -> KeyStatement {
    KeyStatement::sign(&name("NORTH/HQ"), &pair(old), pair(new).public()).unwrap()
}

/// The seeds of the keys that may sign.
fn may_sign(keys: &PeerKeys) -> Vec<u8> {
    let allowed = |seed: &u8| keys.may_sign(&pair(*seed).public().fingerprint()).is_some();
    (0..=30).filter(allowed).collect()
}

#[test]
fn a_statement_is_read_as_it_is_written() {
    let made = statement(1, 11);
    let text = made.to_string();
    assert_eq!(text.parse(), Ok(made));
    for text in [text.replace(' ', "  "), format!("{text} "), text[1..].to_owned(), String::new()] {
        assert!(text.parse::<KeyStatement>().is_err(), "{text}");
    }
}

#[test]
fn a_statement_is_proved_by_the_old_key_for_one_postoffice() {
    let made = statement(1, 11);
    assert_eq!(made.verify(&name("NORTH/HQ")), Ok(()));
    let other = made.verify(&name("WEST/HQ")).unwrap_err();
    assert!(
        matches!(other, RotationError::Unproved { source: SignatureError::Wrong, .. }),
        "{other}"
    );
    // The new key alone proves nothing.
    let mut words: Vec<String> = made.to_string().split(' ').map(str::to_owned).collect();
    words[2] = statement(11, 11).to_string().split(' ').nth(2).unwrap().to_owned();
    let forged: KeyStatement = words.join(" ").parse().unwrap();
    let error = pinned(&north()).following(&[forged]).unwrap_err();
    assert!(matches!(error, RotationError::Unproved { .. }), "{error}");
}

#[test]
fn the_pinned_key_and_its_successors_may_sign_until_one_of_them_did() {
    let first = pinned(&north());
    assert_eq!(may_sign(&first), [1]);
    let followed = first.following(&[statement(1, 11), statement(11, 12)]).unwrap();
    assert_eq!(may_sign(&followed), [1, 11, 12]);
    assert_eq!(followed.newest(), pair(12).public());
    let repeated = followed.following(&[statement(1, 11), statement(11, 12)]).unwrap();
    assert_eq!(repeated, followed);
    let moved = followed.after_message_of(pair(11).public());
    assert_eq!(may_sign(&moved), [11, 12]);
    assert_eq!(moved.following(&[statement(1, 11), statement(11, 12)]).unwrap(), moved);
    assert_eq!(moved.after_message_of(pair(1).public()), moved, "an old key takes nothing back");
    let last = moved.after_message_of(pair(12).public());
    assert_eq!(may_sign(&last), [12]);
    assert_eq!(last.following(&[statement(1, 11), statement(11, 12)]).unwrap(), last);
}

/// One who holds a stolen old key can announce another successor, but not unnoticed.
#[test]
fn a_second_successor_of_one_key_is_refused() {
    let followed = pinned(&north()).following(&[statement(1, 11)]).unwrap();
    let error = followed.following(&[statement(1, 13)]).unwrap_err();
    assert!(matches!(error, RotationError::Forked { .. }), "{error}");
    assert!(error.to_string().contains(&pair(13).public().fingerprint().to_string()));
    // Once the successor is pinned, the old key has no say at all.
    let moved = followed.after_message_of(pair(11).public());
    assert_eq!(moved.following(&[statement(1, 13)]).unwrap(), moved);
}

#[test]
fn a_chain_is_followed_up_to_its_limit() {
    let chain: Vec<_> = (1..=9).map(|old| statement(old, old + 1)).collect();
    let most = pinned(&north()).following(&chain[..CHAIN_MAX]).unwrap();
    assert_eq!(most.all().count(), CHAIN_MAX + 1);
    assert_eq!(most.following(&chain[8..]).unwrap_err(), RotationError::TooLong);
    let before = work::so_far();
    assert_eq!(pinned(&north()).following(&chain).unwrap_err(), RotationError::TooLong);
    assert_eq!(work::so_far(), before, "a chain that is too long is not begun");
    let kept = most.all().skip(1).copied().collect::<Vec<_>>();
    assert_eq!(PeerKeys::kept(name("NORTH/HQ"), *pair(1).public(), kept).unwrap(), most);
}

/// A postoffice's own keys, and the keys that it knows of its peer.
struct Side {
    own: OwnKeys,
    peer: PeerKeys,
    confirmed: Option<Confirmed>,
}

impl Side {
    fn send(&self) -> Vec<u8> {
        let (body, sealed) = sealed_body(BODY);
        let mut front = front(&body, BodyPlace::Inline);
        front.from = self.own.name().clone();
        front.to = self.peer.name().clone();
        let (signer, statements) = self.own.signing_for(self.confirmed.as_ref());
        front.rotated = statements.to_vec();
        let file = front.seal(HEAD, &body.key, signer, self.peer.newest()).unwrap();
        [file, sealed].concat()
    }

    fn receive(&mut self, file: &[u8]) -> Result<(), SealError> {
        let opened = open_as(file, &self.own, &self.peer)?;
        let to_key = opened.signed().parties().to_key;
        self.confirmed = Some(Confirmed::after(self.confirmed, to_key, &self.own));
        self.peer = opened.signed().sender_keys().clone();
        Ok(())
    }
}

/// Two postoffices that have exchanged messages.
fn sides() -> (Side, Side) {
    let (peer_of_north, peer_of_south) = (pinned(&south()), pinned(&north()));
    let mut north = Side { own: north(), peer: peer_of_north, confirmed: None };
    let mut south = Side { own: south(), peer: peer_of_south, confirmed: None };
    south.receive(&north.send()).unwrap();
    north.receive(&south.send()).unwrap();
    (north, south)
}

#[test]
fn both_ends_rotate_at_once_with_messages_under_way() {
    let (mut north, mut south) = sides();
    let under_way = (north.send(), south.send());
    north.own.rotate(pair(11)).unwrap();
    south.own.rotate(pair(21)).unwrap();
    let announced = (north.send(), south.send());
    for (from_north, from_south) in [under_way, announced] {
        south.receive(&from_north).unwrap();
        north.receive(&from_south).unwrap();
    }
    for _ in 0..2 {
        south.receive(&north.send()).unwrap();
        north.receive(&south.send()).unwrap();
    }
    assert_eq!(may_sign(&south.peer), [11]);
    assert_eq!(may_sign(&north.peer), [21]);
    let (signer, statements) = north.own.signing_for(north.confirmed.as_ref());
    assert_eq!((signer.public(), statements), (pair(11).public(), &[][..]));
}

#[test]
fn a_peer_sleeps_through_two_rotations() {
    let (mut north, mut south) = sides();
    let old = north.send();
    let late = south.send();
    north.own.rotate(pair(11)).unwrap();
    north.own.rotate(pair(12)).unwrap();
    south.receive(&north.send()).unwrap();
    assert_eq!(may_sign(&south.peer), [1, 11, 12]);
    // Another message of the old key is still under way, and no harm is done by it.
    south.receive(&old).unwrap();
    north.receive(&south.send()).unwrap();
    // A late message, sealed to the first key, does not make the server sign with it again.
    let first_of_the_new_key = north.send();
    south.receive(&first_of_the_new_key).unwrap();
    north.receive(&late).unwrap();
    south.receive(&north.send()).unwrap();
    assert_eq!(may_sign(&south.peer), [12]);
    let error = south.receive(&old).unwrap_err();
    assert!(matches!(error, SealError::OtherSigner { .. }), "{error}");
}

/// The private key is destroyed after a year; the statement is not.
#[test]
fn a_peer_that_slept_longer_than_the_old_key_lived_follows_the_statements() {
    let (mut north, mut south) = sides();
    north.own = OwnKeys::kept(
        name("NORTH/HQ"),
        vec![],
        pair(12),
        vec![statement(1, 11), statement(11, 12)],
    );
    south.receive(&north.send()).unwrap();
    assert_eq!(may_sign(&south.peer), [12]);
    let error = north.receive(&{
        let mut asleep = sides().1;
        asleep.peer = pinned(&super::north());
        asleep.send()
    });
    assert!(matches!(error, Err(SealError::OtherAddresseeKey(_))), "{error:?}");
}

#[test]
fn a_peer_that_was_restored_from_a_backup_follows_again() {
    let (mut north, mut south) = sides();
    let backup = (south.peer.clone(), south.confirmed);
    north.own.rotate(pair(11)).unwrap();
    for _ in 0..2 {
        south.receive(&north.send()).unwrap();
        north.receive(&south.send()).unwrap();
    }
    (south.peer, south.confirmed) = backup;
    assert_eq!(may_sign(&south.peer), [1]);
    north.receive(&south.send()).unwrap();
    south.receive(&north.send()).unwrap();
    assert_eq!(may_sign(&south.peer), [11]);
}

#[test]
fn a_stranger_cannot_rotate_the_key_of_another() {
    let theirs = KeyStatement::sign(&name("NORTH/HQ"), &pair(9), pair(10).public()).unwrap();
    let (body, sealed) = sealed_body(BODY);
    let mut front = front(&body, BodyPlace::Inline);
    front.rotated = vec![theirs];
    let file = front.seal(HEAD, &body.key, &pair(10), pair(2).public()).unwrap();
    let before = work::so_far();
    let error = open(&[file, sealed].concat()).err().unwrap();
    assert!(matches!(error, SealError::OtherSigner { .. }), "{error}");
    assert_eq!(work::so_far(), before, "not even a signature was verified");
}
