//! The stages that the server knows: who says that an entry is theirs, and how far it came.

use std::ops::ControlFlow;

use dirsync_directory::{EntryId, PostofficeName};
use dirsync_message::SrvSeq;
use dirsync_protocol::server::{Holders, Standing, standing};
use dirsync_protocol::tables::{
    Numbered, Published, Registration, RegistrationState, ServerRow, Tables,
};

use super::found::{All, Wanted};
use super::here::visit_record;
use super::stage::{Reach, Stage};
use crate::failure::Result;
use crate::postoffice::Postoffice;
use crate::view::Hidden;

pub(super) fn look(
    postoffice: &mut Postoffice,
    wanted: &Wanted,
    at: Option<&PostofficeName>,
    all: &mut All,
) -> Result<()> {
    let mut tables = postoffice.begin()?;
    let mut ids: Vec<EntryId> = all.entries.keys().map(|(id, _)| *id).collect();
    visit_rows(&mut *tables, &mut |row| {
        if let Some(record) = content(row)
            && wanted.is(row.id, &row.key, record)
            && all.entry(row.id, &row.origin, &row.key, record).is_some()
        {
            ids.push(row.id);
        }
    })?;
    ids.sort_unstable();
    ids.dedup();
    let mut registrations = tables.registrations()?;
    registrations.retain(|registration| at.is_none_or(|at| *at == registration.name));
    let mut holders = Holders::default();
    for id in ids {
        for row in tables.rows(id)? {
            let standing = standing(&mut *tables, &row, &mut holders)?;
            let Some(record) = content(&row) else { continue };
            let Some(found) = all.entry(id, &row.origin, &row.key, record) else { continue };
            let stages = stages(&row, standing, &registrations);
            // The own postoffice is told of an outcome as well; it is the same one.
            found.stages.retain(|stage| !stages.contains(stage));
            found.stages.extend(stages);
        }
    }
    Ok(())
}

fn content(row: &ServerRow) -> Option<dirsync_directory::RecordRef<'_>> {
    let submitted = row.submitted.as_ref().map(|submitted| submitted.content());
    submitted.or_else(|| row.published.as_ref().map(Published::content))
}

/// Visits all rows: the published ones by number, then those that are not settled.
fn visit_rows(tables: &mut dyn Tables, visit: &mut dyn FnMut(&ServerRow)) -> Result<()> {
    let head = tables.server()?.map_or(SrvSeq(0), |server| server.head);
    tables.visit_numbered(SrvSeq(0), head, &mut |numbered| {
        if let Numbered::Published(row, _) = numbered {
            visit(row);
        }
        ControlFlow::Continue(())
    })?;
    tables.visit_unsettled(&mut |row| {
        visit(row);
        ControlFlow::Continue(())
    })?;
    Ok(())
}

fn stages(row: &ServerRow, standing: Standing, registrations: &[Registration]) -> Vec<Stage> {
    let mut stages = Vec::new();
    match standing {
        Standing::AsSubmitted => {}
        Standing::Told(dirsync_message::OutcomeKind::Held) => {
            let hold = row.published.as_ref().and_then(|published| published.held);
            stages.push(Stage::DeletionHeld { rejected: hold.map(|hold| hold.rejected) });
        }
        Standing::Told(outcome) => stages.push(outcome.into()),
        Standing::Waits(waits) => {
            stages.extend(waits.into_iter().map(|waits| Stage::WaitsForAddress {
                address: waits.address,
                holder: waits.holder,
            }))
        }
    }
    let Some(published) = &row.published else { return stages };
    stages.push(Stage::Published { number: published.numbers.last });
    stages.extend(published.released_to.clone().map(|to| Stage::Offered { to }));
    stages.extend(registrations.iter().map(|registration| Stage::At {
        postoffice: registration.name.clone(),
        reach: reach(row, published, registration),
    }));
    stages
}

fn reach(row: &ServerRow, published: &Published, registration: &Registration) -> Reach {
    match registration.state {
        RegistrationState::Invited => return Reach::Invited,
        RegistrationState::Removed => return Reach::Removed,
        RegistrationState::Suspended | RegistrationState::Active => {}
    }
    let (allowed, wanted) = (&registration.view_allowed, &registration.view_wanted);
    if let Some(hidden) = Hidden::of(allowed, wanted, &row.origin, published.content()) {
        return Reach::OutsideView { hidden };
    }
    let confirmed = registration.position.point.map_or(0, |point| point.srv_seq.0);
    let number = published.numbers.last;
    if confirmed >= number {
        return match registration.agreement.equal {
            Some(false) => Reach::Differs { since: registration.agreement.since },
            _ => Reach::Confirmed,
        };
    }
    if registration.state == RegistrationState::Suspended {
        return Reach::Suspended;
    }
    match registration.answered.upto.0 >= number && !registration.answer_due {
        true => Reach::Sent { cycle: registration.answered.cycle, confirmed },
        false => Reach::NotSent { confirmed },
    }
}

/// Visits the names and the addresses of all entries.
pub(super) fn visit_names(postoffice: &mut Postoffice, visit: &mut dyn FnMut(&str)) -> Result<()> {
    visit_rows(&mut *postoffice.begin()?, &mut |row| {
        if let Some(record) = content(row) {
            visit_record(record, visit);
        }
    })
}
