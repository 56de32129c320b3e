//! Folders of postoffices that are copied and moved.

use std::path::Path;

use crate::agent::{Agent, eventually};
use crate::site::{Place, people};

/// A server in `hq` and requestors in `sales` and `lab`, each with people of its own, all equal.
pub fn three_sites() -> Place {
    let place = Place::two_sites();
    place.run("-C hq requestor add WEST/LAB --folder share --out lab.invitation").expect(0);
    place.run("-C lab init --invitation lab.invitation").expect(0);
    for (site, numbers) in [("hq", 0..10), ("sales", 10..20), ("lab", 20..30)] {
        place.write("people.csv", &people(numbers));
        place.run(&format!("-C {site} import people.csv --whole")).expect(0);
    }
    for _ in 0..3 {
        cycle(&place, "hq", &["sales", "lab"]);
    }
    assert_equal(&place, &["hq", "sales", "lab"], 30);
    place
}

fn cycle(place: &Place, server: &str, requestors: &[&str]) {
    for site in requestors {
        place.run(&format!("-C {site} send"));
    }
    place.run(&format!("-C {server} cycle"));
    for site in requestors {
        place.run(&format!("-C {site} apply"));
    }
}

#[track_caller]
pub fn assert_equal(place: &Place, sites: &[&str], entries: u64) {
    let first = place.status(sites[0]);
    assert_eq!(first["entries"], entries);
    for site in sites {
        assert_eq!(place.status(site)["digest"], first["digest"], "{site}");
    }
}

pub fn copy(place: &Place, from: &str, to: &str) {
    let mut command = std::process::Command::new("cp");
    assert!(command.arg("-a").args([place.path(from), place.path(to)]).status().unwrap().success());
}

fn rename(place: &Place, from: &str, to: &str) {
    std::fs::rename(place.path(from), place.path(to)).unwrap();
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
    let place = three_sites();
    place.write(
        "sales/dirsync.toml",
        "[[source]]\nname = \"hr\"\nfile = \"../hr.csv\"\n[[target]]\nfile = \"gal.csv\"\n",
    );
    place.run("-C sales backup sales.backup").expect(0);
    // An answer waits that both would take.
    place.run("-C sales send").expect(0);
    place.run("-C hq cycle").expect(0);
    for copied in ["twin", "third"] {
        copy(&place, "sales", copied);
    }
    place.write("hr.csv", &people(40..45));
    let before = files(place.folder.path());
    for copied in ["twin", "third"] {
        for command in WORK {
            let ran = place.run(&format!("-C {copied} {command}")).expect(1);
            let says =
                ["was copied", "`dirsync moved`", "`dirsync rejoin`", "leave this one alone"];
            assert!(says.iter().all(|says| ran.err.contains(says)), "{command}: {}", ran.err);
        }
    }
    assert!(files(place.folder.path()) == before, "nothing was read, sent, or changed");
    for command in LOOKS {
        place.run(&format!("-C twin {command}")).expect(0);
    }
    let status = place.run("-C twin status").expect(3).out;
    let says = ["STOPPED", "was copied", "`dirsync moved`", "`dirsync rejoin`"];
    assert!(says.iter().all(|says| status.contains(says)), "{status}");
    assert_eq!(place.run("-C third status --json").expect(3).json()["stopped"], "away");
    // The original goes on unharmed, and so do the others.
    place.run("-C sales entry add --key new --name New --address SMTP:new@x.example").expect(0);
    for _ in 0..2 {
        place.run("-C twin cycle").expect(1);
        cycle(&place, "hq", &["sales", "lab"]);
        place.run("-C third send").expect(1);
    }
    assert_equal(&place, &["hq", "sales", "lab"], 31);
    for site in ["hq", "sales", "lab"] {
        place.run(&format!("-C {site} status")).expect(0);
    }
}

