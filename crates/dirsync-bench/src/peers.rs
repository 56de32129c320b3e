//! The same directory through PostgreSQL's logical replication and OpenLDAP's syncrepl.
//!
//! Each peer is two servers of this run's own, on loopback, in a folder that goes with them.

mod openldap;
mod people;
mod postgres;
mod relay;
mod session;
mod table;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::service::until;
use crate::failure::Failure;
use crate::generator::Options;
use people::People;

pub use table::table;

/// How many single changes are timed.
const SINGLES: usize = 10;
/// Longer than the first fill of a million entries takes.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Between two looks at a receiving side.
const PAUSE: Duration = Duration::from_millis(1);

/// What one peer took.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub version: String,
    /// All entries into the first server.
    pub load: Duration,
    /// From the order to replicate until the empty second server shows the entries.
    pub fill: Duration,
    pub fill_bytes: u64,
    /// From the start of the client that changes until the second server shows the last change.
    pub changes: Duration,
    /// The same, from the end of the client on: when all changes were committed.
    pub after_commit: Duration,
    pub changes_bytes: u64,
    /// One change, from its request until the second server shows it; the median.
    pub one: Duration,
    /// Of the largest process of both servers.
    pub peak_bytes: Option<u64>,
}

/// How it went with one peer.
pub enum Outcome {
    Measured(Figures),
    /// It is not installed; the packages that bring it.
    Missing(&'static str),
    Failed(Failure),
}

/// Both peers.
pub struct Peers {
    pub postgres: Outcome,
    pub openldap: Outcome,
}

impl Peers {
    /// A peer that was there and could not be measured; the table stands all the same.
    pub fn failure(self) -> Option<Failure> {
        [self.postgres, self.openldap].into_iter().find_map(|outcome| match outcome {
            Outcome::Failed(failure) => Some(failure),
            _ => None,
        })
    }
}

/// Where a peer works, and with what.
struct Work {
    folder: PathBuf,
    people: People,
}

impl Drop for Work {
    fn drop(&mut self) {
        // After the servers, which are values inside the functions that borrow this.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Measures both peers below `folder`: the people of `options`, of whom `changes` change.
pub fn measure(folder: &Path, options: &Options, changes: u32) -> Result<Peers, Failure> {
    let people = People::generate(options, changes)?;
    let folder = folder.join("peers");
    fs::create_dir_all(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
    let work = Work { folder, people };
    eprintln!("-- PostgreSQL's logical replication");
    let postgres = outcome(postgres::PACKAGES, postgres::measure(&work))?;
    eprintln!("-- OpenLDAP's syncrepl, which takes minutes for 100,000 entries");
    let openldap = outcome(openldap::PACKAGES, openldap::measure(&work))?;
    Ok(Peers { postgres, openldap })
}

fn outcome(
    packages: &'static str,
    measured: Result<Option<Figures>, Failure>,
) -> Result<Outcome, Failure> {
    super::interrupt::check()?;
    Ok(match measured {
        Ok(Some(figures)) => Outcome::Measured(figures),
        Ok(None) => Outcome::Missing(packages),
        Err(failure) => Outcome::Failed(failure),
    })
}

/// A port that nobody listens on. Somebody may take it before it is used; then the server does not
/// start, and the run says so.
fn free_port() -> Result<u16, Failure> {
    let port = || TcpListener::bind(("127.0.0.1", 0))?.local_addr();
    port()
        .map(|address| address.port())
        .map_err(|error| Failure::failed(format!("there is no free port: {error}")))
}

/// A folder that belongs to the peer.
fn folder(path: PathBuf) -> Result<PathBuf, Failure> {
    fs::create_dir_all(&path).map_err(|error| Failure::file("make", &path, &error))?;
    Ok(path)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::file("write", path, &error))
}

/// Waits until the receiving side shows something.
fn shown(what: &str, mut question: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    until(what, PATIENCE, PAUSE, || Ok(question()?.then_some(())))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
