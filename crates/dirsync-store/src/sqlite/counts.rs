//! Counts of what waits.

use dirsync_directory::PostofficeName;
use dirsync_protocol::tables::{CountTables, HeldCount, QuarantineCount, Stored, UnsettledCount};

use super::transaction::SqliteTransaction;

impl CountTables for SqliteTransaction<'_> {
    fn offered_count(&mut self, to: &PostofficeName) -> Stored<u64> {
        self.count_offered(to)
    }

    fn held_counts(&mut self) -> Stored<Vec<HeldCount>> {
        let sql = "SELECT source, change, kind IS NULL AS deletes, count(*), min(since) \
                   FROM held_change WHERE NOT rejected GROUP BY source, change, deletes \
                   ORDER BY source, change, deletes";
        self.all("count the held changes", sql, [], |row, _| {
            Ok(HeldCount {
                source: row.text()?.into(),
                kind: row.parsed()?,
                deletes: row.flag()?,
                count: row.number()?,
                since: row.number()?,
            })
        })
    }

    fn quarantine_counts(&mut self) -> Stored<Vec<QuarantineCount>> {
        let sql = "SELECT origin, count(*), min(since) FROM quarantine GROUP BY origin \
                   ORDER BY origin";
        self.all("count the quarantine", sql, [], |row, _| {
            Ok(QuarantineCount {
                origin: row.text()?.into(),
                count: row.number()?,
                since: row.number()?,
            })
        })
    }

    fn unsettled_counts(&mut self) -> Stored<Vec<UnsettledCount>> {
        let connection = self.connection;
        // Content of its own is published where p_kind is not null. Without INDEXED BY, SQLite groups by an
        // index of all entries, and reads each of them.
        let sql = "SELECT identity, \
                     count(*) FILTER (WHERE p_held_since IS NOT NULL AND NOT p_held_no), \
                     min(p_held_since) FILTER (WHERE NOT p_held_no), \
                     count(*) FILTER (WHERE s_stamp IS NOT NULL AND s_invalid IS NULL \
                                      AND (p_last IS NULL OR p_kind IS NOT NULL)), \
                     count(*) FILTER (WHERE s_invalid IS NOT NULL) \
                   FROM entry INDEXED BY entry_unsettled WHERE unsettled GROUP BY identity";
        let mut counts = self.all("count the unsettled rows", sql, [], |row, names| {
            Ok(UnsettledCount {
                origin: row.name(names, connection)?.clone(),
                held: row.number()?,
                held_since: row.optional_number()?,
                waiting: row.number()?,
                invalid: row.number()?,
            })
        })?;
        counts.sort_by(|a, b| a.origin.cmp(&b.origin));
        Ok(counts)
    }
}
