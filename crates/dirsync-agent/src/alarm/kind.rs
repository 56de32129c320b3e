//! What may need a person: a value for each thing, with what is known of it.

use std::fmt;

use dirsync_directory::PostofficeName;
use dirsync_message::Side;
use dirsync_protocol::guard::GuardKind;
use schemars::JsonSchema;
use serde::Serialize;

use crate::decisions::LogState;
use crate::json;
use crate::schedule::Step;
use crate::trouble::Trouble;

/// Something that needs a person, or may come to need one, as long as it lasts. `status` shows all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Alarm {
    /// Changes that a source asks for wait for a decision here.
    Held {
        /// The source.
        source: String,
        /// Why they are held.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        reason: GuardKind,
        /// Whether they are deletions; else entries would change.
        deletes: bool,
        /// How many wait.
        count: u64,
        /// Since when the first one does.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "Option<json::Time>")]
        since: u64,
    },
    /// Deletions of an origin wait for a decision at the server.
    HeldDeletions {
        /// The origin.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        origin: PostofficeName,
        /// How many wait.
        count: u64,
        /// Since when the first one does.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "Option<json::Time>")]
        since: u64,
    },
    /// Deletions of this postoffice wait at its server.
    HeldElsewhere {
        /// How many wait.
        count: u64,
    },
    /// Rows or changes are in quarantine.
    Quarantined {
        /// The source or postoffice that they came from.
        origin: String,
        /// How many there are.
        count: u64,
        /// Since when the first one is there.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "Option<json::Time>")]
        since: u64,
    },
    /// Entries wait for an address, or an id, that another postoffice has.
    Waiting {
        /// Their origin.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        origin: PostofficeName,
        /// How many wait.
        count: u64,
    },
    /// Entries cannot be published at all.
    Invalid {
        /// Their origin.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        origin: PostofficeName,
        /// How many there are.
        count: u64,
    },
    /// Entries are released to this postoffice, which may claim them.
    Offered {
        /// How many there are.
        count: u64,
    },
    /// A postoffice that is not registered sends requests.
    Unregistered {
        /// Its name, as it says.
        sender: String,
    },
    /// Nothing was heard of a postoffice for too long.
    Overdue {
        /// The postoffice.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        name: PostofficeName,
        /// Since when.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "Option<json::Time>")]
        since: u64,
    },
    /// Several machines have one name.
    Doubled {
        /// The name.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        name: PostofficeName,
    },
    /// A list differs from what the server made it. It is repaired with the next messages.
    Differs {
        /// The postoffice whose list it is.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        name: PostofficeName,
        /// Since when; null if that is not known.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "Option<json::Time>")]
        since: u64,
    },
    /// The server was restored and waits until every origin has spoken again.
    Recovering {
        /// The origins that have not.
        #[serde(serialize_with = "json::texts")]
        #[schemars(with = "Vec<String>")]
        waits_for: Vec<PostofficeName>,
    },
    /// The server does not admit this postoffice.
    Refused {
        /// Why not.
        refusal: Refusal,
    },
    /// This server does not admit a machine that sends as a registered postoffice.
    NotAdmitted {
        /// The postoffice.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        name: PostofficeName,
        /// Why not.
        refusal: Refusal,
    },
    /// The server lets this postoffice's requests wait.
    Suspended,
    /// Nothing is sent from here.
    Stopped {
        /// Why.
        stopped: Stopped,
        /// Why this is not the postoffice's home, if that is the reason.
        away: Option<Away>,
    },
    /// A source could not be read to its end, or is held because a run was undone.
    Source {
        /// Its name.
        name: String,
        /// What failed.
        reason: String,
        /// Whether it is held because a run was undone.
        held: bool,
    },
    /// A target could not be written.
    Target {
        /// Its file.
        file: String,
        /// What failed.
        reason: String,
    },
    /// A place of messages cannot be used.
    Place {
        /// The place.
        place: String,
        /// Whether it is away; else something in it is in the way.
        unreachable: bool,
        /// What failed.
        reason: String,
        /// Since when.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "Option<json::Time>")]
        since: u64,
    },
    /// The agent could not do its last step.
    Step {
        /// What failed.
        reason: String,
    },
    /// The schedule never does something.
    Schedule {
        /// What.
        never: Never,
    },
    /// The log of decisions does not fit the database.
    Decisions {
        /// How.
        trouble: LogTrouble,
    },
    /// The alarm command failed.
    AlarmCommand {
        /// What failed.
        reason: String,
    },
}

/// The kinds of [`Alarm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the variants of Alarm")]
pub enum AlarmKind {
    Stopped,
    Refused,
    Suspended,
    NotAdmitted,
    Doubled,
    Recovering,
    Overdue,
    Place,
    Step,
    Source,
    Target,
    Schedule,
    Decisions,
    AlarmCommand,
    Differs,
    HeldDeletions,
    Held,
    HeldElsewhere,
    Quarantined,
    Invalid,
    Waiting,
    Offered,
    Unregistered,
}

