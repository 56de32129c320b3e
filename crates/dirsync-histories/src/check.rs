//! What must hold: at any time, and when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use super::entry::{List, Row, read_export};
use super::model::{Entry, Feed};
use super::place::Checked;
use super::step::Site;
use super::world::World;

/// What a postoffice says of itself.
pub(super) struct Seen {
    own: List,
    list: List,
    /// The list as it was exported, byte by byte.
    exported: String,
    status: Value,
    code: i32,
    held: BTreeSet<String>,
}

impl World {
    pub(super) fn export(&mut self, site: Site, own: bool) -> Checked<List> {
        let words: &[&str] = if own { &["export", "--own"] } else { &["export"] };
        read_export(&self.place.must(site, words)?.out)
    }

    /// Looks at all lists in the middle of a history: nothing vanished that its owner has.
    pub(super) fn watch(&mut self) -> Checked<()> {
        for site in Site::ALL {
            let list = self.export(site, false)?;
            let before = self.lists.insert(site, list);
            let state = self.model.state(site);
            let Some(before) = before else { continue };
            if state.reset || state.view_changed || state.removed {
                continue;
            }
            let now = &self.lists[&site];
            for (key, row) in before.iter().filter(|(key, _)| !now.contains_key(*key)) {
                self.check_vanished(site, key, row)?;
            }
        }
        let sites: Vec<Site> =
            Site::ALL.into_iter().filter(|s| !self.place.has_agent(*s)).collect();
        for site in sites {
            self.note_acknowledged(site)?;
        }
        for site in Site::ALL {
            self.model.site(site).reset = false;
        }
        Ok(())
    }

    fn check_vanished(&self, site: Site, key: &str, row: &Row) -> Checked<()> {
        let Some(entry) = self.model.entries.get(key) else { return Ok(()) };
        let shown = |version: &usize| {
            entry.versions[*version].as_ref().is_some_and(|v| v.name == row.content.name)
        };
        let version = (0..entry.versions.len()).rev().find(shown).unwrap_or(0);
        // An entry that a person lets go, and one whose address others want, is another matter.
        let contested = entry.versions.iter().flatten().any(|v| v.address.contains(":all"));
        let owner_left = self.model.state(entry.owner).removed;
        if entry.offered || contested || owner_left || entry.may_be_absent(version) {
            return Ok(());
        }
        Err(format!("vanished: {key} at {site}, although its owner has it"))
    }

    /// Where nothing was put back, a postoffice knows what the server acknowledged.
    fn note_acknowledged(&mut self, site: Site) -> Checked<()> {
        let lost = |state: super::model::State| state.was_reset || state.removed;
        if lost(self.model.state(site)) || lost(self.model.state(Site::Hq)) {
            return Ok(());
        }
        let status = self.place.run(site, &["status", "--json"], None)?;
        if !matches!(status.code, Some(0 | 3 | 4)) {
            return Err(format!("status: at {site} ends with {:?}: {}", status.code, status.err));
        }
        let status = status.json()?;
        if status["req_seq"] == status["req_sync"] {
            self.model.acknowledged(site);
        }
        Ok(())
    }

    /// Everything that must hold at rest. Returns what each postoffice said of itself.
    pub(super) fn check(&mut self) -> Checked<BTreeMap<Site, Seen>> {
        let mut seen = BTreeMap::new();
        for site in Site::ALL {
            if !self.model.state(site).removed {
                let one = self.look(site)?;
                seen.insert(site, one);
            }
        }
        for (site, one) in &seen {
            self.check_status(*site, one)?;
        }
        for site in seen.keys() {
            self.check_own(*site, &seen)?;
        }
        self.check_server_list(&seen)?;
        for (site, one) in &seen {
            self.check_list(*site, one, &seen[&Site::Hq])?;
        }
        check_digests(&seen)?;
        self.check_registrations(&seen[&Site::Hq])?;
        for site in seen.keys() {
            self.check_targets(*site, &seen[site])?;
            let ran = self.place.run(*site, &["check"], None)?;
            if ran.code != Some(0) {
                return Err(format!("check: at {site}: {}{}", ran.out, ran.err));
            }
        }
        Ok(seen)
    }

