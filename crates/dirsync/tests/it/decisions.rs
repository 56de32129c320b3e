//! What an administrator decides, and what becomes of it.

use crate::sandbox::{Sandbox, people};

fn count(value: &serde_json::Value) -> usize {
    value.as_array().expect("a list").len()
}

/// Two postoffices, and at `sales` 40 people of a whole source, all of whose deletions are held.
fn forty_held() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..40));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    sandbox.write("few.csv", &people(0..10));
    sandbox.run("-C sales import few.csv --whole").expect(3);
    assert_eq!(sandbox.status("sales")["held"], 30);
    sandbox
}

/// `docs/failure-stories.md` §15: what was rejected is closed. No later approval lets it through, nor a later
/// read that asks for the same, however few it asks for; one that asks for something else opens it.
#[test]
fn rejected_stays_rejected() {
    let sandbox = forty_held();
    let held = sandbox.run("-C sales held list --json").expect(3).json()["cases"].clone();
    let closed = held[0]["id"].as_str().unwrap().to_owned();
    sandbox.run("-C sales held reject --all").expect(0);
    assert_eq!(count(&sandbox.run("-C sales held list --json").expect(0).json()["cases"]), 0);
    let rejected =
        sandbox.run("-C sales held list --rejected --json").expect(0).json()["cases"].clone();
    assert_eq!(count(&rejected), 30);
    sandbox.run("-C sales held approve --all").expect(0);
    assert_eq!(sandbox.status("sales")["own_entries"], 40, "rejected is closed");
    let named = sandbox.run(&format!("-C sales held approve {closed}")).expect(2);
    assert!(named.err.contains("was rejected"), "{}", named.err);

    // The same absence again, of all and of few: it stays closed, and holds up nothing else.
    sandbox.run("-C sales import few.csv --whole").expect(0);
    sandbox.write("most.csv", &people(0..38));
    sandbox.run("-C sales import most.csv --whole").expect(0);
    assert_eq!(sandbox.status("sales")["own_entries"], 40, "the last two were rejected");
    sandbox.write("others.csv", &people(5..38));
    sandbox.run("-C sales import others.csv --whole").expect(0);
    assert_eq!(sandbox.status("sales")["own_entries"], 35, "five others are deleted");

    // What came back and is missing once more is asked for anew.
    sandbox.write("people.csv", &people(5..40));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    assert_eq!(
        count(&sandbox.run("-C sales held list --rejected --json").expect(0).json()["cases"]),
        0
    );
    sandbox.run("-C sales import few.csv --whole").expect(3);
    assert_eq!(sandbox.status("sales")["held"], 30);
    sandbox.run("-C sales held approve --all").expect(0);
    assert_eq!(sandbox.status("sales")["own_entries"], 10);
}

/// The same for changes: the rejected content stays rejected, other content is another case.
#[test]
fn a_rejected_change_opens_again_with_other_content() {
    let sandbox = Sandbox::two_postoffices();
    let rows = |telephone: &str| {
        let mut text = String::from("key,cn,mail,telephoneNumber,title\n");
        for number in 0..40 {
            text.push_str(&format!("{number},P {number},p{number}@x.example,{telephone},Pilot\n"));
        }
        text
    };
    let shown = |sandbox: &Sandbox| {
        let out = sandbox.run("-C sales export --own").expect(0).out;
        (out.contains("+1 555"), out.contains("Pilot"))
    };
    sandbox.write("people.csv", &rows("+1 555"));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.write("people.csv", &rows(""));
    sandbox.run("-C sales import people.csv --whole").expect(3);
    sandbox.run("-C sales held reject --all").expect(0);
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.run("-C sales held approve --all").expect(0);
    assert_eq!(shown(&sandbox), (true, true));
    sandbox.write("people.csv", &rows("").replace("Pilot", ""));
    sandbox.run("-C sales import people.csv --whole").expect(3);
    sandbox.run("-C sales held approve --all").expect(0);
    assert_eq!(shown(&sandbox), (false, false));
}

