//! What waits for a person at one postoffice, is overdue or failed: its [`Alarm`]s.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::PostofficeName;
use dirsync_message::{OutcomeKind, Side};
use dirsync_protocol::tables::{
    Copies, Mode, Registration, RegistrationState, RequestorState, ServerState, Stored, Tables,
};

use crate::alarm::{Alarm, AlarmKind, Away, LogTrouble, Never, Refusal, Stopped};
use crate::decisions::LogState;
use crate::dispatch::timestamp;
use crate::notes::{
    AGENT, ALARM_ERROR, FIRST_UNANSWERED, PIECE_CAME, REFUSED, SERVER_NOTICE, SOURCE_ERROR,
    STEP_ERROR, TARGET_ERROR,
};
use crate::schedule::{Schedule, Step, Windows};
use crate::trouble;

/// In continuous mode a postoffice without an answer for this long is overdue.
const CONTINUOUS_OVERDUE_MS: u64 = 15 * 60 * 1000;
/// On a schedule, this many cycles without an answer are too many.
const CYCLES_OVERDUE: u32 = 3;
/// A postoffice that is refused tries again in each cycle; so long after the last time it has given up.
const REFUSED_MS: u64 = 7 * DAY_MS;
/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Whether all is well at a postoffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing waits.
    Well,
    /// Something waits for a person, is overdue, or failed.
    Waiting,
    /// A place cannot be reached.
    Unreachable,
}

/// What the database does not say.
#[derive(Clone, Debug, Default)]
pub struct Circumstances<'a> {
    /// The schedule; `None` in continuous mode.
    pub schedule: Option<&'a Schedule>,
    /// The names of the configured sources.
    pub sources: Vec<&'a str>,
    /// Why this postoffice is not at home.
    pub away: Option<Away>,
    /// How the decisions log stands to the database.
    pub log: LogState,
    /// What never happens on the schedule.
    pub never: Vec<Never>,
    /// By folded names, the windows of postoffices that are reached in windows only.
    pub windows: BTreeMap<String, Windows>,
}

/// What waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// The alarms that are on, the worst kind first.
    pub alarms: Vec<Alarm>,
    /// When the next postoffice is overdue, if it is not heard before: in milliseconds since 1970.
    pub late_at: Option<u64>,
}

impl Waiting {
    /// What waits at a postoffice.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn of(tables: &mut dyn Tables, around: &Circumstances<'_>, now: u64) -> Stored<Self> {
        let state = tables.requestor()?;
        let server = tables.server()?;
        let registrations = tables.registrations()?;
        let mut waiting = Self::default();
        let alarms = &mut waiting.alarms;
        alarms.extend(stopped(&state, server.as_ref(), around.away));
        alarms.extend(held(tables)?);
        alarms.extend(quarantined(tables)?);
        alarms.extend(unpublished(tables, &state, server.is_some())?);
        alarms.extend(said_by_server(tables, &state, server.is_some())?);
        if let Some(server) = &server {
            alarms.extend(recovering(server, &registrations));
            alarms.extend(refused(tables, &registrations, now)?);
        }
        alarms.extend(of_registrations(&registrations));
        alarms.extend(failed(tables, around)?);
        alarms.extend(around.never.iter().map(|never| Alarm::Schedule { never: *never }));
        alarms.extend(LogTrouble::of(around.log).map(|trouble| Alarm::Decisions { trouble }));
        // By hand nothing is ever overdue: only an agent that runs expects answers.
        if tables.note(AGENT)?.is_some() {
            let expected = expected(tables, &state, server.is_some(), &registrations)?;
            waiting.count_overdue(expected, around, now);
        }
        waiting.alarms.sort_by_key(Alarm::kind);
        Ok(waiting)
    }

    fn count_overdue(
        &mut self,
        expected: Vec<(PostofficeName, u64)>,
        around: &Circumstances<'_>,
        now: u64,
    ) {
        for (name, since) in expected {
            let late = late_at(since, around.schedule);
            let windows = around.windows.get(name.folded());
            match late.max(windows.and_then(|windows| late_in_windows(since, windows))) {
                Some(late) if late <= now => self.alarms.push(Alarm::Overdue { name, since }),
                late => self.late_at = self.late_at.into_iter().chain(late).min(),
            }
        }
    }

    /// Whether a step left something to a person. What usually ends by itself does not count.
    pub fn health(&self) -> Health {
        let is_away = |alarm: &Alarm| matches!(alarm, Alarm::Place { unreachable: true, .. });
        let needs_somebody =
            |alarm: &Alarm| alarm.kind().rings() || alarm.kind() == AlarmKind::AlarmCommand;
        if self.alarms.iter().any(is_away) {
            Health::Unreachable
        } else if self.alarms.iter().any(needs_somebody) {
            Health::Waiting
        } else {
            Health::Well
        }
    }

    /// How many things of some kinds there are.
    pub fn count(&self, kinds: &[AlarmKind]) -> u64 {
        let alarms = self.alarms.iter().filter(|alarm| kinds.contains(&alarm.kind()));
        alarms.map(Alarm::count).sum()
    }
}

