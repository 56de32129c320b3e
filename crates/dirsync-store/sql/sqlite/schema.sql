-- The database of a postoffice, version 1. A new database is made from this file. Names, addresses and details are plain text,
-- ids are 16 bytes (select hex(id)), times are milliseconds since 1970, and flags are 0 or 1.

-- ------------------------------------------------------------------------------------ common

-- Every spelling of the name of a postoffice that was ever written. Rows contain its number instead.
CREATE TABLE postoffice (
    no       INTEGER PRIMARY KEY,  -- the number in rows
    name     TEXT NOT NULL UNIQUE, -- NETWORK/POSTOFFICE as written
    folded   TEXT NOT NULL,        -- its comparison key
    identity INTEGER NOT NULL      -- number of the first spelling with this comparison key
) STRICT;

-- Rows, changes and files that could not be accepted, with the reason. Numbers are never used again.
CREATE TABLE quarantine (
    number  INTEGER PRIMARY KEY AUTOINCREMENT, -- number of the case
    since   INTEGER NOT NULL, -- time of its arrival
    origin  TEXT NOT NULL,    -- name of the source or postoffice
    subject TEXT NOT NULL,    -- the entry or file; empty for a row without a key
    line    INTEGER,          -- the line of the source's file on which the row begins
    reason  TEXT NOT NULL,    -- the reason
    text    TEXT NOT NULL     -- the content
) STRICT;

-- The log of the steps.
CREATE TABLE log (
    line  INTEGER PRIMARY KEY, -- in the order of writing
    at    INTEGER NOT NULL,    -- time
    step  TEXT NOT NULL,       -- T0, T1, T2, T3, or the name of a command
    level TEXT NOT NULL,       -- info, notice, warning, error, alarm
    text  TEXT NOT NULL,       -- the line, which is readable by itself
    run   INTEGER              -- the run that it tells of
) STRICT;
CREATE INDEX log_at ON log (at);

-- Named texts of the agent, such as the times of the last steps, and the alarms that are on.
CREATE TABLE note (
    name TEXT PRIMARY KEY, -- its name
    text TEXT NOT NULL     -- its text
) STRICT, WITHOUT ROWID;

-- --------------------------------------------------------------------------------- requestor

-- The state of this postoffice as a requestor: one row.
CREATE TABLE requestor (
    one            INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    name           TEXT NOT NULL,    -- this postoffice
    server         TEXT NOT NULL,    -- its directory server
    epoch          TEXT NOT NULL,    -- the epoch of its own numbering
    lineage        TEXT NOT NULL,    -- the epochs from which that one descends, oldest first
    former_epochs  TEXT NOT NULL,    -- earlier epochs, which a merge adds to the lineage, separated by blanks
    epoch_accepted INTEGER NOT NULL, -- whether the server has accepted the epoch
    req_seq        INTEGER NOT NULL, -- number of the last own change
    req_sync       INTEGER NOT NULL, -- number of the last own change that the server has acknowledged
    last_stamp     INTEGER NOT NULL, -- stamp of the last own change
    request_no     INTEGER NOT NULL, -- number of the last request
    last_answer    INTEGER NOT NULL, -- number of the last request whose answer was taken
    sent           TEXT NOT NULL,    -- NUMBER=ID of the requests since that one, and of some before it
    epoch_heard    TEXT,             -- the newest server epoch ever heard of
    epoch_evidence TEXT,             -- the evidence that came with it, as 32 hexadecimal digits
    point          TEXT,             -- the point that the list has reached: EPOCH/NUMBER/MARK/VIEW/complete
    point_evidence TEXT,             -- the evidence that came with it
    list_digest    TEXT NOT NULL,    -- COUNT-SUM of the list
    filling        INTEGER,          -- the number that a first fill reaches, while it is incomplete
    own_digest     TEXT NOT NULL,    -- COUNT-SUM of the own entries
    staging_point  TEXT,             -- the point that a replace in parts has reached
    staging_view   TEXT,             -- the view of the staged list
    staging_head   INTEGER,          -- the number that the replace reaches
    staging_digest TEXT,             -- COUNT-SUM of the staged rows
    list_bad       INTEGER NOT NULL, -- whether the list did not match the digest of an update
    send_buckets   INTEGER NOT NULL, -- whether the server has asked for the buckets of the list
    request_due    INTEGER NOT NULL, -- whether another request is needed
    view_wanted    TEXT NOT NULL,    -- the view that this postoffice wants
    view           TEXT NOT NULL,    -- the view of the list
    mode           TEXT NOT NULL,    -- normal, want-own, resubmitting, fenced, removed
    base           TEXT,             -- COUNT-SUM of the set that is replaced, in the mode resubmitting
    challenge      TEXT,             -- the challenge to repeat, in the mode resubmitting
    proof          TEXT              -- proof that it knew the secret of the invitation, valid for its key only
) STRICT;

