//! Copies that nothing on their machines tells apart, as after the clone of a disk.

use crate::copies::{assert_equal, copy, three_sites};
use crate::site::Place;

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

/// Sites of which one has the given copies, and each copy and the server have something new.
fn doubled(copies: &[&str]) -> Place {
    let place = three_sites();
    place.write(&format!("{}/dirsync.toml", copies[0]), NO_HOME_CHECK);
    copies[1..].iter().for_each(|name| copy(&place, copies[0], name));
    place
}

fn add(place: &Place, site: &str) {
    let entry = format!("--key of-{site} --name New --address SMTP:{site}@new.example");
    place.run(&format!("-C {site} entry add {entry}")).expect(0);
}

fn runs(place: &Place, lines: &[String]) {
    for line in lines {
        let ran = place.run(line);
        assert!([0, 3].contains(&ran.code), "{line} ended with {}: {}", ran.code, ran.err);
    }
}

fn act(place: &Place, copies: &[&str], order: Order) {
    let serve =
        || runs(place, &["-C lab send".into(), "-C hq cycle".into(), "-C lab apply".into()]);
    let each = |step: &str| {
        let lines: Vec<String> = copies.iter().map(|name| format!("-C {name} {step}")).collect();
        runs(place, &lines);
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
                runs(place, &[format!("-C {name} {before}")]);
                serve();
                after.iter().for_each(|step| runs(place, &[format!("-C {name} {step}")]));
            }
        }
    }
}

fn fenced<'n>(place: &Place, copies: &[&'n str]) -> Vec<&'n str> {
    copies.iter().copied().filter(|name| place.status(name)["stopped"] == "fenced").collect()
}

/// Cycles until so many copies are fenced.
#[track_caller]
fn until_fenced<'n>(
    place: &Place,
    copies: &[&'n str],
    count: usize,
    act: impl Fn(),
) -> Vec<&'n str> {
    for _ in 0..CYCLES {
        act();
        let fenced = fenced(place, copies);
        if fenced.len() >= count {
            return fenced;
        }
    }
    panic!("fewer than {count} of {copies:?} are fenced after {CYCLES} cycles");
}

fn requestors_in_turn(copies: &[&str], order: Order, each_changes: bool) {
    let place = doubled(copies);
    if each_changes {
        copies.iter().for_each(|name| add(&place, name));
    }
    add(&place, "hq");
    let all_but_one = copies.len() - 1;
    for count in 1..=all_but_one {
        until_fenced(&place, copies, count, || act(&place, copies, order));
    }
    let stopped = fenced(&place, copies);
    assert_eq!(stopped.len(), all_but_one, "one of them goes on: {order:?}");
    for _ in 0..CYCLES {
        act(&place, copies, order);
        assert_eq!(fenced(&place, copies), stopped, "the choice is stable: {order:?}");
    }
    let kept = *copies.iter().find(|name| !stopped.contains(name)).unwrap();
    // The kept one has at least what it made itself; what a fenced one made is kept there.
    let entries = place.status("hq")["entries"].as_u64().unwrap();
    assert!(entries >= 31 + u64::from(each_changes), "{entries}: {order:?}");
    assert_equal(&place, &["hq", "lab", kept], entries);
    for name in stopped {
        let status = place.run(&format!("-C {name} status")).expect(3).out;
        assert!(status.contains("fenced") && status.contains("`dirsync rejoin`"), "{status}");
        if each_changes {
            place.run(&format!("-C {name} entry show of-{name}")).expect(0);
        }
    }
    let status = place.run("-C hq status").expect(3).out;
    let named = |line: &str| line.contains("SOUTH/SALES") && line.contains("machines");
    assert!(status.lines().any(named), "{status}");
    assert!(!status.lines().any(|line| line.contains("WEST/LAB") && line.contains("machines")));
    // A person has spoken.
    place.run("-C hq requestor resume SOUTH/SALES").expect(0);
    act(&place, &[kept], order);
    place.run("-C hq status").expect(0);
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
        let place = doubled(&servers);
        let requestors = |step: &str| {
            runs(&place, &["sales", "lab"].map(|site| format!("-C {site} {step}")));
        };
        let turn = |server: &str| {
            requestors("send");
            runs(&place, &[format!("-C {server} cycle")]);
            requestors("apply");
        };
        let act = || servers.iter().for_each(|server| turn(server));
        servers.iter().for_each(|name| add(&place, name));
        add(&place, "sales");
        let mut stopped = Vec::new();
        for _ in 0..CYCLES {
            if hears_each_cycle {
                act();
            } else {
                for (first, second) in [(servers[0], servers[1]), (servers[1], servers[0])] {
                    turn(first);
                    runs(&place, &[format!("-C {second} cycle")]);
                }
            }
            stopped = fenced(&place, &servers);
        }
        assert_eq!(stopped.len(), 1, "in each cycle: {hears_each_cycle}");
        for _ in 0..CYCLES {
            act();
            assert_eq!(fenced(&place, &servers), stopped, "the choice is stable");
        }
        let kept = *servers.iter().find(|name| !stopped.contains(name)).unwrap();
        let entries = place.status(kept)["entries"].as_u64().unwrap();
        assert!(entries >= 32, "{entries}");
        assert_equal(&place, &[kept, "sales", "lab"], entries);
        let status = place.run(&format!("-C {} status", stopped[0])).expect(3).out;
        assert!(
            status.contains("fenced") && status.contains("`dirsync server promote`"),
            "{status}"
        );
    }
}
