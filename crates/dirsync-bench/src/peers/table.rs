//! The table of ratios, and what is compared.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Figures, Outcome, Peers};
use crate::report::{Report, duration, grouped, mebibytes, step};

const FILL: [&str; 3] = [step::FILL_SEND, step::FILL_PROCESS, step::FILL_APPLY];
const CHANGES: [&str; 3] = [step::CHANGES_SEND, step::CHANGES_PROCESS, step::CHANGES_APPLY];

/// What is honest to know about each line.
const NOTES: &str = "\
A ratio is the peer's figure divided by dirsync's: above 1, dirsync needs less. All figures are of
one run on one machine, one system after the other.

- dirsync: each step is a process of its own, from its start to its end, with its files on disk
  (`synchronous=FULL`); a whole way is the sum of its steps, without the time in between, which a
  schedule or an agent decides. The peers are servers that run already and are connected.
- PostgreSQL: two clusters with the settings that it ships with and `wal_level=logical`; `fsync` is
  on. A table with a primary key, a unique address and the details as `jsonb`. Its subscription
  applies changes with `synchronous_commit=off`, as it ships: the subscriber shows them before they
  are on its disk. The 1,000 changes, or as many as there are, are one transaction.
- OpenLDAP: `mdb` with syncs, `refreshAndPersist`. A consumer commits each entry by itself, and each
  change is a transaction of its own. `slapadd -q` loads the provider offline.
- First fill: from the order to replicate (the start of the empty consumer) until the entries can be
  read there. The first line is dirsync's whole way, the second its last step alone.
- One change: dirsync's is the one of the step table: made by a process of its own, and in the lists
  of all sites there; the peers' is made on an open connection, and at one other server.
- Bytes: dirsync's are message files (request and answer); the peers' are counted by a relay on
  loopback, both ways, without headers of TCP. PostgreSQL's are those of a second subscriber, so
  that the timed one has no relay; OpenLDAP's timed consumer has it.
- Memory: the largest single process. PostgreSQL's counts the shared buffers that it touched,
  slapd's the pages of the database that it maps.
";

/// One line: what dirsync has, and how to read the same of a peer.
struct Line {
    job: &'static str,
    own: Option<Amount>,
    of: fn(&Figures) -> Option<Amount>,
}

#[derive(Clone, Copy)]
enum Amount {
    Time(Duration),
    /// A time, in which so many entries were handled.
    Rate(Duration, u32),
    Bytes(u64),
    Memory(u64),
}

impl Amount {
    fn size(self) -> f64 {
        match self {
            Self::Time(time) | Self::Rate(time, _) => time.as_secs_f64(),
            Self::Bytes(bytes) | Self::Memory(bytes) => bytes as f64,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Time(time) => duration(time),
            Self::Rate(time, units) => {
                let rate = f64::from(units) / time.as_secs_f64().max(1e-9);
                format!("{}, {}/s", duration(time), grouped(rate as u64))
            }
            Self::Bytes(bytes) => grouped(bytes),
            Self::Memory(bytes) => format!("{} MiB", mebibytes(bytes)),
        }
    }
}

/// The table in Markdown with its notes; `report` is of the same directory and the same run.
pub fn table(report: &Report, peers: &Peers) -> String {
    let heading = |name: &str, outcome: &Outcome| match outcome {
        Outcome::Measured(figures) => figures.version.clone(),
        _ => name.to_owned(),
    };
    let (postgres, openldap) =
        (heading("PostgreSQL", &peers.postgres), heading("OpenLDAP", &peers.openldap));
    let mut table = format!(
        "| {} entries, {} changes | dirsync | {postgres} (ratio) | {openldap} (ratio) |\n\
         | --- | ---: | ---: | ---: |\n",
        grouped(u64::from(report.entries)),
        grouped(u64::from(report.changes))
    );
    for line in lines(report) {
        let own = line.own.map_or_else(|| "–".to_owned(), Amount::text);
        let (one, two) = (cell(&line, &peers.postgres), cell(&line, &peers.openldap));
        table += &format!("| {} | {own} | {one} | {two} |\n", line.job);
    }
    format!("{table}\n{NOTES}")
}

fn cell(line: &Line, outcome: &Outcome) -> String {
    let figures = match outcome {
        Outcome::Measured(figures) => figures,
        Outcome::Missing(packages) => return format!("not installed: {packages}"),
        Outcome::Failed(_) => return "failed".to_owned(),
    };
    let Some(theirs) = (line.of)(figures) else { return "–".to_owned() };
    let Some(own) = line.own else { return theirs.text() };
    format!("{} ({:.2}×)", theirs.text(), theirs.size() / own.size().max(1e-9))
}

