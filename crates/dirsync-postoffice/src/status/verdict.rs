//! How a postoffice is, in one word.

use dirsync_agent::alarm::{Alarm, AlarmKind};
use schemars::JsonSchema;
use serde::Serialize;

use crate::registrations::Standing;

/// How a postoffice is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something is wrong that does not end by itself.
    NeedsYou,
    /// It was not heard for too long.
    Late,
    /// It takes no part, because somebody decided so or another machine has its name.
    Stopped,
    /// Something is under way, or waits for a decision.
    Waiting,
    /// All is well.
    Well,
}

/// What a verdict rests on.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub standing: Standing,
    /// Whether its list is as it should be; `None` if it has none yet.
    pub list_equal: Option<bool>,
    /// Its list differs for longer than a repair takes.
    pub differs_long: bool,
    /// What waits for a person there, as it says.
    pub waits_there: u64,
    /// The alarms about it.
    pub alarms: &'a [&'a Alarm],
}

/// How a postoffice is, and the kind of the alarm that decides it, if one does.
pub(super) fn verdict(facts: &Facts<'_>) -> (Verdict, Option<AlarmKind>) {
    let kinds = facts.alarms.iter().map(|alarm| alarm.kind());
    let of_alarms = kinds.map(|kind| (of_alarm(kind, facts.differs_long), Some(kind)));
    let of_standing = match facts.standing {
        Standing::Suspended | Standing::Removed | Standing::Fenced => Verdict::Stopped,
        Standing::Invited => Verdict::Waiting,
        Standing::Active if facts.list_equal.is_none() || facts.waits_there > 0 => Verdict::Waiting,
        Standing::Active => Verdict::Well,
    };
    // Of an alarm and a standing that weigh the same, the alarm says more.
    let of_standing = (of_standing, None);
    of_alarms.chain([of_standing]).min_by_key(|(verdict, _)| *verdict).unwrap_or(of_standing)
}

fn of_alarm(kind: AlarmKind, differs_long: bool) -> Verdict {
    match kind {
        AlarmKind::Stopped | AlarmKind::Suspended => Verdict::Stopped,
        AlarmKind::Overdue => Verdict::Late,
        AlarmKind::Differs if differs_long => Verdict::NeedsYou,
        AlarmKind::Differs | AlarmKind::Recovering => Verdict::Waiting,
        AlarmKind::Refused
        | AlarmKind::NotAdmitted
        | AlarmKind::Doubled
        | AlarmKind::Place
        | AlarmKind::Step
        | AlarmKind::Source
        | AlarmKind::Target
        | AlarmKind::Schedule
        | AlarmKind::Decisions
        | AlarmKind::AlarmCommand => Verdict::NeedsYou,
        AlarmKind::HeldDeletions
        | AlarmKind::Held
        | AlarmKind::HeldElsewhere
        | AlarmKind::Quarantined
        | AlarmKind::Invalid
        | AlarmKind::Waiting
        | AlarmKind::Offered
        | AlarmKind::Unregistered => Verdict::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(alarms: &'a [&'a Alarm]) -> Facts<'a> {
        Facts {
            standing: Standing::Active,
            list_equal: Some(true),
            differs_long: false,
            waits_there: 0,
            alarms,
        }
    }

    #[test]
    fn the_worst_thing_decides() {
        let name = || "WEST/LAB".parse().unwrap();
        let overdue = Alarm::Overdue { name: name(), since: 1 };
        let doubled = Alarm::Doubled { name: name() };
        let differs = Alarm::Differs { name: name(), since: 1 };
        let suspended = Facts { standing: Standing::Suspended, ..facts(&[]) };
        let is = |facts: &Facts<'_>, word, kind: Option<AlarmKind>| {
            assert_eq!(verdict(facts), (word, kind));
        };
        is(&facts(&[]), Verdict::Well, None);
        is(&facts(&[&overdue]), Verdict::Late, Some(AlarmKind::Overdue));
        is(&facts(&[&overdue, &doubled]), Verdict::NeedsYou, Some(AlarmKind::Doubled));
        is(&suspended, Verdict::Stopped, None);
        let late = Facts { alarms: &[&overdue], ..suspended.clone() };
        is(&late, Verdict::Late, Some(AlarmKind::Overdue));
        // It is repaired by itself.
        is(&facts(&[&differs]), Verdict::Waiting, Some(AlarmKind::Differs));
        let waiting = Alarm::Waiting { origin: name(), count: 1 };
        is(&facts(&[&waiting]), Verdict::Waiting, Some(AlarmKind::Waiting));
        // Somebody decided that it is stopped, and that its entries wait is no reason to look at it.
        is(&Facts { alarms: &[&waiting], ..suspended }, Verdict::Stopped, None);
        let differs = [&differs];
        let long = Facts { differs_long: true, ..facts(&differs) };
        is(&long, Verdict::NeedsYou, Some(AlarmKind::Differs));
    }

    #[test]
    fn what_is_under_way_waits() {
        let nothing = facts(&[]);
        for waits in [
            Facts { standing: Standing::Invited, ..nothing.clone() },
            Facts { list_equal: None, ..nothing.clone() },
            Facts { waits_there: 1, ..nothing },
        ] {
            assert_eq!(verdict(&waits), (Verdict::Waiting, None), "{waits:?}");
        }
    }
}
