//! Forged and damaged messages are refused before anything is decrypted, each with its own error.

use dirsync_seal::{
    ContentHash, FirstContact, HOLDS_MAX, Holding, LINES_BYTES_MAX, Namespace, Part, Signature,
    SignatureError, work,
};

use super::*;

/// A file of these lines, signed by a key, with the rest of another file.
fn signed_again(lines: &str, pair: &KeyPair, file: &[u8]) -> Vec<u8> {
    let signature = Signature::sign(lines, Namespace::Message, pair).unwrap().to_pem();
    let end = b"-----END SSH SIGNATURE-----\n\n";
    let at = file.windows(end.len()).position(|window| window == end).unwrap() + end.len();
    [lines.as_bytes(), signature.as_bytes(), b"\n", &file[at..]].concat()
}

/// Opens a file that is refused, and asserts that nothing was decrypted.
fn refusal(file: &[u8]) -> SealError {
    let before = work::so_far();
    let error = open(file).expect_err("it is refused");
    let after = work::so_far();
    assert_eq!(
        (before.decryptions, before.decompressions),
        (after.decryptions, after.decompressions)
    );
    error
}

macro_rules! assert_refused {
    ($file:expr, $pattern:pat $(if $guard:expr)?) => {
        let error = refusal(&$file);
        assert!(matches!(error, $pattern $(if $guard)?), "{error:?}");
    };
}

#[test]
fn another_signer_is_refused() {
    let file = message();
    // Another postoffice signs honestly with its own key, and says so.
    let (own, other) = (pair(1).public().fingerprint(), pair(9).public().fingerprint());
    let lines = lines_of(&file).replace(&own.to_string(), &other.to_string());
    let forged = signed_again(&lines, &pair(9), &file);
    assert_refused!(forged, SealError::OtherSigner { key, .. } if key == other);
    // It claims the key of the sender.
    let forged = signed_again(&lines_of(&file), &pair(9), &file);
    assert_refused!(forged, SealError::Signature(SignatureError::OtherKey(_)));
}

#[test]
fn a_message_of_another_postoffice_under_this_name_is_refused() {
    let (body, sealed) = sealed_body(BODY);
    let mut front = front(&body, BodyPlace::Inline);
    front.from = name("WEST/HQ");
    let file = front.seal(HEAD, &body.key, &pair(9), pair(2).public()).unwrap();
    let file = [file, sealed].concat();
    // As it is: the keys that were looked up are those of another sender.
    assert_refused!(file, SealError::OtherSender(_));
    // Renamed: its signer is not NORTH/HQ.
    assert_refused!(replaced(&file, "WEST/HQ", "NORTH/HQ"), SealError::OtherSigner { .. });
}

#[test]
fn a_renamed_message_is_refused() {
    let file = message();
    for (part, by) in [
        ("name: 1f.02 12 1", "name: 1f.02 13 1"),
        ("name: 1f.02 12 1", "name: 1f.03 12 1"),
        ("name: 1f.02 12 1", "name: 1f.02 12 2"),
    ] {
        let forged = replaced(&file, part, by);
        assert_refused!(forged, SealError::Signature(SignatureError::Wrong));
    }
}

#[test]
fn a_message_under_a_name_that_its_head_does_not_say_is_noticed() {
    let opened = open(&message()).unwrap();
    let (from, to) = (name("NORTH/HQ"), name("SOUTH/SALES"));
    let stated = |number| MessageName::new("1f.02", number, 1).unwrap();
    assert!(opened.check(&from, &to, &stated(12)).is_ok());
    for (from, to, number, word) in
        [(&from, &to, 13, "name"), (&to, &to, 12, "sender"), (&from, &from, 12, "addressee")]
    {
        let error = opened.check(from, to, &stated(number)).unwrap_err();
        assert!(matches!(error, SealError::Disagrees(part) if part.contains(word)), "{error}");
    }
}

#[test]
fn a_message_that_is_replayed_to_another_addressee_is_refused() {
    let file = message();
    let west = OwnKeys::new(name("WEST/HQ"), pair(3));
    let error = open_as(&file, &west, &pinned(&north())).err().unwrap();
    assert!(
        matches!(&error, SealError::OtherAddressee(to) if *to == name("SOUTH/SALES")),
        "{error}"
    );
    // Re-addressed, so that it is for WEST/HQ: the sender did not sign that.
    let forged = replaced(&file, "to: SOUTH/SALES", "to: WEST/HQ");
    let error = open_as(&forged, &west, &pinned(&north())).err().unwrap();
    assert!(matches!(error, SealError::OtherAddresseeKey(_)), "{error}");
    let (south, west_key) = (pair(2).public().fingerprint(), pair(3).public().fingerprint());
    let forged = replaced(&forged, &south.to_string(), &west_key.to_string());
    let error = open_as(&forged, &west, &pinned(&north())).err().unwrap();
    assert!(matches!(error, SealError::Signature(SignatureError::Wrong)), "{error}");
}