/// The same for deletions that the server holds.
#[test]
fn a_deletion_rejected_at_the_server_is_closed() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..40));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    // The postoffice's own guard lets them through; the server's does not.
    sandbox.write("sales/dirsync.toml", "[guard]\ndelete = { entries = 100 }\n");
    sandbox.write("few.csv", &people(0..22));
    sandbox.run("-C sales import few.csv --whole").expect(0);
    sandbox.cycle();
    let held = sandbox.run("-C hq held list --json").expect(3).json()["cases"].clone();
    assert_eq!(count(&held), 18);
    let (one, other) = (held[0]["id"].as_str().unwrap(), held[1]["id"].as_str().unwrap());
    sandbox.run(&format!("-C hq held reject {one}")).expect(0);
    assert_eq!(count(&sandbox.run("-C hq held list --json").expect(3).json()["cases"]), 17);
    let rejected =
        sandbox.run("-C hq held list --rejected --json").expect(0).json()["cases"].clone();
    assert_eq!((count(&rejected), rejected[0]["id"].as_str()), (1, Some(one)));
    // A closed case among those named: nothing is done.
    let named = sandbox.run(&format!("-C hq held approve {one} {other}")).expect(2);
    assert!(named.err.contains("was rejected") && named.err.contains(one), "{}", named.err);
    assert_eq!(count(&sandbox.run("-C hq held list --json").expect(3).json()["cases"]), 17);
    sandbox.run("-C hq held approve --all").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 23, "the rejected one stays published");
    let unknown = sandbox.run(&format!("-C hq held approve {other}")).expect(1);
    assert!(unknown.err.contains("is not held"), "{}", unknown.err);
}

fn registration(sandbox: &Sandbox, name: &str) -> serde_json::Value {
    sandbox.run(&format!("-C hq requestor show {name} --json")).expect(0).json()
}

/// `docs/failure-stories.md` §15: a change of one limit lifted another, and a partner got salaries.
#[test]
fn what_is_not_named_keeps_its_limit() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..4));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox
        .run("-C hq entry add --key room --kind resource --name Room --address X400:room@x.example")
        .expect(0);
    sandbox.run("-C hq cycle").expect(0);
    let view = || registration(&sandbox, "SOUTH/SALES")["view"].clone();
    sandbox.run("-C hq requestor set SOUTH/SALES --attributes title --types SMTP").expect(0);
    let set = sandbox.run("-C hq requestor set SOUTH/SALES --kinds mailbox,list").expect(0);
    assert_eq!(view(), "types\tSMTP\nkinds\tmailbox\tlist\nattributes\ttitle\n");
    assert!(set.out.contains("before: types SMTP; attributes title"), "{}", set.out);
    assert!(
        set.out.contains("after:  types SMTP; kinds mailbox list; attributes title"),
        "{}",
        set.out
    );
    // Where messages travel is no limit of what is seen.
    sandbox.run("-C hq requestor set SOUTH/SALES --folder other").expect(0);
    assert_eq!(view(), "types\tSMTP\nkinds\tmailbox\tlist\nattributes\ttitle\n");
    let nothing = sandbox.run("-C hq requestor set SOUTH/SALES").expect(2);
    assert!(nothing.err.contains("name what is to change"), "{}", nothing.err);
    assert_eq!(view(), "types\tSMTP\nkinds\tmailbox\tlist\nattributes\ttitle\n");
    // A word of its own lifts each limit, and says how many entries more are seen.
    let lifted = sandbox.run("-C hq requestor set SOUTH/SALES --all-types --json").expect(0).json();
    assert_eq!((&lifted["before"]["entries"], &lifted["after"]["entries"]), (&4.into(), &4.into()));
    let lifted = sandbox.run("-C hq requestor set SOUTH/SALES --all-kinds --json").expect(0).json();
    assert_eq!((&lifted["before"]["entries"], &lifted["after"]["entries"]), (&4.into(), &5.into()));
    assert_eq!(view(), "attributes\ttitle\n");
    sandbox
        .run("-C hq requestor set SOUTH/SALES --filter (name=Room) --origins NORTH/HQ")
        .expect(0);
    sandbox.run("-C hq requestor set SOUTH/SALES --all-attributes --no-filter").expect(0);
    assert_eq!(view(), "origins\tNORTH/HQ\n");
    sandbox.run("-C hq requestor set SOUTH/SALES --kinds mailbox --all-kinds").expect(2);
    sandbox.run("-C hq requestor set SOUTH/SALES --everything").expect(0);
    assert_eq!(view(), "");
    // Who is invited again keeps the limits that are not named, too.
    sandbox.run("-C hq requestor set SOUTH/SALES --attributes title --types SMTP").expect(0);
    sandbox
        .run("-C hq requestor add SOUTH/SALES --folder share --again --types X400 --out again")
        .expect(0);
    assert_eq!(view(), "types\tX400\nattributes\ttitle\n");
}

