//! Each step of a request fails in its own words.

use dirsync_carrier::CarrierErrorKind::{CutOff, Settings, Unreachable};

use super::*;

/// A port on which nobody listens.
pub fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn ask(port: u16) -> (CarrierErrorKind, String) {
    get(&trust(&root()), &format!("https://127.0.0.1:{port}/")).unwrap_err()
}

#[test]
fn plain_http_is_for_this_machine() {
    let server = listen(|mut stream| {
        head(&mut stream).unwrap();
        stream.write_all(HERE.as_bytes()).unwrap();
    });
    assert_eq!(get(&trust(&root()), &format!("http://127.0.0.1:{server}/")).unwrap(), "here");
    for (url, peer) in [
        ("http://hq.invalid/", "hq.invalid:80"),
        ("http://localhost:8080/", "localhost:8080"),
        ("http://user:secret@10.0.0.1:8080/", "10.0.0.1:8080"),
    ] {
        let text = "http:// without TLS is for addresses of this machine alone, such as 127.0.0.1: use https:// for";
        assert_eq!(get(&trust(&root()), url).unwrap_err(), (Settings, format!("{text} {peer}")));
    }
}

#[test]
fn a_host_that_is_not_found_is_named() {
    let (kind, text) = get(&trust(&root()), "https://nowhere.invalid/").unwrap_err();
    assert_eq!(kind, Unreachable);
    assert!(text.starts_with("nowhere.invalid:443 was not found: "), "{text}");
}

#[test]
fn a_port_on_which_nobody_listens_is_named() {
    let port = closed_port();
    let text = format!(
        "127.0.0.1:{port} refused the connection: nothing listens on that port, or a firewall refuses"
    );
    assert_eq!(ask(port), (Unreachable, text));
}

#[test]
fn a_server_without_tls_is_named() {
    let port = listen(|mut stream| {
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        let _ = head(&mut stream);
    });
    let text =
        format!("127.0.0.1:{port} does not speak TLS: is it the right port, and an https server?");
    assert_eq!(ask(port), (Settings, text));
}

#[test]
fn a_connection_that_ends_before_tls_is_named() {
    let port = listen(drop);
    let text =
        format!("127.0.0.1:{port}, or something between, ended the connection before TLS began");
    assert_eq!(ask(port), (Unreachable, text));
}

#[test]
fn a_server_that_refuses_tls_is_named() {
    // An alert of TLS 1.2: fatal, handshake_failure.
    let port = listen(|mut stream| {
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).unwrap();
        let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
        stream.read_exact(&mut rest).unwrap();
        stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).unwrap();
    });
    let text =
        format!("127.0.0.1:{port} ended TLS before it began, with the alert \"handshake failure\"");
    assert_eq!(ask(port), (Unreachable, text));
}

#[test]
fn a_silent_server_is_named() {
    let port = listen(|mut stream| while head(&mut stream).is_some() {});
    let url = format!("https://127.0.0.1:{port}/");
    let error = get_by(&trust(&root()), &url, &ProxyChoice::Direct, soon()).unwrap_err();
    let text = format!("127.0.0.1:{port} took the connection, but did not begin TLS in time");
    assert_eq!(error, (Unreachable, text));
}

/// The error of a request to a TLS server that does something else than to answer.
fn asked(
    deadlines: Deadlines,
    serve: impl Fn(StreamOwned<ServerConnection, TcpStream>) + Clone + Send + 'static,
) -> (CarrierErrorKind, String) {
    let root = root();
    let config = server_config(signed(&root, &["127.0.0.1"], NOW));
    let port = listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        head(&mut stream).unwrap();
        serve(stream);
    });
    get_by(&trust(&root), &format!("https://127.0.0.1:{port}/"), &ProxyChoice::Direct, deadlines)
        .unwrap_err()
}

#[test]
fn an_answer_that_does_not_come_is_told_from_one_that_does_not_end() {
    let long = Duration::from_secs(30);
    let deadlines = Deadlines { connect: long, ..soon() };
    let error = asked(deadlines, |mut stream| while head(&mut stream).is_some() {});
    assert_eq!(error, (Unreachable, "the request was sent, but no answer came in time".to_owned()));

    let error = asked(Deadlines { answer: long, ..deadlines }, |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe").unwrap();
        while head(&mut stream).is_some() {}
    });
    assert_eq!(error, (CutOff, "the answer began, but did not end in time".to_owned()));
}

#[test]
fn an_answer_that_is_cut_off_is_told_from_one_that_was_changed() {
    let cut = |mut stream: StreamOwned<ServerConnection, TcpStream>| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe").unwrap();
    };
    let ended = "the other side, or something between, ended the connection".to_owned();
    assert_eq!(asked(Deadlines::default(), cut), (CutOff, ended.clone()));
    assert_eq!(asked(Deadlines::default(), drop), (CutOff, ended));

    // A record of encrypted data that nobody encrypted.
    let error = asked(Deadlines::default(), |mut stream| {
        stream.sock.write_all(&[23, 3, 3, 0, 20]).unwrap();
        stream.sock.write_all(&[7; 20]).unwrap();
        let _ = head(&mut stream);
    });
    assert_eq!(error, (CutOff, "what came was changed on the way, so TLS ended".to_owned()));
}

#[test]
fn an_answer_that_is_not_http_is_named() {
    let (kind, text) = asked(Deadlines::default(), |mut stream| {
        stream.write_all(b"220 mail.example ESMTP\r\n\r\n").unwrap();
        let _ = head(&mut stream);
    });
    assert_eq!(kind, Unreachable);
    assert!(text.starts_with("what came is not HTTP: "), "{text}");
}

#[test]
fn a_redirection_is_an_answer() {
    let root = root();
    let answer = "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthere";
    let port = serve_answer(signed(&root, &["127.0.0.1"], NOW), answer);
    assert_eq!(get(&trust(&root), &format!("https://127.0.0.1:{port}/")).unwrap(), "there");
}
