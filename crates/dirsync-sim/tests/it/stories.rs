//! Stories of `docs/failure-stories.md` that are the protocol's alone, by their slugs, and what they have
//! taught.

mod addresses;
mod bad_entries;
mod copies;
mod damage;
mod deletions;
mod deltas;
mod lives;
mod order;
mod requests;
mod store_failures;
mod transfer;

use dirsync_directory::EntryId;
use dirsync_message::OutcomeKind;

use dirsync_sim::check::{list_of, own_of, published};
use dirsync_sim::naming::{change_of, entry};
use dirsync_sim::world::World;

/// Whether a machine lists an entry.
fn lists(world: &mut World, machine: &str, key: &str) -> bool {
    list_of(world.site(machine)).contains_key(&entry(key))
}

/// Whether a machine has an entry of its own.
fn owns(world: &mut World, machine: &str, key: &str) -> bool {
    own_of(world.site(machine)).contains_key(&entry(key))
}

/// The change in which the server publishes an entry.
fn published_change(world: &mut World, key: &str) -> Option<u64> {
    let published = published(world.site("s1"));
    published.get(&entry(key)).map(|(_, record)| change_of(record))
}

/// What a machine was told of an entry.
fn told(world: &mut World, machine: &str, key: &str) -> Vec<OutcomeKind> {
    let id: EntryId = entry(key);
    let outcomes = world.read(machine, |tables| tables.outcomes());
    outcomes.into_iter().filter(|outcome| outcome.id == id).map(|outcome| outcome.kind).collect()
}
