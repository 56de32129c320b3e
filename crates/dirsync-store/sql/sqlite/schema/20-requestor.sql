-- The requestor's side of a postoffice. A server has one too: its own.

-- Where this postoffice stands towards its server: one row.
CREATE TABLE requestor (
    one INTEGER PRIMARY KEY CHECK (one = 1), -- always 1
    name TEXT NOT NULL,         -- this postoffice
    server TEXT NOT NULL,       -- its directory server
    epoch TEXT NOT NULL,        -- the life of its own numbering
    lineage TEXT NOT NULL,      -- the epochs it descends from, oldest first, separated by blanks
    epoch_accepted INTEGER NOT NULL, -- 1 when the server has accepted the epoch
    req_seq INTEGER NOT NULL,   -- number of the last own change
    req_sync INTEGER NOT NULL,  -- highest own number that the server acknowledged
    last_stamp INTEGER NOT NULL, -- stamp of the last own change
    request_no INTEGER NOT NULL, -- number of the last request
    last_answer INTEGER NOT NULL, -- highest request whose answer was taken
    sent TEXT NOT NULL,         -- lines NUMBER ID of the requests not older than last_answer
    epoch_heard TEXT,           -- newest server epoch ever heard
    point TEXT,                 -- where the list stands; NULL while nothing is held
    list_digest TEXT NOT NULL,  -- count and sum of the list
    own_digest TEXT NOT NULL,   -- count and sum of the own entries
    staging_point TEXT,         -- point reached by the parts of a replace; NULL when there is none
    staging_view TEXT,          -- view of the replace under way
    staging_answers INTEGER,    -- the request that the replace answers
    staging_digest TEXT,        -- count and sum of the parts taken
    list_bad INTEGER NOT NULL,  -- 1 when the list did not match an update's digest
    send_buckets INTEGER NOT NULL, -- 1 when the server asked for the list's buckets
    view_wanted TEXT NOT NULL,  -- what this postoffice wants to see
    view TEXT NOT NULL,         -- the view that the list was made under
    mode TEXT NOT NULL,         -- normal, want-own, resubmitting, fenced, removed
    mode_base TEXT,             -- resubmitting: digest of what the export replaces
    mode_challenge TEXT,        -- resubmitting: the challenge to repeat
    secret TEXT                 -- secret of the invitation, until the first answer
) STRICT;

-- Own entries, for ever until deleted.
CREATE TABLE own (
    row INTEGER PRIMARY KEY,    -- no meaning
    id BLOB NOT NULL UNIQUE,    -- the entry
    element BLOB NOT NULL,      -- its element of the own digest
    source TEXT NOT NULL,       -- what feeds it: hand, import, or a source's name
    first_origin INTEGER NOT NULL, -- postoffice.no whose key the id derives from
    key TEXT NOT NULL,          -- its key there
    kind TEXT NOT NULL,         -- mailbox, contact, resource, list
    name TEXT NOT NULL,         -- display name
    addresses TEXT NOT NULL,    -- TYPE:value, separated by tabs, the first is primary
    details TEXT NOT NULL,      -- lines attribute/value
    last INTEGER NOT NULL,      -- number of its last change
    whole INTEGER NOT NULL,     -- number at which it was last new as a whole
    parts TEXT,                 -- part=number of the parts that changed since; NULL when none did
    stamp INTEGER NOT NULL,     -- stamp of its last change
    released_to INTEGER         -- postoffice.no it is released to
) STRICT;
CREATE INDEX own_last ON own (last);

-- Own deletions, kept: the merge rests on them.
CREATE TABLE own_tombstone (
    id BLOB PRIMARY KEY,        -- the entry
    req_seq INTEGER NOT NULL,   -- number of the deletion
    stamp INTEGER NOT NULL,     -- stamp of the deletion
    approved INTEGER NOT NULL   -- 1 when a person approved it here
) STRICT, WITHOUT ROWID;
CREATE INDEX own_tombstone_req_seq ON own_tombstone (req_seq);

