//! Where an entry is on its way, and what keeps it: stage by stage, from the source to every list.

mod found;
mod here;
mod server;
mod source;
mod stage;

use dirsync_directory::PostofficeName;
use schemars::JsonSchema;
use serde::Serialize;

pub use found::Found;
pub use stage::{LeftOut, Reach, Stage};

pub(crate) use found::Wanted;

use crate::failure::{Failure, Result};
use crate::nearest::Nearest;
use crate::postoffice::Postoffice;

/// All that a postoffice knows of the entries that a text stands for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Why {
    /// The text: an address, a name, an id or a key.
    pub asked: String,
    /// The entries, and rows that are no entries.
    pub found: Vec<Found>,
    /// How many more there are, which are not shown.
    pub more: u64,
}

impl Why {
    /// Looks for an address, a name, an id or a key. At the server, `at` limits it to one requestor.
    ///
    /// # Errors
    ///
    /// If nothing is found, with the nearest name, and if `at` is not known here.
    pub fn of(
        postoffice: &mut Postoffice,
        asked: &str,
        at: Option<&PostofficeName>,
    ) -> Result<Self> {
        require_known(postoffice, at)?;
        let wanted = Wanted::of(asked);
        let mut all = found::All::default();
        here::look(postoffice, &wanted, &mut all)?;
        if postoffice.is_server {
            server::look(postoffice, &wanted, at, &mut all)?;
        }
        source::look(postoffice, &wanted, &mut all)?;
        let (found, more) = all.into_parts();
        if found.is_empty() {
            return Err(not_found(postoffice, asked)?);
        }
        Ok(Self { asked: asked.to_owned(), found, more })
    }
}

/// Refuses a postoffice that nothing is known of here.
fn require_known(postoffice: &mut Postoffice, at: Option<&PostofficeName>) -> Result<()> {
    let Some(at) = at.filter(|at| **at != postoffice.name) else { return Ok(()) };
    if !postoffice.is_server {
        let server = &postoffice.server;
        let text = format!("how an entry stands at {at} is known at the server, {server}, alone");
        return Err(Failure::missing(text));
    }
    let registrations = postoffice.begin()?.registrations()?;
    if registrations.iter().any(|registration| registration.name == *at) {
        return Ok(());
    }
    let mut nearest = Nearest::to(at.as_str());
    registrations.iter().for_each(|registration| nearest.offer(registration.name.as_str()));
    let failure = Failure::missing(format!("{at} is not registered here"));
    Err(match nearest.found() {
        Some(name) => failure.hint(format!("did you mean {name}?")),
        None => failure.hint("`dirsync requestor list` shows who is"),
    })
}

pub(crate) fn not_found(postoffice: &mut Postoffice, asked: &str) -> Result<Failure> {
    let mut nearest = Nearest::to(asked);
    here::visit_names(postoffice, &mut |name| nearest.offer(name))?;
    if postoffice.is_server {
        server::visit_names(postoffice, &mut |name| nearest.offer(name))?;
    }
    let text = format!("no entry here has the address, name, id or key \"{asked}\"");
    let failure = Failure::missing(text);
    Ok(match nearest.found() {
        Some(name) => failure.hint(format!("did you mean \"{name}\"?")),
        None if postoffice.is_server => failure,
        None => failure.hint(format!(
            "an entry of another postoffice that is outside this one's view is not known here; ask at \
             the server, {}",
            postoffice.server
        )),
    })
}