    fn look(&mut self, site: Site) -> Checked<Seen> {
        let own = self.export(site, true)?;
        let exported = self.place.must(site, &["export"])?.out;
        let status = self.place.must(site, &["status", "--json"])?;
        let code = status.code.unwrap_or_default();
        let status = status.json()?;
        let held = if status["held"] != 0 || self.model.state(site).was_reset {
            self.held(site)?.into_iter().map(|held| held.key).collect()
        } else {
            BTreeSet::new()
        };
        Ok(Seen { own, list: read_export(&exported)?, exported, status, code, held })
    }

    /// Own entries exactly as made.
    fn check_own(&self, site: Site, seen: &BTreeMap<Site, Seen>) -> Checked<()> {
        let own = &seen[&site].own;
        for (key, entry) in &self.model.entries {
            if self.model.state(entry.owner).removed {
                continue;
            }
            let found = own.get(key);
            if entry.offered {
                let holders = seen.values().filter(|one| one.own.contains_key(key)).count();
                let content = seen.values().find_map(|one| one.own.get(key));
                let content = content.map(|row| &row.content);
                // Where origin and server were put back to before the offer, nobody knows of it but the heir.
                if holders > 1 && entry.resets < 2 || !entry.may_be(content) {
                    return Err(format!(
                        "own: {key}, which was handed over, is at {holders} postoffices as {content:?}"
                    ));
                }
                continue;
            }
            if entry.owner == site {
                self.check_own_entry(site, key, entry, found, &seen[&site].held)?;
            } else if found.is_some() {
                return Err(format!("own: {key} of {} is {site}'s", entry.owner));
            }
        }
        let stranger = own.keys().find(|key| !self.model.entries.contains_key(*key));
        stranger.map_or(Ok(()), |key| Err(format!("own: {key} at {site} was never made")))
    }

    fn check_own_entry(
        &self,
        site: Site,
        key: &str,
        entry: &Entry,
        found: Option<&Row>,
        held: &BTreeSet<String>,
    ) -> Checked<()> {
        let content = found.map(|row| &row.content);
        let state = self.model.state(site);
        let waits = held.contains(key) || state.rejected.contains(key);
        let fed = matches!(entry.feed, Feed::Staff | Feed::Rooms);
        let right = match state.file.get(key) {
            Some(row) if fed => content == Some(row),
            // Its deletion may wait for a person; until then it is as it ever was.
            _ if content.is_some() && waits => entry.find(content).is_some(),
            None if fed => content.is_none() || entry.latest().is_some() && entry.may_be(content),
            _ => entry.may_be(content),
        };
        if right {
            return Ok(());
        }
        let newest = entry.latest().map(|content| &content.name);
        Err(format!(
            "own: {key} at {site} is {:?}, made was {newest:?}, version {} of {} at least",
            content.map(|content| &content.name),
            entry.floor(),
            entry.newest()
        ))
    }

