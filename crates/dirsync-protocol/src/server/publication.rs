//! Publication: the list as a function of the submitted sets (the P rows of `docs/protocol.md`).
//!
//! A simple entry — nobody else wants its addresses — is published at once. Contested entries are put
//! aside and decided on the *result* of the batch, never transaction by transaction (rule `defer`), in
//! [`resolve`].

mod contender;
mod grant;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dirsync_directory::{
    Bucket, BucketSums, EntryId, PostofficeName, RecordRef, SetDigest, View, ViewHash,
    list_element, plural,
};
use dirsync_message::{SrvSeq, Stamp};

use super::case::Case;
use crate::context::Level;
use crate::delta::{ChangeNumbers, changed_parts, release_part};
use crate::guard::WINDOW_MS;
use crate::row::Row;
use crate::simulation::{Branch, CHECKED, Rule};
use crate::tables::{
    Hold, Published, SeenIn, ServerRow, ServerState, Stored, Submitted, Tables, Tombstone,
};

/// A deletion that an origin asked for.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub id: EntryId,
    pub origin: PostofficeName,
    pub stamp: Stamp,
    pub approved: bool,
}

/// A deletion of the batch's origin, as small as can be: a batch may delete a million entries.
struct Deleted {
    id: EntryId,
    approved: bool,
}

/// An entry of the list as it was before a change.
#[derive(Clone, Copy)]
struct Listed<'a> {
    owner: &'a PostofficeName,
    published: &'a Published,
}

/// The owner and the content of an entry: the part that its element in a digest is made of.
type Content<'a> = (&'a PostofficeName, RecordRef<'a>);

impl<'a> Listed<'a> {
    /// The list's entry that a row stands for, if it is published.
    fn of(row: &'a ServerRow) -> Option<Self> {
        Some(Self { owner: &row.origin, published: row.published.as_ref()? })
    }

    fn content(self) -> Content<'a> {
        (self.owner, self.published.content())
    }
}

/// What a batch adds to and takes from the sums of one view.
#[derive(Default)]
struct ViewChanges(BTreeMap<Bucket, (SetDigest, SetDigest)>);

impl ViewChanges {
    fn add(&mut self, id: EntryId, old: Option<u128>, new: Option<u128>) {
        let sums = self.0.entry(BucketSums::bucket(id)).or_default();
        sums.0 += new.map_or(SetDigest::default(), SetDigest::one);
        sums.1 += old.map_or(SetDigest::default(), SetDigest::one);
    }
}

/// One batch of publication, within one transaction.
pub(super) struct Publication<'p, 'a> {
    case: &'p mut Case<'a>,
    views: Vec<(ViewHash, View, ViewChanges)>,
    contested: BTreeSet<EntryId>,
    /// The one origin of the batch, once it has deleted something.
    deletes: Option<PostofficeName>,
    deletions: Vec<Deleted>,
    /// Who held an address that somebody else wants, before this batch freed it (rule `house`).
    house: BTreeMap<String, PostofficeName>,
}

/// The server's row as it was at [`Publication::savepoint`].
pub(super) struct Saved(ServerState);

impl<'p, 'a> Publication<'p, 'a> {
    /// Begins a batch.
    pub(super) fn begin(case: &'p mut Case<'a>) -> Stored<Self> {
        let views = case.tables.views()?;
        Ok(Self {
            case,
            views: views.into_iter().map(|(hash, view)| (hash, view, Default::default())).collect(),
            contested: BTreeSet::new(),
            deletes: None,
            deletions: Vec::new(),
            house: BTreeMap::new(),
        })
    }

    /// The tables, for reading and for writing what publication does not keep.
    pub(super) fn tables(&mut self) -> &mut dyn Tables {
        &mut *self.case.tables
    }

    /// Adds a log line.
    pub(super) fn say(&mut self, level: Level, row: Row, text: String) {
        self.case.say(level, row, text);
    }

    /// Marks the beginning, to go back to.
    pub(super) fn savepoint(&mut self) -> Stored<Saved> {
        assert!(self.contested.is_empty() && self.deletions.is_empty(), "nothing is done yet");
        self.case.tables.savepoint()?;
        Ok(Saved(self.case.server.clone()))
    }

    /// Keeps everything since the savepoint.
    pub(super) fn release_savepoint(&mut self) -> Stored<()> {
        self.case.tables.release_savepoint()
    }

