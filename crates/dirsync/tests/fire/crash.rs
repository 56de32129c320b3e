//! Every crash point of the real program: the nth sync, rename, write … of a command fails, or the
//! process dies there, for every n until a run meets none; then the command is given again.
//!
//! The ordinary run dies at every sync, rename, removal and new folder, and steps over every few of
//! the others; `DIRSYNC_EVERY=1 cargo test -p dirsync --test fire crash` steps over every one.

use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use dirsync_protocol::tables::{ListPlace, LogLine, RegistrationState};
use dirsync_store::Store;
use dirsync_store::sqlite::SqliteStore;

use crate::sandbox::{Sandbox, people};
use crate::{number, quick_folder, temporaries};

/// System calls of one kind, and the error that they end with.
struct Calls {
    names: &'static str,
    error: &'static str,
    /// The ordinary run dies at every so many of them.
    stride: u64,
}

const CALLS: [Calls; 7] = [
    Calls { names: "fsync,fdatasync", error: "EIO", stride: 1 },
    Calls { names: "rename,renameat,renameat2", error: "EACCES", stride: 1 },
    Calls { names: "unlink,unlinkat", error: "EIO", stride: 1 },
    Calls { names: "mkdir,mkdirat", error: "ENOSPC", stride: 1 },
    Calls { names: "ftruncate", error: "EIO", stride: 5 },
    Calls { names: "write", error: "ENOSPC", stride: 5 },
    Calls { names: "pwrite64", error: "ENOSPC", stride: 13 },
];

/// Most cycles after which all must be as if nothing had happened.
const CYCLES: u32 = 6;

/// A command in its surroundings.
#[derive(Default)]
struct Scene {
    /// What stands before it.
    before: &'static [&'static str],
    /// The command, which is given again after it failed or died.
    command: &'static str,
    /// What it says when it had done its work before it died.
    done_already: Option<&'static str>,
    /// What follows, before the cycles that make all lists equal.
    after: &'static [&'static str],
    /// The postoffice that the command works on contradicts itself until it is given again.
    halfway: bool,
    /// The server's folder does not know where it lives, as one that was copied.
    copied: bool,
    /// The postoffice whose own entries it changes, which its log tells of.
    changes: Option<&'static str>,
}

const FOUND: [&str; 3] = [
    "-C hq init NORTH/HQ --server",
    "-C hq requestor add SOUTH/A --folder share --out a.inv",
    "-C a init --invitation a.inv",
];
const FILL: [&str; 2] = ["-C hq import north.csv --whole", "-C a import south.csv --whole"];
/// A postoffice with changes that wait to be sent, after everything else is equal.
const CHANGED: [&str; 10] = [
    FOUND[0],
    FOUND[1],
    FOUND[2],
    FILL[0],
    FILL[1],
    "run a hq --once",
    "run a hq --once",
    "run a hq --once",
    "-C a import south2.csv --whole",
    "-C hq entry add --key x --name X --address SMTP:x@north.example",
];

