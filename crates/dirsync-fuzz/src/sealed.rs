//! Sealed messages, fragments, signals and changes of keys, from strangers and from peers that are hostile.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use dirsync_seal::{
    BodyPlace, BodySealer, BodyStatement, Content, Fragment, FragmentLines, Front, KeyPair,
    KeyStatement, Lines, MessageName, Namespace, OwnKeys, PeerKeys, PublicKey, SealError, Signal,
    SignalLines, Signature, work,
};

use crate::bytes::Bytes;

/// The largest opened body that is allowed here, in bytes.
const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The size to which any body may grow, and the largest ratio above it.
const GROWTH: (u64, u64) = (1024 * 1024, 200);
/// The line after which the rest of a sealed file begins.
const END: &[u8] = b"-----END SSH SIGNATURE-----\n\n";

/// NORTH/HQ sends, SOUTH/SALES receives.
static NORTH: LazyLock<OwnKeys> = LazyLock::new(|| own("NORTH/HQ", 1));
static SOUTH: LazyLock<OwnKeys> = LazyLock::new(|| own("SOUTH/SALES", 2));
static PAIRS: LazyLock<Vec<KeyPair>> = LazyLock::new(|| (1..=12).map(pair).collect());

fn pair(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32], "a key").expect("a key")
}

fn own(name: &str, seed: u8) -> OwnKeys {
    OwnKeys::new(name.parse().expect("a name"), pair(seed))
}

fn pinned() -> PeerKeys {
    PeerKeys::pinned(NORTH.name().clone(), *NORTH.newest().public())
}

/// A message is refused, and costs no decryption, unless NORTH/HQ signed it. One that it signed is opened as
/// it was sealed, or refused, whatever its lines, its head or its body say.
pub fn sealed_message(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.byte() % 4 {
        0 => from_a_stranger(bytes.rest()),
        1 => drop(opened(&signed_by_north(bytes.rest()))),
        2 => sealed_as_it_is(&mut bytes),
        _ => with_any_body(&mut bytes),
    }
}

fn from_a_stranger(file: &[u8]) {
    let before = work::so_far();
    // The corpus has genuine messages; everything that is made of them must be refused.
    let genuine = Lines::read(&mut &file[..]).is_ok_and(|it| it.verify(&SOUTH, &pinned()).is_ok());
    if !genuine {
        assert!(opened(file).is_err());
        assert_eq!(work::so_far().decryptions, before.decryptions, "nothing is decrypted");
    }
}

/// The lines up to the first empty one, signed, and what follows.
fn signed_by_north(data: &[u8]) -> Vec<u8> {
    let end = data.windows(2).position(|two| two == b"\n\n").map_or(data.len(), |at| at + 1);
    let (lines, rest) = data.split_at(end);
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    let lines = String::from_utf8_lossy(lines);
    let signature =
        Signature::sign(&lines, Namespace::Message, NORTH.newest()).expect("a signature");
    [lines.as_bytes(), signature.to_pem().as_bytes(), b"\n", rest].concat()
}

/// Opens a file, and returns its head and its body.
fn opened(file: &[u8]) -> Result<(String, Vec<u8>), SealError> {
    let signed = Lines::read(&mut &file[..])?.verify(&SOUTH, &pinned())?;
    let sealed_bytes = signed.front().body.content.bytes;
    let opened = signed.open_head(Cursor::new(file), &SOUTH)?;
    let head = opened.head().to_owned();
    let mut body = Vec::new();
    let read = opened.open_body(BODY_BYTES_MAX)?.read_to_end(&mut body);
    let allowed = GROWTH.0.max(GROWTH.1 * sealed_bytes).min(BODY_BYTES_MAX);
    assert!(read.is_err() || body.len() as u64 <= allowed, "{} bytes", body.len());
    read?;
    Ok((head, body))
}

fn front(name: MessageName, content: Content) -> Front {
    Front {
        from: NORTH.name().clone(),
        to: SOUTH.name().clone(),
        name,
        body: BodyStatement { content, place: BodyPlace::Inline },
        holds: Vec::new(),
        rotated: Vec::new(),
        first_contact: None,
    }
}

fn sealed_as_it_is(bytes: &mut Bytes<'_>) {
    let epoch = String::from_utf8_lossy(bytes.short()).into_owned();
    let Some(name) = MessageName::new(&epoch, bytes.below(1 << 16) as u64, 1) else { return };
    let head = String::from_utf8_lossy(bytes.short()).into_owned();
    let body = bytes.rest();
    let mut sealer = BodySealer::new(Vec::new(), 1).expect("a level of zstd");
    std::io::copy(&mut &body[..], &mut sealer).expect("memory takes everything");
    let (sealed, file) = sealer.finish().expect("memory takes everything");
    let front = front(name, sealed.content);
    let begin = front.seal(&head, &sealed.key, NORTH.newest(), SOUTH.newest().public());
    let opened = opened(&[begin.expect("it is sealed"), file].concat()).expect("it is opened");
    assert_eq!(opened, (head, body.to_vec()));
}

/// A peer may sign any bytes as the body, also such as are encrypted to the right key.
fn with_any_body(bytes: &mut Bytes<'_>) {
    let name = MessageName::new("1f", 1, 1).expect("a name");
    let sealer = BodySealer::new(Vec::new(), 1).expect("a level of zstd");
    let (sealed, _) = sealer.finish().expect("memory takes everything");
    let is_encrypted = bytes.byte() % 2 == 1;
    let key: age::x25519::Identity = sealed.key.to_secret_text().parse().expect("a key");
    let body = match is_encrypted {
        true => age::encrypt(&key.to_public(), bytes.rest()).expect("it is encrypted"),
        false => bytes.rest().to_vec(),
    };
    let front = front(name, Content::of(&body));
    let begin = front.seal("head", &sealed.key, NORTH.newest(), SOUTH.newest().public());
    let outcome = opened(&[begin.expect("it is sealed"), body].concat());
    assert!(outcome.is_err() || is_encrypted, "a body that age did not make");
}

