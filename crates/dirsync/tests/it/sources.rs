//! Sources, entries by hand, and targets beside each other.

use serde_json::Value;

use crate::sandbox::{Sandbox, people};

const WHOLE: &str = "[[source]]\nname = \"hr\"\nfile = \"../hr.csv\"\nwhole = true\n";

/// The keys of a postoffice's own entries.
fn own_keys(sandbox: &Sandbox, postoffice: &str) -> Vec<String> {
    let own = sandbox.run(&format!("-C {postoffice} export --own --format csv")).expect(0).out;
    let header: Vec<&str> = own.lines().next().unwrap().split(',').collect();
    let column = header.iter().position(|name| *name == "key").unwrap();
    let mut keys: Vec<String> =
        own.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().to_owned()).collect();
    keys.sort();
    keys
}

fn keys(numbers: std::ops::Range<u32>, by_hand: &[&str]) -> Vec<String> {
    let mut keys: Vec<String> = numbers.map(|number| number.to_string()).collect();
    keys.extend(by_hand.iter().map(ToString::to_string));
    keys.sort();
    keys
}

fn add_by_hand(sandbox: &Sandbox, key: &str) {
    sandbox
        .run(&format!(
            "-C sales entry add --key {key} --name {key} --address SMTP:{key}@hand.example"
        ))
        .expect(0);
}

fn cycles(sandbox: &Sandbox, count: u32) {
    for _ in 0..count {
        sandbox.run("-C sales cycle");
        sandbox.run("-C hq cycle");
        sandbox.run("-C sales apply");
    }
}

/// What waits at `sales`: (reason, key, name, id).
fn held(sandbox: &Sandbox) -> Vec<(String, String, String, String)> {
    let held = sandbox.run("-C sales held list --json").json()["cases"].clone();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    held.as_array()
        .unwrap()
        .iter()
        .map(|row| (text(row, "reason"), text(row, "key"), text(row, "name"), text(row, "id")))
        .collect()
}

/// `docs/failure-stories.md` §15: what a merge brings back is no source's until one names it.
#[test]
fn hand_entries_survive_a_source() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("hr.csv", &people(0..20));
    sandbox.write("sales/dirsync.toml", WHOLE);
    add_by_hand(&sandbox, "early");
    cycles(&sandbox, 2);
    sandbox.run("-C sales backup sales.backup").expect(0);
    add_by_hand(&sandbox, "late");
    add_by_hand(&sandbox, "later");
    cycles(&sandbox, 2);
    assert_eq!(sandbox.status("hq")["entries"], 23);

    sandbox.run("-C sales restore sales.backup").expect(0);
    for _ in 0..4 {
        // A file that is only copied again says nothing new.
        sandbox.write("hr.csv", &people(0..20));
        cycles(&sandbox, 1);
        assert_eq!(sandbox.status("hq")["entries"], 23, "published meanwhile");
    }
    assert_eq!(own_keys(&sandbox, "sales"), keys(0..20, &["early", "late", "later"]));
    let waiting = held(&sandbox);
    let asked: Vec<_> =
        waiting.iter().map(|(kind, key, name, _)| (&**kind, &**key, &**name)).collect();
    assert_eq!(asked, [("unclaimed", "late", "late"), ("unclaimed", "later", "later")]);
    assert_eq!(sandbox.status("sales")["held"], 2);

    // One stays, one goes, and neither is asked about again.
    sandbox.run(&format!("-C sales held reject {}", waiting[0].3)).expect(0);
    sandbox.run(&format!("-C sales held approve {}", waiting[1].3)).expect(0);
    sandbox.write("hr.csv", &people(0..19));
    cycles(&sandbox, 3);
    assert_eq!(own_keys(&sandbox, "sales"), keys(0..19, &["early", "late"]));
    assert_eq!(sandbox.status("hq")["entries"], 21);
    sandbox.run("-C sales status").expect(0);

    // Installed anew, nothing is known here: all that the file does not name is asked about.
    std::fs::remove_dir_all(sandbox.path("sales")).unwrap();
    sandbox
        .run("-C hq requestor add SOUTH/SALES --folder share --again --out again.invitation")
        .expect(0);
    sandbox.run("-C sales init --invitation again.invitation").expect(0);
    sandbox.write("sales/dirsync.toml", WHOLE);
    cycles(&sandbox, 4);
    assert_eq!(sandbox.status("hq")["entries"], 21);
    let asked: Vec<_> = held(&sandbox).into_iter().map(|(kind, key, ..)| (kind, key)).collect();
    let unclaimed = |key: &str| ("unclaimed".to_owned(), key.to_owned());
    assert_eq!(asked, [unclaimed("early"), unclaimed("late")]);
    sandbox.run("-C sales held reject --all").expect(0);
    sandbox.write("hr.csv", &people(0..18));
    cycles(&sandbox, 2);
    assert_eq!(own_keys(&sandbox, "sales"), keys(0..18, &["early", "late"]));
    assert!(held(&sandbox).is_empty());
    sandbox.run("-C sales entry delete early").expect(0);
    cycles(&sandbox, 2);
    assert_eq!(sandbox.status("hq")["entries"], 19);
    assert_eq!(sandbox.status("hq")["digest"], sandbox.status("sales")["digest"]);
}

