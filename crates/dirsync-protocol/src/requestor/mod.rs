//! The requestor's half: numbering own changes (T0), asking (T1), applying (T3).

mod change;
mod header;
mod journal;
mod list;
mod list_update;
mod merge;
mod receive;
mod reception;
mod rejoin;
mod request;
mod transfer;
mod verify;

pub use change::{ChangeOutcome, OwnChanges};
pub use journal::{RUN_BYTES_MAX, forget_runs, visit_runs};
pub use list::ListWriter;
pub use merge::{ADOPTED, HAND};
pub use receive::receive;
pub use reception::Applied;
pub use rejoin::{new_epoch, rejoin};
pub use request::{make_request, visit_request_body};
pub use transfer::{TransferError, claim, claim_for_row, release};
pub use verify::verify_list;
