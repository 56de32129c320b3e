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
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Site {
    Server,
    /// Owns all entries.
    Origin,
    /// Owns none and receives all.
    Receiver,
    /// As the receiver, numbered from 1.
    Other(u32),
}

impl Site {
    fn folder(self) -> String {
        match self {
            Self::Server => "hq".to_owned(),
            Self::Origin => "north".to_owned(),
            Self::Receiver => "south".to_owned(),
            Self::Other(number) => format!("site{number}"),
        }
    }

    pub fn postoffice(self) -> String {
        format!("BENCH/{}", self.folder().to_uppercase())
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
        create(&folder.join(Site::Server.folder()))?;
        let map = folder.join("map.toml");
        fs::write(&map, MAP).map_err(|error| Failure::file("write", &map, &error))?;
        let map = map.to_string_lossy().into_owned();
        let system = Self { binary: binary.to_owned(), folder: folder.to_owned(), map };
        system.run(Site::Server, &["init", &Site::Server.postoffice(), "--server"])?;
        system.add(Site::Origin)?;
        Ok(system)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder through which messages travel.
    pub fn share(&self) -> PathBuf {
        self.folder.join("share")
    }

    pub fn site_folder(&self, site: Site) -> PathBuf {
        self.folder.join(site.folder())
    }

    /// Registers a site and makes its postoffice.
    pub fn add(&self, site: Site) -> Result<(), Failure> {
        let invitation = self.invite(&site.postoffice())?;
        let folder = self.site_folder(site);
        fs::create_dir_all(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
        self.run(site, &["init", "--invitation", &invitation.to_string_lossy()])?;
        Ok(())
    }

    /// Registers a requestor, and returns its invitation's file.
    pub fn invite(&self, name: &str) -> Result<PathBuf, Failure> {
        let share = self.share().to_string_lossy().into_owned();
        let file = self.folder.join(format!("{}.invitation", name.replace('/', "-")));
        let out = file.to_string_lossy();
        self.run(Site::Server, &["requestor", "add", name, "--folder", &share, "--out", &out])?;
        Ok(file)
    }

    /// The words of a whole import of `file`.
    pub fn import_words<'a>(&'a self, file: &'a str) -> [&'a str; 7] {
        ["import", file, "--format", "csv", "--map", &self.map, "--whole"]
    }

    /// Runs a step, and returns what it printed.
    pub fn run(&self, site: Site, words: &[&str]) -> Result<String, Failure> {
        Ok(process::run(&mut self.command(site, words))?.1)
    }

    /// Runs a command that leaves something for a person to decide.
    pub fn hold(&self, site: Site, words: &[&str]) -> Result<(), Failure> {
        const WAITS: i32 = 3;
        let mut command = self.command(site, words);
        let called = format!("{command:?}");
        let failed = |text| Failure::failed(format!("{called} {text}"));
        let output = command.output().map_err(|error| failed(format!("did not run: {error}")))?;
        match output.status.code() {
            Some(WAITS) => Ok(()),
            _ => Err(failed(format!("ended with {}, and holds nothing", output.status))),
        }
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
    pub fn check_equal(&self, entries: u32, others: &[Site]) -> Result<(), Failure> {
        let mut digests = BTreeMap::new();
        for site in [Site::Server, Site::Origin, Site::Receiver].iter().chain(others).copied() {
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

    /// The command line of a step.
    pub fn command(&self, site: Site, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("-C").arg(self.site_folder(site)).args(words);
        command.env_remove("DIRSYNC_POSTOFFICE");
        command
    }

    /// Message files on their way in the shared folder, with their sizes; not those taken already.
    fn message_files(&self) -> Result<BTreeMap<PathBuf, u64>, Failure> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.share()];
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
