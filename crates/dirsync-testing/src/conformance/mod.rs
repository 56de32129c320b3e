//! The suites that every carrier, every transit and every store passes unchanged.

pub mod carrier;
pub mod store;
pub mod transit;
