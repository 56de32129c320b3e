use dirsync_seal::{KeyPair, Signal};

use super::*;
use crate::MailAddress;
use crate::compose::Letter;
use crate::tnef::tests::winmail;

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

/// A genuine file that has every byte in it, many times.
fn message() -> Vec<u8> {
    use std::io::Write as _;
    let (north, south) = (name("NORTH/HQ"), name("SOUTH/SALES"));
    let keys = [1, 2].map(|seed| KeyPair::from_seed(&[seed; 32], "a key").unwrap());
    let mut sealer = dirsync_seal::BodySealer::new(Vec::new(), 3).unwrap();
    let noise: Vec<u8> =
        (0..3000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    sealer.write_all(&noise).unwrap();
    let (sealed, body) = sealer.finish().unwrap();
    let place = dirsync_seal::BodyPlace::Inline;
    let front = dirsync_seal::Front {
        from: south,
        to: north,
        name: dirsync_seal::MessageName::new("4f2a", 12, 1).unwrap(),
        body: dirsync_seal::BodyStatement { content: sealed.content, place },
        holds: Vec::new(),
        rotated: Vec::new(),
        first_contact: None,
    };
    let mut file = front.seal("head", &sealed.key, &keys[0], keys[1].public()).unwrap();
    file.extend(body);
    file.extend(0..=255);
    file
}

fn signal() -> Vec<u8> {
    let pair = KeyPair::from_seed(&[1; 32], "a key").unwrap();
    let parties = (&name("SOUTH/SALES"), &name("NORTH/HQ"));
    Signal::default().seal(parties, None, &pair, pair.public()).unwrap()
}

const NAME: &str = "south+sales-4f2a-12-1.dirsync";

fn composed(file: &[u8], file_name: &str) -> String {
    let address: MailAddress = "d@s.example".parse().unwrap();
    let letter = Letter {
        from: &name("SOUTH/SALES"),
        to: &name("NORTH/HQ"),
        from_address: &address,
        to_address: &address,
        name: file_name,
        bytes: file,
        sent: 0,
    };
    String::from_utf8(letter.compose()).unwrap()
}

fn files(mail: &[u8]) -> Vec<FoundFile> {
    match read(mail).0 {
        Mail::Files(files) => files,
        other => panic!("{other:?} of {}", String::from_utf8_lossy(mail)),
    }
}

fn finds(mail: &[u8], file: &[u8]) {
    let found = files(mail);
    assert_eq!(found.len(), 1);
    assert!(found[0].bytes == file, "{}", String::from_utf8_lossy(mail));
    assert_eq!(found[0].to, Some(name("NORTH/HQ")));
}

/// The header and the base64 of a composed mail, apart.
fn taken_apart(mail: &str) -> (String, String, String) {
    let (header, rest) = mail.split_once("\r\n\r\n").unwrap();
    let at = rest.find("Content-Type: application/octet-stream").unwrap();
    let (part, encoded) = rest[at..].split_once("\r\n\r\n").unwrap();
    let (encoded, _) = encoded.split_once("--=_").unwrap();
    (header.into(), part.into(), encoded.into())
}

/// Everything a relay does to a mail: each is one of the stories in `docs/failure-stories.md` §9.
fn relayed(file: &[u8], file_name: &str) -> Vec<Vec<u8>> {
    let mail = composed(file, file_name);
    let (header, part, encoded) = taken_apart(&mail);
    let with = |encoded: &str, part: &str| {
        mail.replace(&taken_apart(&mail).2, encoded).replace(&taken_apart(&mail).1, part)
    };
    let one_line = encoded.replace("\r\n", "");
    let wrapped = |columns: usize, end: &str| {
        let lines = one_line
            .as_bytes()
            .chunks(columns)
            .map(|line| String::from_utf8_lossy(line).into_owned() + end);
        lines.collect::<String>()
    };
    let quoted: String = file.iter().map(|byte| format!("={byte:02X}")).collect();
    let quoted =
        quoted.as_bytes().chunks(75).map(|line| format!("{}=\r\n", String::from_utf8_lossy(line)));
    let quoted_part = part.replace("base64", "quoted-printable");
    let nested = |depth: usize| {
        (0..depth).fold(mail.clone(), |mail, nth| {
            let boundary = format!("nested{nth}");
            format!(
                "Subject: FW: x\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n\r\nSee below.\r\n\
                 --{boundary}\r\nContent-Type: message/rfc822\r\n\r\n{mail}\r\n--{boundary}--\r\n"
            )
        })
    };
    let (_, body) = mail.split_once("\r\n\r\n").unwrap();
    let content_type = header[header.find("Content-Type").unwrap()..].to_owned();
    let header_alone = header.replace(&content_type, "");
    let around = |kind: &str, more: &str| {
        format!(
            "{header_alone}Content-Type: {kind}; boundary=outer\r\n\r\n--outer\r\n{content_type}\r\n\r\n{body}\r\n{more}--outer--\r\n"
        )
    };
    let encoded_mail = data_encoding::BASE64_MIME.encode(mail.as_bytes());
    let text_wrapped = wrapped(72, "\r\n");
    let mails = [
        mail.clone(),
        with(&text_wrapped, &part),
        with(&wrapped(64, "  \r\n"), &part),
        with(&(one_line.clone() + "\r\n"), &part),
        with(&wrapped(72, "\r\n\r\n"), &part),
        with(&format!("{encoded}\r\n_______\r\nThe disclaimer of the company.\r\n"), &part),
        with(&quoted.collect::<String>(), &quoted_part),
        mail.replace("\r\n", "\n"),
        mail.replace("\r\n", "\r"),
        mail.replace("\r\n", "\r\r\n").replace("\r\r\n", "\r\n"),
        around("multipart/mixed", "--outer\r\nContent-Type: text/plain\r\n\r\nDisclaimer\r\n"),
        around(
            "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256",
            "--outer\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\nMIAGCSqGSIb3\r\n",
        ),
        with(&encoded, &part.replace(file_name, "ATT00001.dat")),
        with(&encoded, &part.replace(file_name, "../../etc/passwd")),
        with(
            &encoded,
            "Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64",
        ),
        with(
            &encoded,
            "Content-Type: image/png; name=\"x.png\"\r\nContent-Transfer-Encoding: BASE64",
        ),
        nested(1),
        nested(3),
        format!(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded_mail}"
        ),
        mail.replace("Dirsync-", "X-Removed-").replace("Message-ID", "X-Removed"),
        format!(
            "Received: from x\r\n\tby y; Sat, 28 Nov 2026 12:00:00 +0000\r\nX-Spam: no\r\n{mail}"
        ),
        format!("From a@b Sat Nov 28 12:00:00 2026\r\n{mail}"),
    ];
    mails.map(String::into_bytes).into()
}

