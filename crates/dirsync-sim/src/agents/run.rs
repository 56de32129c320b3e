//! The turns of the agents while the time of their world passes.

use dirsync_agent::alarm::{next_call, note_call, sound};
use dirsync_agent::dispatch::{self, Dispatch, Moment, State};
use dirsync_agent::notes::{AGENT, STEP_ERROR};
use dirsync_agent::waiting::{Circumstances, Waiting};
use dirsync_protocol::tables::{StoreError, Stored};
use dirsync_store::Store as _;

use super::hands::{Stopped, Work};
use super::record::{Record, Rung};
use super::{Agent, Pace};
use crate::check::Checked;
use crate::naming::{SERVER, name_of, postoffice};
use crate::network::Letter;
use crate::world::World;

const MINUTE_MS: u64 = 60_000;
/// One world in this many has no file events: places are polled.
const POLLED: u64 = 3;
/// Whether everything is done that is due is checked this often.
const CHECK_MS: u64 = 20_000;
/// More turns in one minute are a process that never rests.
const TURNS_PER_MINUTE_MAX: u32 = 100;
/// In this many cycles of the slowest agent everything is as it should be.
const CYCLES: usize = 14;

impl World {
    /// A process begins to look after postoffices, each at a pace of its own.
    pub(crate) fn start_agents(&mut self, paces: &[(String, Pace)]) -> bool {
        let known = paces.iter().all(|(site, _)| self.sites.contains_key(site));
        let takes_part = self.setup.postoffices.contains(SERVER);
        for (site, pace) in paces.iter().filter(|_| known && takes_part) {
            let dispatch = Dispatch::new(pace.settings(), false);
            let (began, wake_at) = (self.now, self.now);
            let record = match self.agents.remove(site) {
                Some(agent) if agent.pace == *pace => agent.record,
                _ => Record::begin(*pace, site.starts_with('s')),
            };
            let mut agent = Agent {
                dispatch,
                pace: *pace,
                began,
                runs: true,
                wake_at,
                touched: true,
                turns: (0, 0),
                record,
            };
            agent.record.process_began(self.now);
            for name in self.names().iter().filter(|name| self.network.is_away(name)) {
                if site.starts_with('s') || site.starts_with(name) {
                    agent.record.place_changed(name, true, self.now);
                }
            }
            self.agents.insert(site.clone(), agent);
        }
        known && takes_part
    }

    /// How long a cycle of the slowest agent takes.
    pub(crate) fn cycle_minutes(&self) -> u64 {
        self.agents.values().map(|agent| agent.pace.cycle_minutes()).max().unwrap_or(1)
    }

    /// At which pace a site is looked after.
    pub(crate) fn pace_of(&self, site: &str) -> Pace {
        self.agents.get(site).map_or(Pace::Continuous, |agent| agent.pace)
    }

    /// The process that looks after a postoffice ends.
    pub(crate) fn stop_agent(&mut self, site: &str) -> bool {
        self.agents.get_mut(site).is_some_and(|agent| std::mem::replace(&mut agent.runs, false))
    }

    /// The place of a postoffice's messages goes away, or comes back.
    pub(crate) fn place_is_away(&mut self, name: &str, away: bool) -> bool {
        let known = name != SERVER && self.names().iter().any(|known| known == name);
        // At a line, what cannot pass waits: no step sees that.
        if !known || self.is_slow(name) || self.network.set_away(name, away) == away {
            return false;
        }
        let machine = format!("{name}1");
        for (site, agent) in &mut self.agents {
            if *site == machine || site.starts_with('s') {
                agent.record.place_changed(name, away, self.now);
            }
        }
        true
    }

    /// Something happened at a postoffice: a file event tells its agent, or the next poll does.
    pub(crate) fn touch(&mut self, site: &str) {
        let seen = !self.setup.seed.is_multiple_of(POLLED);
        if let Some(agent) = self.agents.get_mut(site) {
            agent.touched = true;
            if seen {
                agent.wake_at = agent.wake_at.min(self.now);
            }
        }
    }

    /// A site's clock or disk is not as it was.
    pub(crate) fn disturb(&mut self, site: &str) {
        let now = self.now;
        if let Some(agent) = self.agents.get_mut(site) {
            agent.record.disturbed(now);
        }
    }

    /// Minutes pass, in which agents do what is due.
    pub(crate) fn run_agents(&mut self, minutes: u64) -> Checked<bool> {
        let end = self.now + minutes * MINUTE_MS;
        loop {
            let lines = self.lines_have_work().then_some(self.lines_at).filter(|at| *at <= end);
            let due = self.agents.iter().filter(|(_, agent)| agent.runs && agent.wake_at <= end);
            let Some(at) = due.map(|(_, agent)| agent.wake_at).chain(lines).min() else { break };
            self.now = self.now.max(at);
            let due =
                self.agents.iter().filter(|(_, agent)| agent.runs && agent.wake_at <= self.now);
            let due: Vec<String> = due.map(|(site, _)| site.clone()).collect();
            for site in due {
                self.agent_turn(&site)?;
            }
            if self.lines_have_work() && self.now >= self.lines_at {
                self.lines_at = self.now + MINUTE_MS;
                self.use_all_lines()?;
                self.deliver_posted();
            }
            if self.now >= self.checked + CHECK_MS {
                self.checked = self.now;
                self.check_agents()?;
            }
            self.now += 1;
        }
        self.now = self.now.max(end);
        self.check_agents()?;
        Ok(!self.agents.is_empty())
    }

