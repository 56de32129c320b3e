//! A clock that jumps a day, both ways. The program is given another clock by libfaketime.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{Ran, Sandbox, people};

/// Where the library is, as the command `faketime` says.
fn library() -> String {
    let output = Command::new("faketime").args(["-f", "+0d", "printenv", "LD_PRELOAD"]).output();
    let output = output.expect("this test needs faketime: install the package faketime");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A command by another clock, e.g. `+1d`. By a clock that is ahead others are late: that is exit
/// code 3.
fn run_at(sandbox: &Sandbox, clock: &str, line: &str) -> Ran {
    let output = sandbox
        .command(&line.split_whitespace().collect::<Vec<_>>())
        .env("LD_PRELOAD", library())
        .env("FAKETIME", clock)
        .env("DONT_FAKE_MONOTONIC", "1")
        .output()
        .unwrap();
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!([0, 3].contains(&ran.code), "{line} at {clock}: {}{}", ran.out, ran.err);
    ran
}

fn names(sandbox: &Sandbox, postoffice: &str) -> Vec<(String, String)> {
    let list = sandbox.run(&format!("-C {postoffice} entry list --json")).expect(0).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| (text(&row["key"]), text(&row["name"]))).collect()
}

fn name_of(sandbox: &Sandbox, postoffice: &str, key: &str) -> Option<String> {
    names(sandbox, postoffice).into_iter().find(|(of, _)| of == key).map(|(_, name)| name)
}

/// `docs/failure-stories.md` §8: each command of a cycle by a clock of its own, a day ahead, a day behind or
/// right. The order of the commands decides, not their clocks; and no list changes because of one.
#[test]
fn commands_by_wrong_clocks_change_nothing_but_what_they_say() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("north.csv", &people(0..20));
    sandbox.write("south.csv", &people(20..30).replace("@x", "@south"));
    sandbox.run("-C hq import north.csv --whole").expect(0);
    sandbox.run("-C sales import south.csv --whole").expect(0);
    sandbox.run("-C sales entry add --key k --name Zero --address SMTP:k@south.example").expect(0);
    sandbox.run("-C sales entry add --key gone --name G --address SMTP:g@south.example").expect(0);
    for _ in 0..3 {
        sandbox.cycle();
    }
    assert_eq!(name_of(&sandbox, "hq", "k").as_deref(), Some("Zero"));
    // All three clocks at each of three commands, in an order that has every jump.
    let clocks = ["+1d", "-1d", "+0d", "-1d", "+1d", "+0d", "+1d"];
    for (round, clock) in clocks.iter().enumerate() {
        let next = clocks[(round + 1) % clocks.len()];
        let third = clocks[(round + 3) % clocks.len()];
        let name = format!("Name{round}");
        run_at(&sandbox, clock, &format!("-C sales entry modify k --name {name}"));
        if round == 2 {
            run_at(&sandbox, next, "-C sales entry delete gone");
        }
        for line in ["-C sales import south.csv --whole", "-C hq import north.csv --whole"] {
            let again = run_at(&sandbox, third, line);
            assert!(again.out.contains("unchanged"), "{}", again.out);
        }
        for _ in 0..2 {
            run_at(&sandbox, clock, "-C sales send");
            assert_eq!(is_ahead(&sandbox, "sales"), *clock == "+1d", "the clock is another one");
            run_at(&sandbox, next, "-C hq cycle");
            run_at(&sandbox, third, "-C sales apply");
            // What the agent does once a day is due, or not, by another clock each time.
            run_at(&sandbox, third, "run sales hq --once");
        }
        assert_eq!(name_of(&sandbox, "hq", "k").as_deref(), Some(&*name), "{clock}");
        assert_eq!(names(&sandbox, "hq"), names(&sandbox, "sales"), "{clock}");
        let expected = if round < 2 { 32 } else { 31 };
        assert_eq!(names(&sandbox, "sales").len(), expected, "{clock}");
        for postoffice in ["hq", "sales"] {
            run_at(&sandbox, next, &format!("-C {postoffice} check"));
            assert_eq!(sandbox.status(postoffice)["held"], 0, "{clock}");
        }
    }
}

