//! The places through which a requestor exchanges messages with its server, as its administrator names them.

use dirsync_agent::trouble::forget_places;
use dirsync_carrier::Place;

use crate::failure::{Failure, Result};
use crate::last_command::{self, Command, Left};
use crate::places::{NamedPlace, PlaceStatus, mounted, note};
use crate::postoffice::Postoffice;

/// How the places of a requestor stand, the preferred one first.
///
/// # Errors
///
/// At a directory server: its registrations have the places.
pub fn list(postoffice: &mut Postoffice) -> Result<Vec<PlaceStatus>> {
    require_requestor(postoffice)?;
    PlaceStatus::own(postoffice)
}

/// Replaces the places of a requestor, the preferred one first.
///
/// # Errors
///
/// At a directory server, and a folder that is not there or a place that is named twice. Nothing is changed then.
pub fn set(postoffice: &mut Postoffice, named: &[NamedPlace]) -> Result<Vec<PlaceStatus>> {
    require_requestor(postoffice)?;
    let places = mounted(named)?;
    let texts: Vec<String> = places.iter().map(Place::to_string).collect();
    let changes = postoffice.own_places().map_or(true, |before| before != texts);
    let mut tables = postoffice.begin()?;
    if changes {
        note(&mut *tables, &places)?;
        forget_places(&mut *tables, &texts)?;
    }
    let left = if changes { Left::NoRun } else { Left::Nothing };
    last_command::note(&mut *tables, Command::CarrierSet, &texts.join(", "), left)?;
    tables.commit()?;
    PlaceStatus::own(postoffice)
}

pub(crate) fn require_requestor(postoffice: &Postoffice) -> Result<()> {
    if !postoffice.is_server {
        return Ok(());
    }
    let text =
        format!("{} is the directory server: each requestor has its places", postoffice.name);
    Err(Failure::usage(text).hint(
        "`dirsync requestor show NAME` shows them, `dirsync requestor set NAME --folder DIR` changes them",
    ))
}
