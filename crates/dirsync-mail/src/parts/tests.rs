use super::*;

fn all(mail: &[u8]) -> Vec<(String, Vec<u8>)> {
    let parts = Parts::of(mail);
    parts.parts.into_iter().map(|part| (part.kind, part.bytes.into_owned())).collect()
}

fn text(mail: &str) -> Vec<(String, String)> {
    let parts = all(mail.replace('\n', "\r\n").as_bytes()).into_iter();
    parts.map(|(kind, bytes)| (kind, String::from_utf8(bytes).unwrap())).collect()
}

fn part(kind: &str, bytes: &str) -> (String, String) {
    (kind.into(), bytes.into())
}

#[test]
fn parts_are_found_at_any_depth_without_the_lines_around_them() {
    let mail = "Content-Type: multipart/mixed; boundary=\"a\"\n\npreamble\n--a\n\nno header\n--a\n\
                content-type: MULTIPART/Alternative;\n boundary=ab\n\n--ab\nContent-Type: Text/HTML\n\n<p>\n\n--ab \n\
                Content-Transfer-Encoding: Quoted-Printable\n\na=3Db=\nc\n--ab--\n--a\nContent-Type: message/rfc822\n\n\
                Subject: inner\n\nhello\n--a\nContent-Type: application/x; name=\"n.dat\"\nContent-Transfer-Encoding: base64\n\n\
                aGVs\nbG8=\n-- \nfooter\n--a--\n--a\n\nepilogue\n";
    let expected = [
        part("text/plain", "no header"),
        part("text/html", "<p>\r\n"),
        part("text/plain", "a=bc"),
        part("text/plain", "hello"),
        part("application/x", "hello"),
    ];
    assert_eq!(text(mail), expected);
    let raw = mail.replace('\n', "\r\n");
    let parts = Parts::of(raw.as_bytes());
    assert_eq!(parts.heads[1].get("subject"), Some("inner"));
    assert_eq!(parts.parts[3].message, 1);
    assert_eq!(parts.parts[4].file_name.as_deref(), Some("n.dat"));
}

#[test]
fn damaged_mail_is_looked_at_as_far_as_it_goes() {
    assert_eq!(
        text("Content-Type: multipart/mixed; boundary=a\n\n--a\n\ncut o"),
        [part("text/plain", "cut o")]
    );
    assert_eq!(
        text("Content-Type: multipart/mixed\n\nno boundary"),
        [part("multipart/mixed", "no boundary")]
    );
    assert_eq!(text("Content-Type: multipart/mixed; boundary=a\n\nnone"), []);
    assert_eq!(text(""), [part("text/plain", "")]);
    assert_eq!(text("Content-Transfer-Encoding: base64\n\n****"), [part("text/plain", "")]);
    let footer = "Content-Transfer-Encoding: base64\n\naGVsbG8=\nFooter\n";
    assert_eq!(text(footer), [part("text/plain", "hello")], "nothing follows padding");
    let (kind, raw) = &all(b"Content-Transfer-Encoding: quoted-printable\n\n=ZZ")[0];
    assert_eq!((kind.as_str(), raw.as_slice()), ("text/plain", &b"=ZZ"[..]));
}

/// Each of these would take much memory, time or stack, were it not for the limits.
#[test]
fn hostile_nesting_ends() {
    let nested = "Content-Type: message/rfc822\n\n".repeat(100_000);
    assert!(Parts::of(nested.as_bytes()).kinds.len() <= DEPTH_MAX + 1);
    let mut multipart = String::new();
    for depth in 0..1000 {
        multipart += &format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n");
    }
    assert!(Parts::of(multipart.as_bytes()).kinds.len() <= DEPTH_MAX + 1);
    let wide =
        format!("Content-Type: multipart/digest; boundary=b\n\n{}", "--b\n\nx\n".repeat(100_000));
    let parts = Parts::of(wide.as_bytes());
    assert!(parts.kinds.len() == PARTS_MAX && parts.parts.len() <= PARTS_MAX);
    let header = "a:\n".repeat(1_000_000);
    assert!(Parts::of(header.as_bytes()).head().fields.len() <= FIELDS_MAX);
    let encoded = data_encoding::BASE64_MIME
        .encode(b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n");
    let mail =
        format!("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded}");
    assert!(Parts::of(mail.as_bytes()).kinds.len() <= DEPTH_MAX + 1);
}
