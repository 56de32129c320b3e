//! How a postoffice is: a headline, each postoffice in one word, and what needs a person.
//!
//! It is read in a number of statements that depends neither on the number of requestors nor on that of
//! entries.

mod headline;
mod requestors;
mod verdict;

use dirsync_agent::alarm::{Alarm, AlarmKind, Away, Stopped};
use dirsync_agent::dispatch::State;
use dirsync_agent::notes::{AGENT, LAST_APPLIED, LAST_SENT, MISSED};
use dirsync_directory::PostofficeName;
use dirsync_protocol::tables::{Stored, Tables};
use schemars::JsonSchema;
use serde::Serialize;

pub use self::headline::Headline;
pub use self::requestors::RequestorStatus;
pub(crate) use self::requestors::unacknowledged;
use self::requestors::{Around, of_itself, of_registrations};
pub use self::verdict::Verdict;
use crate::exposure;
use crate::failure::Result;
use crate::inbox::Inbox;
use crate::json;
use crate::next::Next;
use crate::places::KnownOfPlaces;
use crate::postoffice::Postoffice;
use crate::registrations::RegistrationStatus;
use crate::targets::{self, PutRight};
use crate::time::now_ms;
use crate::waiting;

/// The role of a postoffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A directory server, which is also a requestor of itself.
    Server,
    /// A directory requestor.
    Requestor,
}

/// How a postoffice is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub postoffice: PostofficeName,
    /// Its role.
    pub role: Role,
    /// Its directory server, which may be itself.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub server: PostofficeName,
    /// All of it in a few numbers.
    pub headline: Headline,
    /// How each postoffice is, the worst first: at the server all that are registered, at a requestor itself.
    pub requestors: Vec<RequestorStatus>,
    /// What needs a person, or may come to need one. Without any the exit code is 0.
    pub alarms: Vec<Alarm>,
    /// What the agent does next.
    pub next: Next,
    /// The epoch of its numbers.
    pub epoch: String,
    /// The entries of its list.
    pub entries: u64,
    /// Its own entries.
    pub own_entries: u64,
    /// Number of its last own change.
    pub req_seq: u64,
    /// Number of the last own change that the server has acknowledged.
    pub req_sync: u64,
    /// The number of the server's list that its list has reached.
    pub srv_sync: u64,
    /// At a server: the last number of the list.
    pub srv_seq: Option<u64>,
    /// At a server: number of the last cycle.
    pub cycle: Option<u64>,
    /// At a server: whether it was restored and waits for every origin.
    pub recovering: Option<bool>,
    /// The digest of its list: equal lists have equal digests.
    pub digest: String,
    /// When it sent last.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub last_sent: u64,
    /// When it applied an answer last.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub last_applied: u64,
    /// How many changes wait for a decision here.
    pub held: u64,
    /// How many cases are in quarantine.
    pub quarantined: u64,
    /// How many postoffices are overdue.
    pub overdue: u64,
    /// Why nothing is sent from here.
    pub stopped: Option<Stopped>,
    /// Why this is not its home.
    pub away: Option<Away>,
    /// How often targets were put right that others had altered.
    pub targets_put_right: u64,
    /// The same by file.
    #[serde(skip)]
    pub put_right: Vec<(String, PutRight)>,
    /// The times of its schedule that were missed.
    pub missed: Vec<String>,
    /// What lies in its inboxes.
    pub inbox: Inbox,
    /// What others on this machine may write and should not.
    pub warnings: Vec<String>,
    /// How long the database's log is, in bytes.
    pub wal_bytes: u64,
}

impl Status {
    /// How a postoffice is now.
    pub fn of(postoffice: &mut Postoffice) -> Result<Self> {
        let mut status = Self::by_database(postoffice)?;
        for one in &mut status.requestors {
            let peer = if status.role == Role::Server { &one.name } else { &postoffice.server };
            postoffice.add_lines(&mut one.places, peer);
        }
        Ok(status)
    }

