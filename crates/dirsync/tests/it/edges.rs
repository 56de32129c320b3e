//! What others do to an agent: shares that go, programs that hang. All else goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dirsync_carrier::PostofficeLock;

use crate::agent::{Agent, POSTOFFICES, add, are_equal, eventually, three_postoffices};
use crate::sandbox::{Sandbox, people};

/// The folder in a share in which messages for a postoffice lie that moves them to `done/`.
fn inbox_of(share: &Path, is_it: impl Fn(&Path) -> bool) -> PathBuf {
    let inboxes = fs::read_dir(share).unwrap().flatten().map(|entry| entry.path());
    inboxes.into_iter().find(|inbox| is_it(inbox)).unwrap()
}

fn polled_each_second(sandbox: &Sandbox) {
    for postoffice in POSTOFFICES {
        sandbox.write(&format!("{postoffice}/dirsync.toml"), "[schedule]\npoll = \"1 s\"\n");
    }
}

/// What is done to a share, and how it is undone.
type Away = (&'static str, fn(&Path), fn(&Path));

fn rename(from: &Path, to: &str) {
    fs::rename(from, from.with_file_name(to)).unwrap();
}

const SERVER_INBOX: &str = "server-inbox";

/// The server's inbox in the share, noted in a link-free file beside it.
fn server_inbox(share: &Path) -> PathBuf {
    PathBuf::from(fs::read_to_string(share.with_file_name(SERVER_INBOX)).unwrap())
}

fn put_in_the_way(part: &Path, link: bool) {
    let kept = part.with_extension("kept");
    if part.exists() {
        fs::rename(part, kept).unwrap();
    }
    if link {
        std::os::unix::fs::symlink("/tmp", part).unwrap();
    } else {
        fs::write(part, "in the way").unwrap();
    }
}

fn clear_the_way(part: &Path) {
    fs::remove_file(part).unwrap();
    let kept = part.with_extension("kept");
    if kept.exists() {
        fs::rename(kept, part).unwrap();
    }
}

const AWAYS: [Away; 5] = [
    (
        "it is not mounted",
        |share| rename(share, "gone"),
        |share| {
            fs::rename(share.with_file_name("gone"), share).unwrap();
        },
    ),
    ("a file is in its place", |share| put_in_the_way(share, false), clear_the_way),
    (
        "the server's inbox is a file",
        |share| put_in_the_way(&server_inbox(share), false),
        |share| clear_the_way(&server_inbox(share)),
    ),
    (
        "done/ is a link",
        |share| put_in_the_way(&server_inbox(share).join("done"), true),
        |share| clear_the_way(&server_inbox(share).join("done")),
    ),
    (
        "refused/ is a file, and junk has come",
        |share| {
            put_in_the_way(&server_inbox(share).join("refused"), false);
            let done = fs::read_dir(server_inbox(share).join("done")).unwrap();
            let name = done.flatten().next().unwrap().file_name();
            fs::write(server_inbox(share).join(name), "no message").unwrap();
        },
        |share| clear_the_way(&server_inbox(share).join("refused")),
    ),
];

/// `docs/failure-stories.md` §15: two postoffices on two folders.
#[test]
fn one_share_away_stops_nobody() {
    let sandbox = three_postoffices();
    polled_each_second(&sandbox);
    let agent = Agent::start(&sandbox, &POSTOFFICES);
    for postoffice in POSTOFFICES {
        add(&sandbox, postoffice, "first");
    }
    let mut entries = 3;
    eventually("the first fill", || are_equal(&sandbox, entries));
    // Who wrote first has its inbox filled by the other: the server's is the one with requests done.
    let share = sandbox.path("share");
    let inbox = inbox_of(&share, |inbox| {
        let done = fs::read_dir(inbox.join("done")).into_iter().flatten().flatten();
        done.into_iter().any(|file| {
            let file = file.path();
            let shown = sandbox.run_words(&["-C", "hq", "message", "show", file.to_str().unwrap()]);
            shown.out.contains("message=request")
        })
    });
    sandbox.write(SERVER_INBOX, inbox.to_str().unwrap());
    for (what, take_away, bring_back) in AWAYS {
        take_away(&share);
        add(&sandbox, "sales", &format!("sales{entries}"));
        add(&sandbox, "works", &format!("works{entries}"));
        eventually(&format!("{what}: the other site is served"), || {
            ["hq", "works"]
                .iter()
                .all(|postoffice| sandbox.status(postoffice)["entries"].as_u64() > Some(entries))
        });
        eventually(&format!("{what}: status says which"), || {
            let status = sandbox.run("-C hq status");
            status.code == 3 && status.out.contains("share")
        });
        assert!(sandbox.run("-C hq log").expect(0).out.contains("alarm"), "{what}: an alarm");
        bring_back(&share);
        entries += 2;
        eventually(&format!("{what}: what waited is delivered"), || are_equal(&sandbox, entries));
        eventually(&format!("{what}: it is over"), || {
            POSTOFFICES
                .iter()
                .all(|postoffice| sandbox.run(&format!("-C {postoffice} status")).code == 0)
        });
    }
    assert_eq!(agent.terminate(), 0);
}

/// A command by hand serves everybody else and says by its exit code that one was not reached.
#[test]
fn a_command_serves_all_others_and_is_exit_4() {
    let sandbox = three_postoffices();
    sandbox.run("-C hq entry add --name Ana --address SMTP:ana@hq.example").expect(0);
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C works send").expect(0);
    fs::rename(sandbox.path("share"), sandbox.path("gone")).unwrap();
    let cycle = sandbox.run("-C hq cycle --json").expect(4);
    assert_eq!(cycle.json()["T2"]["failed"].as_array().unwrap().len(), 1, "{}", cycle.out);
    sandbox.run("-C works apply").expect(0);
    assert_eq!(sandbox.status("works")["entries"], 1);
    let status = sandbox.run("-C hq status --json").expect(3).json();
    let alarms = status["alarms"].as_array().unwrap();
    assert_eq!(alarms.iter().filter(|alarm| alarm["kind"] == "place").count(), 1, "{status}");
    fs::rename(sandbox.path("gone"), sandbox.path("share")).unwrap();
    sandbox.run("-C hq cycle").expect(0);
    sandbox.run("-C sales apply").expect(0);
    assert_eq!(sandbox.status("sales")["entries"], 1);
}

/// `docs/failure-stories.md` §15: the deletions were held, then an answer could not be written.
#[test]
fn what_was_committed_is_said() {
    let sandbox = three_postoffices();
    sandbox.write("people.csv", &people(0..30));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    sandbox.write("people.csv", &people(0..18));
    sandbox.write("sales/dirsync.toml", "[guard]\nentries = 100\n");
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C works send").expect(0);
    // Nothing can be left for either of them any more.
    let before: Vec<PathBuf> = ["share", "share2"].map(|share| sandbox.path(share)).into();
    for share in before {
        for inbox in fs::read_dir(share).unwrap().flatten().map(|entry| entry.path()) {
            let waits = fs::read_dir(&inbox).unwrap().flatten().any(|file| file.path().is_file());
            if !waits {
                put_in_the_way(&inbox, false);
            }
        }
    }
    sandbox.run("run hq --once").expect(4);
    let log = sandbox.run("-C hq log").expect(0).out;
    let said = |line: &&str| line.contains(" T2 ") && line.contains("deletion");
    assert_eq!(log.lines().filter(said).count(), 1, "{log}");
    let alarms = log.lines().filter(|line| {
        line.contains("alarm") && line.contains("held deletions SOUTH/SALES begins")
    });
    assert_eq!(alarms.count(), 1, "{log}");
}

fn hanging(sandbox: &Sandbox, postoffice: &str, timeout: &str) {
    let script =
        format!("echo $$ > {0}; sleep 600 & echo $! >> {0}; wait", sandbox.path("group").display());
    sandbox.write(
        &format!("{postoffice}/dirsync.toml"),
        &format!(
            "[schedule]\npoll = \"1 s\"\n[alarm]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n\
             timeout = \"{timeout}\"\n"
        ),
    );
}

/// Holds 28 deletions at `hq`, which is an alarm.
fn hold(sandbox: &Sandbox) {
    sandbox.write("people.csv", &people(0..30));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    sandbox.write("people.csv", &people(0..2));
    sandbox.run("-C hq import people.csv --whole").expect(3);
}

fn group_is_alive(sandbox: &Sandbox) -> bool {
    sandbox.read("group").lines().any(|process| {
        let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // Who has ended and is not asked for yet is no more.
        state.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    })
}

/// `docs/failure-stories.md` §15: neither the steps of any postoffice nor the agent's end wait for it.
#[test]
fn alarm_that_hangs_stops_nothing() {
    let sandbox = three_postoffices();
    polled_each_second(&sandbox);
    hanging(&sandbox, "hq", "1 h");
    hold(&sandbox);
    let agent = Agent::start(&sandbox, &POSTOFFICES);
    eventually("the alarm", || {
        sandbox.exists("group") && sandbox.read("group").lines().count() == 2
    });
    add(&sandbox, "sales", "first");
    add(&sandbox, "works", "first");
    eventually("everything else", || are_equal(&sandbox, 32));
    let begun = Instant::now();
    assert_eq!(agent.terminate(), 0);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(!group_is_alive(&sandbox), "it is ended with the agent");
    // What was interrupted is not lost, and a limit ends it.
    fs::remove_file(sandbox.path("group")).unwrap();
    hanging(&sandbox, "hq", "1 s");
    sandbox.run("run hq --once").expect(3);
    assert!(!group_is_alive(&sandbox), "with all that it started");
    let status = sandbox.run("-C hq status").expect(3);
    assert!(status.out.contains("its time limit"), "{}", status.out);
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(log.contains("its time limit"), "{log}");
}

/// Whatever a step hangs in, here a postoffice that another process does not let go, SIGTERM ends the
/// agent. It would wait for it twenty seconds.
#[test]
fn sigterm_ends_an_agent_that_hangs() {
    let sandbox = three_postoffices();
    polled_each_second(&sandbox);
    let agent = Agent::start(&sandbox, &POSTOFFICES);
    add(&sandbox, "sales", "first");
    eventually("work", || sandbox.status("works")["entries"] == 1);
    let lock = sandbox.path("hq/transit/lock");
    assert!(lock.exists());
    let mut held = None;
    eventually("the postoffice between two turns", || {
        held = PostofficeLock::acquire(&lock, "test").ok();
        held.is_some()
    });
    // So long that the agent has come to it at a poll.
    std::thread::sleep(Duration::from_millis(1500));
    let begun = Instant::now();
    assert_eq!(agent.terminate(), 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(held);
}

/// The agents of all postoffices do what is due at one time of a schedule: T1 everywhere, then T2, then T3.
fn scheduled_cycle(sandbox: &Sandbox) {
    for step in ["T1", "T2", "T3"] {
        for postoffice in POSTOFFICES {
            make_due(sandbox, postoffice, step);
            sandbox.run(&format!("run {postoffice} --once"));
        }
    }
}

/// A step's time has come at a postoffice, and no other's.
fn make_due(sandbox: &Sandbox, postoffice: &str, step: &str) {
    use dirsync_store::Store;
    use dirsync_store::sqlite::SqliteStore;

    let mut store =
        SqliteStore::open(sandbox.path(&format!("{postoffice}/postoffice.db"))).unwrap();
    let mut tables = store.begin().unwrap();
    for other in ["T1", "T2", "T3"] {
        let last = if other == step { "2020-01-01T00:00:00Z" } else { "2100-01-01T00:00:00Z" };
        tables.put_note(&format!("last_run:{other}"), Some(last)).unwrap();
    }
    tables.commit().unwrap();
}

/// Steps that are due once a day, whatever the time is.
fn daily(steps: &[&str]) -> String {
    let times: Vec<String> = steps.iter().map(|step| format!("\"{step} daily 00:00\"")).collect();
    format!("[schedule]\ntimes = [{}]\nwindow = \"24 h\"\n", times.join(", "))
}

/// With a schedule no agent sends at once; three cycles are enough all the same.
#[test]
fn a_schedule_heals_a_restore_within_three_cycles() {
    let sandbox = three_postoffices();
    for postoffice in POSTOFFICES {
        sandbox.write(
            &format!("{postoffice}/dirsync.toml"),
            "[schedule]\ntimes = [\"T1 every 1 min\", \"T2 every 1 min\", \"T3 every 1 min\"]\n",
        );
        add(&sandbox, postoffice, "first");
    }
    for _ in 0..3 {
        scheduled_cycle(&sandbox);
    }
    assert!(are_equal(&sandbox, 3));
    for postoffice in ["sales", "hq"] {
        sandbox.run(&format!("-C {postoffice} backup {postoffice}.backup")).expect(0);
    }
    add(&sandbox, "sales", "second");
    scheduled_cycle(&sandbox);
    scheduled_cycle(&sandbox);
    assert!(are_equal(&sandbox, 4));
    for postoffice in ["sales", "hq"] {
        sandbox.run(&format!("-C {postoffice} restore {postoffice}.backup")).expect(0);
        for _ in 0..3 {
            scheduled_cycle(&sandbox);
        }
        assert!(are_equal(&sandbox, 4), "after a restore of {postoffice}");
        assert_eq!(sandbox.status("sales")["own_entries"], 2, "after a restore of {postoffice}");
        assert_eq!(sandbox.status("hq")["recovering"], false, "after a restore of {postoffice}");
    }
}

/// The other postoffice on the same shared folder, and the server, go on.
#[test]
fn an_inbox_in_the_way_stops_no_other_on_its_share() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    let postoffices = ["hq", "sales", "depot"];
    for postoffice in postoffices {
        sandbox.write(&format!("{postoffice}/dirsync.toml"), "[schedule]\npoll = \"1 s\"\n");
    }
    let agent = Agent::start(&sandbox, &postoffices);
    for postoffice in postoffices {
        add(&sandbox, postoffice, "first");
    }
    let have = |postoffices: &[&str], entries: u64| {
        postoffices.iter().all(|postoffice| sandbox.status(postoffice)["entries"] == entries)
    };
    eventually("the first fill", || have(&postoffices, 3));
    let inbox = inbox_of(&sandbox.path("share"), |inbox| {
        let done = fs::read_dir(inbox.join("done")).into_iter().flatten().flatten();
        done.into_iter().any(|file| {
            let file = file.path();
            let words = ["-C", "sales", "message", "show", file.to_str().unwrap()];
            let shown = sandbox.run_words(&words).out;
            shown.contains("message=update") && shown.contains("to=SOUTH/SALES")
        })
    });
    put_in_the_way(&inbox, false);
    add(&sandbox, "depot", "second");
    eventually("the others agree", || have(&["hq", "depot"], 4));
    eventually("both say it", || {
        ["hq", "sales"]
            .iter()
            .all(|postoffice| sandbox.run(&format!("-C {postoffice} status")).code >= 3)
    });
    assert_eq!(sandbox.run("-C depot status").code, 0);
    clear_the_way(&inbox);
    eventually("all agree", || have(&postoffices, 4));
    eventually("it is over", || {
        postoffices
            .iter()
            .all(|postoffice| sandbox.run(&format!("-C {postoffice} status")).code == 0)
    });
    assert_eq!(agent.terminate(), 0);
}

/// Neither the list nor a message has to move for it.
#[test]
fn a_target_that_can_be_written_again_is_within_a_poll() {
    let sandbox = three_postoffices();
    polled_each_second(&sandbox);
    let targets = "[schedule]\npoll = \"1 s\"\n[[target]]\nfile = \"../out/gal.csv\"\n\
                   [[target]]\nfile = \"../gal.csv\"\n";
    for postoffice in ["hq", "sales"] {
        sandbox.write(&format!("{postoffice}/dirsync.toml"), &targets.replace("gal", postoffice));
    }
    sandbox.write("out", "in the way");
    let _agent = Agent::start(&sandbox, &POSTOFFICES);
    add(&sandbox, "works", "first");
    for postoffice in ["hq", "sales"] {
        let target = format!("{postoffice}.csv");
        eventually("the other target", || {
            sandbox.exists(&target) && sandbox.read(&target).contains("first")
        });
        eventually("status", || {
            let status = sandbox.run(&format!("-C {postoffice} status"));
            status.code == 3 && status.out.contains("out/")
        });
    }
    eventually("all that was to be sent is", || are_equal(&sandbox, 1));
    std::thread::sleep(Duration::from_secs(2));
    let errors = |postoffice: &str| {
        let log = sandbox.run(&format!("-C {postoffice} log")).expect(0).out;
        log.lines().filter(|line| line.contains("a target was not written")).count()
    };
    assert_eq!([errors("hq"), errors("sales")], [1, 1], "it is said once");
    fs::remove_file(sandbox.path("out")).unwrap();
    fs::create_dir(sandbox.path("out")).unwrap();
    for postoffice in ["hq", "sales"] {
        let target = format!("out/{postoffice}.csv");
        eventually("the target", || {
            sandbox.exists(&target) && sandbox.read(&target).contains("first")
        });
        eventually("it is over", || sandbox.run(&format!("-C {postoffice} status")).code == 0);
    }
}

/// With a schedule: within its run window a step tries again what it could not use, and nothing else.
#[test]
fn a_place_that_is_back_is_used_within_the_run_window() {
    let sandbox = three_postoffices();
    add(&sandbox, "hq", "first");
    for postoffice in ["sales", "works"] {
        sandbox.run(&format!("-C {postoffice} send")).expect(0);
    }
    sandbox.write("hq/dirsync.toml", &daily(&["T1", "T2", "T3"]));
    sandbox.write("sales/dirsync.toml", &daily(&["T1", "T3"]));
    let away = || fs::rename(sandbox.path("share"), sandbox.path("gone")).unwrap();
    let back = || fs::rename(sandbox.path("gone"), sandbox.path("share")).unwrap();
    make_due(&sandbox, "hq", "T1");
    sandbox.run("run hq --once").expect(0);
    // T2 answers one postoffice, and the other when it can.
    away();
    make_due(&sandbox, "hq", "T2");
    for _ in 0..2 {
        sandbox.run("run hq --once").expect(4);
    }
    sandbox.run("-C works apply").expect(0);
    assert_eq!(sandbox.status("works")["entries"], 1);
    back();
    sandbox.run("run hq --once").expect(0);
    sandbox.run("-C sales apply").expect(0);
    assert_eq!(sandbox.status("sales")["entries"], 1);
    let ran = |postoffice: &str, step: &str| {
        let log = sandbox.run(&format!("-C {postoffice} log")).expect(0).out;
        log.lines().filter(|line| line.contains(step)).count()
    };
    let before = ran("hq", " T2 ");
    sandbox.run("run hq --once").expect(0);
    assert_eq!(ran("hq", " T2 "), before, "it is not due any more");
    // T1 uses no numbers up, and sends what waits.
    add(&sandbox, "sales", "second");
    away();
    make_due(&sandbox, "sales", "T1");
    for _ in 0..3 {
        sandbox.run("run sales --once").expect(4);
    }
    back();
    sandbox.run("run sales --once").expect(0);
    let log = sandbox.run("-C sales log").expect(0).out;
    assert!(log.contains("request 3 sent"), "{log}");
    // A source that comes late is read and sent.
    sandbox.write("works/dirsync.toml", &format!("{}{SOURCE}", daily(&["T1", "T3"])));
    make_due(&sandbox, "works", "T1");
    for _ in 0..2 {
        sandbox.run("run works --once").expect(3);
    }
    sandbox.write("late.csv", &people(0..2));
    sandbox.run("run works --once").expect(0);
    for _ in 0..2 {
        sandbox.run("-C hq cycle").expect(0);
    }
    assert_eq!(sandbox.status("hq")["entries"], 4);
}

const SOURCE: &str = "[[source]]\nname = \"hr\"\nfile = \"../late.csv\"\nwhole = true\n";

/// A source that is missing, and one that ends inside a card: each is said once, `status` names both,
/// and a third one is read.
#[test]
fn a_source_that_fails_holds_up_no_other_and_is_said_once() {
    let sandbox = Sandbox::two_postoffices();
    let source = |name: &str, file: &str| {
        format!("[[source]]\nname = \"{name}\"\nfile = \"../{file}\"\nwhole = true\n")
    };
    let sources =
        [source("gone", "gone.csv"), source("cut", "cut.vcf"), source("well", "well.csv")];
    let settings = format!("[schedule]\npoll = \"1 s\"\n{}", sources.concat());
    sandbox.write("sales/dirsync.toml", &settings);
    sandbox.write("well.csv", &people(0..2));
    sandbox.write("cut.vcf", CARD);
    let _agent = Agent::start(&sandbox, &["hq", "sales"]);
    let failed = || -> Vec<String> {
        let alarms = sandbox.run("-C sales status --json").json()["alarms"].clone();
        let sources = alarms.as_array().unwrap().iter().filter(|alarm| alarm["kind"] == "source");
        sources.map(|alarm| alarm["name"].as_str().unwrap().to_owned()).collect()
    };
    eventually("the others", || sandbox.status("hq")["entries"] == 2);
    sandbox.write("well.csv", &people(0..3));
    eventually("a change", || sandbox.status("hq")["entries"] == 3);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(failed(), ["cut", "gone"]);
    assert_eq!(sandbox.run("-C sales status").code, 3);
    let log = sandbox.run("-C sales log").expect(0).out;
    for text in ["\"gone\" was not read", "\"cut\" was read in part"] {
        let said = |line: &&str| line.contains(text) && line.contains(" T0 ");
        assert_eq!(log.lines().filter(said).count(), 1, "{log}");
    }
    sandbox.write("cut.vcf", &format!("{CARD}FN:Ana\nEMAIL:ana@cards.example\nEND:VCARD\n"));
    eventually("what was cut off", || sandbox.status("hq")["entries"] == 4);
    eventually("it is over", || failed() == ["gone"]);
    sandbox.write("sales/dirsync.toml", &settings.replace(&sources[0], ""));
    eventually("who is no source any more", || sandbox.run("-C sales status").code == 0);
}

const CARD: &str = "BEGIN:VCARD\nVERSION:3.0\nUID:ana\n";
