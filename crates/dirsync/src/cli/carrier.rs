//! `dirsync carrier …` on the command line.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::places::PlacesArgs;

#[derive(Debug, Subcommand)]
pub enum CarrierCommand {
    /// The places in order: which one is used, and which do not work
    #[command(
        after_help = "Examples:\n  dirsync -C sales carrier list\n  dirsync -C sales carrier list --json"
    )]
    List,
    /// Name the places anew, all of them
    #[command(
        after_help = "Updates are taken from each of them. Requests go through the first one; while it does not work \
                      for 6 hours (`fall_back` of [[place]] in the settings), through the next. The server has to use the same places: `requestor set` there.\n\n\
                      Examples:\n  dirsync -C sales carrier set --folder share\n  dirsync -C sales carrier set --folder share --link https://hub.example:8443 --json"
    )]
    Set {
        #[command(flatten)]
        places: PlacesArgs,
    },
    /// Send a probe over each place, and say how long it and its answer were on their way
    #[command(
        after_help = "The server answers when it next looks at the place: at once if its agent runs. If a place is used in windows, the \
                      probe leaves when the next one opens, and `carrier list` says the answer.\n\
                      Exit status: 0 if all places answered, 3 if one did not yet, 4 if one cannot be used.\n\n\
                      Examples:\n  dirsync -C sales carrier test --wait 1\n  dirsync -C sales carrier test --wait 0 --json"
    )]
    Test {
        #[command(flatten)]
        wait: WaitArgs,
    },
}

/// How long a test of places waits.
#[derive(Clone, Copy, Debug, Args)]
pub struct WaitArgs {
    /// How long to wait for the answers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u32,
}

impl WaitArgs {
    /// The time to wait.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.wait.into())
    }
}
