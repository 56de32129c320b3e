//! What is wanted, beside what was measured.

use std::time::Duration;

use super::process::Measurement;
use super::report::{Report, Row, duration, grouped, mebibytes, step};

const MEMORY_MAX: u64 = 64 << 20;
const FILL_RATE_MIN: f64 = 330_000.0;
const FILL_BYTES_MAX: f64 = 45.0;
const CHANGES_MAX: Duration = Duration::from_millis(35);
const CHANGES_BYTES_MAX: u64 = 20_000;
const MANY_MAX: Duration = Duration::from_millis(800);
const MANY_BYTES_MAX: u64 = 25_000_000;
const SITES_MAX: Duration = Duration::from_millis(50);
const STATUS_MAX: Duration = Duration::from_millis(50);
const UNCHANGED_MAX: Duration = Duration::from_millis(200);
const GROWTH_MAX: f64 = 1.1;

/// One job, with the answer.
struct Want {
    job: String,
    want: String,
    measured: String,
    is_met: bool,
}

/// The table in Markdown. The wants are meant for 100,000 entries and 1,000 changes; at other sizes
/// the heading says which, and the answers say no more than that.
pub fn table(reports: &[Report]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let mut table = format!(
        "| job at {} entries, {} changes | want | measured | met |\n| --- | --- | --- | --- |\n",
        grouped(u64::from(first.entries)),
        grouped(u64::from(first.changes))
    );
    for Want { job, want, measured, is_met } in wants(reports, first) {
        let met = if is_met { "yes" } else { "no" };
        table += &format!("| {job} | {want} | {measured} | {met} |\n");
    }
    table
}

fn wants(reports: &[Report], first: &Report) -> Vec<Want> {
    let mut wants = Vec::new();
    if let Some(row) = first.find(step::FILL_APPLY) {
        let rate = f64::from(row.units) / row.measurement.took.as_secs_f64().max(1e-9);
        wants.push(Want {
            job: "first fill (`apply`), entries per second".to_owned(),
            want: format!("≥ {}", grouped(FILL_RATE_MIN as u64)),
            measured: grouped(rate as u64),
            is_met: rate >= FILL_RATE_MIN,
        });
    }
    if let Some(row) = first.find(step::FILL_PROCESS) {
        let each = row.measurement.message_bytes as f64 / f64::from(row.units.max(1));
        wants.push(Want {
            job: "first fill, message bytes per entry".to_owned(),
            want: format!("≤ {FILL_BYTES_MAX:.0}"),
            measured: format!("{each:.1}"),
            is_met: each <= FILL_BYTES_MAX,
        });
    }
    changes(first, &mut wants);
    if let Some(row) = first.find(step::MANY_PROCESS) {
        many(row, &mut wants);
    }
    if let Some(row) = first.find(step::SITES_MEDIAN) {
        let job = "a change in the lists of all sites under `dirsync run`, median";
        wants.push(time(job, SITES_MAX, row.measurement.took));
    }
    if let Some(row) = first.find(step::MANY_STATUS) {
        let job = format!("`status` with {} requestors", grouped(u64::from(row.units)));
        wants.push(time(&job, STATUS_MAX, row.measurement.took));
    }
    let reading = first.find(step::READING).map_or(Duration::ZERO, |row| row.measurement.took);
    for (name, job) in [
        (step::UNCHANGED, "unchanged `import --whole`, rows shuffled, beyond reading"),
        (step::UNCHANGED_BY_FUNCTIONS, "the same by a map of ten lines, four functions"),
    ] {
        if let Some(unchanged) = first.find(name) {
            let beyond = unchanged.measurement.took.saturating_sub(reading);
            wants.push(time(job, UNCHANGED_MAX, beyond));
        }
    }
    wants.extend(memory(reports));
    wants.extend(growth(reports));
    wants
}

fn changes(first: &Report, wants: &mut Vec<Want>) {
    for (name, words) in [(step::CHANGES_PROCESS, "`process`"), (step::CHANGES_APPLY, "`apply`")] {
        if let Some(row) = first.find(name) {
            wants.push(time(&format!("changes: {words}"), CHANGES_MAX, row.measurement.took));
        }
    }
    if let Some(row) = first.find(step::CHANGES_PROCESS) {
        // Two requestors asked: the origin and the receiver.
        let bytes = row.measurement.message_bytes / 2;
        wants.push(size("changes: bytes to one requestor", CHANGES_BYTES_MAX, bytes));
    }
}

