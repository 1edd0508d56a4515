//! A database that does not answer: nothing that was accepted is lost, nothing is accepted twice.

use axum::http::StatusCode;
use rusqlite::Connection;
use serde_json::json;

use crate::site::{ALICE, Site, id, plain, score};

fn open(site: &Site) -> Connection {
    Connection::open(site.directory.path().join("state/longshore.db")).unwrap()
}

#[tokio::test]
async fn a_job_that_is_stored_but_cannot_be_shown_is_no_failure() {
    let site = Site::new().await;
    // What is written can then not be read.
    let damage = "CREATE TRIGGER damage AFTER INSERT ON jobs BEGIN UPDATE jobs SET attempt = 'many' WHERE id = NEW.id; END";
    open(&site).execute_batch(damage).unwrap();
    let answer = site.post(ALICE, "/jobs/", score(1)).await;
    assert_eq!(answer.error(), plain(202, "accepted_unread"));
    let id = id(answer.json()["error"]["job_id"].as_str().unwrap());
    let stored: Vec<u8> =
        open(&site).query_one("SELECT id FROM jobs", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, id.0.as_bytes());
}

#[tokio::test]
async fn a_busy_database_is_a_503_and_the_same_submission_counts_once() {
    let site = Site::new().await;
    let other = open(&site);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut body = score(1);
    body["idempotency_key"] = "once".into();
    let refused = site.post(ALICE, "/jobs/", body.clone()).await;
    assert_eq!(refused.error(), plain(503, "storage_unavailable"));
    assert_eq!(refused.headers["retry-after"], "1");
    let read = site.post(ALICE, "/jobs/search", json!({})).await;
    assert_eq!(read.status, StatusCode::OK, "readers go on");

    other.execute_batch("COMMIT").unwrap();
    drop(other);
    let first = site.post(ALICE, "/jobs/", body.clone()).await.ok();
    let second = site.post(ALICE, "/jobs/", body).await.ok();
    assert_eq!(first["job_id"], second["job_id"]);
    assert_eq!(site.jobs().await, 1);
}
