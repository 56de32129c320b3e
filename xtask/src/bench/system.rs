//! A directory server and two requestors in one folder, driven by the command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::process::{self, Measurement};
use crate::failure::Failure;
use crate::generator::MAP;

/// Rounds after which everything that was sent is confirmed.
const SETTLING_ROUNDS: usize = 3;

/// Who runs a step.
#[derive(Clone, Copy)]
pub enum Site {
    Server,
    /// Owns all entries.
    Origin,
    /// Owns none and receives all.
    Receiver,
}

impl Site {
    fn folder(self) -> &'static str {
        match self {
            Self::Server => "hq",
            Self::Origin => "north",
            Self::Receiver => "south",
        }
    }

    fn postoffice(self) -> &'static str {
        match self {
            Self::Server => "BENCH/HQ",
            Self::Origin => "BENCH/NORTH",
            Self::Receiver => "BENCH/SOUTH",
        }
    }
}

pub struct System {
    binary: PathBuf,
    folder: PathBuf,
    map: String,
}

impl System {
    /// The server and the origin, in a folder that must not be there yet.
    pub fn new(binary: &Path, folder: &Path) -> Result<Self, Failure> {
        let create = |path: &Path| {
            fs::create_dir_all(path).map_err(|error| Failure::file("make", path, &error))
        };
        if folder.exists() {
            return Err(Failure::failed(format!("{} is there already", folder.display())));
        }
        create(&folder.join("share"))?;
        for site in [Site::Server, Site::Origin, Site::Receiver] {
            create(&folder.join(site.folder()))?;
        }
        let map = folder.join("map.toml");
        fs::write(&map, MAP).map_err(|error| Failure::file("write", &map, &error))?;
        let map = map.to_string_lossy().into_owned();
        let system = Self { binary: binary.to_owned(), folder: folder.to_owned(), map };
        system.run(Site::Server, &["init", Site::Server.postoffice(), "--server"])?;
        system.add(Site::Origin)?;
        Ok(system)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn add_receiver(&self) -> Result<(), Failure> {
        self.add(Site::Receiver)
    }

    fn add(&self, site: Site) -> Result<(), Failure> {
        let path = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        let (share, invitation) = (path("share"), path(&format!("{}.invitation", site.folder())));
        let name = site.postoffice();
        self.run(
            Site::Server,
            &["requestor", "add", name, "--folder", &share, "--out", &invitation],
        )?;
        self.run(site, &["init", "--invitation", &invitation])?;
        Ok(())
    }

    /// The words of a whole import of `file`.
    pub fn import_words<'a>(&'a self, file: &'a str) -> [&'a str; 7] {
        ["import", file, "--format", "csv", "--map", &self.map, "--whole"]
    }

    /// Runs a step, and returns what it printed.
    pub fn run(&self, site: Site, words: &[&str]) -> Result<String, Failure> {
        Ok(process::run(&mut self.command(site, words))?.1)
    }

    /// Runs a step, and counts the bytes of the message files that it added.
    pub fn measure(&self, site: Site, words: &[&str]) -> Result<Measurement, Failure> {
        let before = self.message_files()?;
        let (mut measurement, _) = process::run(&mut self.command(site, words))?;
        let after = self.message_files()?;
        let added = after.iter().filter(|(path, _)| !before.contains_key(*path));
        measurement.message_bytes = added.map(|(_, bytes)| bytes).sum();
        Ok(measurement)
    }

    /// Lets everything arrive and be confirmed, unmeasured.
    pub fn settle(&self) -> Result<(), Failure> {
        for _ in 0..SETTLING_ROUNDS {
            for site in [Site::Origin, Site::Receiver, Site::Server] {
                self.run(site, &["cycle"])?;
            }
        }
        Ok(())
    }

    /// Figures of a run that went wrong are no figures: all lists must be equal and complete.
    pub fn check_equal(&self, entries: u32) -> Result<(), Failure> {
        let mut digests = BTreeMap::new();
        for site in [Site::Server, Site::Origin, Site::Receiver] {
            let text = self.run(site, &["status", "--json"])?;
            let status: Value = serde_json::from_str(&text).map_err(|error| {
                Failure::failed(format!("status of {} is not JSON: {error}", site.postoffice()))
            })?;
            if status["entries"].as_u64() != Some(u64::from(entries)) {
                let (name, found) = (site.postoffice(), &status["entries"]);
                return Err(Failure::failed(format!(
                    "{name} holds {found} entries, not {entries}"
                )));
            }
            digests.insert(site.postoffice(), status["digest"].to_string());
        }
        let mut values = digests.values();
        let first = values.next();
        if values.any(|digest| Some(digest) != first) {
            return Err(Failure::failed(format!("the lists are not equal: {digests:?}")));
        }
        Ok(())
    }

    fn command(&self, site: Site, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("-C").arg(self.folder.join(site.folder())).args(words);
        command.env_remove("DIRSYNC_POSTOFFICE");
        command
    }

    /// Message files on their way in the shared folder, with their sizes; not those taken already.
    fn message_files(&self) -> Result<BTreeMap<PathBuf, u64>, Failure> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.join("share")];
        while let Some(folder) = folders.pop() {
            let mut list = || -> std::io::Result<()> {
                for item in fs::read_dir(&folder)? {
                    let item = item?;
                    if !item.file_type()?.is_dir() {
                        files.insert(item.path(), item.metadata()?.len());
                    } else if item.file_name() != "done" {
                        folders.push(item.path());
                    }
                }
                Ok(())
            };
            list().map_err(|error| Failure::file("list", &folder, &error))?;
        }
        Ok(files)
    }
}
