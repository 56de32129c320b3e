//! The stages of an entry's way.

use std::path::PathBuf;

use dirsync_directory::{Address, PostofficeName};
use dirsync_message::OutcomeKind;
use dirsync_protocol::guard::GuardKind;
use schemars::JsonSchema;
use serde::Serialize;

use crate::difference::Difference;
use crate::json;
use crate::view::Hidden;

/// The rule by which a row is no entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum LeftOut {
    /// The row has no address.
    NoAddress,
    /// A line of the map leaves it out.
    Map {
        /// `hidden`, `skipped`, or the word that the map gives.
        reason: String,
    },
    /// The row names another origin.
    OtherOrigin {
        /// That origin.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        origin: PostofficeName,
    },
}

/// A stage of an entry's way from its source to the lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// A row of a source's file.
    InSource {
        /// The source.
        source: String,
        /// Its file.
        file: PathBuf,
        /// The line of the row.
        line: u64,
        /// The row is an own entry.
        taken: bool,
        /// What the row changes of the own entry.
        changes: Vec<Difference>,
    },
    /// The file of the source that feeds the entry has no row of it.
    NotInSource {
        /// The source.
        source: String,
        /// Its file.
        file: PathBuf,
        /// The number of rows that the file has.
        rows: u64,
    },
    /// A row that is left out by a rule.
    LeftOut {
        /// The source.
        source: String,
        /// Its file.
        file: PathBuf,
        /// The line of the row.
        line: u64,
        /// The rule.
        left_out: LeftOut,
    },
    /// A row that cannot be used.
    Unusable {
        /// The source.
        source: String,
        /// Its file.
        file: PathBuf,
        /// The line of the row.
        line: u64,
        /// What is wrong with it.
        reason: String,
        /// The row, shortened.
        row: String,
    },
    /// The file of a source cannot be read.
    Unreadable {
        /// The source.
        source: String,
        /// Its file.
        file: PathBuf,
        /// Why.
        error: String,
    },
    /// A row or a version that was not accepted.
    Quarantined {
        /// The number of the case.
        number: u64,
        /// The source or the postoffice that it came from.
        origin: String,
        /// Since when.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "json::Time")]
        since: u64,
        /// The line of the file on which it begins, if it is a row.
        line: Option<u64>,
        /// What is wrong with it.
        reason: String,
        /// The row, shortened.
        row: String,
    },
    /// A change waits here for a person.
    Held {
        /// Its group, as `held list` shows it.
        group: String,
        /// Why: `blank`, `delete`, `move`, `settings`, `short-read`, `taken` or `unclaimed`.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        reason: GuardKind,
        /// Since when.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "json::Time")]
        since: u64,
        /// It was rejected, and is closed.
        rejected: bool,
        /// The values before and after; empty for a deletion.
        changes: Vec<Difference>,
    },
    /// An own entry whose last change has not been sent.
    NotSent {
        /// The number of the change.
        change: u64,
    },
    /// An own entry whose last change was sent, and is not acknowledged.
    Sent {
        /// The number of the change.
        change: u64,
        /// The number of the last request that was sent.
        request: u64,
        /// When it was sent; null if that is not known.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "Option<json::Time>")]
        at: u64,
    },
    /// An own entry whose last change the server has acknowledged.
    Acknowledged {
        /// The number of the change.
        change: u64,
    },
    /// It is on offer to another postoffice, which may claim it.
    Offered {
        /// That postoffice.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        to: PostofficeName,
    },
    /// At the server it waits for an address that another entry has.
    WaitsForAddress {
        /// The address.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        address: Address,
        /// The owner of the other entry.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        holder: PostofficeName,
    },
    /// Another entry waits for an address of it.
    Contested {
        /// The address.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        address: Address,
        /// The owner of the other entry.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        by: PostofficeName,
    },
    /// At the server its deletion waits for a person.
    DeletionHeld {
        /// It was rejected, and is closed; null if that is not known here.
        rejected: Option<bool>,
    },
    /// It belongs to another postoffice now.
    Transferred {
        /// That postoffice.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        to: PostofficeName,
    },
    /// Another postoffice owns an entry with its id.
    ForeignId {
        /// That postoffice.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        owner: PostofficeName,
    },
    /// The server does not publish it, because its content is not valid.
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// At the server it is published.
    Published {
        /// The number of its last change in the list.
        number: u64,
    },
    /// How far it came at one requestor, as the server knows it.
    At {
        /// The requestor.
        #[serde(serialize_with = "json::text")]
        #[schemars(with = "String")]
        postoffice: PostofficeName,
        /// How far it came.
        reach: Reach,
    },
    /// It is in the list here.
    Listed {
        /// The number of its last change in the list.
        number: u64,
    },
    /// It is not in the list here.
    NotListed {
        /// The condition of the view that hides it; null if none does.
        hidden: Option<Hidden>,
    },
}

/// How far a published entry came at a requestor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Reach {
    /// The requestor's view does not show it.
    OutsideView {
        /// The condition that hides it.
        hidden: Hidden,
    },
    /// The requestor was invited, and has not been heard.
    Invited,
    /// The requestor is suspended: its requests wait.
    Suspended,
    /// The requestor was removed.
    Removed,
    /// The change has not been sent to it.
    NotSent {
        /// The number up to which it has confirmed the list.
        confirmed: u64,
    },
    /// The change was sent to it, and is not confirmed.
    Sent {
        /// The server's cycle in which it was sent.
        cycle: u64,
        /// The number up to which it has confirmed the list.
        confirmed: u64,
    },
    /// It has confirmed the number, but its list is not the one that was sent.
    Differs {
        /// Since when.
        #[serde(serialize_with = "json::time")]
        #[schemars(with = "Option<json::Time>")]
        since: u64,
    },
    /// It has confirmed it.
    Confirmed,
}

impl From<OutcomeKind> for Stage {
    fn from(outcome: OutcomeKind) -> Self {
        match outcome {
            OutcomeKind::Waiting { address, holder } => Self::WaitsForAddress { address, holder },
            OutcomeKind::Contested { address, by } => Self::Contested { address, by },
            OutcomeKind::Held => Self::DeletionHeld { rejected: None },
            OutcomeKind::Transferred { to } => Self::Transferred { to },
            OutcomeKind::ForeignId { owner } => Self::ForeignId { owner },
            OutcomeKind::Invalid { reason } => Self::Invalid { reason },
        }
    }
}
