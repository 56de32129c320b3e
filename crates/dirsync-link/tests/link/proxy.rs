//! A line on this machine that is bad when a test says so.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What happens at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both sides see the connection end there.
    Cut,
    /// Nothing passes any more, and nobody is told.
    Stall,
    /// One bit is another one.
    Corrupt,
    /// Every connection is cut, from there on for ever.
    Down,
}

/// The faults to come, each after so many bytes since the one before.
type Plan = Box<dyn FnMut() -> Option<(u64, Fault)> + Send>;

struct State {
    plan: Plan,
    next: Option<(u64, Fault)>,
    is_down: bool,
}

/// A line to a server.
pub struct Line {
    pub port: u16,
    passed: Arc<AtomicU64>,
    faults: Arc<AtomicU64>,
}

struct Direction {
    from: TcpStream,
    to: TcpStream,
    passed: Arc<AtomicU64>,
    faults: Arc<AtomicU64>,
    state: Arc<Mutex<State>>,
    /// The server's side is slower than a socket: so much does it take at a time, with a pause after it.
    pace: Option<(usize, Duration)>,
}

impl Line {
    pub fn to(
        server: SocketAddr,
        plan: impl FnMut() -> Option<(u64, Fault)> + Send + 'static,
    ) -> Self {
        Self::paced(server, None, plan)
    }

    /// A line that passes so many bytes at a time, with a pause after them.
    pub fn paced(
        server: SocketAddr,
        pace: Option<(usize, Duration)>,
        mut plan: impl FnMut() -> Option<(u64, Fault)> + Send + 'static,
    ) -> Self {
        let next = plan();
        let plan: Plan = Box::new(plan);
        let state = Arc::new(Mutex::new(State { plan, next, is_down: false }));
        let (passed, faults) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Self { port, passed: Arc::clone(&passed), faults: Arc::clone(&faults) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if state.lock().unwrap().is_down {
                    continue;
                }
                let Ok(server) = TcpStream::connect(server) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    to.set_nodelay(true).unwrap();
                    let (passed, faults) = (Arc::clone(&passed), Arc::clone(&faults));
                    let state = Arc::clone(&state);
                    let direction = Direction { from, to, passed, faults, state, pace };
                    thread::spawn(move || direction.pass());
                }
            }
        });
        line
    }

    /// The number of bytes that came out at either side.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// The number of faults that there were.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }
}

impl State {
    /// How many of so many bytes pass before a fault, and the fault.
    fn until_fault(&mut self, bytes: usize) -> (usize, Option<Fault>) {
        if self.is_down {
            return (0, Some(Fault::Down));
        }
        let Some((left, fault)) = &mut self.next else { return (bytes, None) };
        if *left >= bytes as u64 {
            *left -= bytes as u64;
            return (bytes, None);
        }
        let (before, fault) = (*left as usize, *fault);
        self.is_down = fault == Fault::Down;
        self.next = (self.plan)();
        (before, Some(fault))
    }
}

impl Direction {
    fn pass(mut self) {
        let mut buffer = [0; 1400];
        while let Ok(bytes @ 1..) = self.from.read(&mut buffer) {
            let (before, fault) = self.state.lock().unwrap().until_fault(bytes);
            let mut passes = before;
            if fault == Some(Fault::Corrupt) {
                buffer[before] ^= 1;
                passes = bytes;
            }
            if self.to.write_all(&buffer[..passes]).is_err() {
                break;
            }
            self.passed.fetch_add(passes as u64, Ordering::SeqCst);
            if let Some(fault) = fault {
                self.faults.fetch_add(1, Ordering::SeqCst);
                match fault {
                    Fault::Corrupt => continue,
                    Fault::Stall => return self.swallow(),
                    Fault::Cut | Fault::Down => break,
                }
            }
            if let Some((most, pause)) = self.pace {
                thread::sleep(pause * passes as u32 / most as u32);
            }
        }
        for stream in [&self.from, &self.to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Nothing comes out, until the sender gives up. The other side is not told of it.
    fn swallow(mut self) {
        let mut buffer = [0; 1400];
        while let Ok(1..) = self.from.read(&mut buffer) {}
        thread::sleep(Duration::from_secs(60));
    }
}
