//! What others put in the place of a file, and what others may read and write.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, people};

/// Longer than anything here takes, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command that must end; one that hangs is killed, and the test fails.
#[track_caller]
fn ends(sandbox: &Sandbox, line: &str) -> (i32, String) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let log = sandbox.path("said");
    let said = fs::File::create(&log).unwrap();
    let mut command = sandbox.command(&words);
    let out = said.try_clone().unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(said).spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code().unwrap_or(-1), fs::read_to_string(&log).unwrap());
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("`dirsync {line}` hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What can stand in the place of a file, and the word for it.
const OTHERS: [(&str, &str); 4] =
    [("pipe", "named pipe"), ("socket", "socket"), ("folder", "folder"), ("device", "device")];

fn put(other: &str, path: &Path) {
    match other {
        "pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        // The file stays when the listener is gone; the name of one that listens is short.
        "socket" => {
            let short = std::env::temp_dir().join(format!("dirsync-{}", std::process::id()));
            drop(UnixListener::bind(&short).unwrap());
            fs::rename(short, path).unwrap();
        }
        "folder" => fs::create_dir(path).unwrap(),
        // Making a device needs a privilege, linking to one does not.
        _ => symlink("/dev/zero", path).unwrap(),
    }
}

fn take_away(path: &Path) {
    fs::remove_file(path).or_else(|_| fs::remove_dir(path)).unwrap();
}

/// The paths of messages that wait in a shared folder.
fn messages(share: &Path) -> Vec<PathBuf> {
    let inboxes = fs::read_dir(share).unwrap().flatten();
    let files = inboxes.flat_map(|inbox| fs::read_dir(inbox.path()).unwrap().flatten());
    let files = files.map(|file| file.path());
    files.filter(|path| path.extension().is_some_and(|end| end == "dirsync")).collect()
}

/// `docs/failure-stories.md` §15: a named pipe, a socket, a folder, a device or a link in the place of each file
/// that comes from outside is named by an error, at once, and holds up nothing else.
#[test]
fn no_file_blocks_a_step() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..3));
    sandbox.write(
        "sales/dirsync.toml",
        "[[source]]\nname = \"a\"\nfile = \"../a.csv\"\n\
         [[source]]\nname = \"b\"\nfile = \"../people.csv\"\n",
    );
    sandbox.cycle();
    for (other, word) in OTHERS {
        let named = |line: &str, file: &str| {
            let path = sandbox.path(file);
            put(other, &path);
            let (code, said) = ends(&sandbox, line);
            assert!(said.contains(word) && said.contains(file), "{line}: {said}");
            take_away(&path);
            code
        };
        named("-C sales cycle", "a.csv");
        assert_eq!(sandbox.status("sales")["own_entries"], 3, "the other source was read");
        assert_ne!(named("-C sales import in.csv", "in.csv"), 0);
        assert_ne!(named("-C sales import people.csv --map map.toml", "map.toml"), 0);
        assert_ne!(named("-C new init --invitation in.invitation", "in.invitation"), 0);
        assert_ne!(named("-C hq message show in.dirsync", "in.dirsync"), 0);
        let path = sandbox.path("in.backup");
        put(other, &path);
        let (code, said) = ends(&sandbox, "-C sales restore in.backup");
        assert!(code != 0 && said.contains("in.backup"), "{said}");
        take_away(&path);

        for (folder, file, line) in [
            ("sales", "dirsync.toml", "-C sales status"),
            ("hq", "decisions.log", "-C hq requestor suspend SOUTH/SALES"),
        ] {
            let path = sandbox.path(folder).join(file);
            let aside = path.with_extension("aside");
            fs::rename(&path, &aside).unwrap();
            put(other, &path);
            let (code, said) = ends(&sandbox, line);
            assert!(code != 0 && said.contains(file), "{line}: {said}");
            take_away(&path);
            fs::rename(&aside, &path).unwrap();
        }
        ends(&sandbox, "-C sales cycle");
    }
}

/// The same for messages: what is exchanged for something else is refused or left, and the others are
/// taken. A link is not followed, wherever it leads.
#[test]
fn a_message_that_was_exchanged_blocks_no_step() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    sandbox.cycle();
    for (round, other) in ["pipe", "socket", "folder", "device", "link"].into_iter().enumerate() {
        sandbox.run("-C depot send").expect(0);
        let message = messages(&sandbox.path("share")).remove(0);
        let aside = sandbox.path("aside");
        fs::rename(&message, &aside).unwrap();
        if other == "link" {
            symlink(&aside, &message).unwrap();
        } else {
            put(other, &message);
        }
        let line = format!("-C sales entry add --name N{round} --address SMTP:n{round}@x.example");
        sandbox.run(&line).expect(0);
        sandbox.run("-C sales send").expect(0);
        ends(&sandbox, "-C hq cycle");
        assert_eq!(sandbox.status("hq")["entries"], round + 1, "{other}: the others are taken");
        assert!(fs::symlink_metadata(&message).is_ok(), "{other}: it is never touched");
        take_away(&message);
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    visit(folder);
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), visit);
        } else {
            visit(&entry.path());
        }
    }
}

