//! Random steps with faults, from seeds; then the faults stop and the world must settle.

use dirsync_store::testing::Random;

use crate::world::{Checked, STRICT, World};

/// What a random run may do, and how often; `free` changes are not counted.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub postoffices: &'static str,
    /// (step, at most so often)
    pub budget: &'static [(&'static str, u64)],
}

/// Steps that need no budget, with how often they come relative to others.
const FREE: [(&str, u64); 4] = [("req", 3), ("t2", 6), ("an", 5), ("t3", 6)];

/// The profiles of the model, `protocol.md` §12.
pub const PROFILES: &[(&str, Profile)] = &[
    ("plain", profile("AB", &[("change", 6), ("dup", 4), ("drop", 3)])),
    (
        "crash_server",
        profile("AB", &[("change", 6), ("dup", 3), ("drop", 2), ("backup s", 2), ("restore s", 2)]),
    ),
    (
        "crash_requestor",
        profile("AB", &[("change", 6), ("dup", 3), ("drop", 2), ("backup m", 2), ("restore m", 2)]),
    ),
    (
        "crash_both",
        profile(
            "AB",
            &[
                ("change", 7),
                ("dup", 2),
                ("drop", 2),
                ("backup s", 2),
                ("restore s", 2),
                ("backup m", 2),
                ("restore m", 2),
                ("purge", 1),
            ],
        ),
    ),
    ("reinstall", profile("AB", &[("change", 5), ("dup", 3), ("drop", 2), ("reinstall", 2)])),
    ("clone", profile("AB", &[("change", 5), ("dup", 2), ("drop", 2), ("clone", 1)])),
    (
        "parts",
        profile(
            "AB",
            &[
                ("change", 7),
                ("dup", 2),
                ("drop", 1),
                ("backup s", 2),
                ("restore s", 1),
                ("half", 4),
                ("each", 2),
            ],
        ),
    ),
    (
        "twins",
        profile("AB", &[("change", 6), ("dup", 3), ("drop", 2), ("clone", 1), ("reinstall", 2)]),
    ),
    (
        "move_clone",
        profile(
            "AB",
            &[
                ("change", 5),
                ("dup", 2),
                ("drop", 2),
                ("hand", 5),
                ("clone", 1),
                ("backup m", 1),
                ("restore m", 1),
            ],
        ),
    ),
    (
        "views",
        profile(
            "AB",
            &[("change", 7), ("dup", 3), ("drop", 2), ("view", 3), ("half", 3), ("cls", 3)],
        ),
    ),
    ("purge", profile("AB", &[("change", 7), ("dup", 3), ("drop", 2), ("purge", 3), ("half", 2)])),
    ("collide", profile("AB", &[("change", 8), ("dup", 2), ("drop", 2), ("collide", 8)])),
    (
        "standby",
        profile(
            "AB",
            &[("change", 6), ("dup", 2), ("drop", 2), ("standby", 2), ("promote", 1), ("purge", 1)],
        ),
    ),
    ("move", profile("AB", &[("change", 6), ("dup", 3), ("drop", 2), ("move", 1)])),
    ("transfer", profile("AB", &[("change", 5), ("dup", 3), ("drop", 2), ("hand", 8)])),
    ("removal", profile("AB", &[("change", 5), ("dup", 4), ("drop", 2), ("remove", 1)])),
    ("held", profile("AB", &[("change", 8), ("dup", 2), ("drop", 2), ("mass", 2), ("approve", 1)])),
    (
        "all",
        profile(
            "ABC",
            &[
                ("change", 9),
                ("dup", 4),
                ("drop", 3),
                ("backup s", 2),
                ("restore s", 1),
                ("backup m", 2),
                ("restore m", 1),
                ("purge", 1),
                ("view", 1),
                ("half", 2),
                ("cls", 2),
                ("collide", 4),
                ("standby", 1),
                ("hand", 3),
                ("reinstall", 1),
                ("clone", 1),
                ("mass", 1),
                ("approve", 1),
            ],
        ),
    ),
];

