//! HTTP over TLS by hand: what no honest client would send.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use dirsync_directory::PostofficeName;
use dirsync_link::trust::Trust;
use dirsync_link::wire;
use dirsync_seal::{Login, Nonce};
use dirsync_testing::{key_of, own_keys};
use rustls::{ClientConnection, StreamOwned};

use crate::Server;

/// A connection.
pub struct Raw(StreamOwned<ClientConnection, TcpStream>);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| line.split_once(": ").is_some_and(|(found, _)| found == name);
        let found = self.head.lines().find(|text| line(text))?;
        Some(&found[name.len() + 2..])
    }

    pub fn nonce(&self) -> Nonce {
        wire::nonce_of(self.header("www-authenticate").unwrap()).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }
}

/// A TCP connection from an address of this machine.
pub fn tcp(from: &str, to: SocketAddr) -> io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let from: IpAddr = from.parse().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(to).await
    })?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

impl Raw {
    pub fn to(server: &Server) -> Self {
        Self::over(server, TcpStream::connect(server.address()).unwrap())
    }

    pub fn over(server: &Server, stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let config = Trust::Root(server.root.clone()).client_config().unwrap();
        let connection = ClientConnection::new(config, "127.0.0.1".try_into().unwrap()).unwrap();
        Self(StreamOwned::new(connection, stream))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref())?;
        self.0.flush()
    }

    /// The next answer. `None` if the connection ends before it is whole.
    pub fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET")
    }

    pub fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer { status, head, body: Vec::new() };
        let bytes = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        if method != "HEAD" {
            answer.body = vec![0; bytes];
            self.0.read_exact(&mut answer.body).ok()?;
        }
        Some(answer)
    }

    /// An answer to a request with these headers, each with its end of line, and a body.
    pub fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> Option<Answer> {
        let length = if body.is_empty() { String::new() } else { length(body.len()) };
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}{length}\r\n");
        // A server that refuses early may have ended the connection by then, and says why.
        let _ = self.send([head.as_bytes(), body].concat());
        self.answer_to(line.split(' ').next().unwrap())
    }
}

pub fn length(bytes: usize) -> String {
    format!("Content-Length: {bytes}\r\n")
}

/// The header with a ticket.
pub fn with(ticket: &str) -> String {
    format!("Authorization: {}\r\n", wire::authorization(ticket))
}

/// The text of a login of this postoffice for that server.
pub fn login(me: &PostofficeName, server: &PostofficeName, nonce: Nonce) -> String {
    let login = Login { from: me, to: server, nonce, rotated: &[], first_contact: None };
    login.seal(own_keys(me).newest(), &key_of(server)).unwrap()
}

/// A connection of a requestor, and its ticket.
pub fn known(server: &Server, me: &PostofficeName) -> (Raw, String) {
    let mut raw = Raw::to(server);
    let nonce = raw.ask("GET /v1/messages", "", b"").unwrap().nonce();
    let login = login(me, &server.me, nonce);
    let answer = raw.ask("POST /v1/tickets", "", login.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ticket = answer.text();
    (raw, ticket)
}
