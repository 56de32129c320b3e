//! Places that steps could not use: what is kept of each until a step can, and how often the log
//! repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dirsync_directory::PostofficeName;
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::{LogLine, RegistrationState, Stored, Tables};
use serde::{Deserialize, Serialize};

use crate::notes::TROUBLE;
use crate::schedule::BackOff;
use crate::step::{PlaceFailure, Sent};

/// The begin of the names of the steps of lines.
const LINE: &str = "line ";

/// A place that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The place, for instance `folder:/srv/dirsync`.
    pub place: String,
    /// The place is away, or messages cannot be left there for a postoffice.
    pub unreachable: bool,
    /// What failed, and why.
    pub text: String,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// When the log said so last.
    said: u64,
    /// How often it has been said.
    times: u32,
}

impl Trouble {
    /// It is said again after twice as long each time.
    fn is_to_be_said(&self, now: u64) -> bool {
        let pause = self.times.checked_sub(1).map(|times| BackOff::default().delay(times));
        pause.is_none_or(|pause| Duration::from_millis(now.abs_diff(self.said)) >= pause)
    }
}

/// Replaces what is known of the places of one step by what it met now, and logs what is new, what is
/// over, and now and then what goes on.
///
/// A place at which messages to a postoffice could not be left counts as failing for it until one could, or went
/// another way because that place had failed before. Otherwise it would seem to work whenever there is nothing to send.
pub fn note_places(
    tables: &mut dyn Tables,
    step: &str,
    failed: &[PlaceFailure],
    sent: &BTreeSet<Sent>,
    now: u64,
) -> Stored<Vec<LogLine>> {
    let mut known: BTreeMap<String, String> =
        tables.notes(&format!("{TROUBLE}{step}:"))?.into_iter().collect();
    let mut lines = Vec::new();
    let mut say = |level: Level, text: String| {
        lines.push(LogLine { at: now, step: step.into(), level, text, run: None });
    };
    for failure in failed {
        let place = &failure.place;
        let to = failure.to.as_ref().map_or(String::new(), ToString::to_string);
        let name = format!("{TROUBLE}{step}:{place}\t{to}");
        let before: Option<Trouble> =
            known.remove(&name).and_then(|text| serde_json::from_str(&text).ok());
        let unreachable = failure.unreachable || failure.to.is_some();
        let mut trouble =
            before.filter(|known| known.unreachable == unreachable).unwrap_or(Trouble {
                place: place.clone(),
                unreachable,
                text: String::new(),
                since: now,
                said: 0,
                times: 0,
            });
        trouble.text.clone_from(&failure.text);
        if trouble.is_to_be_said(now) {
            say(Level::Error, trouble.text.clone());
            (trouble.said, trouble.times) = (now, trouble.times.saturating_add(1));
        }
        let note = serde_json::to_string(&trouble).unwrap_or_default();
        tables.put_note(&name, Some(&note))?;
    }
    for (name, text) in known {
        let trouble = serde_json::from_str::<Trouble>(&text).ok();
        let over = match trouble.as_ref().zip(addressee(&name)) {
            Some((trouble, to)) => outcome(tables, &trouble.place, &to, sent)?,
            None => Some(Over::Works),
        };
        let Some(over) = over else { continue };
        tables.put_note(&name, None)?;
        if let (Some(trouble), Over::Works) = (trouble, over) {
            say(Level::Notice, format!("{} can be used again", trouble.place));
        }
    }
    lines.iter().try_for_each(|line| tables.put_log(line))?;
    Ok(lines)
}

/// The name of the step under which a line to a place notes its troubles.
pub fn line_step(place: &str) -> String {
    format!("{LINE}{place}")
}

/// Forgets the troubles of lines to all other places than these: nothing works at those lines any more, so nothing
/// would ever say that they are over. Returns whether there were any.
pub fn keep_lines(tables: &mut dyn Tables, places: &BTreeSet<String>) -> Stored<bool> {
    let mut is_any = false;
    for (name, text) in tables.notes(&format!("{TROUBLE}{LINE}"))? {
        let trouble = serde_json::from_str::<Trouble>(&text).ok();
        if trouble.is_none_or(|trouble| !places.contains(&trouble.place)) {
            tables.put_note(&name, None)?;
            is_any = true;
        }
    }
    Ok(is_any)
}

