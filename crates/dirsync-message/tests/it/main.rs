//! Heads and bodies, printed, read, and broken.

mod bodies;
mod corpus;
mod heads;
mod strategies;
