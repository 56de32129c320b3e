//! Out by SMTP or `sendmail` into a real Postfix, in from the Maildir into which it delivers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dirsync_carrier::{Carrier as _, CarrierErrorKind};
use dirsync_mail::bounce::BounceClass;
use dirsync_mail::carrier::Returned;
use dirsync_mail::out::{MailOut, Security, Sendmail, Smtp, SmtpSettings};
use dirsync_mail::{MailCarrier, Maildir};
use dirsync_seal::{Content, Fragment, KeyPair};
use dirsync_testing::conformance::carrier::{FIRST, addressee, run};

use crate::relay::{WAYS, hostile_relay};
use crate::servers::{Dovecot, MailHost, PASSWORD, Postfix, mute_server, smtp_server};
use crate::{Delivered, MAIL_BYTES_MAX, address, login, name, parties, smtp};

fn carrier(host: &MailHost, out: impl MailOut + 'static, me: &str) -> MailCarrier {
    let mailbox = Box::new(Maildir::new(&host.maildir()));
    MailCarrier::new(parties(&name(me)), Box::new(out), mailbox, MAIL_BYTES_MAX)
}

#[test]
fn it_keeps_its_promises_over_postfix() {
    let host = Arc::new(MailHost::new());
    let postfix = Postfix::start(&host);
    run(&|me| {
        let inner = carrier(&host, Smtp::new(smtp(postfix.port)), me.as_str());
        Box::new(Delivered { inner, host: Arc::clone(&host) })
    });
}

/// What Postfix stored has no line that it had to change, and a file with lines of dots is whole.
#[test]
fn postfix_stores_what_was_sent() {
    let host = MailHost::new();
    let postfix = Postfix::start(&host);
    let north = carrier(&host, Smtp::new(smtp(postfix.port)), "NORTH/HQ");
    let file: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).chain(*b"\n.\r\n.\r\n").collect();
    north.put(&addressee(), FIRST, &file).unwrap();
    host.wait_for_mails(1);
    let stored = fs::read_dir(host.maildir().join("new")).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(stored.path()).unwrap();
    let (_, ours) = text.split_once("From:\n").unwrap();
    assert!(ours.lines().all(|line| line.len() <= 76), "{text}");
    assert!(text.contains("Return-Path: <dirsync@hq.example>\n"), "{text}");
    let south = carrier(&host, Smtp::new(smtp(postfix.port)), addressee().as_str());
    let listed = south.list().unwrap();
    assert_eq!(south.fetch(&listed[0], u64::MAX).unwrap().unwrap(), file);
}

/// Files of every kind and many sizes go through a relay that changes, doubles and refuses mail, and lets people answer.
/// Each comes as it was sent, and nothing is answered.
#[test]
fn a_hostile_relay_changes_no_file() {
    let host = MailHost::new();
    let postfix = Postfix::start(&host);
    let relay = hostile_relay(postfix.port);
    let north = carrier(&host, Smtp::new(smtp(relay)), "NORTH/HQ");
    let pair = KeyPair::from_seed(&[1; 32], "a key").unwrap();
    let mut sent = Vec::new();
    let mut refused = 0;
    for nth in 0..2 * WAYS {
        let fragment = Fragment {
            from: name("NORTH/HQ"),
            to: addressee(),
            body: Content::of(&vec![0; 1 << 20]),
            at: 0,
            rotated: Vec::new(),
            first_contact: None,
        };
        let piece: Vec<u8> = (0..nth * 997 + 1).map(|n| (n * n % 256) as u8).collect();
        let file = fragment.seal(&piece, &pair, pair.public()).unwrap();
        let file_name = format!("{nth:04}-0-{}-ab.piece", piece.len());
        while let Err(error) = north.put(&addressee(), &file_name, &file) {
            assert!(error.said.contains("greylisted"), "{error}");
            refused += 1;
        }
        sent.push(file);
    }
    assert!(refused > 0, "it refused some for now");
    // In each round one mail comes three times, and one is answered.
    let mails = 2 * (WAYS + 3);
    host.wait_for_mails(mails);
    let south = carrier(&host, Smtp::new(smtp(relay)), addressee().as_str());
    let mut listed = Vec::new();
    for file in south.list().unwrap() {
        listed.push(south.fetch(&file, u64::MAX).unwrap().unwrap());
        south.taken(&file).unwrap();
    }
    listed.sort();
    sent.sort();
    assert!(listed == sent, "{} of {}", listed.len(), sent.len());
    let useless = south.useless().unwrap();
    assert_eq!(useless.len(), 2, "{useless:?}");
    useless.iter().for_each(|mail| south.file(&mail.mail).unwrap());
    assert_eq!(south.returned().unwrap(), []);
    assert_eq!(fs::read_dir(host.maildir().join("new")).unwrap().count(), 0);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(host.mails(), mails, "nothing was answered");
}

