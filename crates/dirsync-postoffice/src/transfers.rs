//! Handing an entry over: the owner releases it, the new owner sees the offer and claims it.

use std::ops::ControlFlow;

use dirsync_directory::{EntryId, PostofficeName, RecordRef};
use dirsync_protocol::requestor;
use dirsync_protocol::tables::{ListPlace, Tables};
use schemars::JsonSchema;
use serde::Serialize;

use crate::difference::value;
use crate::entries::{done, own_entry};
use crate::failure::{Failure, Result};
use crate::json;
use crate::last_command::Command;
use crate::nearest::Nearest;
use crate::postoffice::Postoffice;
use crate::time::now_ms;
use crate::why::Wanted;

/// An entry that another postoffice offers to this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Offered {
    /// The entry.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub id: EntryId,
    /// Its owner.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub owner: PostofficeName,
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its primary address.
    pub address: String,
}

/// The entries that others offer to this postoffice and that it has not claimed.
pub fn offers(postoffice: &mut Postoffice) -> Result<Vec<Offered>> {
    let mut offers = Vec::new();
    visit_offers(&mut *postoffice.begin()?, &mut |offered, _| offers.push(offered))?;
    Ok(offers)
}

/// Offers come whole beside a limited list, and stand in one that shows everything.
pub(crate) fn visit_offers(
    tables: &mut dyn Tables,
    visit: &mut dyn FnMut(Offered, RecordRef<'_>),
) -> Result<()> {
    let me = tables.requestor()?.name;
    let offered = |id, owner: &PostofficeName, key: &str, record: RecordRef<'_>| Offered {
        id,
        owner: owner.clone(),
        key: key.to_owned(),
        name: value(record.name),
        address: record.address_texts().next().map(value).unwrap_or_default(),
    };
    let mut seen = Vec::new();
    for offer in tables.offers()? {
        seen.push(offer.id);
        if tables.own(offer.id)?.is_none_or(|own| own.released_to.is_some()) {
            let record = offer.record.as_ref();
            visit(offered(offer.id, &offer.owner, &offer.key, record), record);
        }
    }
    let mut listed = Vec::new();
    tables.visit_list(ListPlace::Live, &mut |row| {
        if row.released_to == Some(&me) && !seen.contains(&row.id) {
            listed.push(row.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    for row in listed {
        if tables.own(row.id)?.is_none_or(|own| own.released_to.is_some()) {
            let record = row.record.as_ref();
            visit(offered(row.id, &row.owner, &row.key, record), record);
        }
    }
    Ok(())
}

/// An entry that was offered to another postoffice.
#[derive(Clone, Debug)]
pub struct Released {
    /// The entry.
    pub id: EntryId,
    /// Whether that postoffice is known here; `None` if a requestor has no entry of it in its list.
    pub known: bool,
    /// The known postoffice that was perhaps meant.
    pub nearest: Option<String>,
}

/// Offers an own entry, given by id, key, address or name, to another postoffice.
///
/// # Errors
///
/// At the server, if nobody of this name is registered. A requestor does not know all names.
pub fn release(postoffice: &mut Postoffice, text: &str, to: &PostofficeName) -> Result<Released> {
    let is_server = postoffice.is_server;
    let server = postoffice.server.clone();
    let mut tables = postoffice.begin()?;
    let mut names = vec![server];
    names.extend(tables.registrations()?.into_iter().map(|registration| registration.name));
    if !is_server {
        tables.visit_list(ListPlace::Live, &mut |row| {
            if names.last() != Some(row.owner) && !names.contains(row.owner) {
                names.push(row.owner.clone());
            }
            ControlFlow::Continue(())
        })?;
    }
    let known = names.contains(to);
    let mut nearest = Nearest::to(to.as_str());
    names.iter().for_each(|name| nearest.offer(name.as_str()));
    let nearest = nearest.found().filter(|_| !known);
    if is_server && !known {
        let failure = Failure::missing(format!("{to} is not registered; nothing was changed"));
        return Err(match nearest {
            Some(name) => failure.hint(format!("did you mean {name}?")),
            None => failure.hint("`dirsync requestor list` shows who is"),
        });
    }
    let id = own_entry(&mut *tables, text)?.id;
    let run = requestor::release(&mut *tables, now_ms(), id, Some(to.clone()))?;
    done(tables, (Command::EntryRelease, text), id, &format!("released to {to}"), run)?;
    Ok(Released { id, known, nearest })
}

/// Takes over an entry that was released to this postoffice, given by id, key, address or name.
pub fn claim(postoffice: &mut Postoffice, text: &str, source: &str) -> Result<EntryId> {
    let mut tables = postoffice.begin()?;
    let id = match text.parse() {
        Ok(id) => id,
        Err(_) => offered_id(&mut *tables, text)?,
    };
    requestor::claim(&mut *tables, now_ms(), id, source)?;
    // An undo would take the entry from its former owner too.
    done(tables, (Command::EntryClaim, text), id, "claimed", None)
}

fn offered_id(tables: &mut dyn Tables, text: &str) -> Result<EntryId> {
    let wanted = Wanted::of(text);
    let mut found = Vec::new();
    let mut nearest = Nearest::to(text);
    visit_offers(tables, &mut |offered, record| {
        if wanted.is(offered.id, &offered.key, record) {
            found.push(offered.id);
        }
        nearest.offer(&offered.name);
        let address = &offered.address;
        nearest.offer(address.split_once(':').map_or(address, |(_, value)| value));
    })?;
    match found.as_slice() {
        [id] => Ok(*id),
        [] => {
            let text = format!("no entry that is on offer to this postoffice is \"{text}\"");
            let failure = Failure::missing(text);
            Err(match nearest.found() {
                Some(name) => failure.hint(format!("did you mean \"{name}\"?")),
                None => failure.hint(
                    "its owner offers it with `entry release`; the offer arrives with the next \
                     update",
                ),
            })
        }
        ids => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let text = format!("\"{text}\" stands for {} entries that are on offer", ids.len());
            Err(Failure::usage(text).hint(format!("name one by its id: {}", ids.join(", "))))
        }
    }
}
