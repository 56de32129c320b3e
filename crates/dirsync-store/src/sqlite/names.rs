//! The spellings of the names of postoffices. Rows contain their numbers instead.
//!
//! A new spelling gets the next free number, and none is ever removed. A spelling that is known
//! therefore stays valid, unless the transaction that added it is rolled back.

use std::collections::HashMap;

use dirsync_directory::PostofficeName;
use dirsync_protocol::tables::{StoreError, Stored};
use rusqlite::{Connection, params};

use super::columns::Columns;
use super::failure::failed;

/// The number of spellings that are compared before the map is searched. Most rows repeat one of
/// the last.
const RECENT: usize = 4;

/// The spellings that are known so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Each spelling with its identity, which is the number of the first spelling of the same name.
    /// The first one has the number 1.
    spellings: Vec<(PostofficeName, i64)>,
    by_text: HashMap<String, i64>,
    by_fold: HashMap<String, i64>,
    recent: [i64; RECENT],
    turn: usize,
    /// The number of statements that were executed for names.
    pub statements: u64,
}

impl Names {
    /// The number of spellings that are known.
    pub fn count(&self) -> usize {
        self.spellings.len()
    }

    /// Forgets all but the first `count` spellings, after a rollback.
    pub fn truncate(&mut self, count: usize) {
        while self.spellings.len() > count {
            let number = self.spellings.len() as i64;
            if let Some((name, identity)) = self.spellings.pop() {
                self.by_text.remove(name.as_str());
                if identity == number {
                    self.by_fold.remove(name.folded());
                }
            }
            self.recent = [0; RECENT];
        }
    }

    /// The name with a number that [`Names::ensure`] has made known.
    pub fn get(&self, action: &'static str, number: i64) -> Stored<&PostofficeName> {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let spelling = place.and_then(|place| self.spellings.get(place));
        spelling.map(|(name, _)| name).ok_or_else(|| {
            StoreError::corrupt(action, format!("no postoffice has number {number}"))
        })
    }

    /// Reads the names up to this number, if another handle has added it.
    pub fn ensure(
        &mut self,
        connection: &Connection,
        action: &'static str,
        number: i64,
    ) -> Stored<()> {
        if number > self.spellings.len() as i64 { self.load(connection, action) } else { Ok(()) }
    }

    /// The number of a name in this spelling, which is added if it is new.
    pub fn number(
        &mut self,
        connection: &Connection,
        action: &'static str,
        name: &PostofficeName,
    ) -> Stored<i64> {
        let text = name.as_str();
        for number in self.recent {
            if number > 0 && self.spellings[number as usize - 1].0.as_str() == text {
                return Ok(number);
            }
        }
        let mut number = self.by_text.get(text).copied();
        if number.is_none() {
            self.load(connection, action)?;
            number = self.by_text.get(text).copied();
        }
        let number = match number {
            Some(number) => number,
            None => self.add(connection, action, name)?,
        };
        self.recent[self.turn] = number;
        self.turn = (self.turn + 1) % RECENT;
        Ok(number)
    }

    /// The identity of the name with a number.
    pub fn identity_of(&self, number: i64) -> i64 {
        self.spellings[number as usize - 1].1
    }

    /// The identity of a postoffice in any spelling, or `None` if the database has never had its name.
    pub fn identity(
        &mut self,
        connection: &Connection,
        action: &'static str,
        name: &PostofficeName,
    ) -> Stored<Option<i64>> {
        if !self.by_fold.contains_key(name.folded()) {
            self.load(connection, action)?;
        }
        Ok(self.by_fold.get(name.folded()).copied())
    }

    /// Adds a spelling with the next free number. Only the handle that writes gets here, and it has
    /// read all earlier ones before, so the number is free.
    fn add(
        &mut self,
        connection: &Connection,
        action: &'static str,
        name: &PostofficeName,
    ) -> Stored<i64> {
        let number = self.spellings.len() as i64 + 1;
        let identity = self.by_fold.get(name.folded()).copied().unwrap_or(number);
        let sql = "INSERT INTO postoffice (no, name, folded, identity) VALUES (?1, ?2, ?3, ?4)";
        self.statements += 1;
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.execute(params![number, name.as_str(), name.folded(), identity])
            })
            .map_err(failed(action))?;
        self.learn(name.clone(), identity);
        Ok(number)
    }

    /// Takes up the next spelling.
    fn learn(&mut self, name: PostofficeName, identity: i64) {
        let number = self.spellings.len() as i64 + 1;
        self.by_text.insert(name.as_str().into(), number);
        self.by_fold.entry(name.folded().into()).or_insert(identity);
        self.spellings.push((name, identity));
    }

    /// Reads the names that other handles have added.
    fn load(&mut self, connection: &Connection, action: &'static str) -> Stored<()> {
        let sql = "SELECT no, name, identity FROM postoffice WHERE no > ?1 ORDER BY no";
        self.statements += 1;
        let mut statement = connection.prepare_cached(sql).map_err(failed(action))?;
        let mut rows = statement.query([self.count() as i64]).map_err(failed(action))?;
        while let Some(row) = rows.next().map_err(failed(action))? {
            let mut columns = Columns::new(action, row);
            let (number, name, identity) =
                (columns.integer()?, columns.parsed()?, columns.integer()?);
            if number != self.count() as i64 + 1 || !(1..=number).contains(&identity) {
                let what = format!("postoffice {number} has a wrong number or identity");
                return Err(StoreError::corrupt(action, what));
            }
            self.learn(name, identity);
        }
        Ok(())
    }
}

impl Columns<'_, '_> {
    /// The name of a postoffice, which is stored as a number.
    pub fn name<'n>(
        &mut self,
        names: &'n mut Names,
        connection: &Connection,
    ) -> Stored<&'n PostofficeName> {
        let number = self.integer()?;
        names.ensure(connection, self.action, number)?;
        names.get(self.action, number)
    }

    /// The name of a postoffice, or `None` for null.
    pub fn optional_name(
        &mut self,
        names: &mut Names,
        connection: &Connection,
    ) -> Stored<Option<PostofficeName>> {
        let Some(number) = self.optional_integer()? else { return Ok(None) };
        names.ensure(connection, self.action, number)?;
        names.get(self.action, number).cloned().map(Some)
    }
}
