//! The suites that every transit and every store passes unchanged.

pub mod store;
pub mod transit;
