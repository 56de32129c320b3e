//! The command line: names and flags are promises (`docs/cli.md`).

mod agent;
mod carrier;
mod entry;
mod held;
mod places;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use dirsync_connect::{Private, TargetFormat};
use dirsync_directory::{EntryKind, PostofficeName};
use dirsync_postoffice::config::SourceFormat;
use dirsync_protocol::context::Level;

pub use agent::{RunArgs, StatusArgs};
pub use carrier::{CarrierCommand, WaitArgs};
pub use entry::{EntryCommand, EntryFields, EntryListArgs, EntryModifyArgs};
pub use held::{HeldArgs, HeldCommand, QuarantineCommand, WaitingArgs};
pub use places::PlacesArgs;

/// The version, and the revision that it was built from if that is known.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("DIRSYNC_REVISION"));

/// Keeps one address directory the same at every location, by store and forward.
#[derive(Debug, Parser)]
#[command(name = "dirsync", version = VERSION, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// The postoffice folder
    #[arg(
        short = 'C',
        value_name = "DIR",
        env = "DIRSYNC_POSTOFFICE",
        default_value = ".",
        global = true,
        display_order = 990
    )]
    pub postoffice: PathBuf,
    /// Print one JSON document on standard output
    #[arg(long, global = true, display_order = 991)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a postoffice folder
    #[command(
        after_help = "Examples:\n  dirsync -C hq init NORTH/HQ --server\n  dirsync -C sales init --invitation sales.invitation"
    )]
    Init(InitArgs),
    /// Register requestors at the server, and see and change their registrations
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C hq requestor add SOUTH/SALES --folder share --out sales.invitation\n  dirsync -C hq requestor list"
    )]
    Requestor(RequestorCommand),
    /// See and change the places through which a requestor exchanges messages with its server
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C sales carrier list\n  dirsync -C sales carrier set --folder share --folder share2"
    )]
    Carrier(CarrierCommand),
    /// Keep this postoffice where two have its name: it was fenced, or its folder was copied
    #[command(
        after_help = "Examples:\n  dirsync -C sales rejoin\n  dirsync -C sales rejoin --json"
    )]
    Rejoin,
    /// Go on here after the folder was moved: the old one is gone for good
    #[command(
        after_help = "A folder that was copied, moved to another disk, or set up on another machine does nothing \
                      until this, `rejoin` or `server promote` is said in it.\n\n\
                      Examples:\n  dirsync -C sales moved\n  dirsync -C sales moved --json"
    )]
    Moved,
    /// Promote a copy of the server, or end a recovery
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C hq server recover --finish --dry-run\n  dirsync -C copy server promote"
    )]
    Server(ServerCommand),
    /// Add and change own entries from a file (T0)
    #[command(
        after_help = "Examples:\n  dirsync -C hq import people.csv --whole\n  dirsync -C hq import people.csv --map people.map.toml --whole --dry-run\n  dirsync import people.csv --suggest-map"
    )]
    Import(ImportArgs),
    /// Show and try maps from the columns of files to entries
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync map list\n  dirsync map show exchange"
    )]
    Map(MapCommand),
    /// Add, change, hand over and look at single entries (T0 by hand)
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C hq entry add --key ana --name \"Ana Souza\" --address SMTP:ana@north.example\n  dirsync -C hq entry list --search ana"
    )]
    Entry(EntryCommand),
    /// Check the configuration
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C hq config check\n  dirsync -C hq config check --json"
    )]
    Config(ConfigCommand),
    /// Send own changes and the verification to the server now (T1)
    #[command(after_help = "Examples:\n  dirsync -C sales send\n  dirsync -C sales send --json")]
    Send,
    /// Process all requests that have arrived, and answer them (T2)
    #[command(after_help = "Examples:\n  dirsync -C hq process\n  dirsync -C hq process --json")]
    Process,
    /// Apply all updates that have arrived (T3)
    #[command(after_help = "Examples:\n  dirsync -C sales apply\n  dirsync -C sales apply --json")]
    Apply,
    /// Do everything that can be done now, in order
    #[command(after_help = "Examples:\n  dirsync -C hq cycle\n  dirsync -C sales cycle --json")]
    Cycle,
    /// The directory synchronization agent (Dispatch): run what is due, until stopped
    #[command(
        after_help = "Examples:\n  dirsync -C hq run --once\n  dirsync -C hq run --dry-run\n  dirsync run hq sales --once --log-format json"
    )]
    Run(RunArgs),
    /// Write the Global Address List, or own entries, sorted by name
    #[command(
        after_help = "Examples:\n  dirsync -C hq export --format csv\n  dirsync -C hq export --format outlook -o contacts.csv\n  \
                      dirsync -C hq export --format ldif --base dc=example,dc=org -o people.ldif\n  \
                      dirsync -C hq export --format postfix-virtual --domain example.org -o virtual\n\n\
                      What the format cannot express is left out and counted"
    )]
    Export(ExportArgs),
    /// Whether all is well, each postoffice in a row, and what needs a person
    #[command(
        after_help = "A row a postoffice, the worst first: well, waiting (something is under way, or waits for a \
                      decision), stopped, late (not heard for too long), needs you. Behind is how many numbers of \
                      the list it has not confirmed; an entry that changed twice counts twice. As long as anything \
                      needs a person, the exit code is 3.\n\n\
                      Examples:\n  dirsync -C hq status\n  dirsync -C hq status -v --json\n\n\
                      On a terminal, `dirsync -C hq status --watch` shows it again every two seconds."
    )]
    Status(StatusArgs),
    /// Where an entry is on its way, and what keeps it: from its source to every list
    #[command(
        after_help = "Examples:\n  dirsync -C hq why p1@x.example\n  dirsync -C hq why \"Person 1\" --at SOUTH/SALES --json\n\n\
                      Exit codes: 0 it is known here, 1 it is not, or the postoffice of --at is not"
    )]
    Why(WhyArgs),
    /// The steps that ran, a line each
    #[command(
        after_help = "Examples:\n  dirsync -C hq log -n 20 --level warning\n  dirsync -C hq log --since yesterday"
    )]
    Log(LogArgs),
    /// Put back what the last read, command or decision changed
    #[command(
        after_help = "It says what would happen; --yes does it. If the last command changed nothing, or cannot be undone, nothing \
                      is done without a number. An entry that was changed since is left. A source whose \
                      changes are undone is held until its file agrees, or --go-on lets it go on. Approved changes that \
                      were not sent yet wait for a decision again.\n\n\
                      Examples:\n  dirsync -C hq undo\n  dirsync -C hq undo --yes --json"
    )]
    Undo(UndoArgs),
    /// What waits for a person, at the postoffice where it waits
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C hq held list\n  dirsync -C hq held approve --all"
    )]
    Held(HeldCommand),
    /// The entries that wait for addresses which other entries have
    #[command(
        after_help = "An entry gets its address by itself when the other one gives it up.\n\n\
                      Examples:\n  dirsync -C hq waiting\n  dirsync -C sales waiting --json\n\n\
                      Exit codes: 0 none waits, 3 entries wait"
    )]
    Waiting(WaitingArgs),
    /// What could not be accepted, with its reason
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C hq quarantine list\n  dirsync -C hq quarantine list --json"
    )]
    Quarantine(QuarantineCommand),
    /// Read everything and verify every invariant and digest
    #[command(after_help = "Examples:\n  dirsync -C hq check\n  dirsync -C hq check --json")]
    Check(CheckArgs),
    /// Keys, with which messages are signed and opened
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C hq key show\n  dirsync -C hq key rotate"
    )]
    Key(KeyCommand),
    /// Look at message files
    #[command(
        subcommand,
        after_help = "Examples:\n  dirsync -C hq message show request.dirsync\n  dirsync -C hq message show request.dirsync --json"
    )]
    Message(MessageCommand),
    /// Write a consistent copy of the database, also while the agent runs
    #[command(
        after_help = "Examples:\n  dirsync -C hq backup hq.backup\n  dirsync -C hq backup hq.backup --json"
    )]
    Backup(FileArgs),
    /// Put a copy of the database back; a new epoch begins at once
    #[command(
        after_help = "Examples:\n  dirsync -C hq restore hq.backup\n  dirsync -C hq restore hq.backup --json"
    )]
    Restore(FileArgs),
    /// The words of this program
    #[command(
        long_about = crate::commands::glossary::GLOSSARY,
        after_help = "Examples:\n  dirsync words\n  dirsync words --json"
    )]
    Words,
    /// A whole system on this machine, working, in a folder to play with
    #[command(
        after_help = "Examples:\n  dirsync demo\n  dirsync demo demo-link --link\n  dirsync demo demo-large --postoffices 6 --entries 2000 --json"
    )]
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The name, NETWORK/POSTOFFICE
    #[arg(conflicts_with = "invitation")]
    pub name: Option<PostofficeName>,
    /// Make a directory server
    #[arg(long)]
    pub server: bool,
    /// Make a requestor from the server's invitation
    #[arg(long, value_name = "FILE")]
    pub invitation: Option<PathBuf>,
    /// The shared folder, if it is mounted here under another name than the invitation says; of several each, in
    /// the order of the invitation
    #[arg(long = "folder", value_name = "DIR", requires = "invitation")]
    pub folders: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum RequestorCommand {
    /// Register a requestor and write its invitation
    Add(RequestorAddArgs),
    /// All registrations
    List,
    /// One registration
    Show {
        /// The requestor, NETWORK/POSTOFFICE
        name: PostofficeName,
    },
    /// Change what a requestor may see, or where its messages travel; what is not named stays
    Set(RequestorSetArgs),
    /// Send a probe over each place to it, and say how long it and its answer were on their way
    #[command(
        after_help = "The requestor answers when it next looks at the place: at once if its agent runs. If a place is used in windows, \
                      the probe leaves when the next one opens, and `status --verbose` says the answer.\n\
                      Exit status: 0 if all places answered, 3 if one did not yet, 4 if one cannot be used.\n\n\
                      Examples:\n  dirsync -C hq requestor test SOUTH/SALES --wait 1\n  dirsync -C hq requestor test SOUTH/SALES --wait 0 --json"
    )]
    Test {
        /// The requestor, NETWORK/POSTOFFICE
        name: PostofficeName,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let its requests wait
    Suspend {
        /// The requestor, NETWORK/POSTOFFICE
        name: PostofficeName,
    },
    /// Take its requests again, or say that one machine is left of several copies
    Resume {
        /// The requestor, NETWORK/POSTOFFICE
        name: PostofficeName,
    },
    /// Retire the postoffice and its entries everywhere
    Remove {
        /// The requestor, NETWORK/POSTOFFICE
        name: PostofficeName,
        /// Do not ask, however many entries leave all lists
        #[arg(long)]
        yes: bool,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct RequestorAddArgs {
    /// The requestor, NETWORK/POSTOFFICE
    pub name: PostofficeName,
    #[command(flatten)]
    pub places: PlacesArgs,
    /// Where to write the invitation; default: NETWORK-POSTOFFICE.invitation
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Invite a postoffice again that was reinstalled
    #[arg(long)]
    pub again: bool,
    #[command(flatten)]
    pub view: ViewArgs,
}

#[derive(Debug, Args)]
pub struct RequestorSetArgs {
    /// The requestor, NETWORK/POSTOFFICE
    pub name: PostofficeName,
    #[command(flatten)]
    pub places: PlacesArgs,
    /// Its public key from now on, "ssh-ed25519 AAAA…", after its key was stolen: messages by any other key are
    /// refused
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    #[command(flatten)]
    pub view: ViewArgs,
    #[command(flatten)]
    pub lift: LiftArgs,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// The key of this postoffice and those of its peers
    Show,
    /// Change the key of this postoffice; peers follow by themselves
    Rotate {
        /// The key was stolen: nothing leads from it to the new one, and a person tells each peer
        #[arg(long)]
        stolen: bool,
    },
}

/// The limits that are to be lifted: leaving a limit out lifts none.
#[derive(Clone, Copy, Debug, Args)]
pub struct LiftArgs {
    /// Lift the limit on address types
    #[arg(long, conflicts_with = "types")]
    pub all_types: bool,
    /// Lift the limit on origins
    #[arg(long, conflicts_with = "origins")]
    pub all_origins: bool,
    /// Lift the limit on kinds
    #[arg(long, conflicts_with = "kinds")]
    pub all_kinds: bool,
    /// Lift the limit on details
    #[arg(long, conflicts_with = "attributes")]
    pub all_attributes: bool,
    /// Lift the filter
    #[arg(long, conflicts_with = "filter")]
    pub no_filter: bool,
    /// Lift all limits
    #[arg(long, conflicts_with_all = ["types", "origins", "kinds", "attributes", "filter"])]
    pub everything: bool,
}

/// What a requestor may see: of a new one, a part that is left out puts no limit.
#[derive(Debug, Args)]
pub struct ViewArgs {
    /// Address types it may see, e.g. SMTP,X400
    #[arg(long, value_delimiter = ',', value_name = "TYPE")]
    pub types: Vec<String>,
    /// Origins whose entries it may see
    #[arg(long, value_delimiter = ',', value_name = "NETWORK/POSTOFFICE")]
    pub origins: Vec<PostofficeName>,
    /// Kinds of entries it may see
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    pub kinds: Vec<EntryKind>,
    /// Details it may see
    #[arg(long, value_delimiter = ',', value_name = "ATTRIBUTE")]
    pub attributes: Vec<String>,
    /// A filter in the form of RFC 4515, e.g. "(ou=Sales)"
    #[arg(long)]
    pub filter: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Make this copy of the server the server; the old one must be stopped first
    Promote,
    /// A recovery after a restore
    Recover {
        /// End it, although some origins have not spoken
        #[arg(long, required = true)]
        finish: bool,
        /// Only say what would vanish
        #[arg(long)]
        dry_run: bool,
    },
    /// Write decisions.log anew from what the database knows, when the newest one is lost
    RenewLog,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file; with --dry-run, that of a source of the settings may be left out
    #[arg(required_unless_present = "dry_run")]
    pub file: Option<PathBuf>,
    /// Its format, or the program that wrote it (`dirsync map list`); default: by its extension and
    /// columns
    #[arg(long, value_name = "csv/ldif/vcard/MAP")]
    pub format: Option<SourceFormat>,
    /// A map from columns to entries: a file, or the name of a built-in one
    #[arg(long, value_name = "FILE")]
    pub map: Option<String>,
    /// Print a map to begin with, and read nothing in
    #[arg(long, conflicts_with_all = ["map", "whole", "dry_run"])]
    pub suggest_map: bool,
    /// The file is the whole list: entries that it named before and lacks now are deleted (guarded)
    #[arg(long)]
    pub whole: bool,
    /// The file's encoding, e.g. windows-1252; default: UTF-8 or as its mark says
    #[arg(long)]
    pub encoding: Option<String>,
    /// What is done with home telephones and addresses, birthdays, anniversaries, spouses and notes
    #[arg(long, value_name = "omit/keep", default_value = "omit")]
    pub private: Private,
    /// The name of the source that these entries belong to
    #[arg(long, default_value = "import")]
    pub source: String,
    /// Only say what would happen, and which addresses others hold already
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum MapCommand {
    /// List the built-in maps
    #[command(after_help = "Examples:\n  dirsync map list\n  dirsync map list --json")]
    List,
    /// Print a built-in map, as a file that `--map` takes
    #[command(after_help = "Examples:\n  dirsync map show exchange\n  dirsync map show outlook-de")]
    Show {
        /// Its name
        name: String,
    },
    /// Print what each line of a map makes of the first rows of a file
    #[command(
        after_help = "Examples:\n  dirsync map test people.map.toml people.csv\n  dirsync map test people.map.toml people.csv --rows 2 --json"
    )]
    Test(MapTestArgs),
}

#[derive(Debug, Args)]
pub struct MapTestArgs {
    /// The name of a built-in map, or a file
    pub map: String,
    /// The file to read
    pub file: PathBuf,
    /// Its format; default: by its extension
    #[arg(long, value_name = "csv/ldif/vcard")]
    pub format: Option<SourceFormat>,
    /// The file's encoding, e.g. windows-1252; default: UTF-8 or as its mark says
    #[arg(long)]
    pub encoding: Option<String>,
    /// How many rows
    #[arg(long, short = 'n', default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub rows: u16,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say all that is wrong with dirsync.toml
    Check,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// csv, ldif, vcard, vcard4, outlook, google, thunderbird, postfix-virtual or postfix-relay-recipient
    #[arg(long, default_value = "csv", value_name = "FORMAT")]
    pub format: TargetFormat,
    /// Own entries instead of the Global Address List
    #[arg(long)]
    pub own: bool,
    /// With ldif: for an LDAP server, below this distinguished name
    #[arg(long, value_name = "DN")]
    pub base: Option<String>,
    /// With ldif and --base: our own attributes, too
    #[arg(long)]
    pub dirsync: bool,
    /// With postfix-…: a mail domain for which Postfix asks this table; may be repeated
    #[arg(long = "domain", value_name = "DOMAIN")]
    pub domains: Vec<String>,
    /// Mark values that a spreadsheet would run as formulas
    #[arg(long)]
    pub for_people: bool,
    /// Write to a file, replaced in one step
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct WhyArgs {
    /// An address, whole or without its type, a name, an id or a key
    pub who: String,
    /// How it stands at this requestor, as the server knows it
    #[arg(long, value_name = "NETWORK/POSTOFFICE")]
    pub at: Option<PostofficeName>,
}

#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The number of the run, as `dirsync log` has it; default: the newest that is not undone
    pub run: Option<u64>,
    /// Do it
    #[arg(long)]
    pub yes: bool,
    /// Let a source go on that is held because its changes were undone: its next read makes them again
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["run", "yes"])]
    pub go_on: Option<String>,
}

#[derive(Debug, Args)]
pub struct LogArgs {
    /// What the run of this number changed, in place of the log
    #[arg(conflicts_with_all = ["since", "level", "lines", "follow"])]
    pub run: Option<u64>,
    /// Only lines since then: 1h, "2 days", today, yesterday, 2026-11-01 or "2026-11-01 14:00"
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only lines of this level and above: debug, info, notice, warning, error, alarm
    #[arg(long)]
    pub level: Option<Level>,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub lines: Option<usize>,
    /// Go on with each new line, until stopped; with --json one JSON document a line
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Ask the server for a repair of what is wrong
    #[arg(long)]
    pub repair: bool,
}

#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Print a message file in readable form, opened with the keys of the postoffice in -C
    Show {
        /// The message file
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct FileArgs {
    /// The copy
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The folder, which must not exist
    #[arg(default_value = "demo")]
    pub folder: PathBuf,
    /// How many postoffices, the server among them
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub postoffices: u32,
    /// How many entries
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(30..=1_000_000))]
    pub entries: u32,
    /// Let the requestors reach the server by HTTPS, on this machine, and not through a folder
    #[arg(long)]
    pub link: bool,
}
