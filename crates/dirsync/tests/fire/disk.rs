//! Disks that are full, read-only or forbidden. These tests mount small file systems and change
//! users: they need root, and fail saying so.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::crash::content;
use crate::sandbox::{Ran, Sandbox, people};
use crate::temporaries;

/// A file system of its own in a folder of the sandbox.
struct Mount(PathBuf);

impl Mount {
    fn new(sandbox: &Sandbox, name: &str, arguments: &[&str]) -> Self {
        let folder = sandbox.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        mount(&[arguments, &[folder.to_str().unwrap()]].concat());
        Self(folder)
    }

    fn memory(sandbox: &Sandbox, name: &str, size: &str) -> Self {
        Self::new(sandbox, name, &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
    }

    fn remount(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}"), self.0.to_str().unwrap()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str]) {
    let output = Command::new("mount").args(arguments).output();
    let output = output.expect("this test needs mount: install the package mount");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test needs the right to mount (root): {why}");
}

/// A server beside and a requestor on the file system `disk`, equal, with an exported list there.
fn postoffices_on(sandbox: &Sandbox, share: &str) -> Vec<String> {
    sandbox.write("north.csv", &people(0..20));
    sandbox.write("south.csv", &people(20..40).replace("@x", "@south"));
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    let add = format!("-C hq requestor add SOUTH/A --folder {share} --out a.inv");
    sandbox.run(&add).expect(0);
    sandbox.run("-C disk/a init --invitation a.inv").expect(0);
    std::os::unix::fs::symlink("disk/a", sandbox.path("a")).unwrap();
    sandbox.write("a/dirsync.toml", "[[target]]\nfile = \"list.csv\"\n");
    sandbox.run("-C hq import north.csv --whole").expect(0);
    sandbox.run("-C a import south.csv --whole").expect(0);
    settle(sandbox);
    content(sandbox)
}

/// Cycles until both lists are equal, and both agree with themselves.
fn settle(sandbox: &Sandbox) {
    for _ in 0..5 {
        sandbox.run("-C a cycle");
        sandbox.run("-C hq cycle");
        sandbox.run("-C a apply");
        let digest = |postoffice: &str| sandbox.status(postoffice)["digest"].clone();
        if digest("a") == digest("hq")
            && sandbox.status("a")["req_sync"] == sandbox.status("a")["req_seq"]
        {
            break;
        }
    }
    sandbox.run("-C a check").expect(0);
    sandbox.run("-C hq check").expect(0);
    let list = |postoffice: &str| sandbox.run(&format!("-C {postoffice} export")).expect(0).out;
    assert_eq!(list("a"), list("hq"));
    assert_eq!(sandbox.read("a/list.csv"), list("a"));
    let left = temporaries(sandbox.folder.path());
    assert!(left.is_empty(), "{left:?}");
}

/// A command that cannot do its work says what failed and where, and how that is called.
fn said(line: &str, ran: &Ran, why: &[&str]) {
    assert!(!ran.err.contains("panicked"), "{line}: {}", ran.err);
    assert!([1, 4].contains(&ran.code), "{line}: {} {}{}", ran.code, ran.out, ran.err);
    assert!(ran.err.contains("could not") || ran.err.contains("cannot"), "{line}: {}", ran.err);
    let named = ["disk/", "a/", "hq/"].iter().any(|sandbox| ran.err.contains(sandbox));
    assert!(named, "{line}, where: {}", ran.err);
    let told = why.iter().any(|why| ran.err.to_lowercase().contains(why));
    assert!(told, "{line}, why ({why:?}): {}", ran.err);
}

/// Fills a file system up to so many bytes.
fn fill(disk: &Path, free: u64) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).unwrap();
    let block = [0; 4096];
    let mut written = 0;
    while file.write_all(&block).is_ok() {
        written += block.len() as u64;
    }
    file.set_len(written.saturating_sub(free)).unwrap();
    path
}

