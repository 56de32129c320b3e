//! T0: own changes, from a source that is read, from a hand, and from a person's decisions on what
//! is held.

mod absence;
mod elements;
mod hand;
mod held;
mod read;
mod strangers;
mod unclaimed;

pub use hand::{HandChange, HandError, change_by_hand, delete_by_hand};
pub use held::{approve, reject};
pub use read::{
    ConfiguredSource, Example, ExampleKind, Guards, ReadError, ReadReport, ReadRow, ReadSettings,
    RowFault, SourceRead,
};
