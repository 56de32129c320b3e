//! Stories of `failure-stories.md` that are the protocol's alone, by their slugs.

use crate::world::World;

mod transfer;
