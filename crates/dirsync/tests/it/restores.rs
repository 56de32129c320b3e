//! Copies that are put back: the right one, and those that are none of this postoffice's.

use std::path::PathBuf;

use crate::sandbox::{Sandbox, people};

/// The server, `sales` and `depot`, each with entries and a backup.
fn three_postoffices() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    for (at, postoffice) in ["hq", "sales", "depot"].into_iter().enumerate() {
        let from = at as u32 * 10;
        sandbox.write(&format!("{postoffice}.csv"), &people(from..from + 3));
        sandbox.run(&format!("-C {postoffice} import {postoffice}.csv --whole")).expect(0);
    }
    settle(&sandbox);
    for postoffice in ["hq", "sales", "depot"] {
        sandbox.run(&format!("-C {postoffice} backup {postoffice}.backup")).expect(0);
    }
    sandbox
}

fn settle(sandbox: &Sandbox) {
    for _ in 0..3 {
        for postoffice in ["sales", "depot"] {
            sandbox.run(&format!("-C {postoffice} send"));
        }
        sandbox.run("-C hq cycle");
        for postoffice in ["sales", "depot"] {
            sandbox.run(&format!("-C {postoffice} apply"));
        }
    }
}

fn database(sandbox: &Sandbox, postoffice: &str) -> PathBuf {
    sandbox.path(&format!("{postoffice}/postoffice.db"))
}

/// `docs/failure-stories.md` §15: name, role and installation are compared before anything is written.
#[test]
fn restore_of_the_wrong_copy_is_refused() {
    let sandbox = three_postoffices();
    // Another server of the same name, and `sales` as it was before it was installed anew.
    sandbox.run("-C twin init NORTH/HQ --server").expect(0);
    sandbox.run("-C twin backup twin.backup").expect(0);
    std::fs::remove_dir_all(sandbox.path("sales")).unwrap();
    sandbox
        .run("-C hq requestor add SOUTH/SALES --folder share --again --out again.invitation")
        .expect(0);
    sandbox.run("-C sales init --invitation again.invitation").expect(0);
    settle(&sandbox);
    for (postoffice, backup, named) in [
        ("hq", "sales", ["SOUTH/SALES, a requestor", "NORTH/HQ, a directory server"]),
        ("sales", "hq", ["NORTH/HQ, a directory server", "SOUTH/SALES, a requestor"]),
        ("depot", "sales", ["SOUTH/SALES, a requestor", "ALPS/DEPOT, a requestor"]),
        ("hq", "twin", ["another installation of NORTH/HQ", "\"hq\""]),
        ("sales", "sales", ["another installation of SOUTH/SALES", "\"sales\""]),
    ] {
        for damaged in [false, true] {
            let path = database(&sandbox, postoffice);
            let whole = std::fs::read(&path).unwrap();
            if damaged {
                std::fs::write(&path, "no database at all").unwrap();
            }
            let before = std::fs::read(&path).unwrap();
            let ran = sandbox.run(&format!("-C {postoffice} restore {backup}.backup")).expect(2);
            for text in named {
                assert!(ran.err.contains(text), "{postoffice} {backup}: {}", ran.err);
            }
            assert!(std::fs::read(&path).unwrap() == before, "{postoffice} {backup}: untouched");
            assert!(!sandbox.exists(&format!("{postoffice}/postoffice.db.before-restore")));
            std::fs::write(&path, whole).unwrap();
        }
    }
    sandbox.run("-C hq restore hq.backup --force").expect(2);
}

/// The database that a restore replaces is kept beside, the newest one, for its user alone.
#[test]
fn the_replaced_database_stays_beside() {
    let sandbox = three_postoffices();
    for postoffice in ["hq", "sales"] {
        for late in ["one", "two"] {
            sandbox.run(&format!("-C {postoffice} backup {postoffice}.{late}.backup")).expect(0);
            let add =
                format!("entry add --name {late} --address SMTP:{postoffice}{late}@x.example");
            sandbox.run(&format!("-C {postoffice} {add}")).expect(0);
            sandbox.run(&format!("-C {postoffice} restore {postoffice}.{late}.backup")).expect(0);
            let log = sandbox.run(&format!("-C {postoffice} log")).expect(0).out;
            assert!(log.contains(&format!("restored from {postoffice}.{late}.backup")), "{log}");
            assert_eq!(log.contains("a new server epoch begins"), postoffice == "hq", "{log}");
            let kept = sandbox.path(&format!("{postoffice}/postoffice.db.before-restore"));
            let bytes = std::fs::read(&kept).unwrap();
            let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(holds(&format!("{postoffice}{late}@x.example")), "{postoffice} {late}");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = kept.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
            }
            settle(&sandbox);
            assert_eq!(sandbox.status("hq")["entries"], 9, "what is kept is not the database");
            assert_eq!(sandbox.status(postoffice)["digest"], sandbox.status("hq")["digest"]);
        }
    }
}

