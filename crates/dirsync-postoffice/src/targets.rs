//! The files of `[[target]]`: after each T3 each of them equals the list.
//!
//! Of what was written last its hash is noted, with the list that it shows and how the file looked
//! then. A file that still looks so is not read. Where it looks different, as after a restore, its
//! hash decides. Because two changes within one tick of a file system's clock look alike, a look
//! counts only once the content was compared again [`SETTLE_MS`] after it was first seen.

pub mod postmap;

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use anyhow::Context as _;
use dirsync_agent::export::export_to_file_with;
use dirsync_agent::notes::TARGET_ERROR;
use dirsync_agent::step::PlaceFailure;
use dirsync_carrier::access::{Links, open_file};
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::{LogLine, Stored, Tables};
use serde::{Deserialize, Serialize};

use crate::config::TargetConfig;
use crate::failure::Result;
use crate::postoffice::Postoffice;
use crate::time::now_ms;

/// The notes of what was written last.
const WRITTEN: &str = "target:";
/// The notes of targets that were put right.
const PUT_RIGHT: &str = "target-put-right:";

/// The coarsest clocks of file systems count in steps of two seconds.
const SETTLE_MS: u64 = 2_500;

/// The result of writing the targets.
#[derive(Debug, Default)]
pub struct Targets {
    /// Their log lines.
    pub lines: Vec<LogLine>,
    /// How many were put right.
    pub put_right: u64,
    /// Those that could not be written, whether or not the log has said so before.
    pub failed: Vec<PlaceFailure>,
}

/// How a file looks from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    bytes: u64,
    times: String,
}

/// What was written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    /// The list and the settings that it shows.
    shows: String,
    /// Hash of the content.
    content: String,
    /// How the file looked with this content.
    look: Look,
    /// When it was first seen to look so, in milliseconds since 1970.
    since: u64,
    /// The look alone says that the content is the same.
    settled: bool,
    /// What the format could not express, in words.
    omitted: String,
    /// The tables of Postfix beside it, by their endings.
    tables: Vec<(String, Look)>,
}

/// How often a target was put right, and when last, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRight {
    /// How often.
    pub times: u64,
    /// When last.
    pub last: u64,
}

/// Writes each target that does not equal the list (C6). One that cannot be written holds up neither
/// the others nor the list.
pub fn write_targets(postoffice: &mut Postoffice) -> Result<Targets> {
    let mut targets = Targets::default();
    for target in postoffice.config.targets.clone() {
        let file = target.file.display().to_string();
        let error = match write_target(postoffice, &target) {
            Ok(done) => {
                targets.put_right += u64::from(done.put_right);
                targets.lines.extend(done.lines);
                None
            }
            Err(failure) => Some(failure.text()),
        };
        if let Some(text) = &error {
            let text = format!("a target was not written: {text} [C6]");
            let place = file.clone();
            targets.failed.push(PlaceFailure { place, to: None, unreachable: false, text });
        }
        let mut tables = postoffice.begin()?;
        let note = format!("{TARGET_ERROR}{file}");
        let before = tables.note(&note)?;
        if before == error {
            continue;
        }
        tables.put_note(&note, error.as_deref())?;
        let line = match error {
            Some(error) => line(Level::Error, &format!("a target was not written: {error}")),
            None => line(Level::Notice, &format!("the target \"{file}\" can be written again")),
        };
        tables.put_log(&line)?;
        tables.commit()?;
        targets.lines.push(line);
    }
    forget_errors(postoffice)?;
    Ok(targets)
}

fn line(level: Level, text: &str) -> LogLine {
    LogLine { at: now_ms(), step: "T3".into(), level, text: format!("{text} [C6]"), run: None }
}

/// Forgets the errors of targets that left the settings.
fn forget_errors(postoffice: &mut Postoffice) -> Result<()> {
    let files: Vec<String> =
        postoffice.config.targets.iter().map(|target| target.file.display().to_string()).collect();
    let mut tables = postoffice.begin()?;
    let errors = tables.notes(TARGET_ERROR)?;
    let gone = errors
        .iter()
        .filter(|(note, _)| !files.iter().any(|file| note[TARGET_ERROR.len()..] == *file));
    let gone: Vec<&String> = gone.map(|(note, _)| note).collect();
    if gone.is_empty() {
        return Ok(());
    }
    gone.into_iter().try_for_each(|note| tables.put_note(note, None))?;
    Ok(tables.commit()?)
}

