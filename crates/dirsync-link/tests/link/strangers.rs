//! Who has no ticket, or the wrong one, and requests that no client of ours makes.

use std::sync::atomic::Ordering;

use dirsync_carrier::Carrier as _;
use dirsync_link::wire;
use dirsync_seal::{BODY_BYTES_MAX, ContentHash, Nonce};
use dirsync_transit::{BODIES_MAX, Piece};

use crate::raw::{Raw, known, length, login, with};
use crate::{Site, name};

const FILE: &str = "0000-0000000000-9-ab.piece";

/// Each request of the link.
fn requests(hash: &ContentHash) -> Vec<(String, &'static [u8])> {
    let message = format!("/v1/messages/{FILE}");
    let body = format!("/v1/bodies/{hash}");
    vec![
        ("GET /v1/messages".to_owned(), b""),
        ("GET /v1/messages?wait=30".to_owned(), b""),
        (format!("PUT {message}?wait=30"), b"bytes"),
        (format!("GET {message}"), b""),
        (format!("DELETE {message}"), b""),
        (format!("HEAD {body}"), b""),
        (format!("GET {body}"), b""),
        (format!("PATCH {body}"), b"bytes"),
    ]
}

/// The headers that an upload needs.
fn upload(at: impl std::fmt::Display, size: impl std::fmt::Display) -> String {
    format!("Upload-Offset: {at}\r\nUpload-Length: {size}\r\n")
}

#[test]
fn without_a_ticket_there_is_nothing_but_a_nonce() {
    let site = Site::new("NORTH/HQ", &["SOUTH/HQ"]);
    let south = name("SOUTH/HQ");
    site.desk.folder(&site.me).put(&south, FILE, b"secret").unwrap();
    let hash = site.desk.freeze(&south, b"secret").hash;
    let (_raw, ticket) = known(&site.server, &south);
    let upper = ticket.to_uppercase();
    let asked = site.desk.asked.load(Ordering::SeqCst);
    for given in ["", "Dirsync", "Dirsync ", "Dirsync 00", "Basic YTpi", "dirsync x", "\u{1}"]
        .into_iter()
        .map(str::to_owned)
        .chain([
            format!("Dirsync {}", "0".repeat(64)),
            format!("Dirsync {upper}"),
            format!("Dirsync  {ticket}"),
            format!("Bearer {ticket}"),
            format!("Dirsync {}", &ticket[1..]),
        ])
    {
        let mut raw = Raw::to(&site.server);
        for (line, body) in requests(&hash) {
            let header = format!("Authorization: {given}\r\n{}", upload(0, 5));
            let Some(answer) = raw.ask(&line, &header, body) else {
                assert_eq!(given, "\u{1}", "{line}: a header that HTTP does not have");
                break;
            };
            assert_eq!(answer.status, if given == "\u{1}" { 400 } else { 401 }, "{given}: {line}");
            if answer.status == 401 {
                answer.nonce();
                let says = if line.starts_with("HEAD") { "" } else { "a ticket is needed" };
                assert_eq!(answer.text(), says, "{line}");
            }
            if !body.is_empty() || given == "\u{1}" {
                raw = Raw::to(&site.server);
            }
        }
    }
    assert_eq!(site.desk.asked.load(Ordering::SeqCst), asked, "nobody looked for anything");
    for line in ["GET /", "GET /v1", "GET /v2/messages", "POST /v1/messages", "TRACE /v1/tickets"] {
        let answer = Raw::to(&site.server).ask(line, "", b"").unwrap();
        assert!([401, 404, 405].contains(&answer.status), "{line}: {answer:?}");
    }
}

#[test]
fn nothing_of_another_requestor_is_ever_there() {
    let site = Site::new("NORTH/HQ", &["SOUTH/HQ", "WEST/HQ"]);
    let (south, west) = (name("SOUTH/HQ"), name("WEST/HQ"));
    site.desk.folder(&site.me).put(&south, FILE, b"secret").unwrap();
    let down = site.desk.freeze(&south, b"secret");
    let up = ContentHash([7; 32]);
    let (mut own, ticket) = known(&site.server, &south);
    let first =
        own.ask(&format!("PATCH /v1/bodies/{up}"), &(with(&ticket) + &upload(0, 9)), b"four");
    assert_eq!(first.unwrap().header("upload-offset"), Some("4"));

    let (mut raw, others) = known(&site.server, &west);
    let others = with(&others);
    assert_eq!(raw.ask("GET /v1/messages", &others, b"").unwrap().body, b"\n");
    for (line, status) in [
        (format!("GET /v1/messages/{FILE}"), 404),
        (format!("DELETE /v1/messages/{FILE}"), 204),
        (format!("GET /v1/bodies/{}", down.hash), 404),
        (format!("HEAD /v1/bodies/{up}"), 404),
        (format!("GET /v1/bodies/{up}"), 404),
        (format!("HEAD /v1/bodies/{}", down.hash), 404),
    ] {
        assert_eq!(raw.ask(&line, &others, b"").unwrap().status, status, "{line}");
    }
    let answer = raw.ask(&format!("PATCH /v1/bodies/{up}"), &(others + &upload(4, 9)), b"more");
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.header("upload-offset")), (409, Some("0")));

    let own = &mut Raw::to(&site.server);
    let own_file = own.ask(&format!("GET /v1/messages/{FILE}"), &with(&ticket), b"").unwrap();
    assert_eq!(own_file.body, b"secret", "nobody else took it");
    let held = own.ask(&format!("HEAD /v1/bodies/{up}"), &with(&ticket), b"").unwrap();
    assert_eq!(held.header("upload-offset"), Some("4"));
    let body = own.ask(&format!("GET /v1/bodies/{}", down.hash), &with(&ticket), b"").unwrap();
    assert_eq!((body.status, body.body.len() as u64), (206, down.bytes));
}

