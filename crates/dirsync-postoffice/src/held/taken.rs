//! The entries of other postoffices that have addresses of additions which are held because of that.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_directory::{PostofficeName, RecordRef};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{HeldChange, ListPlace, Stored, Tables};
use schemars::JsonSchema;
use serde::Serialize;

use crate::difference::value;
use crate::json;

/// An address of a held addition that an entry of another postoffice has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TakenBy {
    /// The address.
    pub address: String,
    /// The owner of the entry that has it.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub holder: PostofficeName,
    /// The name of that entry.
    pub name: String,
}

/// The holders of addresses, by the addresses' comparison keys. Those of 100,000 additions take about 20 MB.
#[derive(Default)]
pub(super) struct Holders(BTreeMap<String, Option<(PostofficeName, String)>>);

impl Holders {
    /// Those that this postoffice's list has now for the first `most` held additions of each source, or for
    /// the rejected ones instead.
    pub(super) fn of(tables: &mut dyn Tables, rejected: bool, most: usize) -> Stored<Self> {
        let mut wanted = BTreeMap::new();
        let mut met: (String, usize) = Default::default();
        tables.visit_held_changes(&mut |held, _| {
            if held.kind != GuardKind::Taken || held.rejected != rejected {
                return ControlFlow::Continue(());
            }
            if met.0 != held.source {
                met = (held.source.clone(), 0);
            }
            met.1 += 1;
            if let Some(record) = held.record.as_ref().filter(|_| met.1 <= most) {
                wanted.extend(record.as_ref().address_keys().map(|key| (key, None)));
            }
            ControlFlow::Continue(())
        })?;
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let me = tables.requestor()?.name;
        tables.visit_list(ListPlace::Live, &mut |row| {
            if *row.owner != me {
                for key in row.record.address_keys() {
                    if let Some(holder) = wanted.get_mut(&key) {
                        *holder = Some((row.owner.clone(), value(row.record.name)));
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        wanted.retain(|_, holder| holder.is_some());
        Ok(Self(wanted))
    }

    /// The addresses of a held addition that others have.
    pub(super) fn taken(&self, held: &HeldChange) -> Vec<TakenBy> {
        let Some(record) = held.record.as_ref().filter(|_| held.kind == GuardKind::Taken) else {
            return Vec::new();
        };
        self.of_record(record.as_ref())
    }

    fn of_record(&self, record: RecordRef<'_>) -> Vec<TakenBy> {
        let addresses = record.address_texts().zip(record.address_keys());
        let taken = addresses.filter_map(|(text, key)| {
            let (holder, name) = self.0.get(&key)?.clone()?;
            Some(TakenBy { address: value(text), holder, name })
        });
        taken.collect()
    }
}
