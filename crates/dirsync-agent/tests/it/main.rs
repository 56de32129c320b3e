//! The steps together, on the store and the network in memory.

mod claims;
mod congress;
mod cycle;
mod dispatch;
mod forged;
mod inbox;
mod interrupted;
mod limits;
mod lines;
mod places;
mod sealed;
mod sources;
mod stories;
mod taken;
mod undo;