fn stopped(
    state: &RequestorState,
    server: Option<&ServerState>,
    away: Option<Away>,
) -> Option<Alarm> {
    let stopped = match state.mode {
        _ if away.is_some() => Stopped::Away,
        _ if server.is_some_and(|server| server.fenced) => Stopped::Fenced,
        Mode::Fenced => Stopped::Fenced,
        Mode::Removed => Stopped::Removed,
        _ => return None,
    };
    Some(Alarm::Stopped { stopped, away })
}

fn held(tables: &mut dyn Tables) -> Stored<Vec<Alarm>> {
    let counts = tables.held_counts()?.into_iter();
    Ok(counts
        .map(|held| Alarm::Held {
            source: held.source,
            reason: held.kind,
            deletes: held.deletes,
            count: held.count,
            since: held.since,
        })
        .collect())
}

fn quarantined(tables: &mut dyn Tables) -> Stored<Vec<Alarm>> {
    let counts = tables.quarantine_counts()?.into_iter();
    Ok(counts
        .map(|cases| Alarm::Quarantined {
            origin: cases.origin,
            count: cases.count,
            since: cases.since,
        })
        .collect())
}

/// Own entries that the list does not show as they are: at a server those of all origins.
fn unpublished(
    tables: &mut dyn Tables,
    state: &RequestorState,
    is_server: bool,
) -> Stored<Vec<Alarm>> {
    let mut alarms = Vec::new();
    let offered = tables.offered_count(&state.name)?;
    alarms.extend((offered > 0).then_some(Alarm::Offered { count: offered }));
    if is_server {
        for row in tables.unsettled_counts()? {
            let (origin, count) = (row.origin, row.held);
            let since = row.held_since.unwrap_or_default();
            if row.waiting > 0 {
                alarms.push(Alarm::Waiting { origin: origin.clone(), count: row.waiting });
            }
            if row.invalid > 0 {
                alarms.push(Alarm::Invalid { origin: origin.clone(), count: row.invalid });
            }
            alarms.extend((count > 0).then_some(Alarm::HeldDeletions { origin, count, since }));
        }
        return Ok(alarms);
    }
    let (mut waiting, mut invalid, mut held) = (BTreeSet::new(), 0, 0);
    for outcome in tables.outcomes()? {
        match outcome.kind {
            // An entry may wait for several addresses.
            OutcomeKind::Waiting { .. } | OutcomeKind::ForeignId { .. } => {
                waiting.insert(outcome.id);
            }
            OutcomeKind::Invalid { .. } => invalid += 1,
            OutcomeKind::Held => held += 1,
            OutcomeKind::Contested { .. } | OutcomeKind::Transferred { .. } => {}
        }
    }
    let (origin, count) = (state.name.clone(), waiting.len() as u64);
    alarms.extend((count > 0).then_some(Alarm::Waiting { origin: origin.clone(), count }));
    alarms.extend((invalid > 0).then_some(Alarm::Invalid { origin, count: invalid }));
    alarms.extend((held > 0).then_some(Alarm::HeldElsewhere { count: held }));
    Ok(alarms)
}

/// What its server said of a requestor.
fn said_by_server(
    tables: &mut dyn Tables,
    state: &RequestorState,
    is_server: bool,
) -> Stored<Vec<Alarm>> {
    let mut alarms = Vec::new();
    let notice = tables.note(SERVER_NOTICE)?;
    match notice.as_deref().and_then(Side::of_word) {
        Some(Side::Suspended) => alarms.push(Alarm::Suspended),
        Some(side) => {
            alarms.extend(Refusal::of(side).map(|refusal| Alarm::Refused { refusal }));
        }
        None => {}
    }
    // A server says it of its own list as of any other.
    if !is_server && (state.list_bad || state.send_buckets) {
        alarms.push(Alarm::Differs { name: state.name.clone(), since: 0 });
    }
    Ok(alarms)
}

