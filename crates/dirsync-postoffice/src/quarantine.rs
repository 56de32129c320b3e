//! Rows and entries that could not be accepted, with the reason.

use std::ops::ControlFlow;

use dirsync_protocol::tables::Quarantined;

use crate::failure::{Failure, Result};
use crate::postoffice::{Postoffice, log_within};

/// Visits all cases, of which there may be as many as a file has rows.
pub fn visit(postoffice: &mut Postoffice, visit: &mut dyn FnMut(Quarantined)) -> Result<()> {
    postoffice.begin()?.visit_quarantined(&mut |case| {
        visit(case);
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// One case.
pub fn case(postoffice: &mut Postoffice, number: u64) -> Result<Quarantined> {
    let mut found = None;
    postoffice.begin()?.visit_quarantined(&mut |case| match case.number == number {
        true => {
            found = Some(case);
            ControlFlow::Break(())
        }
        false => ControlFlow::Continue(()),
    })?;
    found.ok_or_else(|| Failure::missing(format!("there is no quarantined case {number}")))
}

/// Closes a case and lets the next read of its source decide again.
pub fn retry(postoffice: &mut Postoffice, number: u64) -> Result<Quarantined> {
    close(postoffice, number, true)
}

/// Forgets a case.
pub fn forget(postoffice: &mut Postoffice, number: u64) -> Result<Quarantined> {
    close(postoffice, number, false)
}

fn close(postoffice: &mut Postoffice, number: u64, retry: bool) -> Result<Quarantined> {
    let case = case(postoffice, number)?;
    let mut tables = postoffice.begin()?;
    tables.delete_quarantined(number)?;
    if retry && let Some(mut memory) = tables.source_memory(&case.origin)? {
        // The source's file is read again even if it stays as it is.
        memory.seen = String::new();
        tables.put_source_memory(&case.origin, &memory)?;
    }
    let word = if retry { "retried" } else { "dropped" };
    log_within(&mut *tables, "admin", &format!("quarantined case {number} {word}"), &[])?;
    tables.commit()?;
    Ok(case)
}