#[test]
fn the_program_sendmail_hands_mail_to_postfix() {
    let host = MailHost::new();
    let postfix = Postfix::start(&host);
    let program = host.at("sendmail");
    let text =
        format!("#!/bin/sh\nexec /usr/sbin/sendmail -C {} \"$@\"\n", postfix.settings().display());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let out = || Sendmail::new(&program, Duration::from_secs(20));
    carrier(&host, out(), "NORTH/HQ").put(&addressee(), FIRST, b"by a program").unwrap();
    host.wait_for_mails(1);
    let south = carrier(&host, out(), addressee().as_str());
    assert_eq!(south.fetch(&south.list().unwrap()[0], 100).unwrap().unwrap(), b"by a program");
    let error = out().send(&address("a@hq.example"), &address("b@hq.example"), &[b'x'; 300_000]);
    let error = error.unwrap_err();
    assert_eq!(error.kind, CarrierErrorKind::TooLarge, "{error}");
}

#[test]
fn a_mail_that_is_too_large_is_said_to_be() {
    let host = MailHost::new();
    let postfix = Postfix::start(&host);
    let (from, to) = (address("dirsync@hq.example"), address("dirsync@hq.example"));
    let mail =
        b"Subject: large\r\n\r\n".iter().copied().chain(*b"0123456789\r\n").collect::<Vec<_>>();
    let large = mail.iter().copied().cycle().take(300_000).collect::<Vec<_>>();
    // One port says its limit, and the other refuses when it has got everything.
    for (port, words) in [(postfix.port, "200000 bytes"), (postfix.silent_port, "552 5.3.4")] {
        let error = Smtp::new(smtp(port)).send(&from, &to, &large).unwrap_err();
        assert_eq!(error.kind, CarrierErrorKind::TooLarge, "{error}");
        assert!(error.said.contains(words), "{error}");
        Smtp::new(smtp(port)).send(&from, &to, &mail).unwrap();
    }
}

fn one_bounce(host: &MailHost, north: &MailCarrier, mails: usize) -> Returned {
    host.wait_for_mails(mails);
    let mut returned = north.returned().unwrap();
    assert_eq!(returned.len(), 1, "{returned:?} {}", host.log());
    returned.remove(0)
}

/// Postfix accepts a mail, and returns it later.
#[test]
fn a_bounce_of_postfix_is_matched_to_its_file() {
    let host = MailHost::new();
    let postfix = Postfix::start(&host);
    let north = carrier(&host, Smtp::new(smtp(postfix.port)), "NORTH/HQ");
    north.put(&name("LOST/HQ"), "a.piece", b"nobody gets this").unwrap();
    let lost = one_bounce(&host, &north, 1);
    assert_eq!(lost.file_name.as_deref(), Some("a.piece"));
    assert_eq!(lost.addressee, Some(name("LOST/HQ")));
    assert_eq!(lost.class, BounceClass::Failed);
    assert!(lost.words.to_lowercase().contains("unknown user"), "{lost:?}");
    let other = carrier(&host, Smtp::new(smtp(postfix.port)), addressee().as_str());
    assert_eq!(other.returned().unwrap(), []);
    assert_eq!((north.list().unwrap(), other.list().unwrap()), (vec![], vec![]));
    north.file(&lost.mail).unwrap();

    // The limit of a server on the way is known only from a bounce.
    north.put(&name("SMALL/HQ"), "b.piece", &[7; 50_000]).unwrap();
    let large = one_bounce(&host, &north, 2);
    let file = (large.file_name.as_deref(), large.addressee.clone());
    assert_eq!(file, (Some("b.piece"), Some(name("SMALL/HQ"))));
    assert_eq!(large.class, BounceClass::TooLarge, "{large:?}");
    let again = carrier(&host, Smtp::new(smtp(postfix.port)), "NORTH/HQ");
    assert_eq!(again.returned().unwrap().len(), 1, "the first was filed");
}