/// The end of a trouble.
#[derive(Clone, Copy)]
enum Over {
    /// The place works again.
    Works,
    /// Nothing is to be sent through it now.
    Elsewhere,
}

/// Whether messages to a postoffice can be left at a place again. `None` if that is not known.
fn outcome(
    tables: &mut dyn Tables,
    place: &str,
    to: &PostofficeName,
    sent: &BTreeSet<Sent>,
) -> Stored<Option<Over>> {
    let mut places = sent.iter().filter(|sent| sent.to == *to).map(|sent| sent.place.as_str());
    if places.clone().any(|through| through == place) {
        return Ok(Some(Over::Works));
    }
    let registration = tables.registration(to)?;
    let is_to_be_used = registration.is_some_and(|known| {
        known.state == RegistrationState::Active && known.places.iter().any(|one| one == place)
    });
    Ok((places.next().is_some() || !is_to_be_used).then_some(Over::Elsewhere))
}

/// The postoffice that a note is about, by the note's name; `None` if it is about a place as a whole.
fn addressee(note: &str) -> Option<PostofficeName> {
    note.rsplit_once('\t')?.1.parse().ok()
}

/// Whether a step could not use a place, so that it is due until it can.
pub fn is_due_again(tables: &mut dyn Tables, step: &str) -> Stored<bool> {
    Ok(!tables.notes(&format!("{TROUBLE}{step}:"))?.is_empty())
}

/// What is known of all places that cannot be used.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Vec<(Option<PostofficeName>, Trouble)>);

impl Troubles {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn load(tables: &mut dyn Tables) -> Stored<Self> {
        let notes = tables.notes(TROUBLE)?.into_iter();
        let read = |(name, text): (String, String)| {
            Some((addressee(&name), serde_json::from_str(&text).ok()?))
        };
        Ok(Self(notes.filter_map(read).collect()))
    }

    /// The oldest trouble of a place that concerns messages to or from a postoffice, one that keeps messages from
    /// being sent first.
    pub fn of(&self, place: &str, peer: &PostofficeName) -> Option<&Trouble> {
        let concerning = self.0.iter().filter(|(to, trouble)| {
            trouble.place == place && to.as_ref().is_none_or(|to| to == peer)
        });
        concerning
            .map(|(_, trouble)| trouble)
            .min_by_key(|trouble| (!trouble.unreachable, trouble.since))
    }

    /// Since when nothing can be sent to a postoffice through a place.
    pub fn fails_since(&self, place: &str, peer: &PostofficeName) -> Option<u64> {
        self.of(place, peer).filter(|trouble| trouble.unreachable).map(|trouble| trouble.since)
    }
}

/// Forgets what is known of all places but some, because they are not used any more.
///
/// # Errors
///
/// When the store fails.
pub fn forget_places(tables: &mut dyn Tables, but: &[String]) -> Stored<()> {
    for (name, text) in tables.notes(TROUBLE)? {
        let trouble = serde_json::from_str::<Trouble>(&text);
        if trouble.is_ok_and(|trouble| !but.contains(&trouble.place)) {
            tables.put_note(&name, None)?;
        }
    }
    Ok(())
}

/// The places that cannot be used, each once.
pub fn places(tables: &mut dyn Tables) -> Stored<Vec<Trouble>> {
    let mut places: BTreeMap<String, Trouble> = BTreeMap::new();
    for (_, text) in tables.notes(TROUBLE)? {
        let Ok(trouble) = serde_json::from_str::<Trouble>(&text) else { continue };
        match places.get_mut(&trouble.place) {
            Some(known) => {
                let since = known.since.min(trouble.since);
                if trouble.unreachable && !known.unreachable {
                    *known = trouble;
                }
                known.since = since;
            }
            None => {
                places.insert(trouble.place.clone(), trouble);
            }
        }
    }
    Ok(places.into_values().collect())
}
