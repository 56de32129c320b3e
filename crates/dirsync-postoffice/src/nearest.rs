//! The name that a mistyped one was most likely meant to be, among very many.

use dirsync_directory::fold;

/// Longer texts are no slips of the hand, and comparing them would cost.
const BYTES_MAX: usize = 64;
/// A text this short is part of too many names.
const PART_CHARACTERS_MIN: usize = 3;

/// The nearest of the names that were offered. One that contains the wanted text is as near as one with
/// a single slip.
pub struct Nearest {
    wanted: String,
    characters: usize,
    best: Option<(usize, String)>,
}

impl Nearest {
    /// Looks for the nearest to a text.
    pub fn to(text: &str) -> Self {
        let wanted = fold(text).into_owned();
        Self { characters: wanted.chars().count(), wanted, best: None }
    }

    /// Compares a name.
    pub fn offer(&mut self, name: &str) {
        let best = self.best.as_ref().map_or(usize::MAX, |(edits, _)| *edits);
        if self.wanted.len() > BYTES_MAX || name.len() > BYTES_MAX || best == 0 {
            return;
        }
        let folded = fold(name);
        let is_part =
            self.characters >= PART_CHARACTERS_MIN && folded.contains(self.wanted.as_str());
        let edits = if is_part { 1 } else { strsim::osa_distance(&self.wanted, &folded) };
        if edits < best && edits <= folded.chars().count().div_ceil(3) {
            self.best = Some((edits, name.to_owned()));
        }
    }

    /// The nearest name; `None` if none is near.
    pub fn found(self) -> Option<String> {
        self.best.map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(text: &str) -> Option<String> {
        let mut nearest = Nearest::to(text);
        ["Ana Souza", "Bo Lindström", "ana@north.example", "NORTH/HQ", "SOUTH/SALES"]
            .iter()
            .for_each(|name| nearest.offer(name));
        nearest.found()
    }

    #[test]
    fn slips_and_parts_find_their_name_and_strangers_none() {
        for (text, name) in [
            ("Ana Sousa", "Ana Souza"),
            ("souza", "Ana Souza"),
            ("bo lindstrom", "Bo Lindström"),
            ("anna@north.example", "ana@north.example"),
            ("south/sale", "SOUTH/SALES"),
        ] {
            assert_eq!(nearest(text).as_deref(), Some(name), "{text}");
        }
        for text in ["Cyrus Example", "x", "", "an"] {
            assert_eq!(nearest(text), None, "{text}");
        }
    }
}
