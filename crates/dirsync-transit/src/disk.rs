//! Bodies in the folder `transit/` of a postoffice.
//!
//! ```text
//! transit/transit.db          the state of each peer
//! transit/bodies/SHA256       a whole body
//! transit/bodies/SHA256.PEER.part  the pieces that have come of it from one peer; holes are bytes that have not
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dirsync_carrier::MessageFile;
use dirsync_carrier::access::{Access, Links, open_file};
use dirsync_carrier::durable::{self, FileError};
use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, ContentHash};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Row, TransactionBehavior, ffi, params,
};

use crate::queue::Piece;
use crate::store::{BodiesError, BodyStore, ChangeBodies, PeerBodies};

const DATABASE: &str = "transit.db";
const BODIES: &str = "bodies";
const PART: &str = ".part";
/// The number of digits of the hash of a peer's name that tell its pieces from those of others.
const PEER_DIGITS: usize = 16;
/// The longest wait for another process, which holds the database for the time of one change.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before another try to open a database that is busy.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// The longest state of a peer, in bytes. Those that this program makes are much shorter.
const STATE_BYTES_MAX: u64 = 16 * 1024 * 1024;

// A power failure may lose the last changes, which costs bytes. So no change waits for the disk.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";
const TABLE: &str = "peer (
    folded TEXT PRIMARY KEY, -- the name of the peer, folded
    name   TEXT NOT NULL,
    bodies TEXT NOT NULL     -- JSON: the bodies that travel to it and from it, with their keys
) STRICT";

/// The bodies in a folder. Several processes may use it at the same time.
#[derive(Debug)]
pub struct DiskBodies {
    folder: PathBuf,
    connection: Mutex<Connection>,
}

