//! What this machine could do at best.

use std::{
    io::{Seek as _, Write as _},
    time::Instant,
};

use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

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
pub(crate) async fn bare_sql(table: &mut Table) -> Outcome<f64> {
    let directory = tempfile::tempdir_in(built())?;
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut bare = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, run_at INTEGER NOT NULL, payload BLOB NOT NULL, owner INTEGER, lease INTEGER);
         CREATE INDEX ready ON jobs (run_at, id) WHERE state = 0;",
    )
    .execute(&mut bare)
    .await?;
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {JOBS}) INSERT INTO jobs (state, run_at, payload) SELECT 0, i, zeroblob(60) FROM n"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(&mut bare).await?;
    let began = Instant::now();
    for _ in 0..JOBS / BATCH {
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut bare).await?;
        let ids: Vec<(i64,)> = sqlx::query_as(
            "UPDATE jobs SET state = 1, owner = 7, lease = 9 WHERE id IN (SELECT id FROM jobs WHERE state = 0 ORDER BY run_at, id LIMIT 100) RETURNING id",
        )
        .fetch_all(&mut bare)
        .await?;
        sqlx::raw_sql("COMMIT").execute(&mut bare).await?;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut bare).await?;
        let ids = serde_json::to_string(&ids.into_iter().map(|(id,)| id).collect::<Vec<_>>())?;
        let done = sqlx::query_as::<_, (i64,)>(
            "UPDATE jobs SET state = 2, owner = NULL, lease = NULL WHERE state = 1 AND id IN (SELECT value FROM json_each($1)) RETURNING id",
        );
        done.bind(ids).fetch_all(&mut bare).await?;
        sqlx::raw_sql("COMMIT").execute(&mut bare).await?;
    }
    let rate = JOBS as f64 / began.elapsed().as_secs_f64();
    table.rate("bare SQL: claim and complete, batches of 100, synchronous=FULL", rate, None);
    Ok(rate)
}
