//! One word undoes: what a read, a command or a decision changed is put back.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sandbox::{Sandbox, people};

const WHOLE: &str = "[[source]]\nname = \"hr\"\nfile = \"../hr.csv\"\nwhole = true\n";

/// A server, and requestors `sales` and `lab`; `sales` has a whole source.
fn three() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add EAST/LAB --folder lab-share --out lab.invitation").expect(0);
    sandbox.run("-C lab init --invitation lab.invitation").expect(0);
    sandbox.write("sales/dirsync.toml", WHOLE);
    sandbox
}

fn cycles(sandbox: &Sandbox) {
    for _ in 0..2 {
        sandbox.run("-C sales cycle");
        sandbox.run("-C lab cycle");
        sandbox.run("-C hq cycle").expect(0);
        sandbox.run("-C lab apply").expect(0);
        sandbox.run("-C sales apply");
    }
}

/// The ids of a postoffice's list, by key.
fn ids(sandbox: &Sandbox, postoffice: &str) -> BTreeMap<String, String> {
    let list = sandbox.run(&format!("-C {postoffice} entry list --json")).expect(0).json();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|entry| (text(entry, "key"), text(entry, "id"))).collect()
}

/// The number of the newest run that the log tells of.
fn newest(sandbox: &Sandbox, postoffice: &str) -> u64 {
    let log = sandbox.run(&format!("-C {postoffice} log --json")).expect(0).json();
    log.as_array().unwrap().iter().rev().find_map(|line| line["run"].as_u64()).unwrap()
}

#[test]
fn a_cut_off_file_that_was_let_through_is_undone_everywhere() {
    let sandbox = three();
    sandbox.write("hr.csv", &people(0..40));
    cycles(&sandbox);
    let before = ids(&sandbox, "lab");
    assert_eq!(before.len(), 40);
    // The export breaks off after three rows, and somebody lets the deletions through.
    sandbox.write("hr.csv", &people(0..3));
    cycles(&sandbox);
    sandbox.run("-C sales held approve --all").expect(0);
    cycles(&sandbox);
    assert_eq!(ids(&sandbox, "lab").len(), 3);

    let dry = sandbox.run("-C sales undo").expect(0).out;
    assert!(dry.contains("approval of held changes") && dry.contains("37 deleted"), "{dry}");
    assert!(dry.contains("37 entries would come back: ") && dry.contains("… 27 more"), "{dry}");
    assert!(dry.contains("nothing was done"), "{dry}");
    assert_eq!(sandbox.status("sales")["own_entries"], 3);
    let undone = sandbox.run("-C sales undo --yes --json").expect(0).json();
    assert_eq!((&undone["returned"], &undone["left"]), (&37.into(), &0.into()));
    assert_eq!(undone["held"], serde_json::json!(["hr"]));
    // The same file does nothing again, and `status` says so.
    sandbox.run("-C sales status").expect(3);
    let status = sandbox.status("sales");
    let alarms = status["alarms"].as_array().unwrap();
    let source = alarms.iter().find(|alarm| alarm["kind"] == "source").unwrap();
    assert_eq!((&source["name"], &source["held"]), (&"hr".into(), &true.into()));
    cycles(&sandbox);
    assert_eq!(ids(&sandbox, "lab"), before, "under the same ids");
    assert_eq!(sandbox.status("hq")["digest"], sandbox.status("lab")["digest"]);
    sandbox.write("hr.csv", &people(0..4));
    let read = sandbox.run("-C sales cycle");
    assert!(
        read.err.contains("source \"hr\" is held") && read.err.contains("36 entries"),
        "{}",
        read.err
    );
    cycles(&sandbox);
    assert_eq!(ids(&sandbox, "lab"), before);
    // The whole file is here again.
    sandbox.write("hr.csv", &people(0..41));
    cycles(&sandbox);
    sandbox.run("-C sales status").expect(0);
    assert_eq!(ids(&sandbox, "lab").len(), 41);
}

