//! A check of the settings, also before there is a postoffice.

use std::path::{Path, PathBuf};

use dirsync_agent::alarm::Never;

use crate::config::{Config, ConfigErrors};
use crate::failure::Result;
use crate::folder::SETTINGS;
use crate::keys::{has_instance, public_key};
use crate::postoffice::Postoffice;
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
    /// What others on this machine may write and should not, what did not work when the postoffice was
    /// opened, and files and programs that the settings name and that are not there.
    pub warnings: Vec<String>,
}

impl Check {
    /// Checks the settings of a folder.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut warnings = match Postoffice::read(folder) {
            Ok(mut postoffice) => {
                let mut warnings = std::mem::take(&mut postoffice.warnings);
                warnings.extend(exposure::of(&mut postoffice)?);
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
        Ok(Self { file, config, never, warnings })
    }
}
