use super::*;
use crate::read::{Mail, read};

const ID: &str = "dirsync.aaaaaaaaaaaaaaaaaaaaaaaa";
const HEADER: &str =
    "Dirsync-From: SOUTH/SALES\r\nDirsync-To: NORTH/HQ\r\nDirsync-File: a.piece\r\n";

fn report(recipients: &str, returned: &str) -> String {
    format!(
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@x (Mail Delivery System)\r\nContent-Type: multipart/report;\r\n\
         \treport-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nI am sorry.\r\n--b\r\n\
         Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\nArrival-Date: x\r\n\r\n{recipients}\r\n\
         --b\r\n{returned}\r\n--b--\r\n"
    )
}

fn recipient(action: &str, status: &str, code: &str) -> String {
    format!(
        "Final-Recipient: rfc822; d@north.example\r\nAction: {action}\r\nStatus: {status}\r\n\
         Remote-MTA: dns; mx.north.example\r\nDiagnostic-Code: smtp; {code}\r\n\r\n"
    )
}

fn bounce(mail: &str) -> Bounce {
    match read(mail.as_bytes()).0 {
        Mail::Bounce(bounce) => bounce,
        other => panic!("{other:?} of {mail}"),
    }
}

/// A bounce returns the header, the whole mail, or names its id.
#[test]
fn a_report_is_matched_in_each_form() {
    let failed = recipient("failed", "5.1.1", "550 5.1.1 <d@north.example>:\r\n    no such user");
    let parties = |text: &str| text.parse::<PostofficeName>().unwrap();
    let expected = Some((parties("SOUTH/SALES"), parties("NORTH/HQ"), String::from("a.piece")));
    for returned in [
        format!("Content-Type: text/rfc822-headers\r\n\r\n{HEADER}"),
        format!("Content-Type: message/rfc822\r\n\r\n{HEADER}\r\nthe mail"),
        format!("Content-Type: message/rfc822-headers\r\n\r\nSubject: x\r\n{HEADER}\r\n"),
    ] {
        let bounce = bounce(&report(&failed, &returned));
        assert_eq!(bounce.class, BounceClass::Failed);
        assert_eq!(bounce.words, "mx.north.example: 550 5.1.1 <d@north.example>: no such user");
        assert_eq!(bounce.returned, expected, "{returned}");
        assert_eq!(bounce.recipients, ["d@north.example"]);
    }
    let id_alone = report(
        &failed,
        &format!("Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{ID}@x>\r\n"),
    );
    assert_eq!((bounce(&id_alone).ids, bounce(&id_alone).returned), (vec![ID.to_owned()], None));
    let of_others =
        report(&failed, "Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <x@x>\r\n");
    assert_eq!(read(of_others.as_bytes()).0, Mail::Others);
}

#[test]
fn the_class_of_a_bounce_is_what_its_server_says() {
    use BounceClass::{Delayed, Failed, TooLarge};
    let returned = format!("Content-Type: text/rfc822-headers\r\n\r\n{HEADER}");
    for (action, status, code, class) in [
        ("delayed", "4.4.1", "connect to mx: timed out", Delayed),
        ("Failed", "5.3.4", "552 5.3.4 Message size exceeds fixed limit", TooLarge),
        ("failed", "5.2.3", "mailbox limit of one message", TooLarge),
        ("failed", "5.0.0", "552 too big", TooLarge),
        ("failed", "5.7.1", "550 5.7.1 This message is too large for delivery", TooLarge),
        ("failed", "5.2.2", "552 5.2.2 Mailbox full, quota exceeded", Failed),
        ("failed", "5.1.1", "550 5.1.1 unknown user 55234", Failed),
        ("failed", "5.7.1", "554 5.7.1 rejected as spam", Failed),
    ] {
        let bounce = bounce(&report(&recipient(action, status, code), &returned));
        assert_eq!(bounce.class, class, "{code}");
        assert!(bounce.words.contains(code), "{}", bounce.words);
    }
    let both = recipient("delayed", "4.4.1", "late") + &recipient("failed", "5.3.4", "552 large");
    assert_eq!(bounce(&report(&both, &returned)).class, TooLarge, "the worst is told");
    for action in ["delivered", "relayed", "expanded", "nonsense"] {
        let mail = report(&recipient(action, "2.0.0", "fine"), &returned);
        assert_eq!(read(mail.as_bytes()).0, Mail::Others, "{action} is no failure");
    }
}

