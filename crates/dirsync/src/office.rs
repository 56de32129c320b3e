//! A postoffice folder: configuration, database, key, carriers, and its lock.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use dirsync_agent::decisions::{CUT_OFF, Decision, DecisionsLog, LogState, catch_up, log_state};
use dirsync_agent::step::{Surroundings, log_lines};
use dirsync_carrier::access::{Access, Links, open_file};
use dirsync_carrier::{Carrier, FolderCarrier, LockError, PostofficeLock, durable};
use dirsync_directory::PostofficeName;
use dirsync_message::Instance;
use dirsync_protocol::context::{Context, Draws, Event, Level};
use dirsync_protocol::tables::{LogLine, Stored};
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{Store, Transaction};

use crate::config::Config;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::home::{self, Away};
use crate::identity::INSTALLATION_NOTE;

/// The carrier of a server's own postoffice: its transit folder.
pub const LOCAL: &str = "local:";
/// The database's file in a postoffice's folder.
pub const DATABASE: &str = "postoffice.db";
/// The database of a postoffice that is being made.
const FOUNDING: &str = "postoffice.db.founding";
const DECISIONS: &str = "decisions.log";
/// The folder of the own postoffice's messages and of the locks.
pub const TRANSIT: &str = "transit";
/// The file in it that is locked by whoever works on the postoffice.
pub const LOCK: &str = "lock";
/// The file in it that is locked by the agent for as long as it runs.
pub const AGENT_LOCK: &str = "agent.lock";
/// The folder of its keys.
pub const KEYS: &str = "keys";
const KEY: &str = "id_ed25519";
/// The file in it that names the server installation; a requestor has none.
pub const INSTANCE: &str = "instance";
/// The name of the note that says where messages to the server travel.
pub const CARRIER_NOTE: &str = "carrier";

/// An open postoffice.
pub struct Office {
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
    /// Its public key.
    pub key: String,
    _lock: Option<PostofficeLock>,
}

/// The time, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Randomness of the operating system.
pub fn random_seed() -> Outcome<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(seed)
}

impl Office {
    /// Opens a postoffice to work on it; `purpose` is what others are told who want to as well.
    pub fn open(folder: &Path, purpose: &str) -> Outcome<Self> {
        require_folder(folder)?;
        let lock = lock(folder, purpose)?;
        let config = require_home(folder)?;
        let mut office = Self::open_locked(folder, config, lock)?;
        office.catch_up().map_err(|failure| failure.about(&database(folder)))?;
        Ok(office)
    }

    /// The same where it is not at home: for what a person says about that, and for the agent, which
    /// waits until something is said.
    pub fn open_away(folder: &Path, purpose: &str) -> Outcome<Self> {
        require_folder(folder)?;
        let lock = lock(folder, purpose)?;
        let config = load_config(folder)?;
        Self::open_locked(folder, config, lock)
    }

    fn open_locked(folder: &Path, config: Config, lock: PostofficeLock) -> Outcome<Self> {
        let path = database(folder);
        let store = SqliteStore::open(&path).map_err(|error| Failure::from(error).about(&path))?;
        Self::with_store(folder, config, store, Some(lock)).map_err(|failure| failure.about(&path))
    }

    /// Opens a postoffice to read it, also while an agent works on it. A server's database that was put
    /// back shows nothing of a time before its decisions, if they can be carried out.
    pub fn read(folder: &Path) -> Outcome<Self> {
        let mut office = Self::read_only(folder)?;
        if office.log_state()?.behind == 0 || office.away()?.is_some() {
            return Ok(office);
        }
        if let Err(failure) = Self::open(folder, "read") {
            let text = failure.text();
            eprintln!("warning: decisions of the log could not be carried out: {text}");
            return Ok(office);
        }
        Self::read_only(folder)
    }

    fn read_only(folder: &Path) -> Outcome<Self> {
        require_folder(folder)?;
        let path = database(folder);
        let opened = SqliteStore::open_read_only(&path);
        let store = opened.map_err(|error| Failure::from(error).about(&path))?;
        Self::with_store(folder, load_config(folder)?, store, None)
            .map_err(|failure| failure.about(&path))
    }

