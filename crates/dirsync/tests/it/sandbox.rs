//! Running the real binary in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder with postoffices in it.
pub struct Sandbox {
    pub folder: tempfile::TempDir,
}

/// What a command did.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|_| panic!("no JSON: {}{}", self.out, self.err))
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dirsync"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("DIRSYNC_POSTOFFICE");
        command
    }

    /// Runs a command line, split at blanks.
    pub fn run(&self, line: &str) -> Ran {
        self.run_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn run_words(&self, words: &[&str]) -> Ran {
        let output: Output = self.command(words).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// A server in `hq` and a requestor in `sales`, joined by the folder `share`.
    pub fn two_postoffices() -> Self {
        let sandbox = Self::new();
        sandbox.run("-C hq init NORTH/HQ --server").expect(0);
        sandbox
            .run("-C hq requestor add SOUTH/SALES --folder share --out sales.invitation")
            .expect(0);
        sandbox.run("-C sales init --invitation sales.invitation").expect(0);
        sandbox
    }

    /// One cycle by hand: the requestor sends, the server does all, the requestor applies.
    pub fn cycle(&self) {
        self.run("-C sales send");
        self.run("-C hq cycle");
        self.run("-C sales apply");
    }

    pub fn status(&self, postoffice: &str) -> Value {
        self.run(&format!("-C {postoffice} status --json")).json()
    }

    pub fn exists(&self, name: &str) -> bool {
        Path::new(&self.path(name)).exists()
    }
}

/// A CSV of people, numbered.
pub fn people(numbers: std::ops::Range<u32>) -> String {
    let mut text = String::from("key,cn,mail,telephoneNumber\n");
    for number in numbers {
        text.push_str(&format!("{number},Person {number},p{number}@x.example,+1 {number}\n"));
    }
    text
}
