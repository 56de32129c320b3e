//! The tables that every postoffice has besides the state of the protocol: quarantine, log and notes.

use std::sync::Arc;

use dirsync_protocol::tables::{CommonTables, Flow, LogLine, Quarantined, Stored};

use super::{MemoryTransaction, failure, visit_all};

impl CommonTables for MemoryTransaction<'_> {
    fn visit_quarantined(&mut self, visit: &mut dyn FnMut(Quarantined) -> Flow) -> Stored<()> {
        for case in self.store.state.quarantined.values() {
            if visit(case.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn put_quarantined(&mut self, case: &Quarantined) -> Stored<u64> {
        let last = self.store.state.last_case;
        let number = if case.number == 0 { last + 1 } else { case.number };
        self.replace(|state| &mut state.last_case, last.max(number));
        self.put(
            |state| &mut state.quarantined,
            number,
            Some(Quarantined { number, ..case.clone() }),
        );
        Ok(number)
    }

    fn delete_quarantined(&mut self, number: u64) -> Stored<()> {
        self.put(|state| &mut state.quarantined, number, None);
        Ok(())
    }

    fn put_log(&mut self, line: &LogLine) -> Stored<()> {
        self.append(|state| &mut state.log, Arc::new(line.clone()));
        Ok(())
    }

    fn visit_log(&mut self, since: u64, visit: &mut dyn FnMut(&LogLine) -> Flow) -> Stored<()> {
        let state = &self.store.state;
        visit_all(state.log.values().map(|line| &**line).filter(|line| line.at >= since), visit);
        Ok(())
    }

    fn purge_log(&mut self, before: u64) -> Stored<()> {
        self.remove_where(|state| &mut state.log, |_, line| line.at < before);
        Ok(())
    }

    fn note(&mut self, name: &str) -> Stored<Option<String>> {
        Ok(self.store.state.notes.get(name).cloned())
    }

    fn put_note(&mut self, name: &str, text: Option<&str>) -> Stored<()> {
        self.put(|state| &mut state.notes, name.to_owned(), text.map(str::to_owned));
        Ok(())
    }

    fn notes(&mut self, prefix: &str) -> Stored<Vec<(String, String)>> {
        let notes = self.store.state.notes.range(prefix.to_owned()..);
        let named = notes.take_while(|(name, _)| name.starts_with(prefix));
        Ok(named.map(|(name, text)| (name.clone(), text.clone())).collect())
    }

    fn savepoint(&mut self) -> Stored<()> {
        self.savepoints.push(self.undo.len());
        Ok(())
    }

    fn rollback_savepoint(&mut self) -> Stored<()> {
        let action = "roll back to a savepoint";
        let changes =
            self.savepoints.pop().ok_or_else(|| failure(action, "no savepoint is open"))?;
        self.roll_back_to(changes);
        Ok(())
    }

    fn release_savepoint(&mut self) -> Stored<()> {
        let action = "release a savepoint";
        self.savepoints.pop().map(|_| ()).ok_or_else(|| failure(action, "no savepoint is open"))
    }
}
