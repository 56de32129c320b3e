//! V1: the list is compared with the sums that were kept of it.

use std::ops::ControlFlow;

use dirsync_directory::{BucketSums, SetDigest, list_element};

use crate::context::{Context, Level};
use crate::row::Row;
use crate::tables::{ListPlace, Stored, Tables};

/// Computes the list's digest from its content. If the sums that were kept differ, the list was damaged:
/// the sums are corrected, and the next request asks for a repair. Returns whether the list was
/// undamaged.
///
/// # Errors
///
/// When the store fails.
pub fn verify_list(tables: &mut dyn Tables, context: &mut Context<'_>) -> Stored<bool> {
    let mut found = BucketSums::default();
    tables.visit_list(ListPlace::Live, &mut |row| {
        found.add(row.id, list_element(row.id, row.owner, row.record));
        ControlFlow::Continue(())
    })?;
    let kept = tables.list_buckets(ListPlace::Live)?;
    let mut state = tables.requestor()?;
    let differing: Vec<_> = found
        .0
        .keys()
        .chain(kept.0.keys())
        .map(|bucket| {
            let sum = |sums: &BucketSums| sums.0.get(bucket).copied().unwrap_or_default();
            (*bucket, sum(&found), sum(&kept))
        })
        .filter(|(_, found, kept)| found != kept)
        .collect();
    if differing.is_empty() && state.list_digest == found.total() {
        return Ok(true);
    }
    let mut changes: Vec<(u16, SetDigest, SetDigest)> = differing;
    changes.sort_unstable_by_key(|change| change.0);
    changes.dedup_by_key(|change| change.0);
    tables.change_list_buckets(ListPlace::Live, &changes)?;
    state.list_digest = found.total();
    state.list_bad = state.point.is_some();
    tables.put_requestor(&state)?;
    context.say(
        Level::Error,
        Row::V1,
        format!(
            "the list was damaged in {} of its buckets since it was written; a repair is asked for",
            changes.len()
        ),
    );
    Ok(false)
}
