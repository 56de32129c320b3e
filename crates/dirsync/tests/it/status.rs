//! `dirsync status`: everything that raises an alarm is there as long as it lasts.

use dirsync_agent::alarm::AlarmKind;
use dirsync_message::{Outcome, OutcomeKind};
use dirsync_protocol::tables::{Copies, Registration};
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{Store, Transaction};

use crate::sandbox::{Sandbox, people};

/// Changes a database by hand.
fn change(sandbox: &Sandbox, postoffice: &str, work: impl FnOnce(&mut dyn Transaction)) {
    let path = sandbox.path(&format!("{postoffice}/postoffice.db"));
    let mut store = SqliteStore::open(path).unwrap();
    let mut tables = store.begin().unwrap();
    work(&mut *tables);
    tables.commit().unwrap();
}

fn note(sandbox: &Sandbox, postoffice: &str, name: &str, text: &str) {
    change(sandbox, postoffice, |tables| tables.put_note(name, Some(text)).unwrap());
}

/// Changes the server's registration of SOUTH/SALES.
fn register(sandbox: &Sandbox, work: impl FnOnce(&mut Registration)) {
    change(sandbox, "hq", |tables| {
        let mut known = tables.registration(&"SOUTH/SALES".parse().unwrap()).unwrap().unwrap();
        work(&mut known);
        tables.put_registration(&known).unwrap();
    });
}

fn outcome(sandbox: &Sandbox, kind: OutcomeKind) {
    let id = dirsync_directory::EntryId::derive(&"SOUTH/SALES".parse().unwrap(), "1");
    change(sandbox, "sales", |tables| tables.put_outcomes(&[Outcome { id, kind }]).unwrap());
}

/// A requestor that deletes more than the server lets go unseen.
fn delete_many(sandbox: &Sandbox) {
    sandbox.write("people.csv", &people(0..30));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.write("people.csv", &people(0..18));
    sandbox.write("sales/dirsync.toml", "[guard]\nentries = 100\n");
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
}

/// Another machine with an invitation that does not fit.
fn intrude(sandbox: &Sandbox) {
    let text = sandbox.read("sales.invitation").split("used = ").next().unwrap().to_owned();
    sandbox.write("twin.invitation", &text);
    sandbox.run("-C twin init --invitation twin.invitation").expect(0);
    sandbox.run("-C twin send").expect(0);
    sandbox.run("-C hq process").expect(3);
    sandbox.run("-C twin apply").expect(3);
}