#[test]
fn tls_and_login_are_what_the_settings_say() {
    let host = MailHost::new();
    let dovecot = Dovecot::start(&host);
    let postfix = Postfix::start(&host);
    let (from, to) = (address("dirsync@hq.example"), address("dirsync@hq.example"));
    let send = |settings: SmtpSettings| {
        Smtp::new(settings)
            .send(&from, &to, b"Subject: x\r\n\r\nx\r\n")
            .map_err(|error| (error.kind, error.said))
    };
    let roots = Some(host.certificates.root.clone());
    let encrypted = |port, security| SmtpSettings { security, roots: roots.clone(), ..smtp(port) };
    send(encrypted(postfix.port, Security::StartTls)).unwrap();
    let tls = encrypted(postfix.tls_port, Security::Tls);
    send(SmtpSettings { login: Some(login(PASSWORD)), ..tls.clone() }).unwrap();

    let (kind, said) =
        send(SmtpSettings { login: Some(login("wrong")), ..tls.clone() }).unwrap_err();
    assert!(kind == CarrierErrorKind::Settings && said.contains("535"), "{said}");
    let (kind, said) = send(tls).unwrap_err();
    assert!(kind == CarrierErrorKind::Refused && said.contains("denied"), "{said}");
    // Nothing says who signed its certificate.
    let unknown = SmtpSettings { roots: None, ..encrypted(postfix.port, Security::StartTls) };
    let (kind, said) = send(unknown).unwrap_err();
    assert!(kind == CarrierErrorKind::Settings && said.contains("certificate"), "{kind:?} {said}");
    let other_name =
        SmtpSettings { host: "127.0.0.1".into(), ..encrypted(postfix.port, Security::StartTls) };
    let (kind, said) = send(other_name).unwrap_err();
    assert!(
        kind == CarrierErrorKind::Settings && said.contains("not valid for name"),
        "{kind:?} {said}"
    );
    let remote = SmtpSettings { host: "mail.invalid".into(), login: Some(login("x")), ..smtp(1) };
    let (kind, said) = send(remote).unwrap_err();
    assert!(kind == CarrierErrorKind::Settings && said.contains("without TLS"), "{kind:?} {said}");
    drop(dovecot);
}

#[test]
fn a_server_that_is_silent_or_slow_has_an_end() {
    let (from, to) = (address("dirsync@hq.example"), address("dirsync@hq.example"));
    let patience = Duration::from_millis(300);
    let slow: &[u8] = &[b'2'; 4000];
    for (says, pause) in [(&b""[..], 0), (b"220 hello\r\n", 0), (b"220-never", 0), (slow, 50)] {
        let port = mute_server(says, Duration::from_millis(pause));
        let begun = Instant::now();
        let server = Smtp::new(SmtpSettings { patience, ..smtp(port) });
        let error = server.send(&from, &to, b"Subject: x\r\n\r\n").unwrap_err();
        assert_eq!(error.kind, CarrierErrorKind::Unreachable, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
    }
    let error = Smtp::new(smtp(1)).send(&from, &to, b"").unwrap_err();
    assert_eq!(error.kind, CarrierErrorKind::Unreachable, "{error}");
}

/// The answers of servers at each command, and the kind and words that come of them.
#[test]
fn each_answer_of_a_server_has_its_kind_and_its_words() {
    use CarrierErrorKind::{Refused, TooLarge, Unreachable};
    const GREETING: (&str, &str) = ("greeting", "220 hello");
    type Case = (&'static [(&'static str, &'static str)], CarrierErrorKind, &'static str);
    let cases: [Case; 8] = [
        (
            &[GREETING, ("MAIL", "552 5.3.4 larger than 10 bytes")],
            TooLarge,
            "552 5.3.4 larger than 10 bytes",
        ),
        (
            &[GREETING, ("RCPT", "552 5.3.4 too large for this user")],
            TooLarge,
            "too large for this user",
        ),
        (&[GREETING, ("RCPT", "550 5.1.1 no such user")], Refused, "550 5.1.1 no such user"),
        (
            &[GREETING, ("RCPT", "450-4.2.0 greylisted\r\n450 4.2.0 for a minute")],
            Unreachable,
            "greylisted",
        ),
        (&[GREETING, ("end", "552 5.3.4 too big")], TooLarge, "too big"),
        (&[GREETING, ("end", "554 5.7.1 it is spam")], Refused, "it is spam"),
        (&[("greeting", "421 4.3.2 not now")], Unreachable, "not now"),
        (&[GREETING, ("EHLO", "250-x\r\n250 SIZE 3")], TooLarge, "at most 3 bytes"),
    ];
    for (answers, kind, words) in cases {
        let server = Smtp::new(smtp(smtp_server(answers)));
        let error =
            server.send(&address("a@b.example"), &address("c@d.example"), b"Subject: x\r\n\r\n");
        let error = error.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.said.contains(words), "{error}");
    }
    let fine = Smtp::new(smtp(smtp_server(&[GREETING])));
    fine.send(&address("a@b.example"), &address("c@d.example"), b"Subject: x\r\n\r\n.\r\n")
        .unwrap();
}
