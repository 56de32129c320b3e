//! Lints that must be on: documented libraries, and calls that the core may not make.

use super::{Breach, find};
use crate::workspace::TextFile;

/// Crates without clock, files, network, environment, threads and hash order (`ARCHITECTURE.md`).
pub const PURE_CRATES: [&str; 3] = ["dirsync-directory", "dirsync-message", "dirsync-protocol"];

/// What each pure crate's `clippy.toml` forbids at least.
const FORBIDDEN: [&str; 8] = [
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "std::fs::File::open",
    "std::net::TcpStream::connect",
    "std::env::var",
    "std::thread::spawn",
    "std::collections::HashMap",
    "std::collections::HashSet",
];

pub fn check(files: &[TextFile]) -> Vec<Breach> {
    let mut breaches = missing_docs(files);
    for name in PURE_CRATES {
        let path = format!("crates/{name}/clippy.toml");
        let Some(file) = find(files, &path) else {
            breaches.push(Breach::new(&path, 0, "forbidden calls", "the file is not there"));
            continue;
        };
        for call in FORBIDDEN.iter().filter(|call| !file.text.contains(&format!("\"{call}\""))) {
            breaches.push(Breach::new(&path, 0, "forbidden calls", format!("{call} is missing")));
        }
    }
    breaches
}

fn missing_docs(files: &[TextFile]) -> Vec<Breach> {
    files
        .iter()
        .filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/src/lib.rs"))
        .filter(|file| !file.text.contains("#![deny(missing_docs)]"))
        .map(|file| Breach::new(&file.path, 0, "documented library", "no #![deny(missing_docs)]"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_library_that_need_not_be_documented_is_found() {
        let files = [
            file("crates/a/src/lib.rs", "#![deny(missing_docs)]\n"),
            file("crates/b/src/lib.rs", ""),
        ];
        let breaches = missing_docs(&files);
        assert_eq!((breaches.len(), breaches[0].path.as_str()), (1, "crates/b/src/lib.rs"));
    }

    #[test]
    fn a_call_that_is_no_longer_forbidden_is_found() {
        let all: String = FORBIDDEN.iter().map(|call| format!("\"{call}\"\n")).collect();
        let path = |name: &str| format!("crates/{name}/clippy.toml");
        let mut files: Vec<TextFile> =
            PURE_CRATES.iter().map(|name| file(&path(name), &all)).collect();
        assert_eq!(check(&files), []);
        files[1].text = all.replace("std::thread::spawn", "");
        files.pop();
        let texts: Vec<String> = check(&files).into_iter().map(|breach| breach.text).collect();
        assert_eq!(texts, ["std::thread::spawn is missing", "the file is not there"]);
    }
}
