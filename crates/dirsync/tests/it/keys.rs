//! Keys that are changed, and keys that were stolen.

use std::fs;
use std::path::Path;

use dirsync_postoffice::Postoffice;
use dirsync_postoffice::steps::tidy_up;
use serde_json::Value;

use crate::sandbox::Sandbox;

/// A server and two requestors with equal lists.
fn three_postoffices() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add WEST/LAB --folder share --out lab.invitation").expect(0);
    sandbox.run("-C lab init --invitation lab.invitation").expect(0);
    for postoffice in ["hq", "sales", "lab"] {
        add(&sandbox, postoffice, "first");
    }
    cycle(&sandbox, &["sales", "lab"]);
    cycle(&sandbox, &["sales", "lab"]);
    assert_equal(&sandbox, 3);
    sandbox
}

fn add(sandbox: &Sandbox, postoffice: &str, name: &str) {
    let line = "entry add --name Ana --address";
    sandbox.run(&format!("-C {postoffice} {line} SMTP:{name}@{postoffice}.example")).expect(0);
}

/// A cycle of the server and some requestors, in which nothing is refused.
fn cycle(sandbox: &Sandbox, requestors: &[&str]) {
    for postoffice in requestors {
        sandbox.run(&format!("-C {postoffice} send")).expect(0);
    }
    sandbox.run("-C hq cycle").expect(0);
    for postoffice in requestors {
        sandbox.run(&format!("-C {postoffice} apply")).expect(0);
    }
}

#[track_caller]
fn assert_equal(sandbox: &Sandbox, entries: usize) {
    let list = sandbox.run("-C hq export").expect(0).out;
    assert_eq!(list.lines().count(), entries + 1, "{list}");
    for postoffice in ["sales", "lab"] {
        assert_eq!(sandbox.run(&format!("-C {postoffice} export")).expect(0).out, list);
    }
}

fn keys(sandbox: &Sandbox, postoffice: &str) -> Value {
    sandbox.run(&format!("-C {postoffice} key show --json")).expect(0).json()
}

fn is_confirmed_by_all(sandbox: &Sandbox, postoffice: &str) -> bool {
    let keys = keys(sandbox, postoffice);
    keys["peers"].as_array().unwrap().iter().all(|peer| peer["confirmed"] == true)
}

/// Both ends change their keys at once while messages are under way, twice at the server while a requestor
/// sleeps. No message is refused, and the old keys go when nobody needs them.
#[test]
fn keys_that_change_at_both_ends_stop_no_message() {
    let sandbox = three_postoffices();
    let first = keys(&sandbox, "hq")["fingerprint"].clone();
    // Under way: a request that was sealed to the old key, and an answer that the old key has signed.
    add(&sandbox, "sales", "second");
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C lab send").expect(0);
    sandbox.run("-C hq process").expect(0);
    add(&sandbox, "sales", "third");
    sandbox.run("-C sales send").expect(0);
    for postoffice in ["hq", "sales"] {
        let said = sandbox.run(&format!("-C {postoffice} key rotate")).expect(0).out;
        assert!(said.contains("the key is SHA256:"), "{said}");
    }
    sandbox.run("-C hq process").expect(0);
    sandbox.run("-C sales apply").expect(0);
    cycle(&sandbox, &["sales"]);
    cycle(&sandbox, &["sales"]);
    // LAB sleeps through the second change as well.
    sandbox.run("-C hq key rotate").expect(0);
    add(&sandbox, "hq", "fourth");
    cycle(&sandbox, &["sales"]);
    cycle(&sandbox, &["sales"]);
    let hq = keys(&sandbox, "hq");
    assert_eq!(hq["older"].as_array().unwrap().len(), 2, "{hq}");
    assert!(!is_confirmed_by_all(&sandbox, "hq") && is_confirmed_by_all(&sandbox, "sales"));
    let tidy = |postoffice: &str| {
        let mut postoffice = Postoffice::open(&sandbox.path(postoffice), "tidy").unwrap();
        tidy_up(&mut postoffice).unwrap();
    };
    tidy("hq");
    assert_eq!(keys(&sandbox, "hq")["older"].as_array().unwrap().len(), 2, "LAB needs them");

    for _ in 0..3 {
        cycle(&sandbox, &["sales", "lab"]);
    }
    assert_equal(&sandbox, 6);
    assert!(
        ["hq", "sales", "lab"].iter().all(|postoffice| is_confirmed_by_all(&sandbox, postoffice))
    );
    for postoffice in ["hq", "sales", "lab"] {
        let log = sandbox.run(&format!("-C {postoffice} log")).expect(0).out;
        assert!(!log.contains("refused and set aside"), "{postoffice}: {log}");
        sandbox.run(&format!("-C {postoffice} check")).expect(0);
    }
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(log.contains("SOUTH/SALES has changed its key to SHA256:"), "{log}");
    let decisions = sandbox.read("hq/decisions.log");
    assert_eq!(decisions.lines().filter(|line| line.contains("\tkey\tSOUTH/SALES")).count(), 2);

    // A copy of the database from before knows the old key of the server, and follows.
    tidy("hq");
    let after = keys(&sandbox, "hq");
    assert!(after["older"].as_array().unwrap().is_empty() && after["fingerprint"] != first);
    let files = fs::read_dir(sandbox.path("hq/keys")).unwrap().flatten();
    let private = files.filter(|file| file.file_name().to_string_lossy().starts_with("id_ed25519"));
    assert_eq!(private.count(), 2, "the newest, and its public half");
    cycle(&sandbox, &["sales", "lab"]);
    assert_equal(&sandbox, 6);
}

