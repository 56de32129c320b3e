//! What scripts read of an import.

use std::collections::BTreeMap;

use dirsync_agent::changes::Example;
use dirsync_agent::intake::Intake;
use dirsync_postoffice::report::Counts;
use schemars::JsonSchema;
use serde::Serialize;

/// A file that was imported, or would be.
#[derive(Serialize, JsonSchema)]
pub struct Imported {
    /// Nothing was kept: the counts say what would happen.
    dry_run: bool,
    /// Whether the file was read to its end; if not, nobody was deleted.
    complete: bool,
    /// The built-in map that it was read by; null if it was none.
    map: Option<String>,
    #[serde(flatten)]
    counts: Counts,
    /// Absent entries that were not deleted, because the read cannot tell which are absent.
    absent_kept: u64,
    /// Changes that were undone, and that the file asks for again: nothing of it was taken.
    undone: Option<AskedAgain>,
    /// The rows that a map left out, by reason.
    left_out_by_map: Vec<LeftOut>,
    /// How many values of private attributes were left out, by attribute.
    private_left_out: BTreeMap<&'static str, u64>,
    /// Warnings for the administrator.
    warnings: Vec<String>,
    /// How the file was understood: encoding, columns that were not used.
    notes: Vec<String>,
    /// The first of the rows in quarantine.
    bad_rows: Vec<BadRow>,
    /// Examples of the entries that were counted, by the word of the count.
    examples: BTreeMap<&'static str, Vec<Row>>,
    /// The first addresses that other entries hold: these entries wait for them.
    taken: Vec<Taken>,
    /// How many addresses others hold in all.
    taken_count: u64,
}

/// Changes that were undone, and that the file asks for again.
#[derive(Serialize, JsonSchema)]
struct AskedAgain {
    /// The run that undid them.
    run: u64,
    /// How many entries they are of.
    entries: u64,
}

/// Rows that a map left out.
#[derive(Serialize, JsonSchema)]
struct LeftOut {
    /// The reason: `hidden`, `skipped`, or a word of the map.
    reason: String,
    /// How many rows.
    rows: u64,
}

/// A row in quarantine.
#[derive(Serialize, JsonSchema)]
struct BadRow {
    /// Its line in the file.
    line: u64,
    /// The key; `null` if none could be read.
    subject: Option<String>,
    /// Why it could not be accepted.
    reason: String,
}

/// An entry that was counted.
#[derive(Serialize, JsonSchema)]
struct Row {
    /// Its key; empty if the row has none.
    key: String,
    /// Its name.
    name: String,
}

/// An address that another entry holds.
#[derive(Serialize, JsonSchema)]
struct Taken {
    /// The address.
    address: String,
    /// The key of the entry that waits for it.
    key: String,
    /// The postoffice of the entry that holds it.
    holder: String,
    /// The name of the entry that holds it.
    name: String,
}

impl Imported {
    /// The document of an import.
    pub fn of(intake: &Intake, dry_run: bool) -> Self {
        let report = &intake.report;
        let row = |example: &Example| Row { key: example.key.clone(), name: example.name.clone() };
        let examples = report.examples.iter();
        let left_out = intake.left_out.iter();
        let taken = intake.taken.addresses.iter().map(|one| Taken {
            address: one.address.to_string(),
            key: one.key.clone(),
            holder: one.holder.to_string(),
            name: one.name.clone(),
        });
        let undone = report.undone.as_ref();
        Self {
            dry_run,
            complete: intake.broke_off.is_none(),
            map: intake.map.map(str::to_owned),
            counts: Counts::from(report),
            absent_kept: report.absent_kept,
            undone: undone.map(|asked| AskedAgain { run: asked.run, entries: asked.entries }),
            left_out_by_map: left_out
                .map(|left| LeftOut { reason: left.reason.clone(), rows: left.rows })
                .collect(),
            private_left_out: intake
                .private
                .iter()
                .map(|left| (left.attribute, left.values))
                .collect(),
            warnings: report.warnings.clone(),
            notes: intake.notes.clone(),
            bad_rows: report
                .bad_rows
                .iter()
                .map(|row| BadRow {
                    line: row.line,
                    subject: (!row.subject.is_empty()).then(|| row.subject.clone()),
                    reason: row.reason.clone(),
                })
                .collect(),
            examples: examples
                .map(|(kind, list)| (kind.word(), list.iter().map(row).collect()))
                .collect(),
            taken: taken.collect(),
            taken_count: intake.taken.count,
        }
    }
}
