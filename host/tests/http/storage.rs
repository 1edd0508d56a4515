//! A database that does not answer: nothing that was accepted is lost, nothing is accepted twice.

use axum::http::StatusCode;
use serde_json::json;
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use crate::site::{ALICE, Site, id, plain, score};

async fn open(site: &Site) -> SqliteConnection {
    let file = site.directory.path().join("state/longshore.db");
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

#[tokio::test]
async fn a_job_that_is_stored_but_cannot_be_shown_is_no_failure() {
    let site = Site::new().await;
    // What reads is closed, what writes is not.
    site.host.store.close().await;
    let answer = site.post(ALICE, "/jobs/", score(1)).await;
    assert_eq!(answer.error(), plain(202, "accepted_unread"));
    let id = id(answer.json()["error"]["job_id"].as_str().unwrap());
    let mut other = open(&site).await;
    let stored = sqlx::raw_sql("SELECT id FROM jobs").fetch_all(&mut other).await.unwrap();
    assert_eq!(stored.iter().map(|row| row.get(0)).collect::<Vec<uuid::Uuid>>(), [id.0]);
}

#[tokio::test]
async fn a_busy_database_is_a_503_and_the_same_submission_counts_once() {
    let site = Site::new().await;
    let mut other = open(&site).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let mut body = score(1);
    body["idempotency_key"] = "once".into();
    let refused = site.post(ALICE, "/jobs/", body.clone()).await;
    assert_eq!(refused.error(), plain(503, "storage_unavailable"));
    assert_eq!(refused.headers["retry-after"], "1");
    let read = site.post(ALICE, "/jobs/search", json!({})).await;
    assert_eq!(read.status, StatusCode::OK, "readers go on");

    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let first = site.post(ALICE, "/jobs/", body.clone()).await.ok();
    let second = site.post(ALICE, "/jobs/", body).await.ok();
    assert_eq!(first["job_id"], second["job_id"]);
    assert_eq!(site.jobs().await, 1);
}
