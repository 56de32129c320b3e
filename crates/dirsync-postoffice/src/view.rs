//! What a requestor may see, and changes of it.

use std::ops::ControlFlow;

use dirsync_directory::View;
use dirsync_message::SrvSeq;
use dirsync_protocol::tables::{Numbered, ServerTables, Stored};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::json;

/// The view, unless it is larger than one that may be allowed.
pub fn within_limits(view: View) -> Result<View> {
    view.check_size().map_err(Failure::usage)?;
    Ok(view)
}

/// The parts that are named take the place of those before; all others stay.
pub(crate) fn changed(before: &View, named: View) -> View {
    let before = before.clone();
    View {
        types: named.types.or(before.types),
        origins: named.origins.or(before.origins),
        kinds: named.kinds.or(before.kinds),
        filter: named.filter.or(before.filter),
        attributes: named.attributes.or(before.attributes),
    }
}

/// Which limits of a view are lifted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    /// That on address types.
    pub types: bool,
    /// That on origins.
    pub origins: bool,
    /// That on kinds.
    pub kinds: bool,
    /// That on details.
    pub attributes: bool,
    /// The filter.
    pub filter: bool,
}

/// A change of what a requestor may see.
#[derive(Clone, Debug, Default)]
pub struct ViewChange {
    /// Its limits take the place of those before.
    pub named: View,
    /// The limits that are lifted.
    pub lifted: Lifted,
}

impl ViewChange {
    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        self.named.is_everything() && self.lifted == Lifted::default()
    }

    /// The view after it.
    pub fn applied_to(self, before: &View) -> Result<View> {
        let Lifted { types, origins, kinds, attributes, filter } = self.lifted;
        let mut view = changed(before, self.named);
        view.types = view.types.filter(|_| !types);
        view.origins = view.origins.filter(|_| !origins);
        view.kinds = view.kinds.filter(|_| !kinds);
        view.attributes = view.attributes.filter(|_| !attributes);
        view.filter = view.filter.filter(|_| !filter);
        within_limits(view)
    }
}

/// A view, and how many published entries it shows now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Seen {
    /// The view: its limits, a line each; empty for everything.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub view: View,
    /// How many published entries it shows.
    pub entries: u64,
}

impl Seen {
    /// Counts the entries that a view shows.
    pub fn of(tables: &mut dyn ServerTables, view: View) -> Stored<Self> {
        let mut entries = 0;
        let head = tables.server()?.map_or(SrvSeq(0), |server| server.head);
        tables.visit_numbered(SrvSeq(0), head, &mut |numbered| {
            if let Numbered::Published(row, published) = numbered {
                entries += u64::from(view.shows(&row.origin, published.content()));
            }
            ControlFlow::Continue(())
        })?;
        Ok(Self { view, entries })
    }
}
