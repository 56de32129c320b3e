//! Entries that wait for addresses which others have: said beforehand, and listed.

use crate::sandbox::{Sandbox, people};

/// `sales` has twenty people, `depot` knows them.
fn three() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    sandbox.write("people.csv", &people(0..20));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    all(&sandbox);
    all(&sandbox);
    sandbox
}

fn all(sandbox: &Sandbox) {
    for command in ["sales cycle", "depot cycle", "hq cycle", "sales apply", "depot apply"] {
        sandbox.run(&format!("-C {command}"));
    }
}

#[test]
fn an_address_that_others_have_is_a_warning_where_it_is_asked_for() {
    let sandbox = three();
    let add = "-C depot entry add --key twin --name Twin --address SMTP:P1@x.example";
    let added = sandbox.run(add).expect(0);
    assert!(
        added.err.contains("SMTP:p1@x.example of twin is taken: Person 1 of SOUTH/SALES has it"),
        "{}",
        added.err
    );
    let own = sandbox
        .run("-C depot entry add --key third --name Third --address SMTP:p1@x.example --json");
    let taken = own.expect(0).json()["taken"].clone();
    let holders: Vec<&str> =
        taken.as_array().unwrap().iter().map(|one| one["holder"].as_str().unwrap()).collect();
    assert_eq!(holders, ["ALPS/DEPOT", "SOUTH/SALES"], "an own entry is another one too");
    let free = "-C depot entry modify third --address SMTP:third@x.example --json";
    assert_eq!(sandbox.run(free).expect(0).json()["taken"].as_array().unwrap().len(), 0);
    // A change of something else asks for no address.
    let phone = "-C depot entry modify twin --detail telephoneNumber=1 --json";
    assert_eq!(sandbox.run(phone).expect(0).json()["taken"].as_array().unwrap().len(), 0);
    // A whole file: in a dry run and in earnest; not again when nothing changes.
    let same = people(0..12).replace("key,cn", "no,cn");
    sandbox.write("same.csv", &same);
    for dry_run in [" --dry-run", ""] {
        let ran = sandbox.run(&format!("-C depot import same.csv{dry_run}"));
        assert!(ran.err.contains("SMTP:p0@x.example of "), "{}", ran.err);
        assert!(
            ran.err.contains("12 addresses are taken in all; --json lists more"),
            "{}",
            ran.err
        );
    }
    // So many of them wait for a person, who says yes.
    sandbox.run("-C depot held approve taken:import").expect(0);
    let again = sandbox.run("-C depot import same.csv").expect(0);
    assert!(!again.err.contains("taken"), "{}", again.err);
}

/// One line tells of all the addresses that one entry has. Nobody is told that an entry waits for an address
/// that is not asked for yet, or no more.
#[test]
fn addresses_that_one_entry_has_are_one_warning() {
    let sandbox = three();
    let addresses = "--address SMTP:duo@x.example --address SIP:duo@x.example";
    sandbox.run(&format!("-C sales entry add --key duo --name Duo {addresses}")).expect(0);
    all(&sandbox);
    let both = sandbox.run(&format!("-C depot entry add --key twin --name Twin {addresses}"));
    let both = both.expect(0);
    assert_eq!(both.err.lines().count(), 1, "{}", both.err);
    let of_sales = " and 1 more of twin are taken: Duo of SOUTH/SALES has them, and this entry \
                    will wait for them";
    assert!(both.err.contains(of_sales), "{}", both.err);
    sandbox.write("same.csv", &people(0..12));
    let held = sandbox.run("-C depot import same.csv").expect(3);
    assert!(held.err.contains("is taken: Person 0 of SOUTH/SALES has it\n"), "{}", held.err);
    assert!(!held.err.contains("will wait"), "{}", held.err);
    assert_eq!(
        sandbox.status("depot")["requestors"][0]["behind"],
        1,
        "what is held is not to be sent"
    );
    sandbox.run("-C depot held reject --all").expect(0);
    let again = sandbox.run("-C depot import same.csv").expect(0);
    assert!(!again.err.contains("taken"), "{}", again.err);
}

#[test]
fn those_who_wait_are_listed_with_those_who_have_the_address() {
    let sandbox = three();
    assert_eq!(sandbox.run("-C hq waiting").expect(0).out.trim(), "no entry waits for an address");
    for number in 0..5 {
        let words = format!(
            "entry add --key twin{number} --name Twin{number} --address SMTP:p{number}@x.example"
        );
        sandbox.run(&format!("-C depot {words}")).expect(0);
    }
    sandbox.run("-C hq entry add --key one --name One --address SMTP:p7@x.example").expect(0);
    all(&sandbox);
    all(&sandbox);
    let shown = sandbox.run("-C hq waiting").expect(3).out;
    assert!(
        shown.contains("5 entries of ALPS/DEPOT wait for addresses that SOUTH/SALES has:"),
        "{shown}"
    );
    let line = "SMTP:p0@x.example: Twin0 (key twin0) of ALPS/DEPOT waits, Person 0 (key 0) of SOUTH/SALES has it";
    assert!(shown.contains(line), "{shown}");
    assert!(shown.contains("… 2 more (--all)"), "{shown}");
    assert!(
        shown.contains("1 entry of NORTH/HQ waits for an address that SOUTH/SALES has:"),
        "{shown}"
    );
    assert_eq!(sandbox.run("-C hq waiting --all").expect(3).out.lines().count(), 6);
    let json = sandbox.run("-C hq waiting --json").expect(3).json();
    assert_eq!(json["groups"].as_array().unwrap().len(), 2);
    assert_eq!(json["addresses"].as_array().unwrap().len(), 6);
    // Each side knows of its own.
    let waits = sandbox.run("-C depot waiting --all").expect(3).out;
    assert_eq!(waits.lines().count(), 5, "{waits}");
    assert!(waits.contains(line), "{waits}");
    let has = sandbox.run("-C sales waiting --json").expect(3).json();
    assert_eq!(has["addresses"].as_array().unwrap().len(), 6);
    let one = has["addresses"].as_array().unwrap().iter().find(|one| one["origin"] == "NORTH/HQ");
    assert_eq!(one.unwrap()["has_it"]["key"], "7");
    assert_eq!(one.unwrap()["waiting"], serde_json::Value::Null);
    // It ends by itself when the address is free.
    sandbox.write("people.csv", &people(5..20));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    all(&sandbox);
    all(&sandbox);
    assert_eq!(
        sandbox.run("-C depot waiting").expect(0).out.trim(),
        "no entry waits for an address"
    );
}
