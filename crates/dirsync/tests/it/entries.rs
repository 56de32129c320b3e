//! Entries by hand: own changes at once, handing over, and lists with members.

use serde_json::Value;

use crate::sandbox::{Sandbox, people};

fn all(sandbox: &Sandbox) {
    for _ in 0..2 {
        for command in ["sales cycle", "hq cycle", "sales apply"] {
            sandbox.run(&format!("-C {command}"));
        }
    }
}

fn states(sandbox: &Sandbox, postoffice: &str) -> Vec<(String, String)> {
    let list = sandbox.run(&format!("-C {postoffice} entry list --json")).expect(0).json();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
    let entries = list.as_array().unwrap().iter();
    entries.map(|entry| (text(entry, "name"), text(entry, "state"))).collect()
}

fn state(name: &str, state: &str) -> (String, String) {
    (name.into(), state.into())
}

#[test]
fn own_changes_are_shown_at_once_and_marked() {
    let sandbox = Sandbox::two_postoffices();
    for name in ["ana", "bo", "cy"] {
        let add = format!(
            "-C sales entry add --key {name} --name {name} --address SMTP:{name}@x.example"
        );
        sandbox.run(&add).expect(0);
    }
    assert_eq!(states(&sandbox, "sales")[0], state("ana", "not_in_list"));
    let shown = sandbox.run("-C sales entry show ana").expect(0).out;
    assert!(shown.starts_with("ana  (not published yet)\n"), "{shown}");
    all(&sandbox);
    assert_eq!(states(&sandbox, "sales"), ["ana", "bo", "cy"].map(|name| state(name, "published")));
    sandbox.run("-C sales entry modify bo --name Beau").expect(0);
    sandbox.run("-C sales entry delete cy").expect(0);
    sandbox.run("-C sales entry add --key di --name di --address SMTP:di@x.example").expect(0);
    let expected =
        [("ana", "published"), ("cy", "deleted"), ("Beau", "changed"), ("di", "not_in_list")];
    assert_eq!(states(&sandbox, "sales"), expected.map(|(name, of)| state(name, of)));
    let list = sandbox.run("-C sales entry list --search beau").expect(0).out;
    assert!(
        list.contains("Beau  SMTP:bo@x.example  SOUTH/SALES  (changed, not published yet)"),
        "{list}"
    );
    assert_eq!(list.lines().count(), 1, "and not as it was: {list}");
    assert_eq!(sandbox.run("-C sales entry show Beau --json").expect(0).json()["source"], "hand");
    all(&sandbox);
    let expected = [("Beau", "published"), ("ana", "published"), ("di", "published")];
    assert_eq!(states(&sandbox, "sales"), expected.map(|(name, of)| state(name, of)));
    let nobody = sandbox.run("-C sales entry show dii@x.example").expect(1);
    assert!(nobody.err.contains("did you mean \"di@x.example\"?"), "{}", nobody.err);
}

#[test]
fn own_entries_are_named_by_their_address_or_name_if_it_is_clear() {
    let sandbox = Sandbox::two_postoffices();
    for (key, name) in [("1", "Person 1"), ("2", "Person 2"), ("3", "Person 2")] {
        let address = format!("SMTP:p{key}@x.example");
        let add = ["-C", "hq", "entry", "add", "--key", key, "--name", name, "--address", &address];
        sandbox.run_words(&add).expect(0);
    }
    sandbox.run("-C hq entry modify p1@x.example --detail title=Chief").expect(0);
    let shown = sandbox.run("-C hq entry show 1").expect(0).out;
    assert!(shown.contains("title: Chief"), "{shown}");
    sandbox.run_words(&["-C", "hq", "entry", "delete", "Person 1"]).expect(0);
    let two = sandbox.run_words(&["-C", "hq", "entry", "delete", "Person 2"]).expect(2);
    assert!(two.err.contains("\"Person 2\" stands for 2 own entries"), "{}", two.err);
    assert_eq!(two.err.split("by its id: ").nth(1).unwrap().split(", ").count(), 2, "{}", two.err);
    let nobody = sandbox.run("-C hq entry delete p1@x.example").expect(1);
    assert!(nobody.err.contains("is not the id, key, address or name of an own entry"));
}

