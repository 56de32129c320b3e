//! Says which revision the program is built from.

use std::path::Path;
use std::process::Command;

fn main() {
    let revision = git(&["rev-parse", "--short=10", "HEAD"]);
    let revision = revision.map_or(String::new(), |revision| format!(" ({revision})"));
    println!("cargo::rustc-env=DIRSYNC_REVISION={revision}");
    println!("cargo::rerun-if-changed=build.rs");
    // Another commit, or another branch, is another revision.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file]);
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// The output of git; `None` if this is no checkout, or there is no git.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