#[test]
fn a_login_is_for_one_server_one_nonce_and_one_use() {
    let site = Site::new("NORTH/HQ", &["SOUTH/HQ"]);
    // Another server of this name and key: a copy, or one that was restored.
    let copy = Site::new("NORTH/HQ", &["SOUTH/HQ"]);
    let (south, north) = (name("SOUTH/HQ"), name("NORTH/HQ"));
    let nonce_of =
        |site: &Site| Raw::to(&site.server).ask("GET /v1/messages", "", b"").unwrap().nonce();
    let try_it =
        |text: &str| Raw::to(&site.server).ask("POST /v1/tickets", "", text.as_bytes()).unwrap();
    let refused = |text: &str, why: &str| {
        let answer = try_it(text);
        assert_eq!(answer.status, 401, "{why}: {}", answer.text());
        assert!(answer.text().contains(why), "{}", answer.text());
    };
    let once = login(&south, &north, nonce_of(&site));
    let first = try_it(&once);
    assert_eq!(first.status, 200, "{}", first.text());
    refused(&once, "the nonce was answered before");
    refused(&login(&south, &north, nonce_of(&copy)), "the nonce was answered before, or has ended");
    refused(&login(&south, &north, Nonce([0; 40])), "the nonce was answered before, or has ended");
    refused(&login(&south, &name("EAST/HQ"), nonce_of(&site)), "EAST/HQ");
    refused(&login(&name("WEST/HQ"), &north, nonce_of(&site)), "WEST/HQ is not registered here");
    let altered = login(&south, &north, nonce_of(&site)).replace("SOUTH/HQ", "SOUTH/Hq");
    assert_eq!(try_it(&altered).status, 401, "it is not what was signed");
    let mut raw = Raw::to(&copy.server);
    assert_eq!(raw.ask("GET /v1/messages", &with(&first.text()), b"").unwrap().status, 401);

    assert_eq!(try_it("no login").status, 400);
    let large = length(wire::LOGIN_BYTES_MAX as usize + 1);
    let answer = Raw::to(&site.server).ask("POST /v1/tickets", &large, b"").unwrap();
    assert_eq!(answer.status, 413, "before a byte of it came");
    let chunked = "Transfer-Encoding: chunked\r\n";
    let answer = Raw::to(&site.server).ask("POST /v1/tickets", chunked, b"").unwrap();
    assert_eq!(answer.status, 411);
}

#[test]
fn an_upload_over_a_limit_is_refused_before_it_is_kept() {
    let site = Site::new("NORTH/HQ", &["SOUTH/HQ"]);
    let south = name("SOUTH/HQ");
    let (_, ticket) = known(&site.server, &south);
    let ask = |nth: u8, headers: String, bytes: &[u8]| {
        let line = format!("PATCH /v1/bodies/{}", ContentHash([nth; 32]));
        Raw::to(&site.server).ask(&line, &(with(&ticket) + &headers), bytes).unwrap()
    };
    let large = upload(0, 5_000_000) + &length(wire::PART_BYTES_MAX as usize + 1);
    for (headers, bytes, status) in [
        (upload(0, BODY_BYTES_MAX + 1), &b"x"[..], 422),
        (upload(0, u64::MAX), b"x", 422),
        (upload(u64::MAX, u64::MAX), b"x", 409),
        (large, b"", 413),
        (upload(0, 4), b"five!", 413),
        (upload("-1", 9), b"x", 400),
        (upload("0 0", 9), b"x", 400),
        (upload("00", 9), b"x", 400),
        (upload(0, ""), b"x", 400),
        (String::new(), b"x", 400),
    ] {
        let answer = ask(1, headers.clone(), bytes);
        assert_eq!(answer.status, status, "{headers}: {}", answer.text());
    }
    assert!(site.desk.outbox.coming(&south).unwrap().is_empty(), "nothing was kept");
    // Of more bodies than there is place for, the oldest is forgotten.
    for nth in 0..=BODIES_MAX as u8 {
        let answer = ask(nth, upload(0, 9), b"x");
        assert_eq!(answer.status, 204, "{nth}: {}", answer.text());
    }
    assert_eq!(site.desk.outbox.coming(&south).unwrap().len(), BODIES_MAX);
    let file = format!("PUT /v1/messages/{FILE}");
    let headers = with(&ticket) + &length(wire::FILE_BYTES_MAX as usize + 1);
    assert_eq!(Raw::to(&site.server).ask(&file, &headers, b"").unwrap().status, 413);
}

