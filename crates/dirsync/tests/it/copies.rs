//! Folders of postoffices that are copied and moved.

use std::path::Path;

use crate::agent::{Agent, eventually};
use crate::sandbox::{Sandbox, people};

/// A server in `hq` and requestors in `sales` and `lab`, each with people of its own, all equal.
pub fn three_postoffices() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add WEST/LAB --folder share --out lab.invitation").expect(0);
    sandbox.run("-C lab init --invitation lab.invitation").expect(0);
    for (postoffice, numbers) in [("hq", 0..10), ("sales", 10..20), ("lab", 20..30)] {
        sandbox.write("people.csv", &people(numbers));
        sandbox.run(&format!("-C {postoffice} import people.csv --whole")).expect(0);
    }
    for _ in 0..3 {
        cycle(&sandbox, "hq", &["sales", "lab"]);
    }
    assert_equal(&sandbox, &["hq", "sales", "lab"], 30);
    sandbox
}

fn cycle(sandbox: &Sandbox, server: &str, requestors: &[&str]) {
    for postoffice in requestors {
        sandbox.run(&format!("-C {postoffice} send"));
    }
    sandbox.run(&format!("-C {server} cycle"));
    for postoffice in requestors {
        sandbox.run(&format!("-C {postoffice} apply"));
    }
}

#[track_caller]
pub fn assert_equal(sandbox: &Sandbox, postoffices: &[&str], entries: u64) {
    let first = sandbox.status(postoffices[0]);
    assert_eq!(first["entries"], entries);
    for postoffice in postoffices {
        assert_eq!(sandbox.status(postoffice)["digest"], first["digest"], "{postoffice}");
    }
}

pub fn copy(sandbox: &Sandbox, from: &str, to: &str) {
    let mut command = std::process::Command::new("cp");
    assert!(
        command.arg("-a").args([sandbox.path(from), sandbox.path(to)]).status().unwrap().success()
    );
}

fn rename(sandbox: &Sandbox, from: &str, to: &str) {
    std::fs::rename(sandbox.path(from), sandbox.path(to)).unwrap();
}

/// Every file below a folder with its bytes; but for the lock, in which each command writes its name,
/// and what a reader of the database leaves beside it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !["/lock", "-wal", "-shm"].iter().any(|end| name.ends_with(end)) {
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// What works on a postoffice, and so may not where it was copied to.
const WORK: [&str; 14] = [
    "send",
    "process",
    "apply",
    "cycle",
    "import people.csv",
    "import people.csv --whole --dry-run",
    "entry add --key new --name New --address SMTP:new@x.example",
    "entry delete 12",
    "entry release 12 --to WEST/LAB",
    "held approve --all",
    "quarantine drop 1",
    "check --repair",
    "restore sales.backup",
    "server recover --finish",
];
/// What looks at it.
const LOOKS: [&str; 12] = [
    "export",
    "export --own -o own.csv",
    "check",
    "backup twin.backup",
    "log",
    "entry list",
    "entry show 12",
    "why p12@x.example",
    "held list",
    "quarantine list",
    "config check",
    "rejoin --help",
];

/// `docs/failure-stories.md` §15, `copies_in_turn_are_told`: the half that happens here.
#[test]
fn a_copied_folder_stops_before_it_sends() {
    let sandbox = three_postoffices();
    sandbox.write(
        "sales/dirsync.toml",
        "[[source]]\nname = \"hr\"\nfile = \"../hr.csv\"\n[[target]]\nfile = \"gal.csv\"\n",
    );
    sandbox.run("-C sales backup sales.backup").expect(0);
    // An answer waits that both would take.
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    for copied in ["twin", "third"] {
        copy(&sandbox, "sales", copied);
    }
    sandbox.write("hr.csv", &people(40..45));
    let before = files(sandbox.folder.path());
    for copied in ["twin", "third"] {
        for command in WORK {
            let ran = sandbox.run(&format!("-C {copied} {command}")).expect(1);
            let says = ["was copied", " moved` here", " rejoin`", "leave this one alone"];
            assert!(says.iter().all(|says| ran.err.contains(says)), "{command}: {}", ran.err);
        }
    }
    assert!(files(sandbox.folder.path()) == before, "nothing was read, sent, or changed");
    for command in LOOKS {
        sandbox.run(&format!("-C twin {command}")).expect(0);
    }
    let status = sandbox.run("-C twin status").expect(3).out;
    let says = ["needs you", "was copied", "`dirsync -C twin moved`", "`dirsync -C twin rejoin`"];
    assert!(says.iter().all(|says| status.contains(says)), "{status}");
    assert_eq!(sandbox.run("-C third status --json").expect(3).json()["stopped"], "away");
    // The original goes on unharmed, and so do the others.
    sandbox.run("-C sales entry add --key new --name New --address SMTP:new@x.example").expect(0);
    for _ in 0..2 {
        sandbox.run("-C twin cycle").expect(1);
        cycle(&sandbox, "hq", &["sales", "lab"]);
        sandbox.run("-C third send").expect(1);
    }
    assert_equal(&sandbox, &["hq", "sales", "lab"], 31);
    for postoffice in ["hq", "sales", "lab"] {
        sandbox.run(&format!("-C {postoffice} status")).expect(0);
    }
}