/// One that cannot be read any more: what is left beside it says whose it is.
#[test]
fn a_damaged_database_is_replaced_by_its_own_copy() {
    let sandbox = three_postoffices();
    for postoffice in ["hq", "sales"] {
        std::fs::write(database(&sandbox, postoffice), "no database at all").unwrap();
        sandbox.run(&format!("-C {postoffice} restore {postoffice}.backup")).expect(0);
        assert_eq!(
            sandbox.read(&format!("{postoffice}/postoffice.db.before-restore")),
            "no database at all"
        );
    }
    std::fs::remove_file(database(&sandbox, "depot")).unwrap();
    sandbox.run("-C depot restore depot.backup").expect(0);
    settle(&sandbox);
    for postoffice in ["hq", "sales", "depot"] {
        assert_eq!(sandbox.status(postoffice)["entries"], 9, "{postoffice}");
        sandbox.run(&format!("-C {postoffice} check")).expect(0);
    }
}

/// An error about the file that was to be put back is about that file.
#[test]
fn a_backup_that_is_none_is_what_the_error_names() {
    let sandbox = three_postoffices();
    let mut cut = std::fs::read(sandbox.path("hq.backup")).unwrap();
    cut.truncate(cut.len() / 2);
    let mut newer = std::fs::read(sandbox.path("hq.backup")).unwrap();
    newer[60..64].copy_from_slice(&999u32.to_be_bytes());
    for (name, bytes) in [
        ("text.backup", &b"This is a letter, and no database."[..]),
        ("empty.backup", b""),
        ("cut.backup", &cut),
        ("newer.backup", &newer),
    ] {
        std::fs::write(sandbox.path(name), bytes).unwrap();
    }
    std::fs::create_dir(sandbox.path("folder.backup")).unwrap();
    for name in ["text", "empty", "cut", "newer", "folder", "missing"] {
        for postoffice in ["hq", "sales"] {
            let before = std::fs::read(database(&sandbox, postoffice)).unwrap();
            let ran = sandbox.run(&format!("-C {postoffice} restore {name}.backup")).expect(1);
            let said = &ran.err;
            assert!(said.contains(&format!("\"{name}.backup\"")), "{name}: {said}");
            assert!(!said.contains("postoffice.db"), "{name}: {said}");
            assert!(!said.contains("invite this postoffice"), "{name}: {said}");
            assert!(
                std::fs::read(database(&sandbox, postoffice)).unwrap() == before,
                "{name}: untouched"
            );
        }
    }
    // A database that fails is named, whichever of several it is.
    std::fs::write(database(&sandbox, "depot"), "no database at all").unwrap();
    let ran = sandbox.run("run hq depot --once").expect(1);
    assert!(ran.err.contains("depot/postoffice.db"), "{}", ran.err);
    assert!(!ran.err.contains("\"./postoffice.db\""), "{}", ran.err);
}

/// A database as it lies on the disk, and back: what a person does with `cp` while nothing runs.
fn copied_by_hand(sandbox: &Sandbox, postoffice: &str) -> Vec<u8> {
    let log = sandbox.path(&format!("{postoffice}/postoffice.db-wal"));
    assert!(log.metadata().map_or(0, |data| data.len()) == 0, "all is in the file");
    std::fs::read(database(sandbox, postoffice)).unwrap()
}

fn put_back_by_hand(sandbox: &Sandbox, postoffice: &str, bytes: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(sandbox.path(&format!("{postoffice}/postoffice.db{suffix}")));
    }
    std::fs::write(database(sandbox, postoffice), bytes).unwrap();
}

fn registrations(sandbox: &Sandbox) -> Vec<(String, String)> {
    let listed = sandbox.run("-C hq requestor list --json").json();
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = listed.as_array().unwrap().iter();
    rows.map(|row| (text(row, "state"), text(row, "view"))).collect()
}

/// Decisions after the copy: `depot` is removed, `sales` sees no details but titles any more, and `lab`
/// is invited and takes part.
fn decide_since(sandbox: &Sandbox) {
    sandbox.run("-C hq requestor remove ALPS/DEPOT --yes").expect(0);
    sandbox.run("-C hq requestor set SOUTH/SALES --attributes title").expect(0);
    sandbox.run("-C hq requestor add WEST/LAB --folder share --out lab.invitation").expect(0);
    sandbox.run("-C lab init --invitation lab.invitation").expect(0);
    sandbox.write("lab.csv", &people(30..32));
    sandbox.run("-C lab import lab.csv --whole").expect(0);
    for _ in 0..2 {
        sandbox.run("-C lab send").expect(0);
        settle(sandbox);
        sandbox.run("-C lab apply").expect(0);
    }
}

