//! What lies in an inbox and cannot be taken: junk, and requests that have to wait.

use dirsync_agent::decisions::DecisionKind;
use dirsync_agent::step::{STRANGERS_WAITING_MAX, UNTAKEN_PER_STEP_MAX};
use dirsync_carrier::Arrived;
use dirsync_protocol::context::Event;

use dirsync_testing::rows::postoffice as name;
use dirsync_testing::{DAY_MS, SERVER, TestStore, World};

const ANA: (&str, &str, &str, &str) = ("1", "Ana Souza", "SMTP:ana@south.example", "100");
const BEN: (&str, &str, &str, &str) = ("1", "Ben Okoye", "SMTP:ben@west.example", "200");

/// What is no message, sent under names that stand before those of all postoffices.
fn junk(world: &World, to: &str, count: usize) {
    for number in 1..=count as u64 {
        let sender = "a/junk".to_owned();
        let arrived = Arrived {
            sender,
            epoch: "e".into(),
            number,
            part: 1,
            id: Default::default(),
            whereabouts: Default::default(),
            bytes: 4,
            modified: 0,
        };
        world.network.deliver(&name(to), &arrived, b"junk".to_vec());
    }
}

/// A step looks at a bounded number of what it cannot take; the rest, and what stands behind it, are
/// looked at in the next steps.
#[test]
fn junk_is_looked_at_a_bounded_number_at_a_time() {
    let mut world = World::new(&["SOUTH/A", "WEST/B"]);
    world.at("SOUTH/A").import(&[ANA]);
    world.at("WEST/B").import(&[BEN]);
    world.cycle();
    for to in [SERVER, "SOUTH/A"] {
        junk(&world, to, 2 * UNTAKEN_PER_STEP_MAX + 1);
    }
    world.at("SOUTH/A").import(&[ANA, ("2", "Cara Li", "SMTP:cara@south.example", "")]);
    world.send("SOUTH/A");
    world.send("WEST/B");
    for (refused, left, requests) in [
        (UNTAKEN_PER_STEP_MAX, UNTAKEN_PER_STEP_MAX + 3, 0),
        (UNTAKEN_PER_STEP_MAX, 3, 0),
        (1, 0, 2),
        (0, 0, 0),
    ] {
        let report = world.process();
        let seen = (report.refused as usize, report.left as usize, report.requests);
        assert_eq!(seen, (refused, left, requests));
    }
    for (refused, left) in
        [(UNTAKEN_PER_STEP_MAX, UNTAKEN_PER_STEP_MAX + 2), (UNTAKEN_PER_STEP_MAX, 2), (1, 0)]
    {
        let report = world.apply("SOUTH/A");
        assert_eq!((report.refused as usize, report.left as usize), (refused, left));
    }
    world.apply("WEST/B");
    world.cycle();
    assert_eq!(world.converged().len(), 3);
}

/// Files that seem half written stay where they are; those behind them are taken all the same.
#[test]
fn what_stays_in_an_inbox_is_in_nobodys_way() {
    let mut world = World::new(&["SOUTH/A", "WEST/B"]);
    world.cycle();
    let server = name(SERVER);
    world.send("WEST/B");
    let whole = world.network.pending(&server).remove(0);
    let half = world.network.copy(&server, &whole).unwrap()[..40].to_vec();
    for number in 1..=2 * UNTAKEN_PER_STEP_MAX as u64 {
        let arrived = Arrived {
            sender: "a/half".into(),
            number,
            modified: world.at(SERVER).now,
            ..whole.clone()
        };
        world.network.deliver(&server, &arrived, half.clone());
    }
    world.at("SOUTH/A").import(&[ANA]);
    world.send("SOUTH/A");
    let taken: Vec<u64> = (0..6).map(|_| world.process().requests).collect();
    assert_eq!(taken, [0, 0, 2, 0, 0, 0], "each step begins where the last one ended");
    assert_eq!(world.network.pending(&server).len(), 2 * UNTAKEN_PER_STEP_MAX);
}

