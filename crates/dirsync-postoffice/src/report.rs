//! Reports of the steps at a postoffice.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dirsync_agent::changes::ReadReport;
use dirsync_agent::step::{ApplyReport, PlaceFailure, ProcessReport, SendReport, Sent};
use dirsync_directory::plural;
use dirsync_protocol::context::Event;
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::LogLine;
use schemars::JsonSchema;
use serde::Serialize;

use crate::targets::Targets;

/// A step that was done.
#[derive(Debug)]
pub struct Done {
    /// Its report.
    pub report: Report,
    /// Its log lines; the last one sums it up.
    pub lines: Vec<LogLine>,
}

impl Done {
    /// The failures that none of its lines tells: the log repeats a failure only now and then, a command
    /// each time.
    pub fn untold(&self) -> impl Iterator<Item = &PlaceFailure> {
        let is_told =
            |failure: &PlaceFailure| self.lines.iter().any(|line| line.text == failure.text);
        self.report.failed().filter(move |failure| !is_told(failure))
    }
}

/// The report of a step.
#[derive(Debug)]
pub enum Report {
    /// T0 from one source.
    Read {
        /// The source's name.
        source: String,
        /// Its counts; `None` if it could not begin.
        report: Option<ReadReport>,
        /// Why it did not come to its end.
        failed: Option<PlaceFailure>,
    },
    /// T1.
    Sent(SendReport),
    /// T2.
    Processed(ProcessReport),
    /// T3.
    Applied {
        /// The updates.
        report: ApplyReport,
        /// The targets.
        targets: Targets,
    },
}

impl Report {
    /// The step.
    pub fn step(&self) -> Row {
        match self {
            Self::Read { .. } => Row::T0,
            Self::Sent(_) => Row::T1,
            Self::Processed(_) => Row::T2,
            Self::Applied { .. } => Row::T3,
        }
    }

    /// The places and files that it could not use, whether or not the log has said so before.
    pub fn failed(&self) -> impl Iterator<Item = &PlaceFailure> {
        let more = match self {
            Self::Read { failed, .. } => failed.as_slice(),
            Self::Applied { targets, .. } => &targets.failed,
            Self::Sent(_) | Self::Processed(_) => &[],
        };
        self.failed_places().iter().chain(more)
    }

    /// How many messages it did not look at.
    pub fn left(&self) -> u64 {
        match self {
            Self::Read { .. } | Self::Sent(_) => 0,
            Self::Processed(report) => report.left,
            Self::Applied { report, .. } => report.left,
        }
    }

    /// How many messages it refused.
    pub fn refused(&self) -> u64 {
        match self {
            Self::Read { .. } | Self::Sent(_) => 0,
            Self::Processed(report) => report.refused,
            Self::Applied { report, .. } => report.refused,
        }
    }

    /// Whether it changed entries, or took or wrote a message.
    pub fn has_moved(&self) -> bool {
        match self {
            Self::Read { report, .. } => report.as_ref().is_some_and(ReadReport::has_moved),
            Self::Sent(report) => report.request.is_some(),
            Self::Processed(report) => report.requests + report.messages + report.refused > 0,
            Self::Applied { report, .. } => report.updates + report.refused > 0,
        }
    }

    /// The places of messages that it could not use.
    pub(crate) fn failed_places(&self) -> &[PlaceFailure] {
        match self {
            Self::Read { .. } => &[],
            Self::Sent(report) => &report.failed,
            Self::Processed(report) => &report.failed,
            Self::Applied { report, .. } => &report.failed,
        }
    }

    /// The places through which it sent, by addressee.
    pub(crate) fn sent(&self) -> BTreeSet<Sent> {
        match self {
            Self::Sent(report) => report.sent.clone(),
            Self::Processed(report) => report.sent.clone(),
            Self::Read { .. } | Self::Applied { .. } => BTreeSet::new(),
        }
    }

    /// Its events, which the log has already.
    pub(crate) fn events(&self) -> &[Event] {
        match self {
            Self::Read { .. } => &[],
            Self::Sent(report) => &report.events,
            Self::Processed(report) => &report.events,
            Self::Applied { report, .. } => &report.events,
        }
    }

    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Read { .. } => String::new(),
            Self::Sent(report) => sum_up_send(report),
            Self::Processed(report) => sum_up_process(report),
            Self::Applied { report, targets } => sum_up_apply(report, targets),
        }
    }
}

fn sum_up_send(report: &SendReport) -> String {
    match report.request {
        Some(request) => format!(
            "request {request} sent with {} ({} bytes)",
            plural(report.transactions, "own change", "own changes"),
            report.bytes
        ),
        None => "nothing may be sent from here".to_owned(),
    }
}

fn sum_up_process(report: &ProcessReport) -> String {
    let mut summary = format!(
        "{} processed, {} written ({} bytes, {})",
        plural(report.requests, "request", "requests"),
        plural(report.messages, "answer", "answers"),
        report.bytes,
        plural(report.bodies, "body", "bodies"),
    );
    if !report.waiting.is_empty() {
        let names: Vec<String> = report.waiting.iter().map(ToString::to_string).collect();
        let _ = write!(summary, "; waiting for an administrator: {}", names.join(", "));
    }
    summary + &left(report.left)
}

fn sum_up_apply(report: &ApplyReport, targets: &Targets) -> String {
    let mut summary = format!(
        "{} applied, {} ({} bytes){}",
        plural(report.updates, "update", "updates"),
        plural(report.rows, "entry changed", "entries changed"),
        report.bytes,
        left(report.left)
    );
    if targets.put_right > 0 {
        let _ = write!(summary, "; {} put right", plural(targets.put_right, "target", "targets"));
    }
    summary
}

/// The end of a summary: the messages that were not looked at.
fn left(messages: u64) -> String {
    match messages {
        0 => String::new(),
        _ => format!("; {} left for the next step", plural(messages, "message", "messages")),
    }
}

/// The counts of a read: rows = unchanged + added + changed + foreign + without_address + quarantined +
/// held.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Counts {
    /// Rows read.
    pub rows: u64,
    /// Rows that equal their entry.
    pub unchanged: u64,
    /// Rows that made a new entry.
    pub added: u64,
    /// Rows that changed their entry.
    pub changed: u64,
    /// Rows of other origins, which were skipped.
    pub foreign: u64,
    /// Rows without any address, which stand for no entry.
    pub without_address: u64,
    /// Rows that the map left out, which are not among `rows`.
    pub left_out: u64,
    /// Rows that could not be used.
    pub quarantined: u64,
    /// Rows whose change waits for a person.
    pub held: u64,
    /// Entries deleted.
    pub removed: u64,
    /// Deletions that wait for a person.
    pub held_removals: u64,
    /// Entries that no source names, and that wait for a person.
    pub unclaimed: u64,
}

impl From<&ReadReport> for Counts {
    fn from(report: &ReadReport) -> Self {
        Self {
            rows: report.rows,
            unchanged: report.unchanged,
            added: report.added,
            changed: report.changed,
            foreign: report.foreign,
            without_address: report.without_address,
            left_out: report.left_out,
            quarantined: report.quarantined,
            held: report.held,
            removed: report.removed,
            held_removals: report.held_removals,
            unclaimed: report.unclaimed,
        }
    }
}
