//! `dirsync held …`, `waiting` and `quarantine …`: names and flags are promises (`docs/cli.md`).

use clap::{Args, Subcommand};
use dirsync_postoffice::held::Selector;

#[derive(Debug, Subcommand)]
pub enum HeldCommand {
    /// The changes that wait, by source or origin and reason
    #[command(
        after_help = "Examples:\n  dirsync -C hq held list\n  dirsync -C hq held list --all\n\n\
                      Exit codes: 0 nothing waits, 3 changes wait"
    )]
    List {
        /// A line for each change, instead of a few examples of each group
        #[arg(long)]
        all: bool,
        /// The changes that were rejected instead: each is closed until another change is asked for
        #[arg(long)]
        rejected: bool,
    },
    /// Let changes through
    #[command(
        after_help = "Examples:\n  dirsync -C hq held approve --all\n  dirsync -C hq held approve origin:SOUTH/SALES"
    )]
    Approve(HeldArgs),
    /// Turn changes down: the entries stay
    #[command(
        after_help = "Examples:\n  dirsync -C hq held reject --all\n  dirsync -C hq held reject delete:personnel"
    )]
    Reject(HeldArgs),
}

#[derive(Debug, Args)]
pub struct WaitingArgs {
    /// A line for each address, instead of a few examples of each group
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct HeldArgs {
    /// Groups, or ids of entries, as `held list` shows them
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "GROUP|ID")]
    pub names: Vec<Selector>,
    /// All that wait
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// All cases
    List,
    /// One case with its material
    Show {
        /// The number of the case, as `quarantine list` shows it
        number: u64,
    },
    /// Ask for the material again: the case is closed, the next read or message decides
    Retry {
        /// The number of the case, as `quarantine list` shows it
        number: u64,
    },
    /// Forget a case
    Drop {
        /// The number of the case, as `quarantine list` shows it
        number: u64,
    },
}
