//! Parsers that are private to their crates, compiled in from their files: nothing is made public
//! for the sake of a test.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "only their parsers are used")]

#[path = "../../dirsync-connect/src/csv_cell.rs"]
pub(crate) mod csv_cell;
#[path = "../../dirsync-connect/src/dn.rs"]
pub(crate) mod dn;
#[path = "../../dirsync-connect/src/guid.rs"]
pub(crate) mod guid;
#[path = "../../dirsync-carrier/src/name.rs"]
pub(crate) mod name;
