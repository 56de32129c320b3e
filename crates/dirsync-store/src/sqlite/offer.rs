//! The entries that other postoffices release to this one, as the server sent them.

use dirsync_directory::Record;
use dirsync_message::{Offer, Stamp};
use dirsync_protocol::tables::Stored;
use rusqlite::params;

use super::columns::{Columns, integer};
use super::transaction::SqliteTransaction;

impl SqliteTransaction<'_> {
    pub(super) fn read_offers(&mut self) -> Stored<Vec<Offer>> {
        let sql = "SELECT id, stamp, owner, first_origin, key, kind, name, addresses, details \
                   FROM offer ORDER BY place";
        self.all("read the offers", sql, [], |columns, _| read_offer(columns))
    }

    pub(super) fn write_offers(&mut self, offers: &[Offer]) -> Stored<()> {
        let action = "write the offers";
        self.execute(action, "DELETE FROM offer", [])?;
        let sql = "INSERT INTO offer (place, id, stamp, owner, first_origin, key, kind, name, \
                   addresses, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        for (place, offer) in (1i64..).zip(offers) {
            let Record { kind, name, addresses, details } = &offer.record;
            let params = params![
                place,
                offer.id.as_bytes(),
                integer(action, offer.stamp.0)?,
                offer.owner.as_str(),
                offer.first_origin.as_str(),
                offer.key,
                kind,
                name,
                addresses,
                details,
            ];
            self.execute(action, sql, params)?;
        }
        Ok(())
    }
}

fn read_offer(columns: &mut Columns<'_, '_>) -> Stored<Offer> {
    Ok(Offer {
        id: columns.id()?,
        stamp: Stamp(columns.number()?),
        owner: columns.parsed()?,
        first_origin: columns.parsed()?,
        key: columns.text()?.into(),
        record: Record {
            kind: columns.text()?.into(),
            name: columns.text()?.into(),
            addresses: columns.text()?.into(),
            details: columns.text()?.into(),
        },
    })
}
