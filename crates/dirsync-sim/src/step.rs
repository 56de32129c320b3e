//! Steps of a world as words, so that a trace reads like the table of `docs/failure-stories.md` §16.
//!
//! | words | step |
//! | --- | --- |
//! | `A1 +a1`, `A1 +a1@x,y` | A1 adds a1, with addresses |
//! | `A1 ~a1`, `A1 -a1`, `A1 a1>x,y`, `A1 cls a1` | modifies, deletes, renames, moves out of or into the narrow view |
//! | `A1 release a1 B`, `A1 withdraw a1`, `B1 claim a1` | hands an entry over |
//! | `A1 mass` | deletes everything that was made by hand |
//! | `A1 file list a1 a2`, `A1 line list a1` | the file of A's source `list` names just these; its line of a1 changes |
//! | `A1 read list`, `A1 read list broken` | the source is read; only the file's beginning. `part` is one that names only some |
//! | `A1 undo`, `A1 undo 2`, `A1 goon list` | a person undoes the newest run that is in force, or the second newest of all; lets a held source go on |
//! | `A1 approve`, `A1 reject` | a person decides what A1 holds of what its sources ask for |
//! | `A1 view narrow` | asks for another view: `all`, `narrow`, `untitled`, `bare`, `neighbours` |
//! | `req A1` | T1 |
//! | `t2 A`, `t2 A 1 s2 keep` | a server takes the oldest (or another) request; `keep`: it stays under way |
//! | `an A`, `an A first`, `an A each`, `an A s2` | a server answers; `first`: only the first part arrives; `each`: in many parts |
//! | `t3 A1`, `t3 A1 1 keep` | A1 takes the oldest (or another) update |
//! | `go A1` | `req A1`, `t2 A`, `an A`, `t3 A1` |
//! | `cycle` | every machine sends, servers process, every machine applies |
//! | `turn A1` | A1 takes all that lies in its inbox, then sends; what it leaves there stays for its copies |
//! | `turn s1` | the server takes all requests that lie in its inbox, then answers; likewise |
//! | `inbox A1` | T3 with all that lies in the inbox that A1 shares with its copies |
//! | `wait 3`, `pass 15` | three days, or fifteen minutes, pass |
//! | `drop q A`, `drop u A 1` | a request or update is lost |
//! | `t2 A 0 s1 cut 17`, `t3 A1 0 flip 99` | what arrives is cut off, or has a flipped bit, in thousandths of its length |
//! | `t2 A 0 s1 twice` | two agents see the same message |
//! | `bare A epoch`, `bare A instance`, `bare A point` | the oldest request of A claims, without evidence, a later epoch of the server, one of another instance, or a point that was never issued |
//! | `req A1 dies 3`, `an A s1 breaks 1` | the third operation of its database, or the first of its carrier, fails |
//! | `full A1`, `space A1` | its disk is full until there is space again |
//! | `clock A1 -86400` | its clock is off, in seconds |
//! | `backup X`, `restore X`, `restore X told` | of a site; the database is copied back, or `dirsync restore` does it |
//! | `standby`, `promote`, `move` | a copy of s1, which becomes s2; all of s1 becomes s2 |
//! | `reinstall A1` | a machine that knows nothing |
//! | `clone A1`, `clone s1` | a copy of its folder: A2, or A3 where there is one; s2, of the same instance |
//! | `purge s1`, `remove A`, `reinstate A`, `approve`, `reject`, `register C`, `recover s1` | a server forgets, and what a person decides |
//! | `damage A1 a2` | a byte of the list changes on the disk |
//! | `agent s1=hourly A1=continuous` | a process begins to look after postoffices: `continuous`, `often`, `hourly`, `nightly` |
//! | `stop A1`, `run 90` | the process of A1 ends; 90 minutes pass, in which agents do what is due |
//! | `away A`, `back A` | the place where A and the server exchange messages goes away, and is there again |
//! | `line A1 500`, `line A1 500 s2 lost` | the line of A1, which a world `slow A` has, passes 500 bytes, and a server looks at its place; then all that is there gets lost |
//! | `rate A 120`, `rate A full` | from here on the line of A passes 120 bytes whenever it is used in a cycle, or in a minute of agents; or all |
//! | `night A1 300`, `night A1 300 each` | T1, T2 and T3 of A1, whose line passes 300 bytes before T2 and again after it; nothing passes in vain |
//! | `rotate A1`, `rotate s1` | a postoffice changes its key, as `key rotate` does; in a world with keys |
//! | `wipe A1`, `wipe s1` | a site loses all bodies that travel apart from their letters |
//! | `fault` | from here on repairs are to be expected |