-- Entries whose id does not derive from this postoffice's name and their key.
CREATE TABLE adopted (
    source TEXT NOT NULL,       -- the source
    key TEXT NOT NULL,          -- its key
    id BLOB NOT NULL,           -- the entry that the key stands for
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

-- Which of list_a and list_b readers see; the other one is for a replace under way.
CREATE TABLE list_place (
    one INTEGER PRIMARY KEY CHECK (one = 1), -- always 1
    live INTEGER NOT NULL CHECK (live IN (0, 1)) -- 0 is list_a, 1 is list_b
) STRICT;
INSERT INTO list_place (one, live) VALUES (1, 0);

-- The received list, or the one that is to take its place: see list_place.
CREATE TABLE list_a (
    row INTEGER PRIMARY KEY,    -- the order of writing
    id BLOB NOT NULL,           -- the entry
    owner INTEGER NOT NULL,     -- postoffice.no of its owner
    first_origin INTEGER NOT NULL, -- postoffice.no whose key the id derives from
    key TEXT NOT NULL,          -- its key there
    srv_seq INTEGER NOT NULL,   -- the server's number of its last change
    stamp INTEGER NOT NULL,     -- stamp of its last change
    released_to INTEGER,        -- postoffice.no it is released to
    kind TEXT NOT NULL,         -- mailbox, contact, resource, list
    name TEXT NOT NULL,         -- display name
    addresses TEXT NOT NULL,    -- TYPE:value, separated by tabs, the first is primary
    details TEXT NOT NULL       -- lines attribute/value
) STRICT;
CREATE UNIQUE INDEX list_a_id ON list_a (id);

-- See list_a.
CREATE TABLE list_b (
    row INTEGER PRIMARY KEY,    -- as in list_a
    id BLOB NOT NULL,           -- as in list_a
    owner INTEGER NOT NULL,     -- as in list_a
    first_origin INTEGER NOT NULL, -- as in list_a
    key TEXT NOT NULL,          -- as in list_a
    srv_seq INTEGER NOT NULL,   -- as in list_a
    stamp INTEGER NOT NULL,     -- as in list_a
    released_to INTEGER,        -- as in list_a
    kind TEXT NOT NULL,         -- as in list_a
    name TEXT NOT NULL,         -- as in list_a
    addresses TEXT NOT NULL,    -- as in list_a
    details TEXT NOT NULL       -- as in list_a
) STRICT;
CREATE UNIQUE INDEX list_b_id ON list_b (id);

-- Digests of the buckets of both lists.
CREATE TABLE list_bucket (
    list INTEGER NOT NULL,      -- 0 is list_a, 1 is list_b
    bucket INTEGER NOT NULL,    -- the top 12 bits of the ids in it
    count INTEGER NOT NULL,     -- how many entries, modulo 2^64
    sum BLOB NOT NULL,          -- sum of their elements, modulo 2^128
    PRIMARY KEY (list, bucket)
) STRICT, WITHOUT ROWID;

-- What the server said of own entries that are not published as submitted.
CREATE TABLE outcome (
    position INTEGER PRIMARY KEY, -- the server's order
    id BLOB NOT NULL,           -- the entry
    kind TEXT NOT NULL,         -- waiting, contested, held, transferred, foreign-id, invalid
    address TEXT,               -- waiting, contested: the address
    postoffice TEXT,            -- holder, contestant, new owner or owner
    reason TEXT                 -- invalid: what is wrong
) STRICT;

-- Changes that wait for a person at this origin.
CREATE TABLE held_change (
    id BLOB PRIMARY KEY,        -- the entry
    source TEXT NOT NULL,       -- the source whose read asks for it
    kind TEXT NOT NULL,         -- delete, blank, move, short-read
    key TEXT NOT NULL,          -- the entry's key
    since INTEGER NOT NULL,     -- when it was first held, in milliseconds since 1970
    rejected INTEGER NOT NULL,  -- 1 when a person rejected it
    entry_kind TEXT,            -- kind of the entry as the source has it; NULL for a deletion
    name TEXT,                  -- its display name
    addresses TEXT,             -- its addresses
    details TEXT                -- its details
) STRICT, WITHOUT ROWID;

-- Guarded changes by reads of sources, within the guard's window.
CREATE TABLE guard_event (
    row INTEGER PRIMARY KEY,    -- the order of writing
    source TEXT NOT NULL,       -- the source
    at INTEGER NOT NULL,        -- when, in milliseconds since 1970
    kind TEXT NOT NULL,         -- delete, blank, move
    count INTEGER NOT NULL      -- how many entries
) STRICT;
CREATE INDEX guard_event_source ON guard_event (source, at);

-- What is remembered of a source between two reads.
CREATE TABLE source (
    name TEXT PRIMARY KEY,      -- the source
    good_rows INTEGER NOT NULL, -- rows of the last good whole read
    read_at INTEGER NOT NULL,   -- when that was, in milliseconds since 1970
    settings TEXT NOT NULL,     -- fingerprint of its settings then
    seen TEXT NOT NULL          -- what its file looked like
) STRICT, WITHOUT ROWID;
