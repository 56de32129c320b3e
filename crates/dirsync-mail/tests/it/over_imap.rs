//! In from a real Dovecot, into whose Maildir a real Postfix delivers.

use std::fs;
use std::os::unix::fs::chown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dirsync_carrier::CarrierErrorKind;
use dirsync_mail::imap::{Imap, ImapSettings};
use dirsync_mail::out::{Security, Smtp};
use dirsync_mail::{MailCarrier, Mailbox as _};
use dirsync_testing::conformance::carrier::run;

use crate::servers::{Dovecot, MailHost, PASSWORD, Postfix, mute_server};
use crate::{Delivered, MAIL_BYTES_MAX, login, parties, smtp};

fn imap(port: u16) -> ImapSettings {
    ImapSettings {
        host: "localhost".into(),
        port,
        security: Security::None,
        login: login(PASSWORD),
        folder: "INBOX".into(),
        taken_to: None,
        roots: None,
        patience: Duration::from_secs(20),
    }
}

fn deliver(host: &MailHost, name: &str, mail: &[u8]) {
    let path = host.maildir().join("new").join(name);
    fs::write(host.at("mail").join(name), mail).unwrap();
    chown(host.at("mail").join(name), Some(65534), Some(65534)).unwrap();
    fs::rename(host.at("mail").join(name), path).unwrap();
}

#[test]
fn it_keeps_its_promises_over_imap() {
    let host = Arc::new(MailHost::new());
    let dovecot = Dovecot::start(&host);
    let postfix = Postfix::start(&host);
    run(&|me| {
        let mailbox = Box::new(Imap::new(imap(dovecot.port)));
        let out = Box::new(Smtp::new(smtp(postfix.port)));
        let inner = MailCarrier::new(parties(me), out, mailbox, MAIL_BYTES_MAX);
        Box::new(Delivered { inner, host: Arc::clone(&host) })
    });
}

#[test]
fn mail_is_unread_until_it_is_filed() {
    let host = MailHost::new();
    let dovecot = Dovecot::start(&host);
    let mailbox = Imap::new(imap(dovecot.port));
    assert_eq!(mailbox.unread().unwrap(), []);
    let first = b"Subject: one\r\n\r\nfirst\r\n";
    deliver(&host, "1.a", first);
    deliver(&host, "2.b", b"Subject: two\r\n\r\nsecond\r\n");
    let unread = mailbox.unread().unwrap();
    assert_eq!(unread.len(), 2);
    assert_eq!(unread[0].bytes, first.len() as u64);
    let id = &unread[0].id;
    assert_eq!(mailbox.read(id, 100).unwrap().unwrap(), first);
    assert_eq!(mailbox.read(id, 5).unwrap_err().kind, CarrierErrorKind::TooLarge);
    assert!(mailbox.is_unread(id).unwrap(), "reading marks nothing");
    // Another program marks it meanwhile.
    let other = Imap::new(imap(dovecot.port));
    other.file(id).unwrap();
    other.file(id).unwrap();
    assert!(!mailbox.is_unread(id).unwrap());
    assert_eq!(mailbox.read(id, 100).unwrap(), None);
    assert_eq!(mailbox.unread().unwrap(), unread[1..]);
    for gone in ["", "x", "0000000001.0000000001", &id.replace(".00", ".99")] {
        assert_eq!(mailbox.read(gone, 100).unwrap(), None, "{gone}");
        mailbox.file(gone).unwrap();
    }

    // A server that restarts ends the session, and another is begun.
    dovecot.end_sessions();
    assert_eq!(mailbox.unread().unwrap(), unread[1..]);
    drop(dovecot);
    let error = Imap::new(imap(1)).unread().unwrap_err();
    assert_eq!(error.kind, CarrierErrorKind::Unreachable, "{error}");
}

