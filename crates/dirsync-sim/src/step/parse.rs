//! Steps as they are read.

use std::str::FromStr;

use super::{Change, Claim, Delivery, ParseStepError, Step, Trouble};
use crate::agents::Pace;
use crate::naming::Sight;
use crate::network::Parts;

impl FromStr for Step {
    type Err = ParseStepError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_whitespace().collect();
        parse(&words).ok_or_else(|| ParseStepError(text.into()))
    }
}

fn parse(words: &[&str]) -> Option<Step> {
    let text = |word: &&str| (*word).to_owned();
    Some(match words {
        ["req", machine, rest @ ..] => Step::Request(text(machine), Options::of(rest)?.trouble),
        ["t2", name, rest @ ..] => {
            let Options { at, server, delivery, trouble, .. } = Options::of(rest)?;
            Step::Take { name: text(name), at, server, delivery, trouble }
        }
        ["an", name, rest @ ..] => {
            let Options { server, parts, trouble, .. } = Options::of(rest)?;
            Step::Answer { name: text(name), server, parts, trouble }
        }
        ["t3", machine, rest @ ..] => {
            let Options { at, delivery, trouble, .. } = Options::of(rest)?;
            Step::Apply { machine: text(machine), at, delivery, trouble }
        }
        ["drop", kind @ ("q" | "u"), name, rest @ ..] => {
            let at = Options::of(rest)?.at;
            Step::Drop { is_request: *kind == "q", name: text(name), at }
        }
        ["bare", name, claim] => {
            Step::Bare(text(name), Claim::ALL.iter().find(|(word, _)| word == claim)?.1)
        }
        ["go", machine] => Step::Go(text(machine)),
        ["cycle"] => Step::Cycle,
        ["turn", site] => Step::Turn(text(site)),
        ["inbox", machine] => Step::Inbox(text(machine)),
        ["wait", days] => Step::Wait(days.parse().ok()?),
        ["pass", minutes] => Step::Pass(minutes.parse().ok()?),
        ["full", site] => Step::Full(text(site)),
        ["space", site] => Step::Space(text(site)),
        ["clock", site, seconds] => Step::Clock(text(site), seconds.parse().ok()?),
        ["backup", site] => Step::Backup(text(site)),
        ["restore", site] => Step::Restore(text(site), false),
        ["restore", site, "told"] => Step::Restore(text(site), true),
        ["standby"] => Step::Standby,
        ["promote"] => Step::Promote,
        ["move"] => Step::Move,
        ["reinstall", machine] => Step::Reinstall(text(machine)),
        ["clone", machine] => Step::Clone(text(machine)),
        ["purge", server] => Step::Purge(text(server)),
        ["remove", name] => Step::Remove(text(name)),
        ["reinstate", name] => Step::Reinstate(text(name)),
        ["approve"] => Step::Approve,
        ["reject"] => Step::Reject,
        ["register", name] => Step::Register(text(name)),
        ["recover", server] => Step::Recover(text(server)),
        ["damage", machine, key] => Step::Damage(text(machine), text(key)),
        ["wipe", site] => Step::Wipe(text(site)),
        ["fault"] => Step::Fault,
        ["agent", paces @ ..] => {
            Step::Agent(paces.iter().map(|text| pace(text)).collect::<Option<_>>()?)
        }
        ["stop", site] => Step::Stop(text(site)),
        ["run", minutes] => Step::Run(minutes.parse().ok()?),
        ["away", name] => Step::Away(text(name), true),
        ["back", name] => Step::Away(text(name), false),
        ["line" | "rate" | "night" | "rotate", ..] => parse_line(words)?,
        [machine, "view", sight] => {
            let sight = Sight::ALL.iter().find(|(word, _)| word == sight)?.1;
            Step::View(text(machine), sight)
        }
        [machine, change @ ..] => Step::Change(text(machine), parse_change(change)?),
        [] => return None,
    })
}

