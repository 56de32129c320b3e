//! Tables that every postoffice has beside its protocol state.

use super::{Flow, Quarantined, Stored};
use crate::event::Level;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// `T0`, `T1`, `T2`, `T3`, or a command's name.
    pub step: String,
    /// How important it is.
    pub level: Level,
    /// The text, which can be read without the lines around it.
    pub text: String,
    /// The run that it tells of.
    pub run: Option<u64>,
}

/// Tables that every postoffice has beside its protocol state.
pub trait CommonTables {
    /// Visits the quarantined cases, by number.
    fn visit_quarantined(&mut self, visit: &mut dyn FnMut(Quarantined) -> Flow) -> Stored<()>;
    /// All quarantined cases at once, where they are few.
    fn quarantined(&mut self) -> Stored<Vec<Quarantined>> {
        let mut cases = Vec::new();
        self.visit_quarantined(&mut |case| {
            cases.push(case);
            Flow::Continue(())
        })?;
        Ok(cases)
    }
    /// Writes a case (a new one when its number is 0) and returns its number.
    fn put_quarantined(&mut self, case: &Quarantined) -> Stored<u64>;
    /// Removes a case.
    fn delete_quarantined(&mut self, number: u64) -> Stored<()>;
    /// Adds a log line.
    fn put_log(&mut self, line: &LogLine) -> Stored<()>;
    /// Visits log lines from `since` on, in order.
    fn visit_log(&mut self, since: u64, visit: &mut dyn FnMut(&LogLine) -> Flow) -> Stored<()>;
    /// Forgets log lines before `before`.
    fn purge_log(&mut self, before: u64) -> Stored<()>;
    /// A named text of the agent: times of last steps, alarms that are on.
    fn note(&mut self, name: &str) -> Stored<Option<String>>;
    /// Writes or (with `None`) removes a named text.
    fn put_note(&mut self, name: &str, text: Option<&str>) -> Stored<()>;
    /// All named texts that begin with `prefix`, by name.
    fn notes(&mut self, prefix: &str) -> Stored<Vec<(String, String)>>;
    /// Marks a point inside the transaction to roll back to. Savepoints nest.
    fn savepoint(&mut self) -> Stored<()>;
    /// Undoes everything since the last open savepoint, which ends.
    fn rollback_savepoint(&mut self) -> Stored<()>;
    /// Keeps everything since the last open savepoint, which ends.
    fn release_savepoint(&mut self) -> Stored<()>;
}
