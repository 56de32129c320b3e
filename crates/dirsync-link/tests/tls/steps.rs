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

#[test]
fn a_connection_is_used_again() {
    let root = root();
    let config = server_config(signed(&root, &["127.0.0.1"], NOW));
    let connections = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&connections);
    let port = listen(move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while head(&mut stream).is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere").unwrap();
        }
    });
    let agent =
        agent(trust(&root).client_config().unwrap(), &ProxyChoice::Direct, Deadlines::default())
            .unwrap();
    for _ in 0..3 {
        let mut answer = agent.get(format!("https://127.0.0.1:{port}/")).call().unwrap();
        assert_eq!(answer.body_mut().read_to_string().unwrap(), "here");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_request_that_waits_is_ended_from_another_thread() {
    let root = root();
    let config = server_config(signed(&root, &["127.0.0.1"], NOW));
    let (asked, waits) = std::sync::mpsc::channel();
    let port = listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while head(&mut stream).is_some() {
            asked.send(()).unwrap();
        }
    });
    let agent =
        agent(trust(&root).client_config().unwrap(), &ProxyChoice::Direct, Deadlines::default())
            .unwrap();
    let waiting = agent.clone();
    let request =
        thread::spawn(move || waiting.get(format!("https://127.0.0.1:{port}/")).call().map(drop));
    waits.recv().unwrap();
    agent.shutdown();
    assert_eq!(words(&request.join().unwrap().unwrap_err()).0, CutOff);
}

#[test]
fn a_large_body_goes_up_whole() {
    let root = root();
    let config = server_config(signed(&root, &["127.0.0.1"], NOW));
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let expected = body.clone();
    let port = listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        head(&mut stream).unwrap();
        let mut came = vec![0; expected.len()];
        stream.read_exact(&mut came).unwrap();
        let answer = if came == expected {
            HERE
        } else {
            "HTTP/1.1 500 Changed\r\nContent-Length: 0\r\n\r\n"
        };
        stream.write_all(answer.as_bytes()).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    let agent =
        agent(trust(&root).client_config().unwrap(), &ProxyChoice::Direct, Deadlines::default())
            .unwrap();
    let answer = agent.put(format!("https://127.0.0.1:{port}/")).send(&body[..]).unwrap();
    assert_eq!(answer.status(), 200);
}

#[test]
fn tls_1_2_is_spoken_where_there_is_nothing_newer() {
    let root = root();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(signed(&root, &["127.0.0.1"], NOW));
        let config = Arc::new(config);
        listen(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            if head(&mut stream).is_some() {
                stream.write_all(HERE.as_bytes()).unwrap();
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
        })
    };
    let old = server(&[&rustls::version::TLS12]);
    assert_eq!(get(&trust(&root), &format!("https://127.0.0.1:{old}/")).unwrap(), "here");
    let text = get(&trust(&super::root()), &format!("https://127.0.0.1:{old}/")).unwrap_err().1;
    assert!(
        text.starts_with(
            "the certificate of 127.0.0.1 is not signed by the root of the invitation"
        ),
        "{text}"
    );
}
