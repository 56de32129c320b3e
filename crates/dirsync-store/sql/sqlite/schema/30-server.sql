-- The directory server's side. Empty at a postoffice that is none.

-- The server itself: one row.
CREATE TABLE server (
    one INTEGER PRIMARY KEY CHECK (one = 1), -- always 1
    epoch TEXT NOT NULL,        -- the life of the numbering
    head INTEGER NOT NULL,      -- the last number given
    horizon INTEGER NOT NULL,   -- deletions up to this number may have been forgotten
    recovering INTEGER NOT NULL, -- 1 after a restore until every origin has spoken
    fenced INTEGER NOT NULL,    -- 1 when another instance took its place
    cycle INTEGER NOT NULL,     -- number of the last cycle that took a request
    claims INTEGER NOT NULL,    -- number of the last claim on addresses
    last_run INTEGER NOT NULL   -- when it last ran, in milliseconds since 1970
) STRICT;

-- What the server keeps about each requestor.
CREATE TABLE registration (
    folded TEXT PRIMARY KEY,    -- comparison key of the name
    name TEXT NOT NULL,         -- the requestor
    state TEXT NOT NULL,        -- invited, active, suspended, removed
    key TEXT,                   -- its pinned public key, in OpenSSH's one-line form
    invitation_hash TEXT,       -- hash of the invitation's secret; NULL when there is none
    invitation_expires INTEGER, -- when the invitation expires, in milliseconds since 1970
    carrier TEXT NOT NULL,      -- where its messages travel
    view_allowed TEXT NOT NULL, -- what it is allowed to see
    view_wanted TEXT NOT NULL,  -- what it asked to see
    epoch TEXT,                 -- the epoch accepted now
    retired TEXT NOT NULL,      -- epochs not accepted any more, separated by blanks
    applied INTEGER NOT NULL,   -- ReqSync
    request_no INTEGER NOT NULL, -- number of the newest request taken
    request_id TEXT,            -- its id
    answer_due INTEGER NOT NULL, -- 1 when it has to be answered
    send_own INTEGER NOT NULL,  -- 1 when the answer has to bring its own entries
    challenge TEXT,             -- the open challenge
    side_answers TEXT NOT NULL, -- lines EPOCH SIDE NUMBER ID of answers due to other epochs
    point TEXT,                 -- the sync point it stated; NULL while it holds nothing
    list_digest TEXT NOT NULL,  -- the digest of its list
    list_bad INTEGER NOT NULL,  -- 1 when its list did not match an update's digest
    bucket_bits INTEGER,        -- bits of the buckets that it sent; NULL when it sent none
    buckets TEXT,               -- lines BUCKET DIGEST
    spoke_in TEXT,              -- the server epoch in which it last submitted, knowing it
    own_digest TEXT NOT NULL,   -- digest of its submitted set
    last_contact INTEGER NOT NULL, -- when its last request was taken, in milliseconds since 1970
    version TEXT NOT NULL,      -- version of its program
    held INTEGER NOT NULL,      -- own changes that wait for a person there
    quarantined INTEGER NOT NULL, -- cases in quarantine there
    clock INTEGER NOT NULL      -- its clock at its last request, in milliseconds since 1970
) STRICT, WITHOUT ROWID;

