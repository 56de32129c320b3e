//! What a requestor sees: in words with counts, and a warning where a limit matches nothing.

use crate::sandbox::{Sandbox, people};

fn hq_with_people() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..30));
    sandbox.run("-C hq import people.csv").expect(0);
    for number in 0..5 {
        let add = format!(
            "-C hq entry add --key r{number} --kind resource --name R{number} --address X400:r{number}"
        );
        sandbox.run(&add).expect(0);
    }
    sandbox.cycle();
    sandbox.cycle();
    sandbox
}

#[test]
fn a_requestor_is_shown_with_what_it_sees_of_how_many_entries() {
    let sandbox = hq_with_people();
    sandbox.run("-C hq requestor set SOUTH/SALES --kinds mailbox,contact").expect(0);
    sandbox.write("sales/dirsync.toml", "[view]\ntypes = [\"SMTP\"]\n");
    sandbox.cycle();
    let shown = sandbox.run("-C hq requestor show SOUTH/SALES").expect(0).out;
    assert!(
        shown.contains("it sees: types SMTP; kinds mailbox contact (30 of 35 entries)"),
        "{shown}"
    );
    assert!(shown.contains("of this, its own settings want: types SMTP"), "{shown}");
    let json = sandbox.run("-C hq requestor show SOUTH/SALES --json").expect(0).json();
    assert_eq!((&json["sees"]["entries"], &json["sees"]["of"]), (&30.into(), &35.into()));
    let unknown = sandbox.run("-C hq requestor show SOUTH/SALE").expect(1);
    assert!(unknown.err.contains("did you mean SOUTH/SALES?"), "{}", unknown.err);
}

#[test]
fn registrations_are_asked_for_at_the_server() {
    let sandbox = Sandbox::two_postoffices();
    for command in ["list", "show SOUTH/SALES"] {
        let asked = sandbox.run(&format!("-C sales requestor {command}")).expect(2);
        assert!(asked.err.contains("at the directory server, NORTH/HQ"), "{}", asked.err);
    }
}

#[test]
fn a_filter_is_refused_in_its_own_words() {
    let sandbox = hq_with_people();
    let wrong = sandbox.run("-C hq requestor set SOUTH/SALES --filter (ou=Sales").expect(2);
    assert!(wrong.err.starts_with("error: the filter \"(ou=Sales\" is wrong at"), "{}", wrong.err);
}

#[test]
fn a_folder_that_was_not_there_is_said_to_be_new() {
    let sandbox = hq_with_people();
    for (name, is_new) in [("other", true), ("other", false)] {
        let line = format!("-C hq requestor set SOUTH/SALES --folder {name}");
        let said = sandbox.run(&line).expect(0).out;
        assert!(said.contains("its messages travel through /"), "{said}");
        assert_eq!(said.contains("a folder that was made just now"), is_new, "{said}");
        assert!(!said.contains("before:"), "what it may see stays: {said}");
    }
}

#[test]
fn a_limit_that_matches_nothing_is_a_warning_where_it_is_said() {
    let sandbox = hq_with_people();
    for (limit, warning) in [
        (
            "--types SNTP,X400",
            "the view's types: no entry has \"SNTP\" now; did you mean \"SMTP\"?",
        ),
        (
            "--origins NORTH/HK",
            "the view's origins: no entry has \"NORTH/HK\" now; did you mean \"NORTH/HQ\"?",
        ),
        ("--kinds list", "the view's kinds: no entry has \"list\" now"),
        ("--attributes telefonNumber", "did you mean \"telephoneNumber\"?"),
        ("--filter (ou=Bridge)", "the filter (ou=bridge) matches no entry now"),
    ] {
        let set = sandbox.run(&format!("-C hq requestor set SOUTH/SALES --everything {limit}"));
        if limit == "--filter (ou=Bridge)" || set.code == 2 {
            sandbox.run("-C hq requestor set SOUTH/SALES --everything").expect(0);
            let set = sandbox.run(&format!("-C hq requestor set SOUTH/SALES {limit}")).expect(0);
            assert!(set.err.contains(warning), "{limit}: {}", set.err);
        } else {
            assert!(set.err.contains(warning), "{limit}: {}", set.err);
        }
    }
    let good = sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --types SMTP --out d");
    assert_eq!(good.expect(0).err, "");
    let added =
        sandbox.run("-C hq requestor add ALPS/LAB --folder share --types SMPT --out l").expect(0);
    assert!(added.err.contains("did you mean \"SMTP\"?"), "{}", added.err);
    // A requestor's own settings, beside its list.
    sandbox.run("-C hq requestor set SOUTH/SALES --everything").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    sandbox.write("sales/dirsync.toml", "[view]\norigins = [\"NORTH/HQQ\"]\n");
    let check = sandbox.run("-C sales config check").expect(0);
    assert!(check.err.contains("did you mean \"NORTH/HQ\"?"), "{}", check.err);
    let json = sandbox.run("-C sales config check --json").expect(0).json();
    assert_eq!(json["unmatched"][0]["nearest"], "NORTH/HQ");
}