/// A removal is a deletion of all its entries: of many it asks, and says the way back.
#[test]
fn a_removal_of_many_entries_asks() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    sandbox.write("people.csv", &people(0..30));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.write("few.csv", &people(50..52));
    sandbox.run("-C depot import few.csv --whole").expect(0);
    for _ in 0..2 {
        sandbox.run("-C depot send").expect(0);
        sandbox.cycle();
    }
    assert_eq!(sandbox.status("hq")["entries"], 32);
    let asked = sandbox.run("-C hq requestor remove SOUTH/SALES").expect(2);
    assert!(asked.err.contains("30 entries") && asked.err.contains("--yes"), "{}", asked.err);
    assert!(asked.err.contains("requestor suspend"), "{}", asked.err);
    assert_eq!(registration(&sandbox, "SOUTH/SALES")["state"], "active");
    assert!(!sandbox.read("hq/decisions.log").contains("\tremove\t"), "nothing was decided");
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 32);
    // Few go without a question, as few deletions do.
    let few = sandbox.run("-C hq requestor remove ALPS/DEPOT").expect(0);
    assert!(few.out.contains("2 entries") && few.out.contains("requestor add"), "{}", few.out);
    assert!(few.out.contains("dirsync -C hq undo --yes"), "{}", few.out);
    let many = sandbox.run("-C hq requestor remove SOUTH/SALES --yes --json").expect(0).json();
    assert_eq!(many["entries"], 30);
    sandbox.run("-C hq cycle").expect(0);
    assert_eq!(sandbox.status("hq")["entries"], 0);
    // Who was removed cannot be changed, only invited.
    for command in ["set SOUTH/SALES --types SMTP", "suspend SOUTH/SALES", "remove SOUTH/SALES"] {
        let ran = sandbox.run(&format!("-C hq requestor {command}")).expect(1);
        assert!(ran.err.contains("was removed"), "{command}: {}", ran.err);
    }
}

/// Who was suspended before its first contact is still to be heard after it is resumed.
#[test]
fn resumed_is_what_it_was_before() {
    let sandbox = Sandbox::two_postoffices();
    for name in ["SOUTH/SALES", "ALPS/DEPOT"] {
        sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation");
        sandbox.run(&format!("-C hq requestor suspend {name}")).expect(0);
        assert_eq!(registration(&sandbox, name)["state"], "suspended");
        sandbox.run(&format!("-C hq requestor resume {name}")).expect(0);
        assert_eq!(registration(&sandbox, name)["state"], "invited");
        let line = sandbox.read("hq/decisions.log").lines().count();
        sandbox.run(&format!("-C hq requestor resume {name}")).expect(0);
        assert_eq!(sandbox.read("hq/decisions.log").lines().count(), line, "nothing to decide");
    }
    sandbox.cycle();
    assert_eq!(registration(&sandbox, "SOUTH/SALES")["state"], "active");
    sandbox.run("-C hq requestor suspend SOUTH/SALES").expect(0);
    sandbox.run("-C hq requestor resume SOUTH/SALES").expect(0);
    assert_eq!(registration(&sandbox, "SOUTH/SALES")["state"], "active");
}

/// The secret of the server's evidence is needed by its steps alone, and a lost one is made anew.
#[test]
fn a_server_goes_on_without_the_secret_of_its_evidence() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.cycle();
    let file = sandbox.path("hq/keys/evidence");
    let before = sandbox.read("hq/keys/evidence");
    std::fs::remove_file(&file).unwrap();
    let epoch = sandbox.status("hq")["epoch"].clone();
    sandbox.run("-C hq check").expect(0);
    assert!(!file.exists(), "only a step makes a new one");
    sandbox.write("people.csv", &people(0..4));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    assert_ne!(sandbox.read("hq/keys/evidence"), before);
    assert_eq!(sandbox.status("hq")["epoch"], epoch, "nobody's claim was needed");
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(!log.contains("without evidence"), "{log}");
    assert_eq!(sandbox.run("-C sales export").expect(0).out.lines().count(), 5);
}