mod parse;

use std::fmt;

use thiserror::Error;

use crate::agents::Pace;
use crate::naming::Sight;
use crate::network::Parts;

/// How a step is disturbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Not at all.
    #[default]
    None,
    /// The how many-eth operation of the database fails.
    Dies(u64),
    /// After so many operations of the carrier it can do no more.
    Breaks(u64),
}

/// What becomes of a letter when it is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives.
    #[default]
    Whole,
    /// It arrives, and a copy stays under way.
    Keep,
    /// Two agents see it.
    Twice,
    /// It is cut off, at so many thousandths of its length.
    Cut(u64),
    /// A bit is flipped, at so many thousandths of its length.
    Flip(u64),
}

/// One change of a postoffice's own entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new entry, with addresses.
    Add(String, Vec<String>),
    /// Another phone number.
    Modify(String),
    /// It goes.
    Delete(String),
    /// Other addresses.
    Rename(String, Vec<String>),
    /// Out of the narrow view, or into it.
    Hide(String),
    /// Offered to a postoffice.
    Release(String, String),
    /// The offer is taken back.
    Withdraw(String),
    /// Taken over.
    Claim(String),
    /// Everything that was made by hand is deleted.
    Mass,
    /// The file of a source names exactly these entries.
    File(String, Vec<String>),
    /// Another phone number in the file of a source.
    Line(String, String),
    /// A source is read, to its end or not.
    Read(String, bool),
    /// A person approves, or rejects, what is held of what sources ask for.
    Decide(bool),
    /// A person undoes a run: the newest that is in force, or the how many newest of all.
    Undo(Option<usize>),
    /// A person lets a source go on whose changes were undone.
    GoOn(String),
}

/// What a request claims without evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A later epoch of the server's own instance.
    Epoch,
    /// A later epoch of another instance.
    Instance,
    /// A point of the server's epoch that it never issued.
    Point,
}

impl Claim {
    /// All of them, with their words.
    pub const ALL: [(&str, Self); 3] =
        [("epoch", Self::Epoch), ("instance", Self::Instance), ("point", Self::Point)];
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A change of own entries at a machine.
    Change(String, Change),
    /// A machine asks for another view.
    View(String, Sight),
    /// T1.
    Request(String, Trouble),
    /// T2, first half: a server takes a request of a postoffice.
    Take {
        /// Whose.
        name: String,
        /// Which of those under way.
        at: usize,
        /// The server.
        server: String,
        /// What becomes of the letter.
        delivery: Delivery,
        /// How the step is disturbed.
        trouble: Trouble,
    },
    /// T2, second half: a server answers a postoffice.
    Answer {
        /// Whom.
        name: String,
        /// The server.
        server: String,
        /// In how many parts.
        parts: Parts,
        /// How the step is disturbed.
        trouble: Trouble,
    },
    /// T3.
    Apply {
        /// Where.
        machine: String,
        /// Which update of those under way.
        at: usize,
        /// What becomes of the letter.
        delivery: Delivery,
        /// How the step is disturbed.
        trouble: Trouble,
    },
    /// T1 to T3 of one machine.
    Go(String),
    /// T1 to T3 of all.
    Cycle,
    /// A whole cycle of a machine or server, in folders that it shares with its copies.
    Turn(String),
    /// T3 with all that lies in a shared inbox.
    Inbox(String),
    /// Days pass.
    Wait(u64),
    /// Minutes pass.
    Pass(u64),
    /// A request (or else an update) is lost.
    Drop {
        /// Whether it is a request.
        is_request: bool,
        /// Whose.
        name: String,
        /// Which of those under way.
        at: usize,
    },
    /// The oldest request of a postoffice is written anew by somebody who has its key.
    Bare(String, Claim),
    /// A site's disk is full.
    Full(String),
    /// There is space again.
    Space(String),
    /// A site's clock is off by so many seconds.
    Clock(String, i64),
    /// A copy of a site's database.
    Backup(String),
    /// The copy takes the database's place; whether by `dirsync restore`.
    Restore(String, bool),
    /// A copy of the server.
    Standby,
    /// The copy becomes the server.
    Promote,
    /// Everything moves to another server.
    Move,
    /// A machine begins anew, knowing nothing.
    Reinstall(String),
    /// Another machine or server with the same database.
    Clone(String),
    /// A server forgets deletions.
    Purge(String),
    /// A person removes a postoffice.
    Remove(String),
    /// A person takes that back.
    Reinstate(String),
    /// A person approves held deletions.
    Approve,
    /// A person rejects held deletions.
    Reject,
    /// A person registers a postoffice.
    Register(String),
    /// A person ends a server's recovery.
    Recover(String),
    /// A byte of a machine's list changes on disk.
    Damage(String, String),
    /// A process begins to look after postoffices, each at a pace of its own.
    Agent(Vec<(String, Pace)>),
    /// The process that looks after a site ends.
    Stop(String),
    /// Minutes pass, in which agents do what is due.
    Run(u64),
    /// The place of a requestor goes away (or else is there again).
    Away(String, bool),
    /// A line passes so many bytes, and a server looks at its place.
    Line {
        /// The machine.
        machine: String,
        /// The bytes.
        bytes: u64,
        /// The server.
        server: String,
        /// Whether all that is at the place gets lost then.
        lost: bool,
    },
    /// From here on the line of a postoffice passes so many bytes each time; all for `None`.
    Rate(String, Option<u64>),
    /// T1 to T3 of a machine, whose line passes so many bytes twice; and in how many parts it is answered.
    Night(String, u64, Parts),
    /// A postoffice changes its key.
    Rotate(String),
    /// A site loses all bodies that travel.
    Wipe(String),
    /// Repairs are to be expected.
    Fault,
}

