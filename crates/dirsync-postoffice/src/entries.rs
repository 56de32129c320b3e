//! Single entries: the list as people look at it, and changes by hand (T0).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_agent::changes::{HandChange, change_by_hand, delete_by_hand};
use dirsync_agent::taken::{self, Taken};
use dirsync_directory::{
    Address, AttributeName, Entry, EntryId, EntryKind, Key, PostofficeName, Record, RecordRef,
    composed, fold, unescape,
};
use dirsync_message::{ReqSeq, SrvSeq};
use dirsync_protocol::requestor;
use dirsync_protocol::tables::{ListPlace, ListRow, OwnRow, Tables};
use dirsync_store::Transaction;

use crate::failure::{Failure, Result};
use crate::postoffice::{Postoffice, log_run};
use crate::runs::run_of;
use crate::time::now_ms;
use crate::why::has_address;

/// An entry as it is shown: values, not their escaped form.
#[derive(Clone, Debug)]
pub struct ShownEntry {
    /// Its id.
    pub id: EntryId,
    /// The postoffice that owns it.
    pub origin: PostofficeName,
    /// Its key.
    pub key: String,
    /// Its kind.
    pub kind: String,
    /// Its display name.
    pub name: String,
    /// Its addresses; the first is primary.
    pub addresses: Vec<String>,
    /// Its details, by attribute.
    pub details: BTreeMap<String, Vec<String>>,
    /// Its number in the list; `None` for an own entry that is not listed.
    pub number: Option<SrvSeq>,
    /// The postoffice that may claim it.
    pub released_to: Option<PostofficeName>,
    /// Its content can be read as an entry.
    pub valid: bool,
    /// The source that feeds it, if it is an own entry that is not listed.
    pub source: Option<String>,
}

impl ShownEntry {
    /// An entry of the list.
    pub fn listed(row: ListRow<'_>) -> Self {
        let released_to = row.released_to.cloned();
        Self {
            number: Some(row.srv_seq),
            ..Self::of(row.id, row.owner, row.key, released_to, row.record)
        }
    }

    fn own(row: &OwnRow) -> Self {
        let (id, record) = (row.id, row.record.as_ref());
        Self {
            source: Some(row.source.clone()),
            ..Self::of(id, &row.first_origin, &row.key, row.released_to.clone(), record)
        }
    }

    fn of(
        id: EntryId,
        origin: &PostofficeName,
        key: &str,
        released_to: Option<PostofficeName>,
        record: RecordRef<'_>,
    ) -> Self {
        let value = |text: &str| unescape(text).map_or_else(|| text.to_owned(), Cow::into_owned);
        let mut details: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, text) in record.detail_lines() {
            details.entry(name.to_owned()).or_default().push(value(text));
        }
        Self {
            id,
            origin: origin.clone(),
            key: key.to_owned(),
            kind: record.kind.to_owned(),
            name: value(record.name),
            addresses: record.address_texts().map(value).collect(),
            details,
            number: None,
            released_to,
            valid: record.to_entry().is_ok(),
            source: None,
        }
    }
}

/// The entries of the list with this id, key or address, or else the own entry with this id or key.
pub fn find(postoffice: &mut Postoffice, text: &str) -> Result<Vec<ShownEntry>> {
    let mut tables = postoffice.begin()?;
    let wanted = fold(text).into_owned();
    let mut found = Vec::new();
    tables.visit_list(ListPlace::Live, &mut |row| {
        let is_it = row.id.to_string() == wanted || row.key == composed(text);
        if is_it || has_address(row.record, &wanted) {
            found.push(ShownEntry::listed(row));
        }
        ControlFlow::Continue(())
    })?;
    if found.is_empty()
        && let Some(own) = find_own(&mut *tables, text)?
    {
        found.push(ShownEntry::own(&own));
    }
    if found.is_empty() {
        return Err(anyhow::anyhow!("no entry has the id, key or address \"{text}\"").into());
    }
    Ok(found)
}

