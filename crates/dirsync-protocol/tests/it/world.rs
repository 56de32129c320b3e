//! A world: servers, requestor machines, and what is under way between them.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{EntryId, PostofficeName, Record, SetDigest, View};
use dirsync_message::{Health, Instance, ReqEpoch, ReqSeq, RequestNo, ServerEpoch, SrvSeq, Stamp};
use dirsync_protocol::context::{Context, Draws, Event};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::requestor::OwnChanges;
use dirsync_protocol::tables::{
    Mode, OwnRow, Position, Registration, RegistrationState, RequestorState, ServerState, Stored,
};
use dirsync_store::{MemoryStore, Store, Transaction};

use crate::checker::Ghost;
use crate::letters::Letter;

/// What a world finds out about the protocol: a broken invariant, in words.
pub type Checked<T> = Result<T, String>;

/// Deletions are never too many.
pub const LENIENT: GuardLimits = GuardLimits { entries: 1_000_000, percent: 100 };
/// Two deletions of one origin within the window wait for a person.
pub const STRICT: GuardLimits = GuardLimits { entries: 1, percent: 0 };

/// See the module.
///
/// Machines are named by their postoffice and a digit, `A1`; servers `s1` and `s2`; entries by
/// their first origin and a digit, `a1`.
pub struct World {
    pub now: u64,
    pub draws: Draws,
    pub guard: GuardLimits,
    pub servers: BTreeMap<String, MemoryStore>,
    pub machines: BTreeMap<String, MemoryStore>,
    /// How far the clocks of machines and servers are off, in milliseconds.
    pub skews: BTreeMap<String, i64>,
    pub backups: BTreeMap<String, MemoryStore>,
    pub standby: Option<MemoryStore>,
    pub letters: Vec<Letter>,
    pub posted: u64,
    pub events: Vec<(String, Event)>,
    pub ghost: Ghost,
    /// Everything that was done, to be replayed.
    pub trace: Vec<String>,
}

impl World {
    /// A server and one machine of each postoffice, all registered.
    pub fn new(postoffices: &str) -> Self {
        let mut world = Self {
            now: 1_700_000_000_000,
            draws: Draws::new(&[7; 32]),
            guard: LENIENT,
            servers: BTreeMap::new(),
            machines: BTreeMap::new(),
            skews: BTreeMap::new(),
            backups: BTreeMap::new(),
            standby: None,
            letters: Vec::new(),
            posted: 0,
            events: Vec::new(),
            ghost: Ghost::default(),
            trace: Vec::new(),
        };
        let mut server = fresh_machine("S", ReqEpoch(world.draws.token()));
        let random = world.draws.number();
        in_store(&mut server, |tables| {
            tables.put_server(&fresh_server(random)).unwrap();
            for postoffice in postoffices.chars() {
                tables.put_registration(&registration(&postoffice.to_string())).unwrap();
            }
        });
        world.servers.insert("s1".into(), server);
        for postoffice in postoffices.chars() {
            world.install(&format!("{postoffice}1"));
        }
        world.ghost.registered = postoffices.chars().map(|name| name.to_string()).collect();
        world
    }

    /// Puts a machine up that knows nothing.
    pub fn install(&mut self, machine: &str) {
        let epoch = ReqEpoch(self.draws.token());
        self.machines.insert(machine.into(), fresh_machine(&machine[..1], epoch));
    }

    /// The time as a machine or server has it.
    pub fn clock(&self, at: &str) -> u64 {
        self.now.saturating_add_signed(self.skews.get(at).copied().unwrap_or(0))
    }