#[test]
fn the_log_numbers_the_runs_and_shows_each() {
    let sandbox = three();
    sandbox.write("hr.csv", &people(0..20));
    cycles(&sandbox);
    let first = newest(&sandbox, "sales");
    let text = people(0..21).replace("+1 7,", "").replace("+1 7\n", "+7 77\n");
    sandbox.write("hr.csv", &text.replace("3,Person 3,p3@x.example,+1 3\n", ""));
    cycles(&sandbox);
    let run = newest(&sandbox, "sales");
    assert_eq!(run, first + 1, "a cycle that changes nothing is no run");
    let log = sandbox.run("-C sales log").expect(0).out;
    assert!(log.contains(&format!("(run {run})")), "{log}");
    let shown = sandbox.run(&format!("-C sales log {run}")).expect(0).out;
    let heading = format!("run {run}, read of hr, ");
    assert!(shown.starts_with(&heading), "{shown}");
    assert!(shown.contains("1 added, 1 changed, 1 deleted"), "{shown}");
    assert!(shown.contains("telephoneNumber +1 7 → +7 77"), "{shown}");
    assert!(shown.contains("deleted  3  Person 3 <p3@x.example>"), "{shown}");
    let json = sandbox.run(&format!("-C sales log {run} --json")).expect(0).json();
    let changes: Vec<_> =
        json["entries"].as_array().unwrap().iter().map(|e| &e["change"]).collect();
    assert_eq!(changes, ["changed", "deleted", "added"]);
    let none = sandbox.run("-C sales log 99").expect(1);
    assert!(none.err.contains("nothing is kept of run 99"), "{}", none.err);

    // What was changed since is left and named.
    sandbox.write("hr.csv", &people(0..21).replace("+1 7\n", "+8 88\n"));
    cycles(&sandbox);
    let dry = sandbox.run(&format!("-C sales undo {run}")).expect(0).out;
    assert!(dry.contains("1 entry would be deleted: Person 20"), "{dry}");
    assert!(dry.contains("2 entries changed since would be left: Person 7, Person 3"), "{dry}");
    sandbox.run(&format!("-C sales undo {run} --yes")).expect(0);
    cycles(&sandbox);
    assert_eq!(ids(&sandbox, "lab").len(), 20);
    let again = sandbox.run(&format!("-C sales undo {run} --yes")).expect(2);
    assert!(again.err.contains("was undone by run"), "{}", again.err);

    // It is not broken, but held: `status` and a cycle say so.
    let status = sandbox.run("-C sales status").expect(3).out;
    assert!(status.contains("source \"hr\" is held."), "{status}");
    assert!(!status.contains("cannot be read") && !status.contains(" log`"), "{status}");
    let cycle = sandbox.run("-C sales cycle").expect(3);
    assert!(cycle.err.contains("hint: `dirsync -C sales status`"), "{}", cycle.err);

    // The source goes on when a person says so, and names the entry again.
    let wrong = sandbox.run("-C sales undo --go-on hrr").expect(1);
    assert!(wrong.err.contains("held are: hr"), "{}", wrong.err);
    sandbox.run("-C sales undo --go-on hr").expect(0);
    cycles(&sandbox);
    assert_eq!(ids(&sandbox, "lab").len(), 21);
    sandbox.run("-C sales status").expect(0);
}

