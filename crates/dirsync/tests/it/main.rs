//! The program as its users run it.

mod agent;
mod copies;
mod copies_in_turn;
mod decisions;
mod edges;
mod help;
mod hidden;
mod inbox;
mod outside;
mod restores;
mod site;
mod sites;
mod sources;
mod trouble;
