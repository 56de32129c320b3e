//! Where an entry is on its way, and what keeps it.

use std::ops::ControlFlow;

use dirsync_directory::{PostofficeName, RecordRef, fold};
use dirsync_message::{OutcomeKind, ReqSeq, SrvSeq};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{ListPlace, Tables};

use crate::failure::Result;
use crate::postoffice::Postoffice;

/// All that a postoffice knows of the entries with an address.
#[derive(Clone, Debug)]
pub struct Why {
    /// The own entries with it.
    pub own: Vec<OwnStage>,
    /// The entries of the list with it.
    pub listed: Vec<Listed>,
    /// At the server: the entries that claim it.
    pub claims: Vec<Claim>,
}

/// An own entry on its way to the server.
#[derive(Clone, Debug)]
pub struct OwnStage {
    /// Its name, as records have it.
    pub name: String,
    /// Its key.
    pub key: String,
    /// The source that feeds it.
    pub source: String,
    /// The number of its last change.
    pub change: u64,
    /// The server has acknowledged that change.
    pub acknowledged: bool,
    /// The server's outcomes of it.
    pub outcomes: Vec<OutcomeKind>,
    /// Why changes of it are held here.
    pub held: Vec<GuardKind>,
}

/// An entry of the list here.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name, as records have it.
    pub name: String,
    /// The postoffice that owns it.
    pub owner: PostofficeName,
    /// Its number.
    pub number: SrvSeq,
}

/// An entry at the server that wants the address.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its origin.
    pub origin: PostofficeName,
    /// Its number, and how far it came at each requestor; `None` if it waits for the address.
    pub published: Option<(u64, Vec<(PostofficeName, Reach)>)>,
}

/// How far a published entry came at a requestor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The requestor does not see it.
    NotInView,
    /// The requestor has confirmed it.
    Confirmed,
    /// It has confirmed the list up to this number only.
    OnItsWay(u64),
}

impl Why {
    /// Looks for an address, whole or without its type. At the server, `at` limits it to one requestor.
    pub fn of(
        postoffice: &mut Postoffice,
        address: &str,
        at: Option<&PostofficeName>,
    ) -> Result<Self> {
        let wanted = fold(address).into_owned();
        let is_server = postoffice.is_server;
        let mut tables = postoffice.begin()?;
        Ok(Self {
            own: own(&mut *tables, &wanted)?,
            listed: listed(&mut *tables, &wanted)?,
            claims: if is_server { claims(&mut *tables, &wanted, at)? } else { Vec::new() },
        })
    }
}

/// Whether a record has an address, given whole or without its type; folded.
pub(crate) fn has_address(record: RecordRef<'_>, wanted: &str) -> bool {
    record
        .address_keys()
        .any(|key| key == wanted || key.split_once(':').is_some_and(|(_, value)| value == wanted))
}

fn own(tables: &mut dyn Tables, wanted: &str) -> Result<Vec<OwnStage>> {
    let state = tables.requestor()?;
    let outcomes = tables.outcomes()?;
    let mut stages = Vec::new();
    let mut ids = Vec::new();
    tables.visit_own(ReqSeq(0), &mut |row| {
        if has_address(row.record.as_ref(), wanted) {
            let outcomes = outcomes.iter().filter(|outcome| outcome.id == row.id);
            ids.push(row.id);
            stages.push(OwnStage {
                name: row.record.name.clone(),
                key: row.key.clone(),
                source: row.source.clone(),
                change: row.numbers.last,
                acknowledged: row.numbers.last <= state.req_sync.0,
                outcomes: outcomes.map(|outcome| outcome.kind.clone()).collect(),
                held: Vec::new(),
            });
        }
        ControlFlow::Continue(())
    })?;
    for (stage, id) in stages.iter_mut().zip(ids) {
        stage.held.extend(tables.held_change(id)?.map(|change| change.kind));
    }
    Ok(stages)
}

fn listed(tables: &mut dyn Tables, wanted: &str) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    tables.visit_list(ListPlace::Live, &mut |row| {
        if has_address(row.record, wanted) {
            let (name, owner) = (row.record.name.to_owned(), row.owner.clone());
            listed.push(Listed { name, owner, number: row.srv_seq });
        }
        ControlFlow::Continue(())
    })?;
    Ok(listed)
}

fn claims(
    tables: &mut dyn Tables,
    wanted: &str,
    at: Option<&PostofficeName>,
) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    let mut keys = vec![wanted.to_owned()];
    if !wanted.contains(':') {
        keys.push(format!("smtp:{wanted}"));
    }
    let registrations = tables.registrations()?;
    for key in keys {
        for (id, origin) in tables.claimants(&key)? {
            let row = tables.rows(id)?.into_iter().find(|row| row.origin == origin);
            let Some(row) = row else { continue };
            let published = row.published.as_ref().map(|published| {
                let number = published.numbers.last;
                let asked = registrations.iter().filter(|one| at.is_none_or(|at| *at == one.name));
                let reach = asked.map(|registration| {
                    let view = registration.view_allowed.intersect(&registration.view_wanted);
                    let confirmed = registration.position.point.map_or(0, |point| point.srv_seq.0);
                    let reach = if !view.shows(&origin, published.content()) {
                        Reach::NotInView
                    } else if confirmed >= number {
                        Reach::Confirmed
                    } else {
                        Reach::OnItsWay(confirmed)
                    };
                    (registration.name.clone(), reach)
                });
                (number, reach.collect())
            });
            claims.push(Claim { origin, published });
        }
    }
    Ok(claims)
}
