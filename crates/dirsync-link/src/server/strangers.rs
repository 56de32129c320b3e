//! Connections of strangers. When there are too many, the oldest one of the address that has most of them goes, so that
//! nobody keeps the others out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Counts strangers by address.
pub(super) struct Strangers {
    max: usize,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    next: u64,
    /// By the order in which they came.
    connections: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
}

/// The place of a stranger, which is free when it is dropped.
pub(super) struct Stranger {
    number: u64,
    known: Arc<Mutex<Known>>,
}

/// What a thread that panicked left is as good as before: each change of it is one operation.
fn locked(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An IPv6 host has a network of 64 bits, and all addresses in it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

impl Strangers {
    pub(super) fn new(max: usize) -> Self {
        Self { max: max.max(1), known: Arc::default() }
    }

    /// A place for a stranger, and what tells it that it has to go.
    pub(super) fn admit(&self, from: IpAddr) -> (Stranger, Arc<Notify>) {
        let mut known = locked(&self.known);
        if known.connections.len() >= self.max {
            known.drive_one_out();
        }
        let number = known.next;
        known.next += 1;
        let driven_out = Arc::new(Notify::new());
        known.connections.insert(number, (network(from), Arc::clone(&driven_out)));
        (Stranger { number, known: Arc::clone(&self.known) }, driven_out)
    }
}

impl Known {
    fn drive_one_out(&mut self) {
        let mut counts = BTreeMap::<IpAddr, usize>::new();
        self.connections.values().for_each(|(from, _)| *counts.entry(*from).or_default() += 1);
        let Some((most, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else { return };
        let oldest = self.connections.iter().find(|(_, (from, _))| *from == most);
        if let Some((_, driven_out)) =
            oldest.map(|(number, _)| *number).and_then(|number| self.connections.remove(&number))
        {
            driven_out.notify_one();
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        locked(&self.known).connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_address_with_most_goes() {
        let strangers = Strangers::new(4);
        let admit = |from: &str| strangers.admit(from.parse().unwrap());
        let few = admit("10.0.0.1");
        // One host with several addresses.
        let many: Vec<_> = (1..=5).map(|host| admit(&format!("2001:db8::{host}"))).collect();
        let is_there = |(stranger, _): &(Stranger, Arc<Notify>)| {
            locked(&strangers.known).connections.contains_key(&stranger.number)
        };
        assert!(is_there(&few), "it is none of the many");
        let left: Vec<bool> = many.iter().map(is_there).collect();
        assert_eq!(left, [false, false, true, true, true], "the oldest ones went");
        drop((few, many));
        assert_eq!(locked(&strangers.known).connections.len(), 0, "nobody is remembered");
    }
}
