//! A world: servers, requestor machines, and what is under way between them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use dirsync_agent::decisions::{self, Decision, DecisionKind};
use dirsync_agent::founding::{found_requestor, found_server};
use dirsync_agent::route::FallBack;
use dirsync_agent::sealing::Sealing;
use dirsync_agent::step::{Surroundings, UnderWayLimits};
use dirsync_carrier::Spool;
use dirsync_directory::{EntryId, Record, View};
use dirsync_message::Instance;
use dirsync_protocol::context::{Context, Draws, Event};
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::invitation::{proof, verifier};
use dirsync_protocol::requestor::OwnChanges;
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{
    Mode, Registration, RegistrationState, RequestorState, Run, RunKind, ServerState, Stored,
};
use dirsync_store::Transaction;
use dirsync_testing::{EVIDENCE, changed_keys, key_of, sealing_of};

use crate::act::lines::{Lines, fork, outbox_of};
use crate::agents::Agents;
use crate::check::Ghost;
use crate::naming::{SERVER, Sight, entry, name_of, own_row, postoffice, record};
use crate::network::Network;
use crate::site::Site;
use crate::step::Step;

/// By postoffice and source, what the source's file names.
pub type Files = BTreeMap<(String, String), BTreeMap<String, Record>>;

/// Deletions are never too many.
pub const LENIENT: GuardLimits = GuardLimits { entries: 1_000_000, percent: 100 };
/// Two deletions of one origin within the window wait for a person.
pub const STRICT: GuardLimits = GuardLimits { entries: 1, percent: 0 };

/// What a world begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// A letter for each postoffice; with `S` the server's own one takes part.
    pub postoffices: String,
    /// Where its random tokens come from.
    pub seed: u64,
    /// What each postoffice wants to see, in their order, over and over.
    pub sights: Vec<Sight>,
    /// The databases are files, by SQLite.
    pub in_files: bool,
    /// Its messages are sealed with keys.
    pub sealed: bool,
    /// When deletions are too many.
    pub guard: GuardLimits,
    /// Servers also answer unasked when the list has moved, as in continuous mode.
    pub push: bool,
    /// So many more entries of A are in every list from the beginning.
    pub bulk: u64,
    /// In the end folders and their copies take turns, always in the same order.
    pub in_turn: bool,
    /// The postoffices that are behind lines: their bodies travel apart.
    pub slow: String,
}

impl Setup {
    /// Postoffices with the narrow view, in memory.
    pub fn of(postoffices: &str) -> Self {
        Self {
            postoffices: postoffices.into(),
            seed: 7,
            sights: vec![Sight::Narrow],
            in_files: false,
            sealed: false,
            guard: LENIENT,
            push: false,
            bulk: 0,
            in_turn: false,
            slow: String::new(),
        }
    }
}

/// See the module.
pub struct World {
    /// What it began with.
    pub setup: Setup,
    /// The true time, in milliseconds since 1970.
    pub now: u64,
    /// Servers `s1` and `s2`, and machines `A1`, `A2`, …; the server's own postoffice is in its site.
    pub sites: BTreeMap<String, Site>,
    /// Copies that can be restored, by site.
    pub backups: BTreeMap<String, Site>,
    /// A copy of the server that can be promoted.
    pub standby: Option<Site>,
    /// What is under way.
    pub network: Network,
    /// The lines.
    pub(crate) lines: Lines,
    /// When they are used next, where agents work.
    pub(crate) lines_at: u64,
    /// What every step said, with the site that said it.
    pub events: Vec<(String, Event)>,
    /// The files that feed its postoffices.
    pub files: Files,
    /// What looks after its postoffices; else every step is told.
    pub agents: Agents,
    /// When it was checked last whether they do what is due.
    pub(crate) checked: u64,
    /// What the checker remembers.
    pub ghost: Ghost,
    /// What was found out to be broken during a step.
    pub(crate) broken: Vec<String>,
    /// How many transactions and own sets travelled down in a round of turns.
    pub(crate) travelled: usize,
    /// Every step that was done, to be replayed.
    pub trace: Vec<Step>,
    drawn: u64,
}

const BEGINNING: u64 = 1_700_000_000_000;
const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;

impl World {
    /// A server and one machine of each postoffice, all invited.
    pub fn new(postoffices: &str) -> Self {
        Self::with(Setup::of(postoffices))
    }