/// Old servers, and some new ones, write bounces as prose.
#[test]
fn a_bounce_in_words_alone_is_understood() {
    for (from, text, class) in [
        (
            "MAILER-DAEMON@x",
            "Hi. This is the qmail-send program.\r\nNo such user.\r\n",
            BounceClass::Failed,
        ),
        ("Postmaster <p@x>", "The message size exceeds the limit\r\n", BounceClass::TooLarge),
        ("Mail Delivery Subsystem <x@y>", "552 5.3.4 no\r\n", BounceClass::TooLarge),
        ("x@y>\r\nReturn-Path: <", "Your mail has been delayed.\r\n", BounceClass::Delayed),
    ] {
        let mail = format!(
            "From: {from}>\r\nSubject: failure notice\r\n\r\n{text}\r\n--- Below:\r\n\r\nMessage-ID: <{ID}@x>\r\n"
        );
        let bounce = bounce(&mail);
        assert_eq!((bounce.class, bounce.ids), (class, vec![ID.to_owned()]), "{mail}");
        assert!(bounce.words.starts_with(text.trim().split("\r\n").next().unwrap()));
        let person = mail.replace(from, "somebody@x");
        assert_eq!(read(person.as_bytes()).0, Mail::Others, "a person may quote an id");
        let of_others = mail.replace(ID, "other");
        assert_eq!(read(of_others.as_bytes()).0, Mail::Others);
    }
}

/// A bounce returns a mail that this postoffice sent. Its file did not come.
#[test]
fn the_file_in_a_bounce_is_not_one_that_came() {
    let returned =
        format!("Content-Type: message/rfc822\r\n\r\n{HEADER}\r\nDIRSYNC-SIGNAL 1\nto: NORTH/HQ\n");
    let mail = report(&recipient("failed", "5.1.1", "550 no"), &returned);
    assert!(matches!(read(mail.as_bytes()).0, Mail::Bounce(_)));
}

#[test]
fn words_are_short_and_safe_to_show() {
    let code = format!("550 \x1b[2J {}", "x".repeat(5000));
    let returned = format!("Content-Type: text/rfc822-headers\r\n\r\n{HEADER}");
    let words = bounce(&report(&recipient("failed", "5.0.0", &code), &returned)).words;
    assert!(words.len() < 400 && words.contains("\\u{1b}"), "{words}");
}

#[test]
fn an_answer_while_handing_over_has_its_kind() {
    for (code, words, kind) in [
        (552, "5.3.4 Message size exceeds fixed limit", CarrierErrorKind::TooLarge),
        (550, "5.2.3 too long", CarrierErrorKind::TooLarge),
        (552, "5.2.2 mailbox full", CarrierErrorKind::Refused),
        (550, "5.1.1 unknown", CarrierErrorKind::Refused),
        (535, "5.7.8 authentication failed", CarrierErrorKind::Settings),
        (530, "5.7.0 must issue STARTTLS first", CarrierErrorKind::Settings),
        (450, "4.2.0 greylisted", CarrierErrorKind::Unreachable),
        (452, "4.3.1 insufficient system storage", CarrierErrorKind::Unreachable),
        (421, "4.3.2 shutting down", CarrierErrorKind::Unreachable),
    ] {
        assert_eq!(error_kind(code, words), kind, "{code} {words}");
    }
}
