-- The postoffice database, version 1. A new database gets this file as it stands. Names, addresses and details are plain text;
-- ids are 16 bytes (select hex(id)); times are milliseconds since 1970; flags are 0 or 1.

-- ------------------------------------------------------------------------------------ common

-- Every spelling of a postoffice's name that was ever written, so that rows carry a number.
CREATE TABLE postoffice (
    no       INTEGER PRIMARY KEY,  -- what rows carry
    name     TEXT NOT NULL UNIQUE, -- NETWORK/POSTOFFICE as written
    folded   TEXT NOT NULL,        -- its comparison key
    identity INTEGER NOT NULL      -- number of the first spelling with this comparison key
) STRICT;

-- What could not be accepted, with its reason. Numbers are never used again.
CREATE TABLE quarantine (
    number  INTEGER PRIMARY KEY AUTOINCREMENT, -- number of the case
    since   INTEGER NOT NULL, -- when it came
    origin  TEXT NOT NULL,    -- a source's name, or a postoffice's
    subject TEXT NOT NULL,    -- which entry, row or file
    reason  TEXT NOT NULL,    -- why
    text    TEXT NOT NULL     -- the material itself
) STRICT;

-- The steps that ran.
CREATE TABLE log (
    line  INTEGER PRIMARY KEY, -- in the order of writing
    at    INTEGER NOT NULL,    -- when
    step  TEXT NOT NULL,       -- T0, T1, T2, T3, or a command's name
    level TEXT NOT NULL,       -- info, notice, warning, error, alarm
    text  TEXT NOT NULL        -- the line, readable alone
) STRICT;
CREATE INDEX log_at ON log (at);

-- Named texts of the agent: times of last steps, alarms that are on.
CREATE TABLE note (
    name TEXT PRIMARY KEY, -- its name
    text TEXT NOT NULL     -- its text
) STRICT, WITHOUT ROWID;

-- --------------------------------------------------------------------------------- requestor

-- How this postoffice stands towards its server: one row.
CREATE TABLE requestor (
    one            INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    name           TEXT NOT NULL,    -- this postoffice
    server         TEXT NOT NULL,    -- its directory server
    epoch          TEXT NOT NULL,    -- the life of its own numbering
    lineage        TEXT NOT NULL,    -- the epochs it descends from, oldest first
    epoch_accepted INTEGER NOT NULL, -- the server accepted the epoch
    req_seq        INTEGER NOT NULL, -- number of the last own change
    req_sync       INTEGER NOT NULL, -- highest own number that the server acknowledged
    last_stamp     INTEGER NOT NULL, -- stamp of the last own change
    request_no     INTEGER NOT NULL, -- number of the last request
    last_answer    INTEGER NOT NULL, -- highest request number whose answer was taken
    sent           TEXT NOT NULL,    -- NUMBER=ID of the requests not older than that, and of some before
    epoch_heard    TEXT,             -- newest server epoch ever heard
    point          TEXT,             -- where the list stands: EPOCH/NUMBER/MARK/VIEW/complete
    list_digest    TEXT NOT NULL,    -- COUNT-SUM of the list
    filling        INTEGER,          -- in the middle of a first fill: the number that it reaches
    own_digest     TEXT NOT NULL,    -- COUNT-SUM of the own entries
    staging_point  TEXT,             -- a replace in parts: the point reached
    staging_view   TEXT,             -- ... the view of the staged list
    staging_head   INTEGER,          -- ... the number that it reaches
    staging_digest TEXT,             -- ... COUNT-SUM of the staged rows
    list_bad       INTEGER NOT NULL, -- the list did not match an update's digest
    send_buckets   INTEGER NOT NULL, -- the server asked for the list's buckets
    request_due    INTEGER NOT NULL, -- something since the last request needs one more
    view_wanted    TEXT NOT NULL,    -- what this postoffice wants to see
    view           TEXT NOT NULL,    -- the view that the list was made under
    mode           TEXT NOT NULL,    -- normal, want-own, resubmitting, fenced, removed
    base           TEXT,             -- resubmitting: COUNT-SUM of the set that is replaced
    challenge      TEXT,             -- resubmitting: the challenge to repeat
    proof          TEXT              -- that it knew the invitation's secret, for its key alone
) STRICT;

