//! All orders of small histories: each event is followed by one cycle, so what is explored is what a
//! site could live through in so many days.
//!
//! Postoffices that have done nothing so far are exchangeable: the first event of a new one is that of
//! the lowest letter.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::check::Checked;
use crate::network::Parts;
use crate::step::Step;
use crate::world::{Setup, World};

/// What an exploration came to.
#[derive(Debug, Default)]
pub struct Counted {
    /// Histories that were lived through, each then driven to silence.
    pub histories: u64,
    /// Events that were not possible where they were tried.
    pub impossible: u64,
    /// What broke, with the history.
    pub failures: Vec<String>,
}

/// So many bytes a slow line passes at a time, four times in a cycle: fewer than a piece has.
const SLOW: u64 = 60;

/// The events of a world of some requestors, which may be behind lines.
fn events(requestors: usize, slow: bool) -> Vec<String> {
    let mut events = vec!["backup s1".to_owned(), "restore s1".into(), "purge s1".into()];
    for name in NAMES.into_iter().take(requestors) {
        let key = name.to_lowercase();
        events.extend([
            format!("{name}1 +{key}1@x"),
            format!("{name}1 +{key}2@y"),
            format!("{name}1 ~{key}1"),
            format!("{name}1 {key}1>y"),
            format!("{name}1 -{key}1"),
            // A request that is lost, one that arrives twice; the same of an update.
            format!("req {name}1; drop q {name}"),
            format!("req {name}1; t2 {name} keep"),
            format!("req {name}1; t2 {name}; an {name}; drop u {name}"),
            format!("req {name}1; t2 {name}; an {name}; t3 {name}1 keep"),
            format!("backup {name}1"),
            format!("restore {name}1"),
        ]);
        if slow {
            // From here on bodies are under way over several cycles; or they arrive within each.
            events.extend([format!("rate {name} {SLOW}"), format!("rate {name} full")]);
        }
    }
    events
}

const NAMES: [&str; 3] = ["A", "B", "C"];

/// Lives through every history of up to `depth` events, on some threads; with `slow` all requestors are behind lines.
///
/// # Panics
///
/// When a thread does.
pub fn explore(requestors: usize, slow: bool, depth: usize, threads: u64) -> Counted {
    let events = events(requestors, slow);
    let postoffices: String = NAMES.into_iter().take(requestors).collect();
    let slow = if slow { postoffices.clone() } else { String::new() };
    let setup = Setup { slow, ..Setup::of(&postoffices) };
    let explorer = Explorer { setup, events, depth, counted: Mutex::default() };
    // Each thread takes the histories that begin with one event after the other.
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(1, Ordering::Relaxed);
                    if first >= explorer.events.len() * explorer.events.len() {
                        return;
                    }
                    explorer.begin(first);
                }
            });
        }
    });
    explorer.counted.into_inner().expect("no thread panics")
}

struct Explorer {
    setup: Setup,
    events: Vec<String>,
    depth: usize,
    counted: Mutex<Counted>,
}

impl Explorer {
    /// All histories that begin with one pair of events.
    fn begin(&self, pair: usize) {
        let (first, second) = (pair / self.events.len(), pair % self.events.len());
        let world = World::with(self.setup.clone());
        // The history of the first event alone is counted with one of its pairs.
        let counts = second == 0;
        let Some(world) = self.live(&world, &[first], counts) else { return };
        if self.depth >= 2 {
            self.follow(&world, vec![first], second);
        }
    }

    /// A history longer by one event, and all that begin with it.
    fn follow(&self, world: &World, mut history: Vec<usize>, event: usize) {
        history.push(event);
        let Some(world) = self.live(world, &history, true) else { return };
        if history.len() < self.depth {
            (0..self.events.len()).for_each(|next| self.follow(&world, history.clone(), next));
        }
    }

    /// The last event of a history and a cycle; none when it was not possible, or something broke.
    fn live(&self, world: &World, history: &[usize], counts: bool) -> Option<World> {
        if !self.is_first_of_its_kind(history) {
            return None;
        }
        let mut world = world.fork();
        let event = &self.events[*history.last()?];
        let lived = lived(&mut world, event).and_then(|possible| {
            if possible && counts {
                world.fork().try_settle(true)?;
            }
            Ok(possible)
        });
        let mut counted = self.counted.lock().expect("no thread panics");
        match lived {
            Ok(possible) => {
                counted.histories += u64::from(possible && counts);
                counted.impossible += u64::from(!possible && counts);
                possible.then_some(world)
            }
            Err(why) => {
                let events = history.iter().map(|event| self.events[*event].as_str());
                let told: Vec<&str> = events.collect();
                counted.failures.push(format!("{why}: {}; cycle", told.join("; cycle; ")));
                None
            }
        }
    }

    /// Postoffices appear in the order of their letters: histories that differ in names only are one.
    fn is_first_of_its_kind(&self, history: &[usize]) -> bool {
        let mut known = 0;
        for event in history {
            let text = &self.events[*event];
            let Some(place) = NAMES.iter().position(|name| text.contains(name)) else { continue };
            if place > known {
                return false;
            }
            known = known.max(place + 1);
        }
        true
    }
}

/// One event and a cycle after it.
fn lived(world: &mut World, event: &str) -> Checked<bool> {
    for text in event.split("; ") {
        let step: Step = text.parse().map_err(|error| format!("{error}"))?;
        if !world.step(&step)? {
            return Ok(false);
        }
    }
    world.cycle(false, Parts::One)?;
    Ok(true)
}