    /// A world as it is set up.
    ///
    /// # Panics
    ///
    /// When a fresh store fails.
    pub fn with(setup: Setup) -> Self {
        let mut world = Self {
            now: BEGINNING,
            sites: BTreeMap::new(),
            backups: BTreeMap::new(),
            standby: None,
            network: Network::default(),
            lines: Lines::new(),
            lines_at: 0,
            events: Vec::new(),
            files: Files::new(),
            agents: Agents::new(),
            checked: 0,
            ghost: Ghost::default(),
            broken: Vec::new(),
            travelled: 0,
            trace: Vec::new(),
            drawn: 0,
            setup,
        };
        let mut server = Site::new(world.setup.in_files);
        let mut draws = Draws::new(&world.seed());
        let takes_part = world.setup.postoffices.contains(SERVER);
        in_store(&mut server, |tables| {
            let name = postoffice(SERVER);
            found_server(tables, &mut draws, &name, Instance(1), &key_of(&name), SERVER)
                .expect("a fresh store");
            if !takes_part {
                let own =
                    tables.registration(&name).expect("a fresh store").expect("it is founded");
                let state = RegistrationState::Invited;
                tables
                    .put_registration(&Registration { state, key: None, ..own })
                    .expect("a fresh store");
            }
        });
        world.sites.insert("s1".into(), server);
        for name in world.names() {
            if name == SERVER {
                world.want(&format!("{SERVER}1"), world.sight_of(&name));
            } else {
                world.invite("s1", &name);
                world.install(&format!("{name}1"));
            }
        }
        world.fill();
        world
    }

    /// See [`Setup::bulk`].
    fn fill(&mut self) {
        if self.setup.bulk == 0 {
            return;
        }
        let keys: Vec<String> = (0..self.setup.bulk).map(|n| format!("a{}", 100 + n)).collect();
        for key in &keys {
            self.ghost.allow(key, entry(key), "A");
        }
        let first = self.ghost.change + 1;
        for _ in 0..self.setup.bulk {
            self.ghost.next_change("A");
        }
        self.change("A1", |changes| {
            for (change, key) in (first..).zip(&keys) {
                let row = own_row(key, record(&[key], false, change));
                changes.put(row).expect("it can be written");
            }
        });
        for (change, key) in (first..).zip(&keys) {
            self.ghost.latest.insert(entry(key), (change, true));
            self.ghost.written.insert(change, record(&[key], false, change));
        }
        let cycles = (0..2).try_for_each(|_| self.cycle(false, Default::default()).map(|_| ()));
        cycles.expect("nothing is disturbed yet");
    }

    /// Another world that goes on from here; what was said so far is not told again.
    pub fn fork(&self) -> Self {
        let copies = |sites: &BTreeMap<String, Site>| {
            sites.iter().map(|(name, site)| (name.clone(), site.copy())).collect()
        };
        Self {
            setup: self.setup.clone(),
            now: self.now,
            sites: copies(&self.sites),
            backups: copies(&self.backups),
            standby: self.standby.as_ref().map(Site::copy),
            network: self.network.fork(),
            lines: fork(&self.lines),
            lines_at: self.lines_at,
            events: Vec::new(),
            files: self.files.clone(),
            agents: self.agents.clone(),
            checked: self.checked,
            ghost: self.ghost.clone(),
            broken: Vec::new(),
            travelled: 0,
            trace: self.trace.clone(),
            drawn: self.drawn,
        }
    }

    /// The letters of its postoffices.
    pub fn names(&self) -> Vec<String> {
        self.setup.postoffices.chars().map(|name| name.to_string()).collect()
    }

    fn sight_of(&self, name: &str) -> Sight {
        let at = self.setup.postoffices.find(name).unwrap_or(0);
        self.setup.sights[at % self.setup.sights.len()]
    }

    /// Randomness that was never drawn before.
    pub fn seed(&mut self) -> [u8; 32] {
        self.drawn += 1;
        *blake3::hash(format!("{} {}", self.setup.seed, self.drawn).as_bytes()).as_bytes()
    }

    /// The time as a site has it.
    pub fn clock(&self, at: &str) -> u64 {
        let skew = self.sites.get(site_of(at)).map_or(0, |site| site.skew);
        self.now.saturating_add_signed(skew)
    }

    /// What a step at a site is given.
    pub fn around(&mut self, at: &str) -> Surroundings {
        self.network.set_clock(self.now);
        Surroundings {
            now: self.clock(at),
            seed: self.seed(),
            guard: self.setup.guard,
            evidence: EVIDENCE,
            sealing: self.sealing_at(at),
            threads: 1,
            part_bytes_max: u64::MAX,
            compression: 1,
            slow_compression: 1,
            fall_back: FallBack::default(),
            outbox: outbox_of(self, at),
            under_way: UnderWayLimits {
                apart_from_bytes: self.empty_body(),
                named_again_from_bytes: self.empty_body(),
                ..Default::default()
            },
            settle_ms: 0,
            spool: Spool::in_memory(),
        }
    }

