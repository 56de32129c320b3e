//! What a run saw.

use std::collections::BTreeMap;
use std::time::Duration;

use dirsync_protocol::row::Row;
use dirsync_protocol::simulation::Branch;
use dirsync_sim::plan::Plan;
use dirsync_sim::random::Run;
use dirsync_sim::step::Step;

/// A world that broke.
pub struct Failure {
    /// The command that shows it again.
    pub command: String,
    /// The profile.
    pub profile: &'static str,
    /// What broke.
    pub why: String,
    /// The shortest trace found.
    pub trace: Vec<Step>,
}

/// Counts over all worlds of a run.
#[derive(Default)]
pub struct Seen {
    worlds: u64,
    in_files: u64,
    sealed: u64,
    steps: u64,
    messages: u64,
    cycles: BTreeMap<usize, u64>,
    rows: BTreeMap<Row, u64>,
    /// What broke.
    pub failures: Vec<Failure>,
}

impl Seen {
    /// Counts a world.
    pub fn count(&mut self, plan: &Plan, done: &Run) {
        self.worlds += 1;
        self.in_files += u64::from(plan.setup.in_files);
        self.sealed += u64::from(plan.setup.sealed);
        self.steps += done.trace.len() as u64;
        self.messages += done.world.network.posted();
        if let Ok(cycles) = done.result {
            *self.cycles.entry(cycles).or_default() += 1;
        }
        for (_, event) in &done.world.events {
            *self.rows.entry(event.row).or_default() += 1;
        }
    }

    /// Says what was seen.
    pub fn print(&self, took: Duration) {
        println!(
            "{} worlds ({} with databases in files, {} with sealed messages), {} steps before the \
             faults stopped, {} messages, {:.0} s",
            self.worlds,
            self.in_files,
            self.sealed,
            self.steps,
            self.messages,
            took.as_secs_f64()
        );
        let cycles: Vec<String> =
            self.cycles.iter().map(|(cycles, worlds)| format!("{cycles}: {worlds}")).collect();
        println!("cycles until silence: {}", cycles.join(", "));
        let never = never_taken(&self.rows);
        if !never.is_empty() {
            println!("never taken: {}", never.join(", "));
        }
        for failure in &self.failures {
            let steps: Vec<String> = failure.trace.iter().map(Step::to_string).collect();
            println!(
                "\nbroken ({}): {}\n  {}\n  {}",
                failure.profile,
                failure.why,
                steps.join("; "),
                failure.command
            );
        }
    }
}

/// Rows and branches that were never taken.
fn never_taken(taken: &BTreeMap<Row, u64>) -> Vec<String> {
    let rows = Row::ALL.iter().filter(|row| is_logged(**row) && !taken.contains_key(row));
    let branches = Branch::ALL.iter().filter(|(branch, ..)| !branch.taken());
    rows.map(Row::to_string).chain(branches.map(|(_, name, _)| (*name).to_owned())).collect()
}

/// Whether a row is logged in worlds. Nothing is logged where all is as it should be (B1, B2, R10). In worlds
/// every postoffice is registered, invited rightly and not suspended (S2, S3a, R4a, F), and the log of decisions
/// is never behind (A5). Damage has tests of its own (V1).
fn is_logged(row: Row) -> bool {
    use Row::{A5, B1, B2, F3, F5, F6, F7, F8, R4a, R10, S2, S3a, T0, T1, T2, T3, V1};
    let is_silent = matches!(row, B1 | B2 | R10 | T0 | T1 | T2 | T3);
    !is_silent && !matches!(row, S2 | S3a | R4a | F3 | F5 | F6 | F7 | F8 | A5 | V1)
}