/// `docs/failure-stories.md` §9: a server numbers its mail anew. All unread mail is read once more.
#[test]
fn another_validity_skips_nothing() {
    let host = MailHost::new();
    let dovecot = Dovecot::start(&host);
    let mailbox = Imap::new(imap(dovecot.port));
    deliver(&host, "1.a", b"Subject: one\r\n\r\nfirst\r\n");
    let before = mailbox.unread().unwrap();
    drop(mailbox);
    for entry in fs::read_dir(host.maildir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    thread::sleep(Duration::from_millis(1100));
    let mailbox = Imap::new(imap(dovecot.port));
    let after = mailbox.unread().unwrap();
    assert_eq!(after.len(), 1);
    assert_ne!(before, after, "its number is another");
    assert_eq!(mailbox.read(&before[0].id, 100).unwrap(), None, "the old one means nothing");
    assert!(mailbox.read(&after[0].id, 100).unwrap().is_some());
}

#[test]
fn what_was_taken_can_go_to_a_folder() {
    let host = MailHost::new();
    let dovecot = Dovecot::start(&host);
    fs::create_dir(host.maildir().join(".Taken")).unwrap();
    for path in [".Taken", ".Taken/new", ".Taken/cur", ".Taken/tmp"] {
        let path = host.maildir().join(path);
        let _ = fs::create_dir(&path);
        chown(&path, Some(65534), Some(65534)).unwrap();
    }
    deliver(&host, "1.a", b"Subject: one\r\n\r\nfirst\r\n");
    let taken_to = Some("Taken".into());
    let mailbox = Imap::new(ImapSettings { taken_to, ..imap(dovecot.port) });
    let id = mailbox.unread().unwrap().remove(0).id;
    mailbox.file(&id).unwrap();
    mailbox.file(&id).unwrap();
    assert_eq!((mailbox.unread().unwrap(), host.mails()), (vec![], 0));
    let moved = fs::read_dir(host.maildir().join(".Taken/cur")).unwrap().next().unwrap().unwrap();
    assert!(moved.file_name().to_str().unwrap().ends_with('S'), "{moved:?}");
}

#[test]
fn waiting_ends_when_mail_comes() {
    let host = MailHost::new();
    let dovecot = Dovecot::start(&host);
    deliver(&host, "1.a", b"Subject: one\r\n\r\nfirst\r\n");
    let mailbox = Imap::new(imap(dovecot.port));
    let long = Duration::from_secs(60);
    assert!(
        mailbox.wait_for_mail(long, &mut || true).unwrap(),
        "there is mail that was not listed"
    );
    mailbox.unread().unwrap();
    let begun = Instant::now();
    assert!(!mailbox.wait_for_mail(Duration::from_secs(1), &mut || true).unwrap());
    assert!(begun.elapsed() >= Duration::from_secs(1));

    let mut asked = 0;
    let goes_on = &mut || {
        asked += 1;
        asked < 4
    };
    let begun = Instant::now();
    assert!(!mailbox.wait_for_mail(long, goes_on).unwrap(), "it was told to end");
    assert!(begun.elapsed() < Duration::from_secs(5));

    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(700));
            // The mailbox can be used meanwhile.
            assert_eq!(mailbox.unread().unwrap().len(), 1);
            deliver(&host, "2.b", b"Subject: two\r\n\r\nsecond\r\n");
        });
        assert!(mailbox.wait_for_mail(long, &mut || true).unwrap());
    });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn tls_login_and_folder_are_what_the_settings_say() {
    let host = MailHost::new();
    let dovecot = Dovecot::start(&host);
    let list = |settings| Imap::new(settings).unread().map_err(|error| (error.kind, error.said));
    let roots = Some(host.certificates.root.clone());
    let encrypted = |port, security| ImapSettings { security, roots: roots.clone(), ..imap(port) };
    list(encrypted(dovecot.tls_port, Security::Tls)).unwrap();
    list(encrypted(dovecot.port, Security::StartTls)).unwrap();
    for (settings, words) in [
        (
            ImapSettings { login: login("wrong"), ..imap(dovecot.port) },
            "login of \"hq\" was refused",
        ),
        (ImapSettings { folder: "Missing".into(), ..imap(dovecot.port) }, "folder \"Missing\""),
        (ImapSettings { folder: "a\r\nb".into(), ..imap(dovecot.port) }, "invalid character"),
        (ImapSettings { roots: None, ..encrypted(dovecot.tls_port, Security::Tls) }, "certificate"),
        (
            ImapSettings { host: "127.0.0.1".into(), ..encrypted(dovecot.tls_port, Security::Tls) },
            "not valid for name",
        ),
        (ImapSettings { host: "mail.invalid".into(), ..imap(143) }, "without TLS"),
    ] {
        let (kind, said) = list(settings).unwrap_err();
        assert!(kind == CarrierErrorKind::Settings && said.contains(words), "{kind:?} {said}");
    }
}

#[test]
fn a_server_that_stops_in_the_middle_has_an_end() {
    let patience = Duration::from_millis(300);
    for says in [&b""[..], b"* OK hel", b"* OK hello\r\n", b"* NOT IMAP\r\n"] {
        let port = mute_server(says, Duration::ZERO);
        let begun = Instant::now();
        let mailbox = Imap::new(ImapSettings { patience, ..imap(port) });
        let error = mailbox.unread().unwrap_err();
        assert_eq!(error.kind, CarrierErrorKind::Unreachable, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
        let error = mailbox.wait_for_mail(Duration::from_secs(60), &mut || true).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
    }
}