-- Entries as their origins submitted them, and as requestors receive them.
CREATE TABLE entry (
    row INTEGER PRIMARY KEY,    -- what the table address calls it
    id BLOB NOT NULL,           -- the entry
    origin INTEGER NOT NULL,    -- postoffice.no of who submitted it
    first_origin INTEGER NOT NULL, -- postoffice.no whose key the id derives from
    key TEXT NOT NULL,          -- its key there
    unsettled INTEGER,          -- 1: wants something else than is published; 0: has a release or a
                                -- hold as published; NULL: neither
    srv_seq INTEGER,            -- published: number of its last change; NULL while it waits
    whole INTEGER,              -- published: number at which it was last new as a whole
    parts TEXT,                 -- published: part=number of what changed since; NULL when nothing
    pub_stamp INTEGER,          -- published: stamp of the change
    seen_in TEXT,               -- published: views that saw earlier versions since the horizon: *
                                -- for all, or hashes separated by blanks; NULL for none
    stamp INTEGER,              -- submitted: stamp of its last change; NULL after a deletion
    claim INTEGER,              -- submitted: when it came to want its addresses, among all claims
    kind TEXT,                  -- submitted: mailbox, contact, resource, list
    name TEXT,                  -- submitted: display name
    addresses TEXT,             -- submitted: TYPE:value, separated by tabs, the first is primary
    details TEXT,               -- submitted: lines attribute/value
    released_to INTEGER,        -- submitted: postoffice.no it is released to
    invalid TEXT,               -- submitted: why it cannot be published
    pub_released_to INTEGER,    -- published: postoffice.no it is released to
    held_since INTEGER,         -- published: since when its deletion waits (milliseconds since 1970)
    held_rejected INTEGER,      -- published: 1 when a person rejected the deletion
    pub_kind TEXT,              -- published: kind; this and what follows is NULL when as submitted
    pub_name TEXT,              -- published: display name
    pub_addresses TEXT,         -- published: addresses
    pub_details TEXT            -- published: details
) STRICT;
CREATE UNIQUE INDEX entry_id ON entry (id, origin);
CREATE INDEX entry_origin ON entry (origin, srv_seq IS NULL);
CREATE INDEX entry_srv_seq ON entry (srv_seq) WHERE srv_seq IS NOT NULL;
CREATE INDEX entry_seen_in ON entry (srv_seq) WHERE seen_in IS NOT NULL;
CREATE INDEX entry_unsettled ON entry (unsettled) WHERE unsettled = 1;

-- Which entries want or have an address.
CREATE TABLE address (
    hash INTEGER NOT NULL,      -- first 64 bits of the BLAKE3 hash of the address's comparison key
    row INTEGER NOT NULL,       -- entry.row
    PRIMARY KEY (hash, row)
) STRICT, WITHOUT ROWID;

-- Stubs of forgotten entries.
CREATE TABLE tombstone (
    id BLOB PRIMARY KEY,        -- the entry
    srv_seq INTEGER NOT NULL,   -- number of its deletion
    seen_in TEXT,               -- where it was visible, as in entry
    at INTEGER NOT NULL         -- when it was deleted, in milliseconds since 1970
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_srv_seq ON tombstone (srv_seq);

-- Deletions as origins submitted them.
CREATE TABLE submitted_tombstone (
    origin INTEGER NOT NULL,    -- lowest postoffice.no of the origin
    id BLOB NOT NULL,           -- the entry
    stamp INTEGER NOT NULL,     -- stamp of the deletion
    PRIMARY KEY (origin, id)
) STRICT, WITHOUT ROWID;

-- Owners of entries by releases that were honoured.
CREATE TABLE transferred (
    id BLOB PRIMARY KEY,        -- the entry
    owner INTEGER NOT NULL      -- postoffice.no of its owner
) STRICT, WITHOUT ROWID;

-- Every sync point that was issued.
CREATE TABLE point (
    epoch TEXT NOT NULL,        -- the life of the server
    srv_seq INTEGER NOT NULL,   -- the number reached
    view BLOB NOT NULL,         -- hash of the view
    complete INTEGER NOT NULL,  -- 1 when the list is the whole view there
    mark INTEGER NOT NULL,      -- the random mark, as a signed number
    digest TEXT,                -- digest of the list there, while it is remembered
    PRIMARY KEY (epoch, srv_seq, view, complete)
) STRICT, WITHOUT ROWID;

-- Views that are in force somewhere.
CREATE TABLE view (
    hash BLOB PRIMARY KEY,      -- hash of the definition
    definition TEXT NOT NULL    -- one line for each limit
) STRICT, WITHOUT ROWID;

-- Digests of the buckets of views.
CREATE TABLE view_bucket (
    view BLOB NOT NULL,         -- view.hash
    bucket INTEGER NOT NULL,    -- the top 12 bits of the ids in it
    count INTEGER NOT NULL,     -- how many entries, modulo 2^64
    sum BLOB NOT NULL,          -- sum of their elements, modulo 2^128
    PRIMARY KEY (view, bucket)
) STRICT, WITHOUT ROWID;

-- Deletions that were published, within the guard's window.
CREATE TABLE deletion_event (
    row INTEGER PRIMARY KEY,    -- the order of writing
    origin INTEGER NOT NULL,    -- lowest postoffice.no of the origin
    at INTEGER NOT NULL,        -- when, in milliseconds since 1970
    count INTEGER NOT NULL      -- how many entries
) STRICT;
CREATE INDEX deletion_event_origin ON deletion_event (origin, at);
