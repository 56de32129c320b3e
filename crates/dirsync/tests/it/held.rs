//! Changes that wait for a person: how they are shown and decided.

use serde_json::Value;

use crate::sandbox::{Sandbox, people};

const SETTINGS: &str = "\
[schedule]
zone = \"Europe/Berlin\"
times = [\"T1 daily 22:00\", \"T3 daily 23:00\"]
[[source]]
name = \"crew\"
file = \"../north.csv\"
whole = true
[[source]]
name = \"ships\"
file = \"../ships.csv\"
whole = true
";

/// At `sales`, 37 of 40 people of one source are gone, and the telephone numbers of 20 of another.
pub fn two_groups() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("sales/dirsync.toml", SETTINGS);
    sandbox.write("north.csv", &people(0..40));
    sandbox.write("ships.csv", &people(100..120));
    cycles(&sandbox);
    sandbox.write("north.csv", &people(0..3));
    let without = |line: &str| match line.rsplit_once(",+1") {
        Some((start, _)) => format!("{start},\n"),
        None => format!("{line}\n"),
    };
    sandbox.write("ships.csv", &people(100..120).lines().map(without).collect::<String>());
    sandbox.run("-C sales cycle");
    sandbox
}

pub fn cycles(sandbox: &Sandbox) {
    for _ in 0..2 {
        sandbox.run("-C sales cycle");
        sandbox.run("-C hq cycle");
        sandbox.run("-C sales apply");
    }
}

fn lists(sandbox: &Sandbox, postoffice: &str) -> Value {
    sandbox.run(&format!("-C {postoffice} held list --json")).json()
}

