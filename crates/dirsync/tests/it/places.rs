//! Several places: how they are named at both ends, and what is said of them.

use std::fs;

use serde_json::Value;

use crate::agent::{Agent, eventually};
use crate::sandbox::{Sandbox, people};

/// A server and a requestor with two shares. At the requestor they are mounted under other names.
fn with_two_shares() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    let add =
        "-C hq requestor add SOUTH/SALES --folder first --folder second --out sales.invitation";
    let added = sandbox.run(add).expect(0).out;
    assert!(
        added.contains("/first, a folder that was made just now; if that does not work, through")
    );
    sandbox
}

/// The last parts of the paths of places.
fn names(places: &Value) -> Vec<String> {
    let text = |place: &Value| place.as_str().or(place["place"].as_str()).unwrap().to_owned();
    let name = |text: String| text.rsplit_once('/').unwrap().1.to_owned();
    places.as_array().unwrap().iter().map(text).map(name).collect()
}

#[test]
fn the_order_of_folders_counts_at_both_ends() {
    let sandbox = with_two_shares();
    let invitation = sandbox.read("sales.invitation");
    let (first, second) = (invitation.find("/first\""), invitation.find("/second\""));
    assert!(first.is_some() && first < second, "{invitation}");
    sandbox.run("-C sales init --invitation sales.invitation").expect(0);
    let list = || sandbox.run("-C sales carrier list --json").expect(0).json();
    assert_eq!(names(&list()), ["first", "second"]);
    assert_eq!((&list()[0]["in_use"], &list()[1]["in_use"]), (&true.into(), &false.into()));
    assert!(list()[0]["fails_since"].is_null() && list()[0]["error"].is_null());

    sandbox.write("people.csv", &people(0..2));
    sandbox.run("-C sales import people.csv").expect(0);
    let set = sandbox.run("-C sales carrier set --folder second --folder first").expect(0).out;
    assert!(set.contains("requestor set SOUTH/SALES --folder DIR"), "{set}");
    assert_eq!(names(&list()), ["second", "first"]);
    let undo = sandbox.run("-C sales undo");
    assert!(
        undo.out.contains("carrier set") && undo.out.contains("cannot be undone"),
        "{}",
        undo.out
    );

    let shown = || sandbox.run("-C hq requestor show SOUTH/SALES --json").expect(0).json();
    assert_eq!(names(&shown()["places"]), ["first", "second"]);
    sandbox.run("-C hq requestor set SOUTH/SALES --folder second --folder third").expect(0);
    assert_eq!(names(&shown()["places"]), ["second", "third"]);
    sandbox.run("-C hq undo --yes").expect(0);
    assert_eq!(names(&shown()["places"]), ["first", "second"]);
    let log = sandbox.read("hq/decisions.log");
    assert!(
        log.lines().any(|line| line.contains("\tcarrier\t") && line.ends_with("/third")),
        "{log}"
    );
}

#[test]
fn a_requestor_names_its_own_mount_points() {
    let sandbox = with_two_shares();
    for mounted in ["mnt1", "mnt2", "mnt3"] {
        fs::create_dir(sandbox.path(mounted)).unwrap();
    }
    let init = "-C sales init --invitation sales.invitation";
    for (folders, code, says) in [
        ("--folder mnt1 --folder nowhere", 4, "\"nowhere\" cannot be reached"),
        ("--folder mnt1 --folder ./mnt1", 2, "and the shared folder \"./mnt1\" are the same place"),
        ("--folder sales.invitation", 4, "it is not a folder"),
        ("--folder mnt1 --folder mnt2 --folder mnt3", 2, "has 2 folders, and --folder names 3"),
    ] {
        let ran = sandbox.run(&format!("{init} {folders}")).expect(code);
        assert!(ran.err.contains(says) && ran.err.contains("hint:"), "{folders}: {}", ran.err);
        assert!(!sandbox.exists("sales"), "{folders}");
    }
    sandbox.run(&format!("{init} --folder mnt1 --folder mnt2")).expect(0);
    let list = sandbox.run("-C sales carrier list").expect(0).out;
    assert!(list.contains("1  folder:") && list.contains("/mnt1, in use\n"), "{list}");
    assert!(list.contains("2  folder:") && list.contains("/mnt2\n"), "{list}");
}

#[test]
fn bad_folders_are_refused_and_change_nothing() {
    let sandbox = with_two_shares();
    sandbox.run("-C sales init --invitation sales.invitation").expect(0);
    let add = "-C hq requestor add SOUTH/WORKS --out works.invitation";
    sandbox.run(add).expect(2);
    let twice = sandbox.run(&format!("{add} --folder first --folder ./first")).expect(2);
    assert!(twice.err.contains("are the same place") && twice.err.contains("each place once"));
    assert!(!sandbox.exists("works.invitation"));
    sandbox.run("-C hq requestor show SOUTH/WORKS").expect(1);
    sandbox.run("-C hq requestor set SOUTH/SALES --folder second --folder second").expect(2);

    sandbox.run("-C sales carrier set").expect(2);
    sandbox.run("-C sales carrier set --folder nowhere").expect(4);
    sandbox.run("-C sales carrier set --folder first --folder first").expect(2);
    let list = sandbox.run("-C sales carrier list --json").expect(0).json();
    assert_eq!(names(&list), ["first", "second"]);
    for command in ["list", "set --folder first"] {
        let ran = sandbox.run(&format!("-C hq carrier {command}")).expect(2);
        assert!(ran.err.contains("requestor set NAME --folder DIR"), "{}", ran.err);
    }
}

