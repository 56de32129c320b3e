//! Times as people and scripts read them.

pub use dirsync_postoffice::time::rfc3339;

/// RFC 3339, or null for never.
pub fn json(ms: u64) -> serde_json::Value {
    if ms == 0 { serde_json::Value::Null } else { rfc3339(ms).into() }
}

/// How long ago, in the largest fitting unit.
pub fn ago(ms: u64, now: u64) -> String {
    if ms == 0 {
        return "never".into();
    }
    let seconds = now.saturating_sub(ms) / 1000;
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
