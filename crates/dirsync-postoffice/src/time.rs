//! The clock, and times as texts.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// The time, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// RFC 3339, in UTC, to the second.
pub fn rfc3339(ms: u64) -> String {
    Timestamp::from_second((ms / 1000) as i64).map_or_else(|_| "?".into(), |at| at.to_string())
}
