//! Bodies in the folder `transit/` of a postoffice.
//!
//! ```text
//! transit/transit.db          the state of each peer
//! transit/bodies/SHA256       a whole body
//! transit/bodies/SHA256.part  a body of which pieces have come; holes are bytes that have not
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dirsync_carrier::MessageFile;
use dirsync_carrier::access::{Access, Links, open_file};
use dirsync_carrier::durable::{self, FileError};
use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, ContentHash};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::queue::Piece;
use crate::store::{BodiesError, BodyStore, ChangeBodies, PeerBodies};

const DATABASE: &str = "transit.db";
const BODIES: &str = "bodies";
const PART: &str = ".part";
/// The longest wait for another process, which holds the database for the time of one change.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

// A power failure may lose the last changes, which costs bytes. So no change waits for the disk.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS peer (
        folded TEXT PRIMARY KEY, -- the name of the peer, folded
        name   TEXT NOT NULL,
        bodies TEXT NOT NULL     -- JSON: the bodies that travel to it and from it, with their keys
    ) STRICT;
";

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
            Err(_) => {
                for name in [DATABASE, "transit.db-wal", "transit.db-shm"] {
                    durable::remove_file(&folder.join(name))?;
                }
                connect(&path)?
            }
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

    fn part(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(BODIES).join(format!("{hash}{PART}"))
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> BodiesError + use<> {
    let path = path.display().to_string();
    move |source| BodiesError::State { action, path: path.clone(), source }
}

fn connect(path: &Path) -> Result<Connection, BodiesError> {
    if !path.exists() {
        // It holds the keys of bodies.
        durable::replace_file(path, Access::Own, |_| Ok(()))?;
    }
    let opened = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(SCHEMA)?;
        Ok(connection)
    };
    opened().map_err(failed("open the state of bodies", path))
}

fn read(connection: &Connection, peer: &PostofficeName) -> rusqlite::Result<PeerBodies> {
    let mut select = connection.prepare_cached("SELECT bodies FROM peer WHERE folded = ?")?;
    let text: Option<String> = select.query_row([peer.folded()], |row| row.get(0)).optional()?;
    // A state of another form is as good as none.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
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
            let names = select.query_map([], |row| row.get::<_, String>(0))?;
            names.collect::<rusqlite::Result<Vec<String>>>()
        };
        let names = names().map_err(self.state("read the state of bodies"))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
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

    fn write_piece(&self, piece: &Piece, bytes: &[u8]) -> Result<(), BodiesError> {
        let path = self.part(&piece.body.hash);
        if !path.exists() {
            durable::replace_file(&path, Access::Own, |_| Ok(()))?;
        }
        let write = || {
            let mut file = File::options().write(true).open(&path)?;
            file.seek(SeekFrom::Start(piece.at))?;
            file.write_all(bytes)?;
            file.sync_data()
        };
        Ok(write().map_err(of_file("write a piece of the body", &path))?)
    }

    fn complete(&self, content: &Content) -> Result<bool, BodiesError> {
        let (part, whole) = (self.part(&content.hash), self.whole(&content.hash));
        let is_right = match File::open(&part) {
            Ok(file) => Content::of_all(&mut BufReader::new(file))? == *content,
            // It was removed, or it is whole already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(whole.exists()),
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
        let failed = of_file("read the folder", &folder);
        for entry in fs::read_dir(&folder).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let name = entry.file_name();
            let hash = name.to_str().map(|name| name.strip_suffix(PART).unwrap_or(name));
            let hash = hash.and_then(|name| name.parse::<ContentHash>().ok());
            if hash.is_some_and(|hash| !bodies.contains(&hash)) {
                durable::remove_file(&entry.path())?;
            }
        }
        Ok(())
    }
}
