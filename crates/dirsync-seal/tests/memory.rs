//! Bodies pass through sealing and opening in memory that does not depend on their size.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::sync::Mutex;

use dirsync_seal::{
    BodyKey, BodyPlace, BodySealer, BodyStatement, Content, Front, KeyPair, Lines, MessageName,
    OpenedHead, OwnKeys, Part, PeerKeys, SealError,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The number of bytes held at most while `work` is done, beyond those held before.
fn held_by<T>(work: impl FnOnce() -> T) -> (usize, T) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = work();
    (MEMORY.peak_usage().saturating_sub(before), result)
}

/// The most bytes that sealing or opening may hold.
const HELD_MAX: usize = 2 << 20;

/// The tests of this file share one count of memory, so one of them runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn keys(name: &str, seed: u8) -> OwnKeys {
    OwnKeys::new(name.parse().unwrap(), KeyPair::from_seed(&[seed; 32], name).unwrap())
}

/// The head of a message with this body, opened by its addressee.
fn opened_head(content: Content, key: &BodyKey) -> OpenedHead<Cursor<Vec<u8>>> {
    let (north, south) = (keys("NORTH/HQ", 1), keys("SOUTH/HQ", 2));
    let front = Front {
        from: north.name().clone(),
        to: south.name().clone(),
        name: MessageName::new("1f", 1, 1).unwrap(),
        body: BodyStatement { content, place: BodyPlace::Apart },
        holds: Vec::new(),
        rotated: Vec::new(),
        first_contact: None,
    };
    let file = front.seal("head", key, north.newest(), south.newest().public()).unwrap();
    let pinned = PeerKeys::pinned(north.name().clone(), *north.newest().public());
    let signed = Lines::read(&mut file.as_slice()).unwrap().verify(&south, &pinned).unwrap();
    signed.open_head(Cursor::new(file), &south).unwrap()
}

#[test]
fn a_large_body_is_sealed_and_opened_in_bounded_memory() {
    const BYTES: usize = 64 << 20;
    let _one = ONE_AT_A_TIME.lock();
    let mut block = vec![0; 1 << 20];
    let mut state = 1_u32;
    let (held, (body, sealed)) = held_by(|| {
        let mut sealer = BodySealer::new(tempfile::tempfile().unwrap(), 1).unwrap();
        for _ in 0..BYTES / block.len() {
            for byte in &mut block {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
            sealer.write_all(&block).unwrap();
        }
        sealer.finish().unwrap()
    });
    assert!(body.content.bytes > BYTES as u64 / 2, "it does not compress");
    assert!(held <= HELD_MAX, "sealing held {held} bytes");

    let opened = opened_head(body.content, &body.key);
    let reader = || read_all(opened.open_body_apart(sealed, 1 << 30).unwrap(), &mut block);
    let (held, bytes) = held_by(reader);
    assert_eq!(bytes, BYTES);
    assert!(held <= HELD_MAX, "opening held {held} bytes");
}

/// A server opens a thousand small bodies in a row, several at a time. The encryption library alone holds 64 KiB.
#[test]
fn a_small_body_is_opened_in_little_memory() {
    let _one = ONE_AT_A_TIME.lock();
    let (body, sealed) = BodySealer::new(Vec::new(), 3).unwrap().finish().unwrap();
    let opened = opened_head(body.content, &body.key);
    let read = || {
        let mut reader = opened.open_body_apart(Cursor::new(sealed), 1 << 30).unwrap();
        reader.read_to_end(&mut Vec::new()).unwrap()
    };
    let (held, bytes) = held_by(read);
    assert_eq!(bytes, 0);
    assert!(held <= 96 << 10, "opening held {held} bytes");
}

/// The encryption library reads the header of a body whole, and in quadratic time. A peer may sign any body.
#[test]
fn an_endless_header_of_a_body_is_refused_in_bounded_memory() {
    let _one = ONE_AT_A_TIME.lock();
    let (body, _) = BodySealer::new(Vec::new(), 1).unwrap().finish().unwrap();
    let endless = ["age-encryption.org/v1\n", &"-> x\n\n".repeat(4 << 20)].concat();
    let opened = opened_head(Content::of(endless.as_bytes()), &body.key);
    let file = Cursor::new(endless);
    let (held, error) = held_by(|| opened.open_body_apart(file, 1 << 30).err().unwrap());
    assert!(matches!(error, SealError::CannotDecrypt(Part::Body)), "{error}");
    assert!(held <= HELD_MAX, "it held {held} bytes");
}

fn read_all(mut reader: dirsync_seal::BodyReader<File>, block: &mut [u8]) -> usize {
    let mut bytes = 0;
    loop {
        match reader.read(block).unwrap() {
            0 => return bytes,
            count => bytes += count,
        }
    }
}
