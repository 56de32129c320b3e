//! What feeds entries: files that are imported, sources, and the settings that name them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::entry::Format;
use super::faults::make_fifo;
use super::model::{Feed, View};
use super::place::{Checked, Ran};
use super::step::Site;
use super::world::World;
use crate::random::Random;

fn written(path: &Path, text: &str) -> Checked<()> {
    // A reader never sees half a file.
    let beside = path.with_extension("next");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| format!("no file: {}: {error}", path.display()))
}

impl World {
    /// A file is imported, the whole list or a part of it.
    pub(super) fn import(
        &mut self,
        site: Site,
        number: usize,
        dies: Option<Duration>,
    ) -> Checked<()> {
        let mut random = Random::new(number as u64);
        let format = Format::of(random.below(3));
        let whole = random.below(3) == 0;
        let mut rows = BTreeMap::new();
        let mut absent = Vec::new();
        for at in 0..Feed::Import.keys() {
            let key = Feed::Import.key(site, at);
            let entry = self.model.entry(site, Feed::Import, &key).clone();
            if random.below(4) == 0 {
                if entry.versions.len() > 1 {
                    absent.push(key);
                }
                continue;
            }
            // A row that says what is held already, where that is known for certain.
            let same = entry.latest().filter(|_| entry.is_definite() && random.below(2) == 0);
            let content = same.cloned().unwrap_or_else(|| self.model.next_content(&key));
            rows.insert(key, content);
        }
        let file = format!("{site}-import.{}", format.extension());
        written(&self.place.path(&file), &format.write(site, &rows))?;
        let mut words = vec!["import", &file, "--json"];
        if whole {
            words.push("--whole");
        }
        let ran = self.place.run(site, &words, dies)?;
        if !ran.is_done() && ran.code.is_some() {
            return Err(format!("command: {}: {}", words.join(" "), ran.err));
        }
        let certain = ran.is_done();
        for (key, content) in rows {
            if self.model.entries[&key].latest() != Some(&content) {
                self.model.made(&key, Some(content), certain);
            }
        }
        if whole {
            self.note_absence(&absent, &ran)?;
        }
        Ok(())
    }

    /// Entries that a whole read does not name: deleted, held, or left alone.
    fn note_absence(&mut self, absent: &[String], ran: &Ran) -> Checked<()> {
        let count = |name: &str| -> Checked<u64> {
            let value = if ran.code.is_some() { ran.json()? } else { serde_json::Value::Null };
            Ok(value[name].as_u64().unwrap_or(0))
        };
        let (held, kept) = (count("held_removals")?, count("absent_kept")?);
        for key in absent {
            let entry = &self.model.entries[key];
            if ran.code.is_some() && held == 0 && kept == 0 {
                // It may be gone without a trace, or come back when its owner merges.
                let certain = entry.is_definite();
                self.model.made(key, None, certain);
            } else if ran.code.is_none() || held > 0 {
                self.model.made(key, None, false);
            }
        }
        Ok(())
    }

    /// A row of a source's file gets new content.
    pub(super) fn write_row(&mut self, site: Site, feed: Feed, number: usize) {
        let key = feed.key(site, number);
        let content = self.model.next_content(&key);
        self.model.entry(site, feed, &key);
        self.model.made(&key, Some(content.clone()), false);
        self.model.site(site).file.insert(key, content);
    }

    /// The file of a source changes: some rows are new or other, at times one leaves.
    pub(super) fn change_rows(&mut self, site: Site, number: usize) -> Checked<()> {
        let Some(feed) = Feed::source_of(site) else { return Ok(()) };
        let mut random = Random::new(number as u64);
        for _ in 0..1 + random.below(3) {
            self.write_row(site, feed, random.below(feed.keys()));
        }
        if feed == Feed::Staff && random.below(2) == 0 {
            let key = feed.key(site, random.below(feed.keys()));
            if self.model.site(site).file.remove(&key).is_some() {
                self.model.made(&key, None, false);
            }
        }
        self.write_source(site)
    }

