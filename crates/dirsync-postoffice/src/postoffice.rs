//! An open postoffice: its configuration, database, carriers and lock.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dirsync_agent::decisions::{self, Decision, DecisionKind, LogState, catch_up, log_state};
use dirsync_agent::step::{Surroundings, UnderWayLimits, log_lines};
use dirsync_carrier::{PostofficeLock, Shares, Spool};
use dirsync_directory::{PostofficeName, plural};
use dirsync_protocol::context::{Context, Draws, Event, Level};
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::tables::{LogLine, Run, RunKind, Stored, Tables};
use dirsync_seal::OwnKeys;
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{Store, Transaction};
use dirsync_transit::{DiskBodies, Outbox};

use crate::config::Config;
use crate::decisions::FileDecisions;
use crate::failure::{Failure, Result};
use crate::folder::{
    self, TRANSIT, bodies, database, load_config, lock, require_folder, require_home,
};
use crate::home::Away;
use crate::key_ring::KeyRing;
use crate::keys::{evidence_key, public_key, random_seed, read_instance};
use crate::last_command::{self, Command, Left};
use crate::links::Links;
use crate::places::has_lines;
use crate::time::now_ms;

/// The zstd level of bodies that travel over slow lines: a few seconds of a processor save hours of the line.
const SLOW_COMPRESSION: i32 = 19;

/// An open postoffice.
pub struct Postoffice {
    /// Its folder.
    pub folder: PathBuf,
    /// Its configuration.
    pub config: Config,
    /// Its database.
    pub store: SqliteStore,
    /// Its name.
    pub name: PostofficeName,
    /// Its server's name.
    pub server: PostofficeName,
    /// Whether it is the directory server.
    pub is_server: bool,
    /// Failures while it was opened that do not prevent reading it.
    pub warnings: Vec<String>,
    /// The threads that work in its places.
    pub(crate) shares: Shares,
    /// The connections to servers, and what tells waiting requestors.
    pub(crate) links: Links,
    /// Whether any of its places is a line whatever its settings are.
    pub(crate) has_lines: bool,
    /// Its keys, once they were needed.
    own_keys: OnceCell<Arc<OwnKeys>>,
    /// Its bodies that travel, once they were needed.
    outbox: OnceCell<Outbox>,
    _lock: Option<PostofficeLock>,
}

impl Postoffice {
    /// Opens a postoffice to work on it. `purpose` is shown to others that wait for its lock.
    pub fn open(folder: &Path, purpose: &str) -> Result<Self> {
        require_folder(folder)?;
        let lock = lock(folder, purpose)?;
        let config = require_home(folder)?;
        let mut postoffice = Self::open_locked(folder, config, lock)?;
        postoffice.catch_up()?;
        Ok(postoffice)
    }

    /// Opens a directory server to work on it.
    pub fn open_server(folder: &Path, purpose: &str) -> Result<Self> {
        let postoffice = Self::open(folder, purpose)?;
        if postoffice.is_server {
            return Ok(postoffice);
        }
        Err(Failure::usage(format!("{} is no directory server", postoffice.name)))
    }

    /// The same where it is not at home: for what a person says about that, and for the agent, which
    /// waits until something is said.
    pub fn open_away(folder: &Path, purpose: &str) -> Result<Self> {
        require_folder(folder)?;
        let lock = lock(folder, purpose)?;
        let config = load_config(folder)?;
        Self::open_locked(folder, config, lock)
    }

    fn open_locked(folder: &Path, config: Config, lock: PostofficeLock) -> Result<Self> {
        let store = SqliteStore::open(database(folder))?;
        Self::with_store(folder, config, store, Some(lock))
    }