#[test]
fn status_says_which_place_is_used_and_which_fails() {
    let sandbox = with_two_shares();
    sandbox.run("-C sales init --invitation sales.invitation").expect(0);
    sandbox.cycle();
    let hq = sandbox.run("-C hq status").expect(0).out;
    assert!(!hq.contains("places  "), "nothing is to be said: {hq}");
    let verbose = sandbox.run("-C hq status -v").expect(0).out;
    assert!(verbose.contains("/first, in use; folder:"), "{verbose}");

    fs::rename(sandbox.path("first"), sandbox.path("away")).unwrap();
    sandbox.run("-C sales send").expect(4);
    sandbox.run("-C hq process").expect(4);
    for (folder, at) in [("hq", 1), ("sales", 0)] {
        let status = sandbox.status(folder);
        let own = status["requestors"].as_array().unwrap();
        let sales = own.iter().find(|one| one["name"] == "SOUTH/SALES").unwrap();
        assert_eq!(own.len(), at + 1);
        let places = &sales["places"];
        assert_eq!(names(places), ["first", "second"]);
        assert_eq!(places[0]["in_use"], true, "it may come back: {places}");
        assert!(places[0]["fails_since"].is_string(), "{places}");
        assert!(places[0]["error"].as_str().unwrap().contains("cannot reach"), "{places}");
        assert!(places[1]["error"].is_null(), "{places}");
        let shown = sandbox.run(&format!("-C {folder} status")).out;
        assert!(shown.contains("places    SOUTH/SALES: folder:"), "{shown}");
        assert!(shown.contains("/first, in use, fails since"), "{shown}");
    }
    fs::rename(sandbox.path("away"), sandbox.path("first")).unwrap();
    sandbox.cycle();
    assert!(sandbox.status("hq")["requestors"][0]["places"][0]["error"].is_null());
    sandbox.run("-C hq status").expect(0);
    sandbox.run("-C sales status").expect(0);
}

/// The settings of places that may fail for no time at all.
fn settings(sandbox: &Sandbox, shares: &[&str]) -> String {
    let folder = fs::canonicalize(sandbox.folder.path()).unwrap();
    let table = |share: &&str| {
        format!("[[place]]\nplace = \"folder:{}/{share}\"\nfall_back = \"0 s\"\n", folder.display())
    };
    shares.iter().map(table).collect()
}

#[test]
fn messages_go_round_a_share_that_is_away_until_it_is_back() {
    let sandbox = with_two_shares();
    sandbox.run("-C sales init --invitation sales.invitation").expect(0);
    for postoffice in ["hq", "sales"] {
        let text = settings(&sandbox, &["first", "second"]);
        sandbox.write(&format!("{postoffice}/dirsync.toml"), &text);
        sandbox.run(&format!("-C {postoffice} config check")).expect(0);
    }
    sandbox.write("people.csv", &people(0..4));
    sandbox.run("-C sales import people.csv").expect(0);
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 4);

    fs::rename(sandbox.path("first"), sandbox.path("away")).unwrap();
    sandbox.write("more.csv", &people(4..9));
    sandbox.run("-C sales import more.csv").expect(0);
    // The first round only finds out that it is away.
    sandbox.cycle();
    sandbox.cycle();
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 9);
    assert_eq!(sandbox.status("sales")["entries"], 9);
    for folder in ["hq", "sales"] {
        let shown = sandbox.run(&format!("-C {folder} status")).expect(3).out;
        assert!(shown.contains("/first, fails since"), "{shown}");
        assert!(shown.contains("/second, in use"), "{shown}");
    }

    fs::rename(sandbox.path("away"), sandbox.path("first")).unwrap();
    sandbox.cycle();
    for folder in ["hq", "sales"] {
        let shown = sandbox.run(&format!("-C {folder} status -v")).expect(0).out;
        assert!(shown.contains("/first, in use; folder:"), "{shown}");
        let log = sandbox.run(&format!("-C {folder} log")).expect(0).out;
        assert!(log.contains("/first can be used again"), "{log}");
    }
}

/// The agent does not rest because one of two places is away.
#[test]
fn an_agent_sends_through_the_place_that_is_there() {
    let sandbox = with_two_shares();
    sandbox.run("-C sales init --invitation sales.invitation").expect(0);
    for postoffice in ["hq", "sales"] {
        let text = settings(&sandbox, &["first", "second"]);
        let text = format!("[schedule]\npoll = \"1 s\"\n{text}");
        sandbox.write(&format!("{postoffice}/dirsync.toml"), &text);
    }
    let agent = Agent::start(&sandbox, &["hq", "sales"]);
    let have = |entries: u64| {
        ["hq", "sales"].iter().all(|postoffice| sandbox.status(postoffice)["entries"] == entries)
    };
    sandbox.write("people.csv", &people(0..4));
    sandbox.run("-C sales import people.csv").expect(0);
    eventually("the first fill", || have(4));
    fs::rename(sandbox.path("first"), sandbox.path("away")).unwrap();
    sandbox.write("more.csv", &people(4..9));
    sandbox.run("-C sales import more.csv").expect(0);
    eventually("the other place", || have(9));
    fs::rename(sandbox.path("away"), sandbox.path("first")).unwrap();
    let is_well = |postoffice: &&str| sandbox.run(&format!("-C {postoffice} status")).code == 0;
    eventually("it is back", || ["hq", "sales"].iter().all(is_well));
    assert_eq!(agent.terminate(), 0);
}

#[test]
fn settings_of_no_place_are_told() {
    let sandbox = with_two_shares();
    sandbox.run("-C sales init --invitation sales.invitation").expect(0);
    sandbox.write("sales/dirsync.toml", &settings(&sandbox, &["second", "frist"]));
    let check = sandbox.run("-C sales config check").expect(0);
    assert!(check.err.contains("/frist is none of the places"), "{}", check.err);
    assert!(!check.err.contains("/second is"), "{}", check.err);
}
