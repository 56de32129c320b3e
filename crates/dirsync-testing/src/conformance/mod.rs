//! The suites that every carrier and every store passes unchanged.

pub mod carrier;
pub mod store;
