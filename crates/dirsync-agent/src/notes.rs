//! The names of the notes in a postoffice's database: [`CommonTables::note`] takes one of these. A name
//! that ends with a colon is a prefix: the rest of the name says what the note is about.
//!
//! [`CommonTables::note`]: dirsync_protocol::tables::CommonTables::note

/// How far the log of decisions is carried out: number of renewals, number of lines, and their hash.
pub const DECISIONS: &str = "decisions";

/// By inbox, the last message that a step looked at, if it left others behind it.
pub const LOOKED_AT: &str = "looked-at:";

/// By message, an update for another machine of the same name, which is left where it is.
pub const LEFT: &str = "left:";

/// The epoch and number of the list up to which requestors were answered unasked.
pub const PUSHED: &str = "pushed";

/// The epoch that requestors were told of unasked, and whether it was recovering.
pub const ANNOUNCED: &str = "announced";

/// Why the server does not take this postoffice's requests.
pub const SERVER_NOTICE: &str = "server-notice";
