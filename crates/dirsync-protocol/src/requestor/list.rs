//! Writes the received list and keeps its digest.

use std::collections::BTreeMap;

use dirsync_directory::{Bucket, BucketSums, EntryId, SetDigest, list_element};
use dirsync_message::{Change, SrvSeq, Transaction};

use crate::context::ReceiveError;
use crate::delta::apply_delta;
use crate::tables::{ListPlace, ListRow, OwnedListRow, Stored, Tables};

/// Writes rows of one list and gathers the changes of its buckets.
pub struct ListWriter {
    place: ListPlace,
    /// The list held nothing: every row is new, and no old one has to be looked up.
    appending: bool,
    changes: BTreeMap<Bucket, (SetDigest, SetDigest)>,
    added: SetDigest,
    removed: SetDigest,
    /// The number of rows that were written or removed.
    pub rows: u64,
}

impl ListWriter {
    /// A writer for a list; `appending` promises that the list holds nothing.
    pub fn new(place: ListPlace, appending: bool) -> Self {
        Self {
            place,
            appending,
            changes: BTreeMap::new(),
            added: SetDigest::default(),
            removed: SetDigest::default(),
            rows: 0,
        }
    }

    /// Keeps the digest of the list and of its buckets: every change of a row passes here.
    fn count(&mut self, id: EntryId, old: Option<u128>, new: Option<u128>) {
        let sum = |element: Option<u128>| element.map_or(SetDigest::default(), SetDigest::one);
        let (old, new) = (sum(old), sum(new));
        self.added += new;
        self.removed += old;
        let sums = self.changes.entry(BucketSums::bucket(id)).or_default();
        sums.0 += new;
        sums.1 += old;
    }

    /// Writes a row in the place of the one that is held, if there is one.
    fn write(&mut self, tables: &mut dyn Tables, row: &ListRow<'_>) -> Stored<()> {
        let old = if self.appending { None } else { tables.list_row(self.place, row.id)? };
        self.replace(tables, old.as_ref(), row)
    }

    fn replace(
        &mut self,
        tables: &mut dyn Tables,
        old: Option<&OwnedListRow>,
        row: &ListRow<'_>,
    ) -> Stored<()> {
        let new = list_element(row.id, row.owner, row.record);
        self.count(row.id, old.map(element), Some(new));
        if self.appending && old.is_none() {
            tables.append_list_row(self.place, row)
        } else {
            tables.put_list_row(self.place, row)
        }
    }

    /// Applies a transaction of an update.
    ///
    /// # Errors
    ///
    /// When the store fails, or the transaction changes an entry that is not there.
    pub fn apply(
        &mut self,
        tables: &mut dyn Tables,
        transaction: &Transaction<'_>,
    ) -> Result<(), ReceiveError> {
        self.rows += 1;
        match transaction.change {
            Change::Delete { .. } => self.delete(tables, transaction.id)?,
            Change::Whole(record) => {
                let (Some(owner), Some(first_origin)) =
                    (transaction.owner, transaction.first_origin)
                else {
                    return Err(ReceiveError::Contradiction("an entry has no owner".into()));
                };
                let row = ListRow {
                    id: transaction.id,
                    owner,
                    first_origin,
                    key: transaction.key,
                    srv_seq: SrvSeq(transaction.number),
                    stamp: transaction.stamp,
                    released_to: transaction.released_to.flatten(),
                    record,
                };
                self.write(tables, &row)?;
            }
            Change::Delta { kind, name, addresses, details } => {
                let Some(old) = tables.list_row(self.place, transaction.id)? else {
                    return Err(ReceiveError::Contradiction(format!(
                        "entry {} changes but is not held",
                        transaction.id
                    )));
                };
                let record = apply_delta(old.record.as_ref(), kind, name, addresses, details);
                let row = OwnedListRow {
                    srv_seq: SrvSeq(transaction.number),
                    stamp: transaction.stamp,
                    released_to: match transaction.released_to {
                        Some(released_to) => released_to.cloned(),
                        None => old.released_to.clone(),
                    },
                    record,
                    ..old.clone()
                };
                self.replace(tables, Some(&old), &row.as_ref())?;
            }
        }
        Ok(())
    }

    /// Removes a row, if there is one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn delete(&mut self, tables: &mut dyn Tables, id: EntryId) -> Stored<()> {
        if let Some(old) = tables.list_row(self.place, id)? {
            self.count(id, Some(element(&old)), None);
            tables.delete_list_row(self.place, id)?;
        }
        Ok(())
    }

    /// Writes the buckets and returns the list's digest, which was `before`.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finish(self, tables: &mut dyn Tables, before: SetDigest) -> Stored<SetDigest> {
        assert!(self.changes.len() <= 1 << BucketSums::BITS, "buckets are numbered with 12 bits");
        let changes: Vec<_> =
            self.changes.iter().map(|(bucket, (added, taken))| (*bucket, *added, *taken)).collect();
        tables.change_list_buckets(self.place, &changes)?;
        let mut digest = before;
        digest += self.added;
        digest -= self.removed;
        Ok(digest)
    }
}

fn element(row: &OwnedListRow) -> u128 {
    list_element(row.id, &row.owner, row.record.as_ref())
}
