//! Single entries: the list as people look at it, and changes by hand (T0).

mod fields;
mod members;
mod shown;

use std::ops::ControlFlow;

use dirsync_agent::changes::{HandChange, HandError, change_by_hand, delete_by_hand};
use dirsync_agent::taken::{self, Taken};
use dirsync_directory::{Entry, EntryId, Key, Record, composed};
use dirsync_message::ReqSeq;
use dirsync_protocol::tables::{OwnRow, Tables};
use dirsync_store::Transaction;

pub use fields::Fields;
pub use shown::{ShownEntry, State, find, visit};

use crate::failure::{Failure, Result};
use crate::last_command::{self, Command, Left};
use crate::postoffice::{Postoffice, log_run};
use crate::runs::run_of;
use crate::time::now_ms;
use crate::why::Wanted;

/// The most ids that a hint lists.
const IDS_SHOWN: usize = 10;

/// An own entry that was written by hand.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its id.
    pub id: EntryId,
    /// The addresses of it that other entries have: it waits for them.
    pub taken: Taken,
    /// Of a list, the members that no entry here has as an address. They are kept.
    pub unknown_members: Vec<String>,
}

impl From<EntryId> for Written {
    /// Of a change that wants no address.
    fn from(id: EntryId) -> Self {
        Self { id, taken: Taken::default(), unknown_members: Vec::new() }
    }
}

/// Adds an own entry; its key is its primary address if none is given.
pub fn add(postoffice: &mut Postoffice, key: Option<String>, fields: Fields) -> Result<Written> {
    let mut entry = Entry::default();
    fields.fill(&mut entry)?;
    let key = match (key, entry.primary()) {
        (Some(key), _) => key,
        (None, Some(primary)) => primary.value().to_owned(),
        (None, None) => return Err(Failure::usage("an entry needs an --address")),
    };
    key.parse::<Key>().map_err(Failure::usage)?;
    let change = HandChange { key, record: Record::from(&entry), add: true };
    write(postoffice.begin()?, Command::EntryAdd, change, None)
}

/// Writes an entry by hand; `old` is its content before, if it is not new.
fn write(
    mut tables: Box<dyn Transaction + '_>,
    command: Command,
    change: HandChange,
    old: Option<&Record>,
) -> Result<Written> {
    let what = if change.add { "added" } else { "changed" };
    let (key, record) = (change.key.clone(), change.record.clone());
    let ((id, _), run) =
        run_of(&mut *tables, |tables| change_by_hand(tables, now_ms(), change).map_err(refused))?;
    let taken = taken::of_entry(&mut *tables, id, &key, record.as_ref(), old.map(Record::as_ref))?;
    let unknown_members = members::unknown(&mut *tables, record.as_ref())?;
    done(tables, (command, &key), id, what, run)?;
    Ok(Written { id, taken, unknown_members })
}

fn refused(error: HandError) -> Failure {
    match error {
        HandError::Store(error) => error.into(),
        HandError::Unknown(_) => Failure::missing(error),
        HandError::Exists(_) => {
            Failure::usage(error).hint("`dirsync entry modify KEY` changes an entry that is there")
        }
        HandError::Fed { .. } | HandError::Record { .. } => Failure::usage(error),
    }
}

/// Changes an own entry, given by id, key, address or name.
pub fn modify(postoffice: &mut Postoffice, text: &str, fields: Fields) -> Result<Written> {
    let mut tables = postoffice.begin()?;
    let old = own_entry(&mut *tables, text)?;
    let mut entry = old.record.as_ref().to_entry()?;
    fields.fill(&mut entry)?;
    let change = HandChange { key: old.key, record: Record::from(&entry), add: false };
    write(tables, Command::EntryModify, change, Some(&old.record))
}

/// Deletes an own entry, given by id, key, address or name.
pub fn delete(postoffice: &mut Postoffice, text: &str) -> Result<EntryId> {
    let mut tables = postoffice.begin()?;
    let id = own_entry(&mut *tables, text)?.id;
    let ((), run) =
        run_of(&mut *tables, |tables| delete_by_hand(tables, now_ms(), id).map_err(refused))?;
    done(tables, (Command::EntryDelete, text), id, "deleted", run)
}

/// Commits a change by hand, with its line in the log.
pub(crate) fn done(
    mut tables: Box<dyn Transaction + '_>,
    (command, subject): (Command, &str),
    id: EntryId,
    what: &str,
    run: Option<u64>,
) -> Result<EntryId> {
    log_run(&mut *tables, "T0", &format!("entry {id} {what} by hand"), &[], run)?;
    if run.is_none() {
        let left = if command == Command::EntryClaim { Left::NoRun } else { Left::Nothing };
        last_command::note(&mut *tables, command, subject, left)?;
    }
    tables.commit()?;
    Ok(id)
}

/// An own entry by id or key, or by an address or a name that only one of them has.
pub(crate) fn own_entry(tables: &mut dyn Tables, text: &str) -> Result<OwnRow> {
    if let Some(row) = find_own(tables, text)? {
        return Ok(row);
    }
    let wanted = Wanted::of(text);
    let (mut found, mut count, mut ids) = (None, 0, Vec::new());
    tables.visit_own(ReqSeq(0), &mut |row| {
        if wanted.is(row.id, &row.key, row.record.as_ref()) {
            count += 1;
            if ids.len() < IDS_SHOWN {
                ids.push(row.id.to_string());
            }
            found.get_or_insert_with(|| row.clone());
        }
        ControlFlow::Continue(())
    })?;
    match found {
        Some(row) if count == 1 => Ok(row),
        Some(_) => Err(Failure::usage(format!("\"{text}\" stands for {count} own entries"))
            .hint(format!("name one by its id: {}", ids.join(", ")))),
        None => {
            let text = format!("\"{text}\" is not the id, key, address or name of an own entry");
            Err(Failure::missing(text).hint("`dirsync export --own` lists own entries"))
        }
    }
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