#[test]
fn an_address_that_no_mail_can_reach_is_refused_by_hand_too() {
    let sandbox = Sandbox::two_postoffices();
    let add = "-C hq entry add --name Ana --address SMTP:";
    for (address, why) in
        [("ana", "no \"@\""), ("a@b@x.example", "more than one"), ("ana@", "domain")]
    {
        let refused = sandbox.run(&format!("{add}{address}")).expect(2);
        assert!(refused.err.contains("is not an SMTP address"), "{}", refused.err);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    sandbox.run(&format!("{add}ana@x.example")).expect(0);
    sandbox.run("-C hq entry modify ana@x.example --address SMTP:ana").expect(2);
    sandbox
        .run_words(&["-C", "hq", "entry", "modify", "ana@x.example", "--detail", "info=a\nb"])
        .expect(0);
    let shown = sandbox.run("-C hq entry show ana@x.example").expect(0).out;
    assert!(shown.contains("info: a\\nb\n"), "a line break is no riddle: {shown}");
}

#[test]
fn an_offer_is_claimed_by_address_name_or_key() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..4));
    sandbox.run("-C hq import people.csv").expect(0);
    all(&sandbox);
    let unknown = sandbox.run("-C hq entry release 1 --to SOUTH/SALE").expect(1);
    assert!(unknown.err.contains("is not registered; nothing was changed"), "{}", unknown.err);
    assert!(unknown.err.contains("did you mean SOUTH/SALES?"), "{}", unknown.err);
    for key in 0..4 {
        let released = sandbox.run(&format!("-C hq entry release {key} --to SOUTH/SALES --json"));
        assert_eq!(released.expect(0).json()["heir_is_known"], true);
    }
    all(&sandbox);
    let status = sandbox.run("-C sales status").expect(3).out;
    assert!(
        status.contains("4 entries are offered to this site: `dirsync -C sales entry claim`"),
        "{status}"
    );
    let offers = sandbox.run("-C sales entry claim").expect(0).out;
    assert!(offers.contains("  Person 1  SMTP:p1@x.example  NORTH/HQ\n"), "{offers}");
    assert_eq!(sandbox.run("-C sales entry claim --json").expect(0).json()[3]["owner"], "NORTH/HQ");
    let nobody = sandbox.run("-C sales entry claim p1@x.exampel").expect(1);
    assert!(nobody.err.contains("did you mean \"p1@x.example\"?"), "{}", nobody.err);
    let id = sandbox.run("-C sales entry show 3 --json").expect(0).json()["id"].clone();
    for who in ["p0@x.example", "Person 1", "2", id.as_str().unwrap()] {
        sandbox.run_words(&["-C", "sales", "entry", "claim", who]).expect(0);
    }
    let none = sandbox.run("-C sales entry claim").expect(0).out;
    assert_eq!(none, "no entry is offered to this site\n");
    all(&sandbox);
    all(&sandbox);
    let list = sandbox.run("-C hq entry list --json").expect(0).json();
    let owners: Vec<&Value> = list.as_array().unwrap().iter().map(|one| &one["origin"]).collect();
    assert_eq!(owners, ["SOUTH/SALES"; 4]);
    // A requestor does not know all names: it warns.
    let release = sandbox.run("-C sales entry release 0 --to NORTH/HK").expect(0);
    assert!(release.err.contains("did you mean NORTH/HQ?"), "{}", release.err);
}

