//! The arguments of `dirsync run` and `dirsync status`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The postoffice folders; default: that of -C
    pub folders: Vec<PathBuf>,
    /// Do what is due and end
    #[arg(long)]
    pub once: bool,
    /// Only say what would be done next: the steps in order, and what a read of each source would change now
    #[arg(long, conflicts_with = "once")]
    pub dry_run: bool,
    /// How log lines look: text or json
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Also epochs, numbers and digests, and every postoffice
    #[arg(short, long)]
    pub verbose: bool,
    /// Show it again every two seconds, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
}