    /// The keys of a site, which may have changed, or none.
    fn sealing_at(&self, at: &str) -> Arc<dyn Sealing> {
        // The server `s1` is the postoffice `S`; a change of key is signed for one spelling.
        let name = postoffice(&name_of(at).to_uppercase());
        let changes = self.sites.get(site_of(at)).map_or(0, |site| site.keys);
        if self.setup.sealed { changed_keys(&name, changes) } else { sealing_of(&name, false) }
    }

    /// A body that brings nothing is smaller, in bytes, and any other is larger.
    fn empty_body(&self) -> u64 {
        if self.setup.sealed { 300 } else { 64 }
    }

    /// Puts a machine up that knows nothing but its invitation.
    pub fn install(&mut self, machine: &str) {
        let mut site = Site::new(self.setup.in_files);
        // A machine that begins anew has its folder of keys.
        site.keys = self.sites.get(machine).map_or(0, |site| site.keys);
        let mut draws = Draws::new(&self.seed());
        let name = name_of(machine).to_owned();
        in_store(&mut site, |tables| {
            let (me, server) = (postoffice(&name), postoffice(SERVER));
            let proof = proof(&secret_of(&name), &key_of(&me).to_string());
            found_requestor(tables, &mut draws, &me, &server, &key_of(&server), Some(proof))
                .expect("a fresh store");
        });
        self.sites.insert(machine.into(), site);
        self.want(machine, self.sight_of(&name));
    }

    /// What a machine wants to see from now on.
    pub fn want(&mut self, machine: &str, sight: Sight) {
        self.run_at(machine, |tables, _| {
            let state = tables.requestor().expect("a requestor");
            let state = RequestorState { view_wanted: sight.view(), ..state };
            tables.put_requestor(&state).expect("it can be written");
        });
    }

    /// An administrator invites a postoffice.
    pub fn invite(&mut self, server: &str, name: &str) {
        self.decide(
            server,
            name,
            DecisionKind::Invite {
                verifier: verifier(&secret_of(name)),
                expires: BEGINNING + 100 * YEAR_MS,
                places: vec![name.to_owned()],
                view: View::default(),
            },
        );
    }

    /// An administrator decides: first the log, then the database, as the command does.
    ///
    /// # Panics
    ///
    /// When the store fails.
    pub fn decide(&mut self, server: &str, name: &str, kind: DecisionKind) {
        let decision = Decision { at: self.clock(server), postoffice: postoffice(name), kind };
        let mut log = std::mem::take(&mut self.site(server).decisions);
        self.run_at(server, |tables, context| {
            decisions::decide(tables, context, &mut log, &[decision])
        })
        .expect("a decision can be carried out");
        self.site(server).decisions = log;
    }

    /// Where a machine's or server's database is.
    ///
    /// # Panics
    ///
    /// When there is no such site.
    pub fn site(&mut self, at: &str) -> &mut Site {
        let site = site_of(at);
        self.sites.get_mut(site).unwrap_or_else(|| panic!("{at} is none of this world"))
    }