#[test]
fn lists_have_members_by_hand() {
    let sandbox = Sandbox::two_postoffices();
    for (key, more) in [
        ("ana", ""),
        ("bo", ""),
        ("crew", "--kind list --member ana@x.example --member SMTP:bo@x.example"),
        ("fleet", "--kind list --member crew@x.example --member gone@x.example"),
    ] {
        let add = format!(
            "-C sales entry add --key {key} --name {key} --address SMTP:{key}@x.example {more}"
        );
        let added = sandbox.run(&add).expect(0);
        assert_eq!(
            added.err.contains("member SMTP:gone@x.example"),
            key == "fleet",
            "{}",
            added.err
        );
    }
    let members = |key: &str| {
        let shown =
            sandbox.run(&format!("-C sales entry show {key}@x.example --json")).expect(0).json();
        shown["details"]["member"].clone()
    };
    assert_eq!(members("fleet"), serde_json::json!(["SMTP:crew@x.example", "SMTP:gone@x.example"]));
    let modify = |words: &str| sandbox.run(&format!("-C sales entry modify {words}"));
    modify("crew --remove-member ana@x.example --add-member fleet@x.example").expect(0);
    assert_eq!(members("crew"), serde_json::json!(["SMTP:bo@x.example", "SMTP:fleet@x.example"]));
    let absent = modify("crew --remove-member ana@x.example").expect(1);
    assert!(absent.err.contains("member has no value \"SMTP:ana@x.example\""), "{}", absent.err);
    let person = modify("ana --add-member bo@x.example").expect(2);
    assert!(person.err.contains("has no members"), "{}", person.err);
    modify("ana --add-detail telephoneNumber=1 --add-detail telephoneNumber=2").expect(0);
    modify("ana --add-detail telephoneNumber=3 --remove-detail telephoneNumber=1").expect(0);
    let ana = sandbox.run("-C sales entry show ana --json").expect(0).json();
    assert_eq!(ana["details"]["telephoneNumber"], serde_json::json!(["2", "3"]));
    all(&sandbox);
    let there = sandbox.run("-C hq entry show fleet --json").expect(0).json();
    assert_eq!(there["details"]["member"].as_array().unwrap().len(), 2, "lists of lists travel");
}

/// The new site's file names the person: the row takes the offered entry over, whichever came first.
#[test]
fn a_row_with_the_address_takes_over_an_entry_on_offer() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv").expect(0);
    all(&sandbox);
    let id = |key: &str| {
        let shown = sandbox.run(&format!("-C hq entry show {key} --json")).expect(0).json();
        shown["id"].as_str().unwrap().to_owned()
    };
    let (early, late) = (id("0"), id("1"));
    let settings = |claims: bool| {
        let text = format!(
            "[[source]]\nname = \"lab\"\nfile = \"../lab.csv\"\nwhole = true\nclaims = {claims}\n"
        );
        sandbox.write("sales/dirsync.toml", &text);
    };
    settings(true);
    sandbox.run("-C hq entry release 0 --to SOUTH/SALES").expect(0);
    all(&sandbox);
    // The offer is there before the row of one, and after that of the other, which waits meanwhile.
    sandbox
        .write("lab.csv", "key,cn,mail\na,Person Zero,p0@x.example\nb,Person One,p1@x.example\n");
    all(&sandbox);
    assert_eq!(
        sandbox.run("-C hq waiting --json").expect(3).json()["addresses"].as_array().unwrap().len(),
        1
    );
    sandbox.run("-C hq entry release 1 --to SOUTH/SALES").expect(0);
    all(&sandbox);
    all(&sandbox);
    let list = sandbox.run("-C hq entry list --json").expect(0).json();
    let entries: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["id"].as_str().unwrap().to_owned(),
                one["name"].as_str().unwrap(),
                one["origin"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(entries.contains(&(early, "Person Zero", "SOUTH/SALES")), "{entries:?}");
    assert!(entries.contains(&(late, "Person One", "SOUTH/SALES")), "{entries:?}");
    assert_eq!(entries.len(), 3, "and nobody twice: {entries:?}");
    assert_eq!(sandbox.run("-C hq waiting").expect(0).out.trim(), "no entry waits for an address");
    // The next read knows them by their own keys.
    sandbox.write("lab.csv", "key,cn,mail\na,Zero,p0@x.example\nb,Person One,p1@x.example\n");
    all(&sandbox);
    assert_eq!(
        sandbox.run("-C hq entry show Zero --json").expect(0).json()["origin"],
        "SOUTH/SALES"
    );
    assert_eq!(sandbox.status("hq")["entries"], 3);
}
