use longshore::job::Outcome;
use serde_json::{Value, json};

use crate::site::{ALICE, BOB, Site, at, score};

fn ids(page: &Value) -> Vec<String> {
    page["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["job_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Every job that a search finds, over as many pages as it takes.
async fn all(site: &Site, token: &str, search: Value) -> Vec<String> {
    let mut search = search;
    let mut found = Vec::new();
    loop {
        let page = site.post(token, "/jobs/search", search.clone()).await.ok();
        found.extend(ids(&page));
        if page["next_page_token"].is_null() {
            return found;
        }
        search["page_token"] = page["next_page_token"].clone();
    }
}

#[tokio::test]
async fn everybody_finds_their_own_jobs_and_an_admin_finds_all() {
    let site = Site::new().await;
    let train = json!({ "job_name": "train", "params": { "dataset": "d" }, "workspace": "lab" });
    let his = site.post(BOB, "/jobs/", train).await.ok()["job_id"].as_str().unwrap().to_owned();
    let hers = site.submitted(ALICE).await;
    assert_eq!(all(&site, BOB, json!({})).await, std::slice::from_ref(&his));
    assert_eq!(all(&site, ALICE, json!({})).await, std::slice::from_ref(&hers));
    assert_eq!(all(&site, &site.admin, json!({})).await, [hers, his], "newest first");
}

#[tokio::test]
async fn pages_hold_every_job_once_and_count_only_what_may_be_seen() {
    let site = Site::new().await;
    let mut expected = Vec::new();
    for n in 0..7 {
        expected.push(site.submitted(ALICE).await);
        site.post(&site.admin, "/jobs/", score(n)).await.ok();
    }
    expected.reverse();
    for size in [1, 2, 3, 7, 8, 1000] {
        assert_eq!(
            all(&site, ALICE, json!({ "max_results": size })).await,
            expected,
            "pages of {size}"
        );
    }
    let first = site.post(ALICE, "/jobs/search", json!({ "max_results": 3 })).await.ok();
    assert_eq!(ids(&first).len(), 3, "other people's jobs take no place on a page");
}

#[tokio::test]
async fn a_page_has_a_hundred_jobs_unless_asked_otherwise() {
    let site = Site::new().await;
    for _ in 0..3 {
        let jobs: Vec<_> = (0..50).map(score).collect();
        site.post(ALICE, "/jobs/bulk", json!({ "jobs": jobs })).await.ok();
    }
    let page = site.post(ALICE, "/jobs/search", json!({})).await.ok();
    assert_eq!(ids(&page).len(), 100);
    assert_eq!(all(&site, ALICE, json!({})).await.len(), 150);
    assert_eq!(
        ids(&site.post(ALICE, "/jobs/search", json!({ "max_results": 120 })).await.ok()).len(),
        120
    );
}

#[tokio::test]
async fn a_page_of_large_jobs_ends_early_and_loses_none() {
    let site = Site::new().await;
    let mut expected = Vec::new();
    for _ in 0..12 {
        let result = format!("\"{}\"", "x".repeat(4 << 20));
        expected.push(site.ended(ALICE, Outcome::Succeeded { result }).await);
    }
    expected.reverse();
    let answer = site.post(ALICE, "/jobs/search", json!({})).await;
    assert!(answer.bytes.len() < 16 << 20, "eight megabytes, and the job that took it there");
    assert_eq!(ids(&answer.ok()), expected[..2]);
    assert_eq!(all(&site, ALICE, json!({})).await, expected);
    assert_eq!(all(&site, ALICE, json!({ "max_results": 1 })).await, expected);
}

#[tokio::test]
async fn a_search_finds_by_type_state_workspace_and_parameters() {
    let site = Site::new().await;
    let train = json!({ "job_name": "train", "params": { "dataset": { "a": [1, "1"] }, "n": 1 }, "workspace": "lab" });
    let train = site.post(ALICE, "/jobs/", train).await.ok()["job_id"].as_str().unwrap().to_owned();
    let (running, _) = site.running(ALICE).await;
    let canceled = site.submitted(ALICE).await;
    site.cancel(ALICE, &canceled).await.ok();
    let cases = [
        (json!({ "job_name": "train" }), vec![&train]),
        (json!({ "job_name": "none-such" }), vec![]),
        (json!({ "workspace": "lab" }), vec![&train]),
        (json!({ "statuses": ["RUNNING"] }), vec![&running]),
        (json!({ "statuses": ["RUNNING", "CANCELED"] }), vec![&canceled, &running]),
        (json!({ "statuses": [] }), vec![&canceled, &running, &train]),
        (json!({ "params": { "experiment_id": 1 } }), vec![&canceled, &running]),
        (json!({ "params": { "experiment_id": "1" } }), vec![]),
        (json!({ "params": { "n": 1, "dataset": { "a": [1, "1"] } } }), vec![&train]),
        (json!({ "params": { "n": 2, "dataset": { "a": [1, "1"] } } }), vec![]),
        (
            json!({ "params": { "experiment_id": 1 }, "statuses": ["CANCELED"], "job_name": "score" }),
            vec![&canceled],
        ),
        (json!({ "params": { "x' OR 1=1 --": 1 } }), vec![]),
    ];
    for (search, expected) in cases {
        let found = all(&site, ALICE, search.clone()).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{search}");
    }
}

#[tokio::test]
async fn a_wrong_search_names_the_field() {
    let site = Site::new().await;
    let cases = [
        (json!({ "statuses": ["RUNNING", "CANCELLED"] }), at(400, "invalid_field", "statuses[1]")),
        (json!({ "statuses": "RUNNING" }), at(400, "invalid_field", "statuses")),
        (json!({ "max_results": 0 }), at(400, "invalid_field", "max_results")),
        (json!({ "max_results": 1001 }), at(400, "invalid_field", "max_results")),
        (json!({ "page_token": "x" }), at(400, "invalid_page_token", "page_token")),
        (json!({ "params": [1] }), at(400, "invalid_field", "params")),
        (json!({ "creator": "bob" }), at(400, "invalid_field", "creator")),
    ];
    for (search, expected) in cases {
        assert_eq!(
            site.post(ALICE, "/jobs/search", search.clone()).await.error(),
            expected,
            "{search}"
        );
    }
}
