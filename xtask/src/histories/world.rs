//! Postoffices that do the steps of a history, and the model beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::entry::{Format, List};
use super::faults::{self, Faults};
use super::model::{Feed, Model, Snapshot, View};
use super::place::{Checked, Place, Ran};
use super::step::{Site, Step, Verb, Who};
use crate::generator::random::Random;

/// Addresses that entries of several postoffices want.
const CONTESTED: usize = 2;
/// The unit of [`Step::dies`].
const MOMENT: Duration = Duration::from_micros(100);

/// A world while its history goes on.
pub struct World {
    pub place: Place,
    pub model: Model,
    pub faults: Faults,
    /// By number: what a backup file knows.
    pub backups: Vec<(String, Snapshot)>,
    /// What a copy of the server's folder knows, while there is one.
    pub copy: Option<Snapshot>,
    /// The lists as they were looked at last.
    pub lists: BTreeMap<Site, List>,
    made: usize,
}

/// An address that several entries want.
pub fn contested(number: usize) -> String {
    format!("SMTP:all{}@x.example", number % CONTESTED)
}

fn written(path: &Path, text: &str) -> Checked<()> {
    // A reader never sees half a file.
    let beside = path.with_extension("next");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| format!("no file: {}: {error}", path.display()))
}

impl World {
    /// A server and three requestors, each with an entry, and a first cycle done.
    pub fn new(place: Place) -> Checked<Self> {
        let mut world = Self {
            place,
            model: Model::default(),
            faults: Faults::default(),
            backups: Vec::new(),
            copy: None,
            lists: BTreeMap::new(),
            made: 0,
        };
        let words = ["init", Site::Hq.postoffice(), "--server"];
        world.place.must(Site::Hq, &words)?;
        for site in Site::REQUESTORS {
            world.invite(site, false)?;
        }
        for site in Site::ALL {
            if let Some(feed) = Feed::source_of(site) {
                for number in 0..3 {
                    world.write_row(site, feed, number);
                }
            }
            world.write_files(site, 0)?;
            world.change(site, Verb::Add, 0, None)?;
        }
        world.rest(false)?;
        for site in Site::ALL {
            world.model.site(site).was_reset = false;
        }
        Ok(world)
    }

    /// Does one step.
    pub fn step(&mut self, step: &Step) -> Checked<()> {
        self.place.tell(format!("-- {step}"));
        self.place.check_agents()?;
        match step.who {
            Who::At(site) => self.at(site, step),
            Who::Share(share) => self.faults.strike(&mut self.place, share, step.verb, step.number),
            Who::All if step.verb == Verb::Watch => self.watch(),
            Who::All => self.rest(step.verb == Verb::RestByAgents),
        }
    }

    fn at(&mut self, site: Site, step: &Step) -> Checked<()> {
        let number = step.number;
        let dies = step.dies.map(|moment| MOMENT * moment);
        match step.verb {
            Verb::Add | Verb::Modify | Verb::Contest | Verb::Delete => {
                self.change(site, step.verb, number, dies)
            }
            Verb::Import => self.import(site, number, dies),
            Verb::Rows => self.change_rows(site, number),
            Verb::Settings => self.write_files(site, number),
            Verb::Send | Verb::Apply | Verb::Cycle => {
                self.exchange(site, &[step.verb.word()], dies)
            }
            Verb::Process => self.exchange(Site::Hq, &["process"], dies),
            Verb::Once if self.place.has_agent(site) => Ok(()),
            Verb::Once => self.exchange(site, &["run", "--once"], dies),
            Verb::Agent => self.place.start_agent(site),
            Verb::Stop => self.place.stop_agent(site),
            Verb::Kill => {
                self.place.kill_agent(site);
                Ok(())
            }
            Verb::Approve => self.approve(site, dies),
            Verb::Reject => self.reject(site),
            Verb::Backup => self.backup(site),
            Verb::Restore => self.restore(site, number, dies),
            Verb::PutBack => self.put_back(site, number),
            Verb::Foreign => self.restore_foreign(site, number),
            Verb::Reinstall => self.reinstall(site),
            Verb::CopyServer => self.copy_server(),
            Verb::Promote => self.promote(),
            Verb::View => self.set_view(number),
            Verb::Suspend | Verb::Resume | Verb::Remove | Verb::Readmit => {
                self.change_member(step.verb, Site::requestor(number))
            }
            Verb::Release => self.release(site, number),
            Verb::Claim => self.claim(site, number),
            _ => Ok(()),
        }
    }

