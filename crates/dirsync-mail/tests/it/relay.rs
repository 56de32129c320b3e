//! A relay between a sender and Postfix that does to mail whatever relays do, short of losing it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dirsync_mail::MailAddress;
use dirsync_mail::out::{MailOut as _, Smtp};

use crate::smtp;

/// The number of things that are done to mail in turn.
pub const WAYS: usize = 11;
/// Each so many attempts one is refused for now.
const GREYLISTED: usize = 3;

/// Starts a relay that hands over to the server at `next`. Returns its port.
pub fn hostile_relay(next: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let counts = Arc::clone(&counts);
            thread::spawn(move || serve(&stream.unwrap(), next, &counts));
        }
    });
    port
}

fn serve(stream: &TcpStream, next: u16, (attempts, mails): &(AtomicUsize, AtomicUsize)) {
    let mut answers = stream;
    let mut answer = |text: &str| write!(answers, "{text}\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let (mut from, mut to) = (String::new(), String::new());
    let path = |line: &str| line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    answer("220 relay");
    while let Some(Ok(line)) = lines.next() {
        match line.get(..4).unwrap_or_default() {
            "MAIL" => from = path(&line),
            "RCPT" => to = path(&line),
            "QUIT" => return answer("221 bye"),
            "DATA" => {
                answer("354 go on");
                let mail = lines.by_ref().map_while(Result::ok).take_while(|line| line != ".");
                let mail = mail.map(|line| {
                    line.strip_prefix('.').map_or(line.clone(), str::to_owned) + "\r\n"
                });
                let mail: String = mail.collect();
                let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
                let nth = mails.fetch_add(1, Ordering::Relaxed);
                hand_on(nth % WAYS, &mail, &from, &to, next);
            }
            _ => {}
        }
        let is_late =
            line.starts_with("RCPT") && attempts.fetch_add(1, Ordering::Relaxed) % GREYLISTED == 1;
        answer(if is_late { "450 4.2.0 greylisted, try again" } else { "250 fine" });
    }
}

/// Hands a mail on in one of the ways.
fn hand_on(way: usize, mail: &str, from: &MailAddress, to: &MailAddress, next: u16) {
    let send = |mail: &str| Smtp::new(smtp(next)).send(from, to, mail.as_bytes()).unwrap();
    if way == 9 {
        // Somebody is out of office: the sender hears of it, beside the mail itself.
        let id = mail.split("Message-ID:\r\n ").nth(1).unwrap().split("\r\n").next().unwrap();
        let reply = format!(
            "From: <{to}>\r\nTo: <{from}>\r\nSubject: Out of office\r\nIn-Reply-To: {id}\r\n\
             Auto-Submitted: auto-replied\r\n\r\nI am away.\r\n"
        );
        Smtp::new(smtp(next)).send(to, from, reply.as_bytes()).unwrap();
    }
    send(&changed(way, mail));
    if way == 8 {
        send(mail);
        send(mail);
    }
}

fn changed(way: usize, mail: &str) -> String {
    let (header, body) = mail.split_once("\r\n\r\n").unwrap();
    let at = body.find("Content-Type: application/octet-stream").unwrap();
    let (part, encoded) = body[at..].split_once("\r\n\r\n").unwrap();
    let (encoded, _) = encoded.split_once("--=_").unwrap();
    let file = data_encoding::BASE64.decode(encoded.replace("\r\n", "").as_bytes()).unwrap();
    let wrapped = |text: &str, columns: usize, end: &str| {
        let lines = text.as_bytes().chunks(columns);
        lines.map(|line| String::from_utf8_lossy(line).into_owned() + end).collect::<String>()
    };
    let content_type = &header[header.find("Content-Type").unwrap()..];
    let around = |kind: &str, more: &str| {
        let header = header.replace(content_type, "");
        format!(
            "{header}Content-Type: {kind}; boundary=outer\r\n\r\n--outer\r\n{content_type}\r\n\r\n{body}\r\n\
             --outer\r\n{more}\r\n--outer--\r\n"
        )
    };
    match way {
        1 => mail.replace(encoded, &wrapped(&encoded.replace("\r\n", ""), 72, "\r\n")),
        2 => {
            let quoted: String = file.iter().map(|byte| format!("={byte:02X}")).collect();
            let mail = mail.replace(part, &part.replace("base64", "quoted-printable"));
            mail.replace(encoded, &wrapped(&quoted, 75, "=\r\n"))
        }
        3 => around("multipart/mixed", "Content-Type: text/html\r\n\r\n<p>Disclaimer</p>"),
        4 => around(
            "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256",
            "Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\nMIAG",
        ),
        5 => format!("Subject: Fwd\r\nContent-Type: message/rfc822\r\n\r\n{mail}"),
        6 => mail.replace("application/octet-stream", "text/plain; charset=iso-8859-1"),
        7 => mail.replace("Dirsync-", "X-Was-").replace("filename", "X-name"),
        10 => {
            mail.replace(encoded, &format!("{encoded}\r\n_____\r\nA footer of a mailing list\r\n"))
        }
        _ => mail.to_owned(),
    }
}