/// Brings an alarm about. Returns where its status is, and what it says for people.
fn bring_about(kind: AlarmKind, sandbox: &Sandbox) -> (&'static str, &'static str) {
    match kind {
        AlarmKind::Stopped => {
            let copied = std::process::Command::new("cp")
                .arg("-r")
                .args([sandbox.path("sales"), sandbox.path("copy")])
                .status();
            assert!(copied.unwrap().success());
            ("copy", "was copied")
        }
        AlarmKind::Refused => {
            intrude(sandbox);
            ("twin", "another machine has this name")
        }
        AlarmKind::NotAdmitted => {
            intrude(sandbox);
            ("hq", "a machine that calls itself SOUTH/SALES was not admitted")
        }
        AlarmKind::Suspended => {
            sandbox.run("-C hq requestor suspend SOUTH/SALES").expect(0);
            sandbox.cycle();
            ("sales", "suspended by the server")
        }
        AlarmKind::Doubled => {
            register(sandbox, |known| known.copies = Copies::Contest);
            ("hq", "SOUTH/SALES runs on two machines")
        }
        AlarmKind::Recovering => {
            sandbox.run("-C hq backup hq.backup").expect(0);
            sandbox.run("-C hq restore hq.backup").expect(0);
            (
                "hq",
                "recovers until NORTH/HQ and SOUTH/SALES have sent again: `dirsync -C hq server recover",
            )
        }
        AlarmKind::Overdue => {
            note(sandbox, "hq", "agent", "runs");
            register(sandbox, |known| known.last_contact = 1_000);
            ("hq", "SOUTH/SALES is silent since 1 January 1970")
        }
        AlarmKind::Place => {
            std::fs::rename(sandbox.path("share"), sandbox.path("away")).unwrap();
            sandbox.run("-C sales send").expect(4);
            ("sales", "cannot reach the shared folder")
        }
        AlarmKind::Step => {
            note(sandbox, "hq", "step-error", "the disk is full");
            ("hq", "the agent cannot go on: the disk is full")
        }
        AlarmKind::Source => {
            sandbox.write("hq/dirsync.toml", "[[source]]\nname = \"hr\"\nfile = \"gone.csv\"\n");
            sandbox.run("-C hq cycle").expect(3);
            ("hq", "source \"hr\" was not read; nobody is deleted: could not open")
        }
        AlarmKind::Target => {
            sandbox.write("sales/dirsync.toml", "[[target]]\nfile = \"no/list.csv\"\n");
            sandbox.run("-C sales apply").expect(3);
            ("sales", "no/list.csv\" was not written: ")
        }
        AlarmKind::Schedule => {
            sandbox.write("sales/dirsync.toml", "[schedule]\ntimes = [\"T1 daily 22:00\"]\n");
            ("sales", "has no line for T3")
        }
        AlarmKind::Decisions => {
            sandbox.write("hq/decisions.log", "");
            ("hq", "decisions.log is not the one of this database")
        }
        AlarmKind::AlarmCommand => {
            note(sandbox, "hq", "alarm-error", "the alarm command \"page\" failed");
            ("hq", "the alarm command \"page\" failed")
        }
        AlarmKind::Differs => {
            register(sandbox, |known| known.agreement.equal = Some(false));
            ("hq", "the list of SOUTH/SALES differs")
        }
        AlarmKind::HeldDeletions => {
            delete_many(sandbox);
            ("hq", "12 deletions by SOUTH/SALES wait")
        }
        AlarmKind::HeldElsewhere => {
            delete_many(sandbox);
            sandbox.cycle();
            ("sales", "12 deletions wait for the server's administrator")
        }
        AlarmKind::Held => {
            sandbox.write("people.csv", &people(0..30));
            sandbox.run("-C hq import people.csv --whole").expect(0);
            sandbox.write("people.csv", &people(0..3));
            sandbox.run("-C hq import people.csv --whole").expect(3);
            ("hq", "27 deletions from import wait since")
        }
        AlarmKind::Quarantined => {
            sandbox.write("people.csv", &(people(0..3) + ",Bare,bare@x.example,1\n"));
            sandbox.run("-C hq import people.csv --whole").expect(3);
            ("hq", "1 case from import is in quarantine")
        }
        AlarmKind::Invalid => {
            outcome(sandbox, OutcomeKind::Invalid { reason: "it has no name".into() });
            ("sales", "1 entry of SOUTH/SALES cannot be published")
        }
        AlarmKind::Waiting => {
            for postoffice in ["hq", "sales"] {
                let words = "entry add --key one --name One --address SMTP:one@x.example";
                sandbox.run(&format!("-C {postoffice} {words}"));
                sandbox.cycle();
            }
            sandbox.cycle();
            ("hq", "1 entry of SOUTH/SALES waits for an address")
        }
        AlarmKind::Offered => {
            sandbox
                .run("-C hq entry add --key one --name One --address SMTP:one@x.example")
                .expect(0);
            sandbox.run("-C hq entry release one --to SOUTH/SALES").expect(0);
            sandbox.cycle();
            sandbox.cycle();
            ("sales", "1 entry is offered to this site")
        }
        AlarmKind::Unregistered => {
            sandbox.run("-C other init NORTH/HQ --server").expect(0);
            sandbox.run("-C other requestor add WEST/LAB --folder share --out lab.inv").expect(0);
            sandbox.run("-C lab init --invitation lab.inv").expect(0);
            sandbox.run("-C lab send").expect(0);
            sandbox.run("-C hq process");
            ("hq", "which is not registered: `dirsync -C hq requestor add")
        }
    }
}

/// A file that is imported by hand, and undone: no settings name its source.
fn undo_an_import(sandbox: &Sandbox) -> (&'static str, &'static str) {
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv").expect(0);
    sandbox.run("-C hq undo --yes").expect(0);
    (
        "hq",
        "source \"import\" is held since run 1 was undone, until its file agrees; `dirsync -C hq undo --go-on import`",
    )
}