/// Where the server works it is the server already: promoting it would begin a new life for nothing.
#[test]
fn the_server_itself_is_not_promoted() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.cycle();
    let epoch = sandbox.status("hq")["epoch"].clone();
    let instance = sandbox.read("hq/keys/instance");
    let promoted = sandbox.run("-C hq server promote").expect(2);
    assert!(promoted.err.contains("is the directory server already"), "{}", promoted.err);
    assert_eq!(
        (sandbox.status("hq")["epoch"].clone(), sandbox.read("hq/keys/instance")),
        (epoch, instance)
    );
    assert_eq!(sandbox.status("hq")["recovering"], false);
    sandbox.run("-C sales server promote").expect(2);
    assert!(!sandbox.exists("sales/keys/instance"), "a requestor does not look like a server");
    // A copy may be, once; then it is the server.
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args([sandbox.path("hq"), sandbox.path("copy")])
        .status();
    assert!(copied.unwrap().success());
    sandbox.run("-C copy server promote").expect(0);
    let evidence = sandbox.read("hq/keys/evidence");
    assert_eq!(sandbox.read("copy/keys/evidence"), evidence, "they know each other's epochs");
    assert!(!sandbox.exists("sales/keys/evidence"), "a requestor makes no evidence");
    let log = sandbox.run("-C copy log").expect(0).out;
    assert!(log.contains("a new server epoch begins") && log.contains("promoted"), "{log}");
    sandbox.run("-C copy server promote").expect(2);
    // The old one, replaced, may be the server again.
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C copy cycle");
    sandbox.run("-C sales apply").expect(0);
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C hq process").expect(3);
    assert_eq!(sandbox.status("hq")["stopped"], "fenced");
    sandbox.run("-C hq server promote").expect(0);
}

/// A schedule on which something never happens is said where it is checked, and in `status`.
#[test]
fn a_schedule_on_which_nothing_runs_is_said() {
    let sandbox = Sandbox::two_postoffices();
    let whole = "\"T1 every 5 min\", \"T2 every 5 min\", \"T3 every 5 min\"";
    for (postoffice, times, more, says) in [
        ("hq", "\"T1 daily 22:00\", \"T3 daily 02:00\"", "", "no line for T2"),
        ("hq", "\"T2 daily 22:00\"", "", "no line for T1"),
        ("hq", "\"T1 daily 22:00\", \"T2 daily 22:00\"", "", "no line for T3"),
        ("sales", "\"T1 daily 22:00\"", "", "no line for T3"),
        ("sales", "\"T3 daily 22:00\"", "", "no line for T1"),
        ("sales", whole, "", "T2 in \"schedule.times\" never runs"),
        ("hq", whole, "window = \"10 s\"\npoll = \"1 min\"\n", "shorter than \"schedule.poll\""),
    ] {
        sandbox.write(
            &format!("{postoffice}/dirsync.toml"),
            &format!("[schedule]\ntimes = [{times}]\n{more}"),
        );
        let check = sandbox.run(&format!("-C {postoffice} config check")).expect(2);
        assert!(check.err.contains(says), "{postoffice} {times}: {}", check.err);
        let json = sandbox.run(&format!("-C {postoffice} config check --json")).expect(2).json();
        assert!(json["mistakes"][0]["reason"].as_str().unwrap().contains(says), "{json}");
        let status = sandbox.run(&format!("-C {postoffice} status")).expect(3);
        assert!(status.out.contains(says), "{postoffice} {times}: {}", status.out);
    }
    sandbox.write("hq/dirsync.toml", &format!("[schedule]\ntimes = [{whole}]\n"));
    let both = "\"T1 Mon 22:00\", \"T3 Tue 06:00\"";
    sandbox.write("sales/dirsync.toml", &format!("[schedule]\ntimes = [{both}]\n"));
    for postoffice in ["hq", "sales"] {
        sandbox.run(&format!("-C {postoffice} config check")).expect(0);
        sandbox.run(&format!("-C {postoffice} status")).expect(0);
    }
}
