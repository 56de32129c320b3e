//! The steps of a history as text: `WHO VERB [NUMBER] [dies MOMENT]`.
//!
//! A number selects whatever the verb needs (a key, a backup, another postoffice, a seed), modulo of
//! what there is. So every step stays possible when others are left out.

use std::fmt;
use std::str::FromStr;

/// A postoffice of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    Hq,
    A,
    B,
    C,
}

impl Site {
    pub const ALL: [Self; 4] = [Self::Hq, Self::A, Self::B, Self::C];
    pub const REQUESTORS: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The name of its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Hq => "hq",
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
        }
    }

    pub fn postoffice(self) -> &'static str {
        match self {
            Self::Hq => "NORTH/HQ",
            Self::A => "SOUTH/A",
            Self::B => "SOUTH/B",
            Self::C => "EAST/C",
        }
    }

    /// The shared folder through which a requestor's messages travel: two have one together.
    pub fn share(self) -> usize {
        usize::from(self == Self::C)
    }

    /// One of the requestors.
    pub fn requestor(number: usize) -> Self {
        Self::REQUESTORS[number % Self::REQUESTORS.len()]
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder())
    }
}

/// The names of the shared folders.
pub const SHARES: [&str; 2] = ["share1", "share2"];

/// Where a step happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    At(Site),
    Share(usize),
    All,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(site) => write!(f, "{site}"),
            Self::Share(share) => f.write_str(SHARES[*share]),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let site = Site::ALL.into_iter().find(|site| site.folder() == word).map(Self::At);
        let share = SHARES.iter().position(|share| *share == word).map(Self::Share);
        let all = (word == "all").then_some(Self::All);
        site.or(share).or(all).ok_or_else(|| format!("\"{word}\" is no postoffice and no share"))
    }
}

/// Kinds of events, each of which a run can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Agents,
    Alone,
    Backups,
    Changes,
    Contests,
    Copies,
    Foreign,
    Held,
    Junk,
    Kills,
    Members,
    Messages,
    Putbacks,
    Reinstalls,
    Restores,
    Settings,
    Shares,
    Sources,
    Steps,
    Transfers,
    Twins,
    Views,
}

impl Kind {
    pub const ALL: [(Self, &'static str); 22] = [
        (Self::Agents, "agents"),
        (Self::Alone, "alone"),
        (Self::Backups, "backups"),
        (Self::Changes, "changes"),
        (Self::Contests, "contests"),
        (Self::Copies, "copies"),
        (Self::Foreign, "foreign"),
        (Self::Held, "held"),
        (Self::Junk, "junk"),
        (Self::Kills, "kills"),
        (Self::Members, "members"),
        (Self::Messages, "messages"),
        (Self::Putbacks, "putbacks"),
        (Self::Reinstalls, "reinstalls"),
        (Self::Restores, "restores"),
        (Self::Settings, "settings"),
        (Self::Shares, "shares"),
        (Self::Sources, "sources"),
        (Self::Steps, "steps"),
        (Self::Transfers, "transfers"),
        (Self::Twins, "twins"),
        (Self::Views, "views"),
    ];

    /// Without these there is no history.
    pub fn is_needed(self) -> bool {
        matches!(self, Self::Backups | Self::Changes | Self::Steps)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name)| *name == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("\"{word}\" is no kind of event; there are {}", names.join(", "))
        })
    }
}

/// Who may be told to do something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Any,
    Requestor,
    Server,
    Share,
    All,
}

