//! Texts one after another in one buffer, which is used again for the next row.

/// Some values.
#[derive(Debug, Default)]
pub(super) struct Values {
    text: String,
    /// The end of each value in `text`.
    ends: Vec<usize>,
}

impl Values {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Adds a value, unless it is empty.
    pub(super) fn push(&mut self, value: &str) {
        self.add(|text| text.push_str(value));
    }

    /// Adds what `write` appends, unless that is nothing.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        debug_assert!(self.text.len() >= start, "a value is appended");
        if self.text.len() > start {
            self.ends.push(self.text.len());
        }
    }

    /// The number of bytes of all values.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// The places and sizes of the buffers, by which a test sees that they are used again.
    #[cfg(test)]
    pub(super) fn buffers(&self) -> [(usize, usize); 2] {
        [
            (self.text.as_ptr() as usize, self.text.capacity()),
            (self.ends.as_ptr() as usize, self.ends.capacity()),
        ]
    }
}