    /// Undoes everything since the savepoint.
    pub(super) fn rollback(&mut self, saved: Saved) -> Stored<()> {
        self.case.tables.rollback_savepoint()?;
        self.case.server = saved.0;
        for (_, _, changes) in &mut self.views {
            changes.0.clear();
        }
        self.contested.clear();
        self.deletes = None;
        self.deletions.clear();
        self.house.clear();
        Ok(())
    }

    /// The number of a new claim on addresses.
    pub(super) fn next_claim(&mut self) -> u64 {
        self.case.server.claims += 1;
        self.case.server.claims
    }

    /// Decides these entries again at [`Self::finish`].
    pub(super) fn contest(&mut self, ids: impl IntoIterator<Item = EntryId>) {
        self.contested.extend(ids);
    }

    /// Takes the new submitted part of a row. `alone`: no other origin has the id.
    pub(super) fn submitted(
        &mut self,
        mut row: ServerRow,
        new: Submitted,
        alone: bool,
    ) -> Stored<()> {
        if alone && self.is_simple(&row, &new)? {
            row.published = Some(self.publish(row.id, Listed::of(&row), &row.origin, &new)?);
        } else {
            self.contested.insert(row.id);
        }
        row.submitted = Some(new);
        self.case.tables.put_row(&row)
    }

    /// P7: whether a row can be published without regard to any other.
    fn is_simple(&mut self, row: &ServerRow, new: &Submitted) -> Stored<bool> {
        if new.invalid.is_some()
            || new.released_to.is_some()
            || self.case.tables.transferred(row.id)?.is_some()
        {
            return Ok(false);
        }
        let published = row.published.as_ref().map(|published| published.content());
        if published.is_some_and(|published| published.addresses == new.record.addresses) {
            return Ok(true);
        }
        let wanted: Vec<String> = new.content().address_keys().collect();
        let held: Vec<String> =
            published.map_or(Vec::new(), |record| record.address_keys().collect());
        for key in wanted.iter().filter(|key| !held.contains(key)) {
            if self.case.tables.is_claimed_by_other(key, row.id)? {
                return Ok(false);
            }
        }
        for key in held.iter().filter(|key| !wanted.contains(key)) {
            self.free(row.id, &row.origin, key)?;
        }
        Ok(true)
    }

    /// P14: an address is given up: the entries that wait for it are decided again.
    fn free(&mut self, holder: EntryId, origin: &PostofficeName, key: &str) -> Stored<()> {
        for (id, _) in self.case.tables.claimants(key)? {
            if id != holder && Rule::Shadow.holds() {
                Branch::DecidedAgain.take();
                self.contested.insert(id);
                self.house.entry(key.to_owned()).or_insert_with(|| origin.clone());
            }
        }
        Ok(())
    }

    /// Takes a deletion; `row` is the origin's row, if it has one.
    pub(super) fn deleted(&mut self, row: Option<ServerRow>, deletion: Deletion) -> Stored<()> {
        let others = self.case.tables.rows(deletion.id)?;
        for other in others.iter().filter(|other| other.origin != deletion.origin) {
            let is_offered = other.submitted.as_ref().is_some_and(|submitted| {
                submitted.released_to.as_ref() == Some(&deletion.origin)
                    && submitted.stamp < deletion.stamp
            });
            if is_offered {
                // P19: a deletion of an entry on offer is a claim and a deletion. One from before the offer
                // is not, nor the end of a stub, which is older than all.
                Branch::OfferDeleted.take();
                self.case.tables.put_transferred(deletion.id, &deletion.origin)?;
            }
            self.contested.insert(deletion.id);
        }
        let Some(mut row) = row else { return Ok(()) };
        assert_eq!(
            (row.id, &row.origin),
            (deletion.id, &deletion.origin),
            "it is the origin's row"
        );
        if row.submitted.take().is_none() {
            return Ok(());
        }
        if row.published.is_some() {
            self.case.tables.put_row(&row)?;
            let origin = self.deletes.get_or_insert_with(|| deletion.origin.clone());
            assert_eq!(*origin, deletion.origin, "a batch has one origin");
            self.deletions.push(Deleted { id: deletion.id, approved: deletion.approved });
        } else {
            self.case.tables.delete_row(row.id, &row.origin)?;
            self.contested.insert(row.id);
        }
        Ok(())
    }