/// A text that is no step.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is no step")]
pub struct ParseStepError(String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Dies(n) => write!(f, " dies {n}"),
            Self::Breaks(n) => write!(f, " breaks {n}"),
        }
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "",
            Self::First => " first",
            Self::Each => " each",
        })
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Keep => f.write_str(" keep"),
            Self::Twice => f.write_str(" twice"),
            Self::Cut(at) => write!(f, " cut {at}"),
            Self::Flip(at) => write!(f, " flip {at}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(key, addresses) if addresses.len() == 1 && addresses[0] == *key => {
                write!(f, "+{key}")
            }
            Self::Add(key, addresses) => write!(f, "+{key}@{}", addresses.join(",")),
            Self::Modify(key) => write!(f, "~{key}"),
            Self::Delete(key) => write!(f, "-{key}"),
            Self::Rename(key, addresses) => write!(f, "{key}>{}", addresses.join(",")),
            Self::Hide(key) => write!(f, "cls {key}"),
            Self::Release(key, to) => write!(f, "release {key} {to}"),
            Self::Withdraw(key) => write!(f, "withdraw {key}"),
            Self::Claim(key) => write!(f, "claim {key}"),
            Self::Mass => f.write_str("mass"),
            Self::File(source, keys) => {
                write!(f, "file {source}")?;
                keys.iter().try_for_each(|key| write!(f, " {key}"))
            }
            Self::Line(source, key) => write!(f, "line {source} {key}"),
            Self::Read(source, true) => write!(f, "read {source}"),
            Self::Read(source, false) => write!(f, "read {source} broken"),
            Self::Decide(approve) => f.write_str(if *approve { "approve" } else { "reject" }),
            Self::Undo(None) => f.write_str("undo"),
            Self::Undo(Some(back)) => write!(f, "undo {back}"),
            Self::GoOn(source) => write!(f, "goon {source}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(machine, change) => write!(f, "{machine} {change}"),
            Self::View(machine, sight) => {
                let word = Sight::ALL.iter().find(|(_, known)| known == sight);
                write!(f, "{machine} view {}", word.map_or("all", |(word, _)| word))
            }
            Self::Request(machine, trouble) => write!(f, "req {machine}{trouble}"),
            Self::Take { name, at, server, delivery, trouble } => {
                write!(f, "t2 {name} {at} {server}{delivery}{trouble}")
            }
            Self::Answer { name, server, parts, trouble } => {
                write!(f, "an {name} {server}{parts}{trouble}")
            }
            Self::Apply { machine, at, delivery, trouble } => {
                write!(f, "t3 {machine} {at}{delivery}{trouble}")
            }
            Self::Go(machine) => write!(f, "go {machine}"),
            Self::Cycle => f.write_str("cycle"),
            Self::Turn(site) => write!(f, "turn {site}"),
            Self::Inbox(machine) => write!(f, "inbox {machine}"),
            Self::Wait(days) => write!(f, "wait {days}"),
            Self::Pass(minutes) => write!(f, "pass {minutes}"),
            Self::Drop { is_request, name, at } => {
                write!(f, "drop {} {name} {at}", if *is_request { "q" } else { "u" })
            }
            Self::Bare(name, claim) => {
                let word = Claim::ALL.iter().find(|(_, known)| known == claim);
                write!(f, "bare {name} {}", word.map_or("", |(word, _)| word))
            }
            Self::Full(site) => write!(f, "full {site}"),
            Self::Space(site) => write!(f, "space {site}"),
            Self::Clock(site, seconds) => write!(f, "clock {site} {seconds}"),
            Self::Backup(site) => write!(f, "backup {site}"),
            Self::Restore(site, false) => write!(f, "restore {site}"),
            Self::Restore(site, true) => write!(f, "restore {site} told"),
            Self::Standby => f.write_str("standby"),
            Self::Promote => f.write_str("promote"),
            Self::Move => f.write_str("move"),
            Self::Reinstall(machine) => write!(f, "reinstall {machine}"),
            Self::Clone(machine) => write!(f, "clone {machine}"),
            Self::Purge(server) => write!(f, "purge {server}"),
            Self::Remove(name) => write!(f, "remove {name}"),
            Self::Reinstate(name) => write!(f, "reinstate {name}"),
            Self::Approve => f.write_str("approve"),
            Self::Reject => f.write_str("reject"),
            Self::Register(name) => write!(f, "register {name}"),
            Self::Recover(server) => write!(f, "recover {server}"),
            Self::Damage(machine, key) => write!(f, "damage {machine} {key}"),
            Self::Agent(paces) => {
                f.write_str("agent")?;
                paces.iter().try_for_each(|(site, pace)| write!(f, " {site}={}", pace.name()))
            }
            Self::Stop(site) => write!(f, "stop {site}"),
            Self::Run(minutes) => write!(f, "run {minutes}"),
            Self::Away(name, true) => write!(f, "away {name}"),
            Self::Away(name, false) => write!(f, "back {name}"),
            Self::Line { machine, bytes, server, lost } => {
                let lost = if *lost { " lost" } else { "" };
                write!(f, "line {machine} {bytes} {server}{lost}")
            }
            Self::Rate(name, Some(bytes)) => write!(f, "rate {name} {bytes}"),
            Self::Rate(name, None) => write!(f, "rate {name} full"),
            Self::Night(machine, bytes, parts) => write!(f, "night {machine} {bytes}{parts}"),
            Self::Rotate(site) => write!(f, "rotate {site}"),
            Self::Wipe(site) => write!(f, "wipe {site}"),
            Self::Fault => f.write_str("fault"),
        }
    }
}