    fn with_store(
        folder: &Path,
        config: Config,
        mut store: SqliteStore,
        lock: Option<PostofficeLock>,
    ) -> Outcome<Self> {
        let (name, server, epoch) = {
            let mut tables = store.begin()?;
            let state = tables.requestor()?;
            (state.name, state.server, tables.server()?.map(|server| server.epoch))
        };
        let key = public_key(folder)?;
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
            key,
            _lock: lock,
        })
    }

    /// How the decisions log stands to the database.
    pub fn log_state(&mut self) -> Outcome<LogState> {
        if !self.is_server {
            return Ok(LogState::default());
        }
        let mut log = self.decisions();
        Ok(log_state(&mut *self.store.begin()?, &mut log)?)
    }

    /// Carries out what the decisions log has and the database does not know.
    fn catch_up(&mut self) -> Outcome<()> {
        if !self.is_server {
            return Ok(());
        }
        let mut log = self.decisions();
        let mut draws = Draws::new(&random_seed()?);
        let mut events = Vec::new();
        let guard = self.config.guards.delete;
        let mut tables = self.store.begin()?;
        let mut context = Context { now: now_ms(), draws: &mut draws, events: &mut events, guard };
        let carried_out = catch_up(&mut *tables, &mut context, &mut log)?;
        if carried_out > 0 {
            let summary = format!("{carried_out} decisions carried out");
            log_within(&mut *tables, "admin", &summary, &events)?;
        }
        Ok(tables.commit()?)
    }

    /// Why this postoffice does not work where it is; none where it is at home, or nobody wants to know.
    pub fn away(&self) -> Outcome<Option<Away>> {
        away(&self.folder, &self.config)
    }

    /// What a step is given: the time now, and fresh randomness.
    pub fn around(&self) -> Outcome<Surroundings> {
        Ok(Surroundings {
            now: now_ms(),
            seed: random_seed()?,
            guard: self.config.guards.delete,
            key: self.key.clone(),
            compression: self.config.compression,
            settle_ms: self.config.settle_ms,
        })
    }

    /// The carrier to the directory server.
    pub fn carrier(&mut self) -> Outcome<Box<dyn Carrier>> {
        let text = self.carrier_text()?;
        self.carrier_of(&text)
    }

    /// Where messages to the directory server travel, as registrations say it.
    pub fn carrier_text(&mut self) -> Outcome<String> {
        if self.is_server {
            return Ok(LOCAL.into());
        }
        let text = self.store.begin()?.note(CARRIER_NOTE)?;
        text.ok_or_else(|| Failure::usage("no carrier to the server is known"))
    }

    /// The carriers of a server's registrations, by their text.
    pub fn carriers(&mut self) -> Outcome<BTreeMap<String, Box<dyn Carrier>>> {
        let registrations = self.store.begin()?.registrations()?;
        let texts: BTreeSet<String> =
            registrations.into_iter().map(|registration| registration.carrier).collect();
        let mut carriers = BTreeMap::new();
        for text in texts {
            let carrier = self.carrier_of(&text)?;
            carriers.insert(text, carrier);
        }
        Ok(carriers)
    }

    /// The places in which messages for this postoffice arrive.
    pub fn places(&mut self) -> Outcome<Vec<FolderCarrier>> {
        self.place_texts()?.iter().map(|text| self.folder_carrier(text)).collect()
    }

    /// The same, as registrations say them.
    fn place_texts(&mut self) -> Stored<BTreeSet<String>> {
        let mut tables = self.begin()?;
        let mut texts: BTreeSet<String> = tables.note(CARRIER_NOTE)?.into_iter().collect();
        let registrations = tables.registrations()?;
        texts.extend(registrations.into_iter().map(|registration| registration.carrier));
        Ok(texts)
    }

    fn carrier_of(&self, text: &str) -> Outcome<Box<dyn Carrier>> {
        Ok(Box::new(self.folder_carrier(text)?))
    }

    fn folder_carrier(&self, text: &str) -> Outcome<FolderCarrier> {
        let root = match text.strip_prefix("folder:") {
            Some(root) => PathBuf::from(root),
            None if text == LOCAL => self.folder.join(TRANSIT),
            None => return Err(Failure::usage(format!("the carrier \"{text}\" is not known"))),
        };
        Ok(FolderCarrier::new(root, self.name.clone(), self.config.part_bytes))
    }

    /// The folders in which messages for this postoffice arrive, for watching them.
    pub fn inboxes(&mut self) -> Outcome<Vec<PathBuf>> {
        let texts = self.place_texts()?;
        let roots = texts.iter().filter_map(|text| text.strip_prefix("folder:"));
        let inbox = |root| {
            let carrier = FolderCarrier::new(root, self.name.clone(), 0);
            // A share that is away is a matter for who sends and receives.
            carrier.make_inbox().unwrap_or_else(|_| carrier.inbox(&self.name))
        };
        Ok(roots.map(inbox).collect())
    }

    /// The decisions log.
    pub fn decisions(&self) -> FileDecisions {
        FileDecisions::of(&self.folder)
    }

    /// Keeps what was done elsewhere, and a line that sums it up.
    pub fn log(&mut self, step: &str, summary: &str, events: &[Event]) -> Stored<()> {
        let mut tables = self.store.begin()?;
        log_within(&mut *tables, step, summary, events)?;
        tables.commit()
    }

    /// Puts a note, in a transaction of its own where it is not there yet.
    pub fn put_note(&mut self, name: &str, text: Option<&str>) -> Outcome<()> {
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

/// Logs what there is to say, and a line that sums it up, in the transaction that makes it true.
pub fn log_within(
    tables: &mut dyn Transaction,
    step: &str,
    summary: &str,
    events: &[Event],
) -> Stored<Vec<LogLine>> {
    let at = now_ms();
    let mut lines = log_lines(step, at, events);
    let (level, text) = (Level::Info.to_string(), summary.into());
    lines.push(LogLine { at, step: step.into(), level, text });
    lines.iter().try_for_each(|line| tables.put_log(line))?;
    Ok(lines)
}

/// Refuses a folder without a postoffice's database.
pub fn require_folder(folder: &Path) -> Outcome<()> {
    if folder.join(DATABASE).is_file() {
        return Ok(());
    }
    Err(Failure::usage(format!("\"{}\" is not a postoffice folder", folder.display()))
        .hint("name it with -C, or make one with `dirsync init`"))
}

fn load_config(folder: &Path) -> Outcome<Config> {
    Config::load(&folder.join("dirsync.toml"))
        .map_err(|errors| Failure::from(errors).with_status(ExitStatus::Usage))
}

/// Refuses what would work in a folder that was copied, before its database is opened. Returns its
/// configuration.
pub fn require_home(folder: &Path) -> Outcome<Config> {
    let config = load_config(folder)?;
    match away(folder, &config)? {
        Some(away) => Err(away.failure(folder)),
        None => Ok(config),
    }
}

fn away(folder: &Path, config: &Config) -> Outcome<Option<Away>> {
    if config.home_check { home::away(folder) } else { Ok(None) }
}

/// The decisions log as a file.
pub struct FileDecisions {
    path: PathBuf,
}

impl FileDecisions {
    /// The log of the postoffice in a folder.
    pub fn of(folder: &Path) -> Self {
        Self { path: folder.join(DECISIONS) }
    }

    /// Writes the log anew; the one before is kept beside. Returns where.
    pub fn replace(&mut self, decisions: &[Decision]) -> Outcome<PathBuf> {
        let kept = self.path.with_extension("log.before-renewal");
        let old = self.text()?;
        durable::replace_file(&kept, Access::Own, |output| output.write_all(old.as_bytes()))?;
        durable::replace_file(&self.path, Access::Own, |output| {
            decisions.iter().try_for_each(|decision| writeln!(output, "{decision}"))
        })?;
        Ok(kept)
    }

    fn ends_in_a_line_cut_off(&self) -> std::io::Result<bool> {
        let mut file = match open_file(&self.path, Links::Follow) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        if file.metadata()?.len() == 0 {
            return Ok(false);
        }
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last != *b"\n")
    }

    /// Its text; a byte that is none of UTF-8 makes its line one that is no decision.
    fn text(&self) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        let opened = open_file(&self.path, Links::Follow);
        match opened.and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(std::io::Error::new(
                error.kind(),
                format!("could not read \"{}\": {error}", self.path.display()),
            )),
        }
    }
}

