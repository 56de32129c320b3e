//! The ids and content hashes of the own entries, which a read of a source compares its rows with.

use std::ops::ControlFlow;

use dirsync_directory::EntryId;
use dirsync_protocol::tables::{Stored, Tables};

/// Bytes of a content hash that are kept: enough that two versions of an entry never seem equal.
const ELEMENT_BYTES: usize = 8;

/// Elements in a bucket, about: their ids take a few lines of the processor's cache.
const BUCKET_ELEMENTS: usize = 8;

/// One own entry in 26 bytes. With the line that names it, a million take 30 MB.
#[derive(Clone, Copy)]
struct Element {
    id: [u8; 16],
    content: [u8; ELEMENT_BYTES],
    source: u16,
}

/// All own entries, by id.
///
/// An id is a hash, so its first bits say nearly where it is: a search over all elements would miss the
/// processor's cache at nearly every step, and there is one for each row.
pub(super) struct Elements {
    elements: Vec<Element>,
    /// Where the elements of each bucket begin, and where the last one ends. A bucket has the ids with the same
    /// first bits.
    buckets: Vec<u32>,
    /// The number of bits of an id's prefix that are not of its bucket.
    shift: u32,
    /// The line of the read that names each of them, or 0.
    lines: Vec<u32>,
    sources: Vec<String>,
}

/// An own entry's place among the [`Elements`].
#[derive(Clone, Copy)]
pub(super) struct Place(usize);

fn shortened(element: u128) -> [u8; ELEMENT_BYTES] {
    element.to_be_bytes()[..ELEMENT_BYTES].try_into().expect("eight of sixteen bytes")
}

/// The first 64 bits of an id, as [`EntryId::prefix`].
fn prefix(id: &[u8; 16]) -> u64 {
    EntryId::from_bytes(*id).prefix()
}

/// The number of all sources beyond the largest number: no entry is absent from their reads.
const UNNUMBERED: u16 = u16::MAX;

/// The number of a source, which is new if the source is.
fn number_of(sources: &mut Vec<String>, source: &str) -> u16 {
    let known = sources.iter().position(|known| known == source);
    let number = u16::try_from(known.unwrap_or(sources.len())).unwrap_or(UNNUMBERED);
    if known.is_none() && number < UNNUMBERED {
        sources.push(source.to_owned());
    }
    number
}

/// A line in four bytes: the last one stands for all after it.
pub(super) fn short(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX).max(1)
}

impl Elements {
    /// Reads all own entries.
    pub(super) fn load(tables: &mut dyn Tables) -> Stored<Self> {
        let mut elements = Vec::new();
        let mut sources: Vec<String> = Vec::new();
        tables.visit_own_elements(&mut |(id, element, source)| {
            let source = number_of(&mut sources, source);
            elements.push(Element { id: *id.as_bytes(), content: shortened(element), source });
            ControlFlow::Continue(())
        })?;
        elements.sort_unstable_by_key(|element| element.id);
        Ok(Self::of(elements, sources))
    }

    /// Of elements in the order of their ids.
    fn of(elements: Vec<Element>, sources: Vec<String>) -> Self {
        let lines = vec![0; elements.len()];
        let bits = (elements.len() / BUCKET_ELEMENTS).max(1).ilog2() + 1;
        let shift = u64::BITS - bits;
        let mut buckets = Vec::with_capacity((1 << bits) + 1);
        let mut at = 0;
        for bucket in 0..1_u64 << bits {
            buckets.push(u32::try_from(at).unwrap_or(u32::MAX));
            let is_here = |element: &&Element| prefix(&element.id) >> shift == bucket;
            at += elements[at..].iter().take_while(is_here).count();
        }
        buckets.push(u32::try_from(at).unwrap_or(u32::MAX));
        Self { elements, buckets, shift, lines, sources }
    }

    pub(super) fn find(&self, id: EntryId) -> Option<Place> {
        let bucket = usize::try_from(id.prefix() >> self.shift).ok()?;
        let begin = *self.buckets.get(bucket)? as usize;
        let end = *self.buckets.get(bucket + 1)? as usize;
        let within = self.elements.get(begin..end)?;
        let at = within.binary_search_by(|element| element.id.cmp(id.as_bytes())).ok()?;
        Some(Place(begin + at))
    }

    /// Notes the line of the read that names an entry. Returns the line that named it before, if one did.
    pub(super) fn see(&mut self, place: Place, line: u64) -> Option<u64> {
        let noted = &mut self.lines[place.0];
        if *noted > 0 {
            return Some(u64::from(*noted));
        }
        *noted = short(line);
        None
    }

    /// Whether an entry has this content.
    pub(super) fn is_same(&self, place: Place, element: u128) -> bool {
        self.elements[place.0].content == shortened(element)
    }

    /// The source that feeds an entry.
    pub(super) fn source(&self, place: Place) -> &str {
        let number = usize::from(self.elements[place.0].source);
        self.sources.get(number).map_or("one of too many sources", String::as_str)
    }

    /// Whether the read named an entry.
    pub(super) fn is_seen(&self, place: Place) -> bool {
        self.lines[place.0] > 0
    }

    /// All sources that feed entries.
    pub(super) fn sources(&self) -> &[String] {
        &self.sources
    }

    /// Makes a source the one that feeds an entry.
    pub(super) fn take_over(&mut self, place: Place, source: &str) {
        self.elements[place.0].source = number_of(&mut self.sources, source);
    }

    /// The number of entries that a source feeds.
    pub(super) fn count_of(&self, source: &str) -> u64 {
        let Some(number) = self.sources.iter().position(|known| known == source) else { return 0 };
        self.elements.iter().filter(|element| usize::from(element.source) == number).count() as u64
    }

    /// The entries of a source that the read has not named.
    pub(super) fn unseen(&self, source: &str) -> Vec<EntryId> {
        let Some(number) = self.sources.iter().position(|known| known == source) else {
            return Vec::new();
        };
        self.elements
            .iter()
            .enumerate()
            .filter(|(at, element)| usize::from(element.source) == number && self.lines[*at] == 0)
            .map(|(_, element)| EntryId::from_bytes(element.id))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(ids: &[u128]) -> Elements {
        let mut ids: Vec<[u8; 16]> = ids.iter().map(|id| id.to_be_bytes()).collect();
        ids.sort_unstable();
        let element = |id| Element { id, content: [0; ELEMENT_BYTES], source: 0 };
        Elements::of(ids.into_iter().map(element).collect(), vec!["a".into()])
    }

    #[test]
    fn every_entry_is_found_and_no_other() {
        // Spread like hashes, and, as no hashes are, all in one bucket.
        let spread = |count: u128| -> Vec<u128> {
            (1..=count).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).collect()
        };
        let near = |count: u128| -> Vec<u128> { (0..count).map(|n| 2 * n).collect() };
        for ids in [0, 1, 2, 7, 8, 9, 100, 5000].map(spread).into_iter().chain([near(1000)]) {
            let all = elements(&ids);
            let find = |id: u128| all.find(EntryId::from_bytes(id.to_be_bytes()));
            for id in &ids {
                let place = find(*id).expect("an entry that is there");
                assert_eq!(all.elements[place.0].id, id.to_be_bytes());
                assert!(find(id ^ 1).is_none());
            }
            assert!(find(0).is_none() || ids.contains(&0));
            assert!(find(u128::MAX).is_none());
        }
    }
}
