//! The log of administrators' decisions (`docs/protocol.md` §11.1): registrations, keys, removals and
//! approvals cannot be derived again from any requestor.
//!
//! The log has one line for each decision, tab-separated and escaped: time (milliseconds since 1970),
//! word, postoffice, then the values of the word. A line is on disk before the database commits its
//! decision. A database that is older than the log carries out the lines that it has not seen
//! ([`catch_up`]).

mod progress;

use std::fmt;
use std::str::FromStr;

use dirsync_directory::{EntryId, PostofficeName, View, escape, excerpt, unescape};
use dirsync_message::{NUMBER_MAX, ReqEpoch};
use dirsync_protocol::context::{Context, ReceiveError};
use dirsync_protocol::server;
use dirsync_protocol::tables::{
    Agreement, Answered, Copies, INVITATION_USED, Position, Registration, RegistrationState,
    Stored, Tables,
};
use thiserror::Error;

pub use self::progress::{DecideError, LogState, catch_up, decide, log_state, renewed_log};
use crate::peers::forget_announced;
use crate::waiting::forget_refused;

/// A decision of an administrator, or of the server on first contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionKind {
    /// Invited, or invited again.
    Invite {
        /// Checks proofs that somebody knows the secret, and cannot make one.
        verifier: String,
        /// When the secret expires, in milliseconds since 1970.
        expires: u64,
        /// The places where its messages are exchanged, the preferred one first.
        places: Vec<String>,
        /// The view that it may have.
        view: View,
    },
    /// Its key was pinned at first contact.
    Key(String),
    /// The view that it may have was changed.
    Allow(View),
    /// Its messages are exchanged in these places from now on, the preferred one first.
    Carrier(Vec<String>),
    /// Its requests wait until it is resumed.
    Suspend,
    /// Its requests are taken again; if it ran on several machines, only one is left.
    Resume,
    /// It was removed, and its entries with it.
    Remove,
    /// Its removal was taken back: it takes part again, in the epoch that was accepted before.
    Reinstate(Option<ReqEpoch>),
    /// A held deletion of one of its entries was approved.
    ApproveDeletion(EntryId),
    /// A held deletion of one of its entries was rejected.
    RejectDeletion(EntryId),
    /// The log was lost, and the server wrote it anew from its database. The number counts how often
    /// this has happened. The decisions that the database knew follow.
    Renew(u64),
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The postoffice that it concerns.
    pub postoffice: PostofficeName,
    /// The decision.
    pub kind: DecisionKind,
}

/// A line that is not a decision.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a line of a decisions log")]
pub struct ParseDecisionError(String);

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = escape(self.postoffice.as_str());
        let line =
            |f: &mut fmt::Formatter<'_>, word: &str| write!(f, "{}\t{word}\t{name}", self.at);
        match &self.kind {
            DecisionKind::Invite { verifier, expires, places, view } => {
                line(f, "invite")?;
                write!(f, "\t{}\t{expires}", escape(verifier))?;
                fields(f, places)?;
                write!(f, "\t{}", escape(&view.to_string()))
            }
            DecisionKind::Key(key) => {
                line(f, "key")?;
                write!(f, "\t{}", escape(key))
            }
            DecisionKind::Allow(view) => {
                line(f, "allow")?;
                write!(f, "\t{}", escape(&view.to_string()))
            }
            DecisionKind::Carrier(places) => {
                line(f, "carrier")?;
                fields(f, places)
            }
            DecisionKind::Suspend => line(f, "suspend"),
            DecisionKind::Resume => line(f, "resume"),
            DecisionKind::Remove => line(f, "remove"),
            DecisionKind::Reinstate(epoch) => {
                line(f, "reinstate")?;
                f.write_str("\t")?;
                epoch.iter().try_for_each(|epoch| write!(f, "{epoch}"))
            }
            DecisionKind::ApproveDeletion(id) => {
                line(f, "approve")?;
                write!(f, "\t{id}")
            }
            DecisionKind::RejectDeletion(id) => {
                line(f, "reject")?;
                write!(f, "\t{id}")
            }
            DecisionKind::Renew(times) => {
                line(f, "renew")?;
                write!(f, "\t{times}")
            }
        }
    }
}

/// Texts as fields of a line.
fn fields(f: &mut fmt::Formatter<'_>, texts: &[String]) -> fmt::Result {
    texts.iter().try_for_each(|text| write!(f, "\t{}", escape(text)))
}

impl FromStr for Decision {
    type Err = ParseDecisionError;

    fn from_str(line: &str) -> Result<Self, ParseDecisionError> {
        parse(line).ok_or_else(|| ParseDecisionError(excerpt(line)))
    }
}