/// `docs/failure-stories.md` §15: whatever the umask, what a postoffice keeps is its own.
#[test]
fn own_files_are_private() {
    for (umask, export) in [("000", 0o644), ("027", 0o640)] {
        let sandbox = Sandbox::new();
        let script = format!(
            "umask {umask}; set -e; d={}; $d -C hq init NORTH/HQ --server
             for s in SOUTH/SALES ALPS/DEPOT; do
               $d -C hq requestor add $s --folder share --out $s.invitation
               $d -C $s init --invitation $s.invitation
             done
             for s in SOUTH/SALES ALPS/DEPOT; do
               $d -C $s entry add --name N --address SMTP:$s@x.example
               $d -C $s cycle; $d -C hq cycle; $d -C $s cycle; $d -C $s backup $s.backup
               $d -C $s restore $s.backup; $d -C $s export -o $s.csv
             done; $d run hq --once",
            env!("CARGO_BIN_EXE_dirsync")
        );
        fs::create_dir(sandbox.path("SOUTH")).unwrap();
        fs::create_dir(sandbox.path("ALPS")).unwrap();
        let mut command = Command::new("sh");
        let ran =
            command.args(["-c", &script]).current_dir(sandbox.folder.path()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let mut seen = 0;
        for postoffice in ["hq", "SOUTH/SALES", "ALPS/DEPOT"] {
            walk(&sandbox.path(postoffice), &mut |path| {
                let relative = path.strip_prefix(sandbox.folder.path()).unwrap().display();
                let most = match path.file_name().unwrap().to_str().unwrap() {
                    _ if path.is_dir() => 0o750,
                    "dirsync.toml" => 0o640,
                    name if name.ends_with(".dirsync") => 0o640,
                    _ => 0o600,
                };
                assert_eq!(mode(path) & !most, 0, "{umask}: {relative} has {:o}", mode(path));
                seen += 1;
            });
        }
        assert!(seen > 30, "{seen}");
        for postoffice in ["SOUTH/SALES", "ALPS/DEPOT"] {
            let invitation = sandbox.read(&format!("{postoffice}.invitation"));
            let secret =
                invitation.lines().find_map(|line| line.strip_prefix("secret = ")).unwrap();
            let secret = secret.trim_matches('"');
            for folder in ["hq", "SOUTH/SALES", "ALPS/DEPOT", "share"] {
                walk(&sandbox.path(folder), &mut |path| {
                    let bytes = if path.is_file() { fs::read(path).unwrap() } else { Vec::new() };
                    let told = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                    assert!(!told, "{} tells the secret of {postoffice}", path.display());
                });
            }
        }
        for postoffice in ["SOUTH/SALES", "ALPS/DEPOT"] {
            for end in ["invitation", "backup"] {
                assert_eq!(mode(&sandbox.path(&format!("{postoffice}.{end}"))), 0o600, "{end}");
            }
            assert_eq!(mode(&sandbox.path(&format!("{postoffice}.csv"))), export);
        }
        // Several users share it, by their group.
        walk(&sandbox.path("share"), &mut |path| {
            let shared = if path.is_dir() { 0o770 } else { 0o660 };
            assert_eq!(mode(path), shared, "{}", path.display());
        });
    }
}

#[test]
fn what_everybody_may_write_is_warned_of() {
    let sandbox = Sandbox::two_postoffices();
    for command in ["config check", "status"] {
        let ran = sandbox.run(&format!("-C hq {command}")).expect(0);
        assert!(!format!("{}{}", ran.out, ran.err).contains("everybody"), "{}", ran.out);
    }
    let open = |name: &str, mode| {
        fs::set_permissions(sandbox.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    open("share", 0o777);
    open("hq/dirsync.toml", 0o666);
    open("sales", 0o757);
    for (postoffice, file) in [("hq", "dirsync.toml"), ("sales", "sales")] {
        for command in ["config check", "status", "run --once"] {
            let line = match command.strip_prefix("run") {
                Some(options) => format!("run {postoffice}{options}"),
                None => format!("-C {postoffice} {command}"),
            };
            let ran = sandbox.run(&line).expect(0);
            let said = format!("{}{}", ran.out, ran.err);
            assert!(said.contains(&format!("{file}\": who does so has commands run")), "{said}");
            assert!(said.contains("can delay, lose and repeat messages"), "{said}");
        }
        for command in ["config check", "status"] {
            let json = sandbox.run(&format!("-C {postoffice} {command} --json")).expect(0).json();
            assert_eq!(json["warnings"].as_array().unwrap().len(), 2, "{json}");
        }
    }
}

/// A wrong name after `-o` or `--out` costs no database and no key.
#[test]
fn no_output_is_written_over_what_a_postoffice_keeps() {
    let sandbox = Sandbox::two_postoffices();
    let add = "-C hq requestor add EAST/LAB --folder lab-share";
    for (line, file) in [
        ("-C hq export -o", "hq/postoffice.db"),
        ("-C hq export -o", "sales/../sales/dirsync.toml"),
        ("-C sales export --own -o", "hq/decisions.log"),
        (add, "hq/keys/key"),
    ] {
        let option = if line == add { " --out" } else { "" };
        let refused = sandbox.run(&format!("{line}{option} {file}")).expect(2);
        assert!(refused.err.contains("belongs to a postoffice"), "{}", refused.err);
    }
    sandbox.run("-C hq export -o hq/list.csv").expect(0);
    sandbox.run("-C hq check").expect(0);
}