    /// A step of the cycle: it is done, something waits, or a place is away.
    fn exchange(&mut self, site: Site, words: &[&str], dies: Option<Duration>) -> Checked<()> {
        let ran = self.place.run(site, words, dies)?;
        let shares: Vec<usize> = match site {
            Site::Hq => vec![0, 1],
            _ => vec![site.share()],
        };
        let away = shares.iter().any(|share| !faults::is_there(&self.place, *share));
        match ran.code {
            None | Some(0 | 3 | 4) => Ok(()),
            Some(1) if away && words == ["run", "--once"] => Ok(()),
            Some(code) => Err(format!("step: {site} {} ends with {code}: {}", words[0], ran.err)),
        }
    }

    /// An entry is changed by hand.
    fn change(
        &mut self,
        site: Site,
        verb: Verb,
        number: usize,
        dies: Option<Duration>,
    ) -> Checked<()> {
        let key = Feed::Hand.key(site, number);
        let mut content = self.model.next_content(&key);
        if verb == Verb::Contest {
            content.address = contested(number / Feed::Hand.keys());
        }
        let removed = self.model.state(site).removed;
        let entry = self.model.entry(site, Feed::Hand, &key).clone();
        if entry.owner != site {
            return Ok(());
        }
        let fields = content.words();
        let mut words = match verb {
            Verb::Add => vec!["entry", "add", "--key", &key],
            Verb::Delete => vec!["entry", "delete", &key],
            _ => vec!["entry", "modify", &key],
        };
        if verb != Verb::Delete {
            words.extend(fields.iter().map(String::as_str));
        }
        let ran = self.place.run(site, &words, dies)?;
        let exists = entry.latest().is_some();
        let held = !removed && entry.is_definite();
        if held && ran.code.is_some() && ran.is_done() == (exists == (verb == Verb::Add)) {
            let was = if exists { "exists" } else { "does not exist" };
            return Err(format!(
                "command: {} although the entry {was}: {}",
                words.join(" "),
                ran.err
            ));
        }
        if ran.is_done() || ran.code.is_none() {
            let version = (verb != Verb::Delete).then_some(content);
            self.model.made(&key, version, ran.is_done());
        }
        Ok(())
    }

    /// A file is imported, the whole list or a part of it.
    fn import(&mut self, site: Site, number: usize, dies: Option<Duration>) -> Checked<()> {
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
    fn write_row(&mut self, site: Site, feed: Feed, number: usize) {
        let key = feed.key(site, number);
        let content = self.model.next_content(&key);
        self.model.entry(site, feed, &key);
        self.model.made(&key, Some(content.clone()), false);
        self.model.site(site).file.insert(key, content);
    }

    /// The file of a source changes: some rows are new or other, at times one leaves.
    fn change_rows(&mut self, site: Site, number: usize) -> Checked<()> {
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

    fn source_format(site: Site) -> Format {
        if site == Site::B { Format::Ldif } else { Format::Csv }
    }

    fn write_source(&mut self, site: Site) -> Checked<()> {
        let format = Self::source_format(site);
        let path = self.place.path(&format!("{site}-source.{}", format.extension()));
        let rows = self.model.state(site).file;
        written(&path, &format.write(site, &rows))
    }

    /// Settings by number: always the source, at times targets, a view, and longer or shorter messages.
    fn write_files(&mut self, site: Site, number: usize) -> Checked<()> {
        if Feed::source_of(site).is_some() {
            self.write_source(site)?;
        }
        self.made += 1;
        let mut text = "[schedule]\npoll = \"1 s\"\n".to_owned();
        if let Some(feed) = Feed::source_of(site) {
            let whole = feed == Feed::Staff;
            let end = Self::source_format(site).extension();
            text += &format!(
                "[[source]]\nname = \"people\"\nfile = \"../{site}-source.{end}\"\nwhole = {whole}\n"
            );
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
    pub fn targets(&self, site: Site) -> Vec<(String, bool)> {
        let text = fs::read_to_string(self.place.site(site).join("dirsync.toml"));
        let text = text.unwrap_or_default();
        let known = [("list.csv", false), ("own.csv", true)];
        known
            .into_iter()
            .filter(|(file, _)| text.contains(&format!("file = \"{file}\"")))
            .map(|(file, own)| (file.to_owned(), own))
            .collect()
    }

    /// Registers a requestor and makes its folder.
    pub fn invite(&mut self, site: Site, again: bool) -> Checked<()> {
        let (file, share) = (format!("{site}.invitation"), super::step::SHARES[site.share()]);
        let mut words = vec!["requestor", "add", site.postoffice(), "--folder", share];
        words.extend(["--out", &file]);
        if again {
            words.push("--again");
        }
        self.place.must(Site::Hq, &words)?;
        self.place.must(site, &["init", "--invitation", &file])?;
        Ok(())
    }
}
