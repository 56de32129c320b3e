//! The claims of the crate, through its public face.

mod fragments;
mod logins;
mod open;
#[cfg(unix)]
mod programs;
mod refused;
mod rotation;
mod secrets;
mod signals;

use std::io::{Cursor, Write};

use dirsync_seal::{
    BodyPlace, BodySealer, BodyStatement, Front, KeyPair, Lines, MessageName, OpenedHead, OwnKeys,
    PeerKeys, SealError, SealedBody,
};

pub const HEAD: &str = "[DIRSYNC]\nformat=1.0\nmessage=request\n[END]\n";
pub const BODY: &[u8] = b"[DIRSYNC-TRANSACTIONS]\n[END] 0\n";

pub fn pair(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32], "a postoffice").unwrap()
}

pub fn name(text: &str) -> dirsync_directory::PostofficeName {
    text.parse().unwrap()
}

/// The keys of NORTH/HQ, which sends.
pub fn north() -> OwnKeys {
    OwnKeys::new(name("NORTH/HQ"), pair(1))
}

/// The keys of SOUTH/SALES, which receives.
pub fn south() -> OwnKeys {
    OwnKeys::new(name("SOUTH/SALES"), pair(2))
}

/// The key of a postoffice as another one has pinned it.
pub fn pinned(own: &OwnKeys) -> PeerKeys {
    PeerKeys::pinned(own.name().clone(), *own.newest().public())
}

pub fn sealed_body(body: &[u8]) -> (SealedBody, Vec<u8>) {
    let mut sealer = BodySealer::new(Vec::new(), 3).unwrap();
    sealer.write_all(body).unwrap();
    sealer.finish().unwrap()
}

pub fn front(body: &SealedBody, place: BodyPlace) -> Front {
    Front {
        from: name("NORTH/HQ"),
        to: name("SOUTH/SALES"),
        name: MessageName::new("1f.02", 12, 1).unwrap(),
        body: BodyStatement { content: body.content, place },
        holds: Vec::new(),
        rotated: Vec::new(),
        first_contact: None,
    }
}

/// A message from NORTH/HQ to SOUTH/SALES, changed before it is sealed.
pub fn message_with(change: impl FnOnce(&mut Front)) -> Vec<u8> {
    let (body, sealed) = sealed_body(BODY);
    let mut front = front(&body, BodyPlace::Inline);
    change(&mut front);
    let (north, south) = (north(), south());
    let file = front.seal(HEAD, &body.key, north.newest(), south.newest().public()).unwrap();
    [file, sealed].concat()
}

pub fn message() -> Vec<u8> {
    message_with(|_| {})
}

/// Opens a file as SOUTH/SALES, up to its head.
pub fn open_as(
    file: &[u8],
    own: &OwnKeys,
    sender: &PeerKeys,
) -> Result<OpenedHead<Cursor<Vec<u8>>>, SealError> {
    let lines = Lines::read(&mut &file[..])?;
    lines.verify(own, sender)?.open_head(Cursor::new(file.to_vec()), own)
}

pub fn open(file: &[u8]) -> Result<OpenedHead<Cursor<Vec<u8>>>, SealError> {
    open_as(file, &south(), &pinned(&north()))
}

/// The text with one part replaced, which it must contain.
pub fn replaced(file: &[u8], part: &str, by: &str) -> Vec<u8> {
    let at = file.windows(part.len()).position(|window| window == part.as_bytes());
    let at = at.unwrap_or_else(|| panic!("no {part:?}"));
    [&file[..at], by.as_bytes(), &file[at + part.len()..]].concat()
}

/// The lines of a file, up to its signature.
pub fn lines_of(file: &[u8]) -> String {
    let end = b"-----BEGIN SSH SIGNATURE-----";
    let at = file.windows(end.len()).position(|window| window == end).unwrap();
    String::from_utf8(file[..at].to_vec()).unwrap()
}
