//! The protocol as a whole: a small deterministic world that runs the shipped steps over message
//! text, and the traces and stories that once broke it.

mod changes;
mod checker;
mod ending;
mod letters;
mod random;
mod script;
mod settle;
mod steps;
mod world;

mod stories;
mod traces;