fn recovering(server: &ServerState, registrations: &[Registration]) -> Option<Alarm> {
    let silent = registrations
        .iter()
        .filter(|one| one.owes_word() && one.spoke_in != Some(server.epoch))
        .map(|one| one.name.clone());
    server.recovering.then(|| Alarm::Recovering { waits_for: silent.collect() })
}

/// The postoffices whose name a machine used that the server refused, and that has not given up.
fn refused(
    tables: &mut dyn Tables,
    registrations: &[Registration],
    now: u64,
) -> Stored<Vec<Alarm>> {
    let notes = tables.notes(REFUSED)?.into_iter();
    let read = |(note, text): (String, String)| {
        let folded = &note[REFUSED.len()..];
        let takes_part = |one: &&Registration| one.state != RegistrationState::Removed;
        let known = registrations.iter().filter(takes_part).find(|one| one.name.folded() == folded);
        let name = known?.name.clone();
        let (at, refusal) = text.split_once(' ')?;
        let refusal = Refusal::of_word(refusal)?;
        let lasts = now.saturating_sub(at.parse().ok()?) <= REFUSED_MS;
        lasts.then_some(Alarm::NotAdmitted { name, refusal })
    };
    Ok(notes.filter_map(read).collect())
}

/// Notes that the server refused a postoffice. Returns whether it has not done so before on this day (UTC) for
/// the same reason.
///
/// # Errors
///
/// When the store fails.
pub fn note_refused(
    tables: &mut dyn Tables,
    name: &PostofficeName,
    refusal: Refusal,
    at: u64,
) -> Stored<bool> {
    let note = format!("{REFUSED}{}", name.folded());
    let before = tables.note(&note)?;
    let before = before.as_deref().and_then(|text| text.split_once(' '));
    let is_same_day =
        |before: &str| before.parse().is_ok_and(|before: u64| before / DAY_MS == at / DAY_MS);
    let is_known = before.is_some_and(|(at, word)| word == refusal.word() && is_same_day(at));
    tables.put_note(&note, Some(&format!("{at} {}", refusal.word())))?;
    Ok(!is_known)
}

/// Whether the server refused a postoffice that was neither admitted nor invited since.
///
/// # Errors
///
/// When the store fails.
pub fn is_refused(tables: &mut dyn Tables, name: &PostofficeName) -> Stored<bool> {
    Ok(tables.note(&format!("{REFUSED}{}", name.folded()))?.is_some())
}

/// Forgets that the server refused a postoffice: it was admitted or invited again, or a person says that the
/// other machine is gone.
///
/// # Errors
///
/// When the store fails.
pub fn forget_refused(tables: &mut dyn Tables, name: &PostofficeName) -> Stored<()> {
    tables.put_note(&format!("{REFUSED}{}", name.folded()), None)
}

fn of_registrations(registrations: &[Registration]) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for registration in registrations {
        let name = || registration.name.clone();
        if registration.copies != Copies::One {
            alarms.push(Alarm::Doubled { name: name() });
        }
        let is_active = registration.state == RegistrationState::Active;
        if is_active && registration.agreement.equal == Some(false) {
            alarms.push(Alarm::Differs { name: name(), since: registration.agreement.since });
        }
    }
    alarms
}

/// What failed last, and has not succeeded since.
fn failed(tables: &mut dyn Tables, around: &Circumstances<'_>) -> Stored<Vec<Alarm>> {
    let mut alarms = sources(tables, around)?;
    for (note, reason) in tables.notes(TARGET_ERROR)? {
        let file = note[TARGET_ERROR.len()..].to_owned();
        alarms.push(Alarm::Target { file, reason });
    }
    alarms.extend(trouble::places(tables)?.into_iter().map(Alarm::from));
    alarms.extend(tables.note(STEP_ERROR)?.map(|reason| Alarm::Step { reason }));
    alarms.extend(tables.note(ALARM_ERROR)?.map(|reason| Alarm::AlarmCommand { reason }));
    Ok(alarms)
}