fn run(sandbox: &Sandbox, line: &str) {
    let ran = sandbox.run(line);
    assert!(ran.code == 0 || ran.code == 3, "{line}: {}\n{}{}", ran.code, ran.out, ran.err);
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Puts everything in a folder back as it was copied. The postoffices' folders stay the same folders:
/// in others the program would ask whether they were moved.
pub fn put_back(snapshot: &Path, to: &Path) {
    for entry in std::fs::read_dir(to).unwrap().flatten() {
        let path = entry.path();
        if !entry.file_type().unwrap().is_dir() {
            std::fs::remove_file(path).unwrap();
        } else if snapshot.join(entry.file_name()).is_dir() {
            put_back(&snapshot.join("nothing"), &path);
        } else {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    if snapshot.exists() {
        copy(snapshot, to);
    }
}

/// What must be as if nothing had happened: lists, own entries, registrations, the exported file.
pub fn content(sandbox: &Sandbox) -> Vec<String> {
    let mut lines = Vec::new();
    for postoffice in ["hq", "a"] {
        let path = sandbox.path(&format!("{postoffice}/postoffice.db"));
        let mut store = SqliteStore::open_read_only(path).unwrap();
        let mut tables = store.begin().unwrap();
        tables
            .visit_list(ListPlace::Live, &mut |row| {
                lines.push(format!(
                    "{postoffice} {} {} {} {:?}",
                    row.id, row.owner, row.key, row.record
                ));
                ControlFlow::Continue(())
            })
            .unwrap();
        tables
            .visit_own(dirsync_message::ReqSeq(0), &mut |row| {
                lines.push(format!("{postoffice} own {} {} {:?}", row.id, row.key, row.record));
                ControlFlow::Continue(())
            })
            .unwrap();
        for registration in tables.registrations().unwrap() {
            let (name, state) = (&registration.name, registration.state);
            lines.push(format!("{postoffice} {name} {state:?} {}", registration.view_allowed));
        }
    }
    lines.sort();
    for file in ["a/list.csv", "list.csv"] {
        lines.extend(sandbox.exists(file).then(|| sandbox.read(file)));
    }
    lines
}

/// What the program did when it was struck.
struct Struck {
    died: bool,
    /// The system call was met at all.
    met: bool,
    code: i32,
    err: String,
}

/// Runs a command and strikes at its nth call of some.
fn strike(sandbox: &Sandbox, line: &str, calls: &Calls, nth: u64, kill: bool) -> Struck {
    let how = if kill { "signal=KILL".into() } else { format!("error={}", calls.error) };
    let trace = sandbox.path("trace");
    let output = Command::new("strace")
        .args(["-qq", "-e", &format!("trace={}", calls.names), "-o"])
        .arg(&trace)
        .arg(format!("--inject={}:{how}:when={nth}", calls.names))
        .arg(env!("CARGO_BIN_EXE_dirsync"))
        .args(line.split_whitespace())
        .current_dir(sandbox.folder.path())
        .env_remove("DIRSYNC_POSTOFFICE")
        .output()
        .expect("this test needs strace: install the package strace");
    let traced = std::fs::read_to_string(&trace).unwrap_or_default();
    let _ = std::fs::remove_file(trace);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!err.contains("ptrace"), "this test needs the right to trace processes: {err}");
    let died = output.status.signal() == Some(9);
    Struck {
        died,
        met: died || traced.contains("(INJECTED)"),
        code: output.status.code().unwrap_or(-1),
        err,
    }
}

/// Strikes at every place of a command, gives it again, and looks whether all is as if nothing had
/// happened.
fn struck_everywhere(scene: &Scene) {
    let sandbox = Sandbox { folder: quick_folder() };
    sandbox.write("north.csv", &people(0..20));
    sandbox.write("south.csv", &people(20..32).replace("@x", "@south"));
    let moved = people(22..36).replace("@x", "@south").replace("+1 25", "+1 99");
    sandbox.write("south2.csv", &moved);
    sandbox.write("many.csv", &people(40..70).replace("@x", "@many"));
    sandbox.write("many2.csv", &people(40..58).replace("@x", "@many"));
    for line in scene.before {
        run(&sandbox, line);
        if *line == FOUND[2] {
            let settings = "[[target]]\nfile = \"list.csv\"\n[guard]\nentries = 1000\n";
            sandbox.write("a/dirsync.toml", settings);
        }
    }
    if scene.copied {
        std::fs::remove_file(sandbox.path("hq/keys/home")).unwrap();
    }
    let snapshot = quick_folder();
    copy(sandbox.folder.path(), snapshot.path());
    run(&sandbox, scene.command);
    scene.after.iter().for_each(|line| run(&sandbox, line));
    for _ in 0..CYCLES {
        sandbox.run("run a hq --once");
    }
    let expected = content(&sandbox);
    assert!(expected.iter().any(|line| line.starts_with("a ")), "{expected:?}");

    put_back(snapshot.path(), sandbox.folder.path());
    let before = scene.changes.map(|postoffice| own_and_told(&sandbox, postoffice));
    let every = number("DIRSYNC_EVERY", 0) == 1;
    for (calls, kill) in CALLS.iter().flat_map(|calls| [(calls, true), (calls, false)]) {
        let (mut nth, mut struck_at) = (1, 0);
        loop {
            put_back(snapshot.path(), sandbox.folder.path());
            let struck = strike(&sandbox, scene.command, calls, nth, kill);
            if !struck.met {
                break;
            }
            let word = if kill { "dies" } else { "fails" };
            let at = format!("{} {word} at {} {nth}: {}", scene.command, calls.names, struck.err);
            if let (Some(postoffice), Some((own, told))) = (scene.changes, &before) {
                let (own_now, told_now) = own_and_told(&sandbox, postoffice);
                assert_eq!(own_now != *own, told_now > *told, "{at}: what changed is logged");
            }
            look_after(&sandbox, scene, &struck, &expected, &at);
            struck_at += 1;
            nth += match (every, kill) {
                (true, _) => 1,
                (false, true) => calls.stride,
                // What fails is told to the same code wherever it is.
                (false, false) => calls.stride * 3,
            };
        }
        let word = if kill { "died" } else { "failed" };
        eprintln!("{}: {word} at {struck_at} of {}", scene.command, calls.names);
    }
}

fn look_after(sandbox: &Sandbox, scene: &Scene, struck: &Struck, expected: &[String], at: &str) {
    assert!(!struck.err.contains("panicked"), "{at}");
    assert!(struck.died || [0, 1, 3, 4].contains(&struck.code), "{at}: {}", struck.code);
    assert!(struck.code != 1 || struck.err.contains("could not"), "{at}");
    for postoffice in ["hq", "a"] {
        if sandbox.exists(&format!("{postoffice}/postoffice.db")) && !scene.halfway {
            let check = sandbox.run(&format!("-C {postoffice} check"));
            assert_eq!(check.code, 0, "{at}: check of {postoffice}: {}{}", check.out, check.err);
        }
    }
    decisions_are_kept(sandbox, at);
    let again = sandbox.run(scene.command);
    let done = scene.done_already.is_some_and(|says| again.err.contains(says));
    assert!(done || [0, 3].contains(&again.code), "{at}; again: {}{}", again.out, again.err);
    scene.after.iter().for_each(|line| run(sandbox, line));
    for _ in 0..CYCLES {
        sandbox.run("run a hq --once");
        if content(sandbox) == expected {
            break;
        }
    }
    let content = content(sandbox);
    let more: Vec<_> = content.iter().filter(|line| !expected.contains(line)).collect();
    let less: Vec<_> = expected.iter().filter(|line| !content.contains(line)).collect();
    assert!(content == expected, "{at}\ntoo much: {more:#?}\ntoo little: {less:#?}");
    let left = temporaries(sandbox.folder.path());
    assert!(left.is_empty(), "{at}: {left:?}");
}

/// The own entries of a postoffice, and how many lines of its log are about changes of them.
fn own_and_told(sandbox: &Sandbox, postoffice: &str) -> (Vec<String>, usize) {
    let of_postoffice = format!("{postoffice} own ");
    let own =
        content(sandbox).into_iter().filter(|line| line.starts_with(&of_postoffice)).collect();
    let path = sandbox.path(&format!("{postoffice}/postoffice.db"));
    let mut store = SqliteStore::open_read_only(path).unwrap();
    let mut told = 0;
    let mut tables = store.begin().unwrap();
    let mut count = |line: &LogLine| {
        told += usize::from(line.step == "T0");
        ControlFlow::Continue(())
    };
    tables.visit_log(0, &mut count).unwrap();
    (own, told)
}

/// A decision is on disk before the database says so: a restore could not know of it otherwise.
fn decisions_are_kept(sandbox: &Sandbox, at: &str) {
    let path = sandbox.path("hq/postoffice.db");
    if !path.exists() {
        return;
    }
    let log = std::fs::read_to_string(sandbox.path("hq/decisions.log")).unwrap_or_default();
    let told = |word: &str, name: &str| {
        log.lines().any(|line| line.split('\t').skip(1).take(2).eq([word, name]))
    };
    let mut store = SqliteStore::open_read_only(path).unwrap();
    for registration in store.begin().unwrap().registrations().unwrap() {
        let name = registration.name.as_str();
        let invited = name == "NORTH/HQ" || told("invite", name);
        let removed = registration.state != RegistrationState::Removed || told("remove", name);
        let allowed = registration.view_allowed.is_everything() || told("allow", name);
        assert!(invited && removed && allowed, "{at}: {name} {log}");
    }
}

#[test]
fn crash_init_server() {
    struck_everywhere(&Scene {
        command: FOUND[0],
        done_already: Some("is a postoffice folder already"),
        after: &[FOUND[1], FOUND[2], FILL[0], FILL[1]],
        ..Scene::default()
    });
}

#[test]
fn crash_init_requestor() {
    struck_everywhere(&Scene {
        before: &[FOUND[0], FOUND[1]],
        command: FOUND[2],
        done_already: Some("is a postoffice folder already"),
        after: &FILL,
        ..Scene::default()
    });
}

#[test]
fn crash_requestor_add() {
    struck_everywhere(&Scene {
        before: &[FOUND[0]],
        command: FOUND[1],
        done_already: Some("is registered already"),
        after: &[FOUND[2], FILL[0], FILL[1]],
        ..Scene::default()
    });
}

#[test]
fn crash_requestor_set() {
    struck_everywhere(&Scene {
        before: &CHANGED,
        command: "-C hq requestor set SOUTH/A --filter (name=*3)",
        ..Scene::default()
    });
}

#[test]
fn crash_requestor_remove() {
    struck_everywhere(&Scene {
        before: &CHANGED,
        command: "-C hq requestor remove SOUTH/A --yes",
        done_already: Some("was removed"),
        ..Scene::default()
    });
}

/// What the server held is let through: at the server, once, for ever.
#[test]
fn crash_held_approve() {
    let mut before = CHANGED[..8].to_vec();
    before.extend(["-C a import many.csv --source many --whole", "run a hq --once"]);
    before.extend(["-C a import many2.csv --source many --whole", "run a hq --once"]);
    let before = Box::leak(before.into_boxed_slice());
    let command = "-C hq held approve --all";
    struck_everywhere(&Scene { before, command, ..Scene::default() });
    let sandbox = Sandbox { folder: quick_folder() };
    sandbox.write("north.csv", &people(0..20));
    sandbox.write("south.csv", &people(20..32).replace("@x", "@south"));
    sandbox.write("many.csv", &people(40..70).replace("@x", "@many"));
    sandbox.write("many2.csv", &people(40..58).replace("@x", "@many"));
    for line in &*before {
        sandbox.run(line);
        if *line == FOUND[2] {
            sandbox.write("a/dirsync.toml", "[guard]\nentries = 1000\n");
        }
    }
    assert_eq!(sandbox.status("hq")["held"], 12, "there was something to approve");
}

#[test]
fn crash_import() {
    struck_everywhere(&Scene {
        before: &CHANGED[..8],
        command: CHANGED[8],
        changes: Some("a"),
        ..Scene::default()
    });
}

#[test]
fn crash_entry() {
    struck_everywhere(&Scene {
        before: &CHANGED[..9],
        command: CHANGED[9],
        done_already: Some("exists already"),
        changes: Some("hq"),
        ..Scene::default()
    });
}

#[test]
fn crash_send() {
    struck_everywhere(&Scene { before: &CHANGED, command: "-C a send", ..Scene::default() });
}

#[test]
fn crash_process() {
    let mut before = CHANGED.to_vec();
    before.extend(["-C a send", "-C hq send"]);
    let before = Box::leak(before.into_boxed_slice());
    struck_everywhere(&Scene { before, command: "-C hq process", ..Scene::default() });
}

/// Commit point C6 too: the target is written after the list.
#[test]
fn crash_apply() {
    let mut before = CHANGED.to_vec();
    before.extend(["-C a send", "-C hq send", "-C hq process"]);
    let before = Box::leak(before.into_boxed_slice());
    struck_everywhere(&Scene { before, command: "-C a apply", ..Scene::default() });
}

#[test]
fn crash_export() {
    struck_everywhere(&Scene {
        before: &CHANGED,
        command: "-C a export -o list.csv",
        ..Scene::default()
    });
}

#[test]
fn crash_backup_and_restore() {
    let mut before = CHANGED[..8].to_vec();
    before.extend(["-C a backup a.backup", CHANGED[8], "run a hq --once", "run a hq --once"]);
    let before = Box::leak(before.into_boxed_slice());
    struck_everywhere(&Scene { before, command: "-C a restore a.backup", ..Scene::default() });
    struck_everywhere(&Scene {
        before: &CHANGED,
        command: "-C hq backup hq.backup",
        done_already: Some("exists already"),
        after: &["-C hq restore hq.backup"],
        ..Scene::default()
    });
}

#[test]
fn crash_promote() {
    struck_everywhere(&Scene {
        before: &CHANGED,
        command: "-C hq server promote",
        done_already: Some("is the directory server already"),
        halfway: true,
        copied: true,
        ..Scene::default()
    });
}

/// What stands in the log alone is not lost before the copy is in its place.
#[test]
fn crash_restore_leaves_the_old_or_the_new_database() {
    let sandbox = Sandbox { folder: quick_folder() };
    sandbox.write("south.csv", &people(0..10));
    sandbox.write("south2.csv", &people(0..12));
    for line in [FOUND[0], FOUND[1], FOUND[2], FILL[1], "-C a backup a.backup"] {
        run(&sandbox, line);
    }
    // An open handle keeps the last command from emptying the log.
    let open = SqliteStore::open(sandbox.path("a/postoffice.db")).unwrap();
    run(&sandbox, "-C a import south2.csv");
    let snapshot = quick_folder();
    copy(sandbox.folder.path(), snapshot.path());
    assert!(std::fs::metadata(snapshot.path().join("a/postoffice.db-wal")).unwrap().len() > 0);
    drop(open);
    let epoch = sandbox.status("a")["epoch"].clone();
    for calls in CALLS.iter().filter(|calls| calls.stride == 1) {
        for nth in 1.. {
            put_back(snapshot.path(), sandbox.folder.path());
            let struck = strike(&sandbox, "-C a restore a.backup", calls, nth, true);
            let status = sandbox.status("a");
            let old = status["epoch"] == epoch;
            let entries = status["own_entries"].as_u64();
            assert_eq!(entries, Some(if old { 12 } else { 10 }), "{} {nth}", calls.names);
            assert!(struck.died || !old, "a restore that is done begins a new life");
            if !struck.met {
                break;
            }
        }
    }
}
