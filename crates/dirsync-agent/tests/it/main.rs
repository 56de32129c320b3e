//! The steps together, on the store and the network in memory.

mod congress;
mod cycle;
mod site;
mod stories;