/// A database that is put back knows an older key of the server, and the server an older one of it.
#[test]
fn a_restored_postoffice_follows_changed_keys() {
    let sandbox = three_postoffices();
    sandbox.run("-C sales backup sales.backup").expect(0);
    sandbox.run("-C hq backup hq.backup").expect(0);
    for postoffice in ["hq", "sales", "hq"] {
        sandbox.run(&format!("-C {postoffice} key rotate")).expect(0);
        for _ in 0..2 {
            cycle(&sandbox, &["sales", "lab"]);
        }
    }
    sandbox.run("-C sales restore sales.backup").expect(0);
    add(&sandbox, "hq", "second");
    for _ in 0..4 {
        cycle(&sandbox, &["sales", "lab"]);
    }
    assert_equal(&sandbox, 4);
    sandbox.run("-C hq restore hq.backup").expect(0);
    add(&sandbox, "sales", "second");
    for _ in 0..4 {
        sandbox.run("-C sales send").expect(0);
        sandbox.run("-C lab send").expect(0);
        sandbox.run("-C hq cycle");
        sandbox.run("-C sales apply");
        sandbox.run("-C lab apply");
    }
    // The server's own second entry was in no other database.
    assert_equal(&sandbox, 4);
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(!log.contains("refused and set aside"), "{log}");
}