    /// Decides the contested and deleted entries, and writes sums and numbers.
    pub(super) fn finish(mut self) -> Stored<()> {
        self.publish_deletions()?;
        self.resolve()?;
        assert!(self.deletions.is_empty() && self.contested.is_empty(), "everything is decided");
        for (hash, _, changes) in &self.views {
            let changes: Vec<_> = changes
                .0
                .iter()
                .filter(|(_, (added, taken))| added != taken)
                .map(|(bucket, (added, taken))| (*bucket, *added, *taken))
                .collect();
            if changes.is_empty() {
                continue;
            }
            let before = if CHECKED {
                self.case.tables.view_sums(*hash)?.total()
            } else {
                Default::default()
            };
            self.case.tables.change_view_sums(*hash, &changes)?;
            if CHECKED {
                let mut expected = before;
                for (_, added, taken) in changes {
                    expected += added;
                    expected -= taken;
                }
                let written = self.case.tables.view_sums(*hash)?.total();
                assert_eq!(written, expected, "the sums of view {hash} follow the list");
            }
        }
        self.case.save()
    }

    /// G1: too many deletions of one origin within the window wait for a person; the rest of the batch
    /// goes on (rule `heldack`).
    fn publish_deletions(&mut self) -> Stored<()> {
        let deletions = std::mem::take(&mut self.deletions);
        let Some(origin) = self.deletes.take() else { return Ok(()) };
        let now = self.case.context.now;
        let holds = self.holds_deletions(&origin, &deletions)?;
        for deletion in deletions {
            let row =
                self.case.tables.rows(deletion.id)?.into_iter().find(|row| row.origin == origin);
            let Some(mut row) = row else { continue };
            let (None, Some(published)) = (&row.submitted, &mut row.published) else { continue };
            if holds && !deletion.approved {
                published.held = Some(Hold { since: now, rejected: false });
                self.case.tables.put_row(&row)?;
            } else if !self.contested.contains(&deletion.id) {
                // Where another origin has the id as well, both are decided together.
                self.unpublish(row)?;
            }
        }
        Ok(())
    }

    /// Whether the deletions that no person approved are too many, together with those of the window
    /// that were published already. Those that are not too many are counted in it.
    fn holds_deletions(&mut self, origin: &PostofficeName, deletions: &[Deleted]) -> Stored<bool> {
        let unapproved = deletions.iter().filter(|deletion| !deletion.approved).count() as u64;
        if unapproved == 0 {
            return Ok(false);
        }
        let Case { tables, context, .. } = &mut *self.case;
        let since = context.now.saturating_sub(WINDOW_MS);
        let earlier: u64 = tables
            .deletion_events(origin)?
            .iter()
            .filter(|(at, _)| *at > since)
            .map(|(_, count)| count)
            .sum();
        let entries = tables.published_count(origin)? + earlier;
        if !context.guard.exceeded(unapproved + earlier, entries) {
            tables.put_deletion_event(origin, context.now, unapproved)?;
            return Ok(false);
        }
        Branch::Held.take();
        context.say(
            Level::Alarm,
            Row::G1,
            format!(
                "{} held for a person: with {} in 24 hours too many of {}",
                plural(
                    unapproved,
                    &format!("deletion of {origin} is"),
                    &format!("deletions of {origin} are")
                ),
                plural(earlier, "earlier one", "earlier ones"),
                plural(entries, "entry", "entries")
            ),
        );
        Ok(true)
    }

    /// Takes an entry out of the list. The row goes as well, unless its origin submits it still: then it
    /// stays as a stub.
    fn unpublish(&mut self, mut row: ServerRow) -> Stored<()> {
        if let Some(published) = row.published.take() {
            for key in published.content().address_keys() {
                self.free(row.id, &row.origin, &key)?;
            }
            self.delist(row.id, Listed { owner: &row.origin, published: &published })?;
        }
        self.put_or_delete(&row)
    }

    /// Writes a row that lost its published part.
    fn put_or_delete(&mut self, row: &ServerRow) -> Stored<()> {
        assert!(row.published.is_none(), "it has left the list");
        match row.submitted {
            Some(_) => self.case.tables.put_row(row),
            None => self.case.tables.delete_row(row.id, &row.origin),
        }
    }

    fn next_number(&mut self) -> SrvSeq {
        self.case.server.head = self.case.server.head.next();
        self.case.server.head
    }

