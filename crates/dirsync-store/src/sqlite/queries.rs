//! All SQL that runs inside transactions.
//!
//! Parameters are positional. What hot queries cost is kept in `testdata/query-plans.txt`.

use dirsync_protocol::tables::ListPlace;

macro_rules! queries {
    ($($name:ident = $sql:expr;)*) => {
        /// A statement by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Query {
            $($name,)*
        }

        impl Query {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The statement's text.
            pub fn sql(self) -> &'static str {
                match self {
                    $(Self::$name => $sql,)*
                }
            }
        }
    };
}

/// The columns of a row of a list, in the order in which they are written and read.
macro_rules! list_columns {
    () => {
        "id, owner, first_origin, key, srv_seq, stamp, released_to, kind, name, addresses, details"
    };
}

/// The columns of an own entry.
macro_rules! own_columns {
    () => {
        "id, element, source, first_origin, key, kind, name, addresses, details, last, whole, \
         parts, stamp, released_to"
    };
}

/// The columns of a server's row that every row has, in the order in which they are read.
macro_rules! entry_columns {
    () => {
        "row, id, origin, first_origin, key, unsettled, srv_seq, whole, parts, pub_stamp, \
         seen_in, stamp, claim, kind, name, addresses, details"
    };
}

/// The columns of a server's row that few rows have.
macro_rules! rare_columns {
    () => {
        "released_to, invalid, pub_released_to, held_since, held_rejected, pub_kind, pub_name, \
         pub_addresses, pub_details"
    };
}

/// The columns of a registration.
macro_rules! registration_columns {
    () => {
        "name, state, key, invitation_hash, invitation_expires, carrier, view_allowed, \
         view_wanted, epoch, retired, applied, request_no, request_id, answer_due, send_own, \
         challenge, side_answers, point, list_digest, list_bad, bucket_bits, buckets, spoke_in, \
         own_digest, last_contact, version, held, quarantined, clock"
    };
}