#[test]
fn gateway_rewraps_the_body() {
    for (file, file_name) in [(message(), NAME), (signal(), "probe-1.signal")] {
        for (nth, mail) in relayed(&file, file_name).iter().enumerate() {
            println!("{nth}");
            finds(mail, &file);
        }
    }
}

/// Also a file that does not begin like one of this program comes through, with the name it had.
#[test]
fn what_is_in_a_mail_of_ours_is_taken_whatever_it_begins_with() {
    let found = files(composed(b"anything", "a.piece").as_bytes());
    assert_eq!((found[0].name.as_str(), found[0].bytes.as_slice()), ("a.piece", &b"anything"[..]));
    let mail =
        composed(b"anything", "a.piece").replace("filename=\"a.piece\"", "filename=\"b.piece\"");
    assert!(matches!(read(mail.as_bytes()).0, Mail::Unusable(_)));
}

/// A mail filter took the attachment away, or somebody encrypted the mail.
#[test]
fn a_mail_that_lost_its_file_is_named() {
    let mail = composed(&signal(), "probe-1.signal");
    let (_, _, encoded) = taken_apart(&mail);
    let warning = data_encoding::BASE64_MIME.encode(b"A virus was removed.");
    let removed = mail.replace(&encoded, &warning);
    let removed = removed.replace("filename=\"probe-1.signal\"", "filename=\"warning.txt\"");
    let (Mail::Unusable(reason), _) = read(removed.as_bytes()) else { panic!("it is named") };
    assert!(reason.contains("removed or replaced"), "{reason}");
    for kind in
        ["application/pkcs7-mime; smime-type=signed-data", "multipart/encrypted; boundary=x"]
    {
        let hidden = format!(
            "Subject: dirsync SOUTH/SALES to NORTH/HQ: signal\r\nContent-Type: {kind}\r\n\r\nMIAG\r\n"
        );
        let (Mail::Unusable(reason), _) = read(hidden.as_bytes()) else { panic!("it is named") };
        assert!(reason.contains("S/MIME"), "{reason}");
        let of_others = hidden.replace("dirsync", "lunch");
        assert_eq!(read(of_others.as_bytes()).0, Mail::Others);
    }
}

/// Lines that travel unencoded keep a CR of their own.
#[test]
fn a_cr_in_a_file_is_data() {
    let file = b"DIRSYNC-SIGNAL 1\nto: x\rdata\r";
    let mail = [&b"Subject: x\r\n\r\n"[..], file].concat();
    assert_eq!(files(&mail)[0].bytes, file);
}

