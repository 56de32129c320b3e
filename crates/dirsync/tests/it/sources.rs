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

/// `failure-stories` §15: what a merge brings back is no source's until one names it.
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
