//! The real program under fire: killed, without space, with wrong clocks and damaged files.

use std::path::{Path, PathBuf};

mod clock;
mod crash;
mod damage;
mod disk;
mod kill;
#[path = "../it/sandbox.rs"]
mod sandbox;

/// Temporary files that are left anywhere below a folder.
fn temporaries(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(temporaries(&path));
        } else if path.extension().is_some_and(|end| end == "tmp") {
            found.push(path);
        }
    }
    found
}

/// A number from the environment, for runs that are longer or others than the ordinary one.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A folder in memory where there is one: what a dead process leaves needs no disk, and thousands of
/// syncs need no waiting.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
