"""What three shapes of the jobs table cost on SQLite; the table in 0001-hot-and-cold-columns.md.

    python3 docs/decisions/0001-hot-and-cold-columns.py [JOBS]

Each job goes the usual way (submit, claim, begin, handle, progress, settle) with 1 KiB of
parameters and 200 bytes of result, in batches of 100, `synchronous=FULL`, rows kept. Bytes are those
written to the write-ahead log, which do not depend on what else the machine does; jobs a second do.
"""

import os
import sqlite3
import sys
import tempfile
import time

JOBS = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
BATCH = 100
PARAMS = '{"text": "%s"}' % ("x" * 1012)
RESULT = '{"text": "%s"}' % ("y" * 188)

# What every shape keeps of a job: fixed at submission, and changing with each attempt.
FIXED = "job_type TEXT, workspace TEXT, creator TEXT, executor TEXT, timeout_us INTEGER, created_at INTEGER"
MOVING = """state TEXT, work TEXT, attempt INTEGER, claim_token BLOB, attempt_tag BLOB, owner BLOB,
    lease_expires_at INTEGER, updated_at INTEGER, started_at INTEGER, finished_at INTEGER, locality TEXT, handle TEXT,
    status_message TEXT, progress TEXT, progress_updated_at INTEGER"""
TABLE = f"""
CREATE TABLE jobs (id BLOB PRIMARY KEY, {FIXED}, priority INTEGER, due_at INTEGER, {MOVING}, result TEXT %s) WITHOUT ROWID;
CREATE INDEX job_claimable ON jobs (executor, job_type, priority, due_at, id) WHERE state = 'PENDING';
CREATE INDEX job_alive ON jobs (executor, job_type) WHERE state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe';
"""
FIXED_VALUES = ("score_traces", "default", "somebody", "local", 600_000_000, 1)
SET = {
    "claim": "state = 'RUNNING', attempt = 1, claim_token = randomblob(16), attempt_tag = randomblob(16), "
    "owner = randomblob(16), lease_expires_at = 2, started_at = 2, updated_at = 2",
    "begin": "work = 'maybe', locality = 'machine 0123456789abcdef0123456789abcdef', updated_at = 3",
    "handle": "handle = '{\"version\": 1, \"pid\": 12345}', updated_at = 4",
    "progress": "status_message = 'scored tr-0123456789abcdef', progress = '{\"completed\": 7, \"total\": 20}', "
    "progress_updated_at = 5, updated_at = 5",
    "settle": "state = 'SUCCEEDED', work = 'gone', finished_at = 6, lease_expires_at = NULL, updated_at = 6, "
    "status_message = NULL, progress = NULL, progress_updated_at = NULL, result = :result",
}


class Columns:
    """One row a job that is updated at each step; parameters in it, or in a table of their own."""

    def __init__(self, db, apart):
        self.db, self.apart = db, apart
        db.executescript(TABLE % ("" if apart else ", params TEXT"))
        if apart:
            db.execute("CREATE TABLE job_params (id BLOB PRIMARY KEY, params TEXT) WITHOUT ROWID")

    def submit(self, ids):
        names = "id, job_type, workspace, creator, executor, timeout_us, created_at, priority, due_at, state, work"
        for id in ids:
            row = (id, *FIXED_VALUES, 2, 1, "PENDING", "none")
            marks = ", ".join("?" * len(row))
            if self.apart:
                self.db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", row)
                self.db.execute("INSERT INTO job_params VALUES (?, ?)", (id, PARAMS))
            else:
                self.db.execute(f"INSERT INTO jobs ({names}, params) VALUES ({marks}, ?)", (*row, PARAMS))

    def step(self, name, ids):
        sql = f"UPDATE jobs SET {SET[name]} WHERE id = :id"
        self.db.executemany(sql, [{"id": id, "result": RESULT} for id in ids])


class Tables:
    """A row that never changes, and one that moves from a table of the ready to one of the claimed."""

    def __init__(self, db):
        self.db = db
        db.executescript(f"""
        CREATE TABLE jobs (id BLOB PRIMARY KEY, {FIXED}, params TEXT) WITHOUT ROWID;
        CREATE TABLE ready (executor TEXT, job_type TEXT, priority INTEGER, due_at INTEGER, id BLOB,
                            PRIMARY KEY (executor, job_type, priority, due_at, id)) WITHOUT ROWID;
        CREATE TABLE claimed (id BLOB PRIMARY KEY, {MOVING}) WITHOUT ROWID;
        CREATE TABLE ended (id BLOB PRIMARY KEY, {MOVING}, result TEXT) WITHOUT ROWID;""")

    def submit(self, ids):
        for id in ids:
            self.db.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (id, *FIXED_VALUES, PARAMS))
            self.db.execute("INSERT INTO ready VALUES ('local', 'score_traces', 2, 1, ?)", (id,))

    def step(self, name, ids):
        for id in ids:
            values = {"id": id, "result": RESULT}
            if name == "claim":
                self.db.execute("DELETE FROM ready WHERE executor = 'local' AND job_type = 'score_traces' "
                                "AND priority = 2 AND due_at = 1 AND id = :id", values)
                self.db.execute("INSERT INTO claimed (id, work) VALUES (:id, 'none')", values)
            if name == "settle":
                self.db.execute("INSERT INTO ended SELECT *, NULL FROM claimed WHERE id = :id", values)
                self.db.execute("DELETE FROM claimed WHERE id = :id", values)
            table = "ended" if name == "settle" else "claimed"
            self.db.execute(f"UPDATE {table} SET {SET[name]} WHERE id = :id", values)


def measure(name, make):
    with tempfile.TemporaryDirectory(dir=".") as directory:
        path = os.path.join(directory, "db")
        db = sqlite3.connect(path, isolation_level=None)
        db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=0")
        shape = make(db)
        # As UUIDv7: ascending in time, random behind it.
        ids = [at.to_bytes(6, "big") + os.urandom(10) for at in range(JOBS)]
        written, began = 0, time.monotonic()
        for step in ("submit", *SET):
            for at in range(0, JOBS, BATCH):
                db.execute("BEGIN IMMEDIATE")
                shape.submit(ids[at:at + BATCH]) if step == "submit" else shape.step(step, ids[at:at + BATCH])
                db.execute("COMMIT")
            written += os.path.getsize(path + "-wal")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        seconds = time.monotonic() - began
        print(f"| {name} | {written / JOBS / 1024:.1f} KiB | {os.path.getsize(path) / JOBS / 1024:.1f} KiB | {JOBS / seconds:,.0f} |")
        db.close()


print(f"{JOBS:,} jobs, SQLite {sqlite3.sqlite_version}\n")
print("| shape | written a job | kept a job | jobs/s |\n| --- | --- | --- | --- |")
measure("one wide table", lambda db: Columns(db, apart=False))
measure("parameters apart", lambda db: Columns(db, apart=True))
measure("ready, claimed, ended", Tables)
