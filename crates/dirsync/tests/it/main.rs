//! The program as its users run it.

mod agent;
mod by_hand;
mod copies;
mod copies_in_turn;
mod decisions;
mod edges;
mod entries;
#[cfg(unix)]
mod exports;
mod hanging;
mod held;
mod help;
mod hidden;
mod inbox;
mod json;
mod keyboard;
mod keys;
mod lines;
mod links;
mod log;
#[cfg(unix)]
mod mails;
mod maps;
mod outside;
mod places;
mod postoffices;
mod probes;
mod programs;
mod recipes;
mod restores;
mod sandbox;
mod sources;
mod status;
mod trouble;
mod undo;
mod views;
mod waiting;
mod why;
mod words;