    /// Opens a postoffice to read it, also while an agent works on it. A server's database that was put
    /// back shows nothing of a time before its decisions, if they can be carried out.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut postoffice = Self::read_only(folder)?;
        if postoffice.log_state()?.behind == 0 || postoffice.away()?.is_some() {
            return Ok(postoffice);
        }
        if let Err(failure) = Self::open(folder, "read") {
            let text = failure.text();
            let warning = format!("decisions of the log could not be carried out: {text}");
            postoffice.warnings.push(warning);
            return Ok(postoffice);
        }
        Self::read_only(folder)
    }

    fn read_only(folder: &Path) -> Result<Self> {
        require_folder(folder)?;
        let store = SqliteStore::open_read_only(database(folder))?;
        Self::with_store(folder, load_config(folder)?, store, None)
    }

    fn with_store(
        folder: &Path,
        config: Config,
        mut store: SqliteStore,
        lock: Option<PostofficeLock>,
    ) -> Result<Self> {
        // A folder whose keys are lost is a half of a postoffice: every command says so, not only
        // the step that next seals a message.
        public_key(folder)?;
        let (name, server, epoch, has_lines) = {
            let mut tables = store.begin()?;
            let state = tables.requestor()?;
            let has_lines = has_lines(&mut *tables)?;
            (state.name, state.server, tables.server()?.map(|server| server.epoch), has_lines)
        };
        if let Some(epoch) = epoch {
            let instance = read_instance(folder)?;
            if instance != epoch.instance {
                return Err(Failure::usage(format!(
                    "this database belongs to the server installation {}, this folder is {instance}",
                    epoch.instance
                ))
                .hint("if the old server is stopped, `dirsync server promote` makes this the server"));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            config,
            store,
            name,
            server,
            is_server: epoch.is_some(),
            warnings: Vec::new(),
            shares: Shares::default(),
            links: Links::default(),
            has_lines,
            own_keys: OnceCell::new(),
            outbox: OnceCell::new(),
            _lock: lock,
        })
    }

    /// How the decisions log stands to the database.
    pub fn log_state(&mut self) -> Result<LogState> {
        if !self.is_server {
            return Ok(LogState::default());
        }
        let mut log = self.decisions();
        Ok(log_state(&mut *self.store.begin()?, &mut log)?)
    }

    /// Carries out the decisions of the log that the database does not know.
    fn catch_up(&mut self) -> Result<()> {
        if !self.is_server {
            return Ok(());
        }
        let mut log = self.decisions();
        let mut draws = Draws::new(&random_seed()?);
        let mut events = Vec::new();
        let guard = self.config.guards.delete;
        let mut tables = self.store.begin()?;
        let evidence = &EvidenceKey::NONE;
        let mut context =
            Context { now: now_ms(), draws: &mut draws, events: &mut events, guard, evidence };
        let carried_out = catch_up(&mut *tables, &mut context, &mut log)?;
        if carried_out > 0 {
            let summary = format!("{} carried out", plural(carried_out, "decision", "decisions"));
            log_within(&mut *tables, "admin", &summary, &events)?;
        }
        Ok(tables.commit()?)
    }

    /// Why this postoffice does not work in this folder; `None` if it is at home, or is not to check.
    pub fn away(&self) -> Result<Option<Away>> {
        folder::away(&self.folder, &self.config)
    }

    /// The surroundings of a step: the time, fresh randomness, and settings.
    pub fn around(&self) -> Result<Surroundings> {
        Ok(Surroundings {
            now: now_ms(),
            seed: random_seed()?,
            guard: self.config.guards.delete,
            evidence: match self.is_server {
                true => evidence_key(&self.folder)?,
                false => EvidenceKey::NONE,
            },
            sealing: self.own_keys()?,
            threads: threads(),
            part_bytes_max: self.config.part_bytes,
            compression: self.config.compression,
            slow_compression: SLOW_COMPRESSION,
            outbox: self.outbox()?,
            fall_back: self.fall_back(),
            under_way: UnderWayLimits::default(),
            settle_ms: self.config.settle_ms,
            spool: Spool::in_folder(bodies(&self.folder)),
        })
    }

    /// The bodies that travel apart from their messages. While none does, nothing is made on disk.
    pub(crate) fn outbox(&self) -> Result<Outbox> {
        if let Some(outbox) = self.outbox.get() {
            return Ok(outbox.clone());
        }
        let folder = self.folder.join(TRANSIT);
        if !folder.join("transit.db").exists() && !self.has_slow_places() {
            return Ok(Outbox::default());
        }
        self.open_outbox()
    }

    /// The same, on disk in any case.
    pub(crate) fn open_outbox(&self) -> Result<Outbox> {
        if let Some(outbox) = self.outbox.get() {
            return Ok(outbox.clone());
        }
        let bodies = DiskBodies::open(self.folder.join(TRANSIT))?;
        Ok(self.outbox.get_or_init(|| Outbox::new(bodies)).clone())
    }

    /// The keys of this postoffice, with the private ones.
    ///
    /// # Errors
    ///
    /// If the file of the private key cannot be read or used.
    pub fn own_keys(&self) -> Result<Arc<OwnKeys>> {
        if let Some(keys) = self.own_keys.get() {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(KeyRing::read(&self.folder, &self.name)?.keys);
        Ok(Arc::clone(self.own_keys.get_or_init(|| keys)))
    }

    /// Reads the keys again when they are needed next, because they have changed.
    pub(crate) fn forget_own_keys(&mut self) {
        self.own_keys = OnceCell::new();
    }

    /// The decisions log.
    pub fn decisions(&self) -> FileDecisions {
        FileDecisions::of(&self.folder)
    }

    /// Writes decisions down and makes them take effect together: the log is on disk before the database
    /// says so.
    pub fn decide(&mut self, decided: Vec<(PostofficeName, DecisionKind)>) -> Result<()> {
        self.decide_and_undo(decided, None).map(drop)
    }

    /// The same for decisions that undo a run. Returns the run of the last decision that can be undone.
    pub(crate) fn decide_and_undo(
        &mut self,
        decided: Vec<(PostofficeName, DecisionKind)>,
        undoes: Option<u64>,
    ) -> Result<Option<u64>> {
        let at = now_ms();
        let decision = |(postoffice, kind)| Decision { at, postoffice, kind };
        let made: Vec<Decision> = decided.into_iter().map(decision).collect();
        let mut draws = Draws::new(&random_seed()?);
        let mut events = Vec::new();
        let guard = self.config.guards.delete;
        let mut log = self.decisions();
        let mut tables = self.begin()?;
        let evidence = &EvidenceKey::NONE;
        let mut context =
            Context { now: at, draws: &mut draws, events: &mut events, guard, evidence };
        let (mut runs, mut left) = (Vec::new(), Left::Nothing);
        for decision in &made {
            runs.push(decision_run(&mut *tables, decision, undoes)?);
            if !changes_nothing(&mut *tables, decision)? {
                left = Left::NoRun;
            }
        }
        decisions::decide(&mut *tables, &mut context, &mut log, &made)?;
        let mut newest = None;
        for (decision, run) in made.iter().zip(runs) {
            let run = run.map(|run| tables.put_run(&run)).transpose()?;
            newest = run.or(newest);
            let line = decision.to_string();
            let word = line.split('\t').nth(1).unwrap_or_default();
            let events = std::mem::take(&mut events);
            let summary = format!("{word} {}", decision.postoffice);
            log_run(&mut *tables, "admin", &summary, &events, run)?;
        }
        if let (Some(undoes), Some(by)) = (undoes, newest)
            && let Some(undone) = tables.run(undoes)?
        {
            tables.put_run(&Run { undone_by: Some(by), ..undone })?;
        }
        if newest.is_none()
            && let Some((first, command)) =
                made.first().and_then(|first| Some((first, command_of(&first.kind)?)))
        {
            last_command::note(&mut *tables, command, first.postoffice.as_str(), left)?;
        }
        tables.commit()?;
        Ok(newest)
    }

    /// Logs events that are committed already, and a line that sums them up.
    pub fn log(&mut self, step: &str, summary: &str, events: &[Event]) -> Stored<()> {
        let mut tables = self.store.begin()?;
        log_within(&mut *tables, step, summary, events)?;
        tables.commit()
    }

    /// Notes a command that changed nothing, in a transaction of its own.
    pub(crate) fn note_idle(&mut self, command: Command, subject: &str) -> Result<()> {
        let mut tables = self.begin()?;
        last_command::note(&mut *tables, command, subject, Left::Nothing)?;
        Ok(tables.commit()?)
    }

    /// Puts a note, in a transaction of its own where it is not there yet.
    pub fn put_note(&mut self, name: &str, text: Option<&str>) -> Result<()> {
        let mut tables = self.begin()?;
        if tables.note(name)?.as_deref() != text {
            tables.put_note(name, text)?;
            tables.commit()?;
        }
        Ok(())
    }

    /// A transaction.
    pub fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        self.store.begin()
    }
}

