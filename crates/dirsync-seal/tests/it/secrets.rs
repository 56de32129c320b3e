//! Secrets appear in nothing that is printed.

use super::*;

/// The forms in which a secret could be printed.
fn forms(bytes: &[u8]) -> Vec<String> {
    vec![
        data_encoding::HEXLOWER.encode(bytes),
        data_encoding::BASE64.encode(bytes)[..32].to_owned(),
        format!("{bytes:?}").trim_matches(['[', ']']).to_owned(),
    ]
}

#[test]
fn secrets_are_in_no_debug_text_and_in_no_error() {
    let (body, sealed) = sealed_body(BODY);
    let (north, south) = (north(), south());
    let front = front(&body, BodyPlace::Inline);
    let file = front.seal(HEAD, &body.key, north.newest(), south.newest().public()).unwrap();
    let file = [file, sealed].concat();
    let mut printed = format!("{:?} {:?} {:?} {front:?}", body, north, south.newest());
    let lines = Lines::read(&mut &file[..]).unwrap();
    printed += &format!("{lines:?}");
    let signed = lines.verify(&south, &pinned(&north)).unwrap();
    printed += &format!("{signed:?}");
    let opened = signed.open_head(Cursor::new(file.clone()), &south).unwrap();
    printed += &format!("{opened:?}");

    // A head whose key cannot be read, and keys that are cut: their errors repeat nothing.
    let secret = body.key.to_secret_text();
    let private = north.newest().to_openssh().unwrap();
    for length in [40, 200, private.len() - 40] {
        let error = KeyPair::from_openssh(&private[..length]).unwrap_err();
        printed += &format!("{error} {error:?}");
    }
    printed += &format!("{:?}", dirsync_seal::BodyKey::from_secret_text(&secret[..40]));
    for at in (0..file.len()).step_by(7) {
        let mut altered = file.clone();
        altered[at] ^= 0x11;
        let error = open(&altered).err().unwrap();
        printed += &format!("{error} {error:?}");
    }

    let core = private.lines().nth(3).unwrap();
    let mut secrets = vec![secret["AGE-SECRET-KEY-1".len()..][..20].to_owned(), core.to_owned()];
    for seed in [1, 2] {
        secrets.extend(forms(&[seed; 32]));
    }
    for secret in secrets {
        assert!(!printed.to_lowercase().contains(&secret.to_lowercase()), "{secret} was printed");
    }
    assert!(!printed.contains("[DIRSYNC]"), "nor what was encrypted");
}