    /// Puts an entry as its origin submitted it in the place of an earlier version: numbers the change and
    /// keeps the sums of every view (P16). A change of nothing keeps its number: publication is a diff (P15).
    fn publish(
        &mut self,
        id: EntryId,
        before: Option<Listed<'_>>,
        owner: &PostofficeName,
        new: &Submitted,
    ) -> Stored<Published> {
        assert!(new.invalid.is_none(), "only valid content is published");
        let record = Arc::clone(&new.record);
        if let Some(Listed { owner: old_owner, published: old }) = before
            && old_owner == owner
            && old.record == new.record
            && old.released_to == new.released_to
        {
            return Ok(Published { record, held: None, stamp: new.stamp, ..old.clone() });
        }
        let number = self.next_number();
        let is_new_somewhere =
            self.count(id, before.map(Listed::content), Some((owner, new.content())));
        let seen_in = self.seen_in(id, before)?;
        let numbers = match before {
            Some(Listed { owner: old_owner, published: old })
                if old_owner == owner && !is_new_somewhere =>
            {
                assert!(old.numbers.last <= number.0, "numbers rise");
                let mut parts = changed_parts(old.content(), new.content());
                if old.released_to != new.released_to {
                    parts.push(release_part());
                }
                let mut numbers = old.numbers.clone();
                numbers.changed(number.0, parts);
                numbers
            }
            _ => ChangeNumbers::new(number.0),
        };
        Ok(Published {
            record,
            released_to: new.released_to.clone(),
            stamp: new.stamp,
            numbers,
            seen_in,
            held: None,
        })
    }

    /// Removes an entry from the list: numbers the deletion, keeps the sums, and leaves a tombstone.
    fn delist(&mut self, id: EntryId, old: Listed<'_>) -> Stored<()> {
        let srv_seq = self.next_number();
        self.count(id, Some(old.content()), None);
        let seen_in = self.seen_in(id, Some(old))?;
        let at = self.case.context.now;
        self.case.tables.put_tombstone(&Tombstone { id, srv_seq, seen_in, at })
    }

    /// Where earlier versions were visible; takes over and removes a tombstone of the entry.
    fn seen_in(&mut self, id: EntryId, before: Option<Listed<'_>>) -> Stored<SeenIn> {
        let Some(Listed { owner, published }) = before else {
            let tombstone = self.case.tables.tombstone(id)?;
            if tombstone.is_some() {
                Branch::Reborn.take();
                self.case.tables.delete_tombstone(id)?;
            }
            return Ok(tombstone.map(|tombstone| tombstone.seen_in).unwrap_or_default());
        };
        let mut seen = match &published.seen_in {
            _ if !Rule::HistoryAny.holds() => Default::default(),
            SeenIn::All => return Ok(SeenIn::All),
            SeenIn::Some(seen) => seen.clone(),
        };
        for (hash, view, _) in &self.views {
            if view.shows(owner, published.content()) {
                seen.insert(*hash);
            }
        }
        let everywhere = self.views.iter().all(|(hash, ..)| seen.contains(hash));
        Ok(if everywhere { SeenIn::All } else { SeenIn::Some(seen) })
    }

    /// Takes the old version from the sums of the views that showed it and adds the new one to those
    /// that show it: every change of the list passes here. Returns whether the entry is new to a view.
    fn count(&mut self, id: EntryId, old: Option<Content<'_>>, new: Option<Content<'_>>) -> bool {
        let whole = |content: Option<Content<'_>>| {
            content.map(|(owner, record)| list_element(id, owner, record))
        };
        let (old_whole, new_whole) = (whole(old), whole(new));
        let mut is_new_somewhere = false;
        for (_, view, changes) in &mut self.views {
            let element = |content: Option<Content<'_>>, whole: Option<u128>| {
                let (owner, record) =
                    content.filter(|(owner, record)| view.shows(owner, *record))?;
                match view.disclosed(record) {
                    Some(shown) => Some(list_element(id, owner, shown.as_ref())),
                    None => whole,
                }
            };
            let (old, new) = (element(old, old_whole), element(new, new_whole));
            is_new_somewhere |= old.is_none() && new.is_some();
            if old.is_some() || new.is_some() {
                changes.add(id, old, new);
            }
        }
        is_new_somewhere
    }
}
