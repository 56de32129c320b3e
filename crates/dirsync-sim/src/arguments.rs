//! The words of `cargo xtask sim`.

use std::ops::Range;
use std::path::PathBuf;

use dirsync_protocol::simulation::Rule;
use dirsync_sim::plan::PROFILES;

/// What `--help` says.
pub const HELP: &str = "\
Run the shipped steps in worlds full of faults, and check every invariant of the protocol

Usage: cargo xtask sim [--seeds N | FROM..TO] [OPTIONS]
       cargo xtask sim --seed N
       cargo xtask sim --minutes N [OPTIONS]
       cargo xtask sim --exhaustive DEPTH [--requestors N]
       cargo xtask sim --world FILE
       cargo xtask sim --rules [N]

A seed decides a world and everything that happens in it; one world in ten has its databases in
files. What breaks is shrunk and printed with a command that shows it again.

Options:
  --seeds N, --seeds FROM..TO  how many worlds, or which [10000]
  --minutes N                  goes on from seed 0 for so long
  --seed N                     one world, with everything that its steps say
  --profile NAME               only worlds of this profile
  --memory, --files            all databases in memory, or all in files
  --without RULE               switches a rule of the protocol off: a violation is to be found
  --rules [N]                  for each rule, the first of N seeds that breaks without it, and the
                               conversations that do [12000]
  --exhaustive DEPTH           every history of so many events, each followed by a cycle
  --requestors N               postoffices of it beside the server, 1 to 3 [2]
  --world FILE                 a conversation from a file
  --worlds                     every conversation that comes with the simulator
  --first                      ends at the first seed that breaks
  --threads N                  [as many as there are cores]

Exit status: 0 when nothing broke, 1 when something did, 2 when the words are wrong.

Examples:
  cargo xtask sim
  cargo xtask sim --seeds 100000..200000
  cargo xtask sim --minutes 60
  cargo xtask sim --without mark
  cargo xtask sim --exhaustive 3 --requestors 2
  cargo xtask sim --world crates/dirsync-sim/testdata/rollback.world
";

/// What to do.
pub enum Work {
    /// Worlds of these seeds.
    Seeds(Range<u64>),
    /// Worlds for so many minutes.
    Minutes(u64),
    /// One world, told in full.
    One(u64),
    /// What each rule is for, within so many seeds.
    Rules(u64),
    /// A file.
    Conversation(PathBuf),
    /// All that come with the simulator.
    Conversations,
    /// Every history of so many events.
    Exhaustive(usize),
}

/// See [`HELP`].
pub struct Arguments {
    /// What to do.
    pub work: Work,
    /// Only this profile.
    pub profile: Option<usize>,
    /// Whether databases are in files; by the seed, if it is not said.
    pub in_files: Option<bool>,
    /// Rules that are switched off.
    pub without: Vec<Rule>,
    /// Threads.
    pub threads: u64,
    /// The first failure is enough.
    pub first: bool,
    /// Postoffices of an exhaustive run.
    pub requestors: usize,
}

impl Arguments {
    /// Reads the words; none when help is asked for.
    pub fn parse(words: &[String]) -> Result<Option<Self>, String> {
        let mut arguments = Self {
            work: Work::Seeds(0..10_000),
            profile: None,
            in_files: None,
            without: Vec::new(),
            threads: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            first: false,
            requestors: 2,
        };
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            if word == "--help" || word == "-h" {
                return Ok(None);
            }
            if word == "--memory" || word == "--files" {
                arguments.in_files = Some(word == "--files");
                continue;
            }
            if word == "--worlds" {
                arguments.work = Work::Conversations;
                continue;
            }
            if word == "--first" {
                arguments.first = true;
                continue;
            }
            if word == "--rules" {
                let most = words.next_if(|next| !next.starts_with("--"));
                arguments.work = Work::Rules(most.map_or(Ok(12_000), |most| number(most))?);
                continue;
            }
            let value = words.next().ok_or(format!("{word} wants a value, or is not known"))?;
            match word.as_str() {
                "--seeds" => arguments.work = Work::Seeds(seeds(value)?),
                "--seed" => arguments.work = Work::One(number(value)?),
                "--minutes" => arguments.work = Work::Minutes(number(value)?),
                "--exhaustive" => arguments.work = Work::Exhaustive(number(value)? as usize),
                "--world" => arguments.work = Work::Conversation(value.into()),
                "--threads" => arguments.threads = number(value)?.max(1),
                "--requestors" => arguments.requestors = number(value)?.clamp(1, 3) as usize,
                "--profile" => {
                    let at = PROFILES.iter().position(|(name, ..)| name == value);
                    arguments.profile = Some(at.ok_or_else(|| {
                        let names: Vec<&str> = PROFILES.iter().map(|(name, ..)| *name).collect();
                        format!("\"{value}\" is no profile; there are {}", names.join(", "))
                    })?);
                }
                "--without" => {
                    let rule = Rule::named(value).ok_or_else(|| {
                        let names: Vec<&str> = Rule::ALL.iter().map(|(_, name, _)| *name).collect();
                        format!("\"{value}\" is no rule; there are {}", names.join(", "))
                    })?;
                    arguments.without.push(rule);
                }
                other => return Err(format!("{other} is not known")),
            }
        }
        Ok(Some(arguments))
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("\"{word}\" is no number"))
}

fn seeds(word: &str) -> Result<Range<u64>, String> {
    match word.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => Ok(0..number(word)?),
    }
}
