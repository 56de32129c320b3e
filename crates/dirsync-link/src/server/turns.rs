//! How many requests, or connections, each requestor has at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dirsync_directory::PostofficeName;

/// Counts by requestor.
pub(super) struct Turns {
    max: u32,
    under_way: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// A request or a connection, which counts until it is dropped.
pub(super) struct Turn {
    requestor: String,
    under_way: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Turns {
    pub(super) fn new(max: u32) -> Self {
        Self { max, under_way: Arc::default() }
    }

    /// Begins one. `None` if the requestor has too many.
    pub(super) fn begin(&self, requestor: &PostofficeName) -> Option<Turn> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(requestor.folded().to_owned()).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        let (requestor, under_way) = (requestor.folded().to_owned(), Arc::clone(&self.under_way));
        Some(Turn { requestor, under_way })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = under_way.get_mut(&self.requestor).is_none_or(|count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
        if is_last {
            under_way.remove(&self.requestor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_requestor_has_its_own_turns() {
        let turns = Turns::new(2);
        let name = |text: &str| text.parse::<PostofficeName>().unwrap();
        let south = (turns.begin(&name("SOUTH/HQ")), turns.begin(&name("South/hq")));
        assert!(south.0.is_some() && south.1.is_some());
        assert!(turns.begin(&name("SOUTH/HQ")).is_none());
        assert!(turns.begin(&name("WEST/HQ")).is_some());
        drop(south);
        assert!(turns.begin(&name("SOUTH/HQ")).is_some());
        assert_eq!(turns.under_way.lock().unwrap().len(), 0, "nobody is remembered");
    }
}
