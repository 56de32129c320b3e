//! T3.

use dirsync_carrier::{Arrived, Carrier, CarrierError};
use dirsync_message::{Head, Side, Update};
use dirsync_protocol::context::{Draws, Event, Level};
use dirsync_protocol::requestor::{Applied, receive};
use dirsync_protocol::tables::{Stored, Tables};
use dirsync_store::Store;

use super::left::{note_left, without_left};
use super::place::Failures;
use super::transport::{Incoming, Opening, open};
use super::turn::Turn;
use super::{PlaceFailure, RefusedMessage, StepError, Surroundings, put_events, refusal};

/// What T3 did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// What there is to say.
    pub events: Vec<Event>,
    /// Updates taken.
    pub updates: u64,
    /// Answers among them.
    pub answered: u64,
    /// Entries of the list written or removed.
    pub rows: u64,
    /// The list changed: targets have to be written.
    pub list_changed: bool,
    /// Messages refused.
    pub refused: u64,
    /// Bytes of the message files taken.
    pub bytes: u64,
    /// Messages that were not looked at: the next step begins with them.
    pub left: u64,
    /// What of the place could not be used.
    pub failed: Vec<PlaceFailure>,
}

/// The step's name in the log.
const STEP: &str = "T3";

/// Applies every update that has arrived, each in one transaction.
///
/// # Errors
///
/// See [`StepError`]; what was taken before stays taken.
pub fn apply(
    store: &mut dyn Store,
    carrier: &dyn Carrier,
    around: &Surroundings,
) -> Result<ApplyReport, StepError> {
    let mut report = ApplyReport::default();
    let mut draws = Draws::new(&around.seed);
    let mut failures = Failures::default();
    let mut arrived = match carrier.arrived() {
        Ok(arrived) => without_left(store, carrier, arrived, around, &mut failures)?,
        Err(error) => {
            failures.add("", None, &error);
            Vec::new()
        }
    };
    let mut turn = Turn::begin(store, STEP, &mut arrived)?;
    let mut looked_at = 0;
    for one in &arrived {
        if turn.left() == 0 {
            break;
        }
        let taken = report.updates;
        let moved = match open(carrier, one, around) {
            Ok(Opening::NotYet | Opening::Gone) => Ok(false),
            Ok(Opening::Refused(why)) => refuse(store, carrier, one, &why, around, &mut report)?,
            Ok(Opening::Message(incoming)) => {
                if let Head::Update(update) = &incoming.head {
                    let update = update.clone();
                    take(store, carrier, one, *incoming, &update, around, &mut draws, &mut report)?
                } else {
                    Ok(false)
                }
            }
            Err(error) => Err(error),
        };
        if let Err(error) = moved
            && !failures.add("", None, &error)
        {
            break;
        }
        looked_at += 1;
        turn.count_untaken(usize::from(report.updates == taken));
    }
    report.left = turn.end(store, &arrived, looked_at)?;
    report.failed = failures.0;
    Ok(report)
}

/// Whether the message was moved aside; a failure of that is the place's.
type Moved = Result<bool, CarrierError>;

#[expect(clippy::too_many_arguments, reason = "the parts of one step, named where it is called")]
fn take(
    store: &mut dyn Store,
    carrier: &dyn Carrier,
    arrived: &Arrived,
    incoming: Incoming,
    update: &Update,
    around: &Surroundings,
    draws: &mut Draws,
    report: &mut ApplyReport,
) -> Result<Moved, StepError> {
    let mut events = Vec::new();
    let mut tables = store.begin()?;
    let mut body = incoming.body;
    let outcome =
        around.run(draws, &mut events, |context| receive(&mut *tables, context, update, &mut body));
    match outcome {
        Ok(applied) => {
            note_notice(&mut *tables, &applied)?;
            // C5: list, point and numbers are committed, then the file may go.
            if applied.for_another {
                note_left(&mut *tables, arrived)?;
            }
            put_events(&mut *tables, STEP, around.now, &events)?;
            tables.commit()?;
            count(report, applied, arrived);
            report.events.append(&mut events);
            Ok(if applied.for_another { Ok(false) } else { carrier.finished(arrived) })
        }
        Err(error) => {
            drop(tables);
            let why = refusal(error)?;
            refuse(store, carrier, arrived, &why, around, report)
        }
    }
}

/// The name of the note that says why the server does not take this postoffice's requests.
pub const NOTICE_NOTE: &str = "server-notice";

/// What the server says of this postoffice, until it answers a request again.
fn note_notice(tables: &mut dyn Tables, applied: &Applied) -> Stored<()> {
    if applied.notice.is_none() && !applied.answered {
        return Ok(());
    }
    tables.put_note(NOTICE_NOTE, applied.notice.map(Side::word))
}

fn count(report: &mut ApplyReport, applied: Applied, arrived: &Arrived) {
    report.updates += 1;
    report.answered += u64::from(applied.answered);
    report.rows += applied.rows;
    report.list_changed |= applied.list_changed;
    report.bytes += arrived.bytes;
}

fn refuse(
    store: &mut dyn Store,
    carrier: &dyn Carrier,
    arrived: &Arrived,
    why: &RefusedMessage,
    around: &Surroundings,
    report: &mut ApplyReport,
) -> Result<Moved, StepError> {
    let moved = carrier.refuse(arrived, &why.to_string());
    if moved.is_ok() {
        let text = format!("a message was refused and set aside: {why}");
        let event = Event { level: Level::Error, rule: STEP, text };
        let mut tables = store.begin()?;
        put_events(&mut *tables, STEP, around.now, std::slice::from_ref(&event))?;
        tables.commit()?;
        report.refused += 1;
        report.events.push(event);
    }
    Ok(moved)
}