/// A person can decide by what is shown: from where, why, since when, of how many, and who.
#[test]
fn held_changes_are_shown_by_source_and_reason_with_examples() {
    let sandbox = two_groups();
    let shown = sandbox.run("-C sales held list").expect(3).out;
    let first = shown.lines().find(|line| line.contains("deletions")).unwrap();
    assert!(first.starts_with("37 deletions from north.csv since "), "{first}");
    assert!(first.contains(" (3 rows, the last good read had 40): "), "{first}");
    assert!(first.contains("Person 10 <p10@x.example>, "), "{first}");
    assert!(first.ends_with("… 34 more (--all)"), "{first}");
    assert!(shown.contains("dirsync -C sales held approve short-read:crew"), "{shown}");
    assert!(shown.contains("20 entries from ships.csv would lose a field, held since "), "{shown}");
    assert!(
        shown.contains("Person 100 <p100@x.example>: telephoneNumber +1 100 → nothing"),
        "{shown}"
    );
    assert!(shown.contains("… 17 more (--all)"), "{shown}");
    assert!(shown.lines().count() < 12, "a few lines a group:\n{shown}");

    let all = sandbox.run("-C sales held list --all").expect(3).out;
    assert_eq!(all.lines().filter(|line| line.contains("@x.example")).count(), 57, "{all}");
    assert!(!all.contains("more"), "{all}");

    let json = lists(&sandbox, "sales");
    let groups = json["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0]["group"], "blank:ships");
    assert_eq!(groups[1]["group"], "short-read:crew");
    assert_eq!((&groups[1]["rows"], &groups[1]["good_rows"]), (&3.into(), &40.into()));
    assert_eq!(groups[1]["count"], 37);
    let cases = json["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 57);
    let change = &cases.iter().find(|case| case["key"] == "100").unwrap()["changes"];
    assert_eq!(change[0]["part"], "telephoneNumber");
    assert_eq!(change[0]["before"][0], "+1 100");
    assert_eq!(change[0]["after"], Value::Array(Vec::new()));
}

/// A decision names a group, or single entries, and says what it did and what follows.
#[test]
fn a_group_is_decided_by_its_name() {
    let sandbox = two_groups();
    let rejected = sandbox.run("-C sales held reject blank:ships").expect(0).out;
    assert_eq!(
        rejected.trim(),
        "20 changes of ships rejected: the entries stay until \"ships\" asks for another change"
    );
    let json = lists(&sandbox, "sales");
    assert_eq!(json["groups"].as_array().unwrap().len(), 1);
    let closed = sandbox.run("-C sales held approve blank:ships").expect(1);
    assert!(closed.err.contains("blank:ships is not held here"), "{}", closed.err);
    let one = json["cases"][0]["id"].as_str().unwrap().to_owned();
    let ran = sandbox.run(&format!("-C sales held approve {one} --json")).expect(0).json();
    assert_eq!((&ran["verdict"], &ran["count"]), (&"approved".into(), &1.into()));
    assert_eq!(ran["groups"][0]["follows"], "travels_with_next_request");
    let approved = sandbox.run("-C sales held approve short-read:crew").expect(0).out;
    assert_eq!(
        approved.trim(),
        "36 deletions of crew approved: they travel with the next `dirsync -C sales send`"
    );
    cycles(&sandbox);
    assert_eq!(sandbox.status("hq")["entries"], 3 + 20);
    assert_eq!(sandbox.run("-C sales held list").expect(0).out.trim(), "nothing is held");
    assert_eq!(sandbox.run("-C sales held approve --all").expect(0).out.trim(), "nothing was held");
}

/// A file with the people of others is most likely the wrong file: none of them is sent before a person has
/// looked, and the person sees who has the addresses.
#[test]
fn people_of_others_in_a_file_wait_as_a_group() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("hq.csv", &people(0..12));
    sandbox.run("-C hq import hq.csv --whole").expect(0);
    cycles(&sandbox);
    sandbox.write("sales/dirsync.toml", SETTINGS);
    sandbox.write("north.csv", &people(0..20));
    sandbox.write("ships.csv", &people(100..120));
    let dry = sandbox.run("-C sales import --source crew --dry-run");
    assert!(dry.err.contains("12 of 20 new entries have addresses"), "{}", dry.err);
    assert!(dry.err.contains("is taken: Person 0 of NORTH/HQ has it"), "{}", dry.err);
    cycles(&sandbox);
    let shown = sandbox.run("-C sales held list").expect(3).out;
    let expected = "12 new entries from north.csv have addresses of others, held since ";
    assert!(shown.starts_with(expected), "{shown}");
    let first =
        ":\n  Person 0 <p0@x.example>: Person 0 of NORTH/HQ has SMTP:p0@x.example\n  Person 1 <";
    assert!(shown.contains(first), "{shown}");
    let all = sandbox.run("-C sales held list --all").expect(3).out;
    assert_eq!(all.matches(" of NORTH/HQ has SMTP:p").count(), 12, "{all}");
    let json = lists(&sandbox, "sales");
    let taken = json["cases"].as_array().unwrap().iter().find(|case| case["key"] == "7").unwrap();
    let holder = serde_json::json!(
        [{"address": "SMTP:p7@x.example", "holder": "NORTH/HQ", "name": "Person 7"}]
    );
    assert_eq!(taken["taken"], holder);
    assert_eq!(sandbox.status("hq")["entries"], 12 + 8 + 20);
    let why = sandbox.run("-C sales why p0@x.example").expect(0).out;
    assert!(why.contains("its addition is held here since "), "{why}");
    let reason =
        "group taken:crew: too many would have addresses of others: `dirsync -C sales held list`";
    assert!(why.contains(reason), "{why}");
    // One of those who have the addresses leaves.
    sandbox.write("hq.csv", &people(1..12));
    sandbox.run("-C hq import hq.csv --whole").expect(0);
    cycles(&sandbox);
    let shown = sandbox.run("-C sales held list").expect(3).out;
    assert!(shown.contains("\n  Person 0 <p0@x.example>\n  Person 1 <"), "{shown}");
    let rejected = sandbox.run("-C sales held reject taken:crew").expect(0).out;
    assert_eq!(
        rejected.trim(),
        "12 new entries of crew rejected: they stay out of the list until \"crew\" has other content \
         for them"
    );
    cycles(&sandbox);
    assert_eq!(sandbox.run("-C sales held list").expect(0).out.trim(), "nothing is held");
    assert_eq!(sandbox.status("hq")["entries"], 11 + 8 + 20);
}

/// A new site whose administrator imports the wrong file first, before it knows anybody.
#[test]
fn people_of_others_in_a_first_file_wait_when_the_first_list_has_come() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("hq.csv", &people(0..12));
    sandbox.run("-C hq import hq.csv --whole").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    sandbox.write("first.csv", &people(0..20));
    sandbox.run("-C sales import first.csv --whole").expect(0);
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C hq cycle");
    let applied = sandbox.run("-C sales apply").expect(3);
    let warning = "12 of 20 entries of source \"import\" have addresses that entries of other \
                   postoffices have, by the first list: held for a person [T3]";
    assert!(applied.err.contains(warning), "{}", applied.err);
    let shown = sandbox.run("-C sales held list").expect(3).out;
    assert!(shown.starts_with("12 new entries from import have addresses of others"), "{shown}");
    assert!(shown.contains("Person 0 of NORTH/HQ has SMTP:p0@x.example"), "{shown}");
    cycles(&sandbox);
    assert_eq!(sandbox.status("hq")["entries"], 12 + 8);
    assert_eq!(sandbox.run("-C hq waiting").expect(0).out.trim(), "no entry waits for an address");
    sandbox.run("-C sales held approve taken:import").expect(0);
    cycles(&sandbox);
    assert_eq!(sandbox.run("-C sales held list").expect(0).out.trim(), "nothing is held");
    let waiting = sandbox.run("-C hq waiting --json").expect(3).json();
    assert_eq!(waiting["addresses"].as_array().unwrap().len(), 12);
}

