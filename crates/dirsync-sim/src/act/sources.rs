//! Files that feed postoffices, beside what hands make.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_agent::changes::{
    ConfiguredSource, Guards, ReadRow, ReadSettings, SourceRead, approve as approve_held,
    reject as reject_held,
};
use dirsync_directory::{EntryId, Record};
use dirsync_protocol::requestor::ADOPTED;
use dirsync_protocol::tables::{OwnRow, SourceMemory};
use dirsync_testing::held_changes;

use crate::check::{Checked, own_of};
use crate::naming::{change_of, entry, name_of, record};
use crate::world::World;

/// The only source of worlds whose file names some of the entries that it feeds.
const PARTIAL: &str = "part";

impl World {
    /// The file of a source names these entries, and no others. Returns whether it can be so.
    pub(super) fn write_file(&mut self, name: &str, source: &str, keys: &[String]) -> bool {
        if keys.iter().any(|key| key[..1].to_uppercase() != name) {
            return false;
        }
        let before = self.files.remove(&(name.into(), source.into())).unwrap_or_default();
        let mut rows = BTreeMap::new();
        for key in keys {
            self.ghost.allow(key, entry(key), name);
            let record = match before.get(key) {
                Some(record) => record.clone(),
                None => self.new_line(name, key),
            };
            rows.insert(key.clone(), record);
        }
        self.files.insert((name.into(), source.into()), rows);
        true
    }

    /// Another phone number in a line of a file. Returns whether there is such a line.
    pub(super) fn write_line(&mut self, name: &str, source: &str, key: &str) -> bool {
        let file = (name.to_owned(), source.to_owned());
        if !self.files.get(&file).is_some_and(|rows| rows.contains_key(key)) {
            return false;
        }
        let record = self.new_line(name, key);
        self.files.entry(file).or_default().insert(key.into(), record);
        true
    }

    fn new_line(&mut self, name: &str, key: &str) -> Record {
        let change = self.ghost.next_change(name);
        let record = record(&[key], false, change);
        self.ghost.written.insert(change, record.clone());
        record
    }

    /// The sources of a postoffice.
    pub(crate) fn sources_of(&self, name: &str) -> Vec<String> {
        let own = self.files.keys().filter(|(owner, _)| owner == name);
        own.map(|(_, source)| source.clone()).collect()
    }

    /// A source is read at a machine; `complete` says whether to its end. What is on offer stands in the
    /// file as it is. Returns whether there is such a source.
    pub(crate) fn read_source(&mut self, machine: &str, source: &str, complete: bool) -> bool {
        let name = name_of(machine).to_owned();
        let Some(lines) = self.files.get(&(name.clone(), source.to_owned())) else { return false };
        let mut lines = lines.clone();
        if !complete {
            lines.pop_last();
        }
        let before = own_of(self.site(machine));
        let offered = before.values().filter(|row| row.released_to.is_some());
        lines.extend(offered.filter(|row| row.source == source).map(line_of));
        let strict = self.setup.guard;
        let configured: Vec<ConfiguredSource> = self
            .sources_of(&name)
            .into_iter()
            .map(|name| ConfiguredSource { whole: name != PARTIAL, name })
            .collect();
        let guards = Guards {
            delete: strict,
            blank: strict,
            moved: strict,
            taken: strict,
            settings: strict,
        };
        self.run_at(machine, |tables, context| {
            let settings = ReadSettings {
                source: source.into(),
                whole: source != PARTIAL,
                claims: false,
                guards,
                fingerprint: String::new(),
                configured,
                now: context.now,
            };
            let mut read = SourceRead::begin(tables, settings).expect("it can be read");
            for (line, (key, record)) in (2..).zip(&lines) {
                let record = record.as_ref();
                let row = ReadRow { origin: None, key, record, line, derived_key: false };
                read.row(row).expect("it can be written");
            }
            read.finish(complete).expect("it can be written");
        });
        self.note_read(machine, source, &lines, &before);
        true
    }

