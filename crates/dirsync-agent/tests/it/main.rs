//! The steps together, on the store and the network in memory.

mod cycle;
mod site;
