//! The steps of a turn, as the shell of `dirsync run` does them.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_agent::dispatch::{Action, Done, Found, Hands, Moment, note_applied, note_sent};
use dirsync_agent::schedule::Step;
use dirsync_agent::step::{self, PlaceFailure, Sent, requests_arrived};
use dirsync_agent::trouble::note_places;
use dirsync_carrier::Transit;
use dirsync_protocol::context::Level;
use dirsync_protocol::server::forget_before;
use dirsync_protocol::tables::{StoreError, Stored};
use dirsync_store::{Store as _, Transaction};

use super::record::Record;
use crate::naming::{SERVER, name_of};
use crate::network::{Parts, Port};
use crate::world::World;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Why a turn ended early.
pub enum Stopped {
    /// The step failed, which has to have a reason.
    Failed(String),
    /// An invariant is broken.
    Broken(String),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// One turn at one site.
pub struct Work<'a> {
    pub world: &'a mut World,
    pub site: &'a str,
    /// When the process began.
    pub began: u64,
    pub record: &'a mut Record,
}

impl Work<'_> {
    fn is_server(&self) -> bool {
        self.site.starts_with('s')
    }

    /// The machine of the site's own postoffice.
    fn machine(&self) -> String {
        if self.is_server() { format!("{SERVER}1") } else { self.site.to_owned() }
    }

    /// The place that T3 takes from, and T1 sends to.
    fn own_way(&self) -> (String, Port) {
        let machine = self.machine();
        let name = name_of(&machine).to_owned();
        let port = self.world.network.port_at(&machine, &name);
        let port = port.with_bodies(self.world.bodies_of(&machine, &name));
        (name, port)
    }

    fn ports(&self) -> BTreeMap<String, Port> {
        let names = self.world.names().into_iter();
        names
            .map(|name| {
                let port = self.world.network.port_at(&format!("s1/{name}"), &name);
                let port = port.with_bodies(self.world.bodies_of("s1", &name));
                (name, port)
            })
            .collect()
    }

    /// Writes down what a step came to.
    fn ended(
        &mut self,
        step: Step,
        (failed, sent, left): (&[PlaceFailure], &BTreeSet<Sent>, u64),
        and: impl FnOnce(&mut dyn Transaction, u64) -> Stored<()>,
    ) -> Result<Done, Stopped> {
        let (now, wall) = (self.world.now, self.world.clock(self.site));
        let mut tables = self.world.site(self.site).begin()?;
        note_places(&mut *tables, &step.to_string(), failed, sent, wall)?;
        and(&mut *tables, wall)?;
        tables.commit()?;
        self.record.ran(step, failed.is_empty(), now, wall).map_err(|why| self.broken(&why))?;
        self.world.deliver_posted();
        Ok(Done { complete: failed.is_empty(), has_left: left > 0 })
    }

    fn broken(&self, why: &str) -> Stopped {
        Stopped::Broken(format!("Dispatch: {} {why}", self.site))
    }

    fn send(&mut self, verify: bool) -> Result<Done, Stopped> {
        let ((place, port), around) = (self.own_way(), self.world.around(&self.machine()));
        self.world.network.answering(Parts::One, None);
        let report = step::send(self.world.site(self.site), &[(&place, &port)], &around, verify)
            .map_err(|error| Stopped::Failed(error.to_string()))?;
        let machine = self.machine();
        self.world.note(&machine, report.events);
        let sent = report.request.is_some();
        if sent {
            self.record.asked(around.now);
        }
        self.ended(Step::Send, (&report.failed, &report.sent, 0), |tables, at| {
            if sent { note_sent(tables, at) } else { Ok(()) }
        })
    }

    fn process(&mut self, push: bool) -> Result<Done, Stopped> {
        let (ports, around) = (self.ports(), self.world.around(self.site));
        let places: BTreeMap<String, &dyn Transit> =
            ports.iter().map(|(name, port)| (name.clone(), port as &dyn Transit)).collect();
        let known = self.world.network.posted();
        let published = self.world.published(self.site);
        self.world.network.answering(Parts::One, Some(published));
        let site = self.world.site(self.site);
        let mut decisions = std::mem::take(&mut site.decisions);
        let processed = step::process(site, &places, &mut decisions, &around, push);
        site.decisions = decisions;
        self.world.network.answering(Parts::One, None);
        let report = processed.map_err(|error| Stopped::Failed(error.to_string()))?;
        self.world.note(self.site, report.events);
        let checked =
            self.world.check_no_repair(known).and_then(|()| self.world.check_server(self.site));
        checked.map_err(Stopped::Broken)?;
        self.ended(Step::Process, (&report.failed, &report.sent, report.left), |_, _| Ok(()))
    }

    fn apply(&mut self) -> Result<Done, Stopped> {
        let machine = self.machine();
        let ((place, port), around) = (self.own_way(), self.world.around(&machine));
        let before = self.world.state(&machine);
        let report = step::apply(self.world.site(self.site), &[(&place, &port)], &around)
            .map_err(|error| Stopped::Failed(error.to_string()))?;
        self.world.note(&machine, report.events);
        self.world.check_digests(&machine).map_err(Stopped::Broken)?;
        self.world.note_acknowledged(&machine);
        let after = self.world.state(&machine);
        if after.last_answer > before.last_answer {
            self.record.answered();
        }
        if after.point != before.point {
            self.record.list_moved(self.world.now);
        }
        self.ended(Step::Apply, (&report.failed, &BTreeSet::new(), report.left), |tables, at| {
            note_applied(tables, report.answered > 0, before.last_answer, at)
        })
    }
}

impl Hands for Work<'_> {
    type Error = Stopped;

    fn now(&mut self) -> Moment {
        let steady = std::time::Duration::from_millis(self.world.now - self.began);
        Moment { wall: self.world.clock(self.site), steady }
    }

    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        self.world.site(self.site).begin()
    }

    fn look(&mut self) -> Result<Found, Stopped> {
        let arrived = self.own_way().1.arrived();
        let updates = arrived.as_ref().map_or(true, |arrived| !arrived.is_empty());
        let mut found = Found { updates, requests: false, is_away: arrived.is_err() };
        if self.is_server() {
            let ports = self.ports();
            let places =
                ports.iter().map(|(name, port)| (name.clone(), port as &dyn Transit)).collect();
            found.requests = requests_arrived(self.world.site(self.site), &places)
                .map_err(|error| Stopped::Failed(error.to_string()))?;
        }
        Ok(found)
    }

    fn step(&mut self, action: Action) -> Result<Done, Stopped> {
        match action {
            Action::Send { verify } => self.send(verify),
            Action::Process { push } => self.process(push),
            Action::Apply => self.apply(),
            _ => Ok(Done { complete: true, has_left: false }),
        }
    }

    fn tidy_up(&mut self) -> Result<(), Stopped> {
        let wall = self.world.clock(self.site);
        self.record.tidied(wall).map_err(|why| self.broken(&why))?;
        let mut tables = self.world.site(self.site).begin()?;
        let before = |days: u64| wall.saturating_sub(days * DAY_MS);
        forget_before(&mut *tables, before(30), before(365))?;
        Ok(tables.commit()?)
    }

    fn say(&mut self, _: &str, _: Level, _: &str) {}
}