#[test]
fn a_moved_folder_goes_on_after_one_word() {
    let sandbox = three_postoffices();
    copy(&sandbox, "sales", "new");
    std::fs::remove_dir_all(sandbox.path("sales")).unwrap();
    sandbox.run("-C new entry add --key new --name New --address SMTP:new@x.example").expect(1);
    assert_eq!(sandbox.run("-C new moved --json").expect(0).json()["moved"], true);
    sandbox.run("-C new entry add --key new --name New --address SMTP:new@x.example").expect(0);
    for _ in 0..2 {
        cycle(&sandbox, "hq", &["new", "lab"]);
    }
    assert_equal(&sandbox, &["hq", "new", "lab"], 31);
    sandbox.run("-C new status").expect(0);
    assert!(sandbox.run("-C new log").expect(0).out.contains("lives here from now on"));
    // Said once more, or where nothing was moved, it changes nothing.
    for postoffice in ["new", "lab", "hq"] {
        assert_eq!(
            sandbox.run(&format!("-C {postoffice} moved --json")).expect(0).json()["moved"],
            false
        );
    }
    sandbox.run("-C share moved").expect(2);
}

/// The copy is the one to keep: from its first cycle on the other one is fenced, and what either of them
/// had made is kept.
#[test]
fn of_two_copies_the_one_that_rejoins_is_kept() {
    let sandbox = three_postoffices();
    copy(&sandbox, "sales", "twin");
    sandbox.run("-C sales entry add --key old --name Old --address SMTP:old@x.example").expect(0);
    cycle(&sandbox, "hq", &["sales", "lab"]);
    let rejoined = sandbox.run("-C twin rejoin --json").expect(0).json();
    assert_eq!(rejoined["rejoined"], true);
    sandbox.run("-C twin entry add --key new --name New --address SMTP:new@x.example").expect(0);
    for _ in 0..4 {
        cycle(&sandbox, "hq", &["twin", "lab"]);
    }
    cycle(&sandbox, "hq", &["sales", "twin", "lab"]);
    let status = sandbox.run("-C sales status").expect(3).out;
    assert!(status.contains("fenced") && status.contains("`dirsync -C sales rejoin`"), "{status}");
    assert_equal(&sandbox, &["hq", "twin", "lab"], 32);
    sandbox.run("-C twin status").expect(0);
    // One that was fenced and then copied is asked once.
    copy(&sandbox, "sales", "other");
    sandbox.run("-C other rejoin").expect(0);
    for _ in 0..4 {
        cycle(&sandbox, "hq", &["other", "lab"]);
    }
    cycle(&sandbox, "hq", &["twin"]);
    assert_eq!(sandbox.status("twin")["stopped"], "fenced");
    assert_equal(&sandbox, &["hq", "other", "lab"], 32);
}

#[test]
fn what_is_no_copy_is_not_asked_about() {
    let sandbox = three_postoffices();
    rename(&sandbox, "sales", "renamed");
    std::fs::create_dir(sandbox.path("deep")).unwrap();
    rename(&sandbox, "lab", "deep/lab");
    std::os::unix::fs::symlink("renamed", sandbox.path("link")).unwrap();
    sandbox.run("-C link entry add --key new --name New --address SMTP:new@x.example").expect(0);
    for postoffice in ["renamed", "link", "deep/lab", "hq"] {
        sandbox.run(&format!("-C {postoffice} cycle")).expect(0);
        sandbox.run(&format!("-C {postoffice} status")).expect(0);
    }
    // A backup that is put back in its own folder carries no home along.
    sandbox.run("-C hq backup hq.backup").expect(0);
    sandbox.run("-C hq restore hq.backup").expect(0);
    for _ in 0..4 {
        cycle(&sandbox, "hq", &["renamed", "deep/lab"]);
    }
    assert_equal(&sandbox, &["hq", "renamed", "deep/lab"], 31);
    // Nor does a postoffice that is installed anew.
    std::fs::remove_dir_all(sandbox.path("renamed")).unwrap();
    sandbox.run("-C hq requestor add SOUTH/SALES --folder share --again --out again").expect(0);
    sandbox.run("-C new init --invitation again").expect(0);
    sandbox.run("-C new cycle").expect(0);
}

