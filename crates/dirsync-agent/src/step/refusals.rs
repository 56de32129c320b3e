//! One log line a day and sender for messages that are refused. Anybody who can write to an inbox can write
//! many files, under any names.

use std::collections::BTreeMap;

use dirsync_directory::{PostofficeName, plural};
use dirsync_protocol::context::{Event, Level};
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{Stored, Tables};
use dirsync_store::Store;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{RefusedMessage, Surroundings, put_events};
use crate::notes::REFUSALS;

/// The most senders that have lines of their own on a day. All others share one.
const SENDERS_MAX: usize = 64;
/// The most senders that the line about the day before names.
const NAMED_MAX: usize = 3;

/// Who sent a refused message, as it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sender {
    Named(PostofficeName),
    /// The senders beyond [`SENDERS_MAX`].
    Others,
    /// It could not be read so far.
    Unknown,
}

impl Sender {
    const OTHERS: &str = "others";
    const UNKNOWN: &str = "unknown";

    /// No postoffice has a name without a slash.
    fn word(&self) -> &str {
        match self {
            Self::Named(name) => name.as_str(),
            Self::Others => Self::OTHERS,
            Self::Unknown => Self::UNKNOWN,
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        match word {
            Self::OTHERS => Some(Self::Others),
            Self::UNKNOWN => Some(Self::Unknown),
            name => name.parse().ok().map(Self::Named),
        }
    }

    fn in_words(&self) -> &str {
        match self {
            Self::Named(name) => name.as_str(),
            Self::Others => "other senders",
            Self::Unknown => "unknown senders",
        }
    }
}

/// The senders of whom a step refused a message on one day (UTC), each with the number of its messages after
/// the one that was logged. As text: the day, then a line for each, `NUMBER SENDER`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusals {
    day: Date,
    more: BTreeMap<Sender, u64>,
}

fn day_of(now: u64) -> Date {
    let at = i64::try_from(now).ok().and_then(|now| Timestamp::from_millisecond(now).ok());
    TimeZone::UTC.to_datetime(at.unwrap_or(Timestamp::MAX)).date()
}

impl Refusals {
    fn on(day: Date) -> Self {
        Self { day, more: BTreeMap::new() }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut refusals = Self::on(lines.next()?.parse().ok()?);
        for line in lines {
            let (more, sender) = line.split_once(' ')?;
            refusals.more.insert(Sender::of_word(sender)?, more.parse().ok()?);
        }
        Some(refusals)
    }

    fn to_text(&self) -> String {
        let lines = self.more.iter().map(|(sender, more)| format!("{more} {}\n", sender.word()));
        format!("{}\n{}", self.day, lines.collect::<String>())
    }

    /// Counts a message. Returns whether it is its sender's first one on this day, which is logged.
    fn count(&mut self, sender: Option<&PostofficeName>) -> bool {
        let sender = sender.map_or(Sender::Unknown, |name| Sender::Named(name.clone()));
        let is_room = self.more.len() < SENDERS_MAX || self.more.contains_key(&sender);
        let sender = if is_room || sender == Sender::Unknown { sender } else { Sender::Others };
        match self.more.get_mut(&sender) {
            Some(more) => {
                *more += 1;
                false
            }
            None => {
                self.more.insert(sender, 0);
                true
            }
        }
    }

    /// The messages that were counted and not logged, in words. `None` if there were none.
    fn summary(&self) -> Option<String> {
        let mut most: Vec<(&Sender, u64)> = self
            .more
            .iter()
            .map(|(sender, more)| (sender, *more))
            .filter(|(_, n)| *n > 0)
            .collect();
        most.sort_by_key(|(_, more)| std::cmp::Reverse(*more));
        let total: u64 = most.iter().map(|(_, more)| more).sum();
        let mut of: Vec<String> = most
            .iter()
            .take(NAMED_MAX)
            .map(|(sender, more)| format!("{more} of {}", sender.in_words()))
            .collect();
        let unnamed: u64 = most.iter().skip(NAMED_MAX).map(|(_, more)| more).sum();
        if unnamed > 0 {
            of.push(format!(
                "{unnamed} of {}",
                plural((most.len() - NAMED_MAX) as u64, "other", "others")
            ));
        }
        let messages = plural(total, "more message was", "more messages were");
        (total > 0)
            .then(|| format!("on {} {messages} refused and set aside: {}", self.day, of.join(", ")))
    }
}

fn note_of(step: Row) -> String {
    format!("{REFUSALS}{}", step.name())
}

