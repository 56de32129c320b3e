//! The sums of the buckets of the two lists, and of the server's views.

use std::collections::BTreeMap;

use dirsync_directory::{Bucket, BucketSums, SetDigest};
use dirsync_protocol::tables::{StoreError, Stored};
use rusqlite::params;
use rusqlite::types::ToSql;

use super::transaction::SqliteTransaction;

/// The statements for one table of sums. The first parameter is the list or view that they belong to.
pub(super) struct BucketTable {
    all: &'static str,
    one: &'static str,
    put: &'static str,
    delete: &'static str,
}

/// The sums of the two lists.
pub(super) const OF_LISTS: BucketTable = BucketTable {
    all: "SELECT bucket, digest FROM list_bucket WHERE list = ?1",
    one: "SELECT digest FROM list_bucket WHERE list = ?1 AND bucket = ?2",
    put: "REPLACE INTO list_bucket (list, bucket, digest) VALUES (?1, ?2, ?3)",
    delete: "DELETE FROM list_bucket WHERE list = ?1 AND bucket = ?2",
};

/// The sums of the server's views.
pub(super) const OF_VIEWS: BucketTable = BucketTable {
    all: "SELECT bucket, digest FROM view_bucket WHERE view = ?1",
    one: "SELECT digest FROM view_bucket WHERE view = ?1 AND bucket = ?2",
    put: "REPLACE INTO view_bucket (view, bucket, digest) VALUES (?1, ?2, ?3)",
    delete: "DELETE FROM view_bucket WHERE view = ?1 AND bucket = ?2",
};

impl SqliteTransaction<'_> {
    pub(super) fn read_buckets(
        &mut self,
        action: &'static str,
        table: &BucketTable,
        of: &dyn ToSql,
    ) -> Stored<BucketSums> {
        let sums: Vec<(Bucket, SetDigest)> = self.all(action, table.all, [of], |columns, _| {
            let bucket = Bucket::try_from(columns.integer()?);
            let bucket = bucket.map_err(|_| StoreError::corrupt(action, "there is no such bucket"));
            Ok((bucket?, columns.parsed()?))
        })?;
        Ok(BucketSums(sums.into_iter().collect()))
    }

    pub(super) fn write_bucket(
        &mut self,
        action: &'static str,
        table: &BucketTable,
        of: &dyn ToSql,
        bucket: Bucket,
        digest: SetDigest,
    ) -> Stored<()> {
        if digest == SetDigest::default() {
            self.execute(action, table.delete, params![of, bucket])?;
        } else {
            self.execute(action, table.put, params![of, bucket, digest.to_string()])?;
        }
        Ok(())
    }

    /// Adds elements to buckets and removes elements from them. Each bucket is read and written once.
    pub(super) fn change_buckets(
        &mut self,
        action: &'static str,
        table: &BucketTable,
        of: &dyn ToSql,
        changes: &[(Bucket, SetDigest, SetDigest)],
    ) -> Stored<()> {
        let mut sums: BTreeMap<Bucket, SetDigest> = BTreeMap::new();
        for &(bucket, added, taken) in changes {
            let sum = sums.entry(bucket).or_default();
            *sum += added;
            *sum -= taken;
        }
        for (bucket, change) in sums {
            let mut digest = self
                .one(action, table.one, params![of, bucket], |columns, _| columns.parsed())?
                .unwrap_or_default();
            digest += change;
            self.write_bucket(action, table, of, bucket, digest)?;
        }
        Ok(())
    }
}
