//! Fragments carry a body in pieces, each signed.

use dirsync_seal::{Content, Fragment, FragmentLines, PIECE_BYTES_MAX, Part, SignatureError, work};

use super::*;

const WHOLE: &[u8] = b"0123456789";

fn fragment(at: u64) -> Fragment {
    Fragment {
        from: name("NORTH/HQ"),
        to: name("SOUTH/SALES"),
        body: Content::of(WHOLE),
        at,
        rotated: Vec::new(),
        first_contact: None,
    }
}

fn sealed(at: u64, piece: &[u8]) -> Vec<u8> {
    fragment(at).seal(piece, &pair(1), pair(2).public()).unwrap()
}

fn read_as(mut file: &[u8], own: &OwnKeys) -> Result<(u64, Vec<u8>), SealError> {
    let signed = FragmentLines::read(&mut file)?.verify(own, &pinned(&north()))?;
    Ok((signed.fragment().at, signed.read_piece(&mut file)?))
}

fn read(file: &[u8]) -> Result<(u64, Vec<u8>), SealError> {
    read_as(file, &south())
}

#[test]
fn a_body_is_put_together_from_its_fragments() {
    let mut whole = vec![0; WHOLE.len()];
    for at in [6, 0, 3, 3] {
        let end = (at + 4).min(WHOLE.len());
        let (at, piece) = read(&sealed(at as u64, &WHOLE[at..end])).unwrap();
        let at = at as usize;
        whole[at..at + piece.len()].copy_from_slice(&piece);
    }
    assert_eq!(Content::of(&whole), Content::of(WHOLE));
}

#[test]
fn every_cut_of_a_fragment_is_refused_as_a_cut() {
    let file = sealed(0, WHOLE);
    for length in 0..file.len() {
        let error = read(&file[..length]).unwrap_err();
        assert!(matches!(error, SealError::CutOff { have, need } if have < need), "{error:?}");
    }
}

#[test]
fn every_flipped_bit_of_a_fragment_is_refused() {
    let file = sealed(0, WHOLE);
    let before = work::so_far().decryptions;
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut altered = file.clone();
            altered[at] ^= 1 << bit;
            assert!(read(&altered).is_err(), "byte {at}, bit {bit}");
        }
    }
    assert_eq!(work::so_far().decryptions, before);
}

#[test]
fn a_fragment_is_refused_as_what_it_is() {
    let file = sealed(2, b"234");
    let west = OwnKeys::new(name("WEST/HQ"), pair(2));
    let error = read_as(&file, &west).unwrap_err();
    assert!(matches!(error, SealError::OtherAddressee(_)), "{error}");

    let error = read(&replaced(&file, "at: 2", "at: 3")).unwrap_err();
    assert!(matches!(error, SealError::Signature(SignatureError::Wrong)), "{error}");

    let forged = fragment(2).seal(b"234", &pair(9), pair(2).public()).unwrap();
    let error = read(&forged).unwrap_err();
    assert!(matches!(error, SealError::OtherSigner { .. }), "{error}");

    let mut altered = file.clone();
    *altered.last_mut().unwrap() ^= 1;
    let error = read(&altered).unwrap_err();
    assert!(matches!(error, SealError::WrongHash(Part::Piece)), "{error}");

    let error = read(&[&file[..], b"5"].concat()).unwrap_err();
    assert!(matches!(error, SealError::Trailing), "{error}");

    let error = read(&message()).unwrap_err();
    assert!(matches!(error, SealError::OtherFile("DIRSYNC-FRAGMENT")), "{error}");
    let error = Lines::read(&mut &file[..]).unwrap_err();
    assert!(matches!(error, SealError::OtherFile("DIRSYNC-ENVELOPE")), "{error}");
}

#[test]
fn a_piece_is_within_its_body() {
    let seal = |at, piece: &[u8]| fragment(at).seal(piece, &pair(1), pair(2).public());
    for (at, piece) in [(8, &b"xyz"[..]), (10, b"x"), (u64::MAX, b"x"), (0, b"")] {
        let error = seal(at, piece).unwrap_err();
        assert!(matches!(error, SealError::WrongLine { .. }), "{error}");
    }
    let large = vec![0; PIECE_BYTES_MAX as usize + 1];
    let error = seal(0, &large).unwrap_err();
    assert!(matches!(error, SealError::TooLarge { part: Part::Piece, .. }), "{error}");
}

/// A piece comes before the message that names its body, so it has to announce the key itself.
#[test]
fn a_fragment_announces_the_key_that_signs_it() {
    let mut own = OwnKeys::new(name("NORTH/HQ"), pair(1));
    own.rotate(pair(3)).unwrap();
    let (signer, rotated) = own.signing_for(None);
    let announced = Fragment { rotated: rotated.to_vec(), ..fragment(0) };
    let file = announced.seal(WHOLE, signer, pair(2).public()).unwrap();
    assert_eq!(read(&file).unwrap(), (0, WHOLE.to_vec()));
    let bare = fragment(0).seal(WHOLE, signer, pair(2).public()).unwrap();
    assert!(matches!(read(&bare), Err(SealError::OtherSigner { .. })));
}
