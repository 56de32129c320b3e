//! `dirsync run`: the agent as a process.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, people};

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Agent(Child);

impl Agent {
    pub fn start(sandbox: &Sandbox, folders: &[&str]) -> Self {
        let words: Vec<&str> = std::iter::once("run").chain(folders.iter().copied()).collect();
        let mut command = sandbox.command(&words);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    pub fn terminate(mut self) -> i32 {
        let pid = self.0.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let status = self.0.wait().unwrap();
        status.code().unwrap_or(-1)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come to be");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_change_is_everywhere_without_a_command() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write(
        "hq/dirsync.toml",
        "[schedule]\npoll = \"1 s\"\n[[source]]\nname = \"hr\"\nfile = \"../hr.csv\"\nwhole = true\n",
    );
    sandbox.write(
        "sales/dirsync.toml",
        "[schedule]\npoll = \"1 s\"\n[[target]]\nfile = \"../gal.csv\"\n",
    );
    sandbox.write("hr.csv", &people(0..5));
    let agent = Agent::start(&sandbox, &["hq", "sales"]);
    eventually("the first fill", || sandbox.status("sales")["entries"] == 5);
    sandbox.write("hr.csv", &people(0..6));
    eventually("the target", || {
        sandbox.exists("gal.csv") && sandbox.read("gal.csv").contains("Person 5")
    });
    sandbox.run("-C sales entry add --name Greta --address SMTP:greta@s.example").expect(0);
    eventually("a change by hand while the agent runs", || sandbox.status("hq")["entries"] == 7);
    assert_eq!(agent.terminate(), 0, "SIGTERM ends it cleanly");
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(log.contains("T2") && log.contains("request"), "{log}");
}

/// Its inbox is made by whoever is first, and is watched before it is looked at: without file events
/// this would take an hour. Only files outside are looked at, for a command would wake the agent.
#[test]
fn the_first_answer_wakes_an_agent_that_nobody_has_written_to() {
    let sandbox = Sandbox::two_postoffices();
    let poll = "[schedule]\npoll = \"1 h\"\n";
    sandbox.write("hq/dirsync.toml", poll);
    sandbox.write("sales/dirsync.toml", &format!("{poll}[[target]]\nfile = \"../gal.csv\"\n"));
    sandbox.write("people.csv", &people(0..5));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    let requests = || {
        let inboxes = std::fs::read_dir(sandbox.path("share")).unwrap().flatten();
        let messages = inboxes.flat_map(|inbox| std::fs::read_dir(inbox.path()).unwrap());
        messages.flatten().filter(|item| item.path().is_file()).count()
    };
    assert_eq!(requests(), 0);
    let _sales = Agent::start(&sandbox, &["sales"]);
    eventually("the first request", || requests() == 1);
    // Long enough for it to go to sleep, if it misses what comes.
    std::thread::sleep(Duration::from_millis(300));
    let _hq = Agent::start(&sandbox, &["hq"]);
    let list = || if sandbox.exists("gal.csv") { sandbox.read("gal.csv") } else { String::new() };
    eventually("the first fill", || list().contains("Person 4"));
    sandbox.run("-C hq entry add --name Greta --address SMTP:greta@s.example").expect(0);
    eventually("a change", || list().contains("Greta"));
}

/// What an agent does itself does not wake it: where nothing happens, no database is opened. Each
/// opening makes files beside it, which the folder's time tells.
#[test]
fn agents_with_nothing_to_do_rest() {
    let sandbox = Sandbox::two_postoffices();
    for postoffice in ["hq", "sales"] {
        sandbox.write(&format!("{postoffice}/dirsync.toml"), "[schedule]\npoll = \"1 h\"\n");
    }
    let _agent = Agent::start(&sandbox, &["hq", "sales"]);
    sandbox.run("-C hq entry add --name Greta --address SMTP:greta@n.example").expect(0);
    eventually("the change", || sandbox.status("sales")["entries"] == 1);
    let opened = || {
        ["hq", "sales"].map(|postoffice| {
            std::fs::metadata(sandbox.path(postoffice)).unwrap().modified().unwrap()
        })
    };
    eventually("rest", || {
        let before = opened();
        std::thread::sleep(Duration::from_secs(1));
        opened() == before
    });
    sandbox.run("-C sales entry add --name Hugo --address SMTP:hugo@s.example").expect(0);
    eventually("what a command changes, from rest", || sandbox.status("hq")["entries"] == 2);
}

/// A poll looks at the places of a postoffice, and opens no database where nothing happened: each opening
/// makes files beside it, which the folder's time tells. What changes is seen at the next poll.
#[test]
fn polls_open_no_database_where_nothing_happened() {
    let sandbox = Sandbox::two_postoffices();
    for site in ["hq", "sales"] {
        sandbox.write(&format!("{site}/dirsync.toml"), "[schedule]\npoll = \"1 s\"\n");
    }
    let _agent = Agent::start(&sandbox, &["hq", "sales"]);
    sandbox.run("-C hq entry add --name Greta --address SMTP:greta@n.example").expect(0);
    eventually("the change", || sandbox.status("sales")["entries"] == 1);
    let opened = || {
        ["hq", "sales"]
            .map(|site| std::fs::metadata(sandbox.path(site)).unwrap().modified().unwrap())
    };
    eventually("rest over several polls", || {
        let before = opened();
        std::thread::sleep(Duration::from_secs(5));
        opened() == before
    });
    sandbox.write("hr.csv", &people(0..5));
    let source = "[[source]]\nname = \"hr\"\nfile = \"../hr.csv\"\nwhole = true\n";
    sandbox.write("hq/dirsync.toml", &format!("[schedule]\npoll = \"1 s\"\n{source}"));
    eventually("changed settings", || sandbox.status("sales")["entries"] == 6);
}

/// `docs/failure-stories.md` §12: the operating system drops the lock with its process.
#[test]
fn two_agents_at_once_are_one() {
    let sandbox = Sandbox::two_postoffices();
    let mut first = Agent::start(&sandbox, &["hq"]);
    eventually("the agent's lock", || sandbox.exists("hq/transit/agent.lock"));
    eventually("the second is refused", || {
        let second = sandbox.run("run hq --once");
        second.code == 1 && second.err.contains("another dirsync works on this postoffice")
    });
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    sandbox.run("run hq --once").expect(0);
}

/// `docs/failure-stories.md` §3: one message when it begins, one when it is over.
#[test]
fn an_alarm_sounds_once_when_it_begins_and_once_when_it_is_over() {
    let sandbox = Sandbox::two_postoffices();
    let script = sandbox.path("alarm.sh");
    std::fs::write(&script, format!("echo \"$1\" >> {}\n", sandbox.path("alarms").display()))
        .unwrap();
    sandbox.write(
        "hq/dirsync.toml",
        &format!("[alarm]\ncommand = [\"sh\", \"{}\", \"{{subject}}\"]\n", script.display()),
    );
    sandbox.write("people.csv", &people(0..30));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.run("run hq --once").expect(0);
    sandbox.write("people.csv", &people(0..2));
    sandbox.run("-C hq import people.csv --whole").expect(3);
    sandbox.run("run hq --once").expect(3);
    sandbox.run("run hq --once").expect(3);
    sandbox.run("-C hq held reject --all").expect(0);
    sandbox.run("run hq --once").expect(0);
    sandbox.run("run hq --once").expect(0);
    let alarms = sandbox.read("alarms");
    let lines: Vec<&str> = alarms.lines().collect();
    assert_eq!(lines.len(), 2, "{alarms}");
    assert!(
        lines[0].contains("held import begins") && lines[1].contains("held import is over"),
        "{alarms}"
    );
}

/// A server with two requestors, each on a folder of its own: `share` and `share2`.
pub fn three_postoffices() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add WEST/WORKS --folder share2 --out works.invitation").expect(0);
    sandbox.run("-C works init --invitation works.invitation").expect(0);
    sandbox
}