    /// Runs something with a site's store and a context, and commits it.
    ///
    /// # Panics
    ///
    /// When the store fails.
    pub fn run_at<R>(
        &mut self,
        at: &str,
        run: impl FnOnce(&mut (dyn Transaction + '_), &mut Context<'_>) -> R,
    ) -> R {
        let now = self.clock(at);
        let guard = self.setup.guard;
        let mut draws = Draws::new(&self.seed());
        let mut events = Vec::new();
        let mut context =
            Context { now, draws: &mut draws, events: &mut events, guard, evidence: &EVIDENCE };
        let result = in_store(self.site(at), |tables| run(tables, &mut context));
        self.note(at, events);
        result
    }

    /// Keeps what a step said.
    pub fn note(&mut self, at: &str, events: Vec<Event>) {
        self.events.extend(events.into_iter().map(|event| (at.to_owned(), event)));
    }

    /// Reads from a site's store.
    pub fn read<R>(
        &mut self,
        at: &str,
        read: impl FnOnce(&mut (dyn Transaction + '_)) -> Stored<R>,
    ) -> R {
        self.site(at).look(read)
    }

    /// The requestor's row of a machine.
    pub fn state(&mut self, machine: &str) -> RequestorState {
        self.read(machine, |tables| tables.requestor())
    }

    /// The server's row.
    ///
    /// # Panics
    ///
    /// When it is no server.
    pub fn server_state(&mut self, server: &str) -> ServerState {
        self.read(server, |tables| tables.server()).expect("a server")
    }

    /// The registration of a postoffice.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn registration(&mut self, server: &str, name: &str) -> Registration {
        self.read(server, |tables| tables.registration(&postoffice(name))).expect("registered")
    }

    /// Whether there is such a machine.
    pub fn has_machine(&self, machine: &str) -> bool {
        let takes_part = self.setup.postoffices.contains(name_of(machine));
        !machine.starts_with('s') && takes_part && self.sites.contains_key(site_of(machine))
    }

    /// All machines.
    pub fn machines(&self) -> Vec<String> {
        let mut machines: Vec<String> =
            self.sites.keys().filter(|site| !site.starts_with('s')).cloned().collect();
        let own = ["s1", "s2"].into_iter().filter(|server| self.sites.contains_key(*server));
        if self.setup.postoffices.contains(SERVER) {
            machines.extend(own.map(|server| format!("{SERVER}{}", &server[1..])));
        }
        machines
    }

    /// Whether a machine still sends.
    pub fn is_live(&mut self, machine: &str) -> bool {
        !matches!(self.state(machine).mode, Mode::Fenced | Mode::Removed)
    }

    /// The machines of a postoffice that still send; of every one for an empty name.
    pub fn live_machines(&mut self, name: &str) -> Vec<String> {
        let machines = self.machines();
        let own = machines.into_iter().filter(|machine| machine.starts_with(name));
        own.filter(|machine| self.is_live(machine)).collect()
    }

    /// The names of the servers that are not fenced.
    pub fn live_servers(&mut self) -> Vec<String> {
        let servers = self.servers();
        servers.into_iter().filter(|server| !self.server_state(server).fenced).collect()
    }

    pub(crate) fn servers(&self) -> Vec<String> {
        self.sites.keys().filter(|site| site.starts_with('s')).cloned().collect()
    }

    /// One batch of own changes at a machine.
    ///
    /// # Panics
    ///
    /// When the store fails.
    pub fn change<R>(&mut self, machine: &str, change: impl FnOnce(&mut OwnChanges<'_>) -> R) -> R {
        self.run_at(machine, |tables, context| {
            let run = Run::new(context.now, RunKind::Command, "");
            let mut changes = OwnChanges::begin_run(tables, run).expect("a batch");
            let result = change(&mut changes);
            changes.finish().expect("it can be written");
            result
        })
    }

    /// The deletions that a server holds for a person.
    pub fn held(&mut self, server: &str) -> Vec<EntryId> {
        let mut held = Vec::new();
        self.read(server, |tables| {
            tables.visit_unsettled(&mut |row| {
                if row.published.as_ref().is_some_and(|published| published.held.is_some()) {
                    held.push(row.id);
                }
                ControlFlow::Continue(())
            })
        });
        held
    }

    /// Whether a row of the decision tables, given by its name, was ever taken at a postoffice.
    pub fn said(&self, at: &str, row: &str) -> bool {
        let row = row_named(row);
        self.events.iter().any(|(who, event)| who == at && event.row == row)
    }

    /// How often a row of the decision tables was taken.
    pub fn times(&self, row: &str) -> usize {
        let row = row_named(row);
        self.events.iter().filter(|(_, event)| event.row == row).count()
    }

    /// What a server publishes, shared.
    pub fn published(&mut self, server: &str) -> Rc<crate::network::Listed> {
        Rc::new(crate::check::published(self.site(server)))
    }

    /// Every site of the world, for what concerns all.
    pub fn site_names(&self) -> BTreeSet<String> {
        self.sites.keys().cloned().collect()
    }
}

/// The site where a machine or server lives: the server's own postoffice is with the server.
pub fn site_of(at: &str) -> &str {
    match at {
        "S1" => "s1",
        "S2" => "s2",
        other => other,
    }
}

/// Runs something in one transaction and commits it.
///
/// # Panics
///
/// When the store fails.
pub fn in_store<R>(site: &mut Site, run: impl FnOnce(&mut (dyn Transaction + '_)) -> R) -> R {
    site.store.write(run)
}

fn secret_of(name: &str) -> String {
    format!("invitation of {name}")
}

fn row_named(name: &str) -> Row {
    let row = Row::ALL.iter().find(|row| row.name() == name);
    *row.unwrap_or_else(|| panic!("the protocol has no row {name}"))
}