/// What was done about one target.
#[derive(Default)]
struct Done {
    /// Somebody else had changed the file.
    put_right: bool,
    lines: Vec<LogLine>,
}

/// Writes a target if it has to be.
fn write_target(postoffice: &mut Postoffice, target: &TargetConfig) -> Result<Done> {
    let now = now_ms();
    let file = &target.file;
    let note = format!("{WRITTEN}{}", file.display());
    let mut tables = postoffice.begin()?;
    let state = tables.requestor()?;
    let digest = if target.export.own { state.own_digest } else { state.list_digest };
    let shows = blake3::hash(format!("{digest} {target:?}").as_bytes()).to_hex().to_string();
    let known: Option<Written> =
        tables.note(&note)?.and_then(|text| serde_json::from_str(&text).ok());
    let is_postfix = target.export.target.format.is_postfix();
    let altered = match find(file, known.as_ref(), &shows, now)? {
        Found::Equal(written) if is_postfix && written.tables != looks_of_tables(file)? => {
            Some("had another table beside it, or none")
        }
        Found::Equal(written) => {
            if known.as_ref() != Some(&written) {
                put_written(&mut *tables, &note, &written)?;
                tables.commit()?;
            }
            return Ok(Done::default());
        }
        Found::Behind => None,
        Found::Altered(how) => Some(how),
    };
    let exported = export_to_file_with(&mut *tables, file, &target.export, |new| {
        if is_postfix { postmap::complete(new, file) } else { Ok(()) }
    })?;
    let look =
        look(file)?.map_or_else(|| Look { bytes: 0, times: String::new() }, |(look, _)| look);
    let omitted = exported.written.omitted.to_string();
    let mut done = Done { put_right: altered.is_some(), lines: Vec::new() };
    if !omitted.is_empty() && known.is_none_or(|known| known.omitted != omitted) {
        let text = format!("the target \"{}\": {omitted}", file.display());
        done.lines.push(line(Level::Notice, &text));
    }
    if let Some(how) = altered {
        let text = format!("the target \"{}\" {how}: it was put right", file.display());
        done.lines.push(line(Level::Warning, &text));
        note_put_right(&mut *tables, file, now)?;
    }
    let written = Written {
        shows,
        content: exported.content.to_hex().to_string(),
        look,
        since: now,
        settled: false,
        omitted,
        tables: if is_postfix { looks_of_tables(file)? } else { Vec::new() },
    };
    put_written(&mut *tables, &note, &written)?;
    done.lines.iter().try_for_each(|line| tables.put_log(line))?;
    tables.commit()?;
    Ok(done)
}

fn note_put_right(tables: &mut dyn Tables, file: &Path, now: u64) -> Result<()> {
    let note = format!("{PUT_RIGHT}{}", file.display());
    let before: PutRight =
        tables.note(&note)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let after = PutRight { times: before.times.saturating_add(1), last: now };
    Ok(tables.put_note(&note, Some(&serde_json::to_string(&after)?))?)
}

/// How the tables of Postfix beside a file look.
fn looks_of_tables(file: &Path) -> Result<Vec<(String, Look)>> {
    let mut looks = Vec::new();
    for (ending, table) in postmap::tables_of(file) {
        if let Some((look, _)) = look(&table)? {
            looks.push((ending.to_owned(), look));
        }
    }
    Ok(looks)
}

fn put_written(tables: &mut dyn Tables, note: &str, written: &Written) -> Result<()> {
    Ok(tables.put_note(note, Some(&serde_json::to_string(written)?))?)
}

