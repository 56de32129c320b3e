//! The ids and content hashes of the own entries, which a read of a source compares its rows with.

use std::ops::ControlFlow;

use dirsync_directory::EntryId;
use dirsync_protocol::tables::{Stored, Tables};

/// Bytes of a content hash that are kept: enough that two versions of an entry never seem equal.
const ELEMENT_BYTES: usize = 8;

/// One own entry in 26 bytes. With the line that names it, a million take 30 MB.
#[derive(Clone, Copy)]
struct Element {
    id: [u8; 16],
    content: [u8; ELEMENT_BYTES],
    source: u16,
}

/// All own entries, by id.
pub(super) struct Elements {
    elements: Vec<Element>,
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
        let lines = vec![0; elements.len()];
        Ok(Self { elements, lines, sources })
    }

    pub(super) fn find(&self, id: EntryId) -> Option<Place> {
        self.elements.binary_search_by(|element| element.id.cmp(id.as_bytes())).ok().map(Place)
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