-- The postoffice's own entries.
CREATE TABLE own (
    row          INTEGER PRIMARY KEY, -- in the order of first writing
    id           BLOB NOT NULL,    -- the entry
    element      BLOB NOT NULL,    -- its element of the own digest, 16 bytes
    source       TEXT NOT NULL,    -- hand, import, or a source of the configuration
    first_origin INTEGER NOT NULL, -- whose key the id derives from, a postoffice's number
    key          TEXT NOT NULL,    -- its key there
    kind         TEXT NOT NULL,    -- mailbox, contact, resource, list
    name         TEXT NOT NULL,    -- display name
    addresses    TEXT NOT NULL,    -- TYPE:value, separated by tabs, the first is primary
    details      TEXT NOT NULL,    -- lines attribute/value
    last         INTEGER NOT NULL, -- number of its last change
    whole        INTEGER NOT NULL, -- number at which it was new
    parts        TEXT,             -- part=number of the parts that changed since
    stamp        INTEGER NOT NULL, -- stamp of its last change
    released_to  INTEGER           -- whom it is released to, a postoffice's number
) STRICT;
CREATE UNIQUE INDEX own_id ON own (id);
CREATE INDEX own_last ON own (last);

-- Own deletions, kept: the merge rests on them.
CREATE TABLE own_tombstone (
    id       BLOB PRIMARY KEY,  -- the entry
    req_seq  INTEGER NOT NULL,  -- number of the deletion
    stamp    INTEGER NOT NULL,  -- stamp of the deletion
    approved INTEGER NOT NULL   -- a person approved it here
) STRICT, WITHOUT ROWID;
CREATE INDEX own_tombstone_req_seq ON own_tombstone (req_seq);