const TARGETS: [&str; 3] = ["list.csv", "list.ldif", "own.csv"];

/// The targets of `sales`, beside which nothing may be stale.
fn with_targets(sandbox: &Sandbox) {
    sandbox.write(
        "sales/dirsync.toml",
        "[[target]]\nfile = \"../list.csv\"\n[[target]]\nfile = \"../list.ldif\"\n\
         [[target]]\nfile = \"../own.csv\"\nown = true\n",
    );
}

/// Asserts that each target is what `export` prints.
#[track_caller]
fn targets_equal_the_list(sandbox: &Sandbox) {
    for target in TARGETS {
        let own = if target.starts_with("own") { "--own " } else { "" };
        let format = target.split_once('.').unwrap().1;
        let list = sandbox.run(&format!("-C sales export {own}--format {format}")).expect(0).out;
        assert_eq!(sandbox.read(target), list, "{target}");
    }
}

/// `docs/failure-stories.md` §15: a note that says that a file is up to date proves nothing.
#[test]
fn a_target_equals_its_list() {
    let sandbox = Sandbox::two_postoffices();
    with_targets(&sandbox);
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    add_by_hand(&sandbox, "greta");
    cycles(&sandbox, 2);
    targets_equal_the_list(&sandbox);
    sandbox.run("-C sales backup sales.backup").expect(0);

    // The list moves on and is put back: the notes of the backup know nothing of the files.
    sandbox.write("people.csv", &people(0..2));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    cycles(&sandbox, 2);
    targets_equal_the_list(&sandbox);
    sandbox.run("-C sales restore sales.backup").expect(0);
    sandbox.run("-C sales apply").expect(0);
    targets_equal_the_list(&sandbox);
    cycles(&sandbox, 3);
    targets_equal_the_list(&sandbox);
    assert!(!sandbox.read("list.csv").contains("p2@x.example"), "who was deleted is gone");

    // Altered, cut, emptied or removed by others: put right, said, and counted.
    let before = sandbox.status("sales")["targets_put_right"].as_u64().unwrap();
    let csv = sandbox.read("list.csv");
    sandbox.write("list.csv", &csv.replace("Person 1", "Person 9"));
    sandbox.write("list.ldif", "");
    std::fs::remove_file(sandbox.path("own.csv")).unwrap();
    let apply = sandbox.run("-C sales apply").expect(0);
    targets_equal_the_list(&sandbox);
    assert!(apply.out.contains("3 targets put right"), "{}", apply.out);
    assert!(apply.err.contains("list.csv\" was not what was written there last"), "{}", apply.err);
    assert!(apply.err.contains("own.csv\" was gone"), "{}", apply.err);
    assert_eq!(sandbox.status("sales")["targets_put_right"], before + 3);
    assert!(sandbox.run("-C sales status").expect(0).out.contains("was altered and put right"));

    // A file that only looks different is left alone.
    let copy = sandbox.read("list.csv");
    std::fs::remove_file(sandbox.path("list.csv")).unwrap();
    sandbox.write("list.csv", &copy);
    let apply = sandbox.run("-C sales apply").expect(0);
    assert!(!apply.out.contains("put right"), "{}", apply.out);
}