fn parse(line: &str) -> Option<Decision> {
    let fields: Vec<String> =
        line.split('\t').map(|field| unescape(field).map(String::from)).collect::<Option<_>>()?;
    let [at, word, postoffice, rest @ ..] = fields.as_slice() else { return None };
    let kind = match (word.as_str(), rest) {
        ("invite", [verifier, expires, places @ .., view]) => DecisionKind::Invite {
            verifier: verifier.clone(),
            expires: time(expires)?,
            places: at_least_one(places)?,
            view: view_allowed(view)?,
        },
        ("key", [key]) => DecisionKind::Key(key.clone()),
        ("allow", [view]) => DecisionKind::Allow(view_allowed(view)?),
        ("carrier", places) => DecisionKind::Carrier(at_least_one(places)?),
        ("suspend", []) => DecisionKind::Suspend,
        ("resume", []) => DecisionKind::Resume,
        ("remove", []) => DecisionKind::Remove,
        ("reinstate", [epoch]) if epoch.is_empty() => DecisionKind::Reinstate(None),
        ("reinstate", [epoch]) => DecisionKind::Reinstate(Some(epoch.parse().ok()?)),
        ("approve", [id]) => DecisionKind::ApproveDeletion(id.parse().ok()?),
        ("reject", [id]) => DecisionKind::RejectDeletion(id.parse().ok()?),
        ("renew", [times]) => DecisionKind::Renew(times.parse().ok()?),
        _ => return None,
    };
    Some(Decision { at: time(at)?, postoffice: postoffice.parse().ok()?, kind })
}

/// The places of a decision: at least one, and none is empty.
fn at_least_one(places: &[String]) -> Option<Vec<String>> {
    let are_named = !places.is_empty() && places.iter().all(|place| !place.is_empty());
    are_named.then(|| places.to_vec())
}

/// A view that fits into an update together with the view that its postoffice wants.
fn view_allowed(text: &str) -> Option<View> {
    text.parse().ok().filter(|view: &View| view.check_size().is_ok())
}

/// A time that the database can keep.
fn time(text: &str) -> Option<u64> {
    text.parse().ok().filter(|time| *time <= NUMBER_MAX)
}

/// The end that is put to a line that a crash cut off: with it no part of a line is a decision.
pub const CUT_OFF: &str = "\t\tcut off";

/// Where decisions are kept.
pub trait DecisionsLog {
    /// Adds a decision. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When the decision could not be written. It must not take effect then.
    fn append(&mut self, decision: &Decision) -> std::io::Result<()>;

    /// All lines in order, without a last one that a crash cut off.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    fn lines(&mut self) -> std::io::Result<Vec<String>>;
}

/// A log in memory, for simulations.
impl DecisionsLog for Vec<Decision> {
    fn append(&mut self, decision: &Decision) -> std::io::Result<()> {
        self.push(decision.clone());
        Ok(())
    }

    fn lines(&mut self) -> std::io::Result<Vec<String>> {
        Ok(self.iter().map(ToString::to_string).collect())
    }
}

/// Makes a decision take effect in the database. Doing it again changes nothing.
///
/// # Errors
///
/// When the store fails.
pub fn carry_out(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    decision: &Decision,
) -> Result<(), ReceiveError> {
    let name = &decision.postoffice;
    match &decision.kind {
        DecisionKind::Invite { verifier, expires, places, view } => {
            forget_refused(tables, name)?;
            let known = tables.registration(name)?;
            let active = known.as_ref().filter(|known| known.state != RegistrationState::Removed);
            server::register(
                tables,
                &Registration {
                    state: active.map_or(RegistrationState::Invited, |known| known.state),
                    key: active.and_then(|known| known.key.clone()),
                    invitation: Some((verifier.clone(), *expires)),
                    places: places.clone(),
                    view_allowed: view.clone(),
                    retired: known.map(|known| known.retired).unwrap_or_default(),
                    ..empty_registration(name)
                },
            )?;
        }
        DecisionKind::Key(key) => pin(tables, name, key)?,
        DecisionKind::Allow(view) => {
            change(tables, name, |registration| registration.view_allowed = view.clone())?;
        }
        DecisionKind::Carrier(places) => {
            change(tables, name, |registration| registration.places.clone_from(places))?;
        }
        DecisionKind::Suspend => change(tables, name, |registration| {
            registration.state = RegistrationState::Suspended;
        })?,
        DecisionKind::Resume => {
            forget_refused(tables, name)?;
            change(tables, name, |registration| {
                if registration.state == RegistrationState::Suspended {
                    // A postoffice that was never heard is still only invited.
                    registration.state =
                        match registration.key.is_some() || registration.epoch.is_some() {
                            true => RegistrationState::Active,
                            false => RegistrationState::Invited,
                        };
                }
                registration.copies = Copies::One;
            })?;
        }
        DecisionKind::Remove => {
            server::remove(tables, context, name)?;
        }
        DecisionKind::Reinstate(epoch) => {
            server::reinstate(tables, context, name, *epoch)?;
        }
        DecisionKind::ApproveDeletion(id) => {
            server::approve_deletion(tables, context, &[*id])?;
        }
        DecisionKind::RejectDeletion(id) => {
            server::reject_deletion(tables, &[*id])?;
        }
        // It only tells how to read the lines that follow.
        DecisionKind::Renew(_) => {}
    }
    Ok(())
}

