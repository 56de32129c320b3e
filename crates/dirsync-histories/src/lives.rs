//! Databases that are put back, folders that are made anew or copied, and what people decide.

use std::fs;
use std::time::Duration;

use super::copies::failed;
use super::faults;
use super::model::{Feed, View};
use super::place::{Checked, Ran};
use super::step::{Site, Verb};
use super::world::World;

/// A database with the files that belong to it.
const DATABASE: [&str; 3] = ["postoffice.db", "postoffice.db-wal", "postoffice.db-shm"];

impl World {
    pub(super) fn backup(&mut self, site: Site) -> Checked<()> {
        self.backups_made += 1;
        let file = format!("{site}-{}.backup", self.backups_made);
        let snapshot = self.model.snapshot(site);
        self.place.must(site, &["backup", &file])?;
        self.backups.push((file, snapshot));
        Ok(())
    }

    /// The names of a postoffice's backups, or of those of all others.
    fn backup_of(&self, number: usize, fits: impl Fn(Site) -> bool) -> Option<usize> {
        let all = self.backups.iter().enumerate();
        let fitting: Vec<usize> =
            all.filter(|(_, (_, snapshot))| fits(snapshot.site)).map(|(at, _)| at).collect();
        (!fitting.is_empty()).then(|| fitting[number % fitting.len()])
    }

    pub(super) fn restore(
        &mut self,
        site: Site,
        number: usize,
        dies: Option<Duration>,
    ) -> Checked<()> {
        let Some(at) = self.backup_of(number, |of| of == site) else { return self.backup(site) };
        let (file, snapshot) = self.backups[at].clone();
        let ran = self.place.run(site, &["restore", &file], dies)?;
        match ran.code {
            Some(0) => self.model.put_back(&snapshot, true),
            None => self.model.put_back(&snapshot, false),
            Some(code) => return Err(format!("command: restore ends with {code}: {}", ran.err)),
        }
        Ok(())
    }

    /// Another postoffice's backup must be refused, and nothing may change.
    pub(super) fn restore_foreign(&mut self, site: Site, number: usize) -> Checked<()> {
        let Some(at) = self.backup_of(number, |of| of != site) else { return Ok(()) };
        let file = self.backups[at].0.clone();
        let before = self.export(site, true)?;
        let ran = self.place.run(site, &["restore", &file], None)?;
        if ran.is_done() {
            return Err(format!("command: {site} restored the backup {file}"));
        }
        // An agent may read a source in between.
        if !self.place.has_agent(site) && self.export(site, true)? != before {
            return Err(format!("command: {site} refused the backup {file} and changed"));
        }
        Ok(())
    }

