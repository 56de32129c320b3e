//! The last probe of each place and postoffice: when it was sent, and when it was answered.

use std::collections::BTreeMap;

use dirsync_directory::PostofficeName;
use dirsync_protocol::tables::{Stored, Tables};
use dirsync_seal::ProbeId;
use serde::{Deserialize, Serialize};

use crate::exchange::{Exchanged, Probe};
use crate::notes::PROBE;

/// The last probe to a postoffice over a place. All times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastProbe {
    id: String,
    /// When a person asked for it.
    pub asked_at: u64,
    /// When it left. `None` while it waits for the line.
    pub sent: Option<u64>,
    /// Its answer.
    pub answer: Option<Answer>,
}

/// The times of an answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When the other side answered, by its clock.
    pub answered: u64,
    /// When the answer came, by the clock here.
    pub came: u64,
}

/// The last probes to all postoffices over all places.
#[derive(Clone, Debug, Default)]
pub struct LastProbes(BTreeMap<String, LastProbe>);

impl LastProbes {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn load(tables: &mut dyn Tables) -> Stored<Self> {
        let notes = tables.notes(PROBE)?.into_iter();
        let last = |(name, text): (String, String)| Some((name, serde_json::from_str(&text).ok()?));
        Ok(Self(notes.filter_map(last).collect()))
    }

    /// The last probe to a postoffice over a place. `None` if there was none.
    pub fn of(&self, place: &str, to: &PostofficeName) -> Option<&LastProbe> {
        self.0.get(&name_of(place, to))
    }

    /// The probes to these postoffices that wait for the line of a place.
    pub fn waiting(&self, place: &str, to: &[PostofficeName]) -> Vec<Probe> {
        let waits = |to: &PostofficeName| {
            let last = self.of(place, to).filter(|last| last.sent.is_none())?;
            Some(Probe { to: to.clone(), id: last.id.parse().ok()? })
        };
        to.iter().filter_map(waits).collect()
    }
}

impl LastProbe {
    /// Whether this is the probe with this id.
    pub fn is(&self, id: ProbeId) -> bool {
        self.id == id.to_string()
    }

    fn put(&self, tables: &mut dyn Tables, note: &str) -> Stored<()> {
        tables.put_note(note, Some(&serde_json::to_string(self).unwrap_or_default()))
    }
}

/// Notes that a person asks for a probe over a place. It takes the place of an earlier one.
///
/// # Errors
///
/// If the store fails.
pub fn ask(tables: &mut dyn Tables, place: &str, probe: &Probe, now: u64) -> Stored<()> {
    let id = probe.id.to_string();
    let asked = LastProbe { id, asked_at: now, sent: None, answer: None };
    asked.put(tables, &name_of(place, &probe.to))
}

/// Notes the probes and answers of an exchange. Returns whether there were any.
///
/// # Errors
///
/// If the store fails.
pub fn note_exchanged(tables: &mut dyn Tables, done: &Exchanged) -> Stored<bool> {
    if done.probed.is_empty() && done.answers.is_empty() {
        return Ok(false);
    }
    for (note, before) in LastProbes::load(tables)?.0 {
        let mut last = before.clone();
        if let Some((_, sent)) = done.probed.iter().find(|(probe, _)| last.is(probe.id)) {
            last.sent = Some(*sent);
        }
        let is_of = |from: &PostofficeName| note.ends_with(&format!("\t{}", from.folded()));
        let answer = done.answers.iter().find(|answer| last.is(answer.id) && is_of(&answer.from));
        if let Some(answer) = answer {
            last.answer = Some(Answer { answered: answer.answered, came: answer.came });
        }
        if last != before {
            last.put(tables, &note)?;
        }
    }
    Ok(true)
}

fn name_of(place: &str, to: &PostofficeName) -> String {
    format!("{PROBE}{place}\t{}", to.folded())
}