impl DecisionsLog for FileDecisions {
    fn append(&mut self, decision: &Decision) -> std::io::Result<()> {
        if self.ends_in_a_line_cut_off()? {
            // What a crash cut off may look like a decision, about somebody else.
            std::fs::OpenOptions::new()
                .append(true)
                .open(&self.path)
                .and_then(|mut file| file.write_all(format!("{CUT_OFF}\n").as_bytes()))?;
        }
        durable::append_line(&self.path, &decision.to_string()).map_err(std::io::Error::other)
    }

    fn lines(&mut self) -> std::io::Result<Vec<String>> {
        let text = self.text()?;
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        Ok(whole.split_terminator('\n').map(str::to_owned).collect())
    }
}

/// Refuses a folder that is a postoffice's already.
pub fn require_none(folder: &Path) -> Outcome<()> {
    if !folder.join(DATABASE).exists() {
        return Ok(());
    }
    Err(Failure::usage(format!("\"{}\" is a postoffice folder already", folder.display())))
}

/// Makes the folder of a new postoffice: its parts, its key, and its database with what `found`
/// writes into it. The database takes its place last, so that what a crash leaves is no postoffice
/// yet and can be made again.
pub fn make_folder(
    folder: &Path,
    name: &PostofficeName,
    found: impl FnOnce(&mut dyn Transaction, &str) -> Outcome<()>,
) -> Outcome<()> {
    require_none(folder)?;
    for part in [folder, &folder.join(TRANSIT), &folder.join(KEYS)] {
        durable::create_folder(part)?;
    }
    let key = make_key(folder, name)?;
    home::note(folder)?;
    let config = folder.join("dirsync.toml");
    if !config.exists() {
        durable::replace_file(&config, Access::Settings, |output| {
            output.write_all(crate::config::TEMPLATE.as_bytes())
        })?;
    }
    let beside = folder.join(FOUNDING);
    remove_database(&beside)?;
    let mut store = SqliteStore::create(&beside)?;
    let mut tables = store.begin()?;
    found(&mut *tables, &key)?;
    tables.put_note(INSTALLATION_NOTE, Some(&key))?;
    tables.commit()?;
    store.checkpoint_truncate()?;
    drop(store);
    durable::move_file(&beside, &folder.join(DATABASE))?;
    Ok(())
}