#[test]
fn a_moved_folder_goes_on_after_one_word() {
    let place = three_sites();
    copy(&place, "sales", "new");
    std::fs::remove_dir_all(place.path("sales")).unwrap();
    place.run("-C new entry add --key new --name New --address SMTP:new@x.example").expect(1);
    assert_eq!(place.run("-C new moved --json").expect(0).json()["moved"], true);
    place.run("-C new entry add --key new --name New --address SMTP:new@x.example").expect(0);
    for _ in 0..2 {
        cycle(&place, "hq", &["new", "lab"]);
    }
    assert_equal(&place, &["hq", "new", "lab"], 31);
    place.run("-C new status").expect(0);
    assert!(place.run("-C new log").expect(0).out.contains("lives here from now on"));
    // Said once more, or where nothing was moved, it changes nothing.
    for site in ["new", "lab", "hq"] {
        assert_eq!(place.run(&format!("-C {site} moved --json")).expect(0).json()["moved"], false);
    }
    place.run("-C share moved").expect(2);
}

/// The copy is the one to keep: from its first cycle on the other one is fenced, and what either of them
/// had made is kept.
#[test]
fn of_two_copies_the_one_that_rejoins_is_kept() {
    let place = three_sites();
    copy(&place, "sales", "twin");
    place.run("-C sales entry add --key old --name Old --address SMTP:old@x.example").expect(0);
    cycle(&place, "hq", &["sales", "lab"]);
    let rejoined = place.run("-C twin rejoin --json").expect(0).json();
    assert_eq!(rejoined["rejoined"], true);
    place.run("-C twin entry add --key new --name New --address SMTP:new@x.example").expect(0);
    for _ in 0..4 {
        cycle(&place, "hq", &["twin", "lab"]);
    }
    cycle(&place, "hq", &["sales", "twin", "lab"]);
    let status = place.run("-C sales status").expect(3).out;
    assert!(status.contains("fenced") && status.contains("`dirsync rejoin`"), "{status}");
    assert_equal(&place, &["hq", "twin", "lab"], 32);
    place.run("-C twin status").expect(0);
    // One that was fenced and then copied is asked once.
    copy(&place, "sales", "other");
    place.run("-C other rejoin").expect(0);
    for _ in 0..4 {
        cycle(&place, "hq", &["other", "lab"]);
    }
    cycle(&place, "hq", &["twin"]);
    assert_eq!(place.status("twin")["stopped"], "fenced");
    assert_equal(&place, &["hq", "other", "lab"], 32);
}

#[test]
fn what_is_no_copy_is_not_asked_about() {
    let place = three_sites();
    rename(&place, "sales", "renamed");
    std::fs::create_dir(place.path("deep")).unwrap();
    rename(&place, "lab", "deep/lab");
    std::os::unix::fs::symlink("renamed", place.path("link")).unwrap();
    place.run("-C link entry add --key new --name New --address SMTP:new@x.example").expect(0);
    for site in ["renamed", "link", "deep/lab", "hq"] {
        place.run(&format!("-C {site} cycle")).expect(0);
        place.run(&format!("-C {site} status")).expect(0);
    }
    // A backup that is put back in its own folder carries no home along.
    place.run("-C hq backup hq.backup").expect(0);
    place.run("-C hq restore hq.backup").expect(0);
    for _ in 0..4 {
        cycle(&place, "hq", &["renamed", "deep/lab"]);
    }
    assert_equal(&place, &["hq", "renamed", "deep/lab"], 31);
    // Nor does a site that is installed anew.
    std::fs::remove_dir_all(place.path("renamed")).unwrap();
    place.run("-C hq requestor add SOUTH/SALES --folder share --again --out again").expect(0);
    place.run("-C new init --invitation again").expect(0);
    place.run("-C new cycle").expect(0);
}

