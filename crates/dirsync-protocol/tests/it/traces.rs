//! The traces of `protocol.md` §11, each of which broke a draft.
//!
//! What holds after every step and at the end is checked by the world; a test adds what its trace is
//! about.

mod restores;
mod server_lives;
mod submission;
mod twins;
mod views;

use dirsync_directory::EntryId;

use crate::checker::{list_of, published};
use crate::world::{World, entry};

/// Whether a server publishes an entry.
fn publishes(world: &mut World, server: &str, key: &str) -> bool {
    published(world.servers.get_mut(server).unwrap()).contains_key(&entry(key))
}

/// Whether a machine lists an entry.
fn lists(world: &mut World, machine: &str, key: &str) -> bool {
    list_of(world.machines.get_mut(machine).unwrap()).contains_key(&entry(key))
}

/// The addresses an entry is published with.
fn addresses(world: &mut World, key: &str) -> String {
    let published = published(world.servers.get_mut("s1").unwrap());
    let id: EntryId = entry(key);
    published.get(&id).map_or(String::new(), |(_, record)| record.addresses.clone())
}