    /// The database's file is copied back, without a word to the program.
    pub(super) fn put_back(&mut self, site: Site, number: usize) -> Checked<()> {
        let Some(at) = self.backup_of(number, |of| of == site) else { return self.backup(site) };
        let (file, snapshot) = self.backups[at].clone();
        self.place.stop_agent(site)?;
        for name in DATABASE {
            let path = self.place.site(site).join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        let (from, to) = (self.place.path(&file), self.place.site(site).join(DATABASE[0]));
        fs::copy(&from, &to).map_err(failed("copy", &from))?;
        self.place.tell(format!("{file} is copied over {}", to.display()));
        self.model.put_back(&snapshot, true);
        self.model.site(site).by_hand = true;
        Ok(())
    }

    /// The machine is lost; a new one gets a new invitation.
    pub(super) fn reinstall(&mut self, site: Site) -> Checked<()> {
        if !faults::is_there(&self.place, site.share()) || self.model.state(site).removed {
            return Ok(());
        }
        self.begin_anew(site, true)
    }

    fn begin_anew(&mut self, site: Site, again: bool) -> Checked<()> {
        self.place.stop_agent(site)?;
        let folder = self.place.site(site);
        let settings = fs::read_to_string(folder.join("dirsync.toml")).unwrap_or_default();
        fs::remove_dir_all(&folder).map_err(failed("remove", &folder))?;
        self.invite(site, again)?;
        let file = folder.join("dirsync.toml");
        fs::write(&file, settings).map_err(failed("write", &file))?;
        self.model.begin_anew(site);
        self.drop_copy(site);
        // What backups of the former life have belongs to a key that is no longer known.
        self.backups.retain(|(_, snapshot)| snapshot.site != site);
        Ok(())
    }

    pub(super) fn set_view(&mut self, number: usize) -> Checked<()> {
        let site = Site::requestor(number);
        let view = View(number / 3 % View::COUNT);
        if self.model.state(site).removed {
            return Ok(());
        }
        let lists = [view.kinds().join(","), view.attributes().join(","), view.origins().join(",")];
        let mut words = vec!["requestor", "set", site.postoffice()];
        for (name, values) in ["--kinds", "--attributes", "--origins"].iter().zip(&lists) {
            words.extend([*name, values.as_str()]);
        }
        self.place.must(Site::Hq, &words)?;
        let state = self.model.site(site);
        state.allowed = view;
        state.view_changed = true;
        Ok(())
    }

    pub(super) fn change_member(&mut self, verb: Verb, site: Site) -> Checked<()> {
        let state = self.model.state(site);
        let name = site.postoffice();
        match verb {
            Verb::Suspend | Verb::Resume if !state.removed => {
                self.place.must(Site::Hq, &["requestor", verb.word(), name])?;
                self.model.site(site).suspended = verb == Verb::Suspend;
            }
            Verb::Remove if !state.removed => {
                self.place.must(Site::Hq, &["requestor", "remove", name, "--yes"])?;
                self.model.remove(site);
                self.model.site(site).suspended = false;
            }
            Verb::Readmit if state.removed && faults::is_there(&self.place, site.share()) => {
                self.begin_anew(site, false)?;
                let keys = self.model.forget(site);
                let backups = self.backups.iter_mut().map(|(_, snapshot)| snapshot);
                for snapshot in backups.chain(self.copies.values_mut()) {
                    snapshot.forget(&keys);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The keys that wait for a person at a postoffice, and those that were turned down there.
    pub(super) fn held(&mut self, site: Site) -> Checked<Vec<Held>> {
        let ran = self.place.must(site, &["held", "list", "--json"])?;
        let rows = ran.json()?;
        let text =
            |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let rows = rows["cases"].as_array().into_iter().flatten();
        Ok(rows
            .map(|row| Held {
                key: text(row, "key"),
                at_server: row["held_at"] == "server",
                is_deletion: text(row, "reason") != "blank" && text(row, "reason") != "move",
                rejected: row["rejected"] == true,
            })
            .collect())
    }

    pub(super) fn approve(&mut self, site: Site, dies: Option<Duration>) -> Checked<()> {
        let held = self.held(site)?;
        let ran = self.place.run(site, &["held", "approve", "--all"], dies)?;
        self.note_approved(&held, &ran);
        Ok(())
    }

    fn note_approved(&mut self, held: &[Held], ran: &Ran) {
        if !ran.is_done() && ran.code.is_some() {
            return;
        }
        for held in held.iter().filter(|held| !held.at_server && held.is_deletion) {
            self.model.made(&held.key, None, ran.is_done() && !held.rejected);
        }
    }

    pub(super) fn reject(&mut self, site: Site) -> Checked<()> {
        let held = self.held(site)?;
        self.place.must(site, &["held", "reject", "--all"])?;
        for held in held {
            if held.at_server {
                self.model.kept.insert(held.key);
            } else {
                self.model.site(site).rejected.insert(held.key);
            }
        }
        Ok(())
    }

    /// An entry by hand is offered to another postoffice.
    pub(super) fn release(&mut self, site: Site, number: usize) -> Checked<()> {
        let keys = self.model.keys(site, Feed::Hand, true);
        if keys.is_empty() {
            return Ok(());
        }
        let key = keys[number % keys.len()].clone();
        let to = Self::heir(number);
        let entry = self.model.entry(site, Feed::Hand, &key).clone();
        if to == site || entry.owner != site || !entry.is_definite() || entry.latest().is_none() {
            return Ok(());
        }
        self.place.must(site, &["entry", "release", &key, "--to", to.postoffice()])?;
        let entry = self.model.entry(site, Feed::Hand, &key);
        (entry.offered, entry.heir, entry.resets) = (true, Some(to), 0);
        Ok(())
    }

    /// To whom a release of this number is.
    fn heir(number: usize) -> Site {
        Site::ALL[(number / Feed::Hand.keys()) % Site::ALL.len()]
    }

    /// An offer with the cycle that brings it to its heir, and the claim.
    pub(super) fn hand_over(&mut self, site: Site, number: usize) -> Checked<()> {
        self.release(site, number)?;
        let to = Self::heir(number);
        for at in [site, Site::Hq, to] {
            self.exchange(at, &["cycle"], None)?;
        }
        self.claim(to, number)
    }

    /// A postoffice takes an entry over that is offered to it.
    pub(super) fn claim(&mut self, site: Site, number: usize) -> Checked<()> {
        let ran = self.place.must(site, &["entry", "list", "--json"])?;
        let rows = ran.json()?;
        let offers: Vec<&serde_json::Value> = rows
            .as_array()
            .into_iter()
            .flatten()
            .filter(|row| row["released_to"] == site.postoffice())
            .collect();
        if offers.is_empty() {
            return Ok(());
        }
        let id = offers[number % offers.len()]["id"].as_str().unwrap_or_default();
        // It may be claimed already, and the list not say so yet.
        self.place.run(site, &["entry", "claim", id], None)?;
        Ok(())
    }
}

/// A change that waits for a person.
pub(super) struct Held {
    pub key: String,
    pub at_server: bool,
    pub is_deletion: bool,
    pub rejected: bool,
}
