//! Publication: the list as a function of what origins submitted (`protocol.md` §5).
//!
//! Whatever is simple is published at once: an entry whose addresses nobody else wants. What is
//! contested is put aside and decided on the *result* of the batch, never transaction by
//! transaction (rule `defer`), in [`super::publication::resolve`].

mod resolve;

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{
    Bucket, BucketSums, EntryId, PostofficeName, RecordRef, SetDigest, View, ViewHash, list_element,
};
use dirsync_message::{SrvSeq, Stamp};

use crate::context::{Context, Level, ReceiveError};
use crate::delta::{ChangeNumbers, changed_parts, release_part};
use crate::guard::WINDOW_MS;
use crate::simulation::{Branch, Rule};
use crate::tables::{Hold, Published, SeenIn, ServerRow, ServerState, Stored, Tables, Tombstone};

/// A deletion that an origin asked for.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub id: EntryId,
    pub origin: PostofficeName,
    pub stamp: Stamp,
    pub approved: bool,
}

/// What is published of an entry, or was.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    owner: &'a PostofficeName,
    record: RecordRef<'a>,
    released_to: Option<&'a PostofficeName>,
    stamp: Stamp,
}

type BucketChanges = BTreeMap<Bucket, (SetDigest, SetDigest)>;

/// One batch of publication, within one transaction.
pub struct Publication {
    state: ServerState,
    saved: Option<ServerState>,
    views: Vec<(ViewHash, View)>,
    sums: Vec<BucketChanges>,
    contested: BTreeSet<EntryId>,
    deletions: Vec<Deletion>,
    /// Who held an address that somebody else wants, before this batch freed it (rule `house`).
    house: BTreeMap<String, PostofficeName>,
    now: u64,
}

impl Publication {
    /// Begins a batch at `now` (milliseconds since 1970).
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn begin(tables: &mut dyn Tables, now: u64) -> Stored<Self> {
        let views = tables.views()?;
        Ok(Self {
            state: tables.server()?.expect("only a server publishes"),
            saved: None,
            sums: vec![BucketChanges::new(); views.len()],
            views,
            contested: BTreeSet::new(),
            deletions: Vec::new(),
            house: BTreeMap::new(),
            now,
        })
    }

    /// The server's row as the batch has left it; call after [`Self::finish`].
    pub fn into_state(self) -> ServerState {
        self.state
    }

    /// Marks the beginning, beside a savepoint of the tables.
    pub(super) fn savepoint(&mut self) {
        assert!(self.contested.is_empty() && self.deletions.is_empty(), "nothing is done yet");
        self.saved = Some(self.state.clone());
    }

    /// Goes back to the beginning, beside the tables.
    pub(super) fn rollback(&mut self) {
        self.state = self.saved.take().expect("a beginning was marked");
        self.sums = vec![BucketChanges::new(); self.views.len()];
        self.contested.clear();
        self.deletions.clear();
        self.house.clear();
    }

    /// The number of a new claim on addresses.
    pub(super) fn next_claim(&mut self) -> u64 {
        self.state.claims += 1;
        self.state.claims
    }

    /// Takes a row whose submitted part was just changed. `alone`: no other origin has the id.
    pub(super) fn submitted(
        &mut self,
        tables: &mut dyn Tables,
        mut row: ServerRow,
        alone: bool,
    ) -> Stored<()> {
        if alone && self.is_simple(tables, &row)? {
            self.publish_submitted(tables, &mut row)?;
        } else {
            self.contested.insert(row.id);
        }
        tables.put_row(&row)
    }

    /// Whether a row can be published without regard to any other.
    fn is_simple(&mut self, tables: &mut dyn Tables, row: &ServerRow) -> Stored<bool> {
        let submitted = row.submitted.as_ref().expect("it was just submitted");
        if submitted.invalid.is_some()
            || submitted.released_to.is_some()
            || tables.transferred(row.id)?.is_some()
        {
            return Ok(false);
        }
        let published = row.published_record();
        if published.is_some_and(|published| published.addresses == submitted.record.addresses) {
            return Ok(true);
        }
        let new: Vec<String> = submitted.record.as_ref().address_keys().collect();
        let old: Vec<String> =
            published.map_or(Vec::new(), |record| record.address_keys().collect());
        for key in new.iter().filter(|key| !old.contains(key)) {
            if tables.claimants(key)?.iter().any(|(id, _)| *id != row.id) {
                return Ok(false);
            }
        }
        let given_up: Vec<&String> = old.iter().filter(|key| !new.contains(key)).collect();
        for key in given_up {
            self.free(tables, row.id, &row.origin, key)?;
        }
        Ok(true)
    }

    /// Notes that an address is given up: whoever waits for it is decided again.
    fn free(
        &mut self,
        tables: &mut dyn Tables,
        holder: EntryId,
        origin: &PostofficeName,
        key: &str,
    ) -> Stored<()> {
        for (id, _) in tables.claimants(key)? {
            if id != holder && Rule::Shadow.holds() {
                Branch::DecidedAgain.take();
                self.contested.insert(id);
                self.house.entry(key.to_owned()).or_insert_with(|| origin.clone());
            }
        }
        Ok(())
    }