/// The server holds deletions of two origins: each is a group of its own.
#[test]
fn deletions_at_the_server_are_grouped_by_origin() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    let send_both = |count: u32| {
        for (site, first) in [("sales", 0), ("depot", 100)] {
            sandbox.write(&format!("{site}/dirsync.toml"), "[guard]\nentries = 100\n");
            sandbox.write(&format!("{site}.csv"), &people(first..first + count));
            sandbox.run(&format!("-C {site} import {site}.csv --whole")).expect(0);
            sandbox.run(&format!("-C {site} send")).expect(0);
        }
        sandbox.run("-C hq cycle");
        for site in ["sales", "depot"] {
            sandbox.run(&format!("-C {site} apply")).expect(0);
        }
    };
    send_both(40);
    send_both(40);
    send_both(25);
    let shown = sandbox.run("-C hq held list").expect(3).out;
    assert!(shown.contains("15 deletions by ALPS/DEPOT since "), "{shown}");
    assert!(shown.contains("15 deletions by SOUTH/SALES since "), "{shown}");
    let approved = sandbox.run("-C hq held approve origin:south/sales").expect(0).out;
    assert_eq!(
        approved.trim(),
        "15 deletions of SOUTH/SALES approved: the entries leave all lists with the next answers"
    );
    let rejected = sandbox.run("-C hq held reject --all").expect(0).out;
    assert_eq!(
        rejected.trim(),
        "15 deletions of ALPS/DEPOT rejected: the entries stay listed until ALPS/DEPOT changes them"
    );
    sandbox.run("-C hq cycle").expect(0);
    assert_eq!(sandbox.status("hq")["entries"], 25 + 40);
    let closed = sandbox.run("-C hq held list --rejected").expect(0).out;
    assert!(closed.contains("15 deletions by ALPS/DEPOT"), "{closed}");
    assert!(!closed.contains("held approve"), "a closed case cannot be approved: {closed}");
}
