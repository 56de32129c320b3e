//! Days of a world by the clock: every site has a schedule in a time zone of its own, as the shipped
//! Dispatch reads it, and lines that take no time, hours, or days, where messages overtake each other.
//!
//! What is due becomes steps like any other, so a trace of it is replayed and shrunk without schedules.

use std::collections::BTreeMap;

use dirsync_agent::schedule::{Due, Schedule, ScheduledTime, Step as Scheduled};
use dirsync_testing::Random;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::check::Checked;
use crate::naming::name_of;
use crate::network::Parts;
use crate::step::{Delivery, Step, Trouble};
use crate::world::World;

/// Minutes between two looks at the clocks.
const TICK_MIN: u64 = 15;
/// Zones with summer times of an hour and of half an hour, and one that once left out a day.
const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];
/// Around the changes of summer time in 2026, and before the day that Apia left out.
const BEGINNINGS: [&str; 4] = [
    "2026-03-27T12:00:00Z",
    "2026-10-24T20:00:00Z",
    "2011-12-28T12:00:00Z",
    "2026-11-27T00:00:00Z",
];
/// Schedules, from that of the original's manual to one for the impatient.
const SCHEDULES: [&str; 5] = [
    "T1 daily 22:00\nT2 daily 00:00\nT3 daily 04:30",
    "T1 Mon-Fri 02:30\nT2 daily 02:45\nT3 daily 02:15",
    "T1 every 120 min\nT2 every 60 min\nT3 every 60 min",
    "T1 every 15 min\nT2 every 15 min\nT3 every 15 min",
    "T1 Mon,Wed,Sat 12:00\nT2 daily 13:00\nT3 daily 14:00\nT3 daily 02:00",
];
/// How long a line takes, in minutes.
const DELAYS: [u64; 4] = [0, 20, 8 * 60, 3 * 24 * 60];

/// The schedules of a world, and what is on its way.
pub struct Calendar {
    schedules: BTreeMap<String, Schedule>,
    delays: BTreeMap<String, u64>,
    last_runs: BTreeMap<(String, Scheduled), Timestamp>,
    /// When a letter is there, in milliseconds since 1970.
    arrivals: BTreeMap<u64, u64>,
}

impl Calendar {
    /// Schedules and lines for every site, and a day to begin with.
    ///
    /// # Panics
    ///
    /// Never: the texts are schedules, zones and times.
    pub fn draw(world: &mut World, random: &mut Random) -> Self {
        let beginning: Timestamp = random.pick(&BEGINNINGS).parse().expect("it is a time");
        world.now = beginning.as_millisecond().unsigned_abs();
        let (mut schedules, mut delays) = (BTreeMap::new(), BTreeMap::new());
        for site in world.site_names() {
            let lines = random.pick(&SCHEDULES).lines();
            let times = lines.map(|line| line.parse::<ScheduledTime>().expect("it is a schedule"));
            let zone = TimeZone::get(random.pick(&ZONES)).expect("the zones are compiled in");
            let schedule = Schedule { zone, times: times.collect(), window: Schedule::WINDOW };
            schedules.insert(site.clone(), schedule);
            delays.insert(site, random.pick(&DELAYS));
        }
        Self { schedules, delays, last_runs: BTreeMap::new(), arrivals: BTreeMap::new() }
    }

    /// Some days, in which a random step comes now and then.
    ///
    /// # Errors
    ///
    /// What breaks.
    pub fn live(
        &mut self,
        world: &mut World,
        random: &mut Random,
        days: u64,
        mut disturb: impl FnMut(&mut World, &mut Random) -> Step,
    ) -> Checked<()> {
        for _ in 0..days * 24 * 60 / TICK_MIN {
            world.step(&Step::Pass(TICK_MIN))?;
            if random.one_in(12) {
                let step = disturb(world, random);
                world.step(&step)?;
            }
            self.note_arrivals(world, random);
            for site in world.site_names() {
                for due in [Scheduled::Send, Scheduled::Process, Scheduled::Apply] {
                    if self.is_due(world, &site, due) {
                        self.run(world, &site, due)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn is_due(&mut self, world: &World, site: &str, due: Scheduled) -> bool {
        let Some(schedule) = self.schedules.get(site) else { return false };
        let now = i64::try_from(world.clock(site)).unwrap_or(i64::MAX);
        let Ok(now) = Timestamp::from_millisecond(now) else { return false };
        let last = self.last_runs.entry((site.to_owned(), due)).or_insert(now);
        match schedule.due(due, Some(*last), now) {
            Due::Now { scheduled_for } => {
                *last = scheduled_for;
                true
            }
            Due::Missed { scheduled_for, .. } => {
                *last = scheduled_for;
                false
            }
            Due::At(_) | Due::Never => false,
        }
    }

    fn note_arrivals(&mut self, world: &World, random: &mut Random) {
        for letter in world.network.letters() {
            let site = world.machines().into_iter().find(|machine| name_of(machine) == letter.name);
            let delay = site.and_then(|site| self.delays.get(&site)).copied().unwrap_or(0);
            let late = if delay == 0 { 0 } else { random.below(2 * delay) };
            self.arrivals.entry(letter.number).or_insert(world.now + late * 60_000);
        }
    }

    /// One due step of a site, with all that has arrived there.
    fn run(&self, world: &mut World, site: &str, due: Scheduled) -> Checked<()> {
        let trouble = Trouble::None;
        let is_server = site.starts_with('s');
        match due {
            Scheduled::Send if !is_server => {
                world.step(&Step::Request(site.to_owned(), trouble))?;
            }
            Scheduled::Process if is_server => {
                for name in world.names() {
                    let server = site.to_owned();
                    self.all_arrived(world, true, &name, |name, at| Step::Take {
                        name: name.to_owned(),
                        at,
                        server: server.clone(),
                        delivery: Delivery::Whole,
                        trouble,
                    })?;
                    let parts = Parts::One;
                    world.step(&Step::Answer { name, server: site.to_owned(), parts, trouble })?;
                }
            }
            Scheduled::Apply if !is_server => {
                self.all_arrived(world, false, name_of(site), |_, at| Step::Apply {
                    machine: site.to_owned(),
                    at,
                    delivery: Delivery::Whole,
                    trouble,
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn all_arrived(
        &self,
        world: &mut World,
        is_request: bool,
        name: &str,
        step: impl Fn(&str, usize) -> Step,
    ) -> Checked<()> {
        loop {
            let numbers = world.network.numbers(is_request, name);
            let there = |number: &u64| self.arrivals.get(number).is_some_and(|at| *at <= world.now);
            let Some(at) = numbers.iter().position(there) else { return Ok(()) };
            let number = numbers[at];
            world.step(&step(name, at))?;
            if world.network.numbers(is_request, name).contains(&number) {
                // It could not be taken now: the disk is full, or nobody may take it.
                return Ok(());
            }
        }
    }
}