#[test]
fn names_and_ranges_that_are_none_do_no_harm() {
    let site = Site::new("NORTH/HQ", &["SOUTH/HQ"]);
    let south = name("SOUTH/HQ");
    let body = site.desk.freeze(&south, &[7; 100]);
    let (_, ticket) = known(&site.server, &south);
    let ask = |line: &str, headers: &str, bytes: &[u8]| {
        Raw::to(&site.server).ask(line, &(with(&ticket) + headers), bytes).unwrap()
    };
    let long = format!("{}.piece", "x".repeat(300));
    for odd in
        ["..%2fx.piece", "%2e%2e", "x.piece%00", "a%2fb.piece", "x", "X.piece", &long, "%ff.piece"]
    {
        for (method, bytes) in [("PUT", &b"x"[..]), ("GET", b""), ("DELETE", b"")] {
            let answer = ask(&format!("{method} /v1/messages/{odd}"), "", bytes);
            assert!([204, 400, 404].contains(&answer.status), "{method} {odd}: {answer:?}");
            assert!(method != "PUT" || answer.status != 204, "{odd}");
        }
    }
    assert_eq!(site.desk.folder(&site.me).list().unwrap(), [], "nothing came of it");
    for wait in
        ["wait=", "wait=-1", "wait=1e9", "wait=99999999999999999999", "wait=1&wait=2", "x=1"]
    {
        assert_eq!(ask(&format!("GET /v1/messages?{wait}"), "", b"").status, 400, "{wait}");
    }
    let line = format!("GET /v1/bodies/{}", body.hash);
    let all = body.bytes;
    for (range, status, bytes) in [
        ("bytes=0-0", 206, 1),
        ("bytes=1-", 206, all - 1),
        ("bytes=0-18446744073709551615", 206, all),
        ("bytes=18446744073709551615-", 416, 0),
        ("bytes=9-8", 416, 0),
        // What is no range of one run is passed over.
        ("bytes=-5", 206, all),
        ("bytes=0-1,3-4", 206, all),
        ("lines=0-1", 206, all),
        ("bytes=0x1-2", 206, all),
    ] {
        let answer = ask(&line, &format!("Range: {range}\r\n"), b"");
        assert_eq!(answer.status, status, "{range}");
        assert!(status == 416 || answer.body.len() as u64 == bytes, "{range}: {answer:?}");
    }
    let other = format!("Range: bytes=5-9\r\nIf-Range: \"{}\"\r\n", ContentHash([1; 32]));
    assert_eq!(ask(&line, &other, b"").body.len() as u64, all, "the body is another one");
    for hash in ["x", "0", &"0".repeat(64), &body.hash.to_string()[1..]] {
        let answer = ask(&format!("GET /v1/bodies/{hash}"), "", b"");
        assert!([400, 404].contains(&answer.status), "{hash}: {answer:?}");
    }
}

#[test]
fn requests_come_pipelined_and_chunked() {
    let site = Site::new("NORTH/HQ", &["SOUTH/HQ"]);
    let south = name("SOUTH/HQ");
    let (mut raw, ticket) = known(&site.server, &south);
    let ticket = with(&ticket);
    let one = format!("GET /v1/messages HTTP/1.1\r\nHost: x\r\n{ticket}\r\n");
    let other = format!("GET /v1/messages/{FILE} HTTP/1.1\r\nHost: x\r\n{ticket}\r\n");
    raw.send((one + &other).repeat(100)).unwrap();
    for nth in 0..200 {
        let status = raw.answer().unwrap().status;
        assert_eq!(status, if nth % 2 == 0 { 200 } else { 404 }, "{nth}");
    }
    // A part whose size is not said, and then one without an end.
    let line = |nth| format!("PATCH /v1/bodies/{}", ContentHash([nth; 32]));
    let chunked = ticket.clone() + &upload(0, 9) + "Transfer-Encoding: chunked\r\n";
    let head = |nth| format!("{} HTTP/1.1\r\nHost: x\r\n{chunked}\r\n", line(nth));
    raw.send(head(1) + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").unwrap();
    assert_eq!(raw.answer().unwrap().header("upload-offset"), Some("5"));
    raw.send(head(2)).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut sent = 0;
    while sent < 1000 && raw.send(&chunk).is_ok() {
        sent += 1;
    }
    assert!(sent < 1000, "64 MiB were taken");
    let coming = site.desk.outbox.coming(&south).unwrap();
    assert!(coming.iter().all(|(_, bytes)| *bytes <= 9), "{coming:?}");
    let part = Piece { body: coming[0].0, at: 5, bytes: 4 };
    assert!(site.desk.outbox.take_piece(&south, &part, b"fghi", 0).is_ok());
}