    /// Publishes a row as it is submitted.
    fn publish_submitted(&mut self, tables: &mut dyn Tables, row: &mut ServerRow) -> Stored<()> {
        let old = row.published.take();
        let submitted = row.submitted.as_ref().expect("it is published as submitted");
        let new = Content {
            owner: &row.origin,
            record: submitted.record.as_ref(),
            released_to: submitted.released_to.as_ref(),
            stamp: submitted.stamp,
        };
        let before = old.as_ref().map(|published| {
            let record = published.record.as_ref().unwrap_or(&submitted.record).as_ref();
            let content = Content {
                owner: &row.origin,
                record,
                released_to: published.released_to.as_ref(),
                stamp: published.stamp,
            };
            (content, published)
        });
        let published = self.change(tables, row.id, before, Some(new))?;
        row.published = published;
        Ok(())
    }

    /// Takes a deletion; `row` is what the origin had submitted, if anything.
    pub(super) fn deleted(
        &mut self,
        tables: &mut dyn Tables,
        row: Option<ServerRow>,
        deletion: Deletion,
    ) -> Stored<()> {
        let others = tables.rows(deletion.id)?;
        for other in others.iter().filter(|other| other.origin != deletion.origin) {
            let offered = other.submitted.as_ref().is_some_and(|submitted| {
                submitted.released_to.as_ref() == Some(&deletion.origin)
                    && submitted.stamp < deletion.stamp
            });
            if offered {
                // A deletion of an entry on offer is a claim and a deletion. One from before the offer
                // is not, nor the end of a stub, which is older than all.
                Branch::OfferDeleted.take();
                tables.put_transferred(deletion.id, &deletion.origin)?;
            }
            self.contested.insert(deletion.id);
        }
        let Some(mut row) = row else { return Ok(()) };
        let Some(submitted) = row.submitted.take() else { return Ok(()) };
        match &mut row.published {
            Some(published) => {
                if published.record.is_none() {
                    published.record = Some(submitted.record);
                }
                tables.put_row(&row)?;
                self.deletions.push(deletion);
            }
            None => {
                tables.delete_row(row.id, &row.origin)?;
                self.contested.insert(row.id);
            }
        }
        Ok(())
    }

