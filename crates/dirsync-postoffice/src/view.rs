//! What a requestor may see, and changes of it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::{Condition, PostofficeName, RecordRef, View};
use dirsync_message::{ReqSeq, SrvSeq};
use dirsync_protocol::tables::{ListPlace, Numbered, ServerTables, Stored, Tables};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::json;
use crate::nearest::Nearest;

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

/// A value of a view that no entry has: perhaps it is mistyped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unmatched {
    /// `types`, `origins`, `kinds`, `attributes` or `filter`.
    pub part: &'static str,
    /// The value.
    pub value: String,
    /// A value that entries have and that was perhaps meant; null if none is near.
    pub nearest: Option<String>,
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
    /// How many published entries there are.
    pub of: u64,
    /// The values of the view that no published entry has.
    pub unmatched: Vec<Unmatched>,
}

impl Seen {
    /// Counts the entries that a view shows.
    pub fn of(tables: &mut dyn ServerTables, view: View) -> Stored<Self> {
        let mut met = Met::of(&view);
        let head = tables.server()?.map_or(SrvSeq(0), |server| server.head);
        tables.visit_numbered(SrvSeq(0), head, &mut |numbered| {
            if let Numbered::Published(row, published) = numbered {
                met.meet(&row.origin, published.content());
            }
            ControlFlow::Continue(())
        })?;
        let Met { entries, of, .. } = met;
        let unmatched = met.unmatched();
        Ok(Self { view, entries, of, unmatched })
    }
}

/// The values of the view that this postoffice wants and that no entry of its list has, nor an own one.
pub fn unmatched_here(tables: &mut dyn Tables, wanted: &View) -> Stored<Vec<Unmatched>> {
    let mut met = Met::of(wanted);
    let me = tables.requestor()?.name;
    tables.visit_list(ListPlace::Live, &mut |row| {
        met.meet(row.owner, row.record);
        ControlFlow::Continue(())
    })?;
    tables.visit_own(ReqSeq(0), &mut |row| {
        met.meet(&me, row.record.as_ref());
        ControlFlow::Continue(())
    })?;
    Ok(met.unmatched())
}

/// The values that entries have, as far as a view names values of their part.
struct Met<'v> {
    view: &'v View,
    entries: u64,
    of: u64,
    types: BTreeSet<String>,
    origins: BTreeSet<PostofficeName>,
    kinds: BTreeSet<String>,
    attributes: BTreeSet<String>,
    filter: bool,
}

impl<'v> Met<'v> {
    fn of(view: &'v View) -> Self {
        Self {
            view,
            entries: 0,
            of: 0,
            types: BTreeSet::new(),
            origins: BTreeSet::new(),
            kinds: BTreeSet::new(),
            attributes: BTreeSet::new(),
            filter: false,
        }
    }

    fn meet(&mut self, owner: &PostofficeName, record: RecordRef<'_>) {
        fn add<'t>(set: &mut BTreeSet<String>, texts: impl Iterator<Item = &'t str>) {
            for text in texts {
                if !set.contains(text) {
                    set.insert(text.to_owned());
                }
            }
        }
        self.of += 1;
        self.entries += u64::from(self.view.shows(owner, record));
        if self.view.types.is_some() {
            add(&mut self.types, record.address_texts().filter_map(|text| text.split(':').next()));
        }
        if self.view.origins.is_some() && !self.origins.contains(owner) {
            self.origins.insert(owner.clone());
        }
        if self.view.kinds.is_some() {
            add(&mut self.kinds, std::iter::once(record.kind));
        }
        if self.view.attributes.is_some() {
            add(&mut self.attributes, record.detail_lines().map(|(name, _)| name));
        }
        if let Some(filter) = self.view.filter.as_ref().filter(|_| !self.filter) {
            self.filter = filter.matches(record);
        }
    }

    /// The values that no entry has; none if there are no entries at all.
    fn unmatched(&self) -> Vec<Unmatched> {
        if self.of == 0 {
            return Vec::new();
        }
        let mut unmatched = Vec::new();
        let mut look = |part, values: Vec<String>, met: Vec<String>| {
            for value in values.into_iter().filter(|value| !met.contains(value)) {
                let mut nearest = Nearest::to(&value);
                met.iter().for_each(|known| nearest.offer(known));
                unmatched.push(Unmatched { part, nearest: nearest.found(), value });
            }
        };
        fn texts<'t, T: ToString + 't>(values: impl IntoIterator<Item = &'t T>) -> Vec<String> {
            values.into_iter().map(ToString::to_string).collect()
        }
        let view = self.view;
        look("types", texts(view.types.iter().flatten()), texts(&self.types));
        let origins = view.origins.iter().flatten().filter(|origin| !self.origins.contains(origin));
        look("origins", texts(origins), texts(&self.origins));
        look("kinds", texts(view.kinds.iter().flatten()), texts(&self.kinds));
        let attributes = view.attributes.iter().flatten().map(|name| name.as_str().to_owned());
        look("attributes", attributes.collect(), texts(&self.attributes));
        if let Some(filter) = view.filter.as_ref().filter(|_| !self.filter) {
            let value = filter.to_string();
            unmatched.push(Unmatched { part: "filter", value, nearest: None });
        }
        unmatched
    }
}