-- The postoffice's own entries.
CREATE TABLE own (
    row          INTEGER PRIMARY KEY, -- in the order of first writing
    id           BLOB NOT NULL,    -- the entry
    element      BLOB NOT NULL,    -- its element of the own digest, 16 bytes
    source       TEXT NOT NULL,    -- hand, import, or a source of the configuration
    first_origin INTEGER NOT NULL, -- the postoffice whose key gives the id, by number
    key          TEXT NOT NULL,    -- its key there
    kind         TEXT NOT NULL,    -- mailbox, contact, resource, list
    name         TEXT NOT NULL,    -- display name
    addresses    TEXT NOT NULL,    -- TYPE:value, separated by tabs, the first is primary
    details      TEXT NOT NULL,    -- lines attribute/value
    last         INTEGER NOT NULL, -- number of its last change
    whole        INTEGER NOT NULL, -- number at which it was new
    parts        TEXT,             -- part=number of the parts that changed since
    stamp        INTEGER NOT NULL, -- stamp of its last change
    released_to  INTEGER           -- the postoffice it is released to, by number
) STRICT;
CREATE UNIQUE INDEX own_id ON own (id);
CREATE INDEX own_last ON own (last);

-- Own deletions. They are never removed, because the merge needs them.
CREATE TABLE own_tombstone (
    id       BLOB PRIMARY KEY,  -- the entry
    req_seq  INTEGER NOT NULL,  -- number of the deletion
    stamp    INTEGER NOT NULL,  -- stamp of the deletion
    approved INTEGER NOT NULL   -- whether a person here approved it
) STRICT, WITHOUT ROWID;
CREATE INDEX own_tombstone_req_seq ON own_tombstone (req_seq);

