-- One row per job, narrow: what the queue reads and writes all the time. Parameters stand apart
-- (`job_params`), because SQLite rewrites a whole row at every update and a job is updated five times.
-- No CHECK says IN: for a list of more than two SQLite builds a table at every write, which would
-- more than double what an update costs.
-- Times are microseconds UTC by the database's clock; ids and tokens are 16 bytes.
CREATE TABLE jobs (
    id                  BLOB    NOT NULL PRIMARY KEY,
    job_type            TEXT    NOT NULL,
    workspace           TEXT    NOT NULL,
    creator             TEXT    NOT NULL,
    executor            TEXT    NOT NULL,
    priority            INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 4),
    due_at              INTEGER NOT NULL,
    timeout_us          INTEGER NOT NULL CHECK (timeout_us > 0),
    state               TEXT    NOT NULL CHECK (state = 'PENDING' OR state = 'RUNNING' OR state = 'NEEDS_RECOVERY' OR state = 'SUCCEEDED' OR state = 'FAILED' OR state = 'TIMEOUT' OR state = 'CANCELED'),
    work                TEXT    NOT NULL DEFAULT 'none' CHECK (work = 'none' OR work = 'maybe' OR work = 'gone'),
    attempt             INTEGER NOT NULL DEFAULT 0,
    retry_count         INTEGER NOT NULL DEFAULT 0,
    recovery_count      INTEGER NOT NULL DEFAULT 0,
    solo_count          INTEGER NOT NULL DEFAULT 0,
    claim_token         BLOB,
    attempt_tag         BLOB,
    owner               BLOB,
    lease_expires_at    INTEGER,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    started_at          INTEGER,
    finished_at         INTEGER,
    needs_recovery_at   INTEGER,
    ask_again_at        INTEGER,
    locality            TEXT,
    handle              TEXT,
    lock_key            BLOB,
    report              TEXT,
    result              TEXT,
    error_message       TEXT,
    cancel_reason       TEXT,
    status_message      TEXT,
    progress            TEXT,
    progress_updated_at INTEGER,
    token_hash          BLOB,
    scoped_permissions  TEXT,
    idempotency_key     TEXT,
    CHECK ((state = 'RUNNING') = (lease_expires_at IS NOT NULL)),
    CHECK ((state = 'SUCCEEDED' OR state = 'FAILED' OR state = 'TIMEOUT' OR state = 'CANCELED') = (finished_at IS NOT NULL)),
    CHECK ((state <> 'RUNNING' AND state <> 'NEEDS_RECOVERY') OR (claim_token IS NOT NULL AND attempt_tag IS NOT NULL)),
    CHECK (state <> 'PENDING' OR (work = 'none' AND claim_token IS NULL AND attempt_tag IS NULL AND handle IS NULL AND report IS NULL)),
    CHECK (work <> 'maybe' OR locality IS NOT NULL)
) WITHOUT ROWID;

-- The claim reads this index and nothing else, in exactly its order.
CREATE INDEX job_claimable ON jobs (executor, job_type, priority, due_at, id) WHERE state = 'PENDING';
-- What must run alone, which is nearly nothing: looked at with every claim.
CREATE INDEX job_alone ON jobs (executor, due_at, id) WHERE state = 'PENDING' AND recovery_count >= 2;
-- Everything that is or may be at work: renewals, sweeps, caps and recovery look only here.
CREATE INDEX job_alive ON jobs (executor, job_type) WHERE state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe';
-- A submitter lists its own jobs, newest first, however many others have.
CREATE INDEX job_creator ON jobs (creator, id);
CREATE UNIQUE INDEX job_idempotency ON jobs (creator, workspace, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE job_params (
    job_id BLOB NOT NULL PRIMARY KEY,
    params TEXT NOT NULL
) WITHOUT ROWID;

-- The last output of the last attempt, at most 64 KiB; no row where there was none.
CREATE TABLE job_logs (
    job_id BLOB    NOT NULL PRIMARY KEY,
    tail   TEXT    NOT NULL
) WITHOUT ROWID;

-- One holder per key; a release names the exact acquisition by its attempt tag.
CREATE TABLE job_locks (
    lock_key    BLOB    NOT NULL PRIMARY KEY,
    job_id      BLOB    NOT NULL,
    attempt_tag BLOB    NOT NULL,
    acquired_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX job_lock_acquisition ON job_locks (attempt_tag);

CREATE TABLE replicas (
    id          BLOB    NOT NULL PRIMARY KEY,
    incarnation BLOB    NOT NULL,
    machine_id  TEXT    NOT NULL,
    hostname    TEXT    NOT NULL,
    version     TEXT    NOT NULL,
    executors   TEXT    NOT NULL,
    heartbeat   INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL
) WITHOUT ROWID;

-- For people with a database shell: the same rows with times and ids that can be read.
CREATE VIEW job_readable AS
SELECT lower(hex(id)) AS id, job_type, workspace, creator, executor, state, work, attempt, retry_count, recovery_count,
       datetime(created_at / 1000000, 'unixepoch') AS created, datetime(due_at / 1000000, 'unixepoch') AS due,
       datetime(started_at / 1000000, 'unixepoch') AS started, datetime(finished_at / 1000000, 'unixepoch') AS finished,
       datetime(lease_expires_at / 1000000, 'unixepoch') AS lease_expires, lower(hex(attempt_tag)) AS attempt_tag,
       error_message, cancel_reason, status_message, progress
FROM jobs;

PRAGMA user_version = 1;
