//! Counts the bytes between a receiving server and a sending one, both ways.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::failure::Failure;

/// Listens on a port of loopback, and hands everything on to another. Its threads end with the
/// connections, and with the program.
pub struct Relay {
    port: u16,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    pub fn to(target: u16) -> Result<Self, Failure> {
        let failed = |error| Failure::failed(format!("could not relay: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let bytes = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&bytes);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                if let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) {
                    let (up, down) = (Arc::clone(&count), Arc::clone(&count));
                    thread::spawn(move || hand_on(near, far, &up));
                    thread::spawn(move || hand_on(far_again, near_again, &down));
                }
            }
        });
        Ok(Self { port, bytes })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Bytes so far, of all connections and both directions, without the headers of TCP.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
    let _ = (from.shutdown(Shutdown::Read), to.shutdown(Shutdown::Write));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_counted_and_handed_on() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let relay = Relay::to(server.local_addr().unwrap().port()).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut peer, _) = server.accept().unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        peer.write_all(b"an answer").unwrap();
        drop(peer);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!((text.as_str(), answer.as_str()), ("question", "an answer"));
        assert_eq!(relay.bytes(), 17);
    }
}