impl AlarmKind {
    /// All kinds, the worst first.
    pub const ALL: [Self; 23] = [
        Self::Stopped,
        Self::Refused,
        Self::Suspended,
        Self::NotAdmitted,
        Self::Doubled,
        Self::Recovering,
        Self::Overdue,
        Self::Place,
        Self::Step,
        Self::Source,
        Self::Target,
        Self::Schedule,
        Self::Decisions,
        Self::AlarmCommand,
        Self::Differs,
        Self::HeldDeletions,
        Self::Held,
        Self::HeldElsewhere,
        Self::Quarantined,
        Self::Invalid,
        Self::Waiting,
        Self::Offered,
        Self::Unregistered,
    ];

    /// The word by which logs, scripts and the alarm command know it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Refused => "refused",
            Self::Suspended => "suspended",
            Self::NotAdmitted => "not_admitted",
            Self::Doubled => "doubled",
            Self::Recovering => "recovering",
            Self::Overdue => "overdue",
            Self::Place => "place",
            Self::Step => "step",
            Self::Source => "source",
            Self::Target => "target",
            Self::Schedule => "schedule",
            Self::Decisions => "decisions",
            Self::AlarmCommand => "alarm_command",
            Self::Differs => "differs",
            Self::HeldDeletions => "held_deletions",
            Self::Held => "held",
            Self::HeldElsewhere => "held_elsewhere",
            Self::Quarantined => "quarantined",
            Self::Invalid => "invalid",
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Unregistered => "unregistered",
        }
    }

    /// Whether the administrator's command is called. It is not for what usually ends by itself, for what
    /// another one decides, and for a call that failed.
    pub fn rings(self) -> bool {
        !matches!(
            self,
            Self::AlarmCommand
                | Self::Differs
                | Self::HeldElsewhere
                | Self::Invalid
                | Self::Waiting
                | Self::Offered
                | Self::Unregistered
        )
    }

    /// Whether it is something that waits for a decision; else something is wrong.
    pub fn waits(self) -> bool {
        matches!(
            self,
            Self::HeldDeletions
                | Self::Held
                | Self::HeldElsewhere
                | Self::Quarantined
                | Self::Invalid
                | Self::Waiting
                | Self::Offered
                | Self::Unregistered
        )
    }
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Alarm {
    /// Its kind.
    pub fn kind(&self) -> AlarmKind {
        match self {
            Self::Held { .. } => AlarmKind::Held,
            Self::HeldDeletions { .. } => AlarmKind::HeldDeletions,
            Self::HeldElsewhere { .. } => AlarmKind::HeldElsewhere,
            Self::Quarantined { .. } => AlarmKind::Quarantined,
            Self::Waiting { .. } => AlarmKind::Waiting,
            Self::Invalid { .. } => AlarmKind::Invalid,
            Self::Offered { .. } => AlarmKind::Offered,
            Self::Unregistered { .. } => AlarmKind::Unregistered,
            Self::Overdue { .. } => AlarmKind::Overdue,
            Self::Doubled { .. } => AlarmKind::Doubled,
            Self::Differs { .. } => AlarmKind::Differs,
            Self::Recovering { .. } => AlarmKind::Recovering,
            Self::Refused { .. } => AlarmKind::Refused,
            Self::NotAdmitted { .. } => AlarmKind::NotAdmitted,
            Self::Suspended => AlarmKind::Suspended,
            Self::Stopped { .. } => AlarmKind::Stopped,
            Self::Source { .. } => AlarmKind::Source,
            Self::Target { .. } => AlarmKind::Target,
            Self::Place { .. } => AlarmKind::Place,
            Self::Step { .. } => AlarmKind::Step,
            Self::Schedule { .. } => AlarmKind::Schedule,
            Self::Decisions { .. } => AlarmKind::Decisions,
            Self::AlarmCommand { .. } => AlarmKind::AlarmCommand,
        }
    }

    /// How many things it is about.
    pub fn count(&self) -> u64 {
        match self {
            Self::Held { count, .. }
            | Self::HeldDeletions { count, .. }
            | Self::HeldElsewhere { count }
            | Self::Quarantined { count, .. }
            | Self::Waiting { count, .. }
            | Self::Invalid { count, .. }
            | Self::Offered { count } => *count,
            _ => 1,
        }
    }

    /// The kind, and which of them: two alarms of one subject are one.
    pub fn subject(&self) -> String {
        let word = self.kind().word().replace('_', " ");
        let of: &dyn fmt::Display = match self {
            Self::Held { source, .. } => source,
            Self::HeldDeletions { origin, .. }
            | Self::Waiting { origin, .. }
            | Self::Invalid { origin, .. } => origin,
            Self::Quarantined { origin, .. } => origin,
            Self::Unregistered { sender } => sender,
            Self::Overdue { name, .. }
            | Self::Doubled { name }
            | Self::Differs { name, .. }
            | Self::NotAdmitted { name, .. } => name,
            Self::Stopped { stopped, .. } => &stopped.word(),
            Self::Source { name, .. } => name,
            Self::Target { file, .. } => file,
            Self::Place { place, .. } => place,
            Self::Schedule { never } => &never.subject(),
            Self::Decisions { trouble } => &trouble.word(),
            Self::HeldElsewhere { .. }
            | Self::Offered { .. }
            | Self::Recovering { .. }
            | Self::Refused { .. }
            | Self::Suspended
            | Self::Step { .. }
            | Self::AlarmCommand { .. } => return word,
        };
        format!("{word} {of}")
    }
}

