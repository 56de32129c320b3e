//! The conversations, and random worlds in a small number; `cargo xtask sim` runs more.

mod stories;

use std::collections::BTreeSet;
use std::path::Path;

use dirsync_sim::conversation::{BEING_MENDED, Conversation, TOLD};
use dirsync_sim::plan::Plan;
use dirsync_sim::random::{run, shrink};

#[test]
fn every_conversation_goes_as_it_says() {
    let mut wrong = Vec::new();
    for (name, text) in TOLD {
        let played = Conversation::parse(text).and_then(|conversation| conversation.play());
        match (played, BEING_MENDED.contains(name)) {
            (Err(why), false) => wrong.push(format!("{name}: {why}")),
            (Ok(_), true) => wrong.push(format!("{name} goes as it says: it is mended")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let told: BTreeSet<String> = TOLD.iter().map(|(name, _)| format!("{name}.world")).collect();
    assert_eq!(files, told, "every file is played");
}

#[test]
fn a_conversation_that_is_wrong_says_where() {
    let wrong = |text: &str| Conversation::parse(text).and_then(|told| told.play()).err().unwrap();
    assert!(
        wrong("world A\n\nA1 +a1\nexpect s1 publishes a1\n").starts_with("line 4: it is not so")
    );
    assert!(wrong("world A\nA1 -a1\n").contains("is not possible"));
    assert!(wrong("world A\nA1 jumps\n").contains("is no step"));
    assert!(wrong("A1 +a1\n").contains("begins with"));
}

/// A world of each profile, some with their databases in files; the same seed does the same again.
#[test]
fn worlds_settle_and_replay() {
    let mut broken = Vec::new();
    for seed in (0..80).chain(250..280) {
        let (plan, random) = Plan::of(seed);
        let done = run(&plan, random);
        if let Err(why) = &done.result {
            let (trace, why) = shrink(&plan, done.trace.clone(), why);
            let steps: Vec<String> = trace.iter().map(ToString::to_string).collect();
            broken.push(format!("seed {seed} ({}): {why}\n  {}", plan.profile, steps.join("; ")));
        }
        if seed % 20 == 0 {
            let (plan, random) = Plan::of(seed);
            let again = run(&plan, random);
            assert_eq!(again.world.events, done.world.events, "seed {seed} is replayed");
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
