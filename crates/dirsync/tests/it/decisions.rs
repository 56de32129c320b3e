//! What an administrator decides, and what becomes of it.

use crate::site::{Place, people};

fn count(value: &serde_json::Value) -> usize {
    value.as_array().expect("a list").len()
}

/// Two sites, and at `sales` 40 people of a whole source, all of whose deletions are held.
fn forty_held() -> Place {
    let place = Place::two_sites();
    place.write("people.csv", &people(0..40));
    place.run("-C sales import people.csv --whole").expect(0);
    place.cycle();
    place.cycle();
    place.write("few.csv", &people(0..10));
    place.run("-C sales import few.csv --whole").expect(3);
    assert_eq!(place.status("sales")["held"], 30);
    place
}

/// `failure-stories` §15: what was rejected is closed. No later approval lets it through, nor a later
/// read that asks for the same, however few it asks for; one that asks for something else opens it.
#[test]
fn rejected_stays_rejected() {
    let place = forty_held();
    let held = place.run("-C sales held list --json").expect(3).json();
    let closed = held[0]["id"].as_str().unwrap().to_owned();
    place.run("-C sales held reject --all").expect(0);
    assert_eq!(count(&place.run("-C sales held list --json").expect(0).json()), 0);
    let rejected = place.run("-C sales held list --rejected --json").expect(0).json();
    assert_eq!(count(&rejected), 30);
    place.run("-C sales held approve --all").expect(0);
    assert_eq!(place.status("sales")["own_entries"], 40, "rejected is closed");
    let named = place.run(&format!("-C sales held approve {closed}")).expect(2);
    assert!(named.err.contains("was rejected"), "{}", named.err);

    // The same absence again, of all and of few: it stays closed, and holds up nothing else.
    place.run("-C sales import few.csv --whole").expect(0);
    place.write("most.csv", &people(0..38));
    place.run("-C sales import most.csv --whole").expect(0);
    assert_eq!(place.status("sales")["own_entries"], 40, "the last two were rejected");
    place.write("others.csv", &people(5..38));
    place.run("-C sales import others.csv --whole").expect(0);
    assert_eq!(place.status("sales")["own_entries"], 35, "five others are deleted");

    // What came back and is missing once more is asked for anew.
    place.write("people.csv", &people(5..40));
    place.run("-C sales import people.csv --whole").expect(0);
    assert_eq!(count(&place.run("-C sales held list --rejected --json").expect(0).json()), 0);
    place.run("-C sales import few.csv --whole").expect(3);
    assert_eq!(place.status("sales")["held"], 30);
    place.run("-C sales held approve --all").expect(0);
    assert_eq!(place.status("sales")["own_entries"], 10);
}

/// The same for changes: the rejected content stays rejected, other content is another case.
#[test]
fn a_rejected_change_opens_again_with_other_content() {
    let place = Place::two_sites();
    let rows = |telephone: &str| {
        let mut text = String::from("key,cn,mail,telephoneNumber,title\n");
        for number in 0..40 {
            text.push_str(&format!("{number},P {number},p{number}@x.example,{telephone},Pilot\n"));
        }
        text
    };
    let shown = |place: &Place| {
        let out = place.run("-C sales export --own").expect(0).out;
        (out.contains("+1 555"), out.contains("Pilot"))
    };
    place.write("people.csv", &rows("+1 555"));
    place.run("-C sales import people.csv --whole").expect(0);
    place.cycle();
    place.write("people.csv", &rows(""));
    place.run("-C sales import people.csv --whole").expect(3);
    place.run("-C sales held reject --all").expect(0);
    place.run("-C sales import people.csv --whole").expect(0);
    place.run("-C sales held approve --all").expect(0);
    assert_eq!(shown(&place), (true, true));
    place.write("people.csv", &rows("").replace("Pilot", ""));
    place.run("-C sales import people.csv --whole").expect(3);
    place.run("-C sales held approve --all").expect(0);
    assert_eq!(shown(&place), (false, false));
}

/// The same for deletions that the server holds.
#[test]
fn a_deletion_rejected_at_the_server_is_closed() {
    let place = Place::two_sites();
    place.write("people.csv", &people(0..40));
    place.run("-C sales import people.csv --whole").expect(0);
    place.cycle();
    place.cycle();
    // The site's own guard lets them through; the server's does not.
    place.write("sales/dirsync.toml", "[guard]\ndelete = { entries = 100 }\n");
    place.write("few.csv", &people(0..22));
    place.run("-C sales import few.csv --whole").expect(0);
    place.cycle();
    let held = place.run("-C hq held list --json").expect(3).json();
    assert_eq!(count(&held), 18);
    let (one, other) = (held[0]["id"].as_str().unwrap(), held[1]["id"].as_str().unwrap());
    place.run(&format!("-C hq held reject {one}")).expect(0);
    assert_eq!(count(&place.run("-C hq held list --json").expect(3).json()), 17);
    let rejected = place.run("-C hq held list --rejected --json").expect(0).json();
    assert_eq!((count(&rejected), rejected[0]["id"].as_str()), (1, Some(one)));
    // A closed case among those named: nothing is done.
    let named = place.run(&format!("-C hq held approve {one} {other}")).expect(2);
    assert!(named.err.contains("was rejected") && named.err.contains(one), "{}", named.err);
    assert_eq!(count(&place.run("-C hq held list --json").expect(3).json()), 17);
    place.run("-C hq held approve --all").expect(0);
    place.cycle();
    place.cycle();
    assert_eq!(place.status("hq")["entries"], 23, "the rejected one stays published");
    let unknown = place.run(&format!("-C hq held approve {other}")).expect(2);
    assert!(unknown.err.contains("is not held"), "{}", unknown.err);
}
