//! Logins prove who asks, to one server, for one nonce.

use dirsync_seal::{FirstContact, Login, LoginLines, Namespace, Nonce, Signature};

use super::*;

const NONCE: Nonce = Nonce([7; 40]);

fn sealed(contact: Option<&FirstContact>) -> Vec<u8> {
    let (from, to) = (&name("NORTH/HQ"), &name("SOUTH/SALES"));
    let login = Login { from, to, nonce: NONCE, rotated: &[], first_contact: contact };
    login.seal(&pair(1), pair(2).public()).unwrap().into_bytes()
}

fn read(text: &[u8]) -> Result<Nonce, SealError> {
    let login = LoginLines::read(text)?;
    let nonce = login.nonce();
    login.verify(&south(), &pinned(&north()))?;
    Ok(nonce)
}

#[test]
fn a_login_proves_who_answered_the_nonce() {
    assert_eq!(read(&sealed(None)).unwrap(), NONCE);
    let contact = FirstContact::new(*pair(1).public(), &"0a".repeat(64)).unwrap();
    let login = LoginLines::read(&sealed(Some(&contact))).unwrap();
    assert_eq!(login.first_contact(), Some(&contact));
    assert_eq!(login.parties().from, name("NORTH/HQ"));
    assert_eq!("07".repeat(40).parse(), Ok(NONCE));
    assert!("7".parse::<Nonce>().is_err());
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_login_is_refused() {
    let text = sealed(None);
    for length in 0..text.len() {
        assert!(read(&text[..length]).is_err(), "{length} bytes");
    }
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut altered = text.clone();
            altered[at] ^= 1 << bit;
            assert!(read(&altered).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(matches!(read(&[text.as_slice(), b"\n"].concat()), Err(SealError::Trailing)));
}

/// A server that passes a login on to another one would be that requestor there.
#[test]
fn a_login_is_for_one_server_and_by_its_own_key() {
    let login = || LoginLines::read(&sealed(None)).unwrap();
    let elsewhere = OwnKeys::new(name("WEST/HQ"), pair(3));
    let error = login().verify(&elsewhere, &pinned(&north())).unwrap_err();
    assert!(matches!(error, SealError::OtherAddressee(_)), "{error:?}");
    let other = PeerKeys::pinned(name("NORTH/HQ"), *pair(3).public());
    let error = login().verify(&south(), &other).unwrap_err();
    assert!(matches!(error, SealError::OtherSigner { .. }), "{error:?}");
}

/// The text of a message is not a login, nor the other way round, even with the right lines.
#[test]
fn a_signature_for_another_purpose_is_no_login() {
    let text = String::from_utf8(sealed(None)).unwrap();
    let lines = &text[..text.find("-----BEGIN").unwrap()];
    let signature = Signature::sign(lines, Namespace::Message, &pair(1)).unwrap();
    let error = read(format!("{lines}{}\n", signature.to_pem()).as_bytes()).unwrap_err();
    assert!(matches!(error, SealError::Signature(_)), "{error:?}");
}
