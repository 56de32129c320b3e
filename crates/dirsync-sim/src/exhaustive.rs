//! All orders of small histories: each event is followed by one cycle, so what is explored is what a
//! site could live through in so many days.
//!
//! Postoffices that have done the same so far are exchangeable: the first event of a new one is that of
//! the lowest letter. States that were reached before are not explored again.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::network::Parts;
use crate::step::Step;
use crate::world::{Setup, World};

/// What an exploration came to.
#[derive(Debug, Default)]
pub struct Counted {
    /// Histories that were lived through.
    pub histories: u64,
    /// Distinct states after them.
    pub states: u64,
    /// Histories that were driven to silence.
    pub settled: u64,
    /// What broke, with the history.
    pub failures: Vec<String>,
}

/// The events of a world of some requestors.
fn events(requestors: usize) -> Vec<String> {
    let mut events = vec!["backup s1".to_owned(), "restore s1".into(), "purge s1".into()];
    for name in ["A", "B", "C"].into_iter().take(requestors) {
        let key = name.to_lowercase();
        events.extend([
            format!("{name}1 +{key}1@x"),
            format!("{name}1 +{key}2@y"),
            format!("{name}1 ~{key}1"),
            format!("{name}1 {key}1>y"),
            format!("{name}1 -{key}1"),
            // A request that is lost, one that arrives twice, an update that is lost.
            format!("req {name}1; drop q {name}"),
            format!("req {name}1; t2 {name} keep"),
            format!("req {name}1; t2 {name}; an {name}; drop u {name}"),
            format!("req {name}1; t2 {name}; an {name}; t3 {name}1 keep"),
            format!("backup {name}1"),
            format!("restore {name}1"),
        ]);
    }
    events
}

/// Lives through every history of `depth` events, on some threads.
pub fn explore(requestors: usize, depth: usize, threads: u64) -> Counted {
    let names: String = ["A", "B", "C"].into_iter().take(requestors).collect();
    let explorer = Explorer {
        setup: Setup::of(&names),
        events: events(requestors),
        depth,
        known: Mutex::default(),
        counted: Mutex::default(),
    };
    // Two events deep there is enough to share out.
    let first: Vec<Vec<usize>> = explorer.prefixes(depth.min(2));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(prefix) = first.get(next.fetch_add(1, Ordering::Relaxed)) {
                    explorer.follow(prefix.clone());
                }
            });
        }
    });
    let mut counted = explorer.counted.into_inner().expect("no thread panics");
    counted.states = explorer.known.into_inner().expect("no thread panics").len() as u64;
    counted
}

struct Explorer {
    setup: Setup,
    events: Vec<String>,
    depth: usize,
    /// Digests of states, with how many events could still follow.
    known: Mutex<BTreeSet<(usize, [u8; 16])>>,
    counted: Mutex<Counted>,
}

impl Explorer {
    fn prefixes(&self, length: usize) -> Vec<Vec<usize>> {
        let mut prefixes = vec![Vec::new()];
        for _ in 0..length {
            prefixes = prefixes
                .into_iter()
                .flat_map(|prefix: Vec<usize>| {
                    (0..self.events.len()).map(move |event| {
                        let mut longer = prefix.clone();
                        longer.push(event);
                        longer
                    })
                })
                .filter(|prefix| self.is_first_of_its_kind(prefix))
                .collect();
        }
        prefixes
    }

    /// Postoffices appear in the order of their letters.
    fn is_first_of_its_kind(&self, history: &[usize]) -> bool {
        let mut seen = 0;
        for event in history {
            let text = &self.events[*event];
            let Some(at) = text.find(['A', 'B', 'C']) else { continue };
            let place = usize::from(text.as_bytes()[at] - b'A');
            if place > seen {
                return false;
            }
            seen = seen.max(place + 1);
        }
        true
    }

    fn follow(&self, history: Vec<usize>) {
        let Some(world) = self.live(&history) else { return };
        let digest = digest_of(world);
        let left = self.depth - history.len();
        if !self.known.lock().expect("no thread panics").insert((left, digest)) || left == 0 {
            return;
        }
        for event in 0..self.events.len() {
            let mut longer = history.clone();
            longer.push(event);
            if self.is_first_of_its_kind(&longer) {
                self.follow(longer);
            }
        }
    }

    /// Lives through a history; none when an event of it was not possible, or something broke.
    fn live(&self, history: &[usize]) -> Option<World> {
        let mut world = World::with(self.setup.clone());
        let result = self.try_live(&mut world, history);
        let mut counted = self.counted.lock().expect("no thread panics");
        match result {
            Ok(true) => {
                counted.histories += 1;
                drop(counted);
                let mut end = World::with(self.setup.clone());
                if self.try_live(&mut end, history) == Ok(true) {
                    let settled = end.try_settle(true);
                    let mut counted = self.counted.lock().expect("no thread panics");
                    counted.settled += 1;
                    if let Err(why) = settled {
                        counted.failures.push(format!("{why}: {}", self.told(history)));
                    }
                }
                Some(world)
            }
            Ok(false) => None,
            Err(why) => {
                counted.failures.push(format!("{why}: {}", self.told(history)));
                None
            }
        }
    }

    fn try_live(&self, world: &mut World, history: &[usize]) -> Result<bool, String> {
        for event in history {
            for text in self.events[*event].split("; ") {
                let step: Step = text.parse().map_err(|error| format!("{error}"))?;
                if !world.step(&step)? {
                    return Ok(false);
                }
            }
            world.cycle(false, Parts::One)?;
        }
        Ok(true)
    }

    fn told(&self, history: &[usize]) -> String {
        let events: Vec<&str> = history.iter().map(|event| self.events[*event].as_str()).collect();
        events.join("; cycle; ")
    }
}

/// What tells one state from another: everything that the sites hold.
fn digest_of(mut world: World) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for machine in world.machines() {
        hasher.update(world.requestor_summary(&machine).as_bytes());
        hasher.update(format!("{:?}", world.state(&machine)).as_bytes());
    }
    hasher.update(world.server_summary("s1").as_bytes());
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    digest
}