    /// Decides what is contested or deleted, and writes sums and numbers.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finish(
        &mut self,
        tables: &mut dyn Tables,
        context: &mut Context<'_>,
    ) -> Result<(), ReceiveError> {
        self.publish_deletions(tables, context)?;
        self.resolve(tables, context)?;
        for (at, (hash, _)) in self.views.iter().enumerate() {
            let changes: Vec<_> = self.sums[at]
                .iter()
                .filter(|(_, (added, taken))| added != taken)
                .map(|(bucket, (added, taken))| (*bucket, *added, *taken))
                .collect();
            if !changes.is_empty() {
                tables.change_view_sums(*hash, &changes)?;
            }
            self.sums[at].clear();
        }
        Ok(tables.put_server(&self.state)?)
    }

    /// Too many deletions of one origin within the window wait for a person; the rest of the batch
    /// goes on (rule `heldack`).
    fn publish_deletions(
        &mut self,
        tables: &mut dyn Tables,
        context: &mut Context<'_>,
    ) -> Stored<()> {
        let deletions = std::mem::take(&mut self.deletions);
        let Some(origin) = deletions.first().map(|deletion| deletion.origin.clone()) else {
            return Ok(());
        };
        let unapproved = deletions.iter().filter(|deletion| !deletion.approved).count() as u64;
        let since = self.now.saturating_sub(WINDOW_MS);
        let earlier: u64 = tables
            .deletion_events(&origin)?
            .iter()
            .filter(|(at, _)| *at > since)
            .map(|(_, count)| count)
            .sum();
        let entries = tables.published_count(&origin)? + earlier;
        let hold = unapproved > 0 && context.guard.exceeded(unapproved + earlier, entries);
        if hold {
            Branch::Held.take();
            context.say(
                Level::Alarm,
                "5.1",
                format!(
                    "{unapproved} deletions of {origin} are held for a person: with {earlier} \
                     earlier ones in 24 hours they are too many of {entries} entries"
                ),
            );
        } else if unapproved > 0 {
            tables.put_deletion_event(&origin, self.now, unapproved)?;
        }
        for deletion in deletions {
            let row = tables.rows(deletion.id)?.into_iter().find(|row| row.origin == origin);
            let Some(mut row) = row else { continue };
            if row.submitted.is_some() {
                continue;
            }
            if hold && !deletion.approved {
                let published = row.published.as_mut().expect("only published ones are listed");
                published.held = Some(Hold { since: self.now, rejected: false });
                tables.put_row(&row)?;
            } else if self.contested.contains(&deletion.id) {
                // Another origin has the id as well: decided together.
            } else {
                self.unpublish(tables, row)?;
            }
        }
        Ok(())
    }

    /// Removes an entry from the list, and its row.
    pub(super) fn unpublish(&mut self, tables: &mut dyn Tables, row: ServerRow) -> Stored<()> {
        let published = row.published.as_ref().expect("it is published");
        let record = row.published_record().expect("it is published");
        for key in record.address_keys() {
            self.free(tables, row.id, &row.origin, &key)?;
        }
        let before = Content {
            owner: &row.origin,
            record,
            released_to: published.released_to.as_ref(),
            stamp: published.stamp,
        };
        self.change(tables, row.id, Some((before, published)), None)?;
        tables.delete_row(row.id, &row.origin)
    }

    /// One change of the list: numbers it, keeps the sums of every view, and leaves a tombstone
    /// for a deletion. A change of nothing keeps its number: publication is a diff.
    fn change(
        &mut self,
        tables: &mut dyn Tables,
        id: EntryId,
        before: Option<(Content<'_>, &Published)>,
        after: Option<Content<'_>>,
    ) -> Stored<Option<Published>> {
        if let (Some((old, published)), Some(new)) = (&before, &after)
            && old.owner == new.owner
            && old.record == new.record
            && old.released_to == new.released_to
        {
            let stamp = new.stamp;
            return Ok(Some(Published { record: None, held: None, stamp, ..(*published).clone() }));
        }
        self.state.head = self.state.head.next();
        let number = self.state.head;
        let newly_visible = self.count(id, before.as_ref().map(|(old, _)| *old), after);
        let seen_in = self.seen_in(tables, id, &before)?;
        let Some(new) = after else {
            tables.put_tombstone(&Tombstone { id, srv_seq: number, seen_in, at: self.now })?;
            return Ok(None);
        };
        let numbers = match before {
            Some((old, published)) if old.owner == new.owner && !newly_visible => {
                let mut parts = changed_parts(old.record, new.record);
                if old.released_to != new.released_to {
                    parts.push(release_part());
                }
                let mut numbers = published.numbers.clone();
                numbers.changed(number.0, parts);
                numbers
            }
            _ => ChangeNumbers::new(number.0),
        };
        Ok(Some(Published {
            record: None,
            released_to: new.released_to.cloned(),
            stamp: new.stamp,
            numbers,
            seen_in,
            held: None,
        }))
    }

    /// Where earlier versions were visible; takes over and removes a tombstone of a former life.
    fn seen_in(
        &mut self,
        tables: &mut dyn Tables,
        id: EntryId,
        before: &Option<(Content<'_>, &Published)>,
    ) -> Stored<SeenIn> {
        let Some((old, published)) = before else {
            let tombstone = tables.tombstone(id)?;
            if tombstone.is_some() {
                Branch::Reborn.take();
                tables.delete_tombstone(id)?;
            }
            return Ok(tombstone.map(|tombstone| tombstone.seen_in).unwrap_or_default());
        };
        let mut seen = match &published.seen_in {
            _ if !Rule::HistoryAny.holds() => Default::default(),
            SeenIn::All => return Ok(SeenIn::All),
            SeenIn::Some(seen) => seen.clone(),
        };
        for (hash, view) in &self.views {
            if view.shows(old.owner, old.record) {
                seen.insert(*hash);
            }
        }
        let everywhere = self.views.iter().all(|(hash, _)| seen.contains(hash));
        Ok(if everywhere { SeenIn::All } else { SeenIn::Some(seen) })
    }

    /// Takes the old version from the sums of the views that showed it and adds the new one to
    /// those that show it. Returns whether the entry is new to a view.
    fn count(&mut self, id: EntryId, old: Option<Content<'_>>, new: Option<Content<'_>>) -> bool {
        let bucket = BucketSums::bucket(id);
        let whole = |content: Option<Content<'_>>| {
            content.map(|content| list_element(id, content.owner, content.record))
        };
        let (old_whole, new_whole) = (whole(old), whole(new));
        let mut newly_visible = false;
        for (at, (_, view)) in self.views.iter().enumerate() {
            let element = |content: Option<Content<'_>>, whole: Option<u128>| {
                let content =
                    content.filter(|content| view.shows(content.owner, content.record))?;
                match view.disclosed(content.record) {
                    Some(shown) => Some(list_element(id, content.owner, shown.as_ref())),
                    None => whole,
                }
            };
            let (old, new) = (element(old, old_whole), element(new, new_whole));
            newly_visible |= old.is_none() && new.is_some();
            if old.is_some() || new.is_some() {
                let sums = self.sums[at].entry(bucket).or_default();
                sums.0 += new.map_or(SetDigest::default(), SetDigest::one);
                sums.1 += old.map_or(SetDigest::default(), SetDigest::one);
            }
        }
        newly_visible
    }

    /// The last number given.
    pub fn head(&self) -> SrvSeq {
        self.state.head
    }

    /// Decides these entries again at [`Self::finish`].
    pub fn contest(&mut self, ids: impl IntoIterator<Item = EntryId>) {
        self.contested.extend(ids);
    }
}
