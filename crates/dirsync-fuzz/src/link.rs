//! Bytes that come over a link: requests of strangers and requestors at the server, and answers at a requestor.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use dirsync_directory::PostofficeName;
use dirsync_link::server::{Desk, DeskError, Held, InMemory, Served};
use dirsync_link::wire::{self, Files};
use dirsync_seal::{Content, ContentHash, LoginLines};
use dirsync_transit::Piece;

use crate::bytes::Bytes;

/// Text that inputs have in the place of a ticket of SOUTH/HQ.
const TICKET: &[u8] = b"TICKET";
/// What is there for SOUTH/HQ, and for WEST/HQ, who never comes.
const FILE: &str = "0000-0000000000-9-ab.piece";
const SECRET: &[u8] = b"a secret of WEST/HQ";

fn name(text: &str) -> PostofficeName {
    text.parse().expect("a name")
}

/// A desk with one file and one body for each of two requestors. It checks that it is asked only for what can be.
struct OneFile;

impl OneFile {
    fn content(requestor: &PostofficeName) -> &'static [u8] {
        if *requestor == name("SOUTH/HQ") { b"a file" } else { SECRET }
    }
}

impl Desk for OneFile {
    fn admit(&self, login: LoginLines) -> Served<PostofficeName> {
        // Nobody can have signed the nonce of this process.
        Err(DeskError::Refused(format!("{} is not admitted", login.parties().from)))
    }

    fn is_served(&self, _: &PostofficeName) -> bool {
        true
    }

    fn waiting(&self, requestor: &PostofficeName) -> Served<Vec<(String, u64)>> {
        Ok(vec![(FILE.to_owned(), Self::content(requestor).len() as u64)])
    }

    fn read(&self, requestor: &PostofficeName, name: &str) -> Served<Option<Vec<u8>>> {
        Ok((name == FILE).then(|| Self::content(requestor).to_vec()))
    }

    fn taken(&self, _: &PostofficeName, name: &str) -> Served<()> {
        assert!(wire::is_of_link(name), "{name:?}");
        Ok(())
    }

    fn deliver(&self, requestor: &PostofficeName, file: &str, bytes: &[u8]) -> Served<bool> {
        assert!(wire::is_of_link(file) && !file.contains(['/', '\\', '\0']), "{file:?}");
        assert_eq!(*requestor, name("SOUTH/HQ"));
        assert!(bytes.len() as u64 <= wire::FILE_BYTES_MAX);
        Ok(true)
    }

    fn body(&self, requestor: &PostofficeName, hash: &ContentHash) -> Served<Option<Content>> {
        let content = Content::of(Self::content(requestor));
        Ok((content.hash == *hash).then_some(content))
    }

    fn read_part(&self, requestor: &PostofficeName, part: &Piece) -> Served<Option<Vec<u8>>> {
        let (at, end) = (part.at as usize, part.end() as usize);
        let bytes = Self::content(requestor).get(at..end);
        Ok(Some(bytes.expect("a part is one of the body").to_vec()))
    }

    fn held(&self, _: &PostofficeName, _: &ContentHash) -> Served<Option<Held>> {
        Ok(None)
    }

    fn take_part(&self, _: &PostofficeName, part: &Piece, bytes: &[u8]) -> Served<()> {
        assert_eq!((part.at, part.bytes), (0, bytes.len() as u64));
        assert!(part.bytes <= part.body.bytes && part.bytes <= wire::PART_BYTES_MAX);
        Ok(())
    }
}

static SERVER: LazyLock<Mutex<(InMemory, String)>> = LazyLock::new(|| {
    let server = InMemory::new(Arc::new(OneFile));
    let ticket = server.ticket(&name("SOUTH/HQ"));
    Mutex::new((server, ticket))
});

/// What a link reads has one form, in which it is written again. A server that is sent any bytes answers or ends the
/// connection, asks its desk for nothing outside of its limits, and never says anything of another requestor.
pub fn link(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.byte() % 4 {
        0 => files(bytes.rest()),
        1 => headers(bytes.rest()),
        2 => drop(LoginLines::read(bytes.rest())),
        _ => requests(bytes.rest()),
    }
}

fn files(answer: &[u8]) {
    let Ok(files) = Files::parse(answer) else { return };
    assert_eq!(files.to_bytes(), answer);
    for file in &files.0 {
        assert!(wire::is_of_link(&file.name) && file.bytes <= wire::FILE_BYTES_MAX);
        assert!(file.content.as_ref().is_none_or(|bytes| bytes.len() as u64 == file.bytes));
    }
}

fn headers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(nonce) = wire::nonce_of(text) {
        assert_eq!(wire::challenge(&nonce), text);
    }
    if let Some(ticket) = wire::ticket_of(text) {
        assert_eq!(wire::authorization(ticket), text);
    }
    if let Some(range) = wire::range_of(text, 1000) {
        assert!(range.start <= range.end && range.end <= 1000, "{text}");
    }
    if let Some((at, size)) = wire::content_range_of(text) {
        assert!(text.starts_with(&format!("bytes {at}-")) && text.ends_with(&format!("/{size}")));
    }
    if let Ok(wait) = wire::wait_of(Some(text)) {
        assert!(wait <= wire::WAIT_MAX, "{text}");
    }
    if let Ok(hash) = wire::hash_of(text) {
        assert_eq!(hash.to_string(), text);
    }
}

fn requests(data: &[u8]) {
    let server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let (server, ticket) = &*server;
    let answers = server.answers(&with_ticket(data, ticket.as_bytes()));
    let is_there = |text: &[u8]| answers.windows(text.len()).any(|window| window == text);
    assert!(!is_there(SECRET), "it is another requestor's");
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "it is HTTP");
    if !data.windows(TICKET.len()).any(|window| window == TICKET) {
        assert!(!is_there(b"a file") && !is_there(FILE.as_bytes()), "without a ticket");
    }
}

/// The first of each line's placeholders is a ticket of this process.
fn with_ticket(data: &[u8], ticket: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(TICKET.len()).position(|window| window == TICKET) {
        bytes.extend_from_slice(&rest[..at]);
        bytes.extend_from_slice(ticket);
        rest = &rest[at + TICKET.len()..];
    }
    bytes.extend_from_slice(rest);
    bytes
}