/// `docs/failure-stories.md` §7 and §12: the disk is full at any point of a cycle. What a command
/// acknowledged is there afterwards, the old list stays readable, and it goes on when there is space.
#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let sandbox = Sandbox::new();
    let disk = Mount::memory(&sandbox, "disk", "3m");
    postoffices_on(&sandbox, "disk/share");
    let mut kept = Vec::new();
    let mut failed = 0;
    for round in 0..24u64 {
        let before = sandbox.read("a/list.csv");
        sandbox
            .run(&format!("-C hq entry add --key n{round} --name N --address SMTP:n{round}@n"))
            .expect(0);
        sandbox.run("-C hq send");
        let filler = fill(&disk.0, round * 8192);
        let key = format!("full{round}");
        let more = people(40..60).replace("@x", &format!("@more{round}"));
        sandbox.write("more.csv", &more.replace("\n4", &format!("\n{round}4")));
        for line in [
            &*format!("-C a entry add --key {key} --name F --address SMTP:{key}@south"),
            "-C a import more.csv --source more",
            "-C a send",
            "-C hq process",
            "-C a apply",
            "-C a export -o disk/copy.csv",
            "run a --once",
        ] {
            let ran = sandbox.run(line);
            if ran.code != 0 && ran.code != 3 {
                failed += 1;
                let why = ["space", "full"];
                // The agent's own line is on standard error as well.
                said(line, &ran, &why);
            } else if line.contains("entry add") {
                kept.push(key.clone());
            }
            let list = sandbox.read("a/list.csv");
            assert!(list == before || list.lines().count() > before.lines().count());
        }
        let read = sandbox.run("-C a export").expect(0).out;
        assert!(read.lines().count() >= before.lines().count(), "{round}: readable");
        std::fs::remove_file(filler).unwrap();
        settle(&sandbox);
        let list = sandbox.run("-C hq export").expect(0).out;
        for key in &kept {
            assert!(list.contains(&format!("SMTP:{key}@south")), "{round}: {key} was acknowledged");
        }
        assert!(list.contains(&format!("SMTP:n{round}@n")));
    }
    assert!(failed > 20, "the disk was full: {failed}");
    assert!(!kept.is_empty());
}

/// Output that is lost is a failure; an agent whose log is full goes on.
#[test]
fn a_full_disk_for_the_output_is_said_and_stops_no_agent() {
    let sandbox = Sandbox::new();
    let disk = Mount::memory(&sandbox, "disk", "3m");
    postoffices_on(&sandbox, "share");
    fill(&disk.0, 0);
    for words in [&["-C", "hq", "export"][..], &["-C", "hq", "entry", "list"], &["-C", "hq", "log"]]
    {
        let lost = File::create(disk.0.join("lost")).unwrap();
        let output = sandbox.command(words).stdout(lost).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {err}");
        assert!(err.contains("No space left") && !err.contains("panicked"), "{words:?}: {err}");
    }
    let log = || File::create(disk.0.join("log")).unwrap();
    let mut agent =
        sandbox.command(&["run", "hq"]).stdout(Stdio::null()).stderr(log()).spawn().unwrap();
    sandbox.run("-C hq entry add --key z --name Z --address SMTP:z@north.example").expect(0);
    let end = Instant::now() + Duration::from_secs(30);
    while sandbox.status("hq")["entries"] != 41 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = agent.try_wait().unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(ended, None, "the agent goes on");
    assert_eq!(sandbox.status("hq")["entries"], 41);
}

/// What writes, with the places it writes to.
const WRITING: [&str; 7] = [
    "-C a entry add --key r --name R --address SMTP:r@south.example",
    "-C a import more.csv --source more",
    "-C a send",
    "-C a apply",
    "-C a export -o disk/copy.csv",
    "-C a cycle",
    "run a --once",
];

#[test]
fn a_read_only_disk_is_said_and_the_list_stays_readable() {
    let sandbox = Sandbox::new();
    let disk = Mount::memory(&sandbox, "disk", "8m");
    let before = postoffices_on(&sandbox, "share");
    sandbox.write("more.csv", &people(40..50));
    sandbox.run("-C hq entry add --key new --name New --address SMTP:new@north.example").expect(0);
    sandbox.run("-C a send").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    disk.remount("ro");
    for line in WRITING {
        said(line, &sandbox.run(line), &["read-only"]);
    }
    let old = sandbox.run("-C a export").expect(0).out;
    assert_eq!(old, sandbox.read("a/list.csv"), "the old list is readable");
    for line in ["-C a status", "-C a check", "-C a entry list", "-C a log", "-C a held list"] {
        sandbox.run(line).expect(0);
    }
    disk.remount("rw");
    settle(&sandbox);
    let after = content(&sandbox);
    assert!(
        before.iter().filter(|line| line.starts_with("a own")).all(|line| after.contains(line))
    );
    assert_eq!(sandbox.status("a")["entries"], 41);
}

/// The share alone: messages stay where they are and are sent when it is back.
#[test]
fn a_read_only_share_is_said_and_sent_to_later() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("disk")).unwrap();
    postoffices_on(&sandbox, "disk/share");
    let share = sandbox.path("disk/share");
    mount(&["--bind", share.to_str().unwrap(), share.to_str().unwrap()]);
    let bound = Mount(share);
    mount(&["-o", "remount,bind,ro", bound.0.to_str().unwrap()]);
    sandbox.run("-C a entry add --key r --name R --address SMTP:r@south.example").expect(0);
    for line in ["-C a send", "-C a cycle", "run a --once"] {
        said(line, &sandbox.run(line), &["read-only"]);
    }
    drop(bound);
    settle(&sandbox);
    assert_eq!(sandbox.status("hq")["entries"], 41);
}