/// Whether a postoffice last sent in the future.
fn is_ahead(sandbox: &Sandbox, postoffice: &str) -> bool {
    let sent = sandbox.status(postoffice)["last_sent"].as_str().unwrap().to_owned();
    sent.parse::<jiff::Timestamp>().unwrap() > jiff::Timestamp::now() + Duration::from_secs(3600)
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// `docs/failure-stories.md` §8: the clock of an agent that runs jumps a day ahead, two days back, and to
/// where it should be: changes travel all the same, and nobody is said to be late.
#[test]
fn the_clock_of_a_running_agent_jumps() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("north.csv", &people(0..20));
    sandbox.run("-C hq import north.csv --whole").expect(0);
    for postoffice in ["hq", "sales"] {
        sandbox.write(&format!("{postoffice}/dirsync.toml"), "[schedule]\npoll = \"1 s\"\n");
    }
    sandbox.write("clock", "+0d\n");
    let start = |postoffice: &str| {
        let mut command = sandbox.command(&["run", postoffice]);
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", sandbox.path("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Agent(command.spawn().unwrap())
    };
    let mut agents = ["hq", "sales"].map(start);
    for (number, clock) in ["+0d", "+1d", "-1d", "+0d"].iter().enumerate() {
        sandbox.write("clock.new", &format!("{clock}\n"));
        std::fs::rename(sandbox.path("clock.new"), sandbox.path("clock")).unwrap();
        for postoffice in ["hq", "sales"] {
            let (name, key) = (format!("{postoffice}{number}"), format!("{postoffice}key"));
            let address = format!("SMTP:{key}@{postoffice}.example");
            let line = match number {
                0 => format!(
                    "-C {postoffice} entry add --key {key} --name {name} --address {address}"
                ),
                _ => format!("-C {postoffice} entry modify {key} --name {name}"),
            };
            sandbox.run(&line).expect(0);
        }
        eventually(&format!("the changes are everywhere: {clock}"), || {
            ["hq", "sales"].iter().all(|at| {
                ["hq", "sales"].iter().all(|of| {
                    name_of(&sandbox, at, &format!("{of}key")) == Some(format!("{of}{number}"))
                })
            })
        });
        assert_eq!(is_ahead(&sandbox, "sales"), *clock == "+1d", "the clock is another one");
        for agent in &mut agents {
            assert!(agent.0.try_wait().unwrap().is_none(), "{clock}: an agent ended");
        }
    }
    // A day is missing: what is over is kept a day longer, and that is said in neither list.
    for postoffice in ["hq", "sales"] {
        eventually("nobody is late", || sandbox.run(&format!("-C {postoffice} status")).code == 0);
    }
    drop(agents);
    assert_eq!(names(&sandbox, "hq"), names(&sandbox, "sales"));
    assert_eq!(names(&sandbox, "hq").len(), 22);
    for postoffice in ["hq", "sales"] {
        sandbox.run(&format!("-C {postoffice} check")).expect(0);
    }
}

/// A step that ran in its window and could not use a place is not one that missed it.
#[test]
fn a_step_that_met_a_place_that_was_away_has_not_missed_its_window() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C sales send").expect(0);
    let settings = "[schedule]\ntimes = [\"T2 daily 03:00\"]\nwindow = \"1 h\"\nzone = \"UTC\"\n";
    sandbox.write("hq/dirsync.toml", settings);
    let run_at = |clock: &str| {
        let mut command = sandbox.command(&["run", "hq", "--once"]);
        command.env("LD_PRELOAD", library()).env("FAKETIME", format!("@{clock}")).env("TZ", "UTC");
        command.output().unwrap().status.code()
    };
    let is_missed = || sandbox.run("-C hq log").expect(0).out.contains("missed its run window");
    run_at("2040-01-01 02:00:00");
    std::fs::rename(sandbox.path("share"), sandbox.path("gone")).unwrap();
    assert_eq!(run_at("2040-01-01 03:10:00"), Some(4));
    assert_eq!(run_at("2040-01-01 04:10:00"), Some(4));
    assert!(!is_missed());
    run_at("2040-01-02 04:10:00");
    assert!(is_missed(), "nobody ran it on the next day");
}
