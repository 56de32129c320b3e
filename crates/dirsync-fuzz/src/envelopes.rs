//! The envelope of a message, and the name of its file.

use std::io::{Read, Write};

use dirsync_carrier::message_name as name;
use dirsync_carrier::{
    Arrived, BodyEncoder, Carrier, FolderCarrier, Outgoing, open_message, open_message_within,
};
use dirsync_directory::{PostofficeName, fold};

use crate::bytes::Bytes;
use crate::scratch::file_of;

/// The largest decompressed body that is allowed here, in bytes.
const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The size to which any body may grow, and the largest ratio above it.
const GROWTH: (u64, u64) = (1024 * 1024, 200);

/// Opens the input as a file, or opens it with a correct hash, or sends it through a folder and
/// receives it unchanged.
pub fn envelope(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.byte() % 3 {
        0 => open(bytes.rest()),
        1 => open(&signed(bytes.rest())),
        _ => send(&mut bytes),
    }
}

fn open(content: &[u8]) {
    let Ok(mut message) = open_message_within(file_of(content), BODY_BYTES_MAX) else { return };
    let from = &message.envelope.from;
    assert_eq!(from.as_str().parse().as_ref(), Ok(from));
    let text = String::from_utf8_lossy(content);
    assert!(message.head.is_empty() || text.contains(&message.head), "the head is in the file");
    let mut body = Vec::new();
    let outcome = message.body.read_to_end(&mut body);
    let allowed = GROWTH.0.max(GROWTH.1 * content.len() as u64).min(BODY_BYTES_MAX);
    assert!(outcome.is_err() || body.len() as u64 <= allowed, "{} bytes", body.len());
}

/// Adds the correct hash to an envelope without one. Mutations would never find it, but anybody can
/// compute it: the hash protects against accidents only.
fn signed(content: &[u8]) -> Vec<u8> {
    let end = content.windows(2).position(|two| two == b"\n\n").map_or(content.len(), |at| at + 1);
    let (lines, rest) = content.split_at(end);
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    let mut hasher = blake3::Hasher::new_derive_key("dirsync 1 hash of a message file");
    hasher.update(lines);
    hasher.update(rest);
    let hash = format!("hash: {}\n\n", hasher.finalize().to_hex());
    [lines, hash.as_bytes(), rest].concat()
}

fn send(bytes: &mut Bytes<'_>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [from, to, epoch] = [bytes.short(), bytes.short(), bytes.short()].map(std::str::from_utf8);
    let (Ok(from), Ok(to), Ok(epoch)) = (from, to, epoch) else { return };
    let (Ok(from), Ok(to)) = (from.parse::<PostofficeName>(), to.parse::<PostofficeName>()) else {
        return;
    };
    // Epochs are tokens. Names with control characters are refused.
    if epoch.chars().any(char::is_control) {
        return;
    }
    let part = u32::from(bytes.byte());
    let Ok(head) = std::str::from_utf8(bytes.short()) else { return };
    let mut encoder = BodyEncoder::new(1).expect("a level of zstd");
    encoder.write_all(bytes.rest()).expect("memory takes everything");
    let body = encoder.finish().expect("memory takes everything");
    let outgoing = Outgoing { from: &from, to: &to, epoch, number: 7, part, head, body: &body };
    let carrier = |me: &PostofficeName| FolderCarrier::new(folder.path(), me.clone(), 1 << 20);
    let sent = carrier(&from).send(&outgoing).expect("it is sent");
    let arrived = carrier(&to).arrived().expect("the folder is there");
    let [arrived] = arrived.as_slice() else {
        panic!("one message was sent: {arrived:?}, {:?}", carrier(&to).contents())
    };
    assert_eq!((arrived.number, arrived.part, arrived.bytes), (7, part, sent));
    let file = std::fs::File::open(&arrived.path).expect("it is there");
    let mut message = open_message(file).expect("what was sent can be opened");
    assert_eq!((&message.envelope.from, &message.envelope.to), (&from, &to));
    assert_eq!(message.head, head);
    let mut decoded = Vec::new();
    message.body.read_to_end(&mut decoded).expect("its body is whole");
}

/// The name of a message file. A name that is read is one that this program makes. A name that it
/// makes of any text is short, is no path, and can be read.
pub fn file_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(Arrived { sender, epoch, number, part, .. }) = name::read(text) {
        assert!(text.ends_with(&format!("-{number}-{part}{}", name::SUFFIX)), "{text}");
        for hint in [sender, epoch] {
            assert!(!hint.chars().any(char::is_control), "{text}");
            assert!(text.contains(&name::encode(&hint)) || text.contains(&hint), "{text}");
        }
    }
    let token = name::encode(text);
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=~".contains(&byte);
    assert!(token.len() <= 100 && token.bytes().all(is_safe), "{token}");
    assert_eq!(token, name::encode(&fold(text)), "a name and its fold are one: {text:?}");
    if !fold(text).chars().any(char::is_control) {
        let made = format!("{token}-{token}-1-2{}", name::SUFFIX);
        assert!(name::read(&made).is_some(), "{made} is read, of {text:?}");
    }
}
