//! An id that is decided together with others.

use crate::tables::{ServerRow, Submitted};

/// One id with all origins' rows.
pub(super) struct Contender {
    pub(super) rows: Vec<ServerRow>,
    /// The row whose submitted part is to be published.
    pub(super) candidate: Option<usize>,
}

impl Contender {
    /// The row that is published.
    pub(super) fn published(&self) -> Option<&ServerRow> {
        self.rows.iter().find(|row| row.published.is_some())
    }

    /// The submitted part that is to be published.
    pub(super) fn wanted(&self) -> Option<&Submitted> {
        self.rows[self.candidate?].submitted.as_ref()
    }

    /// Whether the published entry stays although nothing asks for it: a held deletion, or a newer
    /// version that cannot be published.
    pub(super) fn is_pinned(&self) -> bool {
        self.published().is_some_and(|row| {
            let is_held = row.published.as_ref().is_some_and(|published| published.held.is_some());
            let is_invalid = row.submitted.as_ref().is_some_and(|s| s.invalid.is_some());
            is_held || is_invalid
        })
    }

    pub(super) fn wanted_keys(&self) -> Vec<String> {
        self.wanted().map_or(Vec::new(), |wanted| wanted.content().address_keys().collect())
    }

    pub(super) fn published_keys(&self) -> Vec<String> {
        let published = self.published().and_then(|row| row.published.as_ref());
        published.map_or(Vec::new(), |published| published.content().address_keys().collect())
    }
}
