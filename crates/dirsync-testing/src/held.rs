//! The held changes of a postoffice at once, for tests with few of them.

use std::ops::ControlFlow;

use dirsync_protocol::tables::{HeldChange, RequestorTables, Stored};

/// All held changes, by source, reason, key and id.
///
/// # Errors
///
/// When the store fails.
pub fn held_changes<T: RequestorTables + ?Sized>(tables: &mut T) -> Stored<Vec<HeldChange>> {
    let mut held = Vec::new();
    tables.visit_held_changes(&mut |change, _| {
        held.push(change.clone());
        ControlFlow::Continue(())
    })?;
    Ok(held)
}
