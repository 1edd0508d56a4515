//! What this machine could do at best.

use std::{
    io::{Seek as _, Write as _},
    time::Instant,
};

use rusqlite::Connection;

use crate::{Outcome, table::Table, world::built};

const JOBS: i64 = 50_000;
const BATCH: i64 = 100;

/// How long the disk takes to keep 4 KiB.
pub(crate) fn disk(table: &mut Table) -> Outcome {
    let mut file = tempfile::tempfile_in(built())?;
    let mut us = Vec::new();
    for _ in 0..300 {
        file.rewind()?;
        file.write_all(&[7; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    table.spread("disk: write 4 KiB and fdatasync", us);
    Ok(())
}

/// Claim and complete of the same rows in batches, by the shortest SQL there is, every commit durable.
pub(crate) fn bare_sql(table: &mut Table) -> Outcome<f64> {
    let directory = tempfile::tempdir_in(built())?;
    let mut bare = Connection::open(directory.path().join("bare.db"))?;
    bare.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE jobs (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, run_at INTEGER NOT NULL, payload BLOB NOT NULL, owner INTEGER, lease INTEGER);
         CREATE INDEX ready ON jobs (run_at, id) WHERE state = 0;",
    )?;
    bare.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO jobs (state, run_at, payload) SELECT 0, i, zeroblob(60) FROM n",
        [JOBS],
    )?;
    let began = Instant::now();
    for _ in 0..JOBS / BATCH {
        let claim = bare.transaction()?;
        let ids: Vec<i64> = claim
            .prepare_cached(
                "UPDATE jobs SET state = 1, owner = 7, lease = 9 WHERE id IN (SELECT id FROM jobs WHERE state = 0 ORDER BY run_at, id LIMIT ?1) RETURNING id",
            )?
            .query_map([BATCH], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        claim.commit()?;
        let complete = bare.transaction()?;
        for id in ids {
            complete
                .prepare_cached("UPDATE jobs SET state = 2, owner = NULL, lease = NULL WHERE state = 1 AND id = ?1")?
                .execute([id])?;
        }
        complete.commit()?;
    }
    let rate = JOBS as f64 / began.elapsed().as_secs_f64();
    table.rate("bare SQL: claim and complete, batches of 100, synchronous=FULL", rate, None);
    Ok(rate)
}
