//! How each postoffice is: at the server all that are registered, at a requestor itself.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_agent::alarm::{Alarm, AlarmKind};
use dirsync_agent::dispatch::{HEARTBEAT, timestamp};
use dirsync_agent::schedule::{Schedule, Step};
use dirsync_agent::waiting::late_at;
use dirsync_directory::PostofficeName;
use dirsync_protocol::tables::{RequestorState, Stored, Tables};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{Facts, Verdict, verdict};
use crate::json;
use crate::places::{KnownOfPlaces, PlaceStatus};
use crate::registrations::{RegistrationStatus, Standing};

/// How a postoffice is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RequestorStatus {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub name: PostofficeName,
    /// How it is, in one word.
    pub verdict: Verdict,
    /// The kind of the alarm that decided the verdict; null if none did.
    #[serde(serialize_with = "json::text_or_null")]
    #[schemars(with = "Option<String>")]
    pub alarm: Option<AlarmKind>,
    /// How it takes part.
    pub state: Standing,
    /// When it was heard last; at a requestor when its server was.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub last_contact: u64,
    /// When it is expected to be heard again; null where no agent runs.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub expected: u64,
    /// The entries of its list, as it said last.
    pub entries: u64,
    /// The number of the list that it has confirmed.
    pub srv_sync: u64,
    /// How many numbers of the list it has not confirmed: an entry that changed twice counts twice. At a
    /// requestor, how many own changes the server has not acknowledged.
    pub behind: u64,
    /// Whether its list is as the server made it; null if it has none yet.
    pub digest_matches: Option<bool>,
    /// Since when that is so.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub digest_since: u64,
    /// Changes that wait for a person there, as it says.
    pub held: u64,
    /// Cases in quarantine there, as it says.
    pub quarantined: u64,
    /// The places through which messages to it travel, the preferred one first; at a requestor those to its server.
    pub places: Vec<PlaceStatus>,
}

impl RequestorStatus {
    /// Whether its list is as the server made it last, and everything was confirmed.
    pub fn agrees(&self) -> bool {
        self.digest_matches == Some(true) && self.behind == 0
    }

    /// Whether a person has to do something about it: not if somebody decided that it takes no part.
    pub fn needs_you(&self) -> bool {
        match self.verdict {
            Verdict::NeedsYou | Verdict::Late => true,
            Verdict::Stopped => self.alarm.is_some(),
            Verdict::Waiting | Verdict::Well => false,
        }
    }
}

/// What the verdicts rest on beside the registrations.
pub(super) struct Around<'a> {
    /// The alarms of the postoffice whose status it is.
    pub alarms: &'a [Alarm],
    pub schedule: Option<&'a Schedule>,
    /// An agent runs, or did: others are expected to be heard.
    pub has_agent: bool,
    pub places: &'a KnownOfPlaces,
    pub now: u64,
}

impl Around<'_> {
    fn places(&self, places: &[String], peer: &PostofficeName) -> Vec<PlaceStatus> {
        PlaceStatus::all(places, peer, self.places, self.now)
    }
}

/// The registered postoffices, the worst first.
pub(super) fn of_registrations(
    own: &PostofficeName,
    registrations: &[RegistrationStatus],
    around: &Around<'_>,
) -> Vec<RequestorStatus> {
    let about = alarms_by_name(own, registrations, around.alarms);
    let mut list: Vec<RequestorStatus> = registrations
        .iter()
        .map(|status| {
            let alarms = about.get(&status.registration.name).map_or(&[][..], |alarms| alarms);
            of_registration(status, status.registration.name == *own, alarms, around)
        })
        .collect();
    list.sort_by(|a, b| (a.verdict, &a.name).cmp(&(b.verdict, &b.name)));
    list
}

/// The alarms about each postoffice: one that is about no other is about this one.
fn alarms_by_name<'a>(
    own: &PostofficeName,
    registrations: &[RegistrationStatus],
    alarms: &'a [Alarm],
) -> BTreeMap<PostofficeName, Vec<&'a Alarm>> {
    let mut about: BTreeMap<PostofficeName, Vec<&Alarm>> = BTreeMap::new();
    for alarm in alarms {
        let mut names: Vec<PostofficeName> = match alarm {
            Alarm::Overdue { name, .. }
            | Alarm::Doubled { name }
            | Alarm::Differs { name, .. }
            | Alarm::NotAdmitted { name, .. } => vec![name.clone()],
            Alarm::HeldDeletions { origin, .. }
            | Alarm::Waiting { origin, .. }
            | Alarm::Invalid { origin, .. } => vec![origin.clone()],
            Alarm::Recovering { waits_for } => waits_for.clone(),
            Alarm::Place { place, .. } => registrations
                .iter()
                .filter(|status| status.registration.places.contains(place))
                .map(|status| status.registration.name.clone())
                .collect(),
            _ => Vec::new(),
        };
        if names.is_empty() {
            names.push(own.clone());
        }
        for name in names {
            about.entry(name).or_default().push(alarm);
        }
    }
    about
}