#[test]
fn another_machine_or_a_lost_note_is_asked_about() {
    let place = three_sites();
    // As after a clone with a new machine's id.
    let noted = place.read("sales/keys/home");
    let machine = noted.lines().find(|line| line.starts_with("machine ")).unwrap();
    place.write(
        "sales/keys/home",
        &noted.replace(machine, "machine 00112233445566778899aabbccddeeff"),
    );
    std::fs::remove_file(place.path("lab/keys/home")).unwrap();
    for (site, says) in [("sales", "lives on another machine"), ("lab", "does not say where")] {
        let ran = place.run(&format!("-C {site} cycle")).expect(1);
        assert!(ran.err.contains(says), "{}", ran.err);
        place.run(&format!("-C {site} status")).expect(3);
        place.run(&format!("-C {site} moved")).expect(0);
        place.run(&format!("-C {site} cycle")).expect(0);
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(place.path("lab/keys/home")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Where machines are made from images one line says that nobody asks.
#[test]
fn the_question_can_be_turned_off() {
    let place = three_sites();
    place.write("sales/dirsync.toml", "[postoffice]\nhome_check = false\n");
    copy(&place, "sales", "twin");
    place.run("-C twin cycle").expect(0);
    place.run("-C twin status").expect(0);
    place.write("twin/dirsync.toml", "");
    place.run("-C twin cycle").expect(1);
}

/// A copy of the server answers nobody before it is promoted, or was moved.
#[test]
fn a_copied_server_stops_before_it_answers() {
    let place = three_sites();
    for site in ["copy", "moved"] {
        copy(&place, "hq", site);
    }
    place.run("-C sales send").expect(0);
    let before = files(&place.path("share"));
    for site in ["copy", "moved"] {
        for command in ["process", "cycle", "requestor suspend WEST/LAB", "run --once"] {
            let ran = place.run(&format!("-C {site} {command}"));
            assert!([1, 3].contains(&ran.code), "{command} ended with {}", ran.code);
            let says = ["`dirsync moved`", "`dirsync server promote`"];
            assert!(says.iter().all(|says| ran.err.contains(says)), "{command}: {}", ran.err);
        }
        place.run(&format!("-C {site} rejoin")).expect(2);
        place.run(&format!("-C {site} status")).expect(3);
    }
    assert!(files(&place.path("share")) == before);
    std::fs::remove_dir_all(place.path("hq")).unwrap();
    place.run("-C moved moved").expect(0);
    cycle(&place, "moved", &["sales", "lab"]);
    assert_equal(&place, &["moved", "sales", "lab"], 30);
    // A promotion is a word as well.
    place.run("-C copy server promote").expect(0);
    for _ in 0..4 {
        cycle(&place, "copy", &["sales", "lab"]);
    }
    assert_equal(&place, &["copy", "sales", "lab"], 30);
    place.run("-C copy status").expect(0);
}

/// Of several postoffices of one agent the copied one waits alone, says so, and goes on without a new
/// start of the agent.
#[test]
fn an_agent_waits_for_a_word_about_one_folder_and_serves_the_others() {
    let place = three_sites();
    let alarms = place.path("alarms");
    let settings = format!(
        "[schedule]\npoll = \"1 s\"\n[alarm]\ncommand = [\"sh\", \"-c\", \"echo \\\"$DIRSYNC_SUBJECT\\\" \
         >> {}\"]\n",
        alarms.display()
    );
    for site in ["hq", "sales", "lab"] {
        place.write(&format!("{site}/dirsync.toml"), &settings);
    }
    copy(&place, "sales", "new");
    std::fs::remove_dir_all(place.path("sales")).unwrap();
    let once = place.run("run new hq lab --once").expect(3);
    assert!(once.err.contains("`dirsync moved`"), "{}", once.err);
    let agent = Agent::start(&place, &["new", "hq", "lab"]);
    place.run("-C hq entry add --key new --name New --address SMTP:new@x.example").expect(0);
    eventually("the change at the others", || place.status("lab")["entries"] == 31);
    assert_eq!(place.status("new")["entries"], 30);
    assert_eq!(place.run("-C new status --json").expect(3).json()["stopped"], "away");
    place.run("-C new moved").expect(0);
    eventually("the change where it was moved to", || place.status("new")["entries"] == 31);
    eventually("the end of the alarm", || {
        let said = place.read("alarms");
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(": away ")).collect();
        assert!(lines.len() <= 2, "{said}");
        lines.len() == 2 && lines[0].contains("begins") && lines[1].contains("is over")
    });
    assert_eq!(agent.terminate(), 0);
}