/// The program as a user without rights of its own.
struct Nobody<'a>(&'a Sandbox);

impl Nobody<'_> {
    const ID: u32 = 65534;

    fn run(&self, line: &str) -> Ran {
        // The user may not be allowed to where the program was built.
        let program = self.0.path("dirsync");
        if !program.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_dirsync"), &program).unwrap();
        }
        let id = Self::ID.to_string();
        let output = Command::new("setpriv")
            .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
            .arg(program)
            .args(line.split_whitespace())
            .current_dir(self.0.folder.path())
            .env_remove("DIRSYNC_POSTOFFICE")
            .output()
            .expect("this test needs setpriv: install the package util-linux");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !err.contains("setpriv"),
            "this test needs the right to change users (root): {err}"
        );
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err,
        }
    }
}

fn give_away(path: &Path) {
    let id = Nobody::ID;
    std::os::unix::fs::chown(path, Some(id), Some(id))
        .expect("this test needs the right to give files away (root)");
    if path.is_dir() && !path.is_symlink() {
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| give_away(&entry.path()));
    }
}

#[test]
fn a_lost_permission_is_said_and_healed_by_giving_it_back() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("disk")).unwrap();
    postoffices_on(&sandbox, "disk/share");
    sandbox.write("more.csv", &people(40..50));
    give_away(sandbox.folder.path());
    let nobody = Nobody(&sandbox);
    nobody.run("-C a send").expect(0);
    nobody.run("-C hq process").expect(0);
    for (path, mode, lines) in [
        ("disk/a", 0o555, &WRITING[..3]),
        ("disk/a/postoffice.db", 0o000, &WRITING[..6]),
        ("disk/a/postoffice.db", 0o444, &WRITING[..4]),
        ("disk/a/transit/lock", 0o000, &WRITING[..4]),
        ("disk/a/keys", 0o000, &WRITING[..6]),
        ("disk/share", 0o555, &WRITING[6..]),
        ("disk/share", 0o000, &WRITING[2..4]),
        ("disk", 0o555, &WRITING[4..5]),
        ("hq/decisions.log", 0o444, &["-C hq requestor set SOUTH/A --types SMTP"][..]),
    ] {
        // With a log that is there, a folder that may not be written is no hindrance. A place that could
        // not be used is said until the same step can use it again.
        nobody.run("-C a apply");
        nobody.run("-C a send").expect(0);
        let before = std::fs::metadata(sandbox.path(path)).unwrap().permissions();
        let set = std::fs::Permissions::from_mode(mode);
        // An inbox that is there needs no right on the share.
        let inboxes = sandbox.path(path);
        std::fs::set_permissions(&inboxes, set.clone()).unwrap();
        if path == "disk/share" && mode == 0o555 {
            for entry in std::fs::read_dir(&inboxes).unwrap().flatten() {
                std::fs::set_permissions(entry.path(), set.clone()).unwrap();
            }
        }
        for line in lines {
            let ran = nobody.run(line);
            let why = ["permission denied", "readonly", "read-only", "unable to open"];
            said(&format!("{path} {mode:o} {line}"), &ran, &why);
        }
        std::fs::set_permissions(&inboxes, before).unwrap();
        if path == "disk/share" && mode == 0o555 {
            for entry in std::fs::read_dir(&inboxes).unwrap().flatten() {
                let open = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(entry.path(), open).unwrap();
            }
        }
        assert_eq!(sandbox.status("a")["own_entries"], 20, "{path}: nothing is half done");
    }
    nobody.run(WRITING[0]).expect(0);
    nobody.run("-C a cycle").expect(0);
    nobody.run("-C hq cycle").expect(0);
    nobody.run("-C a apply").expect(0);
    settle(&sandbox);
    assert_eq!(sandbox.status("hq")["entries"], 41);
}

/// The same folder in another place is the same; a copy on another file system is none.
#[test]
fn a_bind_mount_is_no_copy() {
    let sandbox = Sandbox::new();
    let disk = Mount::memory(&sandbox, "disk", "20m");
    postoffices_on(&sandbox, "share");
    let bound =
        Mount::new(&sandbox, "bound", &["--bind", sandbox.path("disk/a").to_str().unwrap()]);
    sandbox.run("-C bound entry add --key n --name New --address SMTP:n@south.example").expect(0);
    sandbox.run("-C bound cycle").expect(0);
    sandbox.run("-C bound status").expect(0);
    settle(&sandbox);
    drop(bound);
    let mut cp = Command::new("cp");
    let copied = cp.arg("-a").args([sandbox.path("disk/a"), sandbox.path("copy")]).status();
    assert!(copied.unwrap().success());
    sandbox.run("-C copy cycle").expect(1);
    sandbox.run("-C disk/a cycle").expect(0);
    drop(disk);
}
