//! Sources, entries by hand, and targets beside each other.

use serde_json::Value;

use crate::site::{Place, people};

const WHOLE: &str = "[[source]]\nname = \"hr\"\nfile = \"../hr.csv\"\nwhole = true\n";

/// The keys of a site's own entries.
fn own_keys(place: &Place, site: &str) -> Vec<String> {
    let own = place.run(&format!("-C {site} export --own --format csv")).expect(0).out;
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

fn add_by_hand(place: &Place, key: &str) {
    place
        .run(&format!(
            "-C sales entry add --key {key} --name {key} --address SMTP:{key}@hand.example"
        ))
        .expect(0);
}

fn cycles(place: &Place, count: u32) {
    for _ in 0..count {
        place.run("-C sales cycle");
        place.run("-C hq cycle");
        place.run("-C sales apply");
    }
}

/// What waits at `sales`: (kind, key, name, id).
fn held(place: &Place) -> Vec<(String, String, String, String)> {
    let held = place.run("-C sales held list --json").json();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    held.as_array()
        .unwrap()
        .iter()
        .map(|row| (text(row, "kind"), text(row, "key"), text(row, "name"), text(row, "id")))
        .collect()
}

/// `docs/failure-stories.md` §15: what a merge brings back is no source's until one names it.
#[test]
fn hand_entries_survive_a_source() {
    let place = Place::two_sites();
    place.write("hr.csv", &people(0..20));
    place.write("sales/dirsync.toml", WHOLE);
    add_by_hand(&place, "early");
    cycles(&place, 2);
    place.run("-C sales backup sales.backup").expect(0);
    add_by_hand(&place, "late");
    add_by_hand(&place, "later");
    cycles(&place, 2);
    assert_eq!(place.status("hq")["entries"], 23);

    place.run("-C sales restore sales.backup").expect(0);
    for _ in 0..4 {
        // A file that is only copied again says nothing new.
        place.write("hr.csv", &people(0..20));
        cycles(&place, 1);
        assert_eq!(place.status("hq")["entries"], 23, "published meanwhile");
    }
    assert_eq!(own_keys(&place, "sales"), keys(0..20, &["early", "late", "later"]));
    let waiting = held(&place);
    let asked: Vec<_> =
        waiting.iter().map(|(kind, key, name, _)| (&**kind, &**key, &**name)).collect();
    assert_eq!(asked, [("unclaimed", "late", "late"), ("unclaimed", "later", "later")]);
    assert_eq!(place.status("sales")["held"], 2);

    // One stays, one goes, and neither is asked about again.
    place.run(&format!("-C sales held reject {}", waiting[0].3)).expect(0);
    place.run(&format!("-C sales held approve {}", waiting[1].3)).expect(0);
    place.write("hr.csv", &people(0..19));
    cycles(&place, 3);
    assert_eq!(own_keys(&place, "sales"), keys(0..19, &["early", "late"]));
    assert_eq!(place.status("hq")["entries"], 21);
    place.run("-C sales status").expect(0);

    // Installed anew, nothing is known here: all that the file does not name is asked about.
    std::fs::remove_dir_all(place.path("sales")).unwrap();
    place
        .run("-C hq requestor add SOUTH/SALES --folder share --again --out again.invitation")
        .expect(0);
    place.run("-C sales init --invitation again.invitation").expect(0);
    place.write("sales/dirsync.toml", WHOLE);
    cycles(&place, 4);
    assert_eq!(place.status("hq")["entries"], 21);
    let asked: Vec<_> = held(&place).into_iter().map(|(kind, key, ..)| (kind, key)).collect();
    let unclaimed = |key: &str| ("unclaimed".to_owned(), key.to_owned());
    assert_eq!(asked, [unclaimed("early"), unclaimed("late")]);
    place.run("-C sales held reject --all").expect(0);
    place.write("hr.csv", &people(0..18));
    cycles(&place, 2);
    assert_eq!(own_keys(&place, "sales"), keys(0..18, &["early", "late"]));
    assert!(held(&place).is_empty());
    place.run("-C sales entry delete early").expect(0);
    cycles(&place, 2);
    assert_eq!(place.status("hq")["entries"], 19);
    assert_eq!(place.status("hq")["digest"], place.status("sales")["digest"]);
}

const TARGETS: [&str; 3] = ["list.csv", "list.ldif", "own.csv"];

/// The targets of `sales`, beside which nothing may be stale.
fn with_targets(place: &Place) {
    place.write(
        "sales/dirsync.toml",
        "[[target]]\nfile = \"../list.csv\"\n[[target]]\nfile = \"../list.ldif\"\n\
         [[target]]\nfile = \"../own.csv\"\nown = true\n",
    );
}

/// Asserts that each target is what `export` prints.
#[track_caller]
fn targets_equal_the_list(place: &Place) {
    for target in TARGETS {
        let own = if target.starts_with("own") { "--own " } else { "" };
        let format = target.split_once('.').unwrap().1;
        let list = place.run(&format!("-C sales export {own}--format {format}")).expect(0).out;
        assert_eq!(place.read(target), list, "{target}");
    }
}

/// `docs/failure-stories.md` §15: a note that says that a file is up to date proves nothing.
#[test]
fn a_target_equals_its_list() {
    let place = Place::two_sites();
    with_targets(&place);
    place.write("people.csv", &people(0..3));
    place.run("-C hq import people.csv --whole").expect(0);
    add_by_hand(&place, "greta");
    cycles(&place, 2);
    targets_equal_the_list(&place);
    place.run("-C sales backup sales.backup").expect(0);

    // The list moves on and is put back: the notes of the backup know nothing of the files.
    place.write("people.csv", &people(0..2));
    place.run("-C hq import people.csv --whole").expect(0);
    cycles(&place, 2);
    targets_equal_the_list(&place);
    place.run("-C sales restore sales.backup").expect(0);
    place.run("-C sales apply").expect(0);
    targets_equal_the_list(&place);
    cycles(&place, 3);
    targets_equal_the_list(&place);
    assert!(!place.read("list.csv").contains("p2@x.example"), "who was deleted is gone");

    // Altered, cut, emptied or removed by others: put right, said, and counted.
    let before = place.status("sales")["targets_put_right"].as_u64().unwrap();
    let csv = place.read("list.csv");
    place.write("list.csv", &csv.replace("Person 1", "Person 9"));
    place.write("list.ldif", "");
    std::fs::remove_file(place.path("own.csv")).unwrap();
    let apply = place.run("-C sales apply").expect(0);
    targets_equal_the_list(&place);
    assert!(apply.out.contains("3 targets put right"), "{}", apply.out);
    assert!(apply.err.contains("list.csv\" was not what was written there last"), "{}", apply.err);
    assert!(apply.err.contains("own.csv\" was gone"), "{}", apply.err);
    assert_eq!(place.status("sales")["targets_put_right"], before + 3);
    assert!(place.run("-C sales status").expect(0).out.contains("was altered and put right"));

    // A file that only looks different is left alone.
    let copy = place.read("list.csv");
    std::fs::remove_file(place.path("list.csv")).unwrap();
    place.write("list.csv", &copy);
    let apply = place.run("-C sales apply").expect(0);
    assert!(!apply.out.contains("put right"), "{}", apply.out);
}

/// What stands in a target's place and is no file is named; the other targets are written.
#[test]
fn one_target_that_is_no_file_holds_up_no_other() {
    let place = Place::two_sites();
    with_targets(&place);
    add_by_hand(&place, "greta");
    cycles(&place, 2);
    targets_equal_the_list(&place);
    place.write("elsewhere.csv", "not ours\n");
    let in_the_way: [(&str, &dyn Fn()); 3] = [
        ("is a link", &|| {
            std::os::unix::fs::symlink(place.path("elsewhere.csv"), place.path("list.csv"))
                .unwrap();
        }),
        ("is a folder", &|| std::fs::create_dir(place.path("list.csv")).unwrap()),
        ("is no ordinary file", &|| {
            let made = std::process::Command::new("mkfifo").arg(place.path("list.csv")).status();
            assert!(made.unwrap().success());
        }),
    ];
    for (number, (says, put_in_the_way)) in in_the_way.into_iter().enumerate() {
        std::fs::remove_file(place.path("list.csv")).unwrap();
        put_in_the_way();
        add_by_hand(&place, &format!("more{number}"));
        place.run("-C sales send").expect(0);
        place.run("-C hq cycle").expect(0);
        let apply = place.run("-C sales apply").expect(3);
        assert!(apply.err.contains(says) && apply.err.contains("list.csv"), "{}", apply.err);
        let status = place.run("-C sales status").expect(3).out;
        assert!(status.contains("target    not written") && status.contains(says), "{status}");
        for target in &TARGETS[1..] {
            assert!(place.read(target).contains(&format!("more{number}")), "{target}");
        }
        assert_eq!(place.read("elsewhere.csv"), "not ours\n");
        match std::fs::symlink_metadata(place.path("list.csv")).unwrap().is_dir() {
            true => std::fs::remove_dir(place.path("list.csv")).unwrap(),
            false => std::fs::remove_file(place.path("list.csv")).unwrap(),
        }
        place.run("-C sales apply").expect(0);
        targets_equal_the_list(&place);
        assert_eq!(place.status("sales")["failed_targets"].as_array().unwrap().len(), 0);
    }
}
