//! Postoffices that do the steps of a history, and the model beside them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::entry::List;
use super::faults::{self, Faults};
use super::model::{Feed, Model, Snapshot};
use super::place::{Checked, Place};
use super::step::{Site, Step, Verb, Who};

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
    /// What copies of folders know, while there are any.
    pub copies: BTreeMap<Site, Snapshot>,
    /// The lists as they were looked at last.
    pub lists: BTreeMap<Site, List>,
    pub backups_made: usize,
}

/// An address that several entries want.
pub fn contested(number: usize) -> String {
    format!("SMTP:all{}@x.example", number % CONTESTED)
}

impl World {
    /// A server and three requestors, each with an entry, and a first cycle done.
    pub fn new(place: Place) -> Checked<Self> {
        let mut world = Self {
            place,
            model: Model::default(),
            faults: Faults::default(),
            backups: Vec::new(),
            copies: BTreeMap::new(),
            lists: BTreeMap::new(),
            backups_made: 0,
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
            Verb::Copy => self.copy(site),
            Verb::Promote => self.promote(),
            Verb::Stray => self.use_copy(site),
            Verb::Move | Verb::Rejoin => self.move_to_copy(site, step.verb == Verb::Rejoin),
            Verb::Twins => self.run_twins(site, number),
            Verb::Spoil => self.spoil(site, number),
            Verb::Ask => self.ask(site, number),
            Verb::Repair => self.exchange(site, &["check", "--repair"], None),
            Verb::View => self.set_view(number),
            Verb::Suspend | Verb::Resume | Verb::Remove | Verb::Readmit => {
                self.change_member(step.verb, Site::requestor(number))
            }
            Verb::Release => self.release(site, number),
            Verb::Claim => self.claim(site, number),
            Verb::HandOver => self.hand_over(site, number),
            _ => Ok(()),
        }
    }

    /// A step of the cycle: it is done, something waits, or a place is away.
    pub(super) fn exchange(
        &mut self,
        site: Site,
        words: &[&str],
        dies: Option<Duration>,
    ) -> Checked<()> {
        let ran = self.place.run(site, words, dies)?;
        let shares: Vec<usize> = match site {
            Site::Hq => vec![0, 1],
            _ => vec![site.share()],
        };
        let away = shares.iter().any(|share| !faults::is_there(&self.place, *share));
        match ran.code {
            None | Some(0 | 3 | 4) => Ok(()),
            Some(1) if self.faults.are_parts_blocked() => Ok(()),
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
        // Where there is one that this can be done to, it is done to one of those.
        let keys = self.model.keys(site, Feed::Hand, verb != Verb::Add);
        let key = match keys.len() {
            0 => Feed::Hand.key(site, number),
            count => keys[number % count].clone(),
        };
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