const fn profile(postoffices: &'static str, budget: &'static [(&'static str, u64)]) -> Profile {
    Profile { postoffices, budget }
}

/// A world for a profile.
pub fn world_of(profile: &Profile) -> World {
    let mut world = World::new(profile.postoffices);
    if profile.budget.iter().any(|(kind, _)| *kind == "mass") {
        world.guard = STRICT;
    }
    world
}

/// Runs `steps` random steps, then settles.
pub fn run(profile: &Profile, seed: u64, steps: usize) -> (Vec<String>, Checked<usize>) {
    let mut world = world_of(profile);
    let mut random = Random::new(seed);
    let mut budget: Vec<(&str, u64)> = profile.budget.to_vec();
    let mut done = 0;
    for _ in 0..steps * 40 {
        if done == steps {
            break;
        }
        let Some((kind, step)) = choose(&mut random, &budget, profile.postoffices) else {
            continue;
        };
        match world.step(&step) {
            Ok(true) => {
                done += 1;
                for (limited, left) in &mut budget {
                    if *limited == kind {
                        *left -= 1;
                    }
                }
            }
            Ok(false) => {}
            Err(why) => return (world.trace, Err(why)),
        }
    }
    let trace = world.trace.clone();
    let settled = world.try_settle();
    (trace, settled)
}

/// The steps of a trace that are possible, then settles.
pub fn replay(profile: &Profile, trace: &[String]) -> (Vec<String>, Checked<usize>) {
    let mut world = world_of(profile);
    for step in trace {
        if let Err(why) = world.step(step) {
            return (world.trace, Err(why));
        }
    }
    let trace = world.trace.clone();
    let settled = world.try_settle();
    (trace, settled)
}

/// The shortest trace found that breaks in the same way.
pub fn shrink(profile: &Profile, trace: Vec<String>, why: &str) -> (Vec<String>, String) {
    let kind = |why: &str| why.split(':').next().unwrap_or_default().to_owned();
    let (mut shortest, mut why) = (trace, why.to_owned());
    let mut size = shortest.len().div_ceil(2);
    loop {
        let (mut at, mut changed) = (0, false);
        while at < shortest.len() {
            let mut shorter = shortest.clone();
            shorter.drain(at..(at + size).min(shortest.len()));
            match replay(profile, &shorter) {
                (done, Err(found)) if kind(&found) == kind(&why) => {
                    (shortest, why, changed) = (done, found, true);
                }
                _ => at += size,
            }
        }
        if size == 1 && !changed {
            return (shortest, why);
        }
        size = (size / 2).max(1);
    }
}

fn choose(
    random: &mut Random,
    budget: &[(&'static str, u64)],
    postoffices: &str,
) -> Option<(&'static str, String)> {
    let weight = |kind: &str| match kind {
        "change" => 3,
        "hand" => 3,
        _ => 1,
    };
    let kinds: Vec<(&str, u64)> = FREE
        .into_iter()
        .chain(budget.iter().filter(|(_, left)| *left > 0).map(|(kind, _)| (*kind, weight(kind))))
        .collect();
    let mut at = random.below(kinds.iter().map(|(_, weight)| weight).sum());
    let (kind, _) = *kinds.iter().find(|(_, weight)| match at.checked_sub(*weight) {
        Some(rest) => {
            at = rest;
            false
        }
        None => true,
    })?;
    let names: Vec<char> = postoffices.chars().collect();
    let name = random.pick(&names);
    let twin = budget.iter().any(|(kind, _)| *kind == "clone") && random.one_in(3);
    let machine = format!("{name}{}", if twin { 2 } else { 1 });
    let servers = budget.iter().any(|(kind, _)| matches!(*kind, "promote" | "move"));
    let server = if servers && random.one_in(2) { "s2" } else { "s1" };
    let at = random.below(3);
    let owner = if random.one_in(4) { random.pick(&names) } else { name };
    let key = format!("{}{}", owner.to_ascii_lowercase(), 1 + random.below(2));
    let address = random.pick(&["x", "y"]);
    let collides = budget.iter().any(|(kind, _)| *kind == "collide");
    let step = match kind {
        "req" => format!("req {machine}"),
        "t2" => format!("t2 {name} {at} {server}"),
        "an" => format!("an {name} {server}"),
        "t3" => format!("t3 {machine} {at}"),
        "dup" if random.one_in(2) => format!("t2 {name} {at} {server} keep"),
        "dup" => format!("t3 {machine} {at} keep"),
        "drop" => format!("drop {} {name} {at}", random.pick(&["q", "u"])),
        "half" | "each" => format!("an {name} {server} {kind}"),
        "change" => match random.below(3) {
            0 if collides => format!("{machine} +{key}@{address}"),
            0 => format!("{machine} +{key}"),
            1 => format!("{machine} ~{key}"),
            _ => format!("{machine} -{key}"),
        },
        "collide" => match random.below(4) {
            0 => format!("{machine} {key}>x,y"),
            _ => format!("{machine} {key}>{address}"),
        },
        "cls" => format!("{machine} cls {key}"),
        "view" => format!("{machine} view"),
        "hand" => match random.below(4) {
            0 => format!("{machine} release {key} {}", random.pick(&names)),
            1 => format!("{machine} withdraw {key}"),
            _ => format!("{machine} claim {key}"),
        },
        "mass" => format!("{machine} mass"),
        "approve" => "approve".into(),
        "purge" => format!("purge {server}"),
        "remove" => format!("remove {name}"),
        "reinstall" => format!("reinstall {machine}"),
        "clone" => format!("clone {name}1"),
        "backup s" => format!("backup {server}"),
        "restore s" => format!("restore {server}"),
        "backup m" => format!("backup {machine}"),
        "restore m" => format!("restore {machine}"),
        "standby" | "promote" | "move" => kind.into(),
        other => unreachable!("{other} is no step"),
    };
    Some((kind, step))
}

/// Looks for traces that break a profile.
pub fn hunt(name: &str, seeds: std::ops::Range<u64>, steps: usize) {
    let (_, profile) = PROFILES.iter().find(|(known, _)| *known == name).expect("a profile");
    for seed in seeds {
        let (trace, result) = run(profile, seed, steps);
        if let Err(why) = result {
            let (trace, why) = shrink(profile, trace, &why);
            panic!("{name}, seed {seed}: {why} after\n{}", trace.join("; "));
        }
    }
}

/// Not a test of the build: looks further than the seeds of `stories`, in the profiles that the
/// variable `DIRSYNC_HUNT` names when the tests are built (`plain=0..1000,all=0..500`).
#[test]
#[ignore = "as long as one likes"]
fn hunt_further() {
    let wanted = option_env!("DIRSYNC_HUNT").unwrap_or_default();
    let mut found = Vec::new();
    for want in wanted.split(',').filter(|want| !want.is_empty()) {
        let (name, seeds) = want.split_once('=').expect("PROFILE=FROM..TO");
        let (from, to) = seeds.split_once("..").expect("FROM..TO");
        let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
        let (_, profile) = PROFILES.iter().find(|(known, _)| *known == name).expect("a profile");
        let (mut broken, mut shown) = (0, std::collections::BTreeSet::new());
        for seed in from..to {
            let (trace, result) = run(profile, seed, 60);
            if let Err(why) = result {
                broken += 1;
                if shown.len() < 3 && shown.insert(why.clone()) {
                    let (trace, why) = shrink(profile, trace, &why);
                    found.push(format!("{name}, seed {seed}: {why}\n    {}", trace.join("; ")));
                }
            }
        }
        println!("{name}: {broken} of {} break", to - from);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
