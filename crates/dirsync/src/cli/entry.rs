//! `dirsync entry …`: names and flags are promises (`docs/cli.md`).

use clap::{Args, Subcommand};
use dirsync_directory::{Address, EntryKind, PostofficeName};

#[derive(Debug, Subcommand)]
pub enum EntryCommand {
    /// Add an own entry
    #[command(
        after_help = "Examples:\n  dirsync -C hq entry add --name Ana --address SMTP:ana@north.example\n  dirsync -C hq entry add --kind list --name Crew --address SMTP:c@x.example --member p1@x.example"
    )]
    Add(EntryAddArgs),
    /// Change an own entry
    Modify(EntryModifyArgs),
    /// Delete an own entry
    Delete {
        /// The entry's id, key, address or name
        entry: String,
    },
    /// Show an entry
    Show {
        /// The entry's id, key, address or name
        entry: String,
    },
    /// List entries of the Global Address List, and own ones that are not published yet
    List(EntryListArgs),
    /// Offer an own entry to another postoffice
    Release {
        /// The entry's id, key, address or name
        entry: String,
        /// The postoffice that may claim it
        #[arg(long)]
        to: PostofficeName,
    },
    /// Take over an entry that was released to this postoffice, or list those
    Claim {
        /// The entry's id, key, address or name; without it, what is on offer is listed
        #[arg(value_name = "WHO")]
        who: Option<String>,
        /// The source that will feed it
        #[arg(long, default_value = "hand")]
        source: String,
    },
}

#[derive(Debug, Args)]
pub struct EntryFields {
    /// The display name
    #[arg(long)]
    pub name: Option<String>,
    /// An address; repeat it, the first is primary
    #[arg(long = "address", value_name = "TYPE:VALUE")]
    pub addresses: Vec<Address>,
    /// A detail; repeat it
    #[arg(long = "detail", value_name = "ATTRIBUTE=VALUE")]
    pub details: Vec<String>,
    /// mailbox, contact, resource or list
    #[arg(long)]
    pub kind: Option<EntryKind>,
    /// A member of a list, by its address; repeat it. A list may be a member of another one
    #[arg(long = "member", value_name = "ADDRESS")]
    pub members: Vec<String>,
}

#[derive(Debug, Args)]
pub struct EntryAddArgs {
    /// What the entry is called for ever; default: its primary address
    #[arg(long)]
    pub key: Option<String>,
    #[command(flatten)]
    pub fields: EntryFields,
}

#[derive(Debug, Args)]
pub struct EntryModifyArgs {
    /// The entry's id, key, address or name
    pub entry: String,
    #[command(flatten)]
    pub fields: EntryFields,
    /// Add a value to a detail; repeat it
    #[arg(long = "add-detail", value_name = "ATTRIBUTE=VALUE")]
    pub added_details: Vec<String>,
    /// Remove a value of a detail; repeat it
    #[arg(long = "remove-detail", value_name = "ATTRIBUTE=VALUE")]
    pub removed_details: Vec<String>,
    /// Add a member to a list; repeat it
    #[arg(long = "add-member", value_name = "ADDRESS")]
    pub added_members: Vec<String>,
    /// Remove a member of a list; repeat it
    #[arg(long = "remove-member", value_name = "ADDRESS")]
    pub removed_members: Vec<String>,
}

#[derive(Debug, Args)]
pub struct EntryListArgs {
    /// Only entries of this origin
    #[arg(long)]
    pub origin: Option<PostofficeName>,
    /// Only entries whose name or address holds this text
    #[arg(long)]
    pub search: Option<String>,
}