/// The steps of lines and keys.
fn parse_line(words: &[&str]) -> Option<Step> {
    let text = |word: &&str| (*word).to_owned();
    Some(match words {
        ["line", machine, bytes, rest @ ..] => {
            let (machine, bytes) = (text(machine), bytes.parse().ok()?);
            let Options { server, lost, .. } = Options::of(rest)?;
            Step::Line { machine, bytes, server, lost }
        }
        ["rate", name, "full"] => Step::Rate(text(name), None),
        ["rate", name, bytes] => Step::Rate(text(name), Some(bytes.parse().ok()?)),
        ["night", machine, bytes, rest @ ..] => {
            Step::Night(text(machine), bytes.parse().ok()?, Options::of(rest)?.parts)
        }
        ["rotate", site] => Step::Rotate(text(site)),
        _ => return None,
    })
}

fn pace(text: &str) -> Option<(String, Pace)> {
    let (site, name) = text.split_once('=')?;
    let (_, pace) = Pace::ALL.into_iter().find(|(known, _)| *known == name)?;
    Some((site.to_owned(), pace))
}

fn parse_change(words: &[&str]) -> Option<Change> {
    let text = |word: &str| word.to_owned();
    let addresses = |word: &str| word.split(',').map(str::to_owned).collect();
    Some(match words {
        ["mass"] => Change::Mass,
        ["cls", key] => Change::Hide(text(key)),
        ["release", key, to] => Change::Release(text(key), text(to)),
        ["withdraw", key] => Change::Withdraw(text(key)),
        ["claim", key] => Change::Claim(text(key)),
        ["file", source, keys @ ..] => {
            Change::File(text(source), keys.iter().map(|key| text(key)).collect())
        }
        ["line", source, key] => Change::Line(text(source), text(key)),
        ["read", source] => Change::Read(text(source), true),
        ["read", source, "broken"] => Change::Read(text(source), false),
        ["approve"] => Change::Decide(true),
        ["reject"] => Change::Decide(false),
        ["undo"] => Change::Undo(None),
        ["undo", back] => Change::Undo(Some(back.parse().ok()?)),
        ["goon", source] => Change::GoOn(text(source)),
        [word] => match (word.chars().next()?, word.split_once('>')) {
            ('+', _) => {
                let (key, wanted) = word[1..].split_once('@').unwrap_or((&word[1..], &word[1..]));
                Change::Add(text(key), addresses(wanted))
            }
            ('~', _) => Change::Modify(text(&word[1..])),
            ('-', _) => Change::Delete(text(&word[1..])),
            (_, Some((key, wanted))) => Change::Rename(text(key), addresses(wanted)),
            _ => return None,
        },
        _ => return None,
    })
}

/// What follows the first words of a step, in any order.
struct Options {
    at: usize,
    server: String,
    parts: Parts,
    delivery: Delivery,
    trouble: Trouble,
    lost: bool,
}

impl Options {
    fn of(words: &[&str]) -> Option<Self> {
        let mut options = Self {
            at: 0,
            server: "s1".into(),
            parts: Parts::One,
            delivery: Delivery::Whole,
            trouble: Trouble::None,
            lost: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = || words.next()?.parse().ok();
            match *word {
                "keep" => options.delivery = Delivery::Keep,
                "twice" => options.delivery = Delivery::Twice,
                "cut" => options.delivery = Delivery::Cut(number()?),
                "flip" => options.delivery = Delivery::Flip(number()?),
                "dies" => options.trouble = Trouble::Dies(number()?),
                "breaks" => options.trouble = Trouble::Breaks(number()?),
                "lost" => options.lost = true,
                "first" => options.parts = Parts::First,
                "each" => options.parts = Parts::Each,
                "s1" | "s2" => options.server = (*word).into(),
                word => options.at = word.parse().ok()?,
            }
        }
        Some(options)
    }
}
