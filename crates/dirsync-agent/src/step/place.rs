//! Places that a step could not use.

use dirsync_carrier::TransitError;
use dirsync_directory::PostofficeName;

/// A place that a step could not use, wholly or in part. Everything else was done; the messages that
/// wait there are tried again by the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceFailure {
    /// The place, as the step was given it.
    pub place: String,
    /// The addressee whose messages could not be written; `None` if the own inbox failed.
    pub to: Option<PostofficeName>,
    /// The whole place is away, for instance a folder that is not mounted.
    pub unreachable: bool,
    /// What failed, and why.
    pub text: String,
}

/// A postoffice to which a step has sent, and the place through which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    /// The addressee.
    pub to: PostofficeName,
    /// The place, as the step was given it.
    pub place: String,
}

/// The failures in a step's report: the first one of each place and addressee.
pub(super) struct Failures<'r>(pub &'r mut Vec<PlaceFailure>);

impl Failures<'_> {
    /// Notes a failure. Returns whether the rest of the place may still work.
    pub fn add(&mut self, place: &str, to: Option<&PostofficeName>, error: &TransitError) -> bool {
        let unreachable = matches!(error, TransitError::Unreachable { .. });
        let text = error.to_string();
        self.add_text(PlaceFailure { place: place.into(), to: to.cloned(), unreachable, text });
        !unreachable
    }

    pub fn add_text(&mut self, failure: PlaceFailure) {
        let of_it =
            |known: &&mut PlaceFailure| known.place == failure.place && known.to == failure.to;
        match self.0.iter_mut().find(of_it) {
            Some(known) if known.unreachable || !failure.unreachable => {}
            Some(known) => *known = failure,
            None => self.0.push(failure),
        }
    }

    /// Whether a place is away.
    pub fn is_away(&self, place: &str) -> bool {
        is_away(self.0, place)
    }

    /// Whether nothing more can be sent to an addressee.
    pub fn is_cut_off(&self, place: &str, to: &PostofficeName) -> bool {
        let concerns =
            |failure: &PlaceFailure| failure.place == place && failure.to.as_ref() == Some(to);
        self.is_away(place) || self.0.iter().any(concerns)
    }
}

/// Whether a place is away, according to the failures of a step.
pub(super) fn is_away(failed: &[PlaceFailure], place: &str) -> bool {
    failed.iter().any(|failure| failure.unreachable && failure.place == place)
}