#[test]
fn a_command_is_undone_and_done_again() {
    let sandbox = Sandbox::two_postoffices();
    let nothing = sandbox.run("-C sales undo").expect(2);
    assert!(nothing.err.contains("there is nothing to undo"), "{}", nothing.err);
    let add = "-C sales entry add --key ana --name Ana --address SMTP:ana@x.example";
    sandbox.run(add).expect(0);
    sandbox.run("-C sales entry modify ana --name Eva").expect(0);
    sandbox.run("-C sales entry delete ana").expect(0);
    let name = |sandbox: &Sandbox| {
        let own = sandbox.run("-C sales export --own").expect(0).out;
        ["Ana", "Eva"].into_iter().find(|name| own.contains(name))
    };
    // One after the other, the newest first.
    for expected in [Some("Eva"), Some("Ana")] {
        sandbox.run("-C sales undo --yes").expect(0);
        assert_eq!(name(&sandbox), expected);
    }
    let last = newest(&sandbox, "sales");
    let undone = sandbox.run(&format!("-C sales undo {last} --yes --json")).expect(0).json();
    assert_eq!((&undone["run"]["kind"], &undone["changed"]), (&"undo".into(), &1.into()));
    assert_eq!(name(&sandbox), Some("Eva"));
    // An import is a read like another, and is held like another.
    sandbox.write("few.csv", &people(0..2));
    sandbox.run("-C sales import few.csv --whole").expect(0);
    sandbox.run("-C sales undo --yes").expect(0);
    let held = sandbox.run("-C sales import few.csv --whole").expect(3);
    assert!(held.err.contains("`dirsync -C sales undo --go-on import`"), "{}", held.err);
    let status = sandbox.run("-C sales status").expect(3).out;
    assert!(status.contains("source \"import\" is held."), "{status}");
    sandbox.run("-C sales undo --go-on import").expect(0);
    sandbox.run("-C sales status").expect(0);
    sandbox.run("-C sales import few.csv --whole").expect(0);
}

/// Somebody who wants the last command back does not lose the work of the one before it.
#[test]
fn a_command_that_left_nothing_to_undo_is_not_taken_for_the_run_before_it() {
    let sandbox = three();
    sandbox.write("few.csv", &people(0..4));
    let commands = [
        ("import few.csv", "import few.csv", "changed nothing"),
        ("entry modify ana --name Ana", "entry modify ana", "changed nothing"),
        ("held approve --all", "held approve", "changed nothing"),
        ("held reject --all", "held reject", "changed nothing"),
    ];
    sandbox.run("-C sales import few.csv").expect(0);
    let add = "-C sales entry add --key ana --name Ana --address SMTP:ana@x.example";
    sandbox.run(add).expect(0);
    let run = newest(&sandbox, "sales");
    let own = |sandbox: &Sandbox| sandbox.status("sales")["own_entries"].as_u64().unwrap();
    for (command, name, left) in commands {
        sandbox.run(&format!("-C sales {command}")).expect(0);
        refuses(&sandbox, "sales", run, name, left);
        assert_eq!(own(&sandbox), 5);
    }
    // A read that the agent makes does not count, whether it finds something or not.
    sandbox.write("hr.csv", "key,cn,mail\n");
    cycles(&sandbox);
    refuses(&sandbox, "sales", run, "held reject", "changed nothing");
    sandbox.run(&format!("-C sales undo {run} --yes")).expect(0);
    assert_eq!(own(&sandbox), 4);
    // Now the last command is the undo; the next one goes on backwards.
    let dry = sandbox.run("-C sales undo").expect(0).out;
    assert!(dry.contains("4 entries would be deleted"), "{dry}");
    sandbox.run("-C sales undo --yes").expect(0);
    assert_eq!(own(&sandbox), 0);
    sandbox.run("-C sales undo --go-on import").expect(0);
    sandbox.run(add).expect(0);
    sandbox.run("-C sales undo --yes").expect(0);

    // A claim, and decisions of the server.
    cycles(&sandbox);
    sandbox.run(&format!("{} --kind resource", add.replace("sales", "hq"))).expect(0);
    sandbox.run("-C hq entry release ana --to SOUTH/SALES").expect(0);
    let run = newest(&sandbox, "hq");
    cycles(&sandbox);
    for (command, name, left) in [
        ("entry release ana --to SOUTH/SALES", "entry release ana", "changed nothing"),
        ("requestor set SOUTH/SALES --all-kinds", "requestor set SOUTH/SALES", "changed nothing"),
        ("requestor resume SOUTH/SALES", "requestor resume SOUTH/SALES", "changed nothing"),
        (
            "requestor add WEST/X --folder share --out x.invitation",
            "requestor add WEST/X",
            "cannot be undone",
        ),
    ] {
        sandbox.run(&format!("-C hq {command}")).expect(0);
        refuses(&sandbox, "hq", run, name, left);
    }
    sandbox.run(&add.replace("ana", "eva")).expect(0);
    let run = newest(&sandbox, "sales");
    sandbox.run("-C sales entry claim ana").expect(0);
    refuses(&sandbox, "sales", run, "entry claim ana", "cannot be undone");
}

