//! Places that steps could not use: what is kept of each until a step can, and how often the log
//! repeats it.

use std::collections::BTreeMap;
use std::time::Duration;

use dirsync_protocol::context::Level;
use dirsync_protocol::tables::{LogLine, Stored, Tables};
use serde::{Deserialize, Serialize};

use crate::notes::TROUBLE;
use crate::schedule::BackOff;
use crate::step::PlaceFailure;

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
/// over, and now and then what goes on. `place` names the place of a step that has only one.
pub fn note_places(
    tables: &mut dyn Tables,
    step: &str,
    place: &str,
    failed: &[PlaceFailure],
    now: u64,
) -> Stored<Vec<LogLine>> {
    let mut known: BTreeMap<String, String> =
        tables.notes(&format!("{TROUBLE}{step}:"))?.into_iter().collect();
    let mut lines = Vec::new();
    let mut say = |level: Level, text: String| {
        lines.push(LogLine { at: now, step: step.into(), level, text, run: None });
    };
    for failure in failed {
        let place = if failure.place.is_empty() { place } else { &failure.place };
        let to = failure.to.as_ref().map_or(String::new(), ToString::to_string);
        let name = format!("{TROUBLE}{step}:{place}\t{to}");
        let before: Option<Trouble> =
            known.remove(&name).and_then(|text| serde_json::from_str(&text).ok());
        let unreachable = failure.unreachable || failure.to.is_some();
        let mut trouble =
            before.filter(|known| known.unreachable == unreachable).unwrap_or(Trouble {
                place: place.into(),
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
        tables.put_note(&name, None)?;
        if let Ok(trouble) = serde_json::from_str::<Trouble>(&text) {
            say(Level::Notice, format!("{} can be used again", trouble.place));
        }
    }
    lines.iter().try_for_each(|line| tables.put_log(line))?;
    Ok(lines)
}

/// Whether a step could not use a place, so that it is due until it can: all such places, or only
/// those that are away.
pub fn is_due_again(tables: &mut dyn Tables, step: &str, away: bool) -> Stored<bool> {
    let troubles = tables.notes(&format!("{TROUBLE}{step}:"))?;
    let is_away =
        |text: &str| serde_json::from_str::<Trouble>(text).is_ok_and(|trouble| trouble.unreachable);
    Ok(troubles.iter().any(|(_, text)| !away || is_away(text)))
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
