//! What a requestor may see, and changes of it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::{Condition, PostofficeName, RecordRef, View};
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

/// The side whose limit hides an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitOf {
    /// The server does not allow it.
    Server,
    /// The requestor does not want it.
    Requestor,
}

/// The condition of a view that an entry does not meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hidden {
    /// Whose condition it is.
    pub limit_of: LimitOf,
    /// `origins`, `kinds`, `types` or `filter`.
    pub condition: &'static str,
    /// The values that meet it.
    pub limit: Vec<String>,
    /// Those that the entry has; empty for a filter.
    pub values: Vec<String>,
}

impl Hidden {
    /// The first condition that an entry does not meet, of those that the server allows and those that the
    /// requestor wants; `None` if it meets all.
    pub fn of(
        allowed: &View,
        wanted: &View,
        owner: &PostofficeName,
        record: RecordRef<'_>,
    ) -> Option<Self> {
        let by = |view: &View, limit_of: LimitOf| {
            let condition = view.hidden_by(owner, record)?;
            Some(Self::by(view, limit_of, condition, owner, record))
        };
        by(wanted, LimitOf::Requestor).or_else(|| by(allowed, LimitOf::Server))
    }

    fn by(
        view: &View,
        limit_of: LimitOf,
        condition: Condition,
        owner: &PostofficeName,
        record: RecordRef<'_>,
    ) -> Self {
        fn texts<T: ToString>(values: &Option<BTreeSet<T>>) -> Vec<String> {
            values.iter().flatten().map(ToString::to_string).collect()
        }
        let types = || -> BTreeSet<String> {
            let texts = record.address_texts();
            texts.filter_map(|text| text.split(':').next()).map(str::to_owned).collect()
        };
        let (condition, limit, values) = match condition {
            Condition::Origins => ("origins", texts(&view.origins), vec![owner.to_string()]),
            Condition::Kinds => ("kinds", texts(&view.kinds), vec![record.kind.to_owned()]),
            Condition::Types => ("types", texts(&view.types), types().into_iter().collect()),
            Condition::Filter => {
                ("filter", view.filter.iter().map(ToString::to_string).collect(), Vec::new())
            }
        };
        Self { limit_of, condition, limit, values }
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
