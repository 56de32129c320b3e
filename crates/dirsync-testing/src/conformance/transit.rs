//! One suite for every carrier: what is promised to the steps.

use std::io::{self, Write};

use dirsync_carrier::{Body, MessageFile, Outgoing, Spool, Transit};
use dirsync_directory::PostofficeName;

fn name(text: &str) -> PostofficeName {
    text.parse().expect("a postoffice name")
}

fn body(spool: &Spool, text: &str) -> Body {
    let mut output = spool.begin();
    output.write_all(text.as_bytes()).expect("it is written");
    output.finish().expect("it is whole")
}

fn content(opened: Option<io::Result<Box<dyn MessageFile>>>) -> String {
    io::read_to_string(opened.expect("there").expect("readable")).expect("text")
}

/// Runs the suite. `connect` gives a postoffice's access to one fresh place, the same for all calls.
///
/// # Panics
///
/// When a promise is broken.
pub fn run(connect: &dyn Fn(&PostofficeName) -> Box<dyn Transit>) {
    let (north, south) = (name("NORTH/HQ"), name("South/..a"));
    let (from, to) = (connect(&north), connect(&south));
    let bodies = tempfile::tempdir().expect("a folder");
    // Half of the bodies are in files, and no transit may see a difference.
    let spools = [Spool::in_memory(), Spool::in_folder(bodies.path()).with_memory_bytes_max(0)];
    let send = |number, part, text: &str| {
        let body = body(&spools[usize::from(part == 2)], text);
        let outgoing = Outgoing {
            from: &north,
            to: &south,
            epoch: "epoch/..",
            number,
            part,
            front: b"front, ",
            body: &body,
        };
        from.send(&outgoing).expect("it is sent")
    };
    assert!(to.arrived().expect("reachable").is_empty(), "nothing has arrived");
    send(10, 1, "ten");
    send(9, 2, "nine, two");
    send(9, 1, "nine, one");
    send(9, 1, "nine, one");
    let arrived = to.arrived().expect("reachable");
    let order: Vec<_> = arrived.iter().map(|message| (message.number, message.part)).collect();
    assert_eq!(order, [(9, 1), (9, 2), (10, 1)], "in order; doubled sending is harmless");
    assert!(arrived.iter().all(|message| message.sender == north.folded()));
    assert!(from.arrived().expect("reachable").is_empty(), "it went to its addressee alone");

    let other_case = connect(&name(&south.as_str().to_uppercase()));
    assert_eq!(other_case.arrived().expect("reachable").len(), 3, "names have no case");

    for (arrived, text) in arrived.iter().zip(["front, nine, one", "front, nine, two"]) {
        assert_eq!(content(to.open(arrived).expect("opened")), text);
    }

    send(9, 1, "nine, one, and more");
    to.finished(&arrived[0]).expect("harmless");
    let again = to.arrived().expect("reachable");
    let later = again.iter().find(|later| (later.number, later.part) == (9, 1));
    let later = later.expect("what came under its name while it was looked at stays");
    assert_eq!(content(to.open(later).expect("opened")), "front, nine, one, and more");
    let arrived = [later.clone(), arrived[1].clone()];

    assert!(to.finished(&arrived[0]).expect("moved"));
    assert!(!to.finished(&arrived[0]).expect("harmless"), "somebody else was first");
    assert!(to.open(&arrived[0]).expect("opened").is_none(), "gone is not an error");
    assert!(to.refuse(&arrived[1], "a reason").expect("moved"));
    let left = to.arrived().expect("reachable");
    assert_eq!(left.len(), 1, "what was taken or refused does not arrive again");

    let east = name("EAST/HQ");
    assert!(to.waiting().expect("reachable").is_empty());
    let kept = to.keep_waiting(&left[0], &east).expect("moved").expect("there");
    assert!(to.arrived().expect("reachable").is_empty(), "what waits does not arrive again");
    assert_eq!(to.waiting().expect("reachable"), std::slice::from_ref(&kept));
    assert!(kept.is_from(&east) && !kept.is_from(&north), "under the sender that it has");
    assert_eq!((&kept.epoch, kept.number), (&left[0].epoch, 10));
    assert!(to.open(&kept).expect("opened").expect("there").is_ok());
    let gone = to.keep_waiting(&left[0], &east).expect("harmless");
    assert!(gone.is_none(), "somebody else was first");
    assert!(to.finished(&kept).expect("moved"));
    assert!(to.waiting().expect("reachable").is_empty());
}
