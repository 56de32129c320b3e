//! A store that fails while a message is applied.

use dirsync_message::{BodyReader, Head};
use dirsync_protocol::context::{Context, Draws, ReceiveError};
use dirsync_protocol::{requestor, server};
use dirsync_sim::network::Letter;
use dirsync_sim::world::{LENIENT, World};
use dirsync_store::Store;
use dirsync_testing::{EVIDENCE, Fault, TestStore};

/// Applies a letter to a store, as the agent does: the transaction is committed, or nothing is kept.
fn apply(store: &mut TestStore, letter: &Letter) -> Result<(), ReceiveError> {
    let mut draws = Draws::new(&[9; 32]);
    let mut events = Vec::new();
    let mut context = Context {
        now: 1_800_000_000_000,
        draws: &mut draws,
        events: &mut events,
        guard: LENIENT,
        evidence: &EVIDENCE,
    };
    let text = letter.text();
    let mut body = BodyReader::new(text.as_bytes());
    let mut tables = store.begin()?;
    match Head::parse(&letter.head).unwrap() {
        Head::Request(request) => {
            server::receive(&mut *tables, &mut context, &request, &mut body)?;
        }
        Head::Update(update) => {
            requestor::receive(&mut *tables, &mut context, &update, &mut body)?;
        }
    }
    Ok(tables.commit()?)
}

/// Fails each operation once while a letter is applied. Returns how many there were.
fn fail_everywhere(store: &TestStore, letter: &Letter) -> u64 {
    let mut applied = store.copy();
    apply(&mut applied, letter).unwrap();
    for n in 1.. {
        let mut failing = store.copy();
        failing.faults.plan(Fault::Operation(n));
        let result = apply(&mut failing, letter);
        if !failing.faults.met() {
            result.unwrap();
            return n - 1;
        }
        let error = result.expect_err("a failure is not passed over");
        assert!(matches!(error, ReceiveError::Store(_)), "operation {n}: {error}");
        assert!(failing.same_content(store), "operation {n}: nothing was applied");
        apply(&mut failing, letter).unwrap();
        assert!(failing.same_content(&applied), "operation {n}: the retry succeeds");
    }
    unreachable!("the numbers end only with the operations")
}

#[test]
fn failed_lookup_is_not_absence() {
    let mut world = World::new("AB");
    world.run("A1 +a1@x; A1 +a2; go A1; B1 +b1@x; B1 +b2; go B1");
    world.run("A1 -a1; A1 ~a2; A1 +a3; A1 release a2 B; req A1");
    let mut operations = 0;
    let mut try_last = |world: &mut World, at: &str| {
        let letter = world.last_letter();
        operations += fail_everywhere(&world.site(at).store, &letter);
    };
    try_last(&mut world, "s1");
    world.run("t2 A; an A");
    try_last(&mut world, "A1");
    world.run("t3 A1; go B1; B1 claim a2; B1 -b2; req B1");
    try_last(&mut world, "s1");
    // A reinstalled machine: the own set, the merge, the full export, and the list from nothing.
    world.run("t2 B; an B; t3 B1; reinstall A1; req A1");
    try_last(&mut world, "s1");
    world.run("t2 A; an A");
    try_last(&mut world, "A1");
    world.run("t3 A1; req A1");
    try_last(&mut world, "s1");
    world.run("t2 A; an A");
    try_last(&mut world, "A1");
    // A restored server: a new life, and a replace.
    world.run("t3 A1; backup s1; A1 +a4; go A1; restore s1; req A1");
    try_last(&mut world, "s1");
    world.run("t2 A; an A; t3 A1");
    world.settle();
    assert!(operations > 150, "{operations}");
}
