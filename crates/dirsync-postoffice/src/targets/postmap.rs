//! The tables of Postfix beside targets.
//!
//! `postmap` makes the table of a new file under its temporary name. Then the table and the file are
//! renamed into place, so that Postfix reads the old table or the new one, and never a part of it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dirsync_carrier::durable::{TEMPORARY_PREFIX, TEMPORARY_SUFFIX, move_file};

/// The program of Postfix that makes tables.
pub const PROGRAM: &str = "postmap";
/// The endings of the files that it makes, by the types of tables.
const ENDINGS: [&str; 5] = ["cdb", "db", "dir", "lmdb", "pag"];
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Of its words an error repeats this many bytes.
const SAID_BYTES_MAX: u64 = 1000;

/// Makes the table of `new`, the temporary file that will be `target`, and puts it beside the target.
///
/// # Errors
///
/// If there is no `postmap`, or it fails. The old table then stands.
pub fn complete(new: &Path, target: &Path) -> io::Result<()> {
    remove_dead(target);
    let ended = run(new);
    let made = tables_of(new);
    let put = ended.and_then(|()| {
        if made.is_empty() {
            return Err(io::Error::other("postmap made no table of a type that is known here"));
        }
        made.iter().try_for_each(|(ending, table)| {
            File::open(table)?.sync_all()?;
            move_file(table, &beside(target, ending)).map_err(io::Error::other)?;
            Ok(())
        })
    });
    if put.is_err() {
        for (_, table) in made {
            // What stays is removed before the next try.
            let _ = fs::remove_file(table);
        }
    }
    put
}

/// The tables beside a file, each with its ending.
pub fn tables_of(file: &Path) -> Vec<(&'static str, PathBuf)> {
    let tables = ENDINGS.into_iter().map(|ending| (ending, beside(file, ending)));
    tables.filter(|(_, table)| table.is_file()).collect()
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

fn run(file: &Path) -> io::Result<()> {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder_of(file)).args(file.file_name());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(
            error.kind(),
            "there is no program \"postmap\" in PATH; install Postfix on this machine, or let its /usr/sbin be in PATH",
        ),
        _ => error,
    })?;
    let stderr = child.stderr.take();
    // Postfix may have more to say than a pipe holds, and would wait for its reader.
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.by_ref().take(SAID_BYTES_MAX).read_to_end(&mut said);
            let _ = io::copy(&mut stderr, &mut io::sink());
        }
        String::from_utf8_lossy(&said).trim().to_owned()
    });
    let status = wait(&mut child)?;
    let said = reader.join().unwrap_or_default();
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("postmap: {said}"))) }
}

/// Waits for the end of a program, and ends it if it takes too long.
fn wait(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            let text = format!("postmap took longer than {} s and was ended", PATIENCE.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        thread::sleep(LOOK);
    }
}

/// Removes the tables of temporary files whose writers died.
fn remove_dead(target: &Path) {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{TEMPORARY_PREFIX}{name}.");
    let Ok(entries) = fs::read_dir(folder_of(target)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let of_temporary = ENDINGS.into_iter().find_map(|ending| {
            let file = name.strip_suffix(ending)?.strip_suffix('.')?;
            (file.starts_with(&prefix) && file.ends_with(TEMPORARY_SUFFIX)).then_some(file)
        });
        // A living writer has its file still.
        if of_temporary.is_some_and(|file| !entry.path().with_file_name(file).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_dead_writers_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("virtual");
        let names = [
            ".dirsync-virtual.aaaaaa.tmp.db",
            ".dirsync-virtual.bbbbbb.tmp",
            ".dirsync-virtual.bbbbbb.tmp.db",
            ".dirsync-other.cccccc.tmp.db",
            "virtual",
            "virtual.db",
            "virtual.lmdb",
        ];
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        remove_dead(&target);
        let left: Vec<_> = names.iter().filter(|name| folder.path().join(name).exists()).collect();
        assert_eq!(left, names[1..].iter().collect::<Vec<_>>());
        let endings: Vec<_> = tables_of(&target).into_iter().map(|(ending, _)| ending).collect();
        assert_eq!(endings, ["db", "lmdb"]);
    }
}