impl From<Trouble> for Alarm {
    fn from(trouble: Trouble) -> Self {
        let Trouble { place, unreachable, text, since, .. } = trouble;
        Self::Place { place, unreachable, reason: text, since }
    }
}

/// Why the server does not admit a postoffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Its invitation has expired.
    Expired,
    /// Another machine has its name.
    Taken,
    /// Its proof does not fit the invitation in force.
    Uninvited,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::Expired, Self::Taken, Self::Uninvited];

    /// The word that stands for it in databases.
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Taken => "taken",
            Self::Uninvited => "uninvited",
        }
    }

    /// The refusal for a word, or `None` if the word is not known.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.word() == word)
    }

    /// The refusal that a side answer stands for, if it is one.
    pub fn of(side: Side) -> Option<Self> {
        match side {
            Side::Expired => Some(Self::Expired),
            Side::Taken => Some(Self::Taken),
            Side::Own | Side::Fenced | Side::Removed | Side::Suspended => None,
        }
    }
}

/// Why nothing is sent from a postoffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// It is not at home: its folder was copied or moved.
    Away,
    /// Another machine goes on under its name.
    Fenced,
    /// The server removed it.
    Removed,
}

impl Stopped {
    /// The word by which scripts and the alarm command know it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Fenced => "fenced",
            Self::Removed => "removed",
        }
    }
}

/// Why a postoffice is not at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Away {
    /// It was noted on another machine.
    Machine,
    /// It was noted in another folder.
    Folder,
    /// Nothing that can be read says where it lives.
    Unknown,
}

impl fmt::Display for Away {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        output.write_str(match self {
            Self::Machine => "this postoffice lives on another machine",
            Self::Folder => "this folder was copied, or moved from another disk",
            Self::Unknown => "\"keys/home\" does not say where this postoffice lives",
        })
    }
}

/// What never happens on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Never {
    /// A step has no time.
    NoTime {
        /// The step.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        step: Step,
    },
    /// A step has a time and is not done at a requestor.
    OnlyAtServer {
        /// The step.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        step: Step,
    },
    /// A window may be over before the agent looks.
    ShortWindow {
        /// `schedule.window`.
        window_seconds: u64,
        /// `schedule.poll`.
        poll_seconds: u64,
    },
}

impl Never {
    fn subject(self) -> String {
        match self {
            Self::NoTime { step } | Self::OnlyAtServer { step } => step.to_string(),
            Self::ShortWindow { .. } => "window".into(),
        }
    }
}

/// How the log of decisions does not fit the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum LogTrouble {
    /// Another log has taken its place, or an older one.
    Lost {
        /// The lines that were carried out here.
        carried_out: u64,
    },
    /// It has lines that are not decisions.
    Unreadable {
        /// How many.
        lines: u64,
    },
    /// It has lines that are not carried out yet.
    Behind {
        /// How many.
        lines: u64,
    },
}

impl LogTrouble {
    /// All that is wrong with a log.
    pub fn of(log: LogState) -> impl Iterator<Item = Self> {
        let LogState { behind, unreadable, lost } = log;
        let some = |lines: u64| (lines > 0).then_some(lines);
        let lost = lost.map(|carried_out| Self::Lost { carried_out });
        let unreadable = some(unreadable).map(|lines| Self::Unreadable { lines });
        let behind = some(behind).map(|lines| Self::Behind { lines });
        [lost, unreadable, behind].into_iter().flatten()
    }

    fn word(self) -> &'static str {
        match self {
            Self::Lost { .. } => "lost",
            Self::Unreadable { .. } => "unreadable",
            Self::Behind { .. } => "behind",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_alarms_know_a_kind_by_one_word() {
        let alarms = [
            Alarm::Refused { refusal: Refusal::Taken },
            Alarm::Suspended,
            Alarm::AlarmCommand { reason: "it failed".into() },
            Alarm::HeldElsewhere { count: 2 },
            Alarm::Schedule { never: Never::NoTime { step: Step::Apply } },
        ];
        for alarm in alarms {
            let json = serde_json::to_value(&alarm).unwrap();
            assert_eq!(json["kind"], alarm.kind().word());
        }
    }

    #[test]
    fn the_kinds_are_listed_in_their_order() {
        assert!(AlarmKind::ALL.is_sorted());
    }
}
