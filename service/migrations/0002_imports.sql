-- The journal: imports and undos under way, each phase noted before its first step, and those that have landed and whose app, as it
-- was before, is kept. Whoever finds one whose process is gone takes it back, or on to its end.
CREATE TABLE imports (
    id TEXT NOT NULL PRIMARY KEY,         -- 16 hexadecimal digits, in the names of all that it leaves in its target
    source TEXT NOT NULL,
    app TEXT NOT NULL,
    place TEXT NOT NULL,                  -- where the app was: what its source means may change
    landing TEXT NOT NULL,                -- new, replace
    phase TEXT NOT NULL,                  -- loading, publishing, swapping, landed, kept
    mark TEXT NOT NULL,                   -- what tells whether the swap came through
    brings_back TEXT,                     -- of an undo: the import whose replaced app comes back
    begun BIGINT NOT NULL,
    landed BIGINT,                        -- milliseconds since 1970: two of one app can land in one second
    keep_seconds BIGINT NOT NULL,         -- how long what it replaces is kept; 0 is not at all
    kept_bytes BIGINT,
    worker TEXT NOT NULL                  -- who is at it; empty is nobody
);

-- One at a time for an app, whoever asks.
CREATE UNIQUE INDEX imports_under_way ON imports (source, app) WHERE phase <> 'kept';