    /// The server's list is what own entries imply.
    fn check_server_list(&self, seen: &BTreeMap<Site, Seen>) -> Checked<()> {
        let list = &seen[&Site::Hq].list;
        let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut holders: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, row) in list {
            if let Some(other) = holders.insert(&row.content.address, key) {
                let address = &row.content.address;
                return Err(format!("list: {key} and {other} both have {address}"));
            }
        }
        for (key, row) in seen.values().flat_map(|one| &one.own) {
            wanted.entry(&row.content.address).or_default().push(key);
        }
        for one in seen.values() {
            for (key, row) in &one.own {
                let address = row.content.address.as_str();
                let listed = list.get(key);
                if listed.is_some_and(|listed| listed == row) {
                    continue;
                }
                let rivals = wanted[address].len() > 1;
                let held_by_other = holders.get(address).is_some_and(|holder| *holder != key);
                let stays = listed.is_none_or(|listed| {
                    self.model.entries.get(key).is_some_and(|e| e.ever_said(&listed.content))
                });
                if (rivals || held_by_other) && stays && holders.contains_key(address) {
                    continue;
                }
                let listed = listed.map(|row| (&row.origin, &row.content.name));
                let made = (&row.origin, &row.content.name);
                return Err(format!("list: {key} is {listed:?}, its owner has {made:?}"));
            }
        }
        let hq = &seen[&Site::Hq];
        for key in list.keys() {
            let owned = seen.values().any(|one| one.own.contains_key(key));
            let waits = hq.held.contains(key) || self.model.kept.contains(key);
            if !owned && !waits {
                return Err(format!("list: {key} is nobody's"));
            }
        }
        Ok(())
    }

    /// A list is what its views show of the server's.
    fn check_list(&self, site: Site, one: &Seen, server: &Seen) -> Checked<()> {
        let state = self.model.state(site);
        let shown: List = server
            .list
            .iter()
            .filter_map(|(key, row)| Some((key, state.allowed.of(row)?)))
            .filter_map(|(key, row)| Some((key.clone(), state.wanted.of(&row)?)))
            .collect();
        let keys: BTreeSet<&String> = shown.keys().chain(one.list.keys()).collect();
        for key in keys {
            let (there, here) = (shown.get(key), one.list.get(key));
            if there != here {
                return Err(format!("view: {key} at {site} is {here:?}, it should be {there:?}"));
            }
        }
        Ok(())
    }

    /// Nothing is claimed to be well that is not, nor the other way round.
    fn check_status(&self, site: Site, one: &Seen) -> Checked<()> {
        let status = &one.status;
        let number = |name: &str| status[name].as_u64().unwrap_or_default();
        let wrong = |what: &str| Err(format!("status: {what} at {site}: {status}"));
        if !status["stopped"].is_null() || number("overdue") > 0 {
            return wrong("stopped or overdue");
        }
        if number("req_seq") != number("req_sync") {
            return wrong("own changes are not acknowledged");
        }
        let alarms = |kind: &str| alarms(status, kind).count();
        if alarms("source") > 0 {
            return wrong("a source cannot be read");
        }
        if alarms("differs") + alarms("recovering") > 0 {
            return wrong("a list differs, or the server recovers,");
        }
        let doubled = doubled(status);
        if doubled.iter().any(|name| !self.may_seem_doubled(name)) {
            return wrong("a postoffice runs on two machines, which it never did,");
        }
        let waits = status["alarms"].as_array().is_some_and(|alarms| !alarms.is_empty());
        if one.code != if waits { 3 } else { 0 } {
            return wrong("another exit code");
        }
        if number("held") + number("quarantined") > 0 && !waits {
            return wrong("something is held and no alarm");
        }
        let state = self.model.state(site);
        if number("entries") != one.list.len() as u64
            || number("own_entries") != one.own.len() as u64
        {
            return wrong("counts differ");
        }
        if number("held") > 0 && one.held.is_empty() {
            return wrong("something is held and not listed");
        }
        let contested = self
            .model
            .entries
            .values()
            .any(|e| e.latest().is_some_and(|c| c.address.contains(":all")));
        // Where a side is put back two changes of one entry may meet, and one of them is kept aside.
        let merged = state.was_reset || self.model.state(Site::Hq).was_reset;
        if number("quarantined") > state.quarantined && !merged && !contested {
            return wrong("something is in quarantine");
        }
        Ok(())
    }

    /// A late message of a life that has ended looks like one of a second machine.
    fn may_seem_doubled(&self, name: &str) -> bool {
        let site = Site::ALL.into_iter().find(|site| site.postoffice() == name);
        site.is_some_and(|site| self.model.state(site).lives > 0)
    }

    /// A database that was put back without a word after another life of it, or of the server, had begun
    /// may find that life accepted, and so may a promoted copy of a server that was restored after it was
    /// copied. Then it is as one of two machines, and a person says which is to be kept. Returns whether
    /// that was needed.
    pub(super) fn say_who_is_kept(&mut self) -> Checked<bool> {
        let mut said = false;
        let server_lives = self.model.state(Site::Hq).lives;
        for site in Site::ALL {
            let state = self.model.state(site);
            let words: &[&str] =
                if site == Site::Hq { &["server", "promote"] } else { &["rejoin"] };
            let others = if site == Site::Hq { 0 } else { server_lives };
            if state.by_hand && state.lives + others > 1 && !state.removed {
                let status = self.place.must(site, &["status", "--json"])?.json()?;
                if status["stopped"] == "fenced" {
                    self.place.must(site, words)?;
                    said = true;
                }
            }
        }
        Ok(said)
    }

    /// Once everything is settled a person says of each postoffice that was put back by hand that it
    /// is the only one.
    pub(super) fn say_who_is_one(&mut self, seen: &BTreeMap<Site, Seen>) -> Checked<()> {
        for name in doubled(&seen[&Site::Hq].status) {
            self.place.must(Site::Hq, &["requestor", "resume", &name])?;
        }
        Ok(())
    }

    fn check_registrations(&self, server: &Seen) -> Checked<()> {
        if server.status["recovering"] == true {
            return Err("status: the server is still recovering".into());
        }
        for row in server.status["requestors"].as_array().into_iter().flatten() {
            let name = row["name"].as_str().unwrap_or_default();
            let site = Site::ALL.into_iter().find(|site| site.postoffice() == name);
            let removed = site.is_some_and(|site| self.model.state(site).removed);
            let expected = if removed { "removed" } else { "active" };
            if row["state"] != expected || !removed && row["digest_matches"] != true {
                return Err(format!("status: the server says of {name}: {row}"));
            }
        }
        Ok(())
    }

    /// Targets equal the lists that they are written from.
    fn check_targets(&mut self, site: Site, one: &Seen) -> Checked<()> {
        for (file, own) in self.targets(site) {
            let text = fs::read_to_string(self.place.site(site).join(&file)).unwrap_or_default();
            let same = if own { read_export(&text)? == one.own } else { text == one.exported };
            if !same {
                return Err(format!("target: {file} at {site} is not the list"));
            }
        }
        Ok(())
    }

    /// From here on everything is exactly known.
    pub(super) fn note_settled(&mut self, seen: BTreeMap<Site, Seen>) {
        for site in Site::ALL {
            let state = self.model.site(site);
            (state.reset, state.was_reset, state.view_changed) = (false, false, false);
            state.by_hand = false;
        }
        let mut owned = BTreeMap::new();
        self.lists.clear();
        for (site, one) in seen {
            let quarantined = one.status["quarantined"].as_u64().unwrap_or_default();
            self.model.site(site).quarantined = quarantined;
            owned.insert(site, one.own);
            self.lists.insert(site, one.list);
        }
        self.model.settled(&owned);
    }
}

/// The alarms of a kind.
fn alarms<'a>(status: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let alarms = status["alarms"].as_array().into_iter().flatten();
    alarms.filter(move |alarm| alarm["kind"] == kind)
}

/// The postoffices that run on two machines.
fn doubled(status: &Value) -> Vec<String> {
    alarms(status, "doubled")
        .filter_map(|alarm| alarm["name"].as_str())
        .map(str::to_owned)
        .collect()
}

/// Digests are equal exactly where lists are.
fn check_digests(seen: &BTreeMap<Site, Seen>) -> Checked<()> {
    for (site, one) in seen {
        for (other, two) in seen {
            let lists = one.exported == two.exported;
            let digests = one.status["digest"] == two.status["digest"];
            if lists != digests {
                return Err(format!("digest: lists of {site} and {other} are equal: {lists}"));
            }
        }
    }
    Ok(())
}
