//! Copies that nothing on their machines tells apart, as after the clone of a disk.

use crate::copies::{assert_equal, copy, three_postoffices};
use crate::sandbox::Sandbox;

/// So many cycles may pass until one copy is fenced. In a cycle each copy acts once.
const CYCLES: usize = 4;

/// The order of steps in a cycle.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// A copy applies what is there and sends; the server answers; the next copy finds that answer.
    Cycled,
    /// A copy sends, the server answers, and the copy applies; then it is the next one's turn.
    InTurn,
    /// All send, the server answers, all apply.
    Together,
}
use Order::{Cycled, InTurn, Together};

const NO_HOME_CHECK: &str = "[postoffice]\nhome_check = false\n";

/// Postoffices of which one has the given copies, and each copy and the server have something new.
fn doubled(copies: &[&str]) -> Sandbox {
    let sandbox = three_postoffices();
    sandbox.write(&format!("{}/dirsync.toml", copies[0]), NO_HOME_CHECK);
    copies[1..].iter().for_each(|name| copy(&sandbox, copies[0], name));
    sandbox
}

fn add(sandbox: &Sandbox, postoffice: &str) {
    let entry = format!("--key of-{postoffice} --name New --address SMTP:{postoffice}@new.example");
    sandbox.run(&format!("-C {postoffice} entry add {entry}")).expect(0);
}

fn runs(sandbox: &Sandbox, lines: &[String]) {
    for line in lines {
        let ran = sandbox.run(line);
        assert!([0, 3].contains(&ran.code), "{line} ended with {}: {}", ran.code, ran.err);
    }
}

fn act(sandbox: &Sandbox, copies: &[&str], order: Order) {
    let serve =
        || runs(sandbox, &["-C lab send".into(), "-C hq cycle".into(), "-C lab apply".into()]);
    let each = |step: &str| {
        let lines: Vec<String> = copies.iter().map(|name| format!("-C {name} {step}")).collect();
        runs(sandbox, &lines);
    };
    match order {
        Together => {
            each("send");
            serve();
            each("apply");
        }
        Cycled | InTurn => {
            for name in copies {
                let (before, after) =
                    if matches!(order, Cycled) { ("cycle", None) } else { ("send", Some("apply")) };
                runs(sandbox, &[format!("-C {name} {before}")]);
                serve();
                after.iter().for_each(|step| runs(sandbox, &[format!("-C {name} {step}")]));
            }
        }
    }
}

fn fenced<'n>(sandbox: &Sandbox, copies: &[&'n str]) -> Vec<&'n str> {
    copies.iter().copied().filter(|name| sandbox.status(name)["stopped"] == "fenced").collect()
}

/// Cycles until so many copies are fenced.
#[track_caller]
fn until_fenced<'n>(
    sandbox: &Sandbox,
    copies: &[&'n str],
    count: usize,
    act: impl Fn(),
) -> Vec<&'n str> {
    for _ in 0..CYCLES {
        act();
        let fenced = fenced(sandbox, copies);
        if fenced.len() >= count {
            return fenced;
        }
    }
    panic!("fewer than {count} of {copies:?} are fenced after {CYCLES} cycles");
}

fn requestors_in_turn(copies: &[&str], order: Order, each_changes: bool) {
    let sandbox = doubled(copies);
    if each_changes {
        copies.iter().for_each(|name| add(&sandbox, name));
    }
    add(&sandbox, "hq");
    let all_but_one = copies.len() - 1;
    for count in 1..=all_but_one {
        until_fenced(&sandbox, copies, count, || act(&sandbox, copies, order));
    }
    let stopped = fenced(&sandbox, copies);
    assert_eq!(stopped.len(), all_but_one, "one of them goes on: {order:?}");
    for _ in 0..CYCLES {
        act(&sandbox, copies, order);
        assert_eq!(fenced(&sandbox, copies), stopped, "the choice is stable: {order:?}");
    }
    let kept = *copies.iter().find(|name| !stopped.contains(name)).unwrap();
    // The kept one has at least what it made itself; what a fenced one made is kept there.
    let entries = sandbox.status("hq")["entries"].as_u64().unwrap();
    assert!(entries >= 31 + u64::from(each_changes), "{entries}: {order:?}");
    assert_equal(&sandbox, &["hq", "lab", kept], entries);
    for name in stopped {
        let status = sandbox.run(&format!("-C {name} status")).expect(3).out;
        assert!(status.contains("fenced") && status.contains(" rejoin` here"), "{status}");
        if each_changes {
            sandbox.run(&format!("-C {name} entry show of-{name}")).expect(0);
        }
    }
    let status = sandbox.run("-C hq status").expect(3).out;
    let named = |line: &str| line.contains("SOUTH/SALES") && line.contains("machines");
    assert!(status.lines().any(named), "{status}");
    assert!(!status.lines().any(|line| line.contains("WEST/LAB") && line.contains("machines")));
    // A person has spoken.
    sandbox.run("-C hq requestor resume SOUTH/SALES").expect(0);
    act(&sandbox, &[kept], order);
    sandbox.run("-C hq status").expect(0);
}

/// `docs/failure-stories.md` §15: the half that the protocol sees. Its other half is
/// `a_copied_folder_stops_before_it_sends`.
#[test]
fn copies_in_turn_are_told() {
    requestors_in_turn(&["sales", "twin"], Cycled, false);
    for order in [Cycled, InTurn, Together] {
        requestors_in_turn(&["sales", "twin"], order, true);
    }
}

#[test]
fn three_copies_in_turn_are_told() {
    for order in [Cycled, Together] {
        requestors_in_turn(&["sales", "twin", "third"], order, true);
    }
}

/// Of two copies of the server one is fenced, and every requestor follows the other one.
#[test]
fn two_copies_of_the_server_in_turn_end_as_one() {
    let servers = ["hq", "twin"];
    // Both hear the requestors in each cycle, or one of them in every second cycle.
    for hears_each_cycle in [true, false] {
        let sandbox = doubled(&servers);
        let requestors = |step: &str| {
            runs(&sandbox, &["sales", "lab"].map(|postoffice| format!("-C {postoffice} {step}")));
        };
        let turn = |server: &str| {
            requestors("send");
            runs(&sandbox, &[format!("-C {server} cycle")]);
            requestors("apply");
        };
        let act = || servers.iter().for_each(|server| turn(server));
        servers.iter().for_each(|name| add(&sandbox, name));
        add(&sandbox, "sales");
        let mut stopped = Vec::new();
        for _ in 0..CYCLES {
            if hears_each_cycle {
                act();
            } else {
                for (first, second) in [(servers[0], servers[1]), (servers[1], servers[0])] {
                    turn(first);
                    runs(&sandbox, &[format!("-C {second} cycle")]);
                }
            }
            stopped = fenced(&sandbox, &servers);
        }
        assert_eq!(stopped.len(), 1, "in each cycle: {hears_each_cycle}");
        for _ in 0..CYCLES {
            act();
            assert_eq!(fenced(&sandbox, &servers), stopped, "the choice is stable");
        }
        let kept = *servers.iter().find(|name| !stopped.contains(name)).unwrap();
        let entries = sandbox.status(kept)["entries"].as_u64().unwrap();
        assert!(entries >= 32, "{entries}");
        assert_equal(&sandbox, &[kept, "sales", "lab"], entries);
        let status = sandbox.run(&format!("-C {} status", stopped[0])).expect(3).out;
        assert!(status.contains("fenced") && status.contains(" server promote` here"), "{status}");
    }
}
