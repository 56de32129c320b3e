//! Whether anything happened at a postoffice since its last turn, told without opening its database.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dirsync_carrier::Transit;
use dirsync_postoffice::Postoffice;
use dirsync_postoffice::folder::{DATABASE, database, load_config};

use crate::failure::Result;

/// The files of a postoffice's folder that commands change, beside its database.
const FILES: [&str; 3] = ["decisions.log", "keys/home", "keys/instance"];

/// How a postoffice looked when its last turn ended.
pub struct Resting {
    folder: PathBuf,
    config: String,
    looks: Vec<(PathBuf, Option<(u64, SystemTime)>)>,
    /// Where messages arrive that start a step.
    places: Vec<Box<dyn Transit>>,
}

impl Resting {
    /// How it looks now. While it is open: what another process does after it is closed is another look.
    pub fn of(postoffice: &mut Postoffice) -> Result<Self> {
        let folder = postoffice.folder.clone();
        let mut files: Vec<PathBuf> = FILES.iter().map(|name| folder.join(name)).collect();
        files.push(database(&folder));
        files.push(folder.join(format!("{DATABASE}-wal")));
        files.extend(postoffice.config.sources.iter().map(|source| source.file.clone()));
        let mut places = Vec::new();
        if postoffice.config.schedule.is_none() {
            places.extend(postoffice.own_transits()?.into_iter().map(|(_, transit)| transit));
            places.extend(postoffice.transits()?.into_values());
        }
        let config = format!("{:?}", postoffice.config);
        let looks =
            files.into_iter().map(|file| (look(&file), file)).map(|(look, file)| (file, look));
        Ok(Self { folder, config, looks: looks.collect(), places })
    }

    /// Whether it looks as it did, and nothing has arrived.
    pub fn goes_on(&self) -> bool {
        self.looks.iter().all(|(file, before)| look(file) == *before)
            && load_config(&self.folder).is_ok_and(|config| format!("{config:?}") == self.config)
            && self.places.iter().all(|transit| transit.arrived().is_ok_and(|new| new.is_empty()))
    }
}

/// The size and time of a file; `None` if there is none, or an empty one, as SQLite's log is between two
/// transactions.
fn look(file: &Path) -> Option<(u64, SystemTime)> {
    let data = std::fs::metadata(file).ok().filter(|data| data.len() > 0)?;
    Some((data.len(), data.modified().ok()?))
}
