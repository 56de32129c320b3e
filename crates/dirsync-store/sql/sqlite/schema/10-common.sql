-- What every postoffice has beside its protocol state.

-- Names of postoffices, in the spellings in which they were written.
CREATE TABLE postoffice (
    no INTEGER PRIMARY KEY,     -- what other tables call this spelling
    name TEXT NOT NULL UNIQUE,  -- NETWORK/POSTOFFICE
    folded TEXT NOT NULL        -- comparison key: spellings with the same one are one postoffice
) STRICT;

-- What could not be accepted.
CREATE TABLE quarantine (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- number of the case, never used again
    since INTEGER NOT NULL,     -- when it came, in milliseconds since 1970
    origin TEXT NOT NULL,       -- where it came from: a source's name, or a postoffice's
    subject TEXT NOT NULL,      -- which entry, row or file
    reason TEXT NOT NULL,       -- why it was not accepted
    text TEXT NOT NULL          -- the material itself
) STRICT;

-- Steps that ran, one line each.
CREATE TABLE log (
    row INTEGER PRIMARY KEY,    -- the order of writing
    at INTEGER NOT NULL,        -- when, in milliseconds since 1970
    step TEXT NOT NULL,         -- T0, T1, T2, T3, or a command's name
    level TEXT NOT NULL,        -- info, notice, warning, error, alarm
    text TEXT NOT NULL          -- the line
) STRICT;
CREATE INDEX log_at ON log (at);

-- Named texts of the agent: times of last steps, alarms that are on.
CREATE TABLE note (
    name TEXT PRIMARY KEY,      -- what it is about
    text TEXT NOT NULL          -- what it says
) STRICT, WITHOUT ROWID;