/// The sources that could not be read to their end, and those that are held because a run was undone: also
/// one that no settings name, of which files are imported by hand.
fn sources(tables: &mut dyn Tables, around: &Circumstances<'_>) -> Stored<Vec<Alarm>> {
    let mut sources = BTreeMap::new();
    for (source, by) in tables.source_holds()? {
        let undone = tables.run(by)?.and_then(|run| run.undoes).unwrap_or(by);
        let reason = held_since(&source, undone);
        sources.insert(source, (reason, true));
    }
    for (note, reason) in tables.notes(SOURCE_ERROR)? {
        let name = &note[SOURCE_ERROR.len()..];
        if around.sources.contains(&name) {
            let held = sources.contains_key(name);
            sources.insert(name.to_owned(), (reason, held));
        }
    }
    let alarm = |(name, (reason, held))| Alarm::Source { name, reason, held };
    Ok(sources.into_iter().map(alarm).collect())
}

/// Why a source is held since a run was undone, until it is read again.
fn held_since(source: &str, undone: u64) -> String {
    format!(
        "source \"{source}\" is held since run {undone} was undone, until its file agrees; `dirsync undo \
         --go-on {source}` lets it go on"
    )
}

/// The postoffices that are to be heard again, each with the time since when it was not.
fn expected(
    tables: &mut dyn Tables,
    state: &RequestorState,
    is_server: bool,
    registrations: &[Registration],
) -> Stored<Vec<(PostofficeName, u64)>> {
    let mut expected = Vec::new();
    if !is_server {
        let since = tables.note(FIRST_UNANSWERED)?.and_then(|text| text.parse().ok());
        expected.extend(since.map(|since| (state.server.clone(), since)));
    }
    for registration in registrations {
        if registration.state == RegistrationState::Active && registration.name != state.name {
            expected.push((registration.name.clone(), registration.last_contact));
        }
    }
    // An answer or a request that is on its way counts as contact.
    for (note, at) in tables.notes(PIECE_CAME)? {
        let from = &note[PIECE_CAME.len()..];
        let (Ok(at), Some((_, since))) =
            (at.parse(), expected.iter_mut().find(|(name, _)| name.folded() == from))
        else {
            continue;
        };
        *since = (*since).max(at);
    }
    Ok(expected)
}

/// When a postoffice that is reached in windows has been silent for too many of them. `None` if they never close.
fn late_in_windows(since: u64, windows: &Windows) -> Option<u64> {
    let mut opens = timestamp(since);
    for _ in 0..CYCLES_OVERDUE {
        opens = windows.next_opening(opens)?;
    }
    let opens = u64::try_from(opens.as_millisecond()).ok()?;
    Some(opens.saturating_add(CONTINUOUS_OVERDUE_MS))
}

/// When something that began, or was heard, at `since` has lasted too long.
pub fn late_at(since: u64, schedule: Option<&Schedule>) -> Option<u64> {
    match schedule {
        None => Some(since.saturating_add(CONTINUOUS_OVERDUE_MS + 1)),
        Some(schedule) => {
            let late = schedule.nth_after(Step::Send, timestamp(since), CYCLES_OVERDUE)?;
            u64::try_from(late.as_millisecond()).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    fn ms(text: &str) -> u64 {
        text.parse::<Timestamp>().unwrap().as_millisecond() as u64
    }

    #[test]
    fn who_is_reached_once_a_week_is_late_after_three_weeks() {
        let windows = Windows::new(TimeZone::UTC, vec!["Sat 03:00-04:00".parse().unwrap()]);
        // A Monday.
        let since = ms("2026-11-02T12:00:00Z");
        assert_eq!(late_in_windows(since, &windows), Some(ms("2026-11-21T03:15:00Z")));
        let always = Windows::new(TimeZone::UTC, vec!["Mon-Sun 00:00-24:00".parse().unwrap()]);
        assert_eq!(late_in_windows(since, &always), None);

        let mut waiting = Waiting::default();
        let peer: PostofficeName = "SOUTH/SALES".parse().unwrap();
        let around = Circumstances {
            windows: BTreeMap::from([(peer.folded().to_owned(), windows)]),
            ..Circumstances::default()
        };
        let silent = vec![(peer, since)];
        waiting.count_overdue(silent.clone(), &around, ms("2026-11-20T12:00:00Z"));
        assert_eq!((waiting.alarms.len(), waiting.late_at), (0, Some(ms("2026-11-21T03:15:00Z"))));
        waiting.count_overdue(silent, &around, ms("2026-11-21T03:15:00Z"));
        assert_eq!(waiting.alarms.len(), 1);
    }
}