-- Ids that keys of a source stand for where they derive from another origin's name.
CREATE TABLE adopted (
    source TEXT NOT NULL, -- the source
    key    TEXT NOT NULL, -- its key
    id     BLOB NOT NULL, -- the entry
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

-- Which of the two lists readers see: one row.
CREATE TABLE live_list (
    one  INTEGER PRIMARY KEY CHECK (one = 1),  -- there is one row
    list INTEGER NOT NULL CHECK (list IN (0, 1)) -- 0 for list_a, 1 for list_b; the other is staged
) STRICT;
INSERT INTO live_list VALUES (1, 0);

-- The received list, or the one that is prepared beside it; see live_list.
CREATE TABLE list_a (
    row          INTEGER PRIMARY KEY, -- in the order of first writing
    id           BLOB NOT NULL,    -- the entry
    owner        INTEGER NOT NULL, -- its owner, a postoffice's number
    first_origin INTEGER NOT NULL, -- whose key the id derives from, a postoffice's number
    key          TEXT NOT NULL,    -- its key there
    srv_seq      INTEGER NOT NULL, -- the server's number of its last change
    stamp        INTEGER NOT NULL, -- stamp of its last change, of its owner
    released_to  INTEGER,          -- whom its owner releases it to, a postoffice's number
    kind         TEXT NOT NULL,    -- mailbox, contact, resource, list
    name         TEXT NOT NULL,    -- display name
    addresses    TEXT NOT NULL,    -- TYPE:value, separated by tabs, the first is primary
    details      TEXT NOT NULL     -- lines attribute/value
) STRICT;
CREATE UNIQUE INDEX list_a_id ON list_a (id);

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

-- Digests of the lists' buckets; buckets without an element are left out.
CREATE TABLE list_bucket (
    list   INTEGER NOT NULL, -- 0 for list_a, 1 for list_b
    bucket INTEGER NOT NULL, -- the top 12 bits of its ids
    digest TEXT NOT NULL,    -- COUNT-SUM
    PRIMARY KEY (list, bucket)
) STRICT, WITHOUT ROWID;

-- What the server said of own entries that are not published as submitted.
CREATE TABLE outcome (
    place   INTEGER PRIMARY KEY, -- in the server's order
    id      BLOB NOT NULL,       -- the entry
    kind    TEXT NOT NULL,       -- waiting, contested, held, transferred, foreign-id, invalid
    address TEXT,                -- waiting, contested: the address
    party   TEXT,                -- the other postoffice
    reason  TEXT                 -- invalid: what is wrong with it
) STRICT;

-- Entries released to this postoffice, whole: its view may hide some of them.
CREATE TABLE offer (
    place        INTEGER PRIMARY KEY, -- in the server's order
    id           BLOB NOT NULL,       -- the entry
    stamp        INTEGER NOT NULL,    -- stamp of its last change
    owner        TEXT NOT NULL,       -- its owner
    first_origin TEXT NOT NULL,       -- whose key the id derives from
    key          TEXT NOT NULL,       -- its key there
    kind         TEXT NOT NULL,       -- mailbox, contact, resource, list
    name         TEXT NOT NULL,       -- display name
    addresses    TEXT NOT NULL,       -- TYPE:value, separated by tabs, the first is primary
    details      TEXT NOT NULL        -- lines attribute/value
) STRICT;

-- Changes that wait for a person here.
CREATE TABLE held_change (
    id        BLOB PRIMARY KEY, -- the entry
    source    TEXT NOT NULL,    -- the source whose read asks for it
    change    TEXT NOT NULL,    -- delete, blank, move, short-read
    kind      TEXT,             -- the entry as the source has it: mailbox, ...; none for a deletion
    name      TEXT,             -- ... display name
    addresses TEXT,             -- ... TYPE:value, separated by tabs
    details   TEXT,             -- ... lines attribute/value
    key       TEXT NOT NULL,    -- the key, for people
    since     INTEGER NOT NULL, -- when it was first held
    rejected  INTEGER NOT NULL  -- a person rejected it
) STRICT, WITHOUT ROWID;

-- Own entries that were deleted, blanked or moved by reads: the window of the guard.
CREATE TABLE guard_event (
    source TEXT NOT NULL,    -- the source
    at     INTEGER NOT NULL, -- when
    kind   TEXT NOT NULL,    -- delete, blank, move
    count  INTEGER NOT NULL  -- how many
) STRICT;
CREATE INDEX guard_event_at ON guard_event (at);

-- What is remembered of a source between two reads.
CREATE TABLE source_memory (
    source    TEXT PRIMARY KEY, -- the source
    good_rows INTEGER NOT NULL, -- rows of the last good whole read
    read_at   INTEGER NOT NULL, -- when that was
    settings  TEXT NOT NULL,    -- fingerprint of its settings then
    seen      TEXT NOT NULL,    -- what its file looked like
    told_all  INTEGER NOT NULL  -- since the last merge a complete read told which entries it feeds
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------------ server

-- The directory server: one row, or none at a postoffice that is no server.
CREATE TABLE server (
    one        INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    epoch      TEXT NOT NULL,    -- the life of the numbering: GENERATION.INSTANCE.RANDOM
    head       INTEGER NOT NULL, -- the last number given
    horizon    INTEGER NOT NULL, -- deletions up to this number may be forgotten
    recovering INTEGER NOT NULL, -- set by a restore until every live origin has spoken
    fenced     INTEGER NOT NULL, -- replaced by another instance
    cycle      INTEGER NOT NULL, -- number of the last cycle that took a request
    claims     INTEGER NOT NULL, -- number of the last claim on an address
    last_run   INTEGER NOT NULL, -- last time the server ran
    overtaken  INTEGER NOT NULL, -- times it began anew over a later life of its own instance
    overtaken_at INTEGER NOT NULL -- the last of these times
) STRICT;

-- What the server keeps about each requestor.
CREATE TABLE registration (
    folded         TEXT PRIMARY KEY, -- comparison key of its name
    name           TEXT NOT NULL,    -- the requestor
    state          TEXT NOT NULL,    -- invited, active, suspended, removed
    key            TEXT,             -- its pinned public key, in OpenSSH's one-line form
    invitation     TEXT,             -- what proofs of the invitation's secret are checked with
    expires        INTEGER,          -- when the invitation expires
    carrier        TEXT NOT NULL,    -- where its messages travel
    view_allowed   TEXT NOT NULL,    -- what it is allowed to see
    view_wanted    TEXT NOT NULL,    -- what it asked to see
    epoch          TEXT,             -- the epoch accepted now
    retired        TEXT NOT NULL,    -- epochs that are not accepted any more
    acknowledged   INTEGER NOT NULL, -- ReqSync
    answer_due     INTEGER NOT NULL, -- it has to be answered
    send_own       INTEGER NOT NULL, -- the answer brings what is held of its own entries
    challenge      TEXT,             -- the open challenge
    challenged     TEXT,             -- the epoch without ancestors that it was opened for
    side_answers   TEXT NOT NULL,    -- lines EPOCH own|fenced|removed NUMBER ID
    taken          TEXT NOT NULL,    -- NUMBER=ID of the last requests of its epoch, the newest last
    copies         TEXT NOT NULL,    -- one, contest, fenced: whether several machines have its name
    point          TEXT,             -- where its list stands
    list_digest    TEXT NOT NULL,    -- COUNT-SUM of its list
    list_bad       INTEGER NOT NULL, -- its list did not match an update's digest
    bucket_bits    INTEGER,          -- bits of the buckets it sent
    buckets        TEXT,             -- lines BUCKET COUNT-SUM
    spoke_in       TEXT,             -- server epoch in which it last submitted
    own_digest     TEXT NOT NULL,    -- COUNT-SUM of its submitted set
    last_contact   INTEGER NOT NULL, -- when its last request was taken
    version        TEXT NOT NULL,    -- version of its program
    held           INTEGER NOT NULL, -- own changes that wait for a person there
    quarantined    INTEGER NOT NULL, -- own transactions in quarantine there
    clock          INTEGER NOT NULL  -- its clock when it made the request
) STRICT, WITHOUT ROWID;

-- One id as one origin has it: submitted (s_), published (p_), or both.
CREATE TABLE entry (
    row           INTEGER PRIMARY KEY, -- in the order of first writing
    id            BLOB NOT NULL,    -- the entry
    origin        INTEGER NOT NULL, -- who submitted it, a postoffice's number
    identity      INTEGER NOT NULL, -- the origin's identity, see postoffice
    first_origin  INTEGER NOT NULL, -- whose key the id derives from, a postoffice's number
    key           TEXT NOT NULL,    -- its key there
    unsettled     INTEGER NOT NULL, -- it wants something else than what is published
    s_kind        TEXT,    -- submitted kind
    s_name        TEXT,    -- submitted display name
    s_addresses   TEXT,    -- submitted addresses, separated by tabs
    s_details     TEXT,    -- submitted lines attribute/value
    s_stamp       INTEGER, -- stamp of the submitted change; null when nothing is submitted
    s_released_to INTEGER, -- whom the origin releases it to, a postoffice's number
    s_claim       INTEGER, -- when it came to want its addresses, among all claims
    s_invalid     TEXT,    -- why it cannot be published at all
    p_kind        TEXT,    -- published kind; null when published as submitted
    p_name        TEXT,    -- published display name; likewise
    p_addresses   TEXT,    -- published addresses; likewise
    p_details     TEXT,    -- published lines attribute/value; likewise
    p_released_to INTEGER, -- whom it is released to, as published, a postoffice's number
    p_stamp       INTEGER, -- stamp of the published change
    p_last        INTEGER, -- SrvSeq of its last change; null when nothing is published
    p_whole       INTEGER, -- SrvSeq at which it was new
    p_parts       TEXT,    -- part=number of the parts that changed since
    p_seen_in     TEXT,    -- views in which earlier versions were visible: hashes, or all
    p_held_since  INTEGER, -- its deletion waits for a person since
    p_held_no     INTEGER  -- a person rejected the deletion
) STRICT;
CREATE UNIQUE INDEX entry_id ON entry (id, identity);
CREATE INDEX entry_last ON entry (p_last) WHERE p_last IS NOT NULL;
CREATE INDEX entry_origin ON entry (identity, p_last IS NOT NULL);
CREATE INDEX entry_unsettled ON entry (unsettled) WHERE unsettled;

-- Which rows want or have an address.
CREATE TABLE address (
    hash INTEGER NOT NULL, -- FNV-1a of the comparison key; the rows say whether it is the one
    row  INTEGER NOT NULL, -- row of entry
    PRIMARY KEY (hash, row)
) STRICT, WITHOUT ROWID;

-- Stubs of forgotten entries.
CREATE TABLE tombstone (
    id      BLOB PRIMARY KEY,        -- the entry
    srv_seq INTEGER NOT NULL,        -- number of its deletion
    seen_in TEXT,                    -- views in which it was visible: hashes, or all
    at      INTEGER NOT NULL         -- when it was made
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_srv_seq ON tombstone (srv_seq);

-- Deletions that origins submitted.
CREATE TABLE submitted_tombstone (
    identity INTEGER NOT NULL, -- the origin's identity, see postoffice
    id       BLOB NOT NULL,    -- the entry
    stamp    INTEGER NOT NULL, -- stamp of the deletion
    PRIMARY KEY (identity, id)
) STRICT, WITHOUT ROWID;

-- Who owns an id after a release that was honoured.
CREATE TABLE transferred (
    id    BLOB PRIMARY KEY, -- the entry
    owner INTEGER NOT NULL REFERENCES postoffice -- the new owner
) STRICT, WITHOUT ROWID;

-- Sync points that were issued.
CREATE TABLE issued_point (
    epoch    TEXT NOT NULL,    -- GENERATION.INSTANCE.RANDOM
    srv_seq  INTEGER NOT NULL, -- the number reached
    view     BLOB NOT NULL,    -- hash of the view
    complete INTEGER NOT NULL, -- the list is the whole view there
    mark     TEXT NOT NULL,    -- 16 hexadecimal digits
    digest   TEXT,             -- COUNT-SUM of the list there
    PRIMARY KEY (epoch, srv_seq, view, complete)
) STRICT, WITHOUT ROWID;

-- Views that are in force somewhere.
CREATE TABLE view (
    hash       BLOB PRIMARY KEY, -- hash of the definition
    definition TEXT NOT NULL     -- lines types, origins, kinds, attributes, filter
) STRICT, WITHOUT ROWID;

-- Digests of the views' buckets; buckets without an element are left out.
CREATE TABLE view_bucket (
    view   BLOB NOT NULL,    -- hash of the view
    bucket INTEGER NOT NULL, -- the top 12 bits of its ids
    digest TEXT NOT NULL,    -- COUNT-SUM
    PRIMARY KEY (view, bucket)
) STRICT, WITHOUT ROWID;

-- Deletions of origins that were published: the window of the guard.
CREATE TABLE deletion_event (
    identity INTEGER NOT NULL, -- the origin's identity, see postoffice
    at       INTEGER NOT NULL, -- when
    count    INTEGER NOT NULL  -- how many
) STRICT;
CREATE INDEX deletion_event_at ON deletion_event (at);
