use std::path::Path;

use dirsync_carrier::CarrierErrorKind::Settings;

use super::*;

/// Where a process that this test started finds the root with its key.
const ROOT: &str = "DIRSYNC_TEST_ROOT";

fn run(test: &str, trusted: &Path, root: &Path) {
    let variables = [("SSL_CERT_FILE", trusted), ("SSL_CERT_DIR", Path::new("")), (ROOT, root)];
    in_own_process(test, &variables.map(|(name, path)| (name, path.to_str().unwrap())));
}

fn given() -> Root {
    Root::from_pem(&std::fs::read_to_string(std::env::var(ROOT).unwrap()).unwrap()).unwrap()
}

#[test]
fn public_certificates_are_those_of_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let (root, trusted, empty) = (
        folder.path().join("root.pem"),
        folder.path().join("trusted.pem"),
        folder.path().join("empty.pem"),
    );
    let made = super::root();
    std::fs::write(&root, made.to_pem().as_bytes()).unwrap();
    std::fs::write(&trusted, made.certificate_pem()).unwrap();
    std::fs::write(&empty, "").unwrap();
    run("public::with_a_root", &trusted, &root);
    run("public::without_roots", &empty, &root);
}

#[test]
#[ignore = "public_certificates_are_those_of_the_system runs it in a process of its own"]
fn with_a_root() {
    let root = given();
    let now = (dirsync_link::certificate::system_clock())();
    let get = |root: &Root, hosts: &[&str], now| {
        let port = serve(signed(root, hosts, now));
        get(&Trust::Public, &format!("https://127.0.0.1:{port}/"))
    };
    assert_eq!(get(&root, &["127.0.0.1"], now).unwrap(), "here");

    let date = |seconds: u64| {
        jiff::Timestamp::from_second(seconds.try_into().unwrap())
            .unwrap()
            .strftime("%Y-%m-%d")
            .to_string()
    };
    let (kind, text) = get(&root, &["127.0.0.1"], NOW - 3650 * DAY).unwrap_err();
    assert_eq!(kind, Settings);
    assert_eq!(
        text,
        format!(
            "the certificate of 127.0.0.1 has expired: expected one that is valid on {}, as the clock here says, but \
             one for 127.0.0.1 came that ended on {}. The administrator there must renew it, if the clock here is right",
            date(now),
            date(NOW - 3560 * DAY)
        )
    );
    let (_, text) = get(&root, &["127.0.0.1"], now + 3650 * DAY).unwrap_err();
    assert_eq!(
        text,
        format!(
            "the certificate of 127.0.0.1 is not valid yet: expected one that is valid on {}, as the clock here says, \
             but one for 127.0.0.1 came that begins on {}. Set the clock here, if it is wrong",
            date(now),
            date(now + 3650 * DAY - 3600)
        )
    );
    let other = super::root();
    let (kind, text) = get(&other, &["127.0.0.1"], now).unwrap_err();
    assert_eq!(kind, Settings);
    assert_eq!(
        text,
        format!(
            "the certificate of 127.0.0.1 is signed by nobody whom this system trusts: expected a public certificate, \
             but \"CN=127.0.0.1\" for 127.0.0.1, signed by \"CN=dirsync NORTH/HQ\" with the fingerprint {} came",
            other.fingerprint()
        )
    );
    let (_, text) = get(&root, &["hq.example"], now).unwrap_err();
    assert!(text.starts_with("the certificate of 127.0.0.1 is for other hosts: "), "{text}");
}

#[test]
#[ignore = "public_certificates_are_those_of_the_system runs it in a process of its own"]
fn without_roots() {
    let text = Trust::Public.client_config().unwrap_err().to_string();
    assert!(text.starts_with("this system has no list of public certificates: "), "{text}");
    assert!(text.ends_with("; install its package ca-certificates"), "{text}");
    let root = given();
    assert!(trust(&root).client_config().is_ok(), "the root of an invitation is enough");
}