/// Visits the list by name: the entries of an origin, and whose name or address holds a text.
pub fn visit(
    postoffice: &mut Postoffice,
    origin: Option<&PostofficeName>,
    search: Option<&str>,
    visit: &mut dyn FnMut(ListRow<'_>),
) -> Result<()> {
    let search = search.map(|text| fold(text).into_owned());
    postoffice.begin()?.visit_list_by_name(&mut |row| {
        let matches = search.as_ref().is_none_or(|wanted| {
            fold(row.record.name).contains(wanted.as_str())
                || row.record.address_keys().any(|key| key.contains(wanted.as_str()))
        });
        if matches && origin.is_none_or(|origin| origin == row.owner) {
            visit(row);
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// The fields that are given by hand.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The display name.
    pub name: Option<String>,
    /// The addresses, which replace all; none leaves them.
    pub addresses: Vec<Address>,
    /// The details: each attribute that is named is replaced, and emptied by an empty value.
    pub details: Vec<(AttributeName, String)>,
    /// The kind.
    pub kind: Option<EntryKind>,
}

impl Fields {
    fn fill(self, entry: &mut Entry) {
        if let Some(name) = self.name {
            entry.name = name;
        }
        if !self.addresses.is_empty() {
            entry.addresses = self.addresses;
        }
        if let Some(kind) = self.kind {
            entry.kind = kind;
        }
        let mut replaced = BTreeSet::new();
        for (attribute, value) in self.details {
            if replaced.insert(attribute.clone()) {
                entry.details.remove(&attribute);
            }
            if !value.is_empty() {
                entry.details.entry(attribute).or_default().push(value);
            }
        }
    }
}

/// An own entry that was written by hand.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its id.
    pub id: EntryId,
    /// The addresses of it that other entries have: it waits for them.
    pub taken: Taken,
}

impl From<EntryId> for Written {
    /// Of a change that wants no address.
    fn from(id: EntryId) -> Self {
        Self { id, taken: Taken::default() }
    }
}

/// Adds an own entry; its key is its primary address if none is given.
pub fn add(postoffice: &mut Postoffice, key: Option<String>, fields: Fields) -> Result<Written> {
    let mut entry = Entry::default();
    fields.fill(&mut entry);
    let key = match (key, entry.primary()) {
        (Some(key), _) => key,
        (None, Some(primary)) => primary.value().to_owned(),
        (None, None) => return Err(Failure::usage("an entry needs an --address")),
    };
    key.parse::<Key>().map_err(Failure::usage)?;
    write(postoffice.begin()?, HandChange { key, record: Record::from(&entry), add: true }, "added")
}

fn write(mut tables: Box<dyn Transaction + '_>, change: HandChange, what: &str) -> Result<Written> {
    let (key, record) = (change.key.clone(), change.record.clone());
    let ((id, _), run) = run_of(&mut *tables, |tables| change_by_hand(tables, now_ms(), change))?;
    let taken = taken::of_entry(&mut *tables, id, &key, record.as_ref())?;
    done(tables, id, what, run)?;
    Ok(Written { id, taken })
}

/// Changes an own entry, given by id or key.
pub fn modify(postoffice: &mut Postoffice, text: &str, fields: Fields) -> Result<Written> {
    let mut tables = postoffice.begin()?;
    let old = own_entry(&mut *tables, text)?;
    let mut entry = old.record.as_ref().to_entry()?;
    fields.fill(&mut entry);
    let change = HandChange { key: old.key, record: Record::from(&entry), add: false };
    write(tables, change, "changed")
}

/// Deletes an own entry, given by id or key.
pub fn delete(postoffice: &mut Postoffice, text: &str) -> Result<EntryId> {
    let mut tables = postoffice.begin()?;
    let id = own_entry(&mut *tables, text)?.id;
    let ((), run) = run_of(&mut *tables, |tables| delete_by_hand(tables, now_ms(), id))?;
    done(tables, id, "deleted", run)
}

/// Offers an own entry, given by id or key, to another postoffice.
pub fn release(postoffice: &mut Postoffice, text: &str, to: &PostofficeName) -> Result<EntryId> {
    let mut tables = postoffice.begin()?;
    let id = own_entry(&mut *tables, text)?.id;
    let run = requestor::release(&mut *tables, now_ms(), id, Some(to.clone()))?;
    done(tables, id, &format!("released to {to}"), run)
}

/// Takes over an entry that was released to this postoffice.
pub fn claim(postoffice: &mut Postoffice, id: EntryId, source: &str) -> Result<EntryId> {
    let mut tables = postoffice.begin()?;
    requestor::claim(&mut *tables, now_ms(), id, source)?;
    done(tables, id, "claimed", None)
}

/// Commits a change by hand, with its line in the log.
fn done(
    mut tables: Box<dyn Transaction + '_>,
    id: EntryId,
    what: &str,
    run: Option<u64>,
) -> Result<EntryId> {
    log_run(&mut *tables, "T0", &format!("entry {id} {what} by hand"), &[], run)?;
    tables.commit()?;
    Ok(id)
}

/// An own entry by id or key.
fn own_entry(tables: &mut dyn Tables, text: &str) -> Result<OwnRow> {
    find_own(tables, text)?.ok_or_else(|| {
        Failure::usage(format!("\"{text}\" is not the id or key of an own entry"))
            .hint("`dirsync export --own` lists own entries")
    })
}

fn find_own(tables: &mut dyn Tables, text: &str) -> Result<Option<OwnRow>> {
    let me = tables.requestor()?.name;
    let ids = [text.parse::<EntryId>().ok(), Some(EntryId::derive(&me, text))];
    for id in ids.into_iter().flatten() {
        if let Some(row) = tables.own(id)? {
            return Ok(Some(row));
        }
    }
    let mut found = None;
    tables.visit_own(ReqSeq(0), &mut |row| {
        if row.key != composed(text) {
            return ControlFlow::Continue(());
        }
        found = Some(row.clone());
        ControlFlow::Break(())
    })?;
    Ok(found)
}
