//! `ssh-keygen` and `age` of the distribution accept the files of this crate, and this crate accepts theirs.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use dirsync_seal::{BodyKey, BodyPlace, Content, KeyStatement, Namespace, PublicKey, Signature};
use tempfile::TempDir;

use super::*;

/// Runs a program in a folder and returns its output. `input` names a file there for its standard input.
fn run(folder: &Path, input: &str, program: &str, arguments: &[&str]) -> Vec<u8> {
    let input = match input {
        "" => Stdio::null(),
        input => fs::File::open(folder.join(input)).unwrap().into(),
    };
    let ran = Command::new(program).args(arguments).current_dir(folder).stdin(input).output();
    let ran = ran.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {arguments:?}: {said}");
    ran.stdout
}

/// A folder with the private keys of both postoffices, as `keys/id_ed25519` has them.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, pair) in [("north", pair(1)), ("south", pair(2))] {
        let path = folder.path().join(file);
        fs::write(&path, pair.to_openssh().unwrap().as_bytes()).unwrap();
        fs::write(folder.path().join(format!("{file}.pub")), format!("{}\n", pair.public()))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let signers = format!("NORTH/HQ {}\n", pair(1).public());
    fs::write(folder.path().join("signers"), signers).unwrap();
    folder
}

const VERIFY: [&str; 8] = ["-Y", "verify", "-f", "signers", "-I", "NORTH/HQ", "-s", "signature"];

/// The lines of a file, its signature, and the bytes after them.
fn taken_apart(file: &[u8]) -> (String, String, Vec<u8>) {
    let lines = lines_of(file);
    let end = b"-----END SSH SIGNATURE-----\n";
    let at = file.windows(end.len()).position(|window| window == end).unwrap() + end.len();
    let signature = String::from_utf8(file[lines.len()..at].to_vec()).unwrap();
    (lines, signature, file[at + 1..].to_vec())
}

#[test]
fn ssh_keygen_and_age_open_a_message() {
    let folder = folder();
    let at = |file: &str| folder.path().join(file);
    let (lines, signature, rest) = taken_apart(&message());
    fs::write(at("lines"), &lines).unwrap();
    fs::write(at("signature"), &signature).unwrap();
    let arguments = [&VERIFY[..], &["-n", "dirsync-message"]].concat();
    let said = run(folder.path(), "lines", "ssh-keygen", &arguments);
    assert!(String::from_utf8_lossy(&said).contains("Good"), "{said:?}");

    let head_bytes = lines.lines().find_map(|line| line.strip_prefix("head: ")).unwrap();
    let head_bytes: usize = head_bytes.split_once(' ').unwrap().0.parse().unwrap();
    let (head, body) = rest.split_at(head_bytes);
    fs::write(at("head"), head).unwrap();
    fs::write(at("body"), body).unwrap();
    let opened = run(folder.path(), "", "age", &["-d", "-i", "south", "head"]);
    let opened = String::from_utf8(opened).unwrap();
    let (first, opened_head) = opened.split_once('\n').unwrap();
    assert_eq!(opened_head, HEAD);
    fs::write(at("body-key"), first.strip_prefix("body-key: ").unwrap()).unwrap();
    let frame = run(folder.path(), "", "age", &["-d", "-i", "body-key", "body"]);
    assert_eq!(zstd::decode_all(&frame[..]).unwrap(), BODY);
}

#[test]
fn a_message_that_ssh_keygen_and_age_made_is_opened() {
    let folder = folder();
    let at = |file: &str| folder.path().join(file);
    let secret = dirsync_seal::SealedBody::clone(&sealed_body(b"").0).key.to_secret_text();
    fs::write(at("body-key"), &*secret).unwrap();
    let public =
        String::from_utf8(run(folder.path(), "", "age-keygen", &["-y", "body-key"])).unwrap();
    fs::write(at("frame"), zstd::encode_all(BODY, 3).unwrap()).unwrap();
    let body = run(folder.path(), "", "age", &["-r", public.trim(), "frame"]);
    fs::write(at("text"), format!("body-key: {}\n{HEAD}", &*secret)).unwrap();
    let head = run(folder.path(), "", "age", &["-R", "south.pub", "text"]);

    let (own, other) = (pair(1).public().fingerprint(), pair(2).public().fingerprint());
    let (head_content, body_content) = (Content::of(&head), Content::of(&body));
    let lines = format!(
        "DIRSYNC-ENVELOPE 2\nfrom: NORTH/HQ\nto: SOUTH/SALES\nfrom-key: {own}\nto-key: {other}\n\
         name: 1f.02 12 1\nhead: {} {}\nbody: {} {} inline\n",
        head_content.bytes, head_content.hash, body_content.bytes, body_content.hash
    );
    fs::write(at("lines"), &lines).unwrap();
    run(
        folder.path(),
        "",
        "ssh-keygen",
        &["-Y", "sign", "-f", "north", "-n", "dirsync-message", "lines"],
    );
    let signature = fs::read(at("lines.sig")).unwrap();
    let file = [lines.as_bytes(), &signature, b"\n", &head, &body].concat();
    let opened = open(&file).unwrap();
    assert_eq!(opened.head(), HEAD);
    let mut text = Vec::new();
    opened.open_body(1 << 20).unwrap().read_to_end(&mut text).unwrap();
    assert_eq!(text, BODY);
}

