//! Writing the received list and keeping its digest.

use std::collections::BTreeMap;

use dirsync_directory::{Bucket, BucketSums, EntryId, SetDigest, list_element};
use dirsync_message::{Change, SrvSeq, Transaction};

use crate::context::ReceiveError;
use crate::delta::apply_delta;
use crate::tables::{ListPlace, ListRow, OwnedListRow, Stored, Tables};

/// How many bucket changes are gathered before they are written.
const BUCKETS_MAX: usize = 1 << BucketSums::BITS;

/// Writes rows of one list and gathers what that does to its buckets.
pub struct ListWriter {
    place: ListPlace,
    /// Nothing was held before: every row is new, no old one has to be looked up.
    appending: bool,
    changes: BTreeMap<Bucket, (SetDigest, SetDigest)>,
    added: SetDigest,
    removed: SetDigest,
    /// How many rows were written or removed.
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

    fn count_added(&mut self, id: EntryId, element: u128) {
        self.added += SetDigest::one(element);
        self.changes.entry(BucketSums::bucket(id)).or_default().0 += SetDigest::one(element);
    }

    fn count_removed(&mut self, row: &OwnedListRow) {
        let element = SetDigest::one(list_element(row.id, &row.owner, row.record.as_ref()));
        self.removed += element;
        self.changes.entry(BucketSums::bucket(row.id)).or_default().1 += element;
    }

    /// Does what a transaction of an update says.
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
                self.count_added(row.id, list_element(row.id, owner, record));
                if self.appending {
                    tables.append_list_row(self.place, &row)?;
                } else {
                    if let Some(old) = tables.list_row(self.place, row.id)? {
                        self.count_removed(&old);
                    }
                    tables.put_list_row(self.place, &row)?;
                }
            }
            Change::Delta { kind, name, addresses, details } => {
                let Some(old) = tables.list_row(self.place, transaction.id)? else {
                    return Err(ReceiveError::Contradiction(format!(
                        "entry {} changes but is not held",
                        transaction.id
                    )));
                };
                self.count_removed(&old);
                let record = apply_delta(old.record.as_ref(), kind, name, addresses, details);
                let row = OwnedListRow {
                    srv_seq: SrvSeq(transaction.number),
                    stamp: transaction.stamp,
                    released_to: match transaction.released_to {
                        Some(released_to) => released_to.cloned(),
                        None => old.released_to.clone(),
                    },
                    record,
                    ..old
                };
                let element = list_element(row.id, &row.owner, row.record.as_ref());
                self.count_added(row.id, element);
                tables.put_list_row(self.place, &row.as_ref())?;
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
            self.count_removed(&old);
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
        assert!(self.changes.len() <= BUCKETS_MAX, "buckets are numbered with 12 bits");
        let changes: Vec<_> =
            self.changes.iter().map(|(bucket, (added, taken))| (*bucket, *added, *taken)).collect();
        tables.change_list_buckets(self.place, &changes)?;
        let mut digest = before;
        digest += self.added;
        digest -= self.removed;
        Ok(digest)
    }
}