#[test]
fn a_message_to_a_key_that_is_destroyed_is_refused() {
    let own = OwnKeys::new(name("SOUTH/SALES"), pair(4));
    let error = open_as(&message(), &own, &pinned(&north())).err().unwrap();
    assert!(
        matches!(error, SealError::OtherAddresseeKey(key) if key == pair(2).public().fingerprint())
    );
}

#[test]
fn a_stripped_signature_is_refused() {
    let file = message();
    let lines = lines_of(&file);
    let end = "-----END SSH SIGNATURE-----\n";
    let at = file.windows(end.len()).position(|window| window == end.as_bytes()).unwrap();
    let rest = &file[at + end.len()..];
    assert_refused!([lines.as_bytes(), rest].concat(), SealError::Unsigned);
    // As far as it stands: half a signature.
    let half = [&file[..lines.len() + 100], b"\n", end.as_bytes(), rest].concat();
    assert_refused!(half, SealError::Signature(SignatureError::Form));
}

#[test]
fn unsealed_and_downgraded_messages_are_refused() {
    let old = "DIRSYNC-ENVELOPE 1\nfrom: NORTH/HQ\nto: SOUTH/SALES\nhead-bytes: 0\nbody-bytes: 0\n\
               body-encoding: zstd\nhash: 00\n\n";
    assert_refused!(old.as_bytes(), SealError::Unsealed);
    let file = message();
    let magic = "DIRSYNC-ENVELOPE 2";
    assert_refused!(replaced(&file, magic, "DIRSYNC-ENVELOPE 1"), SealError::Unsealed);
    let newer = replaced(&file, magic, "DIRSYNC-ENVELOPE 3");
    assert_refused!(newer, SealError::NewerVersion { found: 3, known: 2 });
    for other in ["DIRSYNC-ENVELOPE 02", "DIRSYNC-ENVELOPE", "DIRSYNC-FRAGMENT 1", "[DIRSYNC]"] {
        assert_refused!(replaced(&file, magic, other), SealError::OtherFile(_));
    }
}

#[test]
fn a_signature_for_another_purpose_is_refused() {
    let file = message();
    let lines = lines_of(&file);
    let other = Signature::sign(&lines, Namespace::Key, &pair(1)).unwrap().to_pem();
    let own = Signature::sign(&lines, Namespace::Message, &pair(1)).unwrap().to_pem();
    let forged = replaced(&file, &own, &other);
    assert_refused!(forged, SealError::Signature(SignatureError::OtherNamespace(_)));
}

/// `docs/failure-stories.md` §7: a truncated file is never taken, wherever it ends.
#[test]
fn every_cut_is_refused_as_a_cut() {
    let file = message();
    for length in 0..file.len() {
        assert_refused!(file[..length], SealError::CutOff { have, need } if have < need);
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let file = message();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut altered = file.clone();
            altered[at] ^= 1 << bit;
            refusal(&altered);
        }
    }
}

#[test]
fn an_altered_head_or_body_is_refused_by_its_hash() {
    let file = message();
    let end = b"-----END SSH SIGNATURE-----\n\n";
    let head = file.windows(end.len()).position(|window| window == end).unwrap() + end.len();
    for (at, part) in [(head, Part::Head), (file.len() - 1, Part::Body)] {
        let mut altered = file.clone();
        altered[at] ^= 1;
        assert_refused!(altered, SealError::WrongHash(found) if found == part);
    }
    assert_refused!([&file[..], b"\n"].concat(), SealError::Trailing);
}