#[test]
fn whatever_raises_an_alarm_is_in_status_and_makes_it_exit_3() {
    type Way = Box<dyn Fn(&Sandbox) -> (&'static str, &'static str)>;
    let ways = AlarmKind::ALL
        .map(|kind| (kind, Box::new(move |sandbox: &Sandbox| bring_about(kind, sandbox)) as Way));
    let more: [(AlarmKind, Way); 1] = [(AlarmKind::Source, Box::new(undo_an_import))];
    for (kind, way) in ways.into_iter().chain(more) {
        let sandbox = Sandbox::two_postoffices();
        sandbox.cycle();
        sandbox.cycle();
        sandbox.run("-C hq status").expect(0);
        let (postoffice, says) = way(&sandbox);
        let status = sandbox.run(&format!("-C {postoffice} status"));
        assert_eq!(status.code, 3, "{kind}: {}{}", status.out, status.err);
        assert!(status.out.contains(says), "{kind}: {}", status.out);
        let first = status.out.lines().next().unwrap_or_default();
        assert!(!first.contains("Next: "), "{kind} is in the first line: {}", status.out);
        let json = sandbox.status(postoffice);
        let mut alarms = json["alarms"].as_array().unwrap().iter();
        assert!(alarms.any(|alarm| alarm["kind"] == kind.word()), "{kind}: {json}");
    }
}

/// Each site's row says how it is with that site: entries that wait, or are held, are their origin's.
#[test]
fn what_waits_at_the_server_is_in_the_row_of_its_origin() {
    for kind in [AlarmKind::Waiting, AlarmKind::HeldDeletions] {
        let sandbox = Sandbox::two_postoffices();
        (0..3).for_each(|_| sandbox.cycle());
        bring_about(kind, &sandbox);
        let status = sandbox.status("hq");
        let row = |name: &str| {
            let mut rows = status["requestors"].as_array().unwrap().iter();
            rows.find(|row| row["name"] == name).unwrap().clone()
        };
        assert_eq!(row("SOUTH/SALES")["alarm"], kind.word(), "{status}");
        assert_eq!(row("SOUTH/SALES")["verdict"], "waiting");
        assert_eq!(
            (&row("NORTH/HQ")["verdict"], &row("NORTH/HQ")["alarm"]),
            (&"well".into(), &serde_json::Value::Null)
        );
        // That somebody has suspended it is no reason to look at it.
        sandbox.run("-C hq requestor suspend SOUTH/SALES").expect(0);
        assert_eq!(sandbox.status("hq")["headline"]["need_you"], 0);
    }
}

#[test]
fn an_offer_is_in_status_until_it_is_claimed() {
    let sandbox = Sandbox::two_postoffices();
    bring_about(AlarmKind::Offered, &sandbox);
    sandbox.run("-C sales status").expect(3);
    sandbox.run("-C sales entry claim one").expect(0);
    sandbox.run("-C sales status").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    sandbox.run("-C sales status").expect(0);
}

#[test]
fn the_first_line_says_that_all_is_well_and_what_comes_next() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..5));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    let first = |postoffice: &str| {
        let status = sandbox.run(&format!("-C {postoffice} status")).expect(0).out;
        status.lines().next().unwrap_or_default().to_owned()
    };
    let next = "Next: as soon as something changes.";
    assert_eq!(first("hq"), format!("All 2 sites agree; 5 people. {next}"));
    assert_eq!(first("sales"), format!("SALES agrees with HQ; 5 people. {next}"));
    sandbox.write(
        "hq/dirsync.toml",
        "[schedule]\nzone = \"Europe/Berlin\"\n\
         times = [\"T1 daily 22:00\", \"T2 daily 22:30\", \"T3 daily 23:00\"]\n",
    );
    let first = first("hq");
    assert!(first.starts_with("All 2 sites agree; 5 people. Next: T"), "{first}");
    assert!(first.contains(" Europe/Berlin (in "), "{first}");
}