    fn agent_turn(&mut self, site: &str) -> Checked<()> {
        let Some(mut agent) = self.agents.remove(site) else { return Ok(()) };
        let now = agent.moment(self.now, self.clock(site));
        let result = if agent.dispatch.has_to_wait(now) {
            Ok(())
        } else {
            self.look_after(site, &mut agent, now)
        };
        let wake = agent.dispatch.wake_at(now);
        if result.is_ok() && wake <= now.steady {
            return Err(format!("Dispatch: {site} wants to be looked at again at once"));
        }
        // A millisecond later than it says, where it says parts of one.
        agent.wake_at = agent.began + wake.as_millis() as u64 + 1;
        let minute = self.now / MINUTE_MS;
        agent.turns =
            if agent.turns.0 == minute { (minute, agent.turns.1 + 1) } else { (minute, 1) };
        if agent.turns.1 > TURNS_PER_MINUTE_MAX {
            return Err(format!("Dispatch: {site} never rests"));
        }
        self.agents.insert(site.to_owned(), agent);
        self.deliver_posted();
        result
    }

    /// A turn at a postoffice, unless nothing happened there and no time has come.
    fn look_after(&mut self, site: &str, agent: &mut Agent, now: Moment) -> Checked<()> {
        let has_mail = agent.pace == Pace::Continuous && self.has_mail(site);
        if !agent.touched && !has_mail && !agent.dispatch.is_due(now) {
            return Ok(());
        }
        agent.touched = false;
        agent.dispatch.begin(agent.pace.settings());
        let began = self.put_agent_note(site);
        let worked = began.map_err(Stopped::from).and_then(|()| {
            agent.record.looks(now.wall);
            let mut work =
                Work { world: self, site, began: agent.began, record: &mut agent.record };
            dispatch::turn(&mut agent.dispatch, &mut work)
        });
        let error = match &worked {
            Ok(()) => None,
            Err(Stopped::Broken(why)) => return Err(why.clone()),
            Err(Stopped::Failed(text)) => Some(text.clone()),
        };
        let told = self.tell(site, agent, error.as_deref(), now);
        match error.or(told.err().map(|error| error.to_string())) {
            None => {
                agent.record.turn_succeeded();
                agent.dispatch.succeeded();
            }
            Some(text) if self.site(site).store.full => {
                let said = agent.dispatch.failed(&text, now).is_some();
                agent
                    .record
                    .turn_failed(self.now, said)
                    .map_err(|why| format!("Dispatch: {site} {why}"))?;
            }
            Some(text) => return Err(format!("a turn at {site} failed: {text}")),
        }
        Ok(())
    }

    fn put_agent_note(&mut self, site: &str) -> Stored<()> {
        let mut tables = self.site(site).begin()?;
        tables.put_note(AGENT, Some("runs"))?;
        tables.commit()
    }

    /// Sounds the alarms of what waits, and makes their calls.
    fn tell(
        &mut self,
        site: &str,
        agent: &mut Agent,
        error: Option<&str>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let settings = agent.pace.settings();
        let name = postoffice(if site.starts_with('s') { SERVER } else { name_of(site) });
        let at = self.now;
        let store = self.site(site);
        let mut tables = store.begin()?;
        tables.put_note(STEP_ERROR, error)?;
        tables.commit()?;
        let around =
            Circumstances { schedule: settings.schedule.as_ref(), ..Circumstances::default() };
        let waits = Waiting::of(&mut *store.begin()?, &around, now.wall)?;
        let rings = waits.alarms.iter().filter(|alarm| alarm.kind().rings());
        let subjects = rings.map(|alarm| (alarm.subject(), alarm.kind().word().to_owned()));
        sound(store, &name, &subjects.collect(), true, now.wall)?;
        loop {
            let mut tables = self.site(site).begin()?;
            let Some((call, subject)) = next_call(&mut *tables)? else { break };
            note_call(&mut *tables, &call, None, now.wall)?;
            tables.commit()?;
            if let Err(why) = agent.record.rang(at, &subject) {
                self.broken.push(format!("Dispatch: {site} {why}"));
            }
        }
        if error.is_none() {
            let state = State::load(&mut *self.site(site).begin()?)?;
            agent.dispatch.rest(&state, waits.late_at, now);
        }
        Ok(())
    }

