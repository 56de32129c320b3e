//! The table in Markdown: one column group for each size, and the growth between two.

use std::time::Duration;

use serde_json::{Value, json};

use super::process::Measurement;

/// Names of the steps that [`super::wants`] judges.
pub mod step {
    pub const FIRST_IMPORT: &str = "new origin: import --whole";
    pub const FILL_SEND: &str = "new requestor: send";
    pub const FILL_PROCESS: &str = "new requestor: process at the server";
    pub const FILL_APPLY: &str = "new requestor: apply the first fill";
    pub const CHANGES_IMPORT: &str = "changes: import --whole";
    pub const CHANGES_SEND: &str = "changes: send";
    pub const CHANGES_PROCESS: &str = "changes: process at the server";
    pub const CHANGES_APPLY: &str = "changes: apply";
    pub const READING: &str = "unchanged: reading the file alone";
    pub const UNCHANGED: &str = "unchanged: import --whole, rows shuffled";
    pub const UNCHANGED_BY_FUNCTIONS: &str =
        "unchanged: the same, map of ten lines, four functions";
    pub const MANY_STATUS: &str = "many requestors: status at the server";
    pub const MANY_PROCESS: &str = "many requestors: process, and answer each";
    pub const SITES_MEDIAN: &str = "agents run: a change is in all lists, median";
    pub const SITES_SLOWEST: &str = "agents run: a change is in all lists, slowest";
    pub const SITES_COMMAND: &str = "agents run: the command that changes, median";
}

/// One step at one size.
pub struct Row {
    pub name: &'static str,
    /// Entries, changes or requestors that the step is about; 0 where a rate would say nothing.
    pub units: u32,
    pub measurement: Measurement,
}

/// All steps at one size.
pub struct Report {
    pub entries: u32,
    pub changes: u32,
    pub rows: Vec<Row>,
}