/// `undo` without a number names the last command and the run before it, and does nothing.
#[track_caller]
fn refuses(sandbox: &Sandbox, postoffice: &str, run: u64, name: &str, left: &str) {
    let dry = sandbox.run(&format!("-C {postoffice} undo")).expect(0).out;
    let start = format!("the last command, {name} at ");
    assert!(dry.starts_with(&start), "{dry}");
    assert!(dry.contains(&format!(", {left}; before it is run {run}, ")), "{dry}");
    assert!(dry.trim_end().ends_with(&format!(": `dirsync -C {postoffice} undo {run}`")), "{dry}");
    let json = sandbox.run(&format!("-C {postoffice} undo --json")).expect(0).json();
    assert_eq!((&json["dry_run"], &json["run"]["run"]), (&true.into(), &run.into()));
    let last = &json["last_command"];
    let words =
        format!("{} {}", last["command"].as_str().unwrap(), last["subject"].as_str().unwrap());
    assert_eq!(words.trim(), name);
    let refused = sandbox.run(&format!("-C {postoffice} undo --yes")).expect(2);
    assert!(refused.err.contains(&start) && refused.err.contains(left), "{}", refused.err);
    assert!(
        refused.err.contains(&format!("`dirsync -C {postoffice} undo {run} --yes`")),
        "{}",
        refused.err
    );
}

/// What a person approved by mistake waits again, as it did, if it was not sent yet.
#[test]
fn an_approval_that_was_not_sent_waits_for_a_person_again() {
    let sandbox = crate::held::two_groups();
    let held = |group: &str| {
        let list = sandbox.run("-C sales held list --json").json();
        let cases = list["cases"].as_array().unwrap().iter();
        cases.filter(|case| case["group"] == group).cloned().collect::<Vec<Value>>()
    };
    let (deletions, changes) = (held("short-read:crew"), held("blank:ships"));
    assert_eq!((deletions.len(), changes.len()), (37, 20));
    sandbox.run("-C sales held approve blank:ships").expect(0);
    sandbox.run("-C sales send").expect(3);
    sandbox.run("-C sales held approve short-read:crew").expect(0);
    assert_eq!(sandbox.status("sales")["own_entries"], 3 + 20);

    let dry = sandbox.run("-C sales undo").expect(0).out;
    assert!(dry.contains("37 entries would wait for a decision again: "), "{dry}");
    assert!(!dry.contains("come back") && !dry.contains("sent already"), "{dry}");
    let undone = sandbox.run("-C sales undo --yes --json").expect(0).json();
    assert_eq!((&undone["held_again"], &undone["returned"]), (&37.into(), &0.into()));
    assert_eq!((&undone["sent"], &undone["held"]), (&0.into(), &serde_json::json!([])));
    assert_eq!(held("short-read:crew"), deletions, "as before, since the same time");
    sandbox.run("-C sales status").expect(3);
    // It can be done again, and taken back again.
    let by = undone["by"].as_u64().unwrap();
    let again = sandbox.run(&format!("-C sales undo {by} --yes --json")).expect(0).json();
    assert_eq!((&again["removed"], held("short-read:crew").len()), (&37.into(), 0));
    let by = again["by"].as_u64().unwrap();
    sandbox.run(&format!("-C sales undo {by} --yes")).expect(0);
    assert_eq!(held("short-read:crew"), deletions);
    crate::held::cycles(&sandbox);
    assert_eq!(held("short-read:crew"), deletions, "a read asks again, and nobody is deleted");
    assert_eq!(sandbox.status("hq")["entries"], 40 + 20);

    // The other approval was sent: the undo is a change of its own.
    let undone = sandbox.run("-C sales undo --yes").expect(0).out;
    let says = "20 approved changes were sent already; what takes them back travels with the next";
    assert!(undone.contains("20 entries are as before: ") && undone.contains(says), "{undone}");
    assert!(undone.contains("the source \"ships\" is held"), "{undone}");
    assert_eq!(held("blank:ships").len(), 0);
    crate::held::cycles(&sandbox);
    let list = sandbox.run("-C hq entry show 100").expect(0).out;
    assert!(list.contains("telephoneNumber: +1 100"), "{list}");
}

