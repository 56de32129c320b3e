//! An independent model of what every postoffice must hold.
//!
//! Of each entry it keeps all versions that its owner ever made, in their order, and two lower bounds:
//! the version that the owner's database holds at least, and the one that the server's does. Whatever
//! is restored lowers a bound to that of the backup. At the end an entry may be at any version from
//! the higher bound on, and no other; where nothing was lost that is exactly the newest.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Content, List, Row};
use super::step::Site;

/// What feeds an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    Hand,
    /// `dirsync import`.
    Import,
    /// A source that is the whole list.
    Staff,
    /// A source that is part of it.
    Rooms,
}

impl Feed {
    /// The letter that keys of this feed have.
    pub fn letter(self) -> char {
        match self {
            Self::Hand => 'h',
            Self::Import => 'i',
            Self::Staff => 's',
            Self::Rooms => 'r',
        }
    }

    /// How many keys of this feed a postoffice has at most. Below the guards' least count.
    pub fn keys(self) -> usize {
        match self {
            Self::Hand | Self::Import => 5,
            Self::Staff => 7,
            Self::Rooms => 3,
        }
    }

    pub fn key(self, site: Site, number: usize) -> String {
        format!("{site}-{}{}", self.letter(), number % self.keys())
    }

    /// The source that a postoffice's settings name.
    pub fn source_of(site: Site) -> Option<Self> {
        match site {
            Site::Hq | Site::A => Some(Self::Staff),
            Site::B => Some(Self::Rooms),
            Site::C => None,
        }
    }
}

/// One entry, with all that its owner made of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose key it is.
    pub home: Site,
    /// Who owns it, as far as that is known.
    pub owner: Site,
    pub feed: Feed,
    /// `None`: it does not exist. The first is always that.
    pub versions: Vec<Option<Content>>,
    /// The version that the owner's database holds at least.
    pub at_site: usize,
    /// The version that the server's database holds at least.
    pub at_server: usize,
    /// It was offered to another postoffice: who owns it, and at which version, is up to arrival.
    pub offered: bool,
    /// To whom it was offered last.
    pub heir: Option<Site>,
    /// How often a database that knows of the offer was put back since; the server's own postoffice is
    /// in one database with the server.
    pub resets: u32,
}

impl Entry {
    pub fn newest(&self) -> usize {
        self.versions.len() - 1
    }

    pub fn floor(&self) -> usize {
        self.at_site.max(self.at_server)
    }

    /// Whether nothing is uncertain: the owner's database holds the newest version.
    pub fn is_definite(&self) -> bool {
        self.at_site == self.newest() && !self.offered
    }

    pub fn latest(&self) -> Option<&Content> {
        self.versions[self.newest()].as_ref()
    }

    /// Whether the entry may be like this when everything is settled.
    pub fn may_be(&self, found: Option<&Content>) -> bool {
        if self.offered {
            let known = |content: &Content| self.versions.iter().flatten().any(|v| v == content);
            return found.map_or(self.may_be_absent(self.floor()) || self.resets > 1, known);
        }
        self.versions[self.floor()..].iter().any(|version| version.as_ref() == found)
    }

    /// Whether it may leave lists that show a version.
    pub fn may_be_absent(&self, version: usize) -> bool {
        self.versions[version.min(self.floor())..].contains(&None)
    }

    /// The last version of this content.
    pub fn find(&self, content: Option<&Content>) -> Option<usize> {
        self.versions.iter().rposition(|version| version.as_ref() == content)
    }

    /// Whether any version says this, as a view may show it.
    pub fn ever_said(&self, content: &Content) -> bool {
        let alike = |version: &Content| {
            let shown = |(name, value)| version.details.get(name) == Some(value);
            version.name == content.name
                && version.address == content.address
                && version.kind == content.kind
                && content.details.iter().all(shown)
        };
        self.versions.iter().flatten().any(alike)
    }
}

/// What is known of a database that was copied.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub site: Site,
    at_site: BTreeMap<String, usize>,
    at_server: Option<BTreeMap<String, usize>>,
}

impl Snapshot {
    /// Its entries are gone for good: whoever puts the server back removes them again, as the log of
    /// decisions says.
    pub fn forget(&mut self, keys: &[String]) {
        for key in keys {
            self.at_site.remove(key);
            self.at_server.iter_mut().for_each(|at_server| {
                at_server.remove(key);
            });
        }
    }
}

