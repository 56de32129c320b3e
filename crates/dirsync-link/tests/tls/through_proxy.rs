use std::sync::Mutex;

use dirsync_carrier::CarrierErrorKind::{Settings, Unreachable};

use super::*;

/// What a proxy of the test does with each request.
#[derive(Clone)]
enum Manner {
    /// Connects, if the request has this line or none is asked for.
    Connect(Option<&'static str>),
    /// Answers so.
    Answer(&'static str),
}

/// A proxy, and the heads of the requests that it got.
fn proxy(manner: Manner) -> (u16, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let port = listen(move |mut stream| {
        let Some(head) = head(&mut stream) else { return };
        seen.lock().unwrap().push(head.clone());
        let answer = match &manner {
            Manner::Answer(answer) => answer,
            Manner::Connect(Some(line)) if !head.contains(line) => {
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"
            }
            Manner::Connect(_) => "HTTP/1.1 200 Connected\r\n\r\n",
        };
        stream.write_all(answer.as_bytes()).unwrap();
        if answer.starts_with("HTTP/1.1 200") {
            tunnel(stream, head.split(' ').nth(1).unwrap());
        }
    });
    (port, heads)
}

fn tunnel(client: TcpStream, target: &str) {
    // A name that the proxy alone can find.
    let server = TcpStream::connect(target.replace("hq.invalid", "127.0.0.1")).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn by(url: String) -> ProxyChoice {
    ProxyChoice::Url(url)
}

#[test]
fn tls_goes_through_a_proxy_that_finds_the_name() {
    let root = root();
    let server = serve(signed(&root, &["hq.invalid"], NOW));
    let (port, heads) = proxy(Manner::Connect(None));
    let url = format!("https://hq.invalid:{server}/");
    let choice = by(format!("http://127.0.0.1:{port}"));
    assert_eq!(get_by(&trust(&root), &url, &choice, Deadlines::default()).unwrap(), "here");
    let heads = heads.lock().unwrap();
    assert!(
        heads[0].starts_with(&format!("CONNECT hq.invalid:{server} HTTP/1.1\r\n")),
        "{heads:?}"
    );
    assert!(!heads[0].contains("Authorization"), "{heads:?}");
}

#[test]
fn a_proxy_asks_for_a_name_and_password() {
    let root = root();
    let server = serve(signed(&root, &["127.0.0.1"], NOW));
    // "user" and "a:b", as base64 of "user:a:b".
    let (port, _) = proxy(Manner::Connect(Some("Proxy-Authorization: Basic dXNlcjphOmI=\r\n")));
    let url = format!("https://127.0.0.1:{server}/");
    let get = |login: &str| {
        let choice = by(format!("http://{login}127.0.0.1:{port}"));
        get_by(&trust(&root), &url, &choice, Deadlines::default())
    };
    assert_eq!(get("user:a%3Ab@").unwrap(), "here");
    for login in ["", "user:secret@"] {
        let (kind, text) = get(login).unwrap_err();
        assert_eq!(kind, Settings);
        assert_eq!(
            text,
            format!(
                "the proxy 127.0.0.1:{port} wants a user name and password, or did not accept the ones in its URL \
                 (status 407)"
            )
        );
    }
}

#[test]
fn a_proxy_that_does_not_connect_is_named() {
    let answers = [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            Settings,
            "does not allow connections to hq.example:443 (status 403)",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            Unreachable,
            "could not connect to hq.example:443 (status 502)",
        ),
        (
            "HTTP/1.0 404 Not Found\r\n\r\n",
            Settings,
            "did not connect to hq.example:443 (status 404)",
        ),
        ("", Unreachable, "ended the connection without an answer"),
    ];
    for (answer, kind, text) in answers {
        let (port, _) = proxy(Manner::Answer(answer));
        let choice = by(format!("http://127.0.0.1:{port}"));
        let error = get_by(&trust(&root()), "https://hq.example/", &choice, Deadlines::default())
            .unwrap_err();
        assert_eq!(error, (kind, format!("the proxy 127.0.0.1:{port} {text}")));
    }
    let (port, _) = proxy(Manner::Answer("220 mail.example ESMTP\r\n"));
    let choice = by(format!("http://127.0.0.1:{port}"));
    let (_, text) =
        get_by(&trust(&root()), "https://hq.example/", &choice, Deadlines::default()).unwrap_err();
    assert!(
        text.starts_with(&format!("the proxy 127.0.0.1:{port} is not an HTTP proxy: ")),
        "{text}"
    );
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let port = steps::closed_port();
    let choice = by(format!("http://127.0.0.1:{port}"));
    let error =
        get_by(&trust(&root()), "https://hq.example/", &choice, Deadlines::default()).unwrap_err();
    let text = format!(
        "the proxy 127.0.0.1:{port} refused the connection: nothing listens on that port, or a firewall refuses"
    );
    assert_eq!(error, (Unreachable, text));

    let (_, text) = get_by(
        &trust(&root()),
        "https://hq.example/",
        &by("http://nowhere.invalid:3128".to_owned()),
        soon(),
    )
    .unwrap_err();
    assert!(text.contains("the proxy nowhere.invalid:3128"), "{text}");

    let silent = listen(|mut stream| while head(&mut stream).is_some() {});
    let choice = by(format!("http://127.0.0.1:{silent}"));
    let error = get_by(&trust(&root()), "https://hq.example/", &choice, soon()).unwrap_err();
    assert_eq!(
        error,
        (
            Unreachable,
            format!("the proxy 127.0.0.1:{silent} did not connect to hq.example:443 in time")
        )
    );
}

#[test]
fn a_wrong_certificate_behind_a_proxy_is_the_servers() {
    let server = serve(signed(&root(), &["127.0.0.1"], NOW));
    let (port, _) = proxy(Manner::Connect(None));
    let choice = by(format!("http://127.0.0.1:{port}"));
    let url = format!("https://127.0.0.1:{server}/");
    let (_, text) = get_by(&trust(&root()), &url, &choice, Deadlines::default()).unwrap_err();
    assert!(
        text.starts_with(
            "the certificate of 127.0.0.1 is not signed by the root of the invitation"
        ),
        "{text}"
    );
}

#[test]
fn plain_http_to_this_machine_goes_beside_the_proxy() {
    let server = listen(|mut stream| {
        head(&mut stream).unwrap();
        stream.write_all(HERE.as_bytes()).unwrap();
    });
    let (port, heads) = proxy(Manner::Connect(None));
    let choice = by(format!("http://127.0.0.1:{port}"));
    let url = format!("http://127.0.0.1:{server}/");
    assert_eq!(get_by(&trust(&root()), &url, &choice, Deadlines::default()).unwrap(), "here");
    assert!(heads.lock().unwrap().is_empty());
}

#[test]
fn a_connection_through_a_proxy_is_used_again() {
    let root = root();
    let config = server_config(signed(&root, &["127.0.0.1"], NOW));
    let server = listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while head(&mut stream).is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere").unwrap();
        }
    });
    let (port, heads) = proxy(Manner::Connect(None));
    let choice = by(format!("http://127.0.0.1:{port}"));
    let agent =
        agent(trust(&root).client_config().unwrap(), &choice, Deadlines::default()).unwrap();
    for _ in 0..3 {
        let mut answer = agent.get(format!("https://127.0.0.1:{server}/")).call().unwrap();
        assert_eq!(answer.body_mut().read_to_string().unwrap(), "here");
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[test]
fn the_environment_names_the_proxy_and_the_hosts_beside_it() {
    let port = steps::closed_port().to_string();
    let run = |beside: &str| {
        let url = format!("http://127.0.0.1:{port}");
        let variables = [("https_proxy", url.as_str()), ("no_proxy", beside)];
        in_own_process("through_proxy::by_the_environment", &variables);
    };
    run("localhost,127.0.0.1");
    run("hq.example");
}

#[test]
#[ignore = "the_environment_names_the_proxy_and_the_hosts_beside_it runs it in a process of its own"]
fn by_the_environment() {
    let root = root();
    let server = serve(signed(&root, &["127.0.0.1"], NOW));
    let url = format!("https://127.0.0.1:{server}/");
    let came = get_by(&trust(&root), &url, &ProxyChoice::Environment, Deadlines::default());
    match std::env::var("no_proxy").unwrap().contains("127.0.0.1") {
        true => assert_eq!(came.unwrap(), "here"),
        false => assert!(came.unwrap_err().1.starts_with("the proxy 127.0.0.1:")),
    }
}
