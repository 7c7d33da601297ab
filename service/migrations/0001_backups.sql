-- The state of the service. What stands here of backups can be made again from the vaults (`coffer backups rescan`), all but failed
-- attempts and jobs. Times are seconds since 1970. Only types that SQLite and PostgreSQL share.

-- The processes that work here, and when each last said that it is there, by this database's clock.
CREATE TABLE workers (
    worker TEXT NOT NULL PRIMARY KEY,
    seen BIGINT NOT NULL
);

-- What is being written into a vault: an upload that stands here and whose process is gone is a leftover.
CREATE TABLE writes (
    vault TEXT NOT NULL,
    path TEXT NOT NULL,
    worker TEXT NOT NULL,
    PRIMARY KEY (vault, path)
);

CREATE TABLE backups (
    id TEXT NOT NULL PRIMARY KEY,         -- the archive's id, 32 hexadecimal digits
    source TEXT NOT NULL,
    app TEXT NOT NULL,
    created BIGINT NOT NULL,
    state TEXT NOT NULL,                  -- running, good, failed, deleting
    started_by TEXT NOT NULL,             -- command, rest, rescan
    milliseconds BIGINT,
    bytes BIGINT,
    sha256 TEXT,
    row_count BIGINT,
    table_count BIGINT,
    object_count BIGINT,
    object_bytes BIGINT,
    vanished BIGINT,
    skipped BIGINT,
    index_digest TEXT,
    engine TEXT,
    recipients TEXT,                      -- a JSON list; NULL where it is not known
    signed_by TEXT,
    notice TEXT,
    error TEXT,
    worker TEXT                           -- who makes or deletes it, while that goes on
);

CREATE INDEX backups_by_app ON backups (source, app, created);
CREATE INDEX backups_by_time ON backups (created, id);

-- Where the archive of a good backup stands.
CREATE TABLE copies (
    backup TEXT NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    vault TEXT NOT NULL,
    path TEXT NOT NULL,
    bytes BIGINT,
    sha256 TEXT,
    recipients TEXT,                      -- a JSON list; each copy can have others
    PRIMARY KEY (backup, vault)
);

CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,                   -- backup, restore
    source TEXT NOT NULL,
    app TEXT NOT NULL,
    backup TEXT,
    state TEXT NOT NULL,                  -- queued, running, done, failed, cancelled
    created BIGINT NOT NULL,
    finished BIGINT,
    bytes BIGINT NOT NULL,
    result TEXT,                          -- JSON
    error TEXT,                           -- JSON, RFC 9457
    request TEXT NOT NULL,                -- what was asked for, to be held against another request of the same key
    request_key TEXT,                     -- Idempotency-Key
    worker TEXT NOT NULL
);

CREATE UNIQUE INDEX jobs_by_key ON jobs (kind, source, app, request_key);
CREATE INDEX jobs_by_time ON jobs (created, id);
