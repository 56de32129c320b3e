//! `dirsync.toml`: what an administrator decides for one postoffice.
//!
//! Every key is optional and a missing file is the default. An unknown key is a mistake, and all
//! mistakes are found in one run, each with its line. `docs/configuration.md` is the reference; it
//! is made from [`keys`].

mod format;
mod keys;
mod link;
mod mail;
mod map;
mod never;
mod places;
mod problem;
mod reader;
mod reference;
mod sections;
mod sources;
mod syntax;
mod target;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dirsync_agent::changes::Guards;
use dirsync_agent::export::ExportSettings;
use dirsync_agent::schedule::Schedule;
use dirsync_carrier::access::{Links, open_file};
use dirsync_connect::{Format, OpenOptions};
use dirsync_directory::View;
use jiff::tz::TimeZone;

pub use format::SourceFormat;
pub use link::{LinkCertificate, LinkSettings};
pub use mail::{MailInSettings, MailOutSettings, MailServer, MailSettings};
pub use map::{built_in, built_in_text, load_map};
pub use places::PlaceSettings;
pub(crate) use places::is_line;
pub use problem::ConfigErrors;
pub use reference::template;

use crate::failure::Failure;
use problem::Problem;
use reader::Reader;
use syntax::Syntax;

/// Longest file of settings, in bytes; a longer one is some other file.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// The settings of one postoffice.
#[derive(Clone, Debug)]
pub struct Config {
    /// It works only in the place that was noted as its home.
    pub home_check: bool,
    /// What it wants to see.
    pub view: View,
    /// The zone of the times of day, also in continuous mode.
    zone: TimeZone,
    /// When its steps run; `None` for continuous mode.
    pub schedule: Option<Schedule>,
    /// How often its places are looked at; never zero.
    pub poll: Duration,
    /// Where its own entries come from.
    pub sources: Vec<SourceConfig>,
    /// Where the received list is written to.
    pub targets: Vec<TargetConfig>,
    /// What holds for single places.
    pub places: Vec<PlaceSettings>,
    /// The link.
    pub link: LinkSettings,
    /// Mail.
    pub mail: MailSettings,
    /// When changes are too many.
    pub guards: Guards,
    /// The command that is run when something begins or ends to need a person.
    pub alarm: Vec<String>,
    /// How long it may take; never zero.
    pub alarm_timeout: Duration,
    /// How long messages are kept after they were processed.
    pub keep_done: Duration,
    /// How long log lines are kept; never zero.
    pub keep_log: Duration,
    /// How long what runs changed is kept for undoing it.
    pub keep_undo: Duration,
    /// How long the server remembers deletions that everybody has confirmed; never zero and never
    /// longer than `keep_tombstones`.
    pub keep_confirmed: Duration,
    /// How long the server remembers deletions at most.
    pub keep_tombstones: Duration,
    /// zstd level of bodies.
    pub compression: i32,
    /// From how many encoded bytes on a body is cut into parts.
    pub part_bytes: u64,
    /// How long a shared folder may take to answer before it counts as away.
    pub patience: Duration,
    /// How long a file that seems half written is left alone, in milliseconds.
    pub settle_ms: u64,
}

/// A source.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its name, unique without regard to case.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its format.
    pub format: Format,
    /// Its rows take over entries on offer that have their addresses.
    pub claims: bool,
    /// The file is the whole list.
    pub whole: bool,
    /// Its encoding and map.
    pub options: OpenOptions,
    /// Fingerprint of what shapes its rows.
    pub fingerprint: String,
}

/// A target.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// The file.
    pub file: PathBuf,
    /// Its format and content.
    pub export: ExportSettings,
}

/// The defaults of the list of keys.
impl Default for Config {
    fn default() -> Self {
        let empty = toml::de::DeTable::new();
        sections::config(&mut Reader::new("", ""), &empty, Path::new(""))
    }
}

impl Config {
    /// Reads a configuration; a file that is not there stands for the defaults. Relative paths in it
    /// are relative to its folder.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with positions.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        match read_file(path)? {
            Some(text) => Self::parse(path, &text),
            None => Ok(Self::default()),
        }
    }

    /// The source of this name.
    ///
    /// # Errors
    ///
    /// A name that no source has, with those that there are.
    pub fn source(&self, name: &str) -> crate::failure::Result<&SourceConfig> {
        let named = self.sources.iter().find(|source| source.name.eq_ignore_ascii_case(name));
        named.ok_or_else(|| {
            let names: Vec<&str> = self.sources.iter().map(|source| &*source.name).collect();
            let hint = match names.is_empty() {
                true => "the settings have no [[source]]".to_owned(),
                false => format!("the sources are: {}", names.join(", ")),
            };
            Failure::missing(format!("no source of the settings is called \"{name}\"")).hint(hint)
        })
    }

    /// The zone of times that people read and write.
    pub fn zone(&self) -> TimeZone {
        self.zone.clone()
    }

    /// Reads a configuration from the content of the file at `path`.
    fn parse(path: &Path, text: &str) -> Result<Self, ConfigErrors> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let folder = path.parent().unwrap_or(Path::new(""));
        let syntax = Syntax::of(text);
        let (document, _) = toml::de::DeTable::parse_recoverable(&syntax.text);
        let mut reader = Reader::new(&syntax.text, "");
        let config = sections::config(&mut reader, document.get_ref(), folder);
        let meaning = reader.finish();
        let problems = syntax.with(meaning);
        if problems.is_empty() { Ok(config) } else { Err(ConfigErrors::new(path, text, problems)) }
    }
}

/// The text of a file of settings, or nothing when there is no such file.
fn read_file(path: &Path) -> Result<Option<String>, ConfigErrors> {
    let failed = |message: &str, reason: String| {
        Err(ConfigErrors::new(path, "", vec![Problem::of_file(message).because(reason)]))
    };
    let mut bytes = Vec::new();
    let read = open_file(path, Links::Follow)
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length > FILE_BYTES_MAX => {
            return failed("this is no file of settings", "it is longer than 256 KiB".into());
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return failed("could not read the settings", error.to_string()),
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let problem = Problem::at(at..at, "this file is not UTF-8")
                .because("no character of UTF-8")
                .help("save the file as UTF-8");
            Err(ConfigErrors::new(path, &text, vec![problem]))
        }
    }
}
