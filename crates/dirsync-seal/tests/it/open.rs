//! What is sealed is opened again, within limits.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use dirsync_seal::{
    BodyPlace, BodySealer, Content, ContentHash, Holding, MessageName, Part, SealError,
};

use super::*;

#[test]
fn a_message_is_opened_as_it_was_sealed() {
    let holding = Holding::new(ContentHash([7; 32]), vec![0..=9, 20..=20]).unwrap();
    let file = message_with(|front| front.holds = vec![holding.clone()]);
    let opened = open(&file).unwrap();
    assert_eq!(opened.head(), HEAD);
    assert_eq!(opened.signed().front().holds, [holding]);
    let stated = MessageName::new("1f.02", 12, 1).unwrap();
    opened.check(&name("north/hq"), &name("SOUTH/SALES"), &stated).unwrap();
    let mut body = Vec::new();
    opened.open_body(1 << 20).unwrap().read_to_end(&mut body).unwrap();
    assert_eq!(body, BODY);
}

/// Bodies are sealed once, and each front wraps the key for one addressee.
#[test]
fn one_body_is_opened_under_many_fronts() {
    let (body, sealed) = sealed_body(BODY);
    let north = north();
    for (postoffice, seed) in [("SOUTH/SALES", 2), ("WEST/HQ", 3)] {
        let own = OwnKeys::new(name(postoffice), pair(seed));
        let mut front = front(&body, BodyPlace::Apart);
        front.to = name(postoffice);
        let file = front.seal(HEAD, &body.key, north.newest(), own.newest().public()).unwrap();
        assert!(file.len() < 2560, "{} bytes", file.len());
        let opened = open_as(&file, &own, &pinned(&north)).unwrap();
        let mut text = Vec::new();
        let mut reader = opened.open_body_apart(Cursor::new(&sealed), 1 << 20).unwrap();
        reader.read_to_end(&mut text).unwrap();
        assert_eq!(text, BODY);
        drop(reader);
        let inline = opened.open_body(1 << 20).err().unwrap();
        assert!(matches!(inline, SealError::BodyIs(BodyPlace::Apart)), "{inline}");
    }
}

#[test]
fn a_body_that_travels_apart_is_the_one_that_was_signed() {
    let (body, sealed) = sealed_body(BODY);
    let (north, south) = (north(), south());
    let front = front(&body, BodyPlace::Apart);
    let file = front.seal(HEAD, &body.key, north.newest(), south.newest().public()).unwrap();
    let opened = open(&file).unwrap();
    let before = dirsync_seal::work::so_far();
    let open = |bytes: Vec<u8>| opened.open_body_apart(Cursor::new(bytes), 1 << 20).err().unwrap();
    let cut = open(sealed[..sealed.len() - 1].to_vec());
    assert!(matches!(cut, SealError::CutOff { .. }), "{cut}");
    let longer = open([sealed.as_slice(), b"x"].concat());
    assert!(matches!(longer, SealError::Trailing), "{longer}");
    let mut altered = sealed.clone();
    *altered.last_mut().unwrap() ^= 1;
    let altered = open(altered);
    assert!(matches!(altered, SealError::WrongHash(Part::Body)), "{altered}");
    assert_eq!(dirsync_seal::work::so_far(), before, "nothing was decrypted");
}

/// A file whose content changes after it was read to its end once.
struct Rewritten {
    files: [Cursor<Vec<u8>>; 2],
    at: usize,
    /// The number of times that the file is read from its beginning before it is rewritten.
    left: usize,
}

impl Read for Rewritten {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.files[self.at].read(buffer)
    }
}

impl Seek for Rewritten {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        if to == SeekFrom::Start(0) {
            self.at = usize::from(self.left == 0);
            self.left = self.left.saturating_sub(1);
        }
        self.files[self.at].seek(to)
    }
}

/// Another addressee of the same body has its key, so encryption alone does not notice this.
#[test]
fn a_body_that_is_rewritten_after_its_check_is_noticed() {
    let (body, sealed) = sealed_body(BODY);
    let (north, south) = (north(), south());
    let front = front(&body, BodyPlace::Apart);
    let file = front.seal(HEAD, &body.key, north.newest(), south.newest().public()).unwrap();
    let opened = open(&file).unwrap();
    let other = forged_with(&body.key.to_secret_text(), sealed.len());
    let files = [Cursor::new(sealed), Cursor::new(other)];
    let rewritten = Rewritten { files, at: 0, left: 1 };
    let error = match opened.open_body_apart(rewritten, 1 << 20) {
        Err(SealError::Io(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(mut reader) => reader.read_to_end(&mut Vec::new()).unwrap_err(),
    };
    assert!(error.to_string().contains("changed while it was read"), "{error}");
}

/// Another body for the same key and of the same size, as its other addressees can make it.
fn forged_with(secret: &str, bytes: usize) -> Vec<u8> {
    let key: age::x25519::Identity = secret.parse().unwrap();
    let frame = zstd::encode_all(&b"[DIRSYNC-TRANSACTIONS]\n[END] 9\n"[..], 3).unwrap();
    // The library adds a random stanza, so sizes differ from try to try.
    let mut tries = (0..100_000).map(|_| age::encrypt(&key.to_public(), &frame).unwrap());
    tries.find(|file| file.len() == bytes).expect("one of the same size")
}

#[test]
fn bomb_is_cut_off() {
    let (north, south) = (north(), south());
    let read = |content: &[u8], bytes_max: u64| {
        let (body, sealed) = sealed_body(content);
        let front = front(&body, BodyPlace::Inline);
        let file = front.seal(HEAD, &body.key, north.newest(), south.newest().public()).unwrap();
        let opened = open(&[file, sealed].concat()).unwrap();
        let mut text = Vec::new();
        let outcome = opened.open_body(bytes_max).unwrap().read_to_end(&mut text);
        (text.len(), outcome.map_err(|error| error.to_string()))
    };
    assert_eq!(read(b"0123456789", 10), (10, Ok(10)));
    let (bytes, error) = read(b"0123456789", 9);
    assert!(bytes == 0 && error.unwrap_err().contains("more than 9 bytes"));
    let (bytes, error) = read(&vec![b'a'; 64 << 20], 4 << 30);
    assert!(error.unwrap_err().contains("grows") && bytes < 16 << 20, "{bytes} bytes came through");
}

#[test]
fn a_body_can_be_read_in_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<dirsync_seal::BodyReader<std::fs::File>>();
    is_send::<BodySealer<std::fs::File>>();
    is_send::<OpenedHead<std::fs::File>>();
    is_send::<OwnKeys>();
}

#[test]
fn a_body_is_sealed_as_a_stream() {
    let mut sealer = BodySealer::new(std::io::sink(), 1).unwrap();
    for _ in 0..64 {
        sealer.write_all(&[b'a'; 1 << 20]).unwrap();
    }
    let compressed = sealer.compressed_bytes();
    let (body, _) = sealer.finish().unwrap();
    assert!(compressed > 1000 && body.content.bytes > compressed, "{compressed} bytes");
    let level = BodySealer::new(Vec::new(), 20).err().unwrap();
    assert!(matches!(level, SealError::Level(20)), "{level}");
}

#[test]
fn content_is_named_as_sha256sum_names_it() {
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Content::of(b"abc").hash.to_string(), text);
    assert_eq!(text.parse(), Ok(Content::of(b"abc").hash));
    assert!(text.to_uppercase().parse::<ContentHash>().is_err());
}