/// What stands in a target's place and is no file is named; the other targets are written.
#[test]
fn one_target_that_is_no_file_holds_up_no_other() {
    let sandbox = Sandbox::two_postoffices();
    with_targets(&sandbox);
    add_by_hand(&sandbox, "greta");
    cycles(&sandbox, 2);
    targets_equal_the_list(&sandbox);
    sandbox.write("elsewhere.csv", "not ours\n");
    let in_the_way: [(&str, &dyn Fn()); 3] = [
        ("is a link", &|| {
            std::os::unix::fs::symlink(sandbox.path("elsewhere.csv"), sandbox.path("list.csv"))
                .unwrap();
        }),
        ("is a folder", &|| std::fs::create_dir(sandbox.path("list.csv")).unwrap()),
        ("is no ordinary file", &|| {
            let made = std::process::Command::new("mkfifo").arg(sandbox.path("list.csv")).status();
            assert!(made.unwrap().success());
        }),
    ];
    for (number, (says, put_in_the_way)) in in_the_way.into_iter().enumerate() {
        std::fs::remove_file(sandbox.path("list.csv")).unwrap();
        put_in_the_way();
        add_by_hand(&sandbox, &format!("more{number}"));
        sandbox.run("-C sales send").expect(0);
        sandbox.run("-C hq cycle").expect(0);
        let apply = sandbox.run("-C sales apply").expect(3);
        assert!(apply.err.contains(says) && apply.err.contains("list.csv"), "{}", apply.err);
        let status = sandbox.run("-C sales status").expect(3).out;
        assert!(status.contains("list.csv\" was not written") && status.contains(says), "{status}");
        for target in &TARGETS[1..] {
            assert!(sandbox.read(target).contains(&format!("more{number}")), "{target}");
        }
        assert_eq!(sandbox.read("elsewhere.csv"), "not ours\n");
        match std::fs::symlink_metadata(sandbox.path("list.csv")).unwrap().is_dir() {
            true => std::fs::remove_dir(sandbox.path("list.csv")).unwrap(),
            false => std::fs::remove_file(sandbox.path("list.csv")).unwrap(),
        }
        sandbox.run("-C sales apply").expect(0);
        targets_equal_the_list(&sandbox);
        assert_eq!(sandbox.status("sales")["alarms"].as_array().unwrap().len(), 0);
    }
}

/// Found by a world: the other source would not have been read before its file changed.
#[test]
fn an_entry_that_one_source_drops_stays_while_another_names_it() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("sales/all.csv", &people(0..4));
    sandbox.write("sales/more.csv", &people(2..6));
    sandbox.write(
        "sales/dirsync.toml",
        "[[source]]\nname = \"more\"\nfile = \"more.csv\"\nwhole = true\n\
         [[source]]\nname = \"all\"\nfile = \"all.csv\"\nwhole = true\n",
    );
    cycles(&sandbox, 2);
    assert_eq!(own_keys(&sandbox, "sales"), keys(0..6, &[]));
    sandbox.write("sales/more.csv", &people(4..7));
    cycles(&sandbox, 2);
    assert_eq!(own_keys(&sandbox, "sales"), keys(0..7, &[]), "2 and 3 are in the other file");
    sandbox.write("sales/all.csv", &people(0..3));
    cycles(&sandbox, 2);
    let left: Vec<String> = [0, 1, 2, 4, 5, 6].map(|number: u32| number.to_string()).to_vec();
    assert_eq!(own_keys(&sandbox, "sales"), left, "3 is in neither");
}
