use std::sync::atomic::Ordering;

use dirsync_carrier::CarrierErrorKind::Settings;
use dirsync_link::certificate::{Root, ServerCertificates};
use dirsync_link::trust::Trust;

use super::*;

#[test]
fn a_certificate_of_the_invitations_root_is_accepted_by_name_and_by_address() {
    let root = root();
    let port = serve(signed(&root, &["localhost", "127.0.0.1"], NOW));
    assert_eq!(get(&trust(&root), &format!("https://127.0.0.1:{port}/")).unwrap(), "here");
    assert_eq!(get(&trust(&root), &format!("https://localhost:{port}/")).unwrap(), "here");
}

#[test]
fn an_ipv6_address_is_named_without_its_brackets() {
    let root = root();
    let port = serve(signed(&root, &["[::1]"], NOW));
    let text = get(&trust(&root), &format!("https://127.0.0.1:{port}/")).unwrap_err().1;
    assert!(text.contains(" for ::1, signed by "), "{text}");
}

#[test]
fn another_root_is_named_with_both_fingerprints() {
    let (invited, other) = (root(), root());
    let port = serve(signed(&other, &["127.0.0.1", "hq.example"], NOW));
    let (kind, text) = get(&trust(&invited), &format!("https://127.0.0.1:{port}/")).unwrap_err();
    assert_eq!(kind, Settings);
    assert_eq!(
        text,
        format!(
            "the certificate of 127.0.0.1 is not signed by the root of the invitation: expected the root {}, but \
             \"CN=127.0.0.1\" for 127.0.0.1, hq.example, signed by \"CN=dirsync NORTH/HQ\" with the fingerprint {} \
             came. If the postoffice made a new root, ask for a new invitation; if not, somebody else answers in its \
             place",
            invited.fingerprint(),
            other.fingerprint()
        )
    );
}

#[test]
fn a_certificate_for_other_hosts_is_named_with_them() {
    let root = root();
    let hosts = ["a.example", "b.example", "c.example", "d.example", "e.example", "f.example"];
    let port = serve(signed(&root, &hosts, NOW));
    let (kind, text) = get(&trust(&root), &format!("https://127.0.0.1:{port}/")).unwrap_err();
    assert_eq!(kind, Settings);
    assert_eq!(
        text,
        format!(
            "the certificate of 127.0.0.1 is for other hosts: expected the name 127.0.0.1, but \"CN=a.example\" for \
             a.example, b.example, c.example, d.example, e.example, …, signed by \"CN=dirsync NORTH/HQ\" with the \
             fingerprint {} came. Use one of its names, or ask the administrator there to add this one",
            root.fingerprint()
        )
    );
}

#[test]
fn the_invitations_root_needs_no_clock() {
    let root = root();
    for now in [0, NOW - 3650 * DAY, NOW + 3650 * DAY, u64::MAX] {
        let port = serve(signed(&root, &["127.0.0.1"], now));
        assert_eq!(
            get(&trust(&root), &format!("https://127.0.0.1:{port}/")).unwrap(),
            "here",
            "{now}"
        );
    }
}

#[test]
fn the_certificate_is_made_anew_when_a_third_of_its_time_is_left() {
    let root = root();
    let (clock, time) = clock(NOW);
    let certificates =
        ServerCertificates::signed(copy(&root), &["127.0.0.1".to_owned()], clock).unwrap();
    let port = serve(certificates);
    let shown = || shown_by(&trust(&root), port).swap_remove(0);
    let first = shown();

    time.store(NOW + 60 * DAY - 1, Ordering::SeqCst);
    assert_eq!(shown(), first);
    time.store(NOW + 60 * DAY, Ordering::SeqCst);
    let second = shown();
    assert_ne!(second, first);
    assert_eq!(shown(), second);
    // The clock was put back: nobody who looks at dates would accept a certificate of the future.
    time.store(NOW, Ordering::SeqCst);
    assert_ne!(shown(), second);
}

#[test]
fn the_certificate_is_made_anew_when_the_hosts_change() {
    let root = root();
    let certificates = signed(&root, &["hq.example"], NOW);
    let port = serve(Arc::clone(&certificates));
    let url = format!("https://127.0.0.1:{port}/");
    assert!(get(&trust(&root), &url).is_err());

    let hosts = ["hq.example".to_owned(), "127.0.0.1".to_owned()];
    certificates.set_hosts(&hosts).unwrap();
    assert_eq!(get(&trust(&root), &url).unwrap(), "here");
    let before = certificates.current();
    certificates.set_hosts(&hosts).unwrap();
    assert!(Arc::ptr_eq(&before, &certificates.current()));

    let error = certificates.set_hosts(&["hq example".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "\"hq example\" is neither a host name nor an IP address");
    let error = certificates.set_hosts(&[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the link has no host name: give at least one by which requestors reach it"
    );
    assert_eq!(get(&trust(&root), &url).unwrap(), "here");
    assert_eq!(certificates.warning(), None);
}

#[test]
fn a_root_is_written_and_read() {
    let root = root();
    let text = root.to_pem();
    assert!(text.starts_with(&root.certificate_pem()));
    let read = Root::from_pem(&text).unwrap();
    assert_eq!(read.certificate(), root.certificate());
    assert_eq!(root.fingerprint().len(), 95);
    let port = serve(signed(&read, &["127.0.0.1"], NOW));
    assert_eq!(get(&trust(&root), &format!("https://127.0.0.1:{port}/")).unwrap(), "here");

    let der = data_encoding::BASE64.decode(root.certificate_text().as_bytes()).unwrap();
    assert_eq!(der, root.certificate().to_vec());
}

#[test]
fn a_damaged_root_is_refused() {
    let (root, other) = (root(), root());
    let (text, others) = (root.to_pem(), other.to_pem());
    let key = |text: &str| text[text.find("-----BEGIN PRIVATE").unwrap()..].to_owned();
    let failed = |text: &str| Root::from_pem(text).unwrap_err().to_string();
    let reason = "cannot read the root certificate of the link:";
    assert_eq!(failed(&key(&text)), format!("{reason} its text has no whole certificate"));
    assert_eq!(
        failed(&root.certificate_pem()),
        format!("{reason} its text has no whole private key")
    );
    let mixed = failed(&(root.certificate_pem() + &key(&others)));
    assert!(mixed.starts_with(reason), "{mixed}");

    let error =
        Trust::Root(CertificateDer::from(vec![1, 2, 3])).client_config().unwrap_err().to_string();
    assert!(error.starts_with("the root certificate of the invitation cannot be used:"), "{error}");
    assert!(error.ends_with("; ask for a new invitation"), "{error}");
}