/// The decision that takes another one back, which is about to be carried out on this registration; `None` if
/// none does.
pub fn inverse(known: &Registration, kind: &DecisionKind) -> Option<DecisionKind> {
    if known.state == RegistrationState::Removed {
        return matches!(kind, DecisionKind::Reinstate(_)).then_some(DecisionKind::Remove);
    }
    let is_suspended = known.state == RegistrationState::Suspended;
    match kind {
        DecisionKind::Allow(view) if *view != known.view_allowed => {
            Some(DecisionKind::Allow(known.view_allowed.clone()))
        }
        DecisionKind::Carrier(places) if *places != known.places => {
            Some(DecisionKind::Carrier(known.places.clone()))
        }
        DecisionKind::Suspend if !is_suspended => Some(DecisionKind::Resume),
        DecisionKind::Resume if is_suspended => Some(DecisionKind::Suspend),
        DecisionKind::Remove => Some(DecisionKind::Reinstate(known.epoch)),
        _ => None,
    }
}

/// Whether a registration still is as a decision has left it.
pub fn is_in_force(known: &Registration, kind: &DecisionKind) -> bool {
    match kind {
        DecisionKind::Allow(view) => *view == known.view_allowed,
        DecisionKind::Carrier(places) => *places == known.places,
        DecisionKind::Suspend => known.state == RegistrationState::Suspended,
        DecisionKind::Remove => known.state == RegistrationState::Removed,
        DecisionKind::Resume | DecisionKind::Reinstate(_) => {
            matches!(known.state, RegistrationState::Active | RegistrationState::Invited)
        }
        _ => false,
    }
}

/// Pins a key. What followed the former one follows it no more, and the invitation is used up.
fn pin(tables: &mut dyn Tables, name: &PostofficeName, key: &str) -> Stored<()> {
    forget_announced(tables, name)?;
    change(tables, name, |registration| {
        registration.key = Some(key.to_owned());
        if let Some((_, expires)) = &mut registration.invitation {
            *expires = INVITATION_USED;
        }
    })
}

fn change(
    tables: &mut dyn Tables,
    name: &PostofficeName,
    change: impl FnOnce(&mut Registration),
) -> Stored<()> {
    let Some(mut registration) = tables.registration(name)? else { return Ok(()) };
    if registration.state == RegistrationState::Removed {
        return Ok(());
    }
    change(&mut registration);
    tables.put_registration(&registration)
}

/// The registration of a postoffice before anything is known of it.
pub fn empty_registration(name: &PostofficeName) -> Registration {
    Registration {
        name: name.clone(),
        state: RegistrationState::Invited,
        key: None,
        invitation: None,
        places: Vec::new(),
        view_allowed: View::default(),
        view_wanted: View::default(),
        epoch: None,
        retired: std::collections::BTreeSet::new(),
        acknowledged: dirsync_message::ReqSeq(0),
        taken: Vec::new(),
        answer_due: false,
        send_own: false,
        challenge: None,
        challenged: None,
        side_answers: Vec::new(),
        copies: Copies::One,
        position: Position::default(),
        agreement: Agreement::default(),
        answered: Answered::default(),
        spoke_in: None,
        own_digest: dirsync_directory::SetDigest::default(),
        last_contact: 0,
        health: dirsync_message::Health::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let postoffice: PostofficeName = "SOUTH/SALES".parse().unwrap();
        let id = EntryId::derive(&postoffice, "1");
        let kinds = [
            DecisionKind::Invite {
                verifier: "ab".into(),
                expires: 5,
                places: vec!["folder:/srv/a\tb".into(), "folder:/srv/c".into()],
                view: "types\tSMTP\n".parse().unwrap(),
            },
            DecisionKind::Key("ssh-ed25519 AAAA south".into()),
            DecisionKind::Allow(View::default()),
            DecisionKind::Carrier(vec!["folder:/srv/other".into()]),
            DecisionKind::Carrier(vec!["folder:/b".into(), "folder:/a".into()]),
            DecisionKind::Suspend,
            DecisionKind::Resume,
            DecisionKind::Remove,
            DecisionKind::Reinstate(None),
            DecisionKind::Reinstate(Some(ReqEpoch([0xab; 16]))),
            DecisionKind::ApproveDeletion(id),
            DecisionKind::RejectDeletion(id),
            DecisionKind::Renew(2),
        ];
        for kind in kinds {
            let decision = Decision { at: 7, postoffice: postoffice.clone(), kind };
            let line = decision.to_string();
            assert!(!line.contains('\n'));
            // No part that a crash may leave of a line is a decision.
            for cut in (0..line.len()).filter(|cut| line.is_char_boundary(*cut)) {
                let line = format!("{}{CUT_OFF}", &line[..cut]);
                assert!(line.parse::<Decision>().is_err(), "{line}");
            }
            assert_eq!(line.parse(), Ok(decision));
        }
        for line in
            ["7\tforget\tSOUTH/SALES", "7\tcarrier\tSOUTH/SALES", "7\tinvite\tSOUTH/SALES\tab\t5\t"]
        {
            assert!(line.parse::<Decision>().is_err(), "{line}");
        }
        let odd: Decision = "7\tinvite\tSOUTH/SALES\ta\\nb\t5\tfolder:x\t".parse().unwrap();
        assert!(!odd.to_string().contains('\n'), "each text stays on its line");
    }
}
