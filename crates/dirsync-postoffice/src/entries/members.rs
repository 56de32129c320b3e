//! The members of distribution lists. A member is an address: of an entry, of another list, or of nobody.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_directory::{AttributeName, RecordRef, fold};
use dirsync_message::ReqSeq;
use dirsync_protocol::tables::{ListPlace, Stored, Tables};

use crate::difference::value;

/// The members of a list that no entry here has as an address, as they are written.
pub(super) fn unknown(tables: &mut dyn Tables, record: RecordRef<'_>) -> Stored<Vec<String>> {
    let member = AttributeName::member();
    let members = record.detail_lines().filter(|(name, _)| *name == member.as_str());
    let mut unknown: BTreeMap<String, String> =
        members.map(|(_, text)| (fold(text).into_owned(), value(text))).collect();
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    let mut known = |record: RecordRef<'_>| {
        for key in record.address_keys() {
            unknown.remove(&key);
        }
        match unknown.is_empty() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    tables.visit_own(ReqSeq(0), &mut |row| known(row.record.as_ref()))?;
    tables.visit_list(ListPlace::Live, &mut |row| known(row.record))?;
    Ok(unknown.into_values().collect())
}
