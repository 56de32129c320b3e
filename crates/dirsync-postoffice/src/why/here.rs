//! The stages that a postoffice knows itself: own entries, held changes, quarantine and its list.

use std::ops::ControlFlow;

use dirsync_agent::dispatch::last_change_sent;
use dirsync_agent::notes::LAST_SENT;
use dirsync_directory::{PostofficeName, Record};
use dirsync_message::ReqSeq;
use dirsync_protocol::tables::{ListPlace, RequestorState, Tables};

use super::found::{All, Found, Wanted};
use super::stage::Stage;
use crate::difference::{differences, value};
use crate::failure::Result;
use crate::held::GroupId;
use crate::postoffice::Postoffice;
use crate::view::Hidden;

pub(super) fn look(postoffice: &mut Postoffice, wanted: &Wanted, all: &mut All) -> Result<()> {
    let mut tables = postoffice.begin()?;
    let state = tables.requestor()?;
    own(&mut *tables, &state, wanted, all)?;
    quarantined(&mut *tables, &state.name, wanted, all)?;
    listed(&mut *tables, &state, wanted, all)
}

fn own(
    tables: &mut dyn Tables,
    state: &RequestorState,
    wanted: &Wanted,
    all: &mut All,
) -> Result<()> {
    let sent = last_change_sent(tables, state)?;
    let at = tables.note(LAST_SENT)?.and_then(|at| at.parse().ok()).unwrap_or(0);
    let request = state.request_no.0;
    tables.visit_own(ReqSeq(0), &mut |row| {
        let record = row.record.as_ref();
        if !wanted.is(row.id, &row.key, record) {
            return ControlFlow::Continue(());
        }
        let Some(found) = all.entry(row.id, &state.name, &row.key, record) else {
            return ControlFlow::Continue(());
        };
        found.source = Some(row.source.clone());
        let change = row.numbers.last;
        found.stages.push(match change {
            change if change <= state.req_sync.0 => Stage::Acknowledged { change },
            change if change <= sent.0 => Stage::Sent { change, request, at },
            change => Stage::NotSent { change },
        });
        found.stages.extend(row.released_to.clone().map(|to| Stage::Offered { to }));
        ControlFlow::Continue(())
    })?;
    held_additions(tables, state, wanted, all)?;
    let mut outcomes = tables.outcomes()?;
    for ((id, _), found) in &mut all.entries {
        if let Some(held) = tables.held_change(*id)? {
            let group = GroupId::Source(held.kind, held.source);
            let changes = held.record.as_ref().map(Record::as_ref);
            let changes = changes.map(|after| differences(found.record.as_ref(), after));
            found.stages.insert(
                0,
                Stage::Held {
                    reason: group.reason(),
                    group: group.to_string(),
                    since: held.since,
                    rejected: held.rejected,
                    changes: changes.unwrap_or_default(),
                },
            );
        }
        let told = outcomes.extract_if(.., |outcome| outcome.id == *id);
        found.stages.extend(told.map(|outcome| Stage::from(outcome.kind)));
    }
    Ok(())
}

/// Finds entries that are not own entries yet because their addition is held.
fn held_additions(
    tables: &mut dyn Tables,
    state: &RequestorState,
    wanted: &Wanted,
    all: &mut All,
) -> Result<()> {
    tables.visit_held_changes(&mut |held, own| {
        if let (None, Some(record)) = (own, &held.record)
            && wanted.is(held.id, &held.key, record.as_ref())
            && let Some(found) = all.entry(held.id, &state.name, &held.key, record.as_ref())
        {
            found.source = Some(held.source.clone());
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// Cases in quarantine that are about an entry, or that contain the text.
fn quarantined(
    tables: &mut dyn Tables,
    me: &PostofficeName,
    wanted: &Wanted,
    all: &mut All,
) -> Result<()> {
    tables.visit_quarantined(&mut |case| {
        let about = all.entries.values_mut().find(|found| {
            found.source.as_ref().is_some_and(|source| *source == case.origin)
                && found.key == case.subject
        });
        let title = case.title().into_owned();
        if about.is_none() && !wanted.is_within(&case.text) && !wanted.is_within(&title) {
            return ControlFlow::Continue(());
        }
        let stage = Stage::Quarantined {
            number: case.number,
            origin: case.origin,
            since: case.since,
            line: case.line,
            reason: case.reason,
            row: value(&case.text),
        };
        match about {
            Some(found) => found.stages.insert(0, stage),
            None => {
                let record = Record::default();
                let mut row = Found::new(None, me, &title, record.as_ref());
                row.stages.push(stage);
                all.add_row(row);
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

fn listed(
    tables: &mut dyn Tables,
    state: &RequestorState,
    wanted: &Wanted,
    all: &mut All,
) -> Result<()> {
    let mut listed = Vec::new();
    tables.visit_list(ListPlace::Live, &mut |row| {
        if wanted.is(row.id, row.key, row.record)
            && let Some(found) = all.entry(row.id, row.owner, row.key, row.record)
        {
            found.stages.push(Stage::Listed { number: row.srv_seq.0 });
            listed.push(row.id);
        }
        ControlFlow::Continue(())
    })?;
    for ((id, owner), found) in &mut all.entries {
        if !listed.contains(id) {
            let record = found.record.as_ref();
            let hidden = Hidden::of(&state.view, &state.view_wanted, owner, record);
            found.stages.push(Stage::NotListed { hidden });
        }
    }
    Ok(())
}

/// Visits the names and the addresses of own entries and of the list.
pub(super) fn visit_names(postoffice: &mut Postoffice, visit: &mut dyn FnMut(&str)) -> Result<()> {
    let mut tables = postoffice.begin()?;
    tables.visit_own(ReqSeq(0), &mut |row| {
        visit_record(row.record.as_ref(), visit);
        ControlFlow::Continue(())
    })?;
    tables.visit_list(ListPlace::Live, &mut |row| {
        visit_record(row.record, visit);
        ControlFlow::Continue(())
    })?;
    Ok(())
}

pub(super) fn visit_record(record: dirsync_directory::RecordRef<'_>, visit: &mut dyn FnMut(&str)) {
    visit(&value(record.name));
    for address in record.address_texts() {
        let address = value(address);
        visit(address.split_once(':').map_or(&*address, |(_, value)| value));
    }
}