#[test]
fn winmail_dat_is_opened_or_named() {
    let file = message();
    let tnef = |inside: &[u8], subject: &str, kind: &str| {
        let encoded = data_encoding::BASE64_MIME.encode(inside);
        format!(
            "Subject: {subject}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
             Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n--b--\r\n"
        )
    };
    let ours = "dirsync SOUTH/SALES to NORTH/HQ: message 12";
    for kind in [
        "application/ms-tnef; name=winmail.dat",
        "application/octet-stream",
        "application/x; name=WINMAIL.DAT",
    ] {
        for subject in [ours, "anything"] {
            finds(
                tnef(&winmail(&[("x.txt", b"text"), (NAME, &file)]), subject, kind).as_bytes(),
                &file,
            );
        }
        let empty = winmail(&[("x.txt", b"text")]);
        let (Mail::Unusable(reason), about) = read(tnef(&empty, ours, kind).as_bytes()) else {
            panic!("it is named")
        };
        assert!(reason.contains("winmail.dat") && reason.contains("TNEFEnabled"), "{reason}");
        assert_eq!(about.subject, ours);
        assert_eq!(read(tnef(&empty, "a photo", kind).as_bytes()).0, Mail::Others);
        let cut = winmail(&[(NAME, &file)]);
        let cut = tnef(&cut[..cut.len() - 9], "anything", kind);
        assert!(matches!(read(cut.as_bytes()).0, Mail::Unusable(_)));
    }
    let twice = winmail(&[("winmail.dat", &winmail(&[(NAME, &file)]))]);
    finds(tnef(&twice, ours, "application/ms-tnef").as_bytes(), &file);
}

#[test]
fn auto_replies_start_nothing() {
    let mail = composed(&signal(), "probe-1.signal");
    let (header, _) = mail.split_once("\r\n\r\n").unwrap();
    let id = header.split("Message-ID:\r\n ").nth(1).unwrap().split("\r\n").next().unwrap();
    let replies = [
        "Auto-Submitted: auto-replied\r\nSubject: Out of office: dirsync SOUTH/SALES to NORTH/HQ: signal\r\n\r\nI am away\r\n".into(),
        format!("Auto-Submitted: auto-replied (vacation)\r\nIn-Reply-To: {id}\r\nSubject: away\r\n\r\nI am away\r\n"),
        format!("X-Autoreply: yes\r\nReferences: {id}\r\n\r\nI am away\r\n"),
        // It returns the whole mail, with its file.
        format!("Auto-Submitted: auto-replied\r\nContent-Type: message/rfc822\r\n\r\n{mail}"),
    ];
    for reply in &replies {
        assert_eq!(read(reply.as_bytes()).0, Mail::AutomaticReply, "{reply}");
    }
    let others = "Auto-Submitted: auto-replied\r\nSubject: away\r\n\r\nI am away\r\n";
    assert_eq!(read(others.as_bytes()).0, Mail::Others);
    assert!(matches!(read(mail.as_bytes()).0, Mail::Files(_)), "ours is generated, and no reply");
}

#[test]
fn mail_of_the_classic_protocol_is_left_alone() {
    for mail in [
        "Subject: x\r\n\r\n[dirsync]\r\nTASK=EXPORT\r\n".to_owned(),
        "Subject: x\r\n\r\n\u{feff} \r\n[DirSync]\r\n".into(),
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: text/plain; name=TMPTRANS.GLB\r\n\r\n\
         [DIRSYNC-TRANSACTIONS]\r\n--b--\r\n".into(),
    ] {
        assert_eq!(read(mail.as_bytes()).0, Mail::Classic, "{mail}");
    }
    assert_eq!(read(b"Subject: x\r\n\r\nAbout [dirsync]\r\n").0, Mail::Others);
}

/// Whatever a mail of ours is cut to, or changed to at one place: no panic, and nothing larger than what was sent, unless it
/// is the encoded text, which its receiver refuses.
#[test]
fn damaged_mail_is_read_or_left() {
    let file = signal();
    let mail = composed(&file, "probe-1.signal").into_bytes();
    for at in 0..mail.len() {
        drop(read(&mail[..at]));
        let mut changed = mail.clone();
        changed[at] ^= 0x15;
        if let Mail::Files(files) = read(&changed).0 {
            let [file_found] = files.as_slice() else { panic!("{at}: {files:?}") };
            let is_short = file_found.bytes.len() <= file.len() + 3;
            assert!(is_short || !crate::is_file(&file_found.bytes), "{at}");
        }
    }
}

#[test]
fn people_are_shown_no_control_characters() {
    let (_, about) = read(b"From: a\x1b[2J\r\n b\r\nSubject: \xff\x00 x\r\n\r\n");
    assert!(about.from.contains("\\u{1b}") && !about.from.contains('\n'), "{about:?}");
    assert!(!about.subject.contains('\0'), "{about:?}");
    let long = format!("Subject: {}\r\n\r\n", "a".repeat(10_000));
    assert_eq!(read(long.as_bytes()).1.subject.len(), SHOWN_CHARS_MAX);
}