macro_rules! verbs {
    ($($verb:ident $word:literal $kind:ident $whom:ident $weight:literal)*) => {
        /// What happens.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Verb { $($verb),* }

        impl Verb {
            /// Each with its word, its kind, who does it, and how often it is drawn beside others.
            pub const ALL: &[(Self, &'static str, Kind, Whom, usize)] =
                &[$((Self::$verb, $word, Kind::$kind, Whom::$whom, $weight)),*];
        }
    };
}

verbs! {
    Add "add" Changes Any 10
    Modify "modify" Changes Any 12
    Delete "delete" Changes Any 5
    Contest "contest" Contests Any 4
    Import "import" Sources Any 5
    Rows "rows" Sources Any 6
    Spoil "spoil" Sources Any 2
    Rest "rest" Steps All 2
    Watch "watch" Steps All 3
    Ask "ask" Steps Any 3
    Repair "repair" Steps Any 1
    Send "send" Steps Any 6
    Process "process" Steps Server 8
    Apply "apply" Steps Any 6
    Cycle "cycle" Steps Any 24
    Once "once" Agents Any 4
    Agent "agent" Agents Any 5
    Stop "stop" Agents Any 3
    RestByAgents "rest-by-agents" Alone All 0
    Kill "kill" Kills Any 4
    Settings "settings" Settings Any 4
    Approve "approve" Held Any 2
    Reject "reject" Held Any 2
    Backup "backup" Backups Any 6
    Restore "restore" Restores Any 9
    PutBack "put-back" Putbacks Any 6
    Foreign "restore-foreign" Foreign Any 2
    Reinstall "reinstall" Reinstalls Requestor 4
    Copy "copy" Copies Any 3
    Stray "use-copy" Copies Any 1
    Move "move" Copies Any 2
    Rejoin "rejoin" Copies Any 1
    Promote "promote" Copies Server 4
    Twins "twins" Twins Requestor 3
    View "view" Views Server 4
    Suspend "suspend" Members Server 2
    Resume "resume" Members Server 2
    Remove "remove" Members Server 1
    Readmit "readmit" Members Server 1
    Release "release" Transfers Any 4
    Claim "claim" Transfers Any 6
    HandOver "hand-over" Transfers Any 4
    Lose "lose" Messages Share 4
    Hold "hold" Messages Share 4
    Return "return" Messages Share 3
    Double "double" Messages Share 3
    Cut "cut" Messages Share 2
    Flip "flip" Messages Share 2
    Empty "empty" Messages Share 1
    Plant "plant" Junk Share 4
    Away "away" Shares Share 3
    AsFile "as-file" Shares Share 1
    Block "block" Shares Share 2
    Back "back" Shares Share 4
}

impl Verb {
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(verb, ..)| *verb == self).map_or("", |(_, word, ..)| word)
    }

    /// Whether a single command does it, which can be killed on its way.
    pub fn is_killable(self) -> bool {
        use Verb::{
            Add, Apply, Approve, Contest, Cycle, Delete, Import, Modify, Once, Process, Restore,
            Send,
        };
        let killable =
            [Add, Modify, Delete, Contest, Import, Send, Process, Apply, Cycle, Once, Approve];
        killable.contains(&self) || self == Restore
    }
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub who: Who,
    pub verb: Verb,
    pub number: usize,
    /// When its command is killed, in tenths of a millisecond.
    pub dies: Option<u32>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who, self.verb.word())?;
        if self.number > 0 {
            write!(f, " {}", self.number)?;
        }
        self.dies.map_or(Ok(()), |moment| write!(f, " dies {moment}"))
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let who = words.next().ok_or("a step is empty")?.parse()?;
        let word = words.next().ok_or_else(|| format!("\"{text}\" says nothing to do"))?;
        let found = Verb::ALL.iter().find(|(_, known, ..)| *known == word);
        let (verb, ..) = *found.ok_or_else(|| format!("\"{word}\" is no verb of a history"))?;
        let mut step = Self { who, verb, number: 0, dies: None };
        while let Some(word) = words.next() {
            let wrong = || format!("\"{text}\" does not end as a step does");
            if word == "dies" {
                let moment = words.next().and_then(|moment| moment.parse().ok());
                step.dies = Some(moment.ok_or_else(wrong)?);
            } else {
                step.number = word.parse().map_err(|_| wrong())?;
            }
        }
        Ok(step)
    }
}

/// Steps from text: one a line, or several separated by semicolons.
pub fn parse(text: &str) -> Result<Vec<Step>, String> {
    let steps = text.split([';', '\n']).map(|step| step.split('#').next().unwrap_or_default());
    steps.filter(|step| !step.trim().is_empty()).map(str::parse).collect()
}

/// Steps as [`parse`] reads them.
pub fn shown(steps: &[Step]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_are_shown() {
        let text = "a add 3; share1 lose 2; all watch; hq view 7; b cycle dies 12";
        assert_eq!(shown(&parse(text).unwrap()), text);
        assert_eq!(parse("a add # why\n\n b cycle\n").unwrap().len(), 2);
        for wrong in ["x add", "a fly", "a", "a add x", "a add dies"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