    /// The same without what waits for lines.
    fn by_database(postoffice: &mut Postoffice) -> Result<Self> {
        let now = now_ms();
        let mut waiting = waiting::of(postoffice)?;
        let inbox = Inbox::of(postoffice)?;
        let unregistered = inbox.unregistered.iter().cloned();
        waiting.alarms.extend(unregistered.map(|sender| Alarm::Unregistered { sender }));
        let warnings = exposure::of(postoffice)?;
        let registrations = RegistrationStatus::of(postoffice, None)?;
        let wal_bytes = postoffice.store.wal_bytes();
        let (config, fall_back) = (postoffice.config.clone(), postoffice.fall_back());
        let places = postoffice.own_places().unwrap_or_default();
        let mut tables = postoffice.begin()?;
        let next = Next::by(&config, &State::load(&mut *tables)?, now);
        let state = tables.requestor()?;
        let server = tables.server()?;
        let last_applied = time_noted(&mut *tables, LAST_APPLIED)?;
        let around = Around {
            alarms: &waiting.alarms,
            schedule: config.schedule.as_ref(),
            has_agent: tables.note(AGENT)?.is_some(),
            places: &KnownOfPlaces::load(&mut *tables, fall_back)?,
            now,
        };
        let requestors = match &server {
            Some(_) => of_registrations(&state.name, &registrations, &around),
            None => {
                let unsent = unacknowledged(&mut *tables, &state)?;
                vec![of_itself(&state, unsent, last_applied, &places, &around)]
            }
        };
        let (stopped, away) = stopped(&waiting.alarms).unzip();
        let put_right = targets::put_right(&mut *tables)?;
        let missed = tables.notes(MISSED)?.into_iter().map(|(_, text)| text).collect();
        let epoch = server.as_ref().map(|server| server.epoch.to_string());
        Ok(Self {
            role: if server.is_some() { Role::Server } else { Role::Requestor },
            headline: Headline::of(&requestors, state.list_digest.count, next.first(now)),
            requestors,
            next,
            epoch: epoch.unwrap_or_else(|| state.epoch.to_string()),
            entries: state.list_digest.count,
            own_entries: state.own_digest.count,
            req_seq: state.req_seq.0,
            req_sync: state.req_sync.0,
            srv_sync: state.point.map_or(0, |point| point.srv_seq.0),
            srv_seq: server.as_ref().map(|server| server.head.0),
            cycle: server.as_ref().map(|server| server.cycle),
            recovering: server.as_ref().map(|server| server.recovering),
            digest: format!("{:032x}", state.list_digest.sum),
            last_sent: time_noted(&mut *tables, LAST_SENT)?,
            last_applied,
            held: waiting.count(&[AlarmKind::Held, AlarmKind::HeldDeletions]),
            quarantined: waiting.count(&[AlarmKind::Quarantined]),
            overdue: waiting.count(&[AlarmKind::Overdue]),
            stopped,
            away: away.flatten(),
            targets_put_right: put_right.iter().map(|(_, right)| right.times).sum(),
            put_right,
            missed,
            inbox,
            warnings,
            wal_bytes,
            alarms: waiting.alarms,
            postoffice: state.name,
            server: state.server,
        })
    }

    /// Whether nothing needs a person.
    pub fn is_well(&self) -> bool {
        self.alarms.is_empty()
    }
}

fn stopped(alarms: &[Alarm]) -> Option<(Stopped, Option<Away>)> {
    alarms.iter().find_map(|alarm| match alarm {
        Alarm::Stopped { stopped, away } => Some((*stopped, *away)),
        _ => None,
    })
}

/// A time that a step noted; 0 for never.
fn time_noted(tables: &mut dyn Tables, name: &str) -> Stored<u64> {
    Ok(tables.note(name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use dirsync_protocol::tables::{Agreement, Registration, RegistrationState};

    use super::*;
    use crate::registrations::tests::server_with;

    /// `docs/when-things-go-wrong.md` promises the number.
    #[test]
    fn a_status_takes_few_statements_whatever_the_number_of_requestors() {
        for requestors in [2, 1_000] {
            let folder = tempfile::tempdir().unwrap();
            // Each has an alarm.
            let mut postoffice = server_with(folder.path(), requestors, |_, own| {
                let agreement = Agreement { equal: Some(false), since: 1 };
                Registration { agreement, state: RegistrationState::Active, ..own }
            });
            let before = postoffice.store.statements();
            let status = Status::of(&mut postoffice).unwrap();
            let statements = postoffice.store.statements() - before;
            assert!(statements <= 64, "{requestors} requestors: {statements}");
            assert_eq!(status.headline.postoffices, requestors + 1);
            assert_eq!(status.headline.need_you, requestors, "their lists differ for long");
            assert_eq!(status.requestors[0].behind, 1_000_000);
        }
    }
}
