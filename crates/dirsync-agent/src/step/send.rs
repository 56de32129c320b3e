//! T1.

use std::ops::ControlFlow;

use dirsync_carrier::{BodyEncoder, Carrier, Outgoing};
use dirsync_message::{Health, RequestKind};
use dirsync_protocol::context::{Draws, Event};
use dirsync_protocol::requestor::{make_request, verify_list, visit_request_body};
use dirsync_protocol::tables::RequestorState;
use dirsync_store::Store;

use super::place::Failures;
use super::{PlaceFailure, StepError, Surroundings, put_events};

/// What T1 did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendReport {
    /// What there is to say.
    pub events: Vec<Event>,
    /// The number of the request; none when this postoffice may not send, or the place failed.
    pub request: Option<u64>,
    /// Own transactions in it.
    pub transactions: u64,
    /// Bytes of the message file.
    pub bytes: u64,
    /// The place, where it could not be used. The next run sends a request in its place.
    pub failed: Vec<PlaceFailure>,
}

/// The step's name in the log.
const STEP: &str = "T1";

/// Sends a request to the directory server: own changes, and where the list stands.
///
/// With `verify` the digest that confirms the list is computed from its content, not taken from the
/// running sums: a byte that changed on disk is found and repaired.
///
/// # Errors
///
/// See [`StepError`].
pub fn send(
    store: &mut dyn Store,
    carrier: &dyn Carrier,
    around: &Surroundings,
    verify: bool,
) -> Result<SendReport, StepError> {
    let mut report = SendReport::default();
    let mut draws = Draws::new(&around.seed);
    let mut events = Vec::new();
    let mut tables = store.begin()?;
    if verify {
        around.run(&mut draws, &mut events, |context| verify_list(&mut *tables, context))?;
    }
    let health = Health {
        version: env!("CARGO_PKG_VERSION").into(),
        held: tables.held_changes()?.iter().filter(|held| !held.rejected).count() as u64,
        quarantined: tables.quarantined()?.len() as u64,
        clock: around.now,
    };
    let request = around.run(&mut draws, &mut events, |context| {
        make_request(&mut *tables, context, &around.key, health)
    })?;
    put_events(&mut *tables, STEP, around.now, &events)?;
    report.events = events;
    let Some(request) = request else {
        tables.commit()?;
        return Ok(report);
    };
    let mut writer = dirsync_message::BodyWriter::new(BodyEncoder::new(around.compression)?);
    let mut failed = None;
    visit_request_body(&mut *tables, &request.own, &mut |transaction| match writer
        .write(transaction)
    {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    report.transactions = writer.count();
    let body = writer.finish()?.finish()?;
    // C2: the number is committed before the message leaves.
    tables.commit()?;
    let sent = carrier.send(&Outgoing {
        from: &request.from,
        to: &request.to,
        epoch: &request.epoch.to_string(),
        number: request.number.0,
        part: 1,
        head: &request.to_text(),
        body: &body,
    });
    match sent {
        Ok(bytes) => (report.request, report.bytes) = (Some(request.number.0), bytes),
        Err(error) => {
            let mut failures = Failures::default();
            failures.add("", Some(&request.to), &error);
            report.failed = failures.0;
            send_again(store)?;
        }
    }
    debug_assert!(request.own.kind != RequestKind::WantOwn || report.transactions == 0);
    Ok(report)
}

/// A request that was numbered and did not leave is followed by another one.
fn send_again(store: &mut dyn Store) -> Result<(), StepError> {
    let mut tables = store.begin()?;
    let state = tables.requestor()?;
    tables.put_requestor(&RequestorState { request_due: true, ..state })?;
    Ok(tables.commit()?)
}
