//! The steps together, on the store and the network in memory.

mod congress;
mod cycle;
mod limits;
mod inbox;
mod site;
mod sources;
mod stories;
