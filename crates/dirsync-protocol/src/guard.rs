//! When changes are so many that a person has to look first.

/// Length of the window over which changes are counted, in milliseconds: 24 hours. A limit per
/// message would never see deletions that drip.
pub const WINDOW_MS: u64 = 24 * 60 * 60 * 1000;

/// A change of many entries is held when it passes *both* limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// More than this many entries.
    pub entries: u64,
    /// More than this share of the origin's entries, in percent.
    pub percent: u64,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self { entries: 10, percent: 10 }
    }
}

impl GuardLimits {
    /// Whether `changed` of `entries` entries are too many.
    pub fn exceeded(self, changed: u64, entries: u64) -> bool {
        changed > self.entries && changed.saturating_mul(100) > entries.saturating_mul(self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::GuardLimits;

    #[test]
    fn both_limits_have_to_be_passed() {
        let limits = GuardLimits::default();
        assert!(!limits.exceeded(10, 20), "ten are few");
        assert!(limits.exceeded(11, 109));
        assert!(!limits.exceeded(11, 110), "a tenth is allowed");
        assert!(limits.exceeded(u64::MAX, 1));
    }
}
