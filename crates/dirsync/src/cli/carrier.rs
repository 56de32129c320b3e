//! `dirsync carrier …` on the command line.

use std::path::PathBuf;

use clap::Subcommand;

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
                      for 6 hours (`fall_back` of [[place]] in the settings), through the next. The server has to use the same folders: `requestor set` there.\n\n\
                      Examples:\n  dirsync -C sales carrier set --folder share\n  dirsync -C sales carrier set --folder share --folder share2 --json"
    )]
    Set {
        /// A shared folder, which has to be mounted here; of several the first one that works is used
        #[arg(long = "folder", value_name = "DIR", required = true)]
        folders: Vec<PathBuf>,
    },
}
