//! A body passes through sealing and opening in memory that does not depend on its size.

use std::fs::File;
use std::io::{Read, Write};

use dirsync_seal::{
    BodyPlace, BodySealer, BodyStatement, Front, KeyPair, Lines, MessageName, OwnKeys, PeerKeys,
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

#[test]
fn a_large_body_is_sealed_and_opened_in_bounded_memory() {
    const BYTES: usize = 64 << 20;
    const HELD_MAX: usize = 2 << 20;
    let north =
        OwnKeys::new("NORTH/HQ".parse().unwrap(), KeyPair::from_seed(&[1; 32], "").unwrap());
    let south =
        OwnKeys::new("SOUTH/HQ".parse().unwrap(), KeyPair::from_seed(&[2; 32], "").unwrap());

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

    let front = Front {
        from: north.name().clone(),
        to: south.name().clone(),
        name: MessageName::new("1f", 1, 1).unwrap(),
        body: BodyStatement { content: body.content, place: BodyPlace::Apart },
        holds: Vec::new(),
        rotated: Vec::new(),
        first_contact: None,
    };
    let file = front.seal("head", &body.key, north.newest(), south.newest().public()).unwrap();
    let pinned = PeerKeys::pinned(north.name().clone(), *north.newest().public());
    let signed = Lines::read(&mut file.as_slice()).unwrap().verify(&south, &pinned).unwrap();
    let opened = signed.open_head(std::io::Cursor::new(file), &south).unwrap();
    let (held, bytes) =
        held_by(|| read_all(opened.open_body_apart(sealed, 1 << 30).unwrap(), &mut block));
    assert_eq!(bytes, BYTES);
    assert!(held <= HELD_MAX, "opening held {held} bytes");
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
