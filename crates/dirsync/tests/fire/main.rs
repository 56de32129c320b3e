//! The real program under fire: killed, without space, with wrong clocks and damaged files.

mod kill;
#[path = "../it/site.rs"]
mod site;
