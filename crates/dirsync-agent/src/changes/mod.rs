//! T0: own changes come from reads of sources, from changes by hand, from held changes that a person
//! approves, and from runs that are undone.

mod absence;
mod claims;
mod elements;
mod first_list;
mod hand;
mod held;
mod new_lines;
mod pending;
mod read;
mod report;
mod strangers;
mod taken;
mod twice;
mod unclaimed;
mod undo;
mod undone;

pub use first_list::compare_with_first_list;
pub use hand::{HandChange, HandError, change_by_hand, delete_by_hand};
pub use held::{approve, reject};
pub use read::{ConfiguredSource, Guards, ReadError, ReadRow, ReadSettings, RowFault, SourceRead};
pub use report::{AskedAgain, BadRow, Example, ExampleKind, ReadReport};
pub use undo::{UndoError, UndoKind, UndoReport, newest_in_force, undo};
pub use undone::go_on;
