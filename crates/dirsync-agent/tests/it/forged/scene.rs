//! A network with genuine messages under way, from which forgeries are made.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::sync::Arc;

use dirsync_carrier::Arrived;
use dirsync_directory::View;
use dirsync_seal::{Lines, OwnKeys};
use dirsync_testing::rows::postoffice;
use dirsync_testing::{MemoryNetwork, SERVER, TestPostoffice, World, changed_keys, own_keys};

use super::forger::regions;

/// It has changed its key, and the server has pinned the new one.
pub const A: &str = "SOUTH/A";
/// It has the key of its invitation.
pub const B: &str = "WEST/B";
/// It is changing its key: the server does not know the new one yet.
pub const C: &str = "EAST/C";
/// It is invited, and its first request is under way.
pub const D: &str = "FAR/D";
/// Nobody has invited it.
pub const STRANGER: &str = "OTHER/ONE";

/// A message as its sender wrote it.
#[derive(Clone)]
pub struct Genuine {
    pub from: &'static str,
    pub to: &'static str,
    pub arrived: Arrived,
    pub file: Vec<u8>,
    /// Where its lines, signature, head and body are.
    pub regions: [Range<usize>; 4],
    pub head: String,
    pub body: String,
}

impl Genuine {
    /// A server answers in server epochs, which have dots.
    pub fn is_update(&self) -> bool {
        self.arrived.epoch.contains(['.', '='])
    }
}

/// The postoffices before they take the messages that have arrived, and all messages so far.
pub struct Scene {
    /// The server before T2, and the requestors before T3.
    pub victims: Vec<TestPostoffice>,
    pub keys: BTreeMap<&'static str, Arc<OwnKeys>>,
    /// Messages that no step has looked at.
    pub pending: Vec<Genuine>,
    /// Messages that were taken, and after them later ones.
    pub old: Vec<Genuine>,
}

impl Scene {
    pub fn new() -> Self {
        let mut world = World::sealed(&[A, B, C]);
        let mut old = BTreeMap::new();
        import(&mut world, "1");
        cycle(&mut world, &mut old);
        cycle(&mut world, &mut old);
        set_keys(&mut world, A, 1);
        set_keys(&mut world, SERVER, 1);
        for stamp in ["2", "3", "4"] {
            import(&mut world, stamp);
            cycle(&mut world, &mut old);
        }
        cycle(&mut world, &mut old);
        assert_eq!(world.converged().len(), 4 * 6);
        let registration =
            world.at(SERVER).store.look(|tables| tables.registration(&postoffice(A)));
        let pinned = registration.and_then(|registration| registration.key);
        assert_eq!(pinned, Some(keys_of(&world, A).newest().public().to_string()));
        Self::under_way(world, old)
    }

    /// Everybody changes something and sends it, and the server answers.
    fn under_way(mut world: World, old: Messages) -> Self {
        set_keys(&mut world, C, 1);
        set_keys(&mut world, SERVER, 2);
        world.invite(D, View::default());
        world.found(D, Default::default());
        import(&mut world, "5");
        world.pass(60_000);
        let names: Vec<&'static str> = world.postoffices.keys().copied().collect();
        names.iter().for_each(|name| drop(world.send(name)));
        let mut pending = BTreeMap::new();
        note(&world, &mut pending);
        let mut victims = vec![world.at(SERVER).copy()];
        world.process();
        note(&world, &mut pending);
        victims.extend([A, B, C, D].map(|name| world.at(name).copy()));
        let keys: BTreeMap<_, _> =
            names.iter().map(|name| (*name, keys_of(&world, name))).collect();
        let read = |messages: Messages| -> Vec<Genuine> {
            let messages = messages.into_iter();
            messages.map(|((to, arrived), file)| opened(&keys, to, arrived, file)).collect()
        };
        let (pending, mut old) = (read(pending), read(old));
        // What the server tells itself is of no use to anybody else.
        old.retain(|message| !(message.to == SERVER && message.is_update()));
        let mut pending = pending;
        pending.retain(|message| !(message.to == SERVER && message.is_update()));
        Self { victims, keys, pending, old }
    }

    pub fn all(&self) -> impl Iterator<Item = &Genuine> {
        self.pending.iter().chain(&self.old)
    }

    /// The genuine messages that wait for a postoffice.
    pub fn pending_for(&self, name: &str) -> Vec<&Genuine> {
        self.pending.iter().filter(|message| message.to == name).collect()
    }
}

type Messages = BTreeMap<(&'static str, Arrived), Vec<u8>>;

fn keys_of(world: &World, name: &str) -> Arc<OwnKeys> {
    let changed = world.postoffices[name].keys.clone();
    changed.unwrap_or_else(|| own_keys(&postoffice(name)))
}

fn set_keys(world: &mut World, name: &str, changes: u32) {
    world.at(name).keys = Some(changed_keys(&postoffice(name), changes));
}

/// Six people at each postoffice. One of them is changed with each phone, one is new with each, and one goes.
fn import(world: &mut World, phone: &str) {
    for (name, postoffice) in &mut world.postoffices {
        let folded = name.replace('/', ".").to_lowercase();
        let person = |key: String, phone: &str| {
            (key.clone(), format!("Person {key}"), format!("SMTP:p{key}@{folded}"), phone.into())
        };
        let mut people: Vec<(String, String, String, String)> =
            (1..=4).map(|number| person(number.to_string(), "0")).collect();
        people.push(person("5".into(), phone));
        people.push(person(format!("new{phone}"), "0"));
        postoffice.import(&people);
    }
}

fn cycle(world: &mut World, messages: &mut Messages) {
    world.pass(60_000);
    let names: Vec<&'static str> = world.postoffices.keys().copied().collect();
    names.iter().for_each(|name| drop(world.send(name)));
    note(world, messages);
    world.process();
    note(world, messages);
    names.iter().for_each(|name| drop(world.apply(name)));
}

fn note(world: &World, messages: &mut Messages) {
    for name in world.postoffices.keys() {
        let to = postoffice(name);
        for arrived in world.network.pending(&to) {
            if let Some(file) = world.network.copy(&to, &arrived) {
                messages.insert((*name, arrived), file);
            }
        }
    }
}

fn opened(
    keys: &BTreeMap<&'static str, Arc<OwnKeys>>,
    to: &'static str,
    arrived: Arrived,
    file: Vec<u8>,
) -> Genuine {
    let lines = Lines::read(&mut file.as_slice()).unwrap();
    let (from, own) = keys.get_key_value(lines.parties().from.as_str()).unwrap();
    let (from, sender) = (*from, own.as_peer());
    let opened = lines.verify(&keys[to], &sender).unwrap();
    let opened = opened.open_head(Cursor::new(file.clone()), &keys[to]).unwrap();
    let head = opened.head().to_owned();
    let mut body = String::new();
    opened.open_body(1 << 20).unwrap().read_to_string(&mut body).unwrap();
    let regions = regions(&file);
    Genuine { from, to, arrived, file, regions, head, body }
}

/// A network in which only these messages have arrived.
pub fn network_with<'m>(
    to: &str,
    messages: impl IntoIterator<Item = (&'m Arrived, &'m Vec<u8>)>,
) -> MemoryNetwork {
    let network = MemoryNetwork::default();
    for (arrived, file) in messages {
        network.deliver(&postoffice(to), arrived, file.clone());
    }
    network
}