fn many(row: &Row, wants: &mut Vec<Want>) {
    let asked = grouped(u64::from(row.units));
    let job = format!("`process` for {asked} requestors with the same changes");
    wants.push(time(&job, MANY_MAX, row.measurement.took));
    let job = format!("bytes of the {asked} answers");
    wants.push(size(&job, MANY_BYTES_MAX, row.measurement.message_bytes));
}

fn memory(reports: &[Report]) -> Option<Want> {
    let highest =
        |report: &Report| report.rows.iter().filter_map(|row| row.measurement.peak_bytes).max();
    let peaks: Vec<u64> = reports.iter().filter_map(highest).collect();
    let most = *peaks.iter().max()?;
    let texts: Vec<String> = peaks.iter().map(|peak| mebibytes(*peak)).collect();
    Some(Want {
        job: "peak memory of any step, at each size".to_owned(),
        want: format!("≤ {} MiB", MEMORY_MAX >> 20),
        measured: format!("{} MiB", texts.join(" and ")),
        is_met: most <= MEMORY_MAX,
    })
}

/// The step that grows most beyond its size.
fn growth(reports: &[Report]) -> Option<Want> {
    let [first, .., last] = reports else { return None };
    let scale = f64::from(last.entries) / f64::from(first.entries.max(1));
    let beyond = |row: &Row| {
        let big = last.find(row.name)?;
        let ratio = |measurement: &Measurement| measurement.took.as_secs_f64().max(1e-9);
        Some((ratio(&big.measurement) / ratio(&row.measurement) / scale, row.name))
    };
    let (most, name) =
        first.rows.iter().filter_map(beyond).max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(Want {
        job: format!("growth to {} entries", grouped(u64::from(last.entries))),
        want: format!("≤ {GROWTH_MAX:.1} × linear"),
        measured: format!("at most {most:.2} ({name})"),
        is_met: most <= GROWTH_MAX,
    })
}

fn time(job: &str, most: Duration, took: Duration) -> Want {
    Want {
        job: job.to_owned(),
        want: format!("≤ {}", duration(most)),
        measured: duration(took),
        is_met: took <= most,
    }
}

fn size(job: &str, most: u64, bytes: u64) -> Want {
    Want {
        job: job.to_owned(),
        want: format!("≤ {} bytes", grouped(most)),
        measured: grouped(bytes),
        is_met: bytes <= most,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, milliseconds: u64, message_bytes: u64) -> Row {
        let took = Duration::from_millis(milliseconds);
        let measurement = Measurement {
            took,
            message_bytes,
            peak_bytes: Some(30 << 20),
            ..Measurement::default()
        };
        Row { name, units: 100_000, measurement }
    }

    fn report(entries: u32, rows: Vec<Row>) -> Report {
        Report { entries, changes: 1000, rows }
    }

    #[test]
    fn a_want_is_met_up_to_its_limit_and_no_further() {
        for (milliseconds, bytes, met) in [(35, 40_000, "yes"), (36, 40_002, "no")] {
            let table =
                table(&[report(100_000, vec![row(step::CHANGES_PROCESS, milliseconds, bytes)])]);
            let process = format!("| ≤ 35 ms | {milliseconds} ms | {met} |");
            let answer = format!("| ≤ 20,000 bytes | {} | {met} |", grouped(bytes / 2));
            assert!(table.contains(&process) && table.contains(&answer), "{table}");
        }
        for (milliseconds, met) in [(300, "| 333,333 | yes |"), (310, "| 322,580 | no |")] {
            let table = table(&[report(100_000, vec![row(step::FILL_APPLY, milliseconds, 0)])]);
            assert!(table.contains(met), "{table}");
        }
    }

    #[test]
    fn what_was_not_measured_has_no_answer() {
        let table = table(&[report(100_000, vec![row(step::FILL_SEND, 1, 1)])]);
        assert_eq!(table.lines().count(), 3, "only memory is known: {table}");
    }

    #[test]
    fn growth_is_that_of_the_worst_step() {
        let small = report(1000, vec![row(step::FILL_SEND, 100, 0), row(step::FILL_APPLY, 10, 0)]);
        let big =
            report(10_000, vec![row(step::FILL_SEND, 1000, 0), row(step::FILL_APPLY, 150, 0)]);
        let table = table(&[small, big]);
        assert!(
            table.contains("at most 1.50 (new requestor: apply the first fill) | no |"),
            "{table}"
        );
    }
}
