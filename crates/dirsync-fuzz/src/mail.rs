//! Mail from anybody: its parts, what Exchange wraps, and bounces.

use std::sync::LazyLock;

use dirsync_carrier::{is_of_message, is_of_piece, is_of_signal};
use dirsync_directory::{PostofficeName, is_hidden};
use dirsync_mail::compose::Letter;
use dirsync_mail::read::{About, FILES_MAX, Mail, read};
use dirsync_mail::{MailAddress, tnef as reader};

use crate::bytes::{Bytes, parts};

/// The most characters that people are shown of one text, with those that stand for hidden ones.
const SHOWN_BYTES_MAX: usize = 300 * 12;
const FILE_NAMES: [&str; 4] =
    ["north+hq-1f-12-1.dirsync", "0001-0000000000-9-ab.piece", "probe-1.signal", "a.piece"];
const LINE_ENDS: [&str; 3] = ["\r\n", "\n", "\r"];

static NORTH: LazyLock<PostofficeName> = LazyLock::new(|| "NORTH/HQ".parse().expect("a name"));
static SOUTH: LazyLock<PostofficeName> = LazyLock::new(|| "SOUTH/HQ".parse().expect("a name"));
static ADDRESS: LazyLock<MailAddress> =
    LazyLock::new(|| "dirsync@north.example".parse().expect("an address"));

fn is_safe(text: &str) {
    assert!(text.len() <= SHOWN_BYTES_MAX, "{} bytes", text.len());
    assert!(
        !text.chars().any(|character| character.is_ascii() && is_hidden(character)),
        "{text:?}"
    );
}

/// Checks what is always so of a mail.
fn look(data: &[u8]) -> Mail {
    let (mail, About { from, subject }) = read(data);
    is_safe(&from);
    is_safe(&subject);
    match &mail {
        Mail::Files(files) => {
            assert!((1..=FILES_MAX).contains(&files.len()));
            for file in files {
                let name = file.name.as_str();
                assert!(is_of_message(name) || is_of_piece(name) || is_of_signal(name), "{name}");
                assert!(file.bytes.len() <= data.len(), "nothing grows");
            }
        }
        Mail::Bounce(bounce) => is_safe(&bounce.words),
        _ => {}
    }
    mail
}

/// Any mail is read, and its files have names of files and are no larger than the mail. A file of any bytes, in a mail
/// of ours with any line ends and anything around it, is found as it was.
pub fn mail(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.byte() % 2 == 0 {
        look(bytes.rest());
        return;
    }
    let name = *bytes.of(&FILE_NAMES).expect("there are names");
    let end = *bytes.of(&LINE_ENDS).expect("there are line ends");
    let nesting = bytes.byte() % 3;
    let file = bytes.rest();
    // No file of this program begins so.
    if reader::is_tnef(file) {
        return;
    }
    let letter = Letter {
        from: &NORTH,
        to: &SOUTH,
        from_address: &ADDRESS,
        to_address: &ADDRESS,
        name,
        bytes: file,
        sent: 0,
    };
    let mut mail = String::from_utf8(letter.compose()).expect("it is ASCII");
    assert!(mail.lines().all(|line| line.len() <= 76));
    for _ in 0..nesting {
        mail = format!("Subject: FW\r\nContent-Type: message/rfc822\r\n\r\n{mail}");
    }
    let Mail::Files(files) = look(mail.replace("\r\n", end).as_bytes()) else {
        panic!("the file is found")
    };
    assert_eq!(files[0].bytes, file);
}

/// The attachments of any `winmail.dat` are parts of it.
pub fn tnef(data: &[u8]) {
    let Ok(attachments) = reader::attachments(data) else { return };
    assert!(reader::is_tnef(data));
    let bytes: usize = attachments.iter().map(|one| one.bytes.len()).sum();
    assert!(bytes <= data.len());
    for name in attachments.iter().filter_map(|one| one.name.as_ref()) {
        assert!(!name.is_empty() && name.len() <= 4096);
    }
}

/// A report with any fields about any mail is no file. If neither the returned header nor an id is of ours, it is other
/// people's mail.
pub fn bounce(data: &[u8]) {
    let Some([head, report, returned]) = parts(data) else { return };
    let mail = format!(
        "{head}\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\
         Content-Type: message/delivery-status\r\n\r\n{report}\r\n--b\r\n\
         Content-Type: text/rfc822-headers\r\n\r\n{returned}\r\n--b--\r\n"
    );
    let kind = look(mail.as_bytes());
    let is_ours = mail.contains("dirsync.") || mail.to_ascii_lowercase().contains("dirsync-");
    assert!(is_ours || !matches!(kind, Mail::Bounce(_)));
    look(data);
}
