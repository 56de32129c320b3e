//! Every crash point of the steps, on the store and the transit that ship: the nth operation of the
//! store or of a file fails, or the process dies at the nth commit, for every n until a run meets
//! none; then the step is repeated.
//!
//! The ordinary run lets every file operation and commit fail, and some of the store's operations;
//! `DIRSYNC_EVERY=1 cargo test -p dirsync-agent --test crash_points` all of them.

mod points;
mod postoffices;
