//! What wakes the agent: file events, where the operating system has them.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use dirsync_carrier::PostofficeLock;
use dirsync_postoffice::folder::{AGENT_LOCK, DATABASE, LOCK};
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// The database of the bodies that travel, beside the messages.
const BODIES_DATABASE: &str = "transit.db";

/// Wakes the agent when files change. It is a help, not a need: what happens on another host of a
/// shared folder is not seen, so places are polled as well.
pub struct Watcher(RecommendedWatcher);

impl Watcher {
    /// Looks at a folder from now on, and says whether it can; one that cannot be watched is polled.
    pub fn watch(&mut self, folder: &Path) -> bool {
        self.0.watch(folder, RecursiveMode::NonRecursive).is_ok()
    }
}

/// A watcher, where there is one, what else can say that something happened, and where both say it.
pub fn watch() -> (Option<Watcher>, Sender<()>, Receiver<()>) {
    let (sender, receiver) = channel();
    let waker = sender.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| !wakes(&event)) {
            return;
        }
        // Nobody listens any more only when the agent ends.
        let _ = sender.send(());
    });
    (watcher.ok().map(Watcher), waker, receiver)
}

/// Whether an event is a reason to look. What the agent's own work makes happen must never be one: it
/// would wake itself for ever. So nothing in a database is; that another process has worked on it is
/// told by its lock.
fn wakes(event: &Event) -> bool {
    if event.need_rescan() || event.paths.is_empty() {
        return true;
    }
    event.paths.iter().any(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name {
            LOCK => is_let_go(event.kind) && !PostofficeLock::was_taken_here(path),
            _ if event.kind.is_access() => false,
            _ if name == AGENT_LOCK || is_of_database(name) || name.starts_with('.') => false,
            // The agent itself takes messages out of its inbox.
            _ => !name.ends_with(".dirsync") || !is_departure(event.kind),
        }
    })
}

/// Whether a file that was written was closed. Elsewhere it is seen to be written, when it is locked;
/// who looks then waits for the lock.
fn is_let_go(kind: EventKind) -> bool {
    if cfg!(target_os = "linux") {
        kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
    } else {
        kind.is_modify() || kind.is_create()
    }
}

/// A database, its log and its index of that.
fn is_of_database(name: &str) -> bool {
    [DATABASE, BODIES_DATABASE].iter().any(|database| {
        name.strip_prefix(database).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

fn is_departure(kind: EventKind) -> bool {
    kind.is_remove() || kind == EventKind::Modify(ModifyKind::Name(RenameMode::From))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind};

    use super::*;

    fn woken_by(kind: EventKind, path: &Path) -> bool {
        wakes(&Event::new(kind).add_path(path.to_owned()))
    }

    #[test]
    fn what_others_do_wakes_and_the_own_work_does_not() {
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let made = EventKind::Create(CreateKind::File);
        let removed = EventKind::Remove(RemoveKind::File);
        let came = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let went = EventKind::Modify(ModifyKind::Name(RenameMode::From));
        let (message, source) = (Path::new("share/me/a-b-1-1.dirsync"), Path::new("hr.csv"));
        for kind in [made, came, written] {
            assert!(woken_by(kind, message), "{kind:?} of a message");
            assert!(woken_by(kind, source), "{kind:?} of a source");
            for own in [
                DATABASE,
                "postoffice.db-wal",
                "postoffice.db-shm",
                "transit.db",
                "transit.db-wal",
                AGENT_LOCK,
            ] {
                assert!(!woken_by(kind, Path::new(own)), "{kind:?} of {own}");
            }
            assert!(!woken_by(kind, Path::new(".dirsync-half.abc.tmp")), "half written");
        }
        assert!(!woken_by(went, message) && !woken_by(removed, message), "taken");
        assert!(woken_by(removed, source));
        assert!(!woken_by(EventKind::Access(AccessKind::Read), source));
        assert!(wakes(&Event::new(EventKind::Other).set_flag(Flag::Rescan)), "events were lost");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_lock_that_another_process_let_go_wakes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK);
        let let_go = EventKind::Access(AccessKind::Close(AccessMode::Write));
        drop(PostofficeLock::acquire(&path, "run").unwrap());
        assert!(!woken_by(let_go, &path), "its own");
        std::fs::write(&path, "process 1 (send)").unwrap();
        assert!(woken_by(let_go, &path));
        let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert!(!woken_by(open, &path), "not yet");
    }
}