#[test]
fn another_machine_or_a_lost_note_is_asked_about() {
    let sandbox = three_postoffices();
    // As after a clone with a new machine's id.
    let noted = sandbox.read("sales/keys/home");
    let machine = noted.lines().find(|line| line.starts_with("machine ")).unwrap();
    sandbox.write(
        "sales/keys/home",
        &noted.replace(machine, "machine 00112233445566778899aabbccddeeff"),
    );
    std::fs::remove_file(sandbox.path("lab/keys/home")).unwrap();
    for (postoffice, says) in [("sales", "lives on another machine"), ("lab", "does not say where")]
    {
        let ran = sandbox.run(&format!("-C {postoffice} cycle")).expect(1);
        assert!(ran.err.contains(says), "{}", ran.err);
        sandbox.run(&format!("-C {postoffice} status")).expect(3);
        sandbox.run(&format!("-C {postoffice} moved")).expect(0);
        sandbox.run(&format!("-C {postoffice} cycle")).expect(0);
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(sandbox.path("lab/keys/home")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Where machines are made from images one line says that nobody asks.
#[test]
fn the_question_can_be_turned_off() {
    let sandbox = three_postoffices();
    sandbox.write("sales/dirsync.toml", "[postoffice]\nhome_check = false\n");
    copy(&sandbox, "sales", "twin");
    sandbox.run("-C twin cycle").expect(0);
    sandbox.run("-C twin status").expect(0);
    sandbox.write("twin/dirsync.toml", "");
    sandbox.run("-C twin cycle").expect(1);
}

/// A copy of the server answers nobody before it is promoted, or was moved.
#[test]
fn a_copied_server_stops_before_it_answers() {
    let sandbox = three_postoffices();
    for postoffice in ["copy", "moved"] {
        copy(&sandbox, "hq", postoffice);
    }
    sandbox.run("-C sales send").expect(0);
    let before = files(&sandbox.path("share"));
    for postoffice in ["copy", "moved"] {
        for command in ["process", "cycle", "requestor suspend WEST/LAB", "run --once"] {
            let ran = sandbox.run(&format!("-C {postoffice} {command}"));
            assert!([1, 3].contains(&ran.code), "{command} ended with {}", ran.code);
            let says =
                ["moved", "server promote"].map(|word| format!("`dirsync -C {postoffice} {word}`"));
            assert!(
                says.iter().all(|says| ran.err.contains(says.as_str())),
                "{command}: {}",
                ran.err
            );
        }
        sandbox.run(&format!("-C {postoffice} rejoin")).expect(2);
        sandbox.run(&format!("-C {postoffice} status")).expect(3);
    }
    assert!(files(&sandbox.path("share")) == before);
    std::fs::remove_dir_all(sandbox.path("hq")).unwrap();
    sandbox.run("-C moved moved").expect(0);
    cycle(&sandbox, "moved", &["sales", "lab"]);
    assert_equal(&sandbox, &["moved", "sales", "lab"], 30);
    // A promotion is a word as well.
    sandbox.run("-C copy server promote").expect(0);
    for _ in 0..4 {
        cycle(&sandbox, "copy", &["sales", "lab"]);
    }
    assert_equal(&sandbox, &["copy", "sales", "lab"], 30);
    sandbox.run("-C copy status").expect(0);
}

/// Of several postoffices of one agent the copied one waits alone, says so, and goes on without a new
/// start of the agent.
#[test]
fn an_agent_waits_for_a_word_about_one_folder_and_serves_the_others() {
    let sandbox = three_postoffices();
    let alarms = sandbox.path("alarms");
    let settings = format!(
        "[schedule]\npoll = \"1 s\"\n[alarm]\ncommand = [\"sh\", \"-c\", \"echo \\\"$DIRSYNC_SUBJECT\\\" \
         >> {}\"]\n",
        alarms.display()
    );
    for postoffice in ["hq", "sales", "lab"] {
        sandbox.write(&format!("{postoffice}/dirsync.toml"), &settings);
    }
    copy(&sandbox, "sales", "new");
    std::fs::remove_dir_all(sandbox.path("sales")).unwrap();
    let once = sandbox.run("run new hq lab --once").expect(3);
    assert!(once.err.contains("`dirsync -C new moved`"), "{}", once.err);
    let agent = Agent::start(&sandbox, &["new", "hq", "lab"]);
    sandbox.run("-C hq entry add --key new --name New --address SMTP:new@x.example").expect(0);
    eventually("the change at the others", || sandbox.status("lab")["entries"] == 31);
    assert_eq!(sandbox.status("new")["entries"], 30);
    assert_eq!(sandbox.run("-C new status --json").expect(3).json()["stopped"], "away");
    sandbox.run("-C new moved").expect(0);
    eventually("the change where it was moved to", || sandbox.status("new")["entries"] == 31);
    eventually("the end of the alarm", || {
        let said = sandbox.read("alarms");
        let lines: Vec<&str> =
            said.lines().filter(|line| line.contains(": stopped away ")).collect();
        assert!(lines.len() <= 2, "{said}");
        lines.len() == 2 && lines[0].contains("begins") && lines[1].contains("is over")
    });
    assert_eq!(agent.terminate(), 0);
}