/// Ends the day before: an event says how many refused messages were not logged. The first step of each day does it.
pub(super) fn end_day(
    tables: &mut dyn Tables,
    step: Row,
    around: &Surroundings,
) -> Stored<Option<Event>> {
    let note = note_of(step);
    let Some(text) = tables.note(&note)? else { return Ok(None) };
    let refusals = Refusals::parse(&text);
    if refusals.as_ref().is_some_and(|refusals| refusals.day == day_of(around.now)) {
        return Ok(None);
    }
    tables.put_note(&note, None)?;
    let text = refusals.and_then(|refusals| refusals.summary());
    Ok(text.map(|text| Event { level: Level::Warning, row: step, text }))
}

/// A message that was refused and set aside, with the sender that it names, if it could be read so far.
pub(super) type Refused = (Option<PostofficeName>, RefusedMessage);

/// Logs messages that were set aside: of each sender the first one on this day. The others are counted.
///
/// With them other events are logged that have happened outside of the database. They are true already, so they are
/// added to `said` even if they cannot be logged.
pub(super) fn log_refused(
    store: &mut dyn Store,
    step: Row,
    around: &Surroundings,
    (refused, mut events): (&[Refused], Vec<Event>),
    said: &mut Vec<Event>,
) -> Stored<()> {
    if refused.is_empty() && events.is_empty() {
        return Ok(());
    }
    let logged = (|| {
        let mut tables = store.begin()?;
        let firsts = count_all(&mut *tables, step, around, refused)?;
        put_events(&mut *tables, step, around, &[&events[..], &firsts].concat())?;
        tables.commit()?;
        Ok(firsts)
    })();
    let everything = || refused.iter().map(|(_, why)| why.set_aside(step)).collect();
    events.extend(logged.as_ref().map_or_else(|_| everything(), Vec::clone));
    said.extend(events);
    logged.map(drop)
}

fn count_all(
    tables: &mut dyn Tables,
    step: Row,
    around: &Surroundings,
    refused: &[Refused],
) -> Stored<Vec<Event>> {
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let mut events: Vec<Event> = end_day(tables, step, around)?.into_iter().collect();
    let note = note_of(step);
    let known = tables.note(&note)?.as_deref().and_then(Refusals::parse);
    let mut refusals = known.unwrap_or_else(|| Refusals::on(day_of(around.now)));
    for (sender, why) in refused {
        if refusals.count(sender.as_ref()) {
            events.push(why.set_aside(step));
        }
    }
    tables.put_note(&note, Some(&refusals.to_text()))?;
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 20_000 * 24 * 60 * 60 * 1000;

    fn name(text: &str) -> PostofficeName {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_message_of_a_sender_is_logged_and_the_others_are_counted() {
        let mut refusals = Refusals::on(day_of(DAY));
        let (one, other) = (name("South/A"), name("WEST/B"));
        let senders = [Some(&one), None, Some(&one), Some(&other), None, None, Some(&one)];
        let first = senders.map(|sender| refusals.count(sender));
        assert_eq!(first, [true, true, false, true, false, false, false]);
        assert!(!refusals.count(Some(&name("SOUTH/a"))), "in any case");
        assert_eq!(
            refusals.summary().unwrap(),
            "on 2024-10-04 5 more messages were refused and set aside: 3 of South/A, \
             2 of unknown senders"
        );
        assert_eq!(Refusals::parse(&refusals.to_text()), Some(refusals));
        assert_eq!(Refusals::on(day_of(DAY)).summary(), None);
    }

    /// A stranger may invent names. However many, the log and the note stay short.
    #[test]
    fn invented_names_are_bounded() {
        let mut refusals = Refusals::on(day_of(DAY));
        let names: Vec<_> = (0..1000).map(|number| name(&format!("N/{number}"))).collect();
        let logged = names.iter().chain(&names).filter(|name| refusals.count(Some(name))).count();
        assert_eq!(logged, SENDERS_MAX + 1);
        assert!(refusals.count(None), "files of which nothing can be read have their own line");
        assert_eq!(refusals.to_text().lines().count(), SENDERS_MAX + 3);
        let summary = refusals.summary().unwrap();
        assert!(summary.contains("1935 more messages") && summary.len() < 200, "{summary}");
        assert!(summary.ends_with(": 1871 of other senders, 1 of N/0, 1 of N/1, 62 of 62 others"));
    }

    #[test]
    fn a_day_is_one_of_utc() {
        for (now, day) in [(DAY - 1, "2024-10-03"), (DAY, "2024-10-04"), (u64::MAX, "9999-12-30")] {
            assert_eq!(day_of(now).to_string(), day);
        }
    }
}
