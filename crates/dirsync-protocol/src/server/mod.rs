//! The server's half: taking requests, publishing, and answering (T2).

mod admission;
mod answer;
mod body;
mod lifecycle;
mod publication;
mod submission;

pub use admission::{Received, receive, tell};
pub use answer::{
    Answer, BodyPlan, ListPlan, PlanKind, Told, announce_epoch, answer_again, answer_unasked,
    outcomes, pending, prepare, side_answers,
};
pub use body::{issue_point, list_body, own_body};
pub use lifecycle::{
    approve_deletion, finish_recovery, forget_before, new_life, promote, register, reject_deletion,
    remove, would_vanish,
};
pub use publication::Publication;
