//! The table in Markdown: one column group for each size, and the growth between two.

use std::time::Duration;

use super::process::Measurement;

/// One step at one size.
pub struct Row {
    pub name: &'static str,
    /// Entries, or changes, that the step is about.
    pub units: u32,
    pub measurement: Measurement,
}

/// All steps at one size.
pub struct Report {
    pub entries: u32,
    pub rows: Vec<Row>,
}

/// One table; the reports have the same steps. Growth is time, then memory, of the last report as
/// multiples of the first.
pub fn table(reports: &[Report]) -> String {
    let mut header = "| step |".to_owned();
    let mut rule = "| --- |".to_owned();
    for report in reports {
        header += &format!(
            " {} entries | per second | peak MiB | message bytes | bytes each |",
            grouped(u64::from(report.entries))
        );
        rule += " ---: | ---: | ---: | ---: | ---: |";
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
    for (at, row) in first.rows.iter().enumerate() {
        table += &format!("| {} |", row.name);
        for report in reports {
            table += &cells(&report.rows[at]);
        }
        if let Some(last) = last {
            table += &growth(&row.measurement, &last.rows[at].measurement);
        }
        table += "\n";
    }
    table
}

fn cells(row: &Row) -> String {
    let Row { units, measurement, .. } = row;
    let seconds = measurement.took.as_secs_f64();
    let per_second = grouped((f64::from(*units) / seconds.max(1e-9)).round() as u64);
    let peak = measurement.peak_bytes.map_or("–".to_owned(), mebibytes);
    let (bytes, each) = match measurement.message_bytes {
        0 => ("–".to_owned(), "–".to_owned()),
        bytes => (grouped(bytes), format!("{:.1}", bytes as f64 / f64::from((*units).max(1)))),
    };
    format!(" {} | {per_second} | {peak} | {bytes} | {each} |", duration(measurement.took))
}

fn growth(small: &Measurement, big: &Measurement) -> String {
    let time = big.took.as_secs_f64() / small.took.as_secs_f64().max(1e-9);
    let memory = match (small.peak_bytes, big.peak_bytes) {
        (Some(small), Some(big)) if small > 0 => format!("{:.2}×", big as f64 / small as f64),
        _ => "–".to_owned(),
    };
    format!(" {time:.1}× | {memory} |")
}

fn duration(took: Duration) -> String {
    let milliseconds = took.as_secs_f64() * 1000.0;
    if milliseconds < 10_000.0 {
        return format!("{milliseconds:.0} ms");
    }
    format!("{:.1} s", took.as_secs_f64())
}

fn mebibytes(bytes: u64) -> String {
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
            peak_bytes: Some(peak_bytes),
            message_bytes: u64::from(entries) * 80,
        };
        Report { entries, rows: vec![Row { name: "send", units: entries, measurement }] }
    }

    #[test]
    fn one_size_has_no_growth() {
        let expected = "\
| step | 1,000 entries | per second | peak MiB | message bytes | bytes each |
| --- | ---: | ---: | ---: | ---: | ---: |
| send | 500 ms | 2,000 | 2.0 | 80,000 | 80.0 |
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
    fn digits_are_grouped_by_three() {
        assert_eq!([1, 999, 1000, 1_234_567].map(grouped), ["1", "999", "1,000", "1,234,567"]);
    }
}