/// Its database says that the server knows the old key alone. After some requests without an answer that is not
/// believed any more.
#[test]
fn a_database_that_was_put_back_by_hand_follows_changed_keys() {
    let sandbox = three_postoffices();
    let database = sandbox.path("sales/postoffice.db");
    let older = fs::read(&database).unwrap();
    sandbox.run("-C sales key rotate").expect(0);
    for _ in 0..2 {
        cycle(&sandbox, &["sales", "lab"]);
    }
    fs::write(&database, older).unwrap();
    add(&sandbox, "sales", "second");
    for _ in 0..9 {
        sandbox.run("-C sales send");
        sandbox.run("-C lab send").expect(0);
        sandbox.run("-C hq cycle");
        sandbox.run("-C sales apply");
        sandbox.run("-C lab apply").expect(0);
    }
    assert_equal(&sandbox, 4);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// `docs/failure-stories.md` §13: after a theft the old key counts no more, at once, and a change of key that the
/// thief makes proves nothing.
#[test]
fn a_stolen_key_counts_no_more() {
    let sandbox = three_postoffices();
    copy_folder(&sandbox.path("sales"), &sandbox.path("thief"));
    let said = sandbox.run("-C sales key rotate --stolen").expect(0).out;
    let key = said.split('"').nth(1).expect("the command to say at the server");
    assert!(key.starts_with("ssh-ed25519 AAAA"), "{said}");
    sandbox.run_words(&["-C", "hq", "requestor", "set", "SOUTH/SALES", "--key", key]).expect(0);
    sandbox.run("-C hq requestor set SOUTH/SALES --key ssh-rsa").expect(2);

    sandbox.run("-C thief moved");
    sandbox.run("-C thief key rotate").expect(0);
    add(&sandbox, "thief", "forged");
    sandbox.run("-C thief send").expect(0);
    let processed = sandbox.run("-C hq process").expect(3);
    assert!(processed.err.contains("is not admitted"), "{}", processed.err);
    add(&sandbox, "sales", "second");
    for _ in 0..2 {
        sandbox.run("-C sales send").expect(0);
        sandbox.run("-C lab send").expect(0);
        sandbox.run("-C hq cycle");
        sandbox.run("-C sales apply").expect(0);
        sandbox.run("-C lab apply").expect(0);
    }
    assert_equal(&sandbox, 4);
    assert!(!sandbox.run("-C hq export").out.contains("forged"));
}

/// A server whose key was stolen invites its requestors anew; its own postoffice goes on.
#[test]
fn a_server_whose_key_was_stolen_invites_anew() {
    let sandbox = three_postoffices();
    let evidence = sandbox.read("hq/keys/evidence");
    let said = sandbox.run("-C hq key rotate --stolen").expect(0).out;
    assert_ne!(sandbox.read("hq/keys/evidence"), evidence, "the thief has that secret, too");
    assert!(said.contains("requestor add NAME --folder DIR --again"), "{said}");
    add(&sandbox, "hq", "second");
    sandbox.run("-C hq cycle").expect(0);
    assert_eq!(sandbox.status("hq")["entries"], 4);
    // A requestor that knows the old key alone refuses what the new one signs.
    sandbox.run("-C sales send").expect(0);
    let processed = sandbox.run("-C hq process").expect(3);
    assert!(processed.err.contains("which is not here"), "{}", processed.err);
    for (folder, name) in [("sales", "SOUTH/SALES"), ("lab", "WEST/LAB")] {
        fs::rename(sandbox.path(folder), sandbox.path(&format!("{folder}.old"))).unwrap();
        let out = format!("{folder}2.invitation");
        sandbox
            .run(&format!("-C hq requestor add {name} --folder share --again --out {out}"))
            .expect(0);
        sandbox.run(&format!("-C {folder} init --invitation {out}")).expect(0);
    }
    for _ in 0..4 {
        for folder in ["sales", "lab"] {
            sandbox.run(&format!("-C {folder} send")).expect(0);
        }
        sandbox.run("-C hq cycle");
        for folder in ["sales", "lab"] {
            sandbox.run(&format!("-C {folder} apply")).expect(0);
        }
    }
    assert_equal(&sandbox, 4);
}

/// An invitation has the server's key of its day. A site that comes late with it is heard all the same.
#[test]
fn the_key_of_an_open_invitation_is_kept() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add WEST/LAB --folder share --out lab.invitation").expect(0);
    for _ in 0..2 {
        sandbox.run("-C hq key rotate").expect(0);
        tidy_up(&mut Postoffice::open(&sandbox.path("hq"), "test").unwrap()).unwrap();
    }
    let older = |sandbox: &Sandbox| keys(sandbox, "hq")["older"].as_array().unwrap().len();
    assert_eq!(older(&sandbox), 2);
    sandbox.run("-C lab init --invitation lab.invitation").expect(0);
    add(&sandbox, "lab", "late");
    for _ in 0..3 {
        cycle(&sandbox, &["sales", "lab"]);
    }
    assert_equal(&sandbox, 1);
    tidy_up(&mut Postoffice::open(&sandbox.path("hq"), "test").unwrap()).unwrap();
    assert_eq!(older(&sandbox), 0, "everybody has confirmed the newest key");
}