/// Reads a file of a folder. Whoever can write there may have put anything in its place: it is not
/// waited for.
fn read_text(path: &Path) -> std::io::Result<String> {
    std::io::read_to_string(open_file(path, Links::Follow)?)
}

/// Removes a database with what belongs to it.
pub fn remove_database(path: &Path) -> Outcome<()> {
    for suffix in ["-journal", "-wal", "-shm", ""] {
        durable::remove_file(&with_suffix(path, suffix))?;
    }
    Ok(())
}

/// The file of this name with something behind it, for instance a database's log.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn make_key(folder: &Path, name: &PostofficeName) -> Outcome<String> {
    let path = folder.join(KEYS).join(KEY);
    let public = folder.join(KEYS).join(format!("{KEY}.pub"));
    if let Ok(key) = read_text(&public) {
        return Ok(key.trim().to_owned());
    }
    let seed = random_seed()?;
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&seed);
    let key = ssh_key::PrivateKey::new(pair.into(), name.as_str())?;
    durable::replace_file(&path, Access::Own, |output| {
        let text = key.to_openssh(ssh_key::LineEnding::LF).map_err(std::io::Error::other)?;
        output.write_all(text.as_bytes())
    })?;
    let line = key.public_key().to_openssh()?;
    durable::replace_file(&public, Access::Own, |output| writeln!(output, "{line}"))?;
    Ok(line)
}

/// Makes a new server installation's random name and writes it down.
pub fn make_instance(folder: &Path) -> Outcome<Instance> {
    let instance = Instance(Draws::new(&random_seed()?).number());
    let path = folder.join(KEYS).join(INSTANCE);
    durable::replace_file(&path, Access::Own, |output| writeln!(output, "{instance}"))?;
    Ok(instance)
}

/// The public key of a folder, in OpenSSH's one-line form, which ends with the postoffice's name.
pub fn public_key(folder: &Path) -> Outcome<String> {
    let path = folder.join(KEYS).join(format!("{KEY}.pub"));
    let key = read_text(&path).with_context(|| format!("could not read \"{}\"", path.display()))?;
    Ok(key.trim().to_owned())
}

/// Whether a folder is that of a server installation.
pub fn has_instance(folder: &Path) -> bool {
    folder.join(KEYS).join(INSTANCE).exists()
}

/// The server installation's name.
pub fn read_instance(folder: &Path) -> Outcome<Instance> {
    let path = folder.join(KEYS).join(INSTANCE);
    let text =
        read_text(&path).with_context(|| format!("could not read \"{}\"", path.display()))?;
    Ok(text.trim().parse::<Instance>()?)
}

/// The database of a folder, for commands that open it in a way of their own.
pub fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// Takes a postoffice's lock without opening it. An agent holds it for a step at a time, so it is
/// waited for, and only a step that takes long is in the way.
pub fn lock(folder: &Path, purpose: &str) -> Outcome<PostofficeLock> {
    const PATIENCE: Duration = Duration::from_secs(20);
    const PAUSE_MAX: Duration = Duration::from_millis(20);
    let path = folder.join(TRANSIT).join(LOCK);
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        match PostofficeLock::acquire(&path, purpose) {
            Err(LockError::Busy { .. }) if Instant::now() < end => std::thread::sleep(pause),
            outcome => return Ok(outcome?),
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}