#[test]
fn keys_of_ssh_keygen_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let make = |file: &str, kind: &[&str], passphrase: &str| {
        let arguments =
            [&["-q", "-N", passphrase, "-f", file, "-C", "SOUTH/SALES old"], kind].concat();
        run(folder.path(), "", "ssh-keygen", &arguments);
        let text = |name: String| fs::read_to_string(folder.path().join(name)).unwrap();
        (text(file.to_owned()), text(format!("{file}.pub")))
    };
    let (private, public) = make("good", &["-t", "ed25519"], "");
    let pair = KeyPair::from_openssh(&private).unwrap();
    assert_eq!(public.trim_end().parse(), Ok(*pair.public()));
    let listed = run(folder.path(), "", "ssh-keygen", &["-l", "-f", "good"]);
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains(&format!(" {} ", pair.public().fingerprint())), "{listed}");

    let (private, public) = make("rsa", &["-t", "rsa", "-b", "2048"], "");
    for error in
        [KeyPair::from_openssh(&private).unwrap_err(), public.parse::<PublicKey>().unwrap_err()]
    {
        assert!(error.to_string().contains("ssh-ed25519"), "{error}");
    }
    let (private, _) = make("locked", &["-t", "ed25519"], "secret");
    let error = KeyPair::from_openssh(&private).unwrap_err();
    assert_eq!(error, dirsync_seal::KeyError::Passphrase);
}

#[test]
fn ssh_keygen_verifies_a_change_of_key() {
    let folder = folder();
    let north = name("NORTH/HQ");
    let statement = KeyStatement::sign(&north, &pair(1), pair(3).public()).unwrap();
    fs::write(folder.path().join("text"), statement.text(&north)).unwrap();
    fs::write(folder.path().join("signature"), statement.signature().to_pem()).unwrap();
    let arguments = [&VERIFY[..], &["-n", "dirsync-key"]].concat();
    run(folder.path(), "text", "ssh-keygen", &arguments);

    let pem = run(
        folder.path(),
        "text",
        "ssh-keygen",
        &["-Y", "sign", "-f", "north", "-n", "dirsync-key"],
    );
    let signature = Signature::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
    let text = statement.text(&north);
    assert_eq!(signature.verify(&text, Namespace::Key, pair(1).public()), Ok(()));
}

/// A body that travels apart is opened with nothing but its key.
#[test]
fn age_opens_a_body_that_travels_apart() {
    let folder = folder();
    let (body, sealed) = sealed_body(BODY);
    assert_eq!(front(&body, BodyPlace::Apart).body.content, Content::of(&sealed));
    fs::write(folder.path().join("body-key"), &*body.key.to_secret_text()).unwrap();
    fs::write(folder.path().join("body"), &sealed).unwrap();
    let frame = run(folder.path(), "", "age", &["-d", "-i", "body-key", "body"]);
    assert_eq!(zstd::decode_all(&frame[..]).unwrap(), BODY);
    let hash = run(folder.path(), "", "sha256sum", &["body"]);
    assert!(hash.starts_with(body.content.hash.to_string().as_bytes()));
    let made = run(folder.path(), "", "age-keygen", &[]);
    let made = String::from_utf8(made).unwrap();
    let made = made.lines().find(|line| line.starts_with("AGE-")).unwrap();
    assert_eq!(*BodyKey::from_secret_text(made).unwrap().to_secret_text(), made);
}
