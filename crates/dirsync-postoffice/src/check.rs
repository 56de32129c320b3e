//! The check of a postoffice: everything that it keeps is read and compared.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use dirsync_directory::{
    BucketSums, PostofficeName, Record, SetDigest, ViewHash, list_element, own_element, plural,
};
use dirsync_message::{ReqSeq, SrvSeq};
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::requestor::verify_list;
use dirsync_protocol::tables::{ListPlace, Numbered, Tables};

use crate::failure::Result;
use crate::postoffice::Postoffice;

/// Two things that a postoffice keeps and that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The database's file is damaged; in SQLite's words.
    Database(String),
    /// The number of entries that the list has twice.
    ListedTwice(u64),
    /// The content of the list is not the one that was noted.
    List {
        /// The digest of what is there.
        found: SetDigest,
        /// The digest that was noted.
        noted: SetDigest,
    },
    /// The own entries are not those that were noted.
    Own {
        /// The digest of what is there.
        found: SetDigest,
        /// The digest that was noted.
        noted: SetDigest,
    },
    /// The numbers of own changes are not in order.
    OwnNumbers {
        /// The last one given.
        last: ReqSeq,
        /// The last one that the server acknowledged.
        acknowledged: ReqSeq,
        /// The highest one in use.
        highest: u64,
    },
    /// So many published addresses belong to two entries (I2).
    SharedAddresses(u64),
    /// A number of the list is in use that was not given yet.
    Number {
        /// The number.
        in_use: u64,
        /// The last one given.
        given: SrvSeq,
    },
    /// A view does not show what was noted.
    View {
        /// The view.
        hash: ViewHash,
        /// The digest of what it shows.
        found: SetDigest,
        /// The digest that was noted.
        noted: SetDigest,
    },
    /// What an origin submitted is not what was noted.
    Submitted {
        /// The origin.
        origin: PostofficeName,
        /// The digest of what is there.
        found: SetDigest,
        /// The digest that was noted.
        noted: SetDigest,
    },
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(text) => f.write_str(text),
            Self::ListedTwice(count) => write!(
                f,
                "{} twice",
                plural(*count, "entry of the list stands", "entries of the list stand")
            ),
            Self::List { found, noted } => write!(
                f,
                "the list has digest {found}, {noted} was noted: its content was changed from outside"
            ),
            Self::Own { found, noted } => {
                write!(f, "the own entries have digest {found}, {noted} was noted")
            }
            Self::OwnNumbers { last, acknowledged, highest } => write!(
                f,
                "numbers contradict: last own change {last}, acknowledged {acknowledged}, highest in \
                 use {highest}"
            ),
            Self::SharedAddresses(count) => {
                write!(f, "I2: {count} published addresses belong to two entries")
            }
            Self::Number { in_use, given } => {
                write!(f, "number {in_use} is in use, the last one given is {given}")
            }
            Self::View { hash, found, noted } => {
                write!(f, "view {hash} has digest {found}, {noted} was noted")
            }
            Self::Submitted { origin, found, noted } => {
                write!(f, "what {origin} submitted has digest {found}, {noted} was noted")
            }
        }
    }
}

/// Asks the server for a repair of a list that differs from its digest. Returns what was wrong.
pub fn repair(postoffice: &mut Postoffice) -> Result<Vec<String>> {
    let around = postoffice.around()?;
    let mut draws = Draws::new(&around.seed);
    let mut events = Vec::new();
    let mut tables = postoffice.begin()?;
    let (now, guard) = (around.now, around.guard);
    let evidence = &EvidenceKey::NONE;
    let mut context = Context { now, draws: &mut draws, events: &mut events, guard, evidence };
    verify_list(&mut *tables, &mut context)?;
    tables.commit()?;
    Ok(events.into_iter().map(|event| event.text).collect())
}

/// Reads everything. Returns the contradictions.
pub fn check(postoffice: &mut Postoffice) -> Result<Vec<Contradiction>> {
    let damage = postoffice.store.integrity_check()?.into_iter();
    let mut wrong: Vec<Contradiction> = damage.map(Contradiction::Database).collect();
    let is_server = postoffice.is_server;
    let mut tables = postoffice.begin()?;
    check_list(&mut *tables, &mut wrong)?;
    check_own(&mut *tables, &mut wrong)?;
    if is_server {
        check_server(&mut *tables, &mut wrong)?;
    }
    Ok(wrong)
}