/// The sender signed it, so these are mistakes of a peer, or worse.
#[test]
fn a_head_in_another_form_is_refused() {
    let file = message();
    let lines = lines_of(&file);
    let (body, sealed) = sealed_body(BODY);
    let secret = body.key.to_secret_text();
    let with_head = |text: &[u8], to: &KeyPair| {
        let to: age::ssh::Recipient = to.public().to_string().parse().unwrap();
        let head = age::encrypt(&to, text).unwrap();
        let (stated, content) = (lines.lines().nth(6).unwrap(), dirsync_seal::Content::of(&head));
        let lines = lines.replace(stated, &format!("head: {} {}", content.bytes, content.hash));
        let (stated, content) = (lines.lines().nth(7).unwrap(), body.content);
        let lines =
            lines.replace(stated, &format!("body: {} {} inline", content.bytes, content.hash));
        let pem = Signature::sign(&lines, Namespace::Message, &pair(1)).unwrap().to_pem();
        open(&[lines.as_bytes(), pem.as_bytes(), b"\n", &head, &sealed].concat())
    };
    let good = format!("body-key: {}\n{HEAD}", &*secret);
    assert_eq!(with_head(good.as_bytes(), &pair(2)).unwrap().head(), HEAD);
    let error = with_head(good.as_bytes(), &pair(3)).unwrap_err();
    assert!(matches!(error, SealError::CannotDecrypt(Part::Head)), "{error}");
    for text in [HEAD, &good.to_lowercase(), &good[..40], &good.replace("body-key", "key"), ""] {
        let error = with_head(text.as_bytes(), &pair(2)).unwrap_err();
        assert!(matches!(error, SealError::WrongHead), "{error}");
    }
    let error = with_head(&[good.as_bytes(), b"\xff"].concat(), &pair(2)).unwrap_err();
    assert!(matches!(error, SealError::WrongHead), "{error}");
}

#[test]
fn lines_have_one_form() {
    let file = message();
    let lines = lines_of(&file);
    let with = |part: &str, by: &str| {
        assert!(lines.contains(part), "{part}");
        signed_again(&lines.replacen(part, by, 1), &pair(1), &file)
    };
    assert_refused!(
        with("head: ", "x-new: 1\nhead: "),
        SealError::UnexpectedLine { expected: "head", .. }
    );
    assert_refused!(
        with("to: SOUTH/SALES\n", ""),
        SealError::UnexpectedLine { expected: "to", .. }
    );
    assert_refused!(
        with("to: SOUTH/SALES\n", "to: SOUTH/SALES\nto: SOUTH/SALES\n"),
        SealError::UnexpectedLine { expected: "from-key", .. }
    );
    assert_refused!(with("inline\n", "inline\nmore: 1\n"), SealError::UnexpectedLine { .. });
    for (part, by) in [
        (" inline", " Inline"),
        (" inline", "  inline"),
        ("name: 1f.02 12 1", "name: 1f.02 012 1"),
        ("name: 1f.02 12 1", "name: 1F.02 12 1"),
        ("name: 1f.02 12 1", "name: 1f.02 12 0"),
        ("name: 1f.02 12 1", "name: ../x 12 1"),
        ("name: 1f.02 12 1", "name: 1f.02 4611686018427387904 1"),
        ("head: ", "head: 0"),
        ("head: ", "head: +"),
        ("SHA256:", "sha256:"),
        ("from: NORTH/HQ", "from: NORTH"),
        ("from: NORTH/HQ", "from: NORTH/HQ "),
    ] {
        assert_refused!(with(part, by), SealError::WrongLine { .. });
    }
    assert_refused!(with("\nto:", "\r\nto:"), SealError::WrongLine { line: "from", .. });
}

#[test]
fn everything_has_a_limit() {
    let file = message();
    let long = vec![b'a'; LINES_BYTES_MAX as usize];
    let endless = [b"DIRSYNC-ENVELOPE 2\nfrom: ", &long[..]].concat();
    assert_refused!(endless, SealError::TooLarge { part: Part::Lines, .. });
    let lines = lines_of(&file);
    let bodies = [("4294967297", Part::Body), ("99999999999", Part::Body)];
    for (bytes, part) in bodies {
        let body = lines.lines().find(|line| line.starts_with("body: ")).unwrap();
        let (_, rest) = body["body: ".len()..].split_once(' ').unwrap();
        let forged = lines.replace(body, &format!("body: {bytes} {rest}"));
        let forged = signed_again(&forged, &pair(1), &file);
        assert_refused!(forged, SealError::TooLarge { part: found, .. } if found == part);
    }
    let head = lines.lines().find(|line| line.starts_with("head: ")).unwrap();
    let (_, rest) = head["head: ".len()..].split_once(' ').unwrap();
    let forged = lines.replace(head, &format!("head: 99999999 {rest}"));
    let forged = signed_again(&forged, &pair(1), &file);
    assert_refused!(forged, SealError::TooLarge { part: Part::Head, .. });

    let holding = Holding::new(ContentHash([0; 32]), vec![0..=1]).unwrap();
    let holds = format!("holds: {holding}\n").repeat(HOLDS_MAX + 1);
    let forged = signed_again(&(lines.clone() + &holds), &pair(1), &file);
    assert_refused!(forged, SealError::TooMany { line: "holds", limit: HOLDS_MAX });
}

