//! How a postoffice stands: what it holds, when it was last heard, and what waits.

use dirsync_agent::notes::{LAST_APPLIED, LAST_SENT, MISSED};
use dirsync_agent::waiting::{Health, Waiting};
use dirsync_protocol::tables::{RequestorState, ServerState, Stored, Tables};

use crate::exposure;
use crate::failure::Result;
use crate::home::Away;
use crate::inbox::Inbox;
use crate::postoffice::Postoffice;
use crate::registrations::RegistrationStatus;
use crate::targets::{self, PutRight};
use crate::waiting;

/// How a postoffice stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its state as a requestor, which a server has as well.
    pub requestor: RequestorState,
    /// Its state as a server; `None` at a requestor.
    pub server: Option<ServerState>,
    /// When it sent last, in milliseconds since 1970; 0 for never.
    pub last_sent: u64,
    /// When it applied an answer last, in milliseconds since 1970; 0 for never.
    pub last_applied: u64,
    /// The targets that others altered and that were put right, by file.
    pub put_right: Vec<(String, PutRight)>,
    /// The windows of its schedule that were missed.
    pub missed: Vec<String>,
    /// Why it is not at home.
    pub away: Option<Away>,
    /// What waits for a person, or is overdue.
    pub waiting: Waiting,
    /// What lies in its inboxes.
    pub inbox: Inbox,
    /// What others on this machine may write and should not.
    pub warnings: Vec<String>,
    /// How long the database's log is, in bytes.
    pub wal_bytes: u64,
    /// At the server: the registrations.
    pub registrations: Vec<RegistrationStatus>,
}

impl Status {
    /// How a postoffice stands now.
    pub fn of(postoffice: &mut Postoffice) -> Result<Self> {
        let waiting = waiting::of(postoffice)?;
        let away = postoffice.away()?;
        let inbox = Inbox::of(postoffice)?;
        let warnings = exposure::of(postoffice)?;
        let registrations = RegistrationStatus::of(postoffice, None)?;
        let wal_bytes = postoffice.store.wal_bytes();
        let mut tables = postoffice.begin()?;
        let missed = tables.notes(MISSED)?.into_iter().map(|(_, text)| text).collect();
        Ok(Self {
            requestor: tables.requestor()?,
            server: tables.server()?,
            last_sent: time_noted(&mut *tables, LAST_SENT)?,
            last_applied: time_noted(&mut *tables, LAST_APPLIED)?,
            put_right: targets::put_right(&mut *tables)?,
            missed,
            away,
            waiting,
            inbox,
            warnings,
            wal_bytes,
            registrations,
        })
    }

    /// Whether all is well.
    pub fn health(&self) -> Health {
        self.waiting.health(self.inbox.waits_for_a_person())
    }
}

/// A time that a step noted; 0 for never.
fn time_noted(tables: &mut dyn Tables, name: &str) -> Stored<u64> {
    Ok(tables.note(name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}