fn check_list(tables: &mut dyn Tables, wrong: &mut Vec<Contradiction>) -> Result<()> {
    let state = tables.requestor()?;
    let mut found = BucketSums::default();
    let mut ids = BTreeSet::new();
    let mut twice = 0;
    tables.visit_list(ListPlace::Live, &mut |row| {
        twice += u64::from(!ids.insert(row.id));
        found.add(row.id, list_element(row.id, row.owner, row.record));
        ControlFlow::Continue(())
    })?;
    if twice > 0 {
        wrong.push(Contradiction::ListedTwice(twice));
    }
    let kept = tables.list_buckets(ListPlace::Live)?;
    if found.folded(0) != kept.folded(0) || found.total() != state.list_digest {
        let (found, noted) = (found.total(), state.list_digest);
        wrong.push(Contradiction::List { found, noted });
    }
    Ok(())
}

fn check_own(tables: &mut dyn Tables, wrong: &mut Vec<Contradiction>) -> Result<()> {
    let state = tables.requestor()?;
    let mut digest = SetDigest::default();
    let mut highest = 0;
    tables.visit_own(ReqSeq(0), &mut |row| {
        let element = own_element(row.id, row.released_to.as_ref(), row.record.as_ref());
        digest += SetDigest::one(element);
        highest = highest.max(row.numbers.last);
        ControlFlow::Continue(())
    })?;
    if digest != state.own_digest {
        let noted = state.own_digest;
        wrong.push(Contradiction::Own { found: digest, noted });
    }
    if highest > state.req_seq.0 || state.req_sync > state.req_seq {
        let (last, acknowledged) = (state.req_seq, state.req_sync);
        wrong.push(Contradiction::OwnNumbers { last, acknowledged, highest });
    }
    Ok(())
}

fn check_server(tables: &mut dyn Tables, wrong: &mut Vec<Contradiction>) -> Result<()> {
    let Some(server) = tables.server()? else { return Ok(()) };
    let views = tables.views()?;
    let mut sums = vec![BucketSums::default(); views.len()];
    let mut addresses = BTreeSet::new();
    let mut last = 0;
    let mut shared = 0u64;
    tables.visit_numbered(SrvSeq(0), SrvSeq(u64::MAX >> 1), &mut |numbered| {
        let Numbered::Published(row, published) = numbered else {
            return ControlFlow::Continue(());
        };
        let record = published.content();
        last = last.max(published.numbers.last);
        for key in record.address_keys() {
            shared += u64::from(!addresses.insert(key));
        }
        for ((_, view), sums) in views.iter().zip(&mut sums) {
            if view.shows(&row.origin, record) {
                let shown = view.disclosed(record);
                let shown = shown.as_ref().map_or(record, Record::as_ref);
                sums.add(row.id, list_element(row.id, &row.origin, shown));
            }
        }
        ControlFlow::Continue(())
    })?;
    if shared > 0 {
        wrong.push(Contradiction::SharedAddresses(shared));
    }
    if last > server.head.0 {
        wrong.push(Contradiction::Number { in_use: last, given: server.head });
    }
    for ((hash, _), found) in views.iter().zip(&sums) {
        let kept = tables.view_sums(*hash)?;
        if kept.total() != found.total() {
            let (found, noted) = (found.total(), kept.total());
            wrong.push(Contradiction::View { hash: *hash, found, noted });
        }
    }
    for registration in tables.registrations()? {
        let mut digest = SetDigest::default();
        tables.visit_submitted(&registration.name, &mut |row| {
            if let Some(submitted) = &row.submitted {
                let released = submitted.released_to.as_ref();
                digest += SetDigest::one(own_element(row.id, released, submitted.content()));
            }
            ControlFlow::Continue(())
        })?;
        if digest != registration.own_digest {
            let (origin, noted) = (registration.name, registration.own_digest);
            wrong.push(Contradiction::Submitted { origin, found: digest, noted });
        }
    }
    Ok(())
}