    /// What a read has changed, and which entries the source has named in this life.
    fn note_read(
        &mut self,
        machine: &str,
        source: &str,
        lines: &BTreeMap<String, Record>,
        before: &BTreeMap<EntryId, OwnRow>,
    ) {
        let after = own_of(self.site(machine));
        let mut gone = Vec::new();
        for row in before.values().filter(|row| !after.contains_key(&row.id)) {
            if !self.site(machine).has_named(source, row.id) || lines.contains_key(&row.key) {
                let key = &row.key;
                self.broken
                    .push(format!("T0: {machine} deleted {key}, which {source} never named"));
            }
            gone.push(row.key.clone());
        }
        gone.iter().for_each(|key| self.note_deletion(machine, key));
        let fed: Vec<&OwnRow> = after.values().filter(|row| row.source == source).collect();
        for row in &fed {
            let change = change_of(&row.record);
            let old = before.get(&row.id);
            if old.is_none_or(|old| change_of(&old.record) != change) {
                self.ghost.latest.insert(row.id, (change, true));
            }
            if old.is_none_or(|old| old.source == ADOPTED) {
                // Its line may be older than a deletion by hand, or than a change by hand of which a
                // reinstallation forgot that it was one: the source that names it has its way.
                self.ghost.acked.remove(&row.id);
            }
        }
        let named = fed.iter().filter(|row| lines.contains_key(&row.key)).map(|row| row.id);
        self.site(machine).name(source, named.collect());
    }

    /// A person decides on all that a machine holds of what its sources ask for. Returns whether there
    /// was anything.
    pub(super) fn decide_reads(&mut self, machine: &str, approve: bool) -> bool {
        let before = own_of(self.site(machine));
        let decided = self.run_at(machine, |tables, context| {
            let decided = if approve {
                approve_held(tables, context.now, None)
            } else {
                reject_held(tables, None)
            };
            decided.expect("it can be written")
        });
        let after = own_of(self.site(machine));
        for row in before.values() {
            match after.get(&row.id) {
                None => self.note_deletion(machine, &row.key),
                Some(now) if now.record != row.record => {
                    self.ghost.latest.insert(row.id, (change_of(&now.record), true));
                }
                Some(_) => {}
            }
        }
        decided > 0
    }

    /// Every source of a machine is read whose file is new to it, as in each cycle of the program.
    pub(crate) fn read_sources(&mut self, machine: &str) -> Checked<()> {
        let name = name_of(machine).to_owned();
        let sources = self.sources_of(&name);
        for source in &sources {
            let knows = self.state(machine).knows_its_own();
            let lines = &self.files[&(name.clone(), source.clone())];
            let mark = format!("{lines:?} {sources:?} {knows}");
            let memory = self.read(machine, |tables| tables.source_memory(source));
            if memory.is_some_and(|memory| memory.seen == mark) {
                continue;
            }
            self.read_source(machine, source, true);
            self.run_at(machine, |tables, _| {
                let memory = tables.source_memory(source).expect("it can be read");
                let memory = SourceMemory { seen: mark, ..memory.unwrap_or_default() };
                tables.put_source_memory(source, &memory).expect("it can be written");
            });
        }
        self.broken.first().map_or(Ok(()), |why| Err(why.clone()))
    }

    /// What the files of a postoffice say is what its machine has, but for what waits for a person, what
    /// somebody else feeds, and what was handed over.
    pub(crate) fn check_sources(&mut self, machine: &str) -> Checked<()> {
        let name = name_of(machine).to_owned();
        let own = own_of(self.site(machine));
        let held = self.read(machine, |tables| held_changes(tables));
        let held: BTreeSet<EntryId> = held.into_iter().map(|held| held.id).collect();
        let holds = self.read(machine, |tables| tables.source_holds());
        for source in self.sources_of(&name) {
            if holds.iter().any(|(held, _)| *held == source) {
                continue;
            }
            for (key, record) in self.files[&(name.clone(), source.clone())].clone() {
                let id = entry(&key);
                if held.contains(&id) || self.ghost.allowed[&id].len() > 1 {
                    continue;
                }
                match own.get(&id) {
                    None => return Err(format!("T0: {machine} lacks {key}, which {source} names")),
                    Some(row) if row.source == source && row.record != record => {
                        return Err(format!("T0: {key} is not as {source} has it"));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }
}

fn line_of(row: &OwnRow) -> (String, Record) {
    (row.key.clone(), row.record.clone())
}
