//! What others do to an agent: shares that go, programs that hang. All else goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dirsync_carrier::PostofficeLock;

use crate::agent::{Agent, SITES, add, are_equal, eventually, three_sites};
use crate::site::{Place, people};

/// The folder in a share in which messages for a postoffice lie that moves them to `done/`.
fn inbox_of(share: &Path, is_it: impl Fn(&Path) -> bool) -> PathBuf {
    let inboxes = fs::read_dir(share).unwrap().flatten().map(|entry| entry.path());
    inboxes.into_iter().find(|inbox| is_it(inbox)).unwrap()
}

fn polled_each_second(place: &Place) {
    for site in SITES {
        place.write(&format!("{site}/dirsync.toml"), "[schedule]\npoll = \"1 s\"\n");
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

/// `docs/failure-stories.md` §15: two sites on two folders.
#[test]
fn one_share_away_stops_nobody() {
    let place = three_sites();
    polled_each_second(&place);
    let agent = Agent::start(&place, &SITES);
    for site in SITES {
        add(&place, site, "first");
    }
    let mut entries = 3;
    eventually("the first fill", || are_equal(&place, entries));
    // Who wrote first has its inbox filled by the other: the server's is the one with requests done.
    let share = place.path("share");
    let inbox = inbox_of(&share, |inbox| {
        let done = fs::read_dir(inbox.join("done")).into_iter().flatten().flatten();
        done.into_iter().any(|file| {
            let shown = place.run_words(&["message", "show", file.path().to_str().unwrap()]);
            shown.out.contains("message=request")
        })
    });
    place.write(SERVER_INBOX, inbox.to_str().unwrap());
    for (what, take_away, bring_back) in AWAYS {
        take_away(&share);
        add(&place, "sales", &format!("sales{entries}"));
        add(&place, "works", &format!("works{entries}"));
        eventually(&format!("{what}: the other site is served"), || {
            ["hq", "works"]
                .iter()
                .all(|site| place.status(site)["entries"].as_u64() > Some(entries))
        });
        eventually(&format!("{what}: status says which"), || {
            let status = place.run("-C hq status");
            (status.code == 3 || status.code == 4) && status.out.contains("share")
        });
        assert!(place.run("-C hq log").expect(0).out.contains("alarm"), "{what}: an alarm");
        bring_back(&share);
        entries += 2;
        eventually(&format!("{what}: what waited is delivered"), || are_equal(&place, entries));
        eventually(&format!("{what}: it is over"), || {
            SITES.iter().all(|site| place.run(&format!("-C {site} status")).code == 0)
        });
    }
    assert_eq!(agent.terminate(), 0);
}

/// A command by hand serves everybody else and says by its exit code that one was not reached.
#[test]
fn a_command_serves_all_others_and_is_exit_4() {
    let place = three_sites();
    place.run("-C hq entry add --name Ana --address SMTP:ana@hq.example").expect(0);
    place.run("-C sales send").expect(0);
    place.run("-C works send").expect(0);
    fs::rename(place.path("share"), place.path("gone")).unwrap();
    let cycle = place.run("-C hq cycle --json").expect(4);
    assert_eq!(cycle.json()["T2"]["failed"].as_array().unwrap().len(), 1, "{}", cycle.out);
    place.run("-C works apply").expect(0);
    assert_eq!(place.status("works")["entries"], 1);
    let status = place.run("-C hq status --json").expect(4).json();
    assert_eq!(status["failed_places"].as_array().unwrap().len(), 1);
    fs::rename(place.path("gone"), place.path("share")).unwrap();
    place.run("-C hq cycle").expect(0);
    place.run("-C sales apply").expect(0);
    assert_eq!(place.status("sales")["entries"], 1);
}

/// `docs/failure-stories.md` §15: the deletions were held, then an answer could not be written.
#[test]
fn what_was_committed_is_said() {
    let place = three_sites();
    place.write("people.csv", &people(0..30));
    place.run("-C sales import people.csv --whole").expect(0);
    place.cycle();
    place.cycle();
    place.write("people.csv", &people(0..18));
    place.write("sales/dirsync.toml", "[guard]\nentries = 100\n");
    place.run("-C sales import people.csv --whole").expect(0);
    place.run("-C sales send").expect(0);
    place.run("-C works send").expect(0);
    // Nothing can be left for either of them any more.
    let before: Vec<PathBuf> = ["share", "share2"].map(|share| place.path(share)).into();
    for share in before {
        for inbox in fs::read_dir(share).unwrap().flatten().map(|entry| entry.path()) {
            let waits = fs::read_dir(&inbox).unwrap().flatten().any(|file| file.path().is_file());
            if !waits {
                put_in_the_way(&inbox, false);
            }
        }
    }
    place.run("run hq --once").expect(4);
    let log = place.run("-C hq log").expect(0).out;
    let said = |line: &&str| line.contains("T2") && line.contains("deletion");
    assert_eq!(log.lines().filter(said).count(), 1, "{log}");
    let alarms = log.lines().filter(|line| line.contains("alarm") && line.contains("held begins"));
    assert_eq!(alarms.count(), 1, "{log}");
}

fn hanging(place: &Place, site: &str, timeout: &str) {
    let script =
        format!("echo $$ > {0}; sleep 600 & echo $! >> {0}; wait", place.path("group").display());
    place.write(
        &format!("{site}/dirsync.toml"),
        &format!(
            "[schedule]\npoll = \"1 s\"\n[alarm]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n\
             timeout = \"{timeout}\"\n"
        ),
    );
}

/// Holds 28 deletions at `hq`, which is an alarm.
fn hold(place: &Place) {
    place.write("people.csv", &people(0..30));
    place.run("-C hq import people.csv --whole").expect(0);
    place.run("-C hq cycle").expect(0);
    place.write("people.csv", &people(0..2));
    place.run("-C hq import people.csv --whole").expect(3);
}

fn group_is_alive(place: &Place) -> bool {
    place.read("group").lines().any(|process| {
        let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // Who has ended and is not asked for yet is no more.
        state.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    })
}

/// `docs/failure-stories.md` §15: neither the steps of any postoffice nor the agent's end wait for it.
#[test]
fn alarm_that_hangs_stops_nothing() {
    let place = three_sites();
    polled_each_second(&place);
    hanging(&place, "hq", "1 h");
    hold(&place);
    let agent = Agent::start(&place, &SITES);
    eventually("the alarm", || place.exists("group") && place.read("group").lines().count() == 2);
    add(&place, "sales", "first");
    add(&place, "works", "first");
    eventually("everything else", || are_equal(&place, 32));
    let begun = Instant::now();
    assert_eq!(agent.terminate(), 0);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(!group_is_alive(&place), "it is ended with the agent");
    // What was interrupted is not lost, and a limit ends it.
    fs::remove_file(place.path("group")).unwrap();
    hanging(&place, "hq", "1 s");
    place.run("run hq --once").expect(3);
    assert!(!group_is_alive(&place), "with all that it started");
    let status = place.run("-C hq status").expect(3);
    assert!(status.out.contains("its time limit"), "{}", status.out);
    let log = place.run("-C hq log").expect(0).out;
    assert!(log.contains("its time limit"), "{log}");
}

/// Whatever a step hangs in, here a postoffice that another process does not let go, SIGTERM ends the
/// agent. It would wait for it twenty seconds.
#[test]
fn sigterm_ends_an_agent_that_hangs() {
    let place = three_sites();
    polled_each_second(&place);
    let agent = Agent::start(&place, &SITES);
    add(&place, "sales", "first");
    eventually("work", || place.status("works")["entries"] == 1);
    let lock = place.path("hq/transit/lock");
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

/// The agents of all sites do what is due at one time of a schedule: T1 everywhere, then T2, then T3.
fn scheduled_cycle(place: &Place) {
    for step in ["T1", "T2", "T3"] {
        for site in SITES {
            make_due(place, site, step);
            place.run(&format!("run {site} --once"));
        }
    }
}

/// A step's time has come at a site, and no other's.
fn make_due(place: &Place, site: &str, step: &str) {
    use dirsync_store::Store;
    use dirsync_store::sqlite::SqliteStore;

    let mut store = SqliteStore::open(place.path(&format!("{site}/postoffice.db"))).unwrap();
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
    let place = three_sites();
    for site in SITES {
        place.write(
            &format!("{site}/dirsync.toml"),
            "[schedule]\ntimes = [\"T1 every 1 min\", \"T2 every 1 min\", \"T3 every 1 min\"]\n",
        );
        add(&place, site, "first");
    }
    for _ in 0..3 {
        scheduled_cycle(&place);
    }
    assert!(are_equal(&place, 3));
    for site in ["sales", "hq"] {
        place.run(&format!("-C {site} backup {site}.backup")).expect(0);
    }
    add(&place, "sales", "second");
    scheduled_cycle(&place);
    scheduled_cycle(&place);
    assert!(are_equal(&place, 4));
    for site in ["sales", "hq"] {
        place.run(&format!("-C {site} restore {site}.backup")).expect(0);
        for _ in 0..3 {
            scheduled_cycle(&place);
        }
        assert!(are_equal(&place, 4), "after a restore of {site}");
        assert_eq!(place.status("sales")["own_entries"], 2, "after a restore of {site}");
        assert_eq!(place.status("hq")["recovering"], false, "after a restore of {site}");
    }
}

/// The other postoffice on the same shared folder, and the server, go on.
#[test]
fn an_inbox_in_the_way_stops_no_other_on_its_share() {
    let place = Place::two_sites();
    place.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    place.run("-C depot init --invitation depot.invitation").expect(0);
    let sites = ["hq", "sales", "depot"];
    for site in sites {
        place.write(&format!("{site}/dirsync.toml"), "[schedule]\npoll = \"1 s\"\n");
    }
    let agent = Agent::start(&place, &sites);
    for site in sites {
        add(&place, site, "first");
    }
    let have = |sites: &[&str], entries: u64| {
        sites.iter().all(|site| place.status(site)["entries"] == entries)
    };
    eventually("the first fill", || have(&sites, 3));
    let inbox = inbox_of(&place.path("share"), |inbox| {
        let done = fs::read_dir(inbox.join("done")).into_iter().flatten().flatten();
        done.into_iter().any(|file| {
            let shown = place.run_words(&["message", "show", file.path().to_str().unwrap()]).out;
            shown.contains("message=update") && shown.contains("to=SOUTH/SALES")
        })
    });
    put_in_the_way(&inbox, false);
    add(&place, "depot", "second");
    eventually("the others agree", || have(&["hq", "depot"], 4));
    eventually("both say it", || {
        ["hq", "sales"].iter().all(|site| place.run(&format!("-C {site} status")).code >= 3)
    });
    assert_eq!(place.run("-C depot status").code, 0);
    clear_the_way(&inbox);
    eventually("all agree", || have(&sites, 4));
    eventually("it is over", || {
        sites.iter().all(|site| place.run(&format!("-C {site} status")).code == 0)
    });
    assert_eq!(agent.terminate(), 0);
}

/// Neither the list nor a message has to move for it.
#[test]
fn a_target_that_can_be_written_again_is_within_a_poll() {
    let place = three_sites();
    polled_each_second(&place);
    let targets = "[schedule]\npoll = \"1 s\"\n[[target]]\nfile = \"../out/gal.csv\"\n\
                   [[target]]\nfile = \"../gal.csv\"\n";
    for site in ["hq", "sales"] {
        place.write(&format!("{site}/dirsync.toml"), &targets.replace("gal", site));
    }
    place.write("out", "in the way");
    let _agent = Agent::start(&place, &SITES);
    add(&place, "works", "first");
    for site in ["hq", "sales"] {
        let target = format!("{site}.csv");
        eventually("the other target", || {
            place.exists(&target) && place.read(&target).contains("first")
        });
        eventually("status", || {
            let status = place.run(&format!("-C {site} status"));
            status.code == 3 && status.out.contains("out/")
        });
    }
    eventually("all that was to be sent is", || are_equal(&place, 1));
    std::thread::sleep(Duration::from_secs(2));
    let errors = |site: &str| {
        let log = place.run(&format!("-C {site} log")).expect(0).out;
        log.lines().filter(|line| line.contains("not written")).count()
    };
    assert_eq!([errors("hq"), errors("sales")], [1, 1], "it is said once");
    fs::remove_file(place.path("out")).unwrap();
    fs::create_dir(place.path("out")).unwrap();
    for site in ["hq", "sales"] {
        let target = format!("out/{site}.csv");
        eventually("the target", || place.exists(&target) && place.read(&target).contains("first"));
        eventually("it is over", || place.run(&format!("-C {site} status")).code == 0);
    }
}

/// With a schedule: within its run window a step tries again what it could not use, and nothing else.
#[test]
fn a_place_that_is_back_is_used_within_the_run_window() {
    let place = three_sites();
    add(&place, "hq", "first");
    for site in ["sales", "works"] {
        place.run(&format!("-C {site} send")).expect(0);
    }
    place.write("hq/dirsync.toml", &daily(&["T1", "T2", "T3"]));
    place.write("sales/dirsync.toml", &daily(&["T1", "T3"]));
    let away = || fs::rename(place.path("share"), place.path("gone")).unwrap();
    let back = || fs::rename(place.path("gone"), place.path("share")).unwrap();
    make_due(&place, "hq", "T1");
    place.run("run hq --once").expect(0);
    // T2 answers one site, and the other when it can.
    away();
    make_due(&place, "hq", "T2");
    for _ in 0..2 {
        place.run("run hq --once").expect(4);
    }
    place.run("-C works apply").expect(0);
    assert_eq!(place.status("works")["entries"], 1);
    back();
    place.run("run hq --once").expect(0);
    place.run("-C sales apply").expect(0);
    assert_eq!(place.status("sales")["entries"], 1);
    let ran = |site: &str, step: &str| {
        let log = place.run(&format!("-C {site} log")).expect(0).out;
        log.lines().filter(|line| line.contains(step)).count()
    };
    let before = ran("hq", " T2 ");
    place.run("run hq --once").expect(0);
    assert_eq!(ran("hq", " T2 "), before, "it is not due any more");
    // T1 uses no numbers up, and sends what waits.
    add(&place, "sales", "second");
    away();
    make_due(&place, "sales", "T1");
    for _ in 0..3 {
        place.run("run sales --once").expect(4);
    }
    back();
    place.run("run sales --once").expect(0);
    let log = place.run("-C sales log").expect(0).out;
    assert!(log.contains("request 3 sent"), "{log}");
    // A source that comes late is read and sent.
    place.write("works/dirsync.toml", &format!("{}{SOURCE}", daily(&["T1", "T3"])));
    make_due(&place, "works", "T1");
    for _ in 0..2 {
        place.run("run works --once").expect(3);
    }
    place.write("late.csv", &people(0..2));
    place.run("run works --once").expect(0);
    for _ in 0..2 {
        place.run("-C hq cycle").expect(0);
    }
    assert_eq!(place.status("hq")["entries"], 4);
}

const SOURCE: &str = "[[source]]\nname = \"hr\"\nfile = \"../late.csv\"\nwhole = true\n";

/// A source that is missing, and one that ends inside a card: each is said once, `status` names both,
/// and a third one is read.
#[test]
fn a_source_that_fails_holds_up_no_other_and_is_said_once() {
    let place = Place::two_sites();
    let source = |name: &str, file: &str| {
        format!("[[source]]\nname = \"{name}\"\nfile = \"../{file}\"\nwhole = true\n")
    };
    let sources =
        [source("gone", "gone.csv"), source("cut", "cut.vcf"), source("well", "well.csv")];
    let settings = format!("[schedule]\npoll = \"1 s\"\n{}", sources.concat());
    place.write("sales/dirsync.toml", &settings);
    place.write("well.csv", &people(0..2));
    place.write("cut.vcf", CARD);
    let _agent = Agent::start(&place, &["hq", "sales"]);
    let failed = || place.run("-C sales status --json").json()["failed_sources"].to_string();
    eventually("the others", || place.status("hq")["entries"] == 2);
    place.write("well.csv", &people(0..3));
    eventually("a change", || place.status("hq")["entries"] == 3);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(failed(), r#"["cut","gone"]"#);
    assert_eq!(place.run("-C sales status").code, 3);
    let log = place.run("-C sales log").expect(0).out;
    for text in ["\"gone\" was not read", "\"cut\" was read in part"] {
        let said = |line: &&str| line.contains(text) && line.contains(" T0 ");
        assert_eq!(log.lines().filter(said).count(), 1, "{log}");
    }
    place.write("cut.vcf", &format!("{CARD}FN:Ana\nEMAIL:ana@cards.example\nEND:VCARD\n"));
    eventually("what was cut off", || place.status("hq")["entries"] == 4);
    eventually("it is over", || failed() == r#"["gone"]"#);
    place.write("sales/dirsync.toml", &settings.replace(&sources[0], ""));
    eventually("who is no source any more", || place.run("-C sales status").code == 0);
}

const CARD: &str = "BEGIN:VCARD\nVERSION:3.0\nUID:ana\n";
