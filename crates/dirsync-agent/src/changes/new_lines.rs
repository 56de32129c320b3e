//! The new entries of a read, each with the line that names it.

use dirsync_directory::EntryId;

/// The number of bits of an id that say in which bucket it is: of a million ids, 250 are in each.
const BUCKET_BITS: u32 = 12;

/// The lines of new entries, by id.
///
/// An id is a hash, so its first bits divide the entries evenly. With each bucket sorted in a vector, a million
/// entries take 27 MB; a tree of them takes 34.
#[derive(Default)]
pub(super) struct NewLines {
    buckets: Vec<Vec<([u8; 16], u32)>>,
}

impl NewLines {
    /// The line that names an entry.
    pub(super) fn get(&self, id: &EntryId) -> Option<u32> {
        let bucket = self.buckets.get(bucket_of(id))?;
        let at = place_in(bucket, id).ok()?;
        bucket.get(at).map(|(_, line)| *line)
    }

    /// Whether an entry is new.
    pub(super) fn contains(&self, id: &EntryId) -> bool {
        self.get(id).is_some()
    }

    /// Adds an entry, which is new here.
    pub(super) fn insert(&mut self, id: EntryId, line: u32) {
        if self.buckets.is_empty() {
            self.buckets.resize_with(1 << BUCKET_BITS, Vec::new);
        }
        let Some(bucket) = self.buckets.get_mut(bucket_of(&id)) else { return };
        match place_in(bucket, &id) {
            Ok(at) => bucket[at].1 = line,
            Err(at) => bucket.insert(at, (*id.as_bytes(), line)),
        }
    }
}

fn bucket_of(id: &EntryId) -> usize {
    (id.prefix() >> (u64::BITS - BUCKET_BITS)) as usize
}

fn place_in(bucket: &[([u8; 16], u32)], id: &EntryId) -> Result<usize, usize> {
    bucket.binary_search_by(|(known, _)| known.cmp(id.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_entry_has_the_line_that_it_was_given_last() {
        let (mut lines, mut expected) = (NewLines::default(), BTreeMap::new());
        let id = |number: u32| {
            let hash = blake3::hash(&(number % 5000).to_le_bytes());
            EntryId::from_bytes(hash.as_bytes()[..16].try_into().unwrap())
        };
        assert!(!lines.contains(&id(1)));
        for line in 0..20_000 {
            lines.insert(id(line * 7), line);
            expected.insert(id(line * 7), line);
        }
        for number in 0..5000 {
            assert_eq!(lines.get(&id(number)), expected.get(&id(number)).copied());
        }
    }
}