impl Report {
    /// The measurement of a step, where it was measured at this size.
    pub fn find(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Steps one after another, as one: their times and bytes added, their highest peak.
    pub fn sum(&self, names: &[&str]) -> Option<Measurement> {
        let mut sum = Measurement::default();
        for name in names {
            let step = &self.find(name)?.measurement;
            sum.took += step.took;
            sum.processor = Some(sum.processor.unwrap_or_default() + step.processor?);
            sum.peak_bytes = sum.peak_bytes.max(step.peak_bytes);
            sum.message_bytes += step.message_bytes;
        }
        Some(sum)
    }

    /// As a script reads it.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            let Measurement { took, processor, peak_bytes, written_bytes, message_bytes } =
                &row.measurement;
            json!({
                "step": row.name,
                "units": row.units,
                "seconds": took.as_secs_f64(),
                "processor_seconds": processor.map(|time| time.as_secs_f64()),
                "peak_bytes": peak_bytes,
                "written_bytes": written_bytes,
                "message_bytes": message_bytes,
            })
        };
        json!({
            "entries": self.entries,
            "changes": self.changes,
            "steps": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

/// One table; a step that a size lacks is left empty there. Growth is time, then memory, of the last
/// report as multiples of the first.
pub fn table(reports: &[Report]) -> String {
    let mut header = "| step |".to_owned();
    let mut rule = "| --- |".to_owned();
    for report in reports {
        header += &format!(
            " {} entries | per second | CPU ms | peak MiB | written MB | message bytes | bytes each |",
            grouped(u64::from(report.entries))
        );
        rule += " ---: | ---: | ---: | ---: | ---: | ---: | ---: |";
    }
    let (first, last) = match reports {
        [first, .., last] => (first, Some(last)),
        [only] => (only, None),
        [] => return String::new(),
    };
    if last.is_some() {
        header += " growth: time | memory |";
        rule += " ---: | ---: |";
    }
    let mut table = format!("{header}\n{rule}\n");
    for row in &first.rows {
        table += &format!("| {} |", row.name);
        for report in reports {
            table += &report.find(row.name).map_or_else(|| " – |".repeat(7), cells);
        }
        if let Some(last) = last {
            let same = last.find(row.name);
            let growth = |same: &Row| growth(&row.measurement, &same.measurement);
            table += &same.map_or_else(|| " – | – |".to_owned(), growth);
        }
        table += "\n";
    }
    table
}

fn cells(row: &Row) -> String {
    let Row { units, measurement, .. } = row;
    let none = || "–".to_owned();
    let seconds = measurement.took.as_secs_f64();
    let rate = || grouped((f64::from(*units) / seconds.max(1e-9)).round() as u64);
    let per_second = if *units == 0 { none() } else { rate() };
    let processor = measurement
        .processor
        .map_or_else(none, |time| format!("{:.0}", time.as_secs_f64() * 1000.0));
    let peak = measurement.peak_bytes.map_or_else(none, mebibytes);
    let written =
        measurement.written_bytes.map_or_else(none, |bytes| format!("{:.1}", bytes as f64 / 1e6));
    let (bytes, each) = match measurement.message_bytes {
        0 => (none(), none()),
        bytes => (grouped(bytes), format!("{:.1}", bytes as f64 / f64::from((*units).max(1)))),
    };
    format!(
        " {} | {per_second} | {processor} | {peak} | {written} | {bytes} | {each} |",
        duration(measurement.took)
    )
}

fn growth(small: &Measurement, big: &Measurement) -> String {
    let time = big.took.as_secs_f64() / small.took.as_secs_f64().max(1e-9);
    let memory = match (small.peak_bytes, big.peak_bytes) {
        (Some(small), Some(big)) if small > 0 => format!("{:.2}×", big as f64 / small as f64),
        _ => "–".to_owned(),
    };
    format!(" {time:.1}× | {memory} |")
}

/// A time for people.
pub fn duration(took: Duration) -> String {
    let milliseconds = took.as_secs_f64() * 1000.0;
    if milliseconds < 10_000.0 {
        return format!("{milliseconds:.0} ms");
    }
    format!("{:.1} s", took.as_secs_f64())
}

/// Bytes for people.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// A number with a comma before each three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(entries: u32, milliseconds: u64, peak_bytes: u64) -> Report {
        let measurement = Measurement {
            took: Duration::from_millis(milliseconds),
            processor: Some(Duration::from_millis(milliseconds / 2)),
            peak_bytes: Some(peak_bytes),
            written_bytes: Some(1_500_000),
            message_bytes: u64::from(entries) * 80,
        };
        let rows = vec![Row { name: "send", units: entries, measurement }];
        Report { entries, changes: 1, rows }
    }

    #[test]
    fn one_size_has_no_growth() {
        let expected = "\
| step | 1,000 entries | per second | CPU ms | peak MiB | written MB | message bytes | bytes each |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| send | 500 ms | 2,000 | 250 | 2.0 | 1.5 | 80,000 | 80.0 |
";
        assert_eq!(table(&[report(1000, 500, 2 << 20)]), expected);
    }

    #[test]
    fn two_sizes_show_their_growth() {
        let table = table(&[report(1000, 500, 2 << 20), report(10_000, 6000, 3 << 20)]);
        assert!(
            table.ends_with("| 10.0× | 1.50× |\n".replace("10.0×", "12.0×").as_str()),
            "{table}"
        );
    }

    #[test]
    fn a_step_that_a_size_lacks_is_empty_there() {
        let bare = Report { entries: 10_000, changes: 1, rows: Vec::new() };
        let table = table(&[report(1000, 500, 2 << 20), bare]);
        let (columns, last) = (table.lines().next().unwrap(), table.lines().last().unwrap());
        assert_eq!(last.matches('|').count(), columns.matches('|').count(), "{table}");
        assert!(last.ends_with("| 80.0 | – | – | – | – | – | – | – | – | – |"), "{table}");
    }

    #[test]
    fn steps_add_up_to_one() {
        let mut report = report(1000, 500, 2 << 20);
        let mut second = report.rows.pop().unwrap();
        let first = Row { name: "send", units: 1, measurement: second.measurement.clone() };
        second.name = "apply";
        second.measurement.peak_bytes = Some(3 << 20);
        report.rows = vec![first, second];
        let sum = report.sum(&["send", "apply"]).unwrap();
        assert_eq!(sum.took, Duration::from_secs(1));
        assert_eq!((sum.peak_bytes, sum.message_bytes), (Some(3 << 20), 160_000));
        assert!(report.sum(&["send", "process"]).is_none(), "a part of it is no sum");
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([1, 999, 1000, 1_234_567].map(grouped), ["1", "999", "1,000", "1,234,567"]);
    }
}