/// What is known of one postoffice.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Its database was put back or made anew: since the last look at the lists, and ever.
    pub reset: bool,
    pub was_reset: bool,
    /// Its database was put back without a word: to the server that may look like a second machine.
    pub by_hand: bool,
    /// How often it began another life.
    pub lives: u32,
    /// So many of its changes were in quarantine when everything was settled.
    pub quarantined: u64,
    /// What it sees was changed since the lists were equal.
    pub view_changed: bool,
    /// The view that the server allows, and the one that its settings want.
    pub allowed: View,
    pub wanted: View,
    pub removed: bool,
    pub suspended: bool,
    /// The content of its source's file.
    pub file: BTreeMap<String, Content>,
    /// Held changes that a person turned down here.
    pub rejected: BTreeSet<String>,
}

/// A view, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View(pub usize);

impl View {
    pub const COUNT: usize = 18;

    pub fn kinds(self) -> &'static [&'static str] {
        [&["mailbox", "contact", "resource", "list"][..], &["mailbox"], &["contact"]][self.0 % 3]
    }

    pub fn attributes(self) -> &'static [&'static str] {
        [&super::entry::ATTRIBUTES[..], &["ou"]][self.0 / 3 % 2]
    }

    pub fn origins(self) -> Vec<&'static str> {
        let sites: &[Site] =
            [&Site::ALL[..], &[Site::Hq, Site::B, Site::C], &[Site::A, Site::C]][self.0 / 6 % 3];
        sites.iter().map(|site| site.postoffice()).collect()
    }

    /// An entry as this view shows it.
    pub fn of(self, row: &Row) -> Option<Row> {
        let shown = self.kinds().contains(&row.content.kind.as_str())
            && self.origins().contains(&row.origin.as_str());
        let mut row = row.clone();
        row.content.details.retain(|name, _| self.attributes().contains(&name.as_str()));
        shown.then_some(row)
    }
}

/// Everything that is known.
#[derive(Default)]
pub struct Model {
    pub entries: BTreeMap<String, Entry>,
    sites: BTreeMap<Site, State>,
    /// The server's own deletions that a person turned down.
    pub kept: BTreeSet<String>,
    number: usize,
}

impl Model {
    pub fn site(&mut self, site: Site) -> &mut State {
        self.sites.entry(site).or_default()
    }

    pub fn state(&self, site: Site) -> State {
        self.sites.get(&site).cloned().unwrap_or_default()
    }

    /// Content that no version had before.
    pub fn next_content(&mut self, key: &str) -> Content {
        self.number += 1;
        Content::new(key, self.number)
    }

    pub fn entry(&mut self, site: Site, feed: Feed, key: &str) -> &mut Entry {
        self.entries.entry(key.to_owned()).or_insert_with(|| Entry {
            home: site,
            owner: site,
            feed,
            versions: vec![None],
            at_site: 0,
            at_server: 0,
            offered: false,
            heir: None,
            resets: 0,
        })
    }

    /// The keys of a postoffice's entries that exist, or that do not.
    pub fn keys(&self, site: Site, feed: Feed, existing: bool) -> Vec<String> {
        let keys = (0..feed.keys()).map(|number| feed.key(site, number));
        keys.filter(|key| {
            let entry = self.entries.get(key);
            let exists = entry.is_some_and(|e| e.latest().is_some() && e.owner == site);
            exists == existing && entry.is_none_or(|entry| entry.owner == site)
        })
        .collect()
    }