#[test]
fn holdings_have_one_form() {
    let hash = ContentHash([0; 32]);
    for runs in
        ["", "1-0", "0-1,2-3", "4-5,0-1", "0-4,2-9", "0-1,", "00-1", "0", "0-4611686018427387904"]
    {
        let holding = format!("{hash} {runs}").parse::<Holding>();
        assert!(
            holding.is_err() || holding.unwrap().to_string() != format!("{hash} {runs}"),
            "{runs}"
        );
    }
    let runs = |count: u64| (0..count).map(|at| at * 3..=at * 3).collect();
    assert_eq!(Holding::new(hash, runs(65)), None);
    let most = Holding::new(hash, runs(64)).unwrap();
    assert_eq!(most.to_string().parse(), Ok(most));
}

/// A number below `count`, always the same ones from the same seed (SplitMix64).
fn below(seed: &mut u64, count: usize) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) % count as u64) as usize
}

/// The file with one to four changes: bits, bytes, cuts, pieces doubled, lines exchanged.
fn mutated(file: &[u8], seed: &mut u64) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=below(seed, 4) {
        let at = below(seed, bytes.len());
        let end = (at + 1 + below(seed, 40)).min(bytes.len());
        match below(seed, 6) {
            0 => bytes[at] ^= 1 << below(seed, 8),
            1 => bytes[at] = b"\n :0az"[below(seed, 6)],
            2 => bytes.truncate(at.max(1)),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.extend_from_within(at..end),
            _ => {
                let piece = bytes[at..end].to_vec();
                let to = below(seed, bytes.len());
                bytes.splice(to..to, piece);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'D');
        }
    }
    bytes
}

#[test]
fn ten_thousand_mutated_messages_are_refused_and_none_is_decrypted() {
    let file = message_with(|front| {
        front.holds = vec![Holding::new(ContentHash([7; 32]), vec![0..=9, 20..=30]).unwrap()];
    });
    let (south, north) = (south(), pinned(&north()));
    open_as(&file, &south, &north).unwrap();
    let before = work::so_far();
    let mut seed = 2026;
    let mut tried = 0;
    while tried < 10_000 {
        let forged = mutated(&file, &mut seed);
        if forged != file {
            assert!(open_as(&forged, &south, &north).is_err(), "mutation {tried} was accepted");
            tried += 1;
        }
    }
    let after = work::so_far();
    assert_eq!(after.decryptions, before.decryptions);
    assert_eq!(after.decompressions, before.decompressions);
    assert!(after.signatures_verified - before.signatures_verified <= 10_000);
}

#[test]
fn a_stranger_is_taken_further_only_with_a_proof() {
    let proof = "ab".repeat(64);
    let key = *pair(1).public();
    let contact = FirstContact::new(key, &proof).unwrap();
    let file = message_with(|front| front.first_contact = Some(contact));
    let lines = Lines::read(&mut &file[..]).unwrap();
    let contact = lines.first_contact().unwrap().clone();
    let from = lines.parties().from.clone();
    let before = work::so_far();
    let refused = contact.admitted(&from, |_, _| false).unwrap_err();
    assert!(matches!(refused, SealError::NotAdmitted(_)), "{refused}");
    assert_eq!(work::so_far(), before);
    let is_proof = |found: &str, of: &dirsync_seal::PublicKey| found == proof && *of == key;
    let admitted = contact.admitted(&from, is_proof).unwrap();
    assert_eq!(lines.verify(&south(), &admitted).unwrap().sender_keys(), &admitted);
    // The proof is valid, but the message is signed by another key.
    let lines = lines_of(&file)
        .replace(&key.fingerprint().to_string(), &pair(9).public().fingerprint().to_string());
    let forged = signed_again(&lines, &pair(9), &file);
    let error = open_as(&forged, &south(), &admitted).err().unwrap();
    assert!(matches!(error, SealError::OtherSigner { .. }), "{error}");
    assert!(FirstContact::new(key, &proof[2..]).is_none());
    assert!(FirstContact::new(key, &proof.to_uppercase()).is_none());
}