#[test]
fn a_suspended_site_is_named_in_the_first_lines() {
    let sandbox = Sandbox::two_postoffices();
    (0..3).for_each(|_| sandbox.cycle());
    let first =
        |sandbox: &Sandbox| sandbox.run("-C hq status").out.lines().next().unwrap().to_owned();
    assert!(!first(&sandbox).contains("suspended"));
    sandbox.run("-C hq requestor suspend SOUTH/SALES").expect(0);
    assert!(first(&sandbox).ends_with(" SALES is suspended."), "{}", first(&sandbox));
}

/// What runs when is said wherever somebody looks at the schedule.
#[test]
fn the_next_three_times_of_each_step_are_told() {
    let sandbox = Sandbox::two_postoffices();
    sandbox
        .write("sales/dirsync.toml", "[schedule]\ntimes = [\"T1 Mon 22:00\", \"T3 Tue 06:00\"]\n");
    for command in ["status", "config check", "run --once"] {
        let ran = sandbox.run(&format!("-C sales {command}"));
        let said = format!("{}{}", ran.out, ran.err);
        let line = said.lines().find(|line| line.contains("next") && line.contains("T1 "));
        let line = line.unwrap_or_else(|| panic!("{command}: {said}"));
        assert_eq!(line.matches("22:00").count(), 3, "{command}: {line}");
    }
    let next = &sandbox.run("-C sales config check --json").expect(0).json()["next"];
    assert_eq!(next["steps"][1]["times"].as_array().map(Vec::len), Some(3), "{next}");
}

/// A dry run by the settings says what the next night would do, and does nothing.
#[test]
fn a_dry_run_says_what_the_next_night_would_do() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..30));
    sandbox.write(
        "sales/dirsync.toml",
        "[schedule]\ntimes = [\"T1 daily 22:00\", \"T3 daily 21:00\"]\n\
         [[source]]\nname = \"hr\"\nfile = \"../people.csv\"\nwhole = true\n\
         [[source]]\nname = \"lab\"\nfile = \"../lab.csv\"\n[[target]]\nfile = \"list.csv\"\n",
    );
    sandbox.write("lab.csv", "key,cn,mail\nx,Lab,lab@x.example\n");
    let run = sandbox.run("-C sales run --dry-run").expect(0).out;
    for says in
        ["30 rows: 30 to add", "1 row: 1 to add", "send 0 own changes to NORTH/HQ", "list.csv"]
    {
        assert!(run.contains(says), "{says}: {run}");
    }
    assert!(run.contains("T1 ") && run.contains(" 22:00 UTC (in "), "{run}");
    let one = sandbox.run("-C sales import --source hr --dry-run").expect(0).out;
    assert!(one.contains("30 would be added"), "{one}");
    let unknown = sandbox.run("-C sales import --source hrr --dry-run").expect(1).err;
    assert!(unknown.contains("the sources are: hr, lab"), "{unknown}");
    assert_eq!(sandbox.status("sales")["own_entries"], 0);
    std::fs::remove_file(sandbox.path("lab.csv")).unwrap();
    let json = sandbox.run("-C sales run --dry-run --json").expect(3).json();
    let steps = json[0]["steps"].as_array().unwrap();
    let sends = steps.iter().find(|step| step["step"] == "T1").unwrap();
    assert_eq!(sends["reads"][0]["counts"]["added"], 30, "{json}");
    assert!(sends["reads"][1]["failed"].is_string(), "{json}");
}

/// A terminal is drawn on as long as somebody looks; a file is not.
#[test]
fn status_is_drawn_again_on_a_terminal_only() {
    let sandbox = Sandbox::two_postoffices();
    let piped = sandbox.run("-C hq status --watch").expect(2).err;
    assert!(piped.contains("draws on a terminal"), "{piped}");
    let program = env!("CARGO_BIN_EXE_dirsync");
    let command = format!("timeout -s INT 5 {program} -C hq status --watch");
    let drawn = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(sandbox.folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let drawn = String::from_utf8_lossy(&drawn.stdout).into_owned();
    assert!(drawn.matches("sites agree").count() >= 2, "{drawn}");
    for lasting in ["\u{1b}[?1049h", "\u{1b}[?25l"] {
        assert!(!drawn.contains(lasting), "the terminal stays as it was");
    }
}
