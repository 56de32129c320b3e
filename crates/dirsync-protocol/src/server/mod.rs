//! The server's half: taking requests, publishing, and answering (T2).

mod answer;
mod body;
mod case;
mod chain;
mod due;
mod lifecycle;
mod outcomes;
mod plan;
mod publication;
mod receive;
mod reception;
mod sender_epoch;
mod server_epoch;
mod submission;

pub use answer::{Answer, BodyPlan, prepare, side_answers};
pub use body::{issue_point, list_body, own_body};
pub use chain::parts_under_way;
pub use due::{announce_epoch, answer_again, answer_unasked, pending};
pub use lifecycle::{
    approve_deletion, finish_recovery, forget_before, promote, register, reinstate,
    reject_deletion, remove, restore, would_vanish,
};
pub use outcomes::{Holders, Standing, Told, WaitsFor, outcomes, standing};
pub use plan::{ListPlan, PlanKind};
pub use receive::{Received, receive};
pub use reception::tell;