pub const POSTOFFICES: [&str; 3] = ["hq", "sales", "works"];

/// Whether all three lists have so many entries and are equal.
pub fn are_equal(sandbox: &Sandbox, entries: u64) -> bool {
    let lists = POSTOFFICES.map(|postoffice| sandbox.status(postoffice));
    lists.iter().all(|list| list["entries"] == entries && list["digest"] == lists[0]["digest"])
}

/// Three postoffices whose agents neither look at files by the clock nor send without need.
fn sites_that_rest() -> Sandbox {
    let sandbox = three_postoffices();
    for postoffice in POSTOFFICES {
        sandbox.write(&format!("{postoffice}/dirsync.toml"), "[schedule]\npoll = \"1 h\"\n");
    }
    sandbox
}

pub fn add(sandbox: &Sandbox, postoffice: &str, name: &str) {
    let address = format!("SMTP:{name}@{postoffice}.example");
    sandbox
        .run_words(&["-C", postoffice, "entry", "add", "--name", name, "--address", &address])
        .expect(0);
}

/// The agent of all postoffices after their first fill; `sales` and `hq` have backups of that.
fn filled_and_backed_up(sandbox: &Sandbox) -> Agent {
    let agent = Agent::start(sandbox, &POSTOFFICES);
    for postoffice in POSTOFFICES {
        add(sandbox, postoffice, "first");
    }
    eventually("the first fill", || are_equal(sandbox, 3));
    sandbox.run("-C sales backup sales.backup").expect(0);
    sandbox.run("-C hq backup hq.backup").expect(0);
    agent
}