/// `docs/failure-stories.md` §15: the server's database was copied back by hand; a removed postoffice returned, and a
/// view that had been limited was open.
#[test]
fn decisions_survive_a_restore_by_hand() {
    for first in ["status", "process", "run --once"] {
        let sandbox = three_postoffices();
        let old = copied_by_hand(&sandbox, "hq");
        decide_since(&sandbox);
        let decided = registrations(&sandbox);
        assert_eq!(decided[0].0, "removed");
        assert_eq!(decided[2], ("active".into(), "attributes\ttitle\n".into()));
        for postoffice in ["sales", "depot", "lab"] {
            sandbox.run(&format!("-C {postoffice} send"));
        }
        let lines = sandbox.read("hq/decisions.log");
        put_back_by_hand(&sandbox, "hq", &old);
        let ran = match first {
            "run --once" => sandbox.run("run hq --once"),
            first => sandbox.run(&format!("-C hq {first}")),
        };
        assert!([0, 3].contains(&ran.code), "{first}: {}{}", ran.out, ran.err);
        assert!(
            !ran.out.contains("p20@x.example"),
            "{first}: an entry of the removed site is shown"
        );
        let now = registrations(&sandbox);
        assert_eq!((&now[0], &now[2]), (&decided[0], &decided[2]), "{first}");
        for _ in 0..4 {
            sandbox.run("-C lab send");
            settle(&sandbox);
            sandbox.run("-C lab apply");
            let seen = sandbox.run("-C sales export").expect(0).out;
            assert!(!seen.contains("+1 "), "{first}: a telephone number is disclosed");
        }
        assert_eq!(sandbox.status("hq")["recovering"], false, "{first}");
        assert_eq!(sandbox.status("hq")["entries"], 8, "{first}");
        assert_eq!(sandbox.status("lab")["digest"], sandbox.status("hq")["digest"], "{first}");
        assert_eq!(sandbox.read("hq/decisions.log"), lines, "{first}: nothing is decided again");
        sandbox.run("-C hq status").expect(0);
        sandbox.run("-C hq check").expect(0);
    }
}

/// A log that is older than the database undoes nothing, and is said until a person has mended it.
#[test]
fn an_older_log_of_decisions_is_said_and_undoes_nothing() {
    let sandbox = three_postoffices();
    let (old, old_log) = (copied_by_hand(&sandbox, "hq"), sandbox.read("hq/decisions.log"));
    decide_since(&sandbox);
    let decided = registrations(&sandbox);
    let lost = [old_log.as_str(), "", "1\tremove\tSOUTH/SALES\n", "\u{0}\n"];
    for log in lost {
        sandbox.write("hq/decisions.log", log);
        let status = sandbox.run("-C hq status").expect(3);
        assert!(status.out.contains("decisions.log is not the one"), "{}", status.out);
        assert_eq!(registrations(&sandbox), decided);
        // What is decided meanwhile takes effect, and does not hide it.
        sandbox.run("-C hq requestor set WEST/LAB --kinds mailbox").expect(0);
        sandbox.run("-C hq status").expect(3);
        sandbox.run("-C hq requestor set WEST/LAB --all-kinds").expect(0);
        sandbox.run("-C hq cycle").expect(3);
        assert_eq!(registrations(&sandbox), decided);
    }
    sandbox.run("-C hq server renew-log").expect(0);
    sandbox.run("-C hq status").expect(0);
    sandbox.run("-C hq server renew-log").expect(2);
    sandbox.run("-C hq requestor suspend WEST/LAB").expect(0);
    // The new log is good for each older database.
    put_back_by_hand(&sandbox, "hq", &old);
    let states: Vec<String> = registrations(&sandbox).into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["removed", "active", "active", "suspended"]);
    assert_eq!(registrations(&sandbox)[2].1, "attributes\ttitle\n");
    sandbox.run("-C hq status").expect(0);
}

/// A line that a crash cut off is no decision about somebody else, also when others follow.
#[test]
fn a_decision_that_was_cut_off_is_none() {
    let sandbox = three_postoffices();
    let old = copied_by_hand(&sandbox, "hq");
    let log = sandbox.read("hq/decisions.log");
    sandbox.write("hq/decisions.log", &format!("{log}9\tremove\tALPS/DEPOT"));
    sandbox.run("-C hq status").expect(0);
    sandbox.run("-C hq requestor set SOUTH/SALES --types SMTP").expect(0);
    put_back_by_hand(&sandbox, "hq", &old);
    sandbox.run("-C hq status").expect(0);
    let now = registrations(&sandbox);
    assert_eq!((now[0].0.as_str(), now[2].1.as_str()), ("active", "types\tSMTP\n"));
    // Another line that is none is said.
    let log = sandbox.read("hq/decisions.log");
    sandbox.write("hq/decisions.log", &format!("{log}nonsense\n"));
    let status = sandbox.run("-C hq status").expect(3);
    assert!(status.out.contains("1 line of decisions.log cannot be read"), "{}", status.out);
}