/// What is there in a target's place.
enum Found {
    /// What it should show; the note about it.
    Equal(Written),
    /// What was written last, and the list has moved on; or nothing was ever written.
    Behind,
    /// Something else than what was written last.
    Altered(&'static str),
}

fn find(file: &Path, known: Option<&Written>, shows: &str, now: u64) -> Result<Found> {
    let found = look(file)?;
    let Some(known) = known else { return Ok(Found::Behind) };
    let Some((look, data)) = found else { return Ok(Found::Altered("was gone")) };
    let is_current = known.shows == shows;
    let looks_same = known.look == look;
    if looks_same && !is_current {
        return Ok(Found::Behind);
    }
    if looks_same && known.settled {
        return Ok(Found::Equal(known.clone()));
    }
    let altered = Found::Altered("was not what was written there last");
    if look.bytes != known.look.bytes || hash(file, &data)? != Some(known.content.clone()) {
        return Ok(altered);
    }
    if !is_current {
        return Ok(Found::Behind);
    }
    // A clock that was set back begins again.
    let since = if looks_same && known.since <= now { known.since } else { now };
    let settled = now - since >= SETTLE_MS;
    Ok(Found::Equal(Written { look, since, settled, ..known.clone() }))
}

/// The look of a target; `None` if there is no such file.
fn look(file: &Path) -> Result<Option<(Look, Metadata)>> {
    let data = match fs::symlink_metadata(file) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(anyhow::Error::from(error)
                .context(format!("could not look at \"{}\"", file.display()))
                .into());
        }
    };
    if !data.is_file() {
        let kind = if data.is_symlink() {
            "a link"
        } else if data.is_dir() {
            "a folder"
        } else {
            "no ordinary file"
        };
        return Err(anyhow::anyhow!(
            "\"{}\" is {kind}: move it away, and the target is written there again",
            file.display()
        )
        .into());
    }
    Ok(Some((Look { bytes: data.len(), times: times(&data) }, data)))
}

/// What changes with a file's content, and with what file has the name.
#[cfg(unix)]
fn times(data: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    format!(
        "{}.{} {}.{} {} {}",
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
        data.dev(),
        data.ino()
    )
}

#[cfg(not(unix))]
fn times(data: &Metadata) -> String {
    format!("{:?} {:?}", data.modified().ok(), data.created().ok())
}

/// The hash of a file's content; `None` if it is not the file that was looked at.
fn hash(file: &Path, looked_at: &Metadata) -> Result<Option<String>> {
    let read = || -> io::Result<Option<String>> {
        let open = open_file(file, Links::Follow)?;
        if times(&open.metadata()?) != times(looked_at) {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(open)?;
        Ok(Some(hasher.finalize().to_hex().to_string()))
    };
    Ok(read().with_context(|| format!("could not read \"{}\"", file.display()))?)
}

/// The targets that were put right, by file.
pub fn put_right(tables: &mut dyn Tables) -> Stored<Vec<(String, PutRight)>> {
    let notes = tables.notes(PUT_RIGHT)?.into_iter();
    Ok(notes
        .filter_map(|(note, text)| {
            Some((note[PUT_RIGHT.len()..].to_owned(), serde_json::from_str(&text).ok()?))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{Found, SETTLE_MS, Written, find, look};

    /// A file system's clock may stand still between two changes: until it has surely moved on, the
    /// content is read, and from then on it is not.
    #[test]
    fn a_look_is_believed_only_when_the_file_has_looked_so_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.csv");
        std::fs::write(&file, "old").unwrap();
        let written = |content: &[u8], since, settled| Written {
            shows: "list".into(),
            content: blake3::hash(content).to_hex().to_string(),
            look: look(&file).unwrap().unwrap().0,
            since,
            settled,
            omitted: String::new(),
            tables: Vec::new(),
        };
        let is_settled = |known: &Written, now| match find(&file, Some(known), "list", now).unwrap()
        {
            Found::Equal(written) => Some(written.settled),
            Found::Behind | Found::Altered(_) => None,
        };
        let fresh = written(b"old", 1_000_000, false);
        assert_eq!(is_settled(&fresh, 1_000_000 + SETTLE_MS - 1), Some(false));
        assert_eq!(is_settled(&fresh, 1_000_000 + SETTLE_MS), Some(true));
        assert_eq!(is_settled(&fresh, 1), Some(false), "a clock that was set back begins again");
        // The same look with another content: it was altered within the tick in which it was written.
        assert_eq!(is_settled(&written(b"new", 1_000_000, false), 1_000_000 + SETTLE_MS), None);
        assert_eq!(is_settled(&written(b"new", 0, true), 1_000_000), Some(true), "not read again");
        // Another look is no reason to trust it yet.
        let known = written(b"old", 0, true);
        std::fs::rename(&file, folder.path().join("moved")).unwrap();
        std::fs::write(&file, "old").unwrap();
        assert_eq!(is_settled(&known, 1_000_000), Some(false));
        assert!(matches!(find(&file, Some(&known), "another list", 1).unwrap(), Found::Behind));
    }
}