/// Suspended or unknown: the request waits, the newest one of each sender, and is said once.
#[test]
fn a_request_waits_until_its_sender_may_be_heard() {
    let mut world = World::new(&["SOUTH/A", "WEST/B"]);
    world.cycle();
    let server = name(SERVER);
    world.decide("SOUTH/A", DecisionKind::Suspend);
    world.at("SOUTH/A").import(&[ANA]);
    world.found("EAST/C", TestStore::default());
    world.at("EAST/C").import(&[("1", "Eve Roe", "SMTP:eve@east.example", "")]);
    let mut said = Vec::new();
    for round in 1..=3 {
        world.send("SOUTH/A");
        world.send("EAST/C");
        world.send("WEST/B");
        let report = world.process();
        said.extend(report.events.iter().map(|event| event.text.clone()));
        assert_eq!((report.requests, report.refused), (1, 0), "{round}");
        assert_eq!(report.waiting.len(), 2, "{round}");
        let waiting: Vec<_> = world.network.waiting(&server);
        assert_eq!(waiting.len(), 2, "one of each sender: {waiting:?}");
        assert!(world.network.pending(&server).is_empty());
    }
    assert_eq!(said.len(), 2, "each is said once: {said:?}");
    assert!(said[0].contains("EAST/C is not registered"), "{said:?}");
    assert!(said[1].contains("SOUTH/A is suspended"), "{said:?}");
    let numbers: Vec<_> = world.network.waiting(&server).iter().map(|one| one.number).collect();
    assert_eq!(numbers, [3, 4], "the newest ones");
    assert!(!world.requests_arrived());
    world.decide("SOUTH/A", DecisionKind::Resume);
    assert!(world.requests_arrived());
    assert_eq!(world.process().requests, 1, "at the next step");
    assert_eq!(world.network.waiting(&server).len(), 1);
    world.invite("EAST/C", Default::default());
    assert!(world.requests_arrived());
    assert_eq!(world.process().requests, 1, "at the next step");
    assert!(world.network.waiting(&server).is_empty());
    for postoffice in ["SOUTH/A", "EAST/C"] {
        world.apply(postoffice);
    }
    world.cycle();
    world.cycle();
    assert_eq!(world.converged().len(), 2);
}

/// Anybody who may write there can invent senders: those who are registered wait all the same.
#[test]
fn only_so_many_strangers_wait() {
    let mut world = World::new(&["SOUTH/A", "WEST/B"]);
    world.cycle();
    world.decide("SOUTH/A", DecisionKind::Suspend);
    for number in 0..STRANGERS_WAITING_MAX + 2 {
        let stranger: &'static str = format!("EAST/{number}").leak();
        world.found(stranger, TestStore::default());
        world.send(stranger);
    }
    world.send("SOUTH/A");
    let report = world.process();
    assert_eq!(report.refused, 2);
    assert_eq!(world.network.waiting(&name(SERVER)).len(), STRANGERS_WAITING_MAX + 1);
    assert!(report.waiting.contains(&name("SOUTH/A")));
}

/// Of the messages that are refused, the log has the first one of each sender on a day, and on the next day the number
/// of the others. Each is refused and counted all the same.
#[test]
fn refused_messages_have_one_log_line_a_day_and_sender() {
    let about = |events: &[Event]| -> Vec<String> {
        let texts = events.iter().map(|event| event.text.clone());
        texts.filter(|text| text.contains("refused and set aside")).collect()
    };
    let mut world = World::sealed(&["SOUTH/A", "WEST/B"]);
    world.cycle();
    world.send("SOUTH/A");
    let server = name(SERVER);
    let request = world.network.pending(&server).remove(0);
    let mut altered = world.network.copy(&server, &request).unwrap();
    world.network.lose(&server, &request);
    *altered.last_mut().unwrap() ^= 1;
    for (day, first) in [(1, 2), (2, 3)] {
        for round in 0..3 {
            for to in [SERVER, "SOUTH/A"] {
                junk(&world, to, 10);
            }
            world.network.deliver(&server, &request, altered.clone());
            let (taken, applied) = (world.process(), world.apply("SOUTH/A"));
            assert_eq!((taken.refused, applied.refused), (11, 10), "day {day}, round {round}");
            let (at_server, at_requestor) = (about(&taken.events), about(&applied.events));
            let lines = if round == 0 { first } else { 0 };
            assert_eq!(at_server.len(), lines, "day {day}, round {round}: {at_server:?}");
            assert_eq!(at_requestor.len(), lines.saturating_sub(1), "{at_requestor:?}");
            if (day, round) == (2, 0) {
                let more = "31 more messages were refused and set aside: \
                            29 of unknown senders, 2 of SOUTH/A";
                assert!(at_server[0].contains(more), "{at_server:?}");
                assert!(at_requestor[0].contains("29 more messages"), "{at_requestor:?}");
            }
        }
        world.pass(DAY_MS);
    }
    let reasons = world.network.reasons(&server);
    assert_eq!(reasons.len(), 2 * 3 * 11, "each is set aside with its reason");
    // The number is in the log also if nothing more is refused, and it is there once.
    let last: Vec<String> = (0..2).flat_map(|_| about(&world.process().events)).collect();
    assert_eq!(last.len(), 1, "{last:?}");
}