impl DiskBodies {
    /// Opens the bodies in `folder`, which exists. Whatever is missing is made. A database that cannot be
    /// used is made anew, because it is only a cache.
    ///
    /// # Errors
    ///
    /// If something cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, BodiesError> {
        let folder = folder.into();
        durable::create_folder(&folder.join(BODIES))?;
        let path = folder.join(DATABASE);
        let connection = match connect(&path) {
            Ok(connection) => connection,
            // Not if it is busy, or the disk is full: others may work with it.
            Err(BodiesError::State { source, .. }) if is_damaged(&source) => {
                // The log first: it would become part of the next database.
                for name in ["transit.db-wal", "transit.db-shm", DATABASE] {
                    durable::remove_file(&folder.join(name))?;
                }
                connect(&path)?
            }
            Err(error) => return Err(error),
        };
        Ok(Self { folder, connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> BodiesError + use<> {
        failed(action, &self.folder.join(DATABASE))
    }

    fn whole(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(BODIES).join(hash.to_string())
    }

    fn part(&self, peer: &PostofficeName, hash: &ContentHash) -> PathBuf {
        let peer = ContentHash::of(peer.folded().as_bytes()).to_string();
        let name = format!("{hash}.{}{PART}", peer.get(..PEER_DIGITS).unwrap_or_default());
        self.folder.join(BODIES).join(name)
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> BodiesError + use<> {
    let path = path.display().to_string();
    move |source| BodiesError::State { action, path: path.clone(), source }
}

fn connect(path: &Path) -> Result<Connection, BodiesError> {
    // It holds the keys of bodies, so it is not left to SQLite to make it.
    durable::create_file(path)?;
    let opened = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(PRAGMAS)?;
        connection.execute(&format!("CREATE TABLE IF NOT EXISTS {TABLE}"), [])?;
        check(&connection)?;
        Ok(connection)
    };
    let began = Instant::now();
    loop {
        match opened() {
            // SQLite waits for no other program that sets the journal of a new database.
            Err(error) if is_busy(&error) && began.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(BUSY_PAUSE);
            }
            opened => return opened.map_err(failed("open the state of bodies", path)),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Fails if anything in the database is damaged, or not as this program makes it.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    let text = |query: &str| connection.query_row(query, [], |row| row.get::<_, String>(0));
    let is_sound = text("PRAGMA quick_check(1)")? == "ok"
        && text("SELECT group_concat(sql) FROM sqlite_schema")? == format!("CREATE TABLE {TABLE}");
    let corrupt = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None);
    is_sound.then_some(()).ok_or_else(corrupt)
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    code.is_some_and(|code| matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn read(connection: &Connection, peer: &PostofficeName) -> rusqlite::Result<PeerBodies> {
    let mut select = connection
        .prepare_cached("SELECT bodies FROM peer WHERE folded = ? AND octet_length(bodies) <= ?")?;
    // A state of another form is as good as none.
    let of_row = |row: &Row<'_>| {
        let text = row.get_ref(0)?.as_bytes().unwrap_or_default();
        Ok(serde_json::from_slice::<PeerBodies>(text).ok())
    };
    let parameters = params![peer.folded(), STATE_BYTES_MAX as i64];
    let bodies = select.query_row(parameters, of_row).optional()?.flatten();
    Ok(bodies.filter(PeerBodies::is_sound).unwrap_or_default())
}

/// An error of a file, with its path.
fn of_file<'p>(action: &'static str, path: &'p Path) -> impl Fn(io::Error) -> FileError + 'p {
    move |source| FileError { action, path: path.to_owned(), bytes: None, source }
}

impl BodyStore for DiskBodies {
    fn peer(&self, peer: &PostofficeName) -> Result<PeerBodies, BodiesError> {
        read(&self.connection(), peer).map_err(self.state("read the state of bodies"))
    }

    fn peers(&self) -> Result<Vec<PostofficeName>, BodiesError> {
        let connection = self.connection();
        let names = || {
            let mut select = connection.prepare_cached("SELECT name FROM peer ORDER BY folded")?;
            let parse = |row: &Row<'_>| {
                Ok(row.get_ref(0)?.as_str().ok().and_then(|name| name.parse().ok()))
            };
            let names = select.query_map([], parse)?;
            names.collect::<rusqlite::Result<Vec<Option<PostofficeName>>>>()
        };
        let names = names().map_err(self.state("read the state of bodies"))?;
        Ok(names.into_iter().flatten().collect())
    }

    fn change(&self, peer: &PostofficeName, change: ChangeBodies<'_>) -> Result<(), BodiesError> {
        let failed = self.state("change the state of bodies");
        let mut connection = self.connection();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&failed)?;
        let mut bodies = read(&transaction, peer).map_err(&failed)?;
        change(&mut bodies)?;
        let text = serde_json::to_string(&bodies).map_err(io::Error::from)?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO peer (folded, name, bodies) VALUES (?, ?, ?)")
            .and_then(|mut insert| insert.execute([peer.folded(), peer.as_str(), &text]))
            .map_err(&failed)?;
        transaction.commit().map_err(&failed)
    }

    fn put(&self, content: &Content, body: &mut dyn Read) -> Result<(), BodiesError> {
        let path = self.whole(&content.hash);
        if !path.exists() {
            durable::replace_file(&path, Access::Own, |output| io::copy(body, output).map(drop))?;
        }
        Ok(())
    }

    fn open(&self, content: &Content) -> Result<Option<Box<dyn MessageFile>>, BodiesError> {
        let path = self.whole(&content.hash);
        match open_file(&path, Links::Refuse) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(of_file("open the body", &path)(error).into()),
        }
    }

    fn write_piece(
        &self,
        peer: &PostofficeName,
        piece: &Piece,
        bytes: &[u8],
    ) -> Result<(), BodiesError> {
        let path = self.part(peer, &piece.body.hash);
        durable::create_file(&path)?;
        Ok(durable::write_at(&path, piece.at, bytes)?)
    }

    fn complete(&self, peer: &PostofficeName, content: &Content) -> Result<bool, BodiesError> {
        let (part, whole) = (self.part(peer, &content.hash), self.whole(&content.hash));
        if whole.exists() {
            // It was made whole before a crash, or came from another peer.
            durable::remove_file(&part)?;
            return Ok(true);
        }
        let is_right = match File::open(&part) {
            Ok(file) => Content::of_all(&mut BufReader::new(file))? == *content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(of_file("read the body", &part)(error).into()),
        };
        if is_right {
            durable::move_file(&part, &whole)?;
        } else {
            durable::remove_file(&part)?;
        }
        Ok(is_right)
    }

    fn keep_only(&self, bodies: &BTreeSet<ContentHash>) -> Result<(), BodiesError> {
        let folder = self.folder.join(BODIES);
        durable::remove_all_dead(&folder);
        let failed = of_file("read the folder", &folder);
        for entry in fs::read_dir(&folder).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let name = entry.file_name();
            let hash = name.to_str().and_then(|name| name.split('.').next());
            let hash = hash.and_then(|name| name.parse::<ContentHash>().ok());
            if hash.is_some_and(|hash| !bodies.contains(&hash)) {
                durable::remove_file(&entry.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