queries! {
    Requestor = "SELECT name, server, epoch, lineage, epoch_accepted, req_seq, req_sync, \
        last_stamp, request_no, last_answer, sent, epoch_heard, point, list_digest, own_digest, \
        staging_point, staging_view, staging_answers, staging_digest, list_bad, send_buckets, \
        view_wanted, view, mode, mode_base, mode_challenge, secret FROM requestor";
    PutRequestor = "INSERT OR REPLACE INTO requestor (one, name, server, epoch, lineage, \
        epoch_accepted, req_seq, req_sync, last_stamp, request_no, last_answer, sent, \
        epoch_heard, point, list_digest, own_digest, staging_point, staging_view, \
        staging_answers, staging_digest, list_bad, send_buckets, view_wanted, view, mode, \
        mode_base, mode_challenge, secret) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

    Own = concat!("SELECT ", own_columns!(), " FROM own WHERE id = ?1");
    OwnAfter = concat!("SELECT ", own_columns!(), " FROM own WHERE last > ?1 ORDER BY last");
    OwnElements = "SELECT id, element, source FROM own";
    PutOwn = concat!("INSERT INTO own (", own_columns!(), ") \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
        ON CONFLICT (id) DO UPDATE SET element = ?2, source = ?3, first_origin = ?4, key = ?5, \
        kind = ?6, name = ?7, addresses = ?8, details = ?9, last = ?10, whole = ?11, \
        parts = ?12, stamp = ?13, released_to = ?14");
    DeleteOwn = "DELETE FROM own WHERE id = ?1";
    OwnTombstone = "SELECT id, req_seq, stamp, approved FROM own_tombstone WHERE id = ?1";
    OwnTombstonesAfter = "SELECT id, req_seq, stamp, approved FROM own_tombstone \
        WHERE req_seq > ?1 ORDER BY req_seq, id";
    PutOwnTombstone = "INSERT OR REPLACE INTO own_tombstone (id, req_seq, stamp, approved) \
        VALUES (?1, ?2, ?3, ?4)";
    DeleteOwnTombstone = "DELETE FROM own_tombstone WHERE id = ?1";
    AdoptedId = "SELECT id FROM adopted WHERE source = ?1 AND key = ?2";
    PutAdoptedId = "INSERT OR REPLACE INTO adopted (source, key, id) VALUES (?1, ?2, ?3)";
    DeleteAdoptedId = "DELETE FROM adopted WHERE source = ?1 AND key = ?2";

    LivePlace = "SELECT live FROM list_place";
    SwapPlaces = "UPDATE list_place SET live = 1 - live";
    ListRowA = concat!("SELECT ", list_columns!(), " FROM list_a WHERE id = ?1");
    ListRowB = concat!("SELECT ", list_columns!(), " FROM list_b WHERE id = ?1");
    ListRowsA = concat!("SELECT ", list_columns!(), " FROM list_a ORDER BY row");
    ListRowsB = concat!("SELECT ", list_columns!(), " FROM list_b ORDER BY row");
    ListByNameA = concat!("SELECT ", list_columns!(), " FROM list_a ORDER BY name, id");
    ListByNameB = concat!("SELECT ", list_columns!(), " FROM list_b ORDER BY name, id");
    AppendListRowA = concat!("INSERT INTO list_a (", list_columns!(), ") \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    AppendListRowB = concat!("INSERT INTO list_b (", list_columns!(), ") \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    PutListRowA = concat!("INSERT OR REPLACE INTO list_a (", list_columns!(), ") \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    PutListRowB = concat!("INSERT OR REPLACE INTO list_b (", list_columns!(), ") \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    DeleteListRowA = "DELETE FROM list_a WHERE id = ?1";
    DeleteListRowB = "DELETE FROM list_b WHERE id = ?1";
    ClearListA = "DELETE FROM list_a";
    ClearListB = "DELETE FROM list_b";
    ListIsEmptyA = "SELECT NOT EXISTS (SELECT 1 FROM list_a)";
    ListIsEmptyB = "SELECT NOT EXISTS (SELECT 1 FROM list_b)";
    DropIndexA = "DROP INDEX list_a_id";
    DropIndexB = "DROP INDEX list_b_id";
    CreateIndexA = "CREATE UNIQUE INDEX list_a_id ON list_a (id)";
    CreateIndexB = "CREATE UNIQUE INDEX list_b_id ON list_b (id)";
    ListBuckets = "SELECT bucket, count, sum FROM list_bucket WHERE list = ?1 ORDER BY bucket";
    ListBucket = "SELECT count, sum FROM list_bucket WHERE list = ?1 AND bucket = ?2";
    PutListBucket = "INSERT OR REPLACE INTO list_bucket (list, bucket, count, sum) \
        VALUES (?1, ?2, ?3, ?4)";
    DeleteListBucket = "DELETE FROM list_bucket WHERE list = ?1 AND bucket = ?2";
    ClearListBuckets = "DELETE FROM list_bucket WHERE list = ?1";

    Outcomes = "SELECT id, kind, address, postoffice, reason FROM outcome ORDER BY position";
    ClearOutcomes = "DELETE FROM outcome";
    AddOutcome = "INSERT INTO outcome (id, kind, address, postoffice, reason) \
        VALUES (?1, ?2, ?3, ?4, ?5)";
    HeldChanges = "SELECT id, source, kind, key, since, rejected, entry_kind, name, addresses, \
        details FROM held_change ORDER BY key, id";
    PutHeldChange = "INSERT OR REPLACE INTO held_change (id, source, kind, key, since, rejected, \
        entry_kind, name, addresses, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    DeleteHeldChange = "DELETE FROM held_change WHERE id = ?1";
    GuardEvents = "SELECT at, kind, count FROM guard_event WHERE source = ?1 \
        ORDER BY at, kind, count";
    AddGuardEvent = "INSERT INTO guard_event (source, at, kind, count) VALUES (?1, ?2, ?3, ?4)";
    PurgeGuardEvents = "DELETE FROM guard_event WHERE at < ?1";
    SourceMemory = "SELECT good_rows, read_at, settings, seen FROM source WHERE name = ?1";
    PutSourceMemory = "INSERT OR REPLACE INTO source (name, good_rows, read_at, settings, seen) \
        VALUES (?1, ?2, ?3, ?4, ?5)";

    Server = "SELECT epoch, head, horizon, recovering, fenced, cycle, claims, last_run FROM server";
    PutServer = "INSERT OR REPLACE INTO server (one, epoch, head, horizon, recovering, fenced, \
        cycle, claims, last_run) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)";
    Registrations = concat!("SELECT ", registration_columns!(), " FROM registration \
        ORDER BY folded");
    Registration = concat!("SELECT ", registration_columns!(), " FROM registration \
        WHERE folded = ?1");
    PutRegistration = concat!("INSERT OR REPLACE INTO registration (folded, ",
        registration_columns!(), ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

    Entries = concat!("SELECT ", entry_columns!(), " FROM entry WHERE id = ?1");
    EntriesOfOrigin = concat!("SELECT ", entry_columns!(), " FROM entry \
        WHERE origin = ?1 AND stamp IS NOT NULL");
    UnsettledEntries = concat!("SELECT ", entry_columns!(), " FROM entry WHERE unsettled = 1");
    NumberedEntries = concat!("SELECT ", entry_columns!(), " FROM entry \
        WHERE srv_seq > ?1 AND srv_seq <= ?2 ORDER BY srv_seq");
    RareColumns = concat!("SELECT ", rare_columns!(), " FROM entry WHERE row = ?1");
    EntryAddresses = "SELECT row, origin, first_origin, key, addresses, pub_addresses \
        FROM entry WHERE id = ?1";
    AddEntry = concat!("INSERT INTO entry (unsettled, srv_seq, whole, parts, pub_stamp, seen_in, \
        stamp, claim, kind, name, addresses, details, ", rare_columns!(), ", id, origin, \
        first_origin, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \
        ?, ?, ?, ?)");
    ChangeEntry = "UPDATE entry SET unsettled = ?, srv_seq = ?, whole = ?, parts = ?, \
        pub_stamp = ?, seen_in = ?, stamp = ?, claim = ?, kind = ?, name = ?, addresses = ?, \
        details = ?, released_to = ?, invalid = ?, pub_released_to = ?, held_since = ?, \
        held_rejected = ?, pub_kind = ?, pub_name = ?, pub_addresses = ?, pub_details = ? \
        WHERE row = ?";
    RenameEntry = "UPDATE entry SET origin = ?1, first_origin = ?2, key = ?3 WHERE row = ?4";
    DeleteEntry = "DELETE FROM entry WHERE row = ?1";
    PublishedCount = "SELECT count(*) FROM entry WHERE origin = ?1 AND (srv_seq IS NULL) = 0";
    PurgeSights = "UPDATE entry SET seen_in = NULL WHERE srv_seq <= ?1 AND seen_in IS NOT NULL";
    Claimants = "SELECT entry.id, entry.origin, entry.addresses, entry.pub_addresses \
        FROM address CROSS JOIN entry ON entry.row = address.row WHERE address.hash = ?1";
    AddAddress = "INSERT INTO address (hash, row) VALUES (?1, ?2)";
    DeleteAddress = "DELETE FROM address WHERE hash = ?1 AND row = ?2";

    Tombstone = "SELECT id, srv_seq, seen_in, at FROM tombstone WHERE id = ?1";
    NumberedTombstones = "SELECT id, srv_seq, seen_in, at FROM tombstone \
        WHERE srv_seq > ?1 AND srv_seq <= ?2 ORDER BY srv_seq, id";
    PutTombstone = "INSERT OR REPLACE INTO tombstone (id, srv_seq, seen_in, at) \
        VALUES (?1, ?2, ?3, ?4)";
    DeleteTombstone = "DELETE FROM tombstone WHERE id = ?1";
    PurgeTombstones = "DELETE FROM tombstone WHERE srv_seq <= ?1";
    SubmittedTombstone = "SELECT stamp FROM submitted_tombstone WHERE origin = ?1 AND id = ?2";
    SubmittedTombstones = "SELECT id, stamp FROM submitted_tombstone WHERE origin = ?1";
    PutSubmittedTombstone = "INSERT OR REPLACE INTO submitted_tombstone (origin, id, stamp) \
        VALUES (?1, ?2, ?3)";
    DeleteSubmittedTombstone = "DELETE FROM submitted_tombstone WHERE origin = ?1 AND id = ?2";
    Transferred = "SELECT owner FROM transferred WHERE id = ?1";
    PutTransferred = "INSERT OR REPLACE INTO transferred (id, owner) VALUES (?1, ?2)";

    IssuedPoint = "SELECT mark, digest FROM point \
        WHERE epoch = ?1 AND srv_seq = ?2 AND view = ?3 AND complete = ?4";
    PutIssuedPoint = "INSERT OR REPLACE INTO point (epoch, srv_seq, view, complete, mark, digest) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    Views = "SELECT hash, definition FROM view ORDER BY hash";
    PutView = "INSERT OR REPLACE INTO view (hash, definition) VALUES (?1, ?2)";
    DeleteView = "DELETE FROM view WHERE hash = ?1";
    ViewBuckets = "SELECT bucket, count, sum FROM view_bucket WHERE view = ?1 ORDER BY bucket";
    ViewBucket = "SELECT count, sum FROM view_bucket WHERE view = ?1 AND bucket = ?2";
    PutViewBucket = "INSERT OR REPLACE INTO view_bucket (view, bucket, count, sum) \
        VALUES (?1, ?2, ?3, ?4)";
    DeleteViewBucket = "DELETE FROM view_bucket WHERE view = ?1 AND bucket = ?2";
    ClearViewBuckets = "DELETE FROM view_bucket WHERE view = ?1";
    DeletionEvents = "SELECT at, count FROM deletion_event WHERE origin = ?1 ORDER BY at, count";
    AddDeletionEvent = "INSERT INTO deletion_event (origin, at, count) VALUES (?1, ?2, ?3)";
    PurgeDeletionEvents = "DELETE FROM deletion_event WHERE at < ?1";

    Quarantined = "SELECT number, since, origin, subject, reason, text FROM quarantine \
        ORDER BY number";
    PutQuarantined = "INSERT OR REPLACE INTO quarantine (number, since, origin, subject, reason, \
        text) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING number";
    DeleteQuarantined = "DELETE FROM quarantine WHERE number = ?1";
    AddLogLine = "INSERT INTO log (at, step, level, text) VALUES (?1, ?2, ?3, ?4)";
    LogLines = "SELECT at, step, level, text FROM log WHERE at >= ?1 ORDER BY at, row";
    PurgeLog = "DELETE FROM log WHERE at < ?1";
    Note = "SELECT text FROM note WHERE name = ?1";
    PutNote = "INSERT OR REPLACE INTO note (name, text) VALUES (?1, ?2)";
    DeleteNote = "DELETE FROM note WHERE name = ?1";
    NotesFrom = "SELECT name, text FROM note WHERE name >= ?1 ORDER BY name";

    Savepoint = "SAVEPOINT place";
    RollbackToSavepoint = "ROLLBACK TO place";
    ReleaseSavepoint = "RELEASE place";
}

/// A statement on one of the two lists.
#[derive(Clone, Copy)]
pub(super) enum ListQuery {
    Row,
    Rows,
    ByName,
    Append,
    Put,
    Delete,
    Clear,
    IsEmpty,
    DropIndex,
    CreateIndex,
}

/// Which table a list is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListTable {
    A,
    B,
}

impl ListTable {
    /// The table of a list while `live` is what readers see.
    pub fn of(place: ListPlace, live: Self) -> Self {
        match place {
            ListPlace::Live => live,
            ListPlace::Staged => live.other(),
        }
    }

    /// The other table.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Its number in `list_place` and `list_bucket`.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// A statement on this table.
    pub fn query(self, query: ListQuery) -> Query {
        let [a, b] = match query {
            ListQuery::Row => [Query::ListRowA, Query::ListRowB],
            ListQuery::Rows => [Query::ListRowsA, Query::ListRowsB],
            ListQuery::ByName => [Query::ListByNameA, Query::ListByNameB],
            ListQuery::Append => [Query::AppendListRowA, Query::AppendListRowB],
            ListQuery::Put => [Query::PutListRowA, Query::PutListRowB],
            ListQuery::Delete => [Query::DeleteListRowA, Query::DeleteListRowB],
            ListQuery::Clear => [Query::ClearListA, Query::ClearListB],
            ListQuery::IsEmpty => [Query::ListIsEmptyA, Query::ListIsEmptyB],
            ListQuery::DropIndex => [Query::DropIndexA, Query::DropIndexB],
            ListQuery::CreateIndex => [Query::CreateIndexA, Query::CreateIndexB],
        };
        match self {
            Self::A => a,
            Self::B => b,
        }
    }
}
