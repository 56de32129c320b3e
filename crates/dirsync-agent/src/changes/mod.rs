//! T0: own changes come from reads of sources, from changes by hand, and from held changes that a person
//! approves.

mod absence;
mod elements;
mod hand;
mod held;
mod read;
mod report;
mod strangers;
mod twice;
mod unclaimed;

pub use hand::{HandChange, HandError, change_by_hand, delete_by_hand};
pub use held::{approve, reject};
pub use read::{ConfiguredSource, Guards, ReadError, ReadRow, ReadSettings, RowFault, SourceRead};
pub use report::{Example, ExampleKind, ReadReport};