    /// Puts what was sent into the inboxes of its addressees. What is behind a line waits there until its body has come.
    pub(crate) fn deliver_posted(&mut self) {
        if self.agents.is_empty() {
            return;
        }
        for is_request in [true, false] {
            for letter in self.network.take_all(is_request) {
                let has_apart = letter.body_apart().is_some();
                let reader = if is_request { "s1".to_owned() } else { format!("{}1", letter.name) };
                if !self.is_complete(&letter, &reader) {
                    self.network.put_back(letter);
                    continue;
                }
                let machine = format!("{}1", letter.name);
                let (site, inbox) = match (is_request, letter.name == SERVER) {
                    (true, _) => ("s1".to_owned(), format!("s1/{}", letter.name)),
                    (false, true) => ("s1".to_owned(), "S1".to_owned()),
                    (false, false) => (machine.clone(), machine),
                };
                if has_apart {
                    self.network.set_clock(self.now);
                    self.network.deliver_late(&inbox, letter);
                } else {
                    self.network.deliver(&inbox, letter);
                }
                self.touch(&site);
            }
        }
    }

    /// Ends the faults, and lets the agents work until everything is as it should be.
    pub(crate) fn settle_agents(&mut self) -> Checked<usize> {
        let paces: Vec<(String, Pace)> = self
            .agents
            .iter()
            .filter(|(_, agent)| !agent.runs)
            .map(|(site, agent)| (site.clone(), agent.pace))
            .collect();
        for name in self.names() {
            self.place_is_away(&name, false);
        }
        let sites: Vec<String> = self.site_names().into_iter().collect();
        for site in sites {
            let site_of = self.site(&site);
            let changed = std::mem::take(&mut site_of.skew) != 0 || site_of.store.full;
            site_of.store.full = false;
            if changed {
                self.disturb(&site);
            }
        }
        let missing = self.site_names().into_iter().filter(|site| !self.agents.contains_key(site));
        let missing: Vec<(String, Pace)> = missing.map(|site| (site, Pace::Continuous)).collect();
        self.start_agents(&missing);
        self.start_agents(&paces);
        let cycle = self.cycle_minutes();
        let mut last = String::new();
        for cycles in 0..CYCLES {
            self.run_agents(cycle)?;
            match self.check_end().and_then(|()| self.check_silent()) {
                Ok(()) => return Ok(cycles),
                Err(why) => last = why,
            }
        }
        Err(format!("{last} after {CYCLES} cycles of the slowest agent"))
    }

    /// No alarm sounds any more.
    fn check_silent(&mut self) -> Checked<()> {
        let mut paces = self.agents.values().map(|agent| agent.pace);
        let first = paces.next();
        let alike = paces.all(|pace| Some(pace) == first);
        for (site, agent) in &self.agents {
            agent.record.is_silent(alike).map_err(|why| format!("Dispatch: {site} {why}"))?;
        }
        Ok(())
    }

    fn check_agents(&mut self) -> Checked<()> {
        let now = self.now;
        let sites: Vec<String> = self.agents.keys().cloned().collect();
        for site in sites {
            let wall = self.clock(&site);
            let full = self.site(&site).store.full;
            let inboxes = self.inboxes(&site);
            let was_wiped = self.ghost.wiped.contains(&site);
            let waits_since = inboxes
                .into_iter()
                .filter(|(_, place)| !self.network.is_away(place))
                .filter_map(|(inbox, _)| {
                    // What waits for a body that was lost waits for its sender, and nobody knows since when it is whole.
                    let has_body = |letter: &Letter| !was_wiped || letter.body_apart().is_none();
                    self.network.oldest_delivered(&inbox, has_body)
                })
                .min();
            let Some(agent) = self.agents.get_mut(&site) else { continue };
            if !agent.runs || full {
                agent.record.disturbed(now);
                continue;
            }
            agent
                .record
                .check(now, wall, waits_since)
                .map_err(|why| format!("Dispatch: {site} {why}"))?;
        }
        self.broken.pop().map_or(Ok(()), Err)
    }

    /// The inboxes of a site, with the place of each.
    fn inboxes(&self, site: &str) -> Vec<(String, String)> {
        if !site.starts_with('s') {
            return vec![(site.to_owned(), name_of(site).to_owned())];
        }
        let places = self.names().into_iter().map(|name| (format!("{site}/{name}"), name));
        places.chain([("S1".to_owned(), SERVER.to_owned())]).collect()
    }

    fn has_mail(&self, site: &str) -> bool {
        self.inboxes(site).iter().any(|(inbox, place)| {
            self.network.is_away(place) || self.network.oldest_delivered(inbox, |_| true).is_some()
        })
    }

    /// What the alarms of a site have said.
    pub fn rung(&self, site: &str) -> Vec<Rung> {
        self.agents.get(site).map_or_else(Vec::new, |agent| agent.record.rung().to_vec())
    }
}