#[test]
fn decisions_are_undone() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.cycle();
    let show = |sandbox: &Sandbox| sandbox.run("-C hq requestor show SOUTH/SALES --json").json();
    let before = show(&sandbox)["view"].clone();
    sandbox.run("-C hq requestor set SOUTH/SALES --kinds mailbox").expect(0);
    assert_ne!(show(&sandbox)["view"], before);
    let dry = sandbox.run("-C hq undo").expect(0).out;
    assert!(dry.contains("change of what SOUTH/SALES may see"), "{dry}");
    sandbox.run("-C hq undo --yes").expect(0);
    assert_eq!(show(&sandbox)["view"], before);

    sandbox.run("-C hq requestor suspend SOUTH/SALES").expect(0);
    let run = newest(&sandbox, "hq");
    sandbox.run("-C hq undo --yes").expect(0);
    assert_eq!(show(&sandbox)["state"], "active");
    sandbox.run("-C hq requestor set SOUTH/SALES --kinds list").expect(0);
    let view = newest(&sandbox, "hq");
    sandbox.run("-C hq requestor set SOUTH/SALES --kinds mailbox").expect(0);
    for (run, says) in [(run, "was undone"), (view, "decided about again")] {
        let refused = sandbox.run(&format!("-C hq undo {run} --yes")).expect(2);
        assert!(refused.err.contains(says), "{}", refused.err);
    }
}

/// The wrong postoffice was removed: it takes part again, with the same entries, whether it has heard of it or
/// not.
#[test]
fn a_removal_is_taken_back() {
    let sandbox = three();
    sandbox.write("hr.csv", &people(0..40));
    cycles(&sandbox);
    let before = ids(&sandbox, "lab");
    for is_told in [false, true] {
        sandbox.run("-C hq requestor remove SOUTH/SALES --yes").expect(0);
        sandbox.run("-C hq cycle").expect(0);
        sandbox.run("-C lab cycle");
        sandbox.run("-C hq cycle").expect(0);
        sandbox.run("-C lab apply").expect(0);
        assert_eq!(ids(&sandbox, "lab").len(), 0);
        if is_told {
            cycles(&sandbox);
            sandbox.run("-C sales rejoin").expect(0);
            cycles(&sandbox);
            assert_eq!(ids(&sandbox, "lab").len(), 0, "it stays removed until that is undone");
        }
        let dry = sandbox.run("-C hq undo").expect(0).out;
        assert!(dry.contains("decision \"remove\" about SOUTH/SALES"), "{dry}");
        sandbox.run("-C hq undo --yes").expect(0);
        if is_told {
            sandbox.run("-C sales rejoin").expect(0);
        }
        cycles(&sandbox);
        cycles(&sandbox);
        assert_eq!(ids(&sandbox, "lab"), before, "under the same ids");
        assert_eq!(ids(&sandbox, "sales"), before);
        sandbox.run("-C hq status").expect(0);
    }
}