fn of_registration(
    status: &RegistrationStatus,
    is_own: bool,
    alarms: &[&Alarm],
    around: &Around<'_>,
) -> RequestorStatus {
    let registration = &status.registration;
    let since = registration.agreement.since;
    let differs_long =
        late_at(since, around.schedule).is_some_and(|late| since > 0 && late <= around.now);
    let health = &registration.health;
    let facts = Facts {
        standing: status.standing,
        list_equal: status.digest_matches,
        differs_long,
        waits_there: if is_own { 0 } else { health.held + health.quarantined },
        alarms,
    };
    let (verdict, alarm) = verdict(&facts);
    let last_contact = registration.last_contact;
    let is_expected = status.standing == Standing::Active && around.has_agent && last_contact > 0;
    RequestorStatus {
        name: registration.name.clone(),
        verdict,
        alarm,
        state: status.standing,
        last_contact,
        expected: if is_expected { expected(last_contact, around.schedule) } else { 0 },
        entries: registration.position.digest.count,
        srv_sync: status.confirmed.0,
        behind: status.behind,
        digest_matches: status.digest_matches,
        digest_since: since,
        held: health.held,
        quarantined: health.quarantined,
        places: around.places(&registration.places, &registration.name),
    }
}

/// The most numbers of changes that are looked through. If there are more, each counts as a change.
const LOOKED_THROUGH: u64 = 10_000;

/// The number of own changes that the server has not acknowledged. A change that was taken back because it is
/// held left its number behind, and is not counted.
pub(crate) fn unacknowledged(tables: &mut dyn Tables, state: &RequestorState) -> Stored<u64> {
    let numbers = state.req_seq.0.saturating_sub(state.req_sync.0);
    if numbers == 0 || numbers > LOOKED_THROUGH {
        return Ok(numbers);
    }
    let mut changes = 0;
    tables.visit_own(state.req_sync, &mut |_| {
        changes += 1;
        ControlFlow::Continue(())
    })?;
    tables.visit_own_tombstones(state.req_sync, &mut |_| {
        changes += 1;
        ControlFlow::Continue(())
    })?;
    Ok(changes)
}

/// A requestor, as it knows itself.
pub(super) fn of_itself(
    state: &RequestorState,
    unacknowledged: u64,
    last_applied: u64,
    places: &[String],
    around: &Around<'_>,
) -> RequestorStatus {
    let alarms: Vec<&Alarm> = around.alarms.iter().collect();
    let is_whole = state.point.is_some_and(|point| point.complete);
    let differs = alarms.iter().any(|alarm| alarm.kind() == AlarmKind::Differs);
    let digest_matches = if differs { Some(false) } else { is_whole.then_some(true) };
    let standing = if last_applied == 0 { Standing::Invited } else { Standing::Active };
    let facts = Facts {
        standing,
        list_equal: digest_matches,
        differs_long: false,
        waits_there: 0,
        alarms: &alarms,
    };
    let (verdict, alarm) = verdict(&facts);
    let is_expected = around.has_agent && last_applied > 0;
    RequestorStatus {
        name: state.name.clone(),
        verdict,
        alarm,
        state: standing,
        last_contact: last_applied,
        expected: if is_expected { expected(last_applied, around.schedule) } else { 0 },
        entries: state.list_digest.count,
        srv_sync: state.point.map_or(0, |point| point.srv_seq.0),
        behind: unacknowledged,
        digest_matches,
        digest_since: if digest_matches.is_some() { last_applied } else { 0 },
        held: count(&alarms, AlarmKind::Held),
        quarantined: count(&alarms, AlarmKind::Quarantined),
        places: around.places(places, &state.server),
    }
}

fn count(alarms: &[&Alarm], kind: AlarmKind) -> u64 {
    alarms.iter().filter(|alarm| alarm.kind() == kind).map(|alarm| alarm.count()).sum()
}

/// When a postoffice that was heard at a time is expected again.
fn expected(last_contact: u64, schedule: Option<&Schedule>) -> u64 {
    match schedule {
        None => last_contact.saturating_add(HEARTBEAT.as_millis() as u64),
        Some(schedule) => schedule
            .nth_after(Step::Send, timestamp(last_contact), 1)
            .and_then(|at| u64::try_from(at.as_millisecond()).ok())
            .unwrap_or_default(),
    }
}