/// `docs/failure-stories.md` §15: whatever needs another request sends it, without a command.
#[test]
fn agent_alone_heals_a_restore() {
    let sandbox = sites_that_rest();
    let agent = filled_and_backed_up(&sandbox);
    add(&sandbox, "sales", "second");
    eventually("a change", || are_equal(&sandbox, 4));

    sandbox.run("-C sales restore sales.backup").expect(0);
    eventually("equal lists after a requestor's restore", || {
        are_equal(&sandbox, 4) && sandbox.status("sales")["own_entries"] == 2
    });

    add(&sandbox, "works", "second");
    eventually("another change", || are_equal(&sandbox, 5));
    sandbox.run("-C hq restore hq.backup").expect(0);
    eventually("equal lists after the server's restore", || {
        are_equal(&sandbox, 5) && sandbox.status("hq")["recovering"] == false
    });

    add(&sandbox, "works", "third");
    eventually("a third change", || are_equal(&sandbox, 6));
    assert_eq!(agent.terminate(), 0);
    sandbox.run("-C hq restore hq.backup").expect(0);
    let _agent = Agent::start(&sandbox, &POSTOFFICES);
    eventually("equal lists after a restore before the agent starts", || {
        are_equal(&sandbox, 6) && sandbox.status("hq")["recovering"] == false
    });
}

/// The same copy twice, a new folder for a name, and databases copied back by hand.
#[test]
fn agent_alone_heals_every_way_back() {
    let sandbox = sites_that_rest();
    let database = |postoffice: &str| sandbox.path(&format!("{postoffice}/postoffice.db"));
    let agent = filled_and_backed_up(&sandbox);
    add(&sandbox, "sales", "second");
    add(&sandbox, "works", "second");
    eventually("a change", || are_equal(&sandbox, 5));
    for _ in 0..2 {
        sandbox.run("-C sales restore sales.backup").expect(0);
        eventually("equal lists after a restore of sales", || {
            are_equal(&sandbox, 5) && sandbox.status("sales")["own_entries"] == 2
        });
    }
    add(&sandbox, "sales", "third");
    eventually("a change after both", || are_equal(&sandbox, 6));
    // The third one begins a generation that everybody has left behind.
    for _ in 0..3 {
        sandbox.run("-C hq restore hq.backup").expect(0);
        eventually("equal lists after a restore of hq", || {
            are_equal(&sandbox, 6) && sandbox.status("hq")["recovering"] == false
        });
    }
    assert_eq!(agent.terminate(), 0);

    // A new folder, while the others' agents work.
    std::fs::rename(sandbox.path("works"), sandbox.path("works.old")).unwrap();
    let others = Agent::start(&sandbox, &["hq", "sales"]);
    sandbox
        .run("-C hq requestor add WEST/WORKS --folder share2 --again --out again.invitation")
        .expect(0);
    sandbox.run("-C works init --invitation again.invitation").expect(0);
    sandbox.write("works/dirsync.toml", "[schedule]\npoll = \"1 h\"\n");
    let works = Agent::start(&sandbox, &["works"]);
    eventually("equal lists after a reinstallation", || {
        are_equal(&sandbox, 6) && sandbox.status("works")["own_entries"] == 2
    });
    assert_eq!([others.terminate(), works.terminate()], [0, 0]);

    // Copied back by hand, while nothing runs.
    for postoffice in ["hq", "works"] {
        std::fs::copy(database(postoffice), sandbox.path(&format!("{postoffice}.copy"))).unwrap();
    }
    let agent = Agent::start(&sandbox, &POSTOFFICES);
    add(&sandbox, "works", "third");
    add(&sandbox, "sales", "fourth");
    eventually("changes after the copies", || are_equal(&sandbox, 8));
    assert_eq!(agent.terminate(), 0);
    for postoffice in ["hq", "works"] {
        for beside in ["postoffice.db-wal", "postoffice.db-shm"] {
            let _ = std::fs::remove_file(sandbox.path(&format!("{postoffice}/{beside}")));
        }
        std::fs::copy(sandbox.path(&format!("{postoffice}.copy")), database(postoffice)).unwrap();
        let _agent = Agent::start(&sandbox, &POSTOFFICES);
        eventually("equal lists after a copy by hand", || {
            are_equal(&sandbox, 8) && sandbox.status("hq")["recovering"] == false
        });
    }
}
