//! The state that one step of the server works on.

use dirsync_message::{Instance, ServerEpoch};

use crate::context::{Context, Level};
use crate::row::Row;
use crate::tables::{Registration, ServerState, StoreError, Stored, Tables};

/// One step of the server within one transaction: its tables, time and log, and the server's row.
///
/// The row has one owner: it is read by [`Case::begin`], changed in place, and written by [`Case::save`].
/// Steps that need no log or random token read the row from the tables, and forgetting writes it there.
pub(super) struct Case<'a> {
    pub(super) tables: &'a mut dyn Tables,
    pub(super) context: Context<'a>,
    pub(super) server: ServerState,
    stored: ServerState,
}

impl<'a> Case<'a> {
    /// Reads the server's row; `None` if this postoffice is no directory server.
    pub(super) fn begin(
        tables: &'a mut dyn Tables,
        context: &'a mut Context<'_>,
    ) -> Stored<Option<Self>> {
        let Some(server) = tables.server()? else { return Ok(None) };
        if server.horizon > server.head {
            let why = "numbers are forgotten that were never given";
            return Err(StoreError::corrupt("read the server's row", why));
        }
        Ok(Some(Self { tables, context: context.reborrow(), stored: server.clone(), server }))
    }

    /// Writes the server's row, if it changed.
    pub(super) fn save(&mut self) -> Stored<()> {
        if self.server == self.stored {
            return Ok(());
        }
        let (old, new) = (&self.stored, &self.server);
        assert!(
            new.head >= old.head && new.horizon >= old.horizon,
            "the numbering never goes back"
        );
        assert!(new.claims >= old.claims, "a claim keeps its number");
        assert!(new.horizon <= new.head, "only numbers that were given can be forgotten");
        assert!(new.epoch.generation >= old.epoch.generation, "epochs follow one another");
        self.tables.put_server(&self.server)?;
        self.stored = self.server.clone();
        Ok(())
    }

    /// Adds a log line.
    pub(super) fn say(&mut self, level: Level, row: Row, text: impl Into<String>) {
        self.context.say(level, row, text);
    }

    /// A2: a new epoch of this server, newer than its own and than `over`. Requestors whose position is
    /// not known keep their lists until every origin has spoken.
    ///
    /// The registrations in the tables are changed; the caller has to call
    /// [`Registration::begin_epoch`] for one that it holds.
    pub(super) fn begin_epoch(&mut self, over: ServerEpoch, instance: Instance) -> Stored<()> {
        let old = self.server.epoch;
        let Some(generation) = old.generation_after(&over) else {
            let why = format!("the generation of {old} is the last one there is");
            return Err(StoreError::corrupt("begin a new server epoch", why));
        };
        let random = self.context.draws.number();
        let epoch = ServerEpoch { generation, instance, random };
        assert!(epoch.is_newer_than(&old) && epoch.is_newer_than(&over), "it is newer than both");
        self.server.epoch = epoch;
        self.server.recovering = true;
        for mut registration in self.tables.registrations()? {
            registration.begin_epoch();
            self.tables.put_registration(&registration)?;
        }
        self.say(Level::Alarm, Row::A2, format!("a new server epoch begins: {epoch}"));
        Ok(())
    }
}

impl Registration {
    /// In a new epoch of the server nobody has spoken yet.
    pub(super) fn begin_epoch(&mut self) {
        self.spoke_in = None;
    }
}