impl Step {
    /// T1 to T3 of one machine.
    pub fn exchange(machine: &str) -> Vec<Self> {
        let name = crate::naming::name_of(machine).to_owned();
        let (server, trouble) = ("s1".to_owned(), Trouble::None);
        vec![
            Self::Request(machine.to_owned(), trouble),
            Self::Take {
                name: name.clone(),
                at: 0,
                server: server.clone(),
                delivery: Delivery::Whole,
                trouble,
            },
            Self::Answer { name, server, parts: Parts::One, trouble },
            Self::Apply { machine: machine.to_owned(), at: 0, delivery: Delivery::Whole, trouble },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_as_it_is_written() {
        for text in [
            "A1 +a1",
            "A1 +a1@x,y",
            "A1 ~a1",
            "A1 -a1",
            "A1 a1>x",
            "A1 cls a1",
            "A1 release a1 B",
            "B1 claim a1",
            "A1 mass",
            "A1 file list a1 a2",
            "A1 line part a1",
            "A1 read list",
            "A1 read list broken",
            "A1 approve",
            "A1 view untitled",
            "req A1",
            "req A1 dies 3",
            "t2 A 1 s2 keep",
            "t2 A 0 s1 cut 17 breaks 1",
            "an A s1 each",
            "t3 A1 0 flip 99",
            "drop u A 2",
            "bare A point",
            "wait 3",
            "pass 15",
            "clock A1 -86400",
            "restore s1 told",
            "damage B1 a1",
            "cycle",
            "turn s1",
            "inbox A2",
            "agent s1=hourly A1=continuous",
            "stop A1",
            "run 90",
            "away A",
            "back A",
            "line A1 500 s1",
            "line A1 500 s2 lost",
            "rate A 120",
            "rate A full",
            "night A1 300",
            "night A1 300 each",
            "rotate A1",
            "wipe s1",
        ] {
            assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
        }
        assert!("A1 a1".parse::<Step>().is_err() && "".parse::<Step>().is_err());
    }
}
