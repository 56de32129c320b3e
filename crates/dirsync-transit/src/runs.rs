//! Sets of bytes of a body.

use serde::{Deserialize, Serialize};

/// A set of bytes of a body, as runs from a first byte up to, but without, an end. They rise and have a gap
/// between each two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>")]
pub struct Runs(Vec<(u64, u64)>);

impl From<Vec<(u64, u64)>> for Runs {
    /// The set of all bytes of these runs, which may be in any order, overlap, or be empty.
    fn from(runs: Vec<(u64, u64)>) -> Self {
        let mut set = Self::default();
        runs.into_iter().for_each(|(from, end)| set.add(from, end));
        set
    }
}

impl Runs {
    /// The runs, rising.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// The number of runs.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The number of bytes.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|(from, end)| end - from).sum()
    }

    /// Whether no byte is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a body of this size has all of these bytes.
    pub fn are_within(&self, bytes: u64) -> bool {
        self.iter().all(|(_, end)| end <= bytes)
    }

    /// Whether these are all bytes of a body of this size.
    pub fn is_whole(&self, bytes: u64) -> bool {
        self.first_gap(bytes).is_none()
    }

    /// Adds a run. An empty one changes nothing.
    pub fn add(&mut self, from: u64, end: u64) {
        if from >= end {
            return;
        }
        // Those that the new run touches become one with it.
        let first = self.0.partition_point(|(_, known_end)| *known_end < from);
        let after = self.0.partition_point(|(known_from, _)| *known_from <= end);
        let from =
            self.0.get(first..after).and_then(<[_]>::first).map_or(from, |run| run.0.min(from));
        let end = self.0.get(first..after).and_then(<[_]>::last).map_or(end, |run| run.1.max(end));
        self.0.splice(first..after, [(from, end)]);
    }

    /// The bytes of either set.
    pub fn with(&self, other: &Self) -> Self {
        let mut union = self.clone();
        other.iter().for_each(|(from, end)| union.add(from, end));
        union
    }

    /// The bytes that are not in the other set.
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for (mut from, end) in self.iter() {
            for (other_from, other_end) in other.iter() {
                if other_end <= from || end <= other_from {
                    continue;
                }
                if from < other_from {
                    left.push((from, other_from));
                }
                from = from.max(other_end);
            }
            if from < end {
                left.push((from, end));
            }
        }
        Self(left)
    }

    /// The bytes that are in both sets.
    pub fn within(&self, other: &Self) -> Self {
        self.without(&self.without(other))
    }

    /// The first run of bytes that a body of this size has, and the set has not.
    pub fn first_gap(&self, bytes: u64) -> Option<(u64, u64)> {
        let mut from = 0;
        for (known_from, known_end) in self.iter() {
            if from < known_from {
                return Some((from, known_from.min(bytes))).filter(|(from, end)| from < end);
            }
            from = known_end;
        }
        (from < bytes).then_some((from, bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BYTES: u64 = 24;

    fn runs() -> impl Strategy<Value = Runs> {
        prop::collection::vec((0..BYTES, 0..=BYTES), 0..6).prop_map(Runs::from)
    }

    fn has(runs: &Runs, byte: u64) -> bool {
        runs.iter().any(|(from, end)| (from..end).contains(&byte))
    }

    proptest! {
        #[test]
        fn sets_are_those_of_their_bytes(one in runs(), other in runs()) {
            for set in [&one, &one.with(&other), &one.without(&other)] {
                let rise = set.0.windows(2).all(|two| two[0].1 < two[1].0);
                prop_assert!(rise && set.iter().all(|(from, end)| from < end), "{set:?}");
            }
            for byte in 0..BYTES {
                let (in_one, in_other) = (has(&one, byte), has(&other, byte));
                prop_assert_eq!(has(&one.with(&other), byte), in_one || in_other);
                prop_assert_eq!(has(&one.without(&other), byte), in_one && !in_other);
                prop_assert_eq!(has(&one.within(&other), byte), in_one && in_other);
            }
            prop_assert_eq!(one.bytes(), (0..BYTES).filter(|byte| has(&one, *byte)).count() as u64);
            let missing = (0..BYTES).find(|byte| !has(&one, *byte));
            prop_assert_eq!(one.first_gap(BYTES).map(|(from, _)| from), missing);
            if let Some((from, end)) = one.first_gap(BYTES) {
                prop_assert!((from..end).all(|byte| !has(&one, byte)));
                prop_assert!(end == BYTES || has(&one, end), "the gap is whole");
            }
        }
    }
}
