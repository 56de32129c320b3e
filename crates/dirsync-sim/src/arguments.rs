//! The command line of `cargo xtask sim`.

use std::num::ParseIntError;
use std::ops::Range;
use std::path::PathBuf;

use clap::value_parser;
use dirsync_protocol::simulation::Rule;
use dirsync_sim::plan::PROFILES;

const NOTES: &str = "\
Exit status: 0 if nothing broke, 1 if something did, 2 if the command line is wrong.

Examples:
  cargo xtask sim
  cargo xtask sim --seeds 100000..200000
  cargo xtask sim --minutes 60
  cargo xtask sim --without mark
  cargo xtask sim --exhaustive 3 --requestors 2
  cargo xtask sim --world crates/dirsync-sim/testdata/rollback.world";

/// Run the shipped steps in worlds full of faults, and check every invariant of the protocol
///
/// A seed decides a world and everything that happens in it; one world in ten has its databases in
/// files. A history that breaks is shrunk and printed with a command that repeats it.
#[derive(clap::Parser)]
#[command(bin_name = "cargo xtask sim", max_term_width = 100, after_help = NOTES)]
pub struct Arguments {
    /// The kind of run.
    #[command(flatten)]
    pub work: Work,
    /// Run worlds of this profile only
    #[arg(long, value_name = "NAME", value_parser = profile)]
    pub profile: Option<usize>,
    #[command(flatten)]
    databases: Databases,
    /// Switch a rule of the protocol off: a violation should be found; may be repeated
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub without: Vec<Rule>,
    /// Worker threads [default: the number of processors]
    #[arg(long, value_name = "N", hide_default_value = true, default_value_t = processors(),
          value_parser = value_parser!(u64).range(1..))]
    pub threads: u64,
    /// Stop at the first seed that breaks
    #[arg(long)]
    pub first: bool,
    /// Requestors of an exhaustive run, beside the server
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u8).range(1..=3))]
    pub requestors: u8,
}

/// The kind of run: at most one of these is given.
#[derive(clap::Args)]
#[group(multiple = false)]
pub struct Work {
    /// Run so many worlds, or those of a range of seeds
    #[arg(long, value_name = "N|FROM..TO", default_value = "10000", value_parser = seeds)]
    pub seeds: Range<u64>,
    /// Run worlds from seed 0 on for so many minutes
    #[arg(long, value_name = "N")]
    pub minutes: Option<u64>,
    /// Run one world, and print everything that its steps log
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Find, for each rule, the first of N seeds and the conversations that break without it [default
    /// N: 12000]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "12000")]
    pub rules: Option<u64>,
    /// Run every history of DEPTH events, each followed by a cycle
    #[arg(long, value_name = "DEPTH")]
    pub exhaustive: Option<usize>,
    /// Play a conversation from a file
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// Play every conversation that comes with the simulator
    #[arg(long)]
    pub worlds: bool,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Databases {
    /// Keep all databases in memory
    #[arg(long)]
    memory: bool,
    /// Keep all databases in files
    #[arg(long)]
    files: bool,
}

impl Arguments {
    /// Whether databases are in files; `None` if each seed decides.
    pub fn in_files(&self) -> Option<bool> {
        (self.databases.memory || self.databases.files).then_some(self.databases.files)
    }
}

fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

fn seeds(text: &str) -> Result<Range<u64>, ParseIntError> {
    match text.split_once("..") {
        Some((from, to)) => Ok(from.parse()?..to.parse()?),
        None => Ok(0..text.parse()?),
    }
}

fn profile(name: &str) -> Result<usize, String> {
    PROFILES.iter().position(|(known, ..)| *known == name).ok_or_else(|| {
        let names: Vec<&str> = PROFILES.iter().map(|(name, ..)| *name).collect();
        format!("the profiles are {}", names.join(", "))
    })
}

fn rule(name: &str) -> Result<Rule, String> {
    Rule::named(name).ok_or_else(|| {
        let names: Vec<&str> = Rule::ALL.iter().map(|(_, name, _)| *name).collect();
        format!("the rules are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["sim"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn a_run_without_words_is_ten_thousand_worlds() {
        let arguments = parse("").unwrap();
        assert_eq!((arguments.work.seeds, arguments.requestors), (0..10_000, 2));
        assert_eq!(parse("--seeds 5..7").unwrap().work.seeds, 5..7);
        assert_eq!(parse("--rules --first").unwrap().work.rules, Some(12_000));
        assert_eq!(parse("--rules 4000").unwrap().work.rules, Some(4000));
        assert_eq!(parse("--memory").unwrap().in_files(), Some(false));
        assert_eq!(parse("--without mark --without told").unwrap().without.len(), 2);
    }

    #[test]
    fn mistakes_are_refused() {
        for line in ["--seeds x", "--seed 1 --worlds", "--profile x", "--without x", "stray"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
