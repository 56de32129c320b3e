//! TLS of the link over sockets on this machine: whose certificates are shown, which are accepted, the way through a
//! proxy, and the words about each failure.

#[cfg(unix)]
mod files;
mod own_root;
mod public;
mod steps;
mod through_proxy;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use dirsync_carrier::CarrierErrorKind;
use dirsync_link::certificate::{Clock, Root, ServerCertificates, server_config};
use dirsync_link::connector::{Deadlines, ProxyChoice, agent, words};
use dirsync_link::trust::Trust;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, ServerConfig, ServerConnection, StreamOwned};

const DAY: u64 = 24 * 60 * 60;

/// 29 November 2026, about noon.
const NOW: u64 = 1_795_953_600;

/// The answer of the test's server, which says "here".
const HERE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhere";

fn root() -> Root {
    Root::new(&"NORTH/HQ".parse().unwrap()).unwrap()
}

/// The same root once more.
fn copy(root: &Root) -> Root {
    Root::from_pem(&root.to_pem()).unwrap()
}

fn trust(root: &Root) -> Trust {
    Trust::Root(root.certificate().clone())
}

/// A clock that the test sets.
fn clock(now: u64) -> (Clock, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(now));
    let clock = Arc::clone(&time);
    (Arc::new(move || clock.load(Ordering::SeqCst)), time)
}

fn signed(root: &Root, hosts: &[&str], now: u64) -> Arc<ServerCertificates> {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    ServerCertificates::signed(copy(root), &hosts, clock(now).0).unwrap()
}

/// Takes connections on a free port, each in a thread of its own, as long as the test runs.
fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    port
}

/// A TLS server that answers each request with `answer`.
fn serve_answer(certificates: Arc<ServerCertificates>, answer: &'static str) -> u16 {
    let config: Arc<ServerConfig> = server_config(certificates);
    listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        // A client that does not accept the certificate goes away here.
        if head(&mut stream).is_some() && stream.write_all(answer.as_bytes()).is_ok() {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    })
}

fn serve(certificates: Arc<ServerCertificates>) -> u16 {
    serve_answer(certificates, HERE)
}

/// The head of a request. `None` if the connection ends before it does.
fn head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// Asks with deadlines that are long enough to be met.
fn get(trust: &Trust, url: &str) -> Result<String, (CarrierErrorKind, String)> {
    get_by(trust, url, &ProxyChoice::Direct, Deadlines::default())
}

fn get_by(
    trust: &Trust,
    url: &str,
    proxy: &ProxyChoice,
    deadlines: Deadlines,
) -> Result<String, (CarrierErrorKind, String)> {
    let agent = agent(trust.client_config().unwrap(), proxy, deadlines).unwrap();
    let answer = agent.get(url).call().and_then(|mut answer| answer.body_mut().read_to_string());
    answer.map_err(|error| words(&error))
}

/// The certificates that a server shows in a handshake.
fn shown_by(trust: &Trust, port: u16) -> Vec<CertificateDer<'static>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let config = trust.client_config().unwrap();
    let mut connection = ClientConnection::new(config, "127.0.0.1".try_into().unwrap()).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).unwrap();
    }
    connection.peer_certificates().unwrap().to_vec()
}

/// Deadlines that are not met by a server that is silent.
fn soon() -> Deadlines {
    let soon = Duration::from_millis(200);
    Deadlines { connect: soon, answer: soon, body: soon, ..Deadlines::default() }
}

/// Runs an ignored test in a process of its own, with environment variables that a running process cannot set.
fn in_own_process(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored"]).envs(variables.iter().copied());
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}
