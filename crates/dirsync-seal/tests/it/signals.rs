//! Signals say a little, signed, and only to their addressee.

use dirsync_seal::{Content, FirstContact, Holding, ProbeId, Signal, SignalLines, work};

use super::*;

fn signal() -> Signal {
    let holding = Holding::new(Content::of(b"body").hash, vec![0..=2]).unwrap();
    let (probe, answers) = (Some(ProbeId([1; 16])), Some(ProbeId([2; 16])));
    Signal { sent: 1_700_000_000_000, probe, answers, holds: Some(vec![holding]) }
}

fn sealed(signal: &Signal, contact: Option<&FirstContact>) -> Vec<u8> {
    let (from, to) = (name("NORTH/HQ"), name("SOUTH/SALES"));
    signal.seal((&from, &to), contact, &pair(1), pair(2).public()).unwrap()
}

fn read_as(mut file: &[u8], own: &OwnKeys) -> Result<Signal, SealError> {
    SignalLines::read(&mut file)?.verify(own, &pinned(&north()))
}

fn read(file: &[u8]) -> Result<Signal, SealError> {
    read_as(file, &south())
}

#[test]
fn a_signal_says_what_was_sealed_and_nothing_is_decrypted() {
    let before = work::so_far().decryptions;
    let silent = Signal { sent: 5, ..Signal::default() };
    let empty = Signal { holds: Some(Vec::new()), ..Signal::default() };
    for signal in [signal(), silent, empty] {
        assert_eq!(read(&sealed(&signal, None)).unwrap(), signal);
        assert_eq!(Signal::from_lines(&signal.to_lines()).unwrap(), signal);
    }
    let contact = FirstContact::new(*pair(1).public(), &"0a".repeat(64)).unwrap();
    let file = sealed(&signal(), Some(&contact));
    assert_eq!(read(&file).unwrap(), signal());
    let lines = SignalLines::read(&mut file.as_slice()).unwrap();
    assert_eq!(lines.first_contact(), Some(&contact));
    assert_eq!(work::so_far().decryptions, before);
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_signal_is_refused() {
    let file = sealed(&signal(), None);
    for length in 0..file.len() {
        let error = read(&file[..length]).unwrap_err();
        assert!(matches!(error, SealError::CutOff { .. }), "{error:?}");
    }
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut altered = file.clone();
            altered[at] ^= 1 << bit;
            assert!(read(&altered).is_err(), "bit {bit} of byte {at}");
        }
    }
    let longer = [file.as_slice(), b"\n"].concat();
    assert!(matches!(read(&longer), Err(SealError::Trailing)));
}

#[test]
fn only_the_addressee_takes_a_signal_and_only_of_its_sender() {
    let file = sealed(&signal(), None);
    assert!(matches!(read_as(&file, &north()), Err(SealError::OtherAddressee(_))));
    let thief =
        signal().seal((&name("NORTH/HQ"), &name("SOUTH/SALES")), None, &pair(3), pair(2).public());
    assert!(matches!(read(&thief.unwrap()), Err(SealError::OtherSigner { .. })));
    let fragment = b"DIRSYNC-FRAGMENT 1\n".as_slice();
    assert!(matches!(read(fragment), Err(SealError::OtherFile("DIRSYNC-SIGNAL"))));
}