-- The ids of entries whose ids are not derived from this postoffice and the key at a source, but were taken over.
CREATE TABLE adopted (
    source TEXT NOT NULL, -- the source
    key    TEXT NOT NULL, -- its key
    id     BLOB NOT NULL, -- the entry
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

-- Runs: reads, commands and decisions that changed something. Numbers are never used again.
CREATE TABLE run (
    number       INTEGER PRIMARY KEY AUTOINCREMENT, -- its number
    at           INTEGER NOT NULL, -- time
    kind         TEXT NOT NULL,    -- read, command, approval, decision, undo
    subject      TEXT NOT NULL,    -- the source, the key of the entry, or the postoffice
    added        INTEGER NOT NULL, -- number of own entries that it added
    changed      INTEGER NOT NULL, -- number of own entries that it changed
    deleted      INTEGER NOT NULL, -- number of own entries that it deleted
    bytes        INTEGER NOT NULL, -- size of what is kept for undoing it
    stamp_before INTEGER NOT NULL, -- the last stamp before its changes
    stamp_last   INTEGER NOT NULL, -- stamp of its last change
    undoes       INTEGER,          -- the run that it undid
    undone_by    INTEGER,          -- the run that undid it
    decision     TEXT,             -- a decision, as a line of the decisions log
    inverse      TEXT              -- the decision that takes it back, likewise
) STRICT;

-- Own entries as they were before a run changed or deleted them.
CREATE TABLE run_before (
    row          INTEGER PRIMARY KEY, -- in the order of writing
    run          INTEGER NOT NULL, -- the run
    id           BLOB NOT NULL,    -- the entry
    left         BLOB,             -- its element of the own digest as the run left it; null if it was deleted
    stamp        INTEGER NOT NULL, -- stamp of the change or deletion
    source       TEXT NOT NULL,    -- the source that fed it
    first_origin INTEGER NOT NULL, -- the postoffice whose key gives the id, by number
    key          TEXT NOT NULL,    -- its key there
    kind         TEXT NOT NULL,    -- mailbox, contact, resource, list
    name         TEXT NOT NULL,    -- display name
    addresses    TEXT NOT NULL,    -- TYPE:value, separated by tabs, the first is primary
    details      TEXT NOT NULL,    -- lines attribute/value
    released_to  INTEGER           -- the postoffice it was released to, by number
) STRICT;
CREATE INDEX run_before_run ON run_before (run);

-- The entries that a run added. A row has many of them, so that a first read costs little.
CREATE TABLE run_added (
    row INTEGER PRIMARY KEY, -- in the order of writing
    run INTEGER NOT NULL,    -- the run
    ids BLOB NOT NULL        -- the entries, each with its element of the own digest, 16 bytes each
) STRICT;
CREATE INDEX run_added_run ON run_added (run);

-- The cases of held changes that a run closed by making the changes.
CREATE TABLE run_case (
    run    INTEGER NOT NULL, -- the run
    id     BLOB NOT NULL,    -- the entry
    source TEXT NOT NULL,    -- the source whose read asked for the change
    change TEXT NOT NULL,    -- the reason, as in held_change
    key    TEXT NOT NULL,    -- the key, for people
    since  INTEGER NOT NULL, -- time since when it was held
    PRIMARY KEY (run, id)
) STRICT, WITHOUT ROWID;

-- Sources that are held because what they asked for was undone.
CREATE TABLE source_hold (
    source TEXT NOT NULL,    -- the source
    run    INTEGER NOT NULL, -- the run that undid it
    PRIMARY KEY (source, run)
) STRICT, WITHOUT ROWID;

-- The choice of the list that readers see: one row.
CREATE TABLE live_list (
    one  INTEGER PRIMARY KEY CHECK (one = 1),  -- there is one row
    list INTEGER NOT NULL CHECK (list IN (0, 1)) -- 0 for list_a, 1 for list_b; the other one is staged
) STRICT;
INSERT INTO live_list VALUES (1, 0);

-- The received list, or the one that is prepared beside it. See live_list.
CREATE TABLE list_a (
    row          INTEGER PRIMARY KEY, -- in the order of first writing
    id           BLOB NOT NULL,    -- the entry
    owner        INTEGER NOT NULL, -- its owner, by number
    first_origin INTEGER NOT NULL, -- the postoffice whose key gives the id, by number
    key          TEXT NOT NULL,    -- its key there
    srv_seq      INTEGER NOT NULL, -- the server's number of its last change
    stamp        INTEGER NOT NULL, -- stamp of its last change, made by its owner
    released_to  INTEGER,          -- the postoffice it is released to, by number
    kind         TEXT NOT NULL,    -- mailbox, contact, resource, list
    name         TEXT NOT NULL,    -- display name
    addresses    TEXT NOT NULL,    -- TYPE:value, separated by tabs, the first is primary
    details      TEXT NOT NULL     -- lines attribute/value
) STRICT;
CREATE UNIQUE INDEX list_a_id ON list_a (id);
CREATE INDEX list_a_released ON list_a (released_to) WHERE released_to IS NOT NULL;

-- As list_a.
CREATE TABLE list_b (
    row          INTEGER PRIMARY KEY, -- as in list_a
    id           BLOB NOT NULL,    -- as in list_a
    owner        INTEGER NOT NULL, -- as in list_a
    first_origin INTEGER NOT NULL, -- as in list_a
    key          TEXT NOT NULL,    -- as in list_a
    srv_seq      INTEGER NOT NULL, -- as in list_a
    stamp        INTEGER NOT NULL, -- as in list_a
    released_to  INTEGER,          -- as in list_a
    kind         TEXT NOT NULL,    -- as in list_a
    name         TEXT NOT NULL,    -- as in list_a
    addresses    TEXT NOT NULL,    -- as in list_a
    details      TEXT NOT NULL     -- as in list_a
) STRICT;
CREATE UNIQUE INDEX list_b_id ON list_b (id);
CREATE INDEX list_b_released ON list_b (released_to) WHERE released_to IS NOT NULL;

-- The digests of the buckets of the two lists. Buckets without an element are left out.
CREATE TABLE list_bucket (
    list   INTEGER NOT NULL, -- 0 for list_a, 1 for list_b
    bucket INTEGER NOT NULL, -- the first 12 bits of its ids
    digest TEXT NOT NULL,    -- COUNT-SUM
    PRIMARY KEY (list, bucket)
) STRICT, WITHOUT ROWID;

-- Outcomes: reports of the server on own entries that are not published as submitted.
CREATE TABLE outcome (
    place   INTEGER PRIMARY KEY, -- in the server's order
    id      BLOB NOT NULL,       -- the entry
    kind    TEXT NOT NULL,       -- waiting, contested, held, transferred, foreign-id, invalid
    address TEXT,                -- the address, if waiting or contested
    party   TEXT,                -- the other postoffice
    reason  TEXT                 -- the reason, if invalid
) STRICT;

-- Whole entries that other postoffices release to this one, whose view may hide parts of them.
CREATE TABLE offer (
    place        INTEGER PRIMARY KEY, -- in the server's order
    id           BLOB NOT NULL,       -- the entry
    stamp        INTEGER NOT NULL,    -- stamp of its last change
    owner        TEXT NOT NULL,       -- its owner
    first_origin TEXT NOT NULL,       -- the postoffice whose key gives the id
    key          TEXT NOT NULL,       -- its key there
    kind         TEXT NOT NULL,       -- mailbox, contact, resource, list
    name         TEXT NOT NULL,       -- display name
    addresses    TEXT NOT NULL,       -- TYPE:value, separated by tabs, the first is primary
    details      TEXT NOT NULL        -- lines attribute/value
) STRICT;

-- Changes that wait for a person.
CREATE TABLE held_change (
    id        BLOB PRIMARY KEY, -- the entry
    source    TEXT NOT NULL,    -- the source whose read caused it
    change    TEXT NOT NULL,    -- blank, delete, move, settings, short-read, taken, unclaimed
    kind      TEXT,             -- the entry in the source: mailbox, ...; null for a deletion
    name      TEXT,             -- its display name
    addresses TEXT,             -- its addresses, TYPE:value, separated by tabs
    details   TEXT,             -- its lines attribute/value
    key       TEXT NOT NULL,    -- the key, for people
    since     INTEGER NOT NULL, -- time since when it is held
    rejected  INTEGER NOT NULL  -- whether a person rejected it
) STRICT, WITHOUT ROWID;

-- The numbers of own entries that reads have deleted, blanked or moved within the window of the guard.
CREATE TABLE guard_event (
    source TEXT NOT NULL,    -- the source
    at     INTEGER NOT NULL, -- time
    kind   TEXT NOT NULL,    -- delete, blank, move
    count  INTEGER NOT NULL  -- number of entries
) STRICT;
CREATE INDEX guard_event_at ON guard_event (at);

-- The state of each source between two reads.
CREATE TABLE source_memory (
    source    TEXT PRIMARY KEY, -- the source
    rows      INTEGER NOT NULL, -- number of rows in the last read
    good_rows INTEGER NOT NULL, -- number of rows in the last good complete read
    read_at   INTEGER NOT NULL, -- time of that read
    settings  TEXT NOT NULL,    -- fingerprint of the source's settings at that time
    seen      TEXT NOT NULL,    -- size and times of its file
    told_all  INTEGER NOT NULL  -- whether a complete read since the last merge has named all its entries
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------------ server

-- The state of the directory server: one row, or none if this postoffice is not a server.
CREATE TABLE server (
    one        INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    epoch      TEXT NOT NULL,    -- the epoch of its numbering: GENERATION.INSTANCE.RANDOM
    head       INTEGER NOT NULL, -- the last SrvSeq
    horizon    INTEGER NOT NULL, -- deletions up to this SrvSeq may have been forgotten
    recovering INTEGER NOT NULL, -- whether it waits after a restore until every origin has spoken
    fenced     INTEGER NOT NULL, -- whether another instance has replaced it
    cycle      INTEGER NOT NULL, -- number of the last cycle that took a request
    claims     INTEGER NOT NULL, -- number of the last claim on an address
    last_run   INTEGER NOT NULL, -- time of its last run
    overtaken  INTEGER NOT NULL, -- how often it began an epoch after a later one of its own instance
    overtaken_at INTEGER NOT NULL -- time when it did so last
) STRICT;

-- The state of each requestor at the server.
CREATE TABLE registration (
    folded         TEXT PRIMARY KEY, -- comparison key of its name
    name           TEXT NOT NULL,    -- the requestor
    state          TEXT NOT NULL,    -- invited, active, suspended, removed
    key            TEXT,             -- its pinned public key, in OpenSSH's one-line form
    invitation     TEXT,             -- the key with which proofs of the invitation's secret are checked
    expires        INTEGER,          -- time at which the invitation expires
    places         TEXT NOT NULL,    -- the places where its messages are exchanged, in order, escaped, a line each
    view_allowed   TEXT NOT NULL,    -- the view that it is allowed
    view_wanted    TEXT NOT NULL,    -- the view that it wants
    epoch          TEXT,             -- the accepted epoch
    retired        TEXT NOT NULL,    -- the epochs that were accepted before
    acknowledged   INTEGER NOT NULL, -- ReqSync
    answer_due     INTEGER NOT NULL, -- whether it has to be answered
    send_own       INTEGER NOT NULL, -- whether the answer brings its submitted set
    challenge      TEXT,             -- the open challenge
    challenged     TEXT,             -- the epoch without ancestors for which the challenge was opened
    side_answers   TEXT NOT NULL,    -- lines EPOCH own|fenced|removed NUMBER ID
    taken          TEXT NOT NULL,    -- NUMBER=ID of the last requests of its epoch, newest last
    copies         TEXT NOT NULL,    -- one, contest, fenced: whether several machines have its name
    point          TEXT,             -- the point that its list has reached
    list_digest    TEXT NOT NULL,    -- COUNT-SUM of its list
    list_bad       INTEGER NOT NULL, -- whether its list did not match the digest of an update
    bucket_bits    INTEGER,          -- number of bits of the buckets that it sent
    buckets        TEXT,             -- lines BUCKET COUNT-SUM
    list_equal     INTEGER,          -- whether its list equalled the server's view of it; null if not known
    list_since     INTEGER NOT NULL, -- time since when
    answered_in    INTEGER NOT NULL, -- the cycle in which it was sent a part of the list last; 0 if in none
    answered_upto  INTEGER NOT NULL, -- the number that this part reaches
    spoke_in       TEXT,             -- the server epoch in which it last submitted
    own_digest     TEXT NOT NULL,    -- COUNT-SUM of its submitted set
    last_contact   INTEGER NOT NULL, -- time at which its last request was taken
    version        TEXT NOT NULL,    -- version of its program
    held           INTEGER NOT NULL, -- number of own changes that wait for a person there
    quarantined    INTEGER NOT NULL, -- number of own transactions in quarantine there
    clock          INTEGER NOT NULL  -- time by its clock at which it made the request
) STRICT, WITHOUT ROWID;

-- An entry as one origin submitted it (s_), as it is published (p_), or both.
CREATE TABLE entry (
    row           INTEGER PRIMARY KEY, -- in the order of first writing
    id            BLOB NOT NULL,    -- the entry
    origin        INTEGER NOT NULL, -- the postoffice that submitted it, by number
    identity      INTEGER NOT NULL, -- the origin's identity, see postoffice
    first_origin  INTEGER NOT NULL, -- the postoffice whose key gives the id, by number
    key           TEXT NOT NULL,    -- its key there
    unsettled     INTEGER NOT NULL, -- whether the submitted record is not what is published
    s_kind        TEXT,    -- submitted kind
    s_name        TEXT,    -- submitted display name
    s_addresses   TEXT,    -- submitted addresses, separated by tabs
    s_details     TEXT,    -- submitted lines attribute/value
    s_stamp       INTEGER, -- stamp of the submitted change; null if nothing is submitted
    s_released_to INTEGER, -- the postoffice the origin releases it to, by number
    s_claim       INTEGER, -- number of its claim on its addresses, among all claims
    s_invalid     TEXT,    -- the reason, if it can never be published
    p_kind        TEXT,    -- published kind; null if published as submitted
    p_name        TEXT,    -- published display name; likewise
    p_addresses   TEXT,    -- published addresses; likewise
    p_details     TEXT,    -- published lines attribute/value; likewise
    p_released_to INTEGER, -- the postoffice it is released to, as published, by number
    p_stamp       INTEGER, -- stamp of the published change
    p_last        INTEGER, -- SrvSeq of its last change; null if nothing is published
    p_whole       INTEGER, -- SrvSeq at which it was new
    p_parts       TEXT,    -- part=number of the parts that changed since
    p_seen_in     TEXT,    -- views in which earlier versions were visible: hashes, or all
    p_held_since  INTEGER, -- time since when its deletion waits for a person
    p_held_no     INTEGER  -- whether a person rejected the deletion
) STRICT;
CREATE UNIQUE INDEX entry_id ON entry (id, identity);
CREATE INDEX entry_last ON entry (p_last) WHERE p_last IS NOT NULL;
CREATE INDEX entry_origin ON entry (identity, p_last IS NOT NULL);
CREATE INDEX entry_unsettled ON entry (unsettled) WHERE unsettled;

-- The index of addresses: the rows that claim or have an address.
CREATE TABLE address (
    hash INTEGER NOT NULL, -- FNV-1a of the comparison key; the row has the address itself
    row  INTEGER NOT NULL, -- row of entry
    PRIMARY KEY (hash, row)
) STRICT, WITHOUT ROWID;

-- Tombstones: deletions of published entries.
CREATE TABLE tombstone (
    id      BLOB PRIMARY KEY,        -- the entry
    srv_seq INTEGER NOT NULL,        -- number of its deletion
    seen_in TEXT,                    -- views in which it was visible: hashes, or all
    at      INTEGER NOT NULL         -- time of the deletion
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_srv_seq ON tombstone (srv_seq);

-- Deletions that origins have submitted.
CREATE TABLE submitted_tombstone (
    identity INTEGER NOT NULL, -- the origin's identity, see postoffice
    id       BLOB NOT NULL,    -- the entry
    stamp    INTEGER NOT NULL, -- stamp of the deletion
    PRIMARY KEY (identity, id)
) STRICT, WITHOUT ROWID;

-- The owners of entries whose release was honoured.
CREATE TABLE transferred (
    id    BLOB PRIMARY KEY, -- the entry
    owner INTEGER NOT NULL REFERENCES postoffice -- the new owner
) STRICT, WITHOUT ROWID;

-- The sync points that were issued.
CREATE TABLE issued_point (
    epoch    TEXT NOT NULL,    -- GENERATION.INSTANCE.RANDOM
    srv_seq  INTEGER NOT NULL, -- the number reached
    view     BLOB NOT NULL,    -- hash of the view
    complete INTEGER NOT NULL, -- whether the list is the whole view at this point
    mark     TEXT NOT NULL,    -- 16 hexadecimal digits
    digest   TEXT,             -- COUNT-SUM of the list at this point
    PRIMARY KEY (epoch, srv_seq, view, complete)
) STRICT, WITHOUT ROWID;

-- The views that are in force.
CREATE TABLE view (
    hash       BLOB PRIMARY KEY, -- hash of the definition
    definition TEXT NOT NULL     -- lines types, origins, kinds, attributes, filter
) STRICT, WITHOUT ROWID;

-- The digests of the buckets of the views. Buckets without an element are left out.
CREATE TABLE view_bucket (
    view   BLOB NOT NULL,    -- hash of the view
    bucket INTEGER NOT NULL, -- the first 12 bits of its ids
    digest TEXT NOT NULL,    -- COUNT-SUM
    PRIMARY KEY (view, bucket)
) STRICT, WITHOUT ROWID;

-- The numbers of published deletions of each origin within the window of the guard.
CREATE TABLE deletion_event (
    identity INTEGER NOT NULL, -- the origin's identity, see postoffice
    at       INTEGER NOT NULL, -- time
    count    INTEGER NOT NULL  -- number of entries
) STRICT;
CREATE INDEX deletion_event_at ON deletion_event (at);