fn lines(report: &Report) -> Vec<Line> {
    let took = |names: &[&str]| report.sum(names).map(|sum| sum.took);
    let bytes = |names: &[&str]| report.sum(names).map(|sum| sum.message_bytes);
    let entries = report.entries;
    let rate = |names: &[&str]| took(names).map(|took| Amount::Rate(took, entries));
    let answered = [step::CHANGES_PROCESS];
    let request = [step::CHANGES_SEND];
    // The server answered two; one of the answers goes to the receiver.
    let changes_bytes = Some(()).and_then(|()| Some(bytes(&request)? + bytes(&answered)? / 2));
    let mut from_start = vec![step::CHANGES_IMPORT];
    from_start.extend(CHANGES);
    let one = report.find(step::SITES_MEDIAN).map(|row| Amount::Time(row.measurement.took));
    let peak = report.rows.iter().filter_map(|row| row.measurement.peak_bytes).max();
    let line = |job, own, of| Line { job, own, of };
    vec![
        line("all entries into the first site", rate(&[step::FIRST_IMPORT]), |it| {
            Some(Amount::Time(it.load))
        }),
        line("first fill: send, process, apply", rate(&FILL), |it| Some(Amount::Time(it.fill))),
        line("first fill: apply alone", rate(&[step::FILL_APPLY]), |it| {
            Some(Amount::Time(it.fill))
        }),
        line("first fill: bytes", bytes(&FILL).map(Amount::Bytes), |it| {
            Some(Amount::Bytes(it.fill_bytes))
        }),
        line("changes: from the first made to the last visible", time(took(&from_start)), |it| {
            Some(Amount::Time(it.changes))
        }),
        line("changes: from the last made to the last visible", time(took(&CHANGES)), |it| {
            Some(Amount::Time(it.after_commit))
        }),
        line("changes: bytes", changes_bytes.map(Amount::Bytes), |it| {
            Some(Amount::Bytes(it.changes_bytes))
        }),
        line("one change, until it is visible, median", one, |it| Some(Amount::Time(it.one))),
        line("peak memory of a process", peak.map(Amount::Memory), |it| {
            it.peak_bytes.map(Amount::Memory)
        }),
    ]
}

fn time(took: Option<Duration>) -> Option<Amount> {
    took.map(Amount::Time)
}

impl Peers {
    /// As a script reads it.
    pub fn json(&self) -> Value {
        let one = |outcome: &Outcome| match outcome {
            Outcome::Missing(packages) => json!({ "missing": packages }),
            Outcome::Failed(failure) => json!({ "failed": failure.to_string() }),
            Outcome::Measured(it) => json!({
                "version": it.version,
                "load_seconds": it.load.as_secs_f64(),
                "fill_seconds": it.fill.as_secs_f64(),
                "fill_bytes": it.fill_bytes,
                "changes_seconds": it.changes.as_secs_f64(),
                "changes_after_commit_seconds": it.after_commit.as_secs_f64(),
                "changes_bytes": it.changes_bytes,
                "one_change_seconds": it.one.as_secs_f64(),
                "peak_bytes": it.peak_bytes,
            }),
        };
        json!({ "postgresql": one(&self.postgres), "openldap": one(&self.openldap) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::process::Measurement;
    use crate::report::Row;

    fn report() -> Report {
        let row = |name, milliseconds, message_bytes| {
            let took = Duration::from_millis(milliseconds);
            let processor = Some(took);
            let measurement =
                Measurement { took, processor, message_bytes, ..Measurement::default() };
            Row { name, units: 1000, measurement }
        };
        let rows = vec![
            row(step::FILL_SEND, 10, 600),
            row(step::FILL_PROCESS, 40, 30_000),
            row(step::FILL_APPLY, 50, 0),
            row(step::CHANGES_SEND, 10, 900),
            row(step::CHANGES_PROCESS, 10, 2000),
        ];
        Report { entries: 1000, changes: 10, rows }
    }

    #[test]
    fn a_ratio_above_one_means_that_dirsync_needs_less() {
        let figures = Figures {
            version: "PostgreSQL 15".to_owned(),
            fill: Duration::from_millis(250),
            fill_bytes: 61_200,
            changes_bytes: 950,
            ..Figures::default()
        };
        let peers = Peers {
            postgres: Outcome::Measured(figures),
            openldap: Outcome::Missing("slapd ldap-utils"),
        };
        let table = table(&report(), &peers);
        for line in [
            "| 1,000 entries, 10 changes | dirsync | PostgreSQL 15 (ratio) | OpenLDAP (ratio) |",
            "| first fill: send, process, apply | 100 ms, 10,000/s | 250 ms (2.50×) | not installed: slapd ldap-utils |",
            "| first fill: apply alone | 50 ms, 20,000/s | 250 ms (5.00×) |",
            "| first fill: bytes | 30,600 | 61,200 (2.00×) |",
            "| changes: bytes | 1,900 | 950 (0.50×) |",
        ] {
            assert!(table.contains(line), "{line}\n{table}");
        }
    }

    #[test]
    fn a_peer_that_failed_leaves_the_table_and_is_told() {
        let failure = Failure::failed("no port");
        let peers = Peers {
            postgres: Outcome::Failed(failure),
            openldap: Outcome::Missing("slapd ldap-utils"),
        };
        assert!(table(&report(), &peers).contains("| failed | not installed"));
        assert_eq!(peers.failure().unwrap().to_string(), "no port");
    }
}
