//! Entries as they are shown: the list, and own changes that are not published yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, PostofficeName, RecordRef, fold};
use dirsync_message::ReqSeq;
use dirsync_protocol::tables::{ListRow, OwnRow, Tables};
use schemars::JsonSchema;
use serde::Serialize;

use crate::difference::value;
use crate::failure::Result;
use crate::json;
use crate::postoffice::Postoffice;
use crate::why::Wanted;

/// How an entry stands to the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is as the list has it.
    Published,
    /// An own entry that the list does not have: it is new, it waits at the server, or the view hides it.
    NotInList,
    /// An own entry with a change that is not published yet.
    Changed,
    /// An own entry of the list that was deleted here, or handed over.
    Deleted,
}

/// An entry as it is shown: values, not their escaped form. `entry show` prints a list of them if several fit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ShownEntry {
    /// Its id.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub id: EntryId,
    /// The postoffice that owns it.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub origin: PostofficeName,
    /// Its key.
    pub key: String,
    /// Its kind.
    pub kind: String,
    /// Its display name.
    pub name: String,
    /// Its primary address; empty if it has none.
    pub address: String,
    /// Its addresses; the first is primary.
    pub addresses: Vec<String>,
    /// Its details: the values of each attribute.
    pub details: BTreeMap<String, Vec<String>>,
    /// Its number in the list; null for an own entry that is shown as it is here.
    pub srv_seq: Option<u64>,
    /// The postoffice that may claim it.
    #[serde(serialize_with = "json::text_or_null")]
    #[schemars(with = "Option<String>")]
    pub released_to: Option<PostofficeName>,
    /// Its content can be read as an entry.
    pub valid: bool,
    /// The source that feeds it; null for an entry that is shown as the list has it.
    pub source: Option<String>,
    /// How it stands to the list.
    pub state: State,
}

impl ShownEntry {
    fn listed(row: ListRow<'_>, state: State) -> Self {
        let released_to = row.released_to.cloned();
        Self {
            srv_seq: Some(row.srv_seq.0),
            ..Self::of(row.id, row.owner, row.key, released_to, row.record, state)
        }
    }

    fn own(row: &OwnRow, me: &PostofficeName, state: State) -> Self {
        let (id, record) = (row.id, row.record.as_ref());
        Self {
            source: Some(row.source.clone()),
            ..Self::of(id, me, &row.key, row.released_to.clone(), record, state)
        }
    }

    fn of(
        id: EntryId,
        origin: &PostofficeName,
        key: &str,
        released_to: Option<PostofficeName>,
        record: RecordRef<'_>,
        state: State,
    ) -> Self {
        let mut details: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, text) in record.detail_lines() {
            details.entry(name.to_owned()).or_default().push(value(text));
        }
        let addresses: Vec<String> = record.address_texts().map(value).collect();
        Self {
            id,
            origin: origin.clone(),
            key: key.to_owned(),
            kind: record.kind.to_owned(),
            name: value(record.name),
            address: addresses.first().cloned().unwrap_or_default(),
            addresses,
            details,
            srv_seq: None,
            released_to,
            valid: record.to_entry().is_ok(),
            source: None,
            state,
        }
    }
}

/// The own entries, by what is known of them before the list is read: 17 bytes each.
struct Own {
    /// All of them, in order.
    ids: Vec<EntryId>,
    /// Those with a change that the server has not acknowledged.
    changed: BTreeSet<EntryId>,
    /// Whether the list has each of `ids`.
    listed: Vec<bool>,
}

impl Own {
    fn of(tables: &mut dyn Tables) -> Result<Self> {
        let acknowledged = tables.requestor()?.req_sync;
        let mut own = Self { ids: Vec::new(), changed: BTreeSet::new(), listed: Vec::new() };
        tables.visit_own_elements(&mut |(id, ..)| {
            own.ids.push(id);
            ControlFlow::Continue(())
        })?;
        own.ids.sort_unstable();
        own.listed = vec![false; own.ids.len()];
        tables.visit_own(acknowledged, &mut |row| {
            own.changed.insert(row.id);
            ControlFlow::Continue(())
        })?;
        Ok(own)
    }

    /// Marks an entry of the list that belongs to this postoffice, and says how it is to be shown there;
    /// `None` if the own entry is shown instead.
    fn meet(&mut self, id: EntryId) -> Option<State> {
        match self.ids.binary_search(&id) {
            Ok(at) => {
                self.listed[at] = true;
                (!self.changed.contains(&id)).then_some(State::Published)
            }
            Err(_) => Some(State::Deleted),
        }
    }

    /// How an own entry is to be shown; `None` if it was shown as the list has it.
    fn state(&self, id: EntryId) -> Option<State> {
        let listed = self.ids.binary_search(&id).is_ok_and(|at| self.listed[at]);
        match (listed, self.changed.contains(&id)) {
            (true, true) => Some(State::Changed),
            (true, false) => None,
            (false, _) => Some(State::NotInList),
        }
    }
}

/// Visits the entries that match: those of the list by name, then own ones that are not published as they
/// are here, in the order of their changes.
fn visit_matching(
    tables: &mut dyn Tables,
    matches: &dyn Fn(EntryId, &PostofficeName, &str, RecordRef<'_>) -> bool,
    visit: &mut dyn FnMut(ShownEntry),
) -> Result<()> {
    let me = tables.requestor()?.name;
    let mut own = Own::of(tables)?;
    tables.visit_list_by_name(&mut |row| {
        let state = match *row.owner == me {
            true => own.meet(row.id),
            false => Some(State::Published),
        };
        if let Some(state) = state
            && matches(row.id, row.owner, row.key, row.record)
        {
            visit(ShownEntry::listed(row, state));
        }
        ControlFlow::Continue(())
    })?;
    tables.visit_own(ReqSeq(0), &mut |row| {
        if let Some(state) = own.state(row.id)
            && matches(row.id, &me, &row.key, row.record.as_ref())
        {
            visit(ShownEntry::own(row, &me, state));
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// The entries with this id, key, address or name.
pub fn find(postoffice: &mut Postoffice, text: &str) -> Result<Vec<ShownEntry>> {
    let wanted = Wanted::of(text);
    let mut found = Vec::new();
    let is_it =
        |id, _: &PostofficeName, key: &str, record: RecordRef<'_>| wanted.is(id, key, record);
    visit_matching(&mut *postoffice.begin()?, &is_it, &mut |entry| found.push(entry))?;
    if found.is_empty() {
        return Err(crate::why::not_found(postoffice, text)?);
    }
    Ok(found)
}

/// Visits the entries of an origin, and whose name or address holds a text: those of the list by name, then
/// own ones that are not published as they are here.
pub fn visit(
    postoffice: &mut Postoffice,
    origin: Option<&PostofficeName>,
    search: Option<&str>,
    visit: &mut dyn FnMut(ShownEntry),
) -> Result<()> {
    let search = search.map(|text| fold(text).into_owned());
    let matches = |_, owner: &PostofficeName, _: &str, record: RecordRef<'_>| {
        let holds = search.as_ref().is_none_or(|wanted| {
            fold(record.name).contains(wanted.as_str())
                || record.address_keys().any(|key| key.contains(wanted.as_str()))
        });
        holds && origin.is_none_or(|origin| origin == owner)
    };
    visit_matching(&mut *postoffice.begin()?, &matches, visit)
}