    /// The file of a source is away, or not what it should be. Nobody may be deleted by that.
    pub(super) fn spoil(&mut self, site: Site, number: usize) -> Checked<()> {
        if Feed::source_of(site).is_none() {
            return Ok(());
        }
        let path = self.source_file(site);
        if !path.is_file() {
            return Ok(());
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::remove_file(&path).map_err(|error| format!("no file: {}: {error}", path.display()))?;
        let half = text.len() / 2;
        let outcome = match number % 5 {
            0 => Ok(()),
            1 => fs::create_dir(&path),
            4 => make_fifo(&path),
            2 => fs::write(&path, "neither keys nor values\n"),
            // In the middle of a row: one that is cut between fields is a row with less in it.
            _ => fs::write(&path, &text[..text[half..].find(" v").map_or(0, |at| half + at + 1)]),
        };
        self.place.tell(format!("the source of {site} is spoilt"));
        outcome.map_err(|error| format!("no file: {}: {error}", path.display()))
    }

    /// Sources are as they should be again.
    pub(super) fn mend_sources(&mut self) -> Checked<()> {
        for site in Site::ALL {
            if Feed::source_of(site).is_some() {
                let path = self.source_file(site);
                let removed = if path.is_dir() { fs::remove_dir(&path) } else { Ok(()) };
                removed.map_err(|error| format!("no file: {}: {error}", path.display()))?;
                self.write_source(site)?;
            }
        }
        Ok(())
    }

    fn source_file(&self, site: Site) -> std::path::PathBuf {
        self.place.path(&format!("{site}-source.{}", Self::source_format(site).extension()))
    }

    fn source_format(site: Site) -> Format {
        if site == Site::B { Format::Ldif } else { Format::Csv }
    }

    fn write_source(&mut self, site: Site) -> Checked<()> {
        let format = Self::source_format(site);
        let path = self.source_file(site);
        if path.is_dir() {
            return Ok(());
        }
        let rows = self.model.state(site).file;
        written(&path, &format.write(site, &rows))
    }

    /// Settings by number: always the source, at times targets, a view, and longer or shorter messages.
    pub(super) fn write_files(&mut self, site: Site, number: usize) -> Checked<()> {
        if Feed::source_of(site).is_some() {
            self.write_source(site)?;
        }
        let mut text = "[schedule]\npoll = \"1 s\"\n".to_owned();
        if number % 5 == 4 {
            // Each deletion is one too many.
            text += "[guard.delete]\nentries = 0\npercent = 0\n";
        }
        if let Some(feed) = Feed::source_of(site) {
            let whole = feed == Feed::Staff;
            let end = Self::source_format(site).extension();
            text += &format!(
                "[[source]]\nname = \"people\"\nfile = \"../{site}-source.{end}\"\nwhole = {whole}\n"
            );
        }
        if number % 7 == 6 {
            // Nobody may wait for it.
            text += "[alarm]\ncommand = [\"sleep\", \"20\"]\n";
        }
        for (at, target) in ["list.csv", "own.csv"].iter().enumerate() {
            if number >> at & 1 == 1 {
                text += &format!("[[target]]\nfile = \"{target}\"\nown = {}\n", at == 1);
            }
        }
        // The server's own list is the one that others are compared with: it shows everything.
        let wanted = if site == Site::Hq { 0 } else { number / 4 % View::COUNT };
        if wanted > 0 {
            let view = View(wanted);
            text += &format!(
                "[view]\nkinds = {:?}\nattributes = {:?}\norigins = {:?}\n",
                view.kinds(),
                view.attributes(),
                view.origins()
            );
        }
        let state = self.model.site(site);
        state.view_changed |= state.wanted != View(wanted);
        state.wanted = View(wanted);
        written(&self.place.site(site).join("dirsync.toml"), &text)
    }

    /// Which targets the settings name.
    pub(super) fn targets(&self, site: Site) -> Vec<(String, bool)> {
        let text = fs::read_to_string(self.place.site(site).join("dirsync.toml"));
        let text = text.unwrap_or_default();
        let known = [("list.csv", false), ("own.csv", true)];
        known
            .into_iter()
            .filter(|(file, _)| text.contains(&format!("file = \"{file}\"")))
            .map(|(file, own)| (file.to_owned(), own))
            .collect()
    }
}