    /// Runs something with a machine's or server's store and a context, and commits it.
    pub fn run_at<R>(
        &mut self,
        at: &str,
        run: impl FnOnce(&mut (dyn Transaction + '_), &mut Context<'_>) -> R,
    ) -> R {
        let now = self.clock(at);
        let store = match self.servers.get_mut(at) {
            Some(server) => server,
            None => self.machines.get_mut(at).expect("a machine of this world"),
        };
        let mut events = Vec::new();
        let mut context =
            Context { now, draws: &mut self.draws, events: &mut events, guard: self.guard };
        let result = in_store(store, |tables| run(tables, &mut context));
        self.events.extend(events.into_iter().map(|event| (at.to_owned(), event)));
        result
    }

    /// Reads from a machine's or server's store.
    pub fn read<R>(
        &mut self,
        at: &str,
        read: impl FnOnce(&mut (dyn Transaction + '_)) -> Stored<R>,
    ) -> R {
        let store = match self.servers.get_mut(at) {
            Some(server) => server,
            None => self.machines.get_mut(at).expect("a machine of this world"),
        };
        look(store, read)
    }

    /// The requestor's row of a machine.
    pub fn state(&mut self, machine: &str) -> RequestorState {
        self.read(machine, |tables| tables.requestor())
    }

    /// The server's row.
    pub fn server_state(&mut self, server: &str) -> ServerState {
        self.read(server, |tables| tables.server()).expect("a server")
    }

    /// The registration of a postoffice.
    pub fn registration(&mut self, server: &str, name: &str) -> Registration {
        self.read(server, |tables| tables.registration(&postoffice(name))).expect("registered")
    }

    /// Whether a machine still sends.
    pub fn is_live(&mut self, machine: &str) -> bool {
        !matches!(self.state(machine).mode, Mode::Fenced | Mode::Removed)
    }

    /// The machines of a postoffice that still send.
    pub fn live_machines(&mut self, name: &str) -> Vec<String> {
        let machines: Vec<String> =
            self.machines.keys().filter(|machine| machine.starts_with(name)).cloned().collect();
        machines.into_iter().filter(|machine| self.is_live(machine)).collect()
    }

    /// The names of the servers that are not fenced.
    pub fn live_servers(&mut self) -> Vec<String> {
        let servers: Vec<String> = self.servers.keys().cloned().collect();
        servers.into_iter().filter(|server| !self.server_state(server).fenced).collect()
    }

    /// One batch of own changes at a machine.
    pub fn change<R>(
        &mut self,
        machine: &str,
        change: impl FnOnce(&mut OwnChanges<'_, dyn Transaction + '_>) -> R,
    ) -> R {
        self.run_at(machine, |tables, context| {
            let mut changes = OwnChanges::begin(tables, context.now).unwrap();
            let result = change(&mut changes);
            changes.finish().unwrap();
            result
        })
    }

    /// Whether a rule of the decision tables was ever taken at a machine or server.
    pub fn said(&self, at: &str, rule: &str) -> bool {
        self.events.iter().any(|(who, event)| who == at && event.rule == rule)
    }

    /// How often a rule of the decision tables was taken.
    pub fn times(&self, rule: &str) -> usize {
        self.events.iter().filter(|(_, event)| event.rule == rule).count()
    }
}

/// Runs something in one transaction and commits it.
pub fn in_store<R>(
    store: &mut MemoryStore,
    run: impl FnOnce(&mut (dyn Transaction + '_)) -> R,
) -> R {
    let mut tables = store.begin().unwrap();
    let result = run(&mut *tables);
    tables.commit().unwrap();
    result
}

/// Reads in one transaction.
pub fn look<R>(
    store: &mut MemoryStore,
    read: impl FnOnce(&mut (dyn Transaction + '_)) -> Stored<R>,
) -> R {
    read(&mut *store.begin().unwrap()).unwrap()
}

/// The postoffice of a letter.
pub fn postoffice(letter: &str) -> PostofficeName {
    format!("N/{letter}").parse().unwrap()
}

/// The letter of a postoffice.
pub fn letter_of(name: &PostofficeName) -> String {
    name.as_str()[2..].into()
}

/// The first origin of an entry: `a1` comes from `A`.
pub fn first_origin(key: &str) -> PostofficeName {
    postoffice(&key[..1].to_uppercase())
}

/// The id of an entry by its key.
pub fn entry(key: &str) -> EntryId {
    EntryId::derive(&first_origin(key), key)
}

/// A record whose phone number tells one change from every other.
pub fn record(addresses: &[&str], hidden: bool, change: u64) -> Record {
    let addresses: Vec<String> =
        addresses.iter().map(|address| format!("SMTP:{address}@n.example")).collect();
    Record {
        kind: "mailbox".into(),
        name: "Ana Souza".into(),
        addresses: addresses.join("\t"),
        details: format!("ou/{}\ntelephoneNumber/{change}\ntitle/Pilot\n", u8::from(hidden)),
    }
}

/// The change that a record tells of.
pub fn change_of(record: &Record) -> u64 {
    let mut lines = record.details.lines();
    lines.find_map(|line| line.strip_prefix("telephoneNumber/")?.parse().ok()).unwrap_or(0)
}

/// A row for an own entry.
pub fn own_row(key: &str, record: Record) -> OwnRow {
    OwnRow {
        id: entry(key),
        first_origin: first_origin(key),
        key: key.into(),
        source: "hand".into(),
        record,
        numbers: ChangeNumbers::default(),
        stamp: Stamp(0),
        released_to: None,
    }
}

/// The view that hides entries whose class is `1`.
pub fn narrow_view() -> View {
    "filter\t(ou=0)\n".parse().unwrap()
}

fn fresh_machine(name: &str, epoch: ReqEpoch) -> MemoryStore {
    let mut store = MemoryStore::new();
    let state = RequestorState {
        name: postoffice(name),
        server: postoffice("S"),
        epoch,
        lineage: Vec::new(),
        epoch_accepted: false,
        req_seq: ReqSeq(0),
        req_sync: ReqSeq(0),
        last_stamp: Stamp(0),
        request_no: RequestNo(0),
        last_answer: RequestNo(0),
        sent: Vec::new(),
        epoch_heard: None,
        point: None,
        list_digest: SetDigest::default(),
        own_digest: SetDigest::default(),
        staging: None,
        list_bad: false,
        send_buckets: false,
        view_wanted: narrow_view(),
        view: View::default(),
        mode: Mode::Normal,
        secret: None,
    };
    in_store(&mut store, |tables| tables.put_requestor(&state).unwrap());
    store
}

fn fresh_server(random: u64) -> ServerState {
    ServerState {
        epoch: ServerEpoch { generation: 1, instance: Instance(1), random },
        head: SrvSeq(0),
        horizon: SrvSeq(0),
        recovering: false,
        fenced: false,
        cycle: 0,
        claims: 0,
        last_run: 0,
    }
}

/// A registration that takes part and sees everything.
pub fn registration(name: &str) -> Registration {
    Registration {
        name: postoffice(name),
        state: RegistrationState::Active,
        key: None,
        invitation: None,
        carrier: String::new(),
        view_allowed: View::default(),
        view_wanted: narrow_view(),
        epoch: None,
        retired: BTreeSet::new(),
        applied: ReqSeq(0),
        request_no: RequestNo(0),
        request_id: None,
        answer_due: false,
        send_own: false,
        challenge: None,
        side_answers: Vec::new(),
        position: Position::default(),
        spoke_in: None,
        own_digest: SetDigest::default(),
        last_contact: 0,
        health: Health::default(),
    }
}