    /// The owner may have made a version; `certain` where its command succeeded.
    pub fn made(&mut self, key: &str, version: Option<Content>, certain: bool) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.versions.push(version);
            if certain && !entry.offered {
                entry.at_site = entry.newest();
            }
        }
    }

    pub fn snapshot(&self, site: Site) -> Snapshot {
        let of = |bound: fn(&Entry) -> usize| {
            self.entries.iter().map(|(key, entry)| (key.clone(), bound(entry))).collect()
        };
        let at_server = (site == Site::Hq).then(|| of(|entry| entry.at_server));
        Snapshot { site, at_site: of(|entry| entry.at_site), at_server }
    }

    /// A database was put back. Where that is not certain, each bound is the lower one.
    pub fn put_back(&mut self, snapshot: &Snapshot, certain: bool) {
        let bound = |from: &BTreeMap<String, usize>, key: &str, now: usize| {
            let then = from.get(key).copied().unwrap_or(0);
            if certain { then } else { then.min(now) }
        };
        for (key, entry) in &mut self.entries {
            if entry.home == snapshot.site || entry.owner == snapshot.site {
                entry.at_site = bound(&snapshot.at_site, key, entry.at_site);
            }
            if let Some(at_server) = &snapshot.at_server {
                entry.at_server = bound(at_server, key, entry.at_server);
            }
        }
        self.note_reset(snapshot.site);
    }

    /// A postoffice begins anew, with an empty database.
    pub fn begin_anew(&mut self, site: Site) {
        let nothing = Snapshot { site, at_site: BTreeMap::new(), at_server: None };
        self.put_back(&nothing, true);
        self.site(site).rejected.clear();
    }

    /// The server removed a postoffice. An entry that was offered to it may have left with it.
    pub fn remove(&mut self, site: Site) {
        self.site(site).removed = true;
        for entry in self.entries.values_mut() {
            if entry.offered && entry.heir == Some(site) {
                (entry.at_site, entry.at_server) = (0, 0);
            }
        }
    }

    /// A postoffice that was removed begins anew: the server has forgotten its entries too.
    /// Returns their keys.
    pub fn forget(&mut self, site: Site) -> Vec<String> {
        self.site(site).removed = false;
        self.site(site).allowed = View::default();
        let owned = self.entries.iter_mut().filter(|(_, entry)| entry.owner == site);
        owned
            .map(|(key, entry)| {
                (entry.at_site, entry.at_server) = (0, 0);
                key.clone()
            })
            .collect()
    }

    fn note_reset(&mut self, site: Site) {
        for entry in self.entries.values_mut().filter(|entry| entry.offered) {
            if site == Site::Hq || site == entry.home || site == entry.owner {
                let parties = [Some(entry.home), Some(entry.owner), entry.heir];
                entry.resets += 1 + u32::from(site == Site::Hq && parties.contains(&Some(site)));
            }
        }
        let state = self.site(site);
        (state.reset, state.was_reset) = (true, true);
        state.lives += 1;
    }

    /// The server acknowledged all that a postoffice had made.
    pub fn acknowledged(&mut self, site: Site) {
        for entry in self.entries.values_mut().filter(|entry| entry.owner == site) {
            if !entry.offered {
                entry.at_server = entry.at_server.max(entry.at_site);
            }
        }
    }

    /// Everything is settled, and the owners hold this: from here on it is exactly known.
    pub fn settled(&mut self, own: &BTreeMap<Site, List>) {
        for (key, entry) in &mut self.entries {
            let found = own.iter().find_map(|(site, list)| Some((site, list.get(key)?)));
            let content = found.map(|(_, row)| &row.content);
            if self.sites.get(&entry.owner).is_some_and(|state| state.removed) {
                continue;
            }
            if let Some((site, _)) = found {
                entry.owner = *site;
            }
            if let Some(version) = entry.find(content) {
                // Later ones are lost, and may yet come back from a backup that has them.
                entry.at_site = version;
                entry.at_server = version;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A postoffice with one entry at its second version, a backup at the first.
    fn model() -> (Model, Snapshot, Content, Content) {
        let mut model = Model::default();
        model.entry(Site::A, Feed::Hand, "a-h1");
        let (one, two) = (model.next_content("a-h1"), model.next_content("a-h1"));
        model.made("a-h1", Some(one.clone()), true);
        let snapshot = model.snapshot(Site::A);
        model.made("a-h1", Some(two.clone()), true);
        (model, snapshot, one, two)
    }

    #[test]
    fn what_nobody_lost_is_exactly_as_made() {
        let (model, _, one, two) = model();
        let entry = &model.entries["a-h1"];
        assert!(entry.may_be(Some(&two)) && !entry.may_be(Some(&one)) && !entry.may_be(None));
    }

    #[test]
    fn a_restore_loses_only_what_the_server_never_acknowledged() {
        let (mut model, snapshot, one, two) = model();
        model.put_back(&snapshot, true);
        let entry = &model.entries["a-h1"];
        assert!(entry.may_be(Some(&two)) && entry.may_be(Some(&one)) && !entry.may_be(None));

        let (mut model, snapshot, one, two) = self::model();
        model.acknowledged(Site::A);
        model.put_back(&snapshot, true);
        let entry = &model.entries["a-h1"];
        assert!(entry.may_be(Some(&two)) && !entry.may_be(Some(&one)) && !entry.may_be(None));
    }

    #[test]
    fn a_restore_of_both_sides_loses_what_came_after_the_backups() {
        let (mut model, snapshot, one, _) = model();
        let server = model.snapshot(Site::Hq);
        model.acknowledged(Site::A);
        model.put_back(&snapshot, true);
        model.put_back(&server, true);
        assert!(model.entries["a-h1"].may_be(Some(&one)));
        assert!(!model.entries["a-h1"].may_be(None));
    }

    #[test]
    fn a_deleted_entry_may_leave_and_no_other() {
        let (mut model, ..) = model();
        assert!(!model.entries["a-h1"].may_be_absent(2));
        model.made("a-h1", None, true);
        assert!(model.entries["a-h1"].may_be_absent(2));
    }
}