/// Whether a decision leaves a registration as it is.
fn changes_nothing(tables: &mut dyn Tables, decision: &Decision) -> Stored<bool> {
    // A resumption also ends a contest of copies.
    let is_plain = matches!(decision.kind, DecisionKind::Allow(_) | DecisionKind::Carrier(_));
    let known = tables.registration(&decision.postoffice)?;
    Ok(is_plain && known.is_some_and(|known| decisions::is_in_force(&known, &decision.kind)))
}

/// The command by which a person decides; `None` if none does.
fn command_of(kind: &DecisionKind) -> Option<Command> {
    Some(match kind {
        DecisionKind::Invite { .. } => Command::RequestorAdd,
        DecisionKind::Allow(_) | DecisionKind::Carrier(_) => Command::RequestorSet,
        DecisionKind::Suspend => Command::RequestorSuspend,
        DecisionKind::Resume => Command::RequestorResume,
        DecisionKind::Remove => Command::RequestorRemove,
        DecisionKind::ApproveDeletion(_) => Command::HeldApprove,
        DecisionKind::RejectDeletion(_) => Command::HeldReject,
        DecisionKind::Key(_) | DecisionKind::Reinstate(_) | DecisionKind::Renew(_) => return None,
    })
}

/// The run of a decision; `None` if it cannot be undone.
fn decision_run(
    tables: &mut dyn Tables,
    decision: &Decision,
    undoes: Option<u64>,
) -> Stored<Option<Run>> {
    let Some(known) = tables.registration(&decision.postoffice)? else { return Ok(None) };
    let Some(kind) = decisions::inverse(&known, &decision.kind) else { return Ok(None) };
    let inverse = Decision { kind, ..decision.clone() };
    let kind = if undoes.is_some() { RunKind::Undo } else { RunKind::Decision };
    Ok(Some(Run {
        undoes,
        decision: Some((decision.to_string(), inverse.to_string())),
        ..Run::new(decision.at, kind, decision.postoffice.as_str())
    }))
}

/// Logs events and a line that sums them up, in the transaction that makes them true.
pub fn log_within(
    tables: &mut dyn Transaction,
    step: &str,
    summary: &str,
    events: &[Event],
) -> Stored<Vec<LogLine>> {
    log_run(tables, step, summary, events, None)
}

/// The same for a run, which the line that sums it up names.
pub(crate) fn log_run(
    tables: &mut dyn Transaction,
    step: &str,
    summary: &str,
    events: &[Event],
    run: Option<u64>,
) -> Stored<Vec<LogLine>> {
    let at = now_ms();
    let mut lines = log_lines(step, at, events);
    lines.push(LogLine { at, step: step.into(), level: Level::Info, text: summary.into(), run });
    lines.iter().try_for_each(|line| tables.put_log(line))?;
    Ok(lines)
}

/// The number of threads for work that keeps a processor busy. At least two, since one also waits for files.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().max(2))
}