/// A fragment is refused unless NORTH/HQ signed it, and then read as it was sealed.
pub fn fragment(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.byte() % 3 {
        0 => {
            let file = bytes.rest();
            if read_fragment(file).is_ok() {
                let at = file.windows(END.len()).position(|window| window == END);
                assert!(at.is_some(), "it is signed");
            }
        }
        1 => drop(read_fragment(&signed_by_north(bytes.rest()))),
        _ => {
            let (at, more) = (bytes.below(1 << 16) as u64, bytes.below(1 << 16) as u64);
            let (first_contact, piece) = (None, bytes.rest());
            let whole = Content { bytes: at + piece.len() as u64 + more, ..Content::of(b"") };
            let (from, to) = (NORTH.name().clone(), SOUTH.name().clone());
            let fragment =
                Fragment { from, to, body: whole, at, rotated: Vec::new(), first_contact };
            let file = fragment.seal(piece, NORTH.newest(), SOUTH.newest().public());
            match file {
                Ok(file) => {
                    let read = read_fragment(&file).expect("what was sealed is read");
                    assert_eq!(read, (fragment, piece.to_vec()));
                }
                Err(error) => assert!(piece.is_empty(), "{error}"),
            }
        }
    }
}

fn read_fragment(mut file: &[u8]) -> Result<(Fragment, Vec<u8>), SealError> {
    let signed = FragmentLines::read(&mut file)?.verify(&SOUTH, &pinned())?;
    let piece = signed.read_piece(&mut file)?;
    assert!(signed.fragment().at + piece.len() as u64 <= signed.fragment().body.bytes);
    Ok((signed.fragment().clone(), piece))
}

/// A signal is refused unless NORTH/HQ signed it, and has one text. Nothing is decrypted.
pub fn signal(data: &[u8]) {
    let mut bytes = Bytes(data);
    let before = work::so_far().decryptions;
    match bytes.byte() % 3 {
        0 => {
            let file = bytes.rest();
            if read_signal(file).is_ok() {
                assert!(file.ends_with(END), "it is signed");
            }
        }
        1 => drop(read_signal(&signed_by_north(bytes.rest()))),
        _ => {
            let text = String::from_utf8_lossy(bytes.rest());
            if let Ok(signal) = Signal::from_lines(&text) {
                assert_eq!(signal.to_lines(), text);
                let parties = (NORTH.name(), SOUTH.name());
                let file = signal.seal(parties, None, NORTH.newest(), SOUTH.newest().public());
                match file {
                    Ok(file) => assert_eq!(read_signal(&file).expect("it is read"), signal),
                    Err(error) => assert!(matches!(error, SealError::TooLarge { .. }), "{error}"),
                }
            }
        }
    }
    assert_eq!(work::so_far().decryptions, before);
}

fn read_signal(mut file: &[u8]) -> Result<Signal, SealError> {
    SignalLines::read(&mut file)?.verify(&SOUTH, &pinned())
}

/// A change of keys has one text, and moves the keys of a postoffice only if its old key signed it. Whatever
/// statements and messages come, only the pinned key and proved successors may sign.
pub fn key_statement(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.byte().is_multiple_of(2) {
        let Ok(text) = std::str::from_utf8(bytes.rest()) else { return };
        let Ok(statement) = text.parse::<KeyStatement>() else { return };
        assert_eq!(statement.to_string(), text);
        let before = pinned();
        let proved = statement.verify(before.name()).is_ok();
        if let Ok(after) = before.following(&[statement]) {
            assert!(after == before || proved);
        }
        return;
    }
    let mut keys = pinned();
    // The keys that were ever proved to follow the first one.
    let mut proved: Vec<PublicKey> = vec![*NORTH.newest().public()];
    for _ in 0..24 {
        if bytes.is_empty() {
            break;
        }
        let (Some(old), Some(new)) = (bytes.of(&PAIRS), bytes.of(&PAIRS)) else { break };
        if bytes.byte() % 4 == 3 {
            keys = keys.after_message_of(old.public());
        } else {
            let signer = bytes.of(&PAIRS).unwrap_or(old);
            let genuine = signer.public() == old.public();
            let statement = KeyStatement::sign(keys.name(), old, new.public()).expect("signed");
            let other = KeyStatement::sign(keys.name(), signer, new.public()).expect("signed");
            let words = [statement.to_string(), other.to_string()];
            let [own, other] = words.each_ref().map(|text| text.split(' ').collect::<Vec<_>>());
            let statement = [own[0], own[1], other[2]].join(" ");
            let statement: KeyStatement = statement.parse().expect("a statement");
            if let Ok(after) = keys.following(std::slice::from_ref(&statement)) {
                assert!(
                    after == keys
                        || genuine && keys.may_sign(&old.public().fingerprint()).is_some()
                );
                assert_eq!(after.following(&[statement]).as_ref(), Ok(&after), "twice is once");
                if after != keys {
                    proved.push(*new.public());
                }
                keys = after;
            }
        }
        assert!(keys.all().all(|key| proved.contains(key)));
        assert!(keys.may_sign(&keys.newest().fingerprint()).is_some());
        assert!(keys.all().count() <= dirsync_seal::CHAIN_MAX + 1);
    }
}
