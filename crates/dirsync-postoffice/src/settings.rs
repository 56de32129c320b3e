//! A check of the settings, also before there is a postoffice.

use std::path::{Path, PathBuf};

use dirsync_agent::alarm::Never;
use dirsync_agent::dispatch::State;

use crate::config::{Config, ConfigErrors};
use crate::failure::Result;
use crate::folder::SETTINGS;
use crate::keys::{has_instance, public_key};
use crate::next::Next;
use crate::postoffice::Postoffice;
use crate::time::now_ms;
use crate::view::{Unmatched, unmatched_here};
use crate::{exposure, missing};

/// The result of a check of the settings of a folder.
#[derive(Debug)]
pub struct Check {
    /// Their file.
    pub file: PathBuf,
    /// The settings, or all that is wrong with the file.
    pub config: Result<Config, ConfigErrors>,
    /// Steps that never run on their schedule, although each of its lines is well formed.
    pub never: Vec<Never>,
    /// What the agent does next; `None` if the settings have mistakes.
    pub next: Option<Next>,
    /// What others on this machine may write and should not, what did not work when the postoffice was
    /// opened, and files, programs and places that the settings name and that are not there.
    pub warnings: Vec<String>,
    /// The values of the view that no entry has.
    pub unmatched: Vec<Unmatched>,
}

impl Check {
    /// Checks the settings of a folder.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut state = State::new(has_instance(folder));
        let mut unmatched = Vec::new();
        let mut warnings = match Postoffice::read(folder) {
            Ok(mut postoffice) => {
                state = State::load(&mut *postoffice.begin()?)?;
                let wanted = postoffice.config.view.clone();
                unmatched = unmatched_here(&mut *postoffice.begin()?, &wanted)?;
                let mut warnings = std::mem::take(&mut postoffice.warnings);
                warnings.extend(exposure::of(&mut postoffice)?);
                warnings.extend(postoffice.unused_settings()?);
                warnings
            }
            // Settings can be checked before there is a postoffice.
            Err(_) => exposure::of_settings(folder),
        };
        let file = folder.join(SETTINGS);
        let config = Config::load(&file);
        if let Ok(config) = &config {
            warnings.extend(missing::of(folder, config));
        }
        // Before there are keys nobody knows whether this becomes a server.
        let is_postoffice = public_key(folder).is_ok();
        let never = match &config {
            Ok(config) if is_postoffice => config.never(has_instance(folder)),
            _ => Vec::new(),
        };
        let next = config.as_ref().ok().map(|config| Next::by(config, &state, now_ms()));
        Ok(Self { file, config, never, next, warnings, unmatched })
    }
}
