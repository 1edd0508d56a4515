use std::collections::BTreeMap;

use axum::http::StatusCode;
use longshore::{job::Outcome, lifecycle::State};
use serde_json::{Value, json};

use crate::{
    agreed,
    site::{ALICE, BOB, Site, id, plain},
};

#[tokio::test]
async fn a_job_is_shown_in_every_state() {
    let site = Site::new().await;
    let mut shown = BTreeMap::new();
    for (state, id) in site.one_of_each(ALICE).await {
        let job = site.get(ALICE, &format!("/jobs/{id}")).await.ok();
        assert_eq!(job["status"], state.as_str());
        shown.insert(state.to_string(), job);
    }
    agreed("job in every state", &json!(shown));
}

#[tokio::test]
async fn progress_is_shown_as_it_was_said() {
    let site = Site::new().await;
    let (job, claimed) = site.running(ALICE).await;
    let said = r#"{"phase":"scoring","completed":3,"total":9}"#;
    let store = &site.host.store;
    let _ =
        store.job_progress(claimed.id, claimed.token, Some("half way"), Some(said)).await.unwrap();
    let shown = site.get(ALICE, &format!("/jobs/{job}")).await.ok();
    assert_eq!(shown["status_message"], "half way");
    assert_eq!(shown["progress"], json!({ "phase": "scoring", "completed": 3, "total": 9 }));
    assert!(
        shown["progress_updated_at"].as_i64().unwrap() >= shown["started_at"].as_i64().unwrap()
    );
}

#[tokio::test]
async fn times_are_milliseconds() {
    let site = Site::new().await;
    let job = site.submitted(ALICE).await;
    let shown = site.get(ALICE, &format!("/jobs/{job}")).await.ok();
    let stored = site.host.store.job_get(id(&job)).await.unwrap().unwrap();
    assert_eq!(shown["creation_time"], stored.created_at / 1000);
    assert_eq!(shown["last_update_time"], stored.updated_at / 1000);
    assert_eq!(shown["due_at"], stored.due_at / 1000);
}

#[tokio::test]
async fn cancel_is_idempotent_and_leaves_other_ends_alone() {
    let site = Site::new().await;
    for (state, id) in site.one_of_each(ALICE).await {
        let before = site.get(ALICE, &format!("/jobs/{id}")).await.ok();
        let answer = site.cancel(ALICE, &id).await;
        let after = site.get(ALICE, &format!("/jobs/{id}")).await.ok();
        match state {
            State::Pending | State::Running | State::NeedsRecovery => {
                assert_eq!(answer.ok(), after, "{state}");
                assert_eq!(after["status"], "CANCELED", "{state}");
                assert_eq!(
                    after["cancel_reason"],
                    json!({ "code": "requested", "by": "alice" }),
                    "{state}"
                );
                assert_eq!(site.cancel(ALICE, &id).await.ok(), after, "again, {state}");
            }
            State::Canceled => assert_eq!((answer.ok(), after), (before.clone(), before)),
            State::Succeeded | State::Failed | State::Timeout => {
                assert_eq!(answer.error(), plain(409, "already_finished"), "{state}");
                assert_eq!(answer.json()["error"]["status"], state.as_str());
                assert_eq!(answer.json()["error"]["job_id"], id);
                assert_eq!(after, before, "{state}");
            }
        }
    }
}

#[tokio::test]
async fn a_canceled_job_whose_work_may_still_run_says_so() {
    let site = Site::new().await;
    let (id, _) = site.running(ALICE).await;
    let job = site.cancel(ALICE, &id).await.ok();
    assert_eq!((&job["status"], &job["work"]), (&json!("CANCELED"), &json!("maybe")));
}

#[tokio::test]
async fn a_result_is_what_the_job_returned_byte_for_byte() {
    let site = Site::new().await;
    for result in [r#"{"mean": 0.50, "n": 3}"#, "null", "\"text\"", "1e3", "[]"] {
        let id = site.ended(ALICE, Outcome::Succeeded { result: result.to_owned() }).await;
        let answer = site.get(ALICE, &format!("/jobs/{id}/result")).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, result));
        assert_eq!(answer.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_job_without_a_result_says_why() {
    let site = Site::new().await;
    let mut said = BTreeMap::new();
    for (state, id) in site.one_of_each(ALICE).await {
        let answer = site.get(ALICE, &format!("/jobs/{id}/result")).await;
        let expected = match state {
            State::Pending | State::Running | State::NeedsRecovery => plain(409, "not_finished"),
            State::Failed | State::Timeout | State::Canceled => plain(404, "no_result"),
            State::Succeeded => continue,
        };
        assert_eq!(answer.error(), expected, "{state}");
        said.insert(state.to_string(), answer.json());
    }
    agreed("no result", &json!(said));
}

#[tokio::test]
async fn a_job_of_somebody_else_answers_exactly_like_a_missing_one() {
    let site = Site::new().await;
    let (hers, missing) = (site.submitted(ALICE).await, longshore::job::JobId::new().to_string());
    for path in ["/jobs/ID", "/jobs/ID/result", "/jobs/ID/logs", "/jobs/ID/logs?follow=true"] {
        let refused = site.get(BOB, &path.replace("ID", &hers)).await;
        let absent = site.get(BOB, &path.replace("ID", &missing)).await;
        assert_eq!(refused.error(), plain(404, "job_not_found"), "{path}");
        assert_eq!(refused.text().replace(&hers, &missing), absent.text(), "{path}");
        let names = |headers: &axum::http::HeaderMap| -> Vec<String> {
            headers.keys().map(ToString::to_string).collect()
        };
        assert_eq!(names(&refused.headers), names(&absent.headers), "{path}");
    }
    let (refused, absent) = (site.cancel(BOB, &hers).await, site.cancel(BOB, &missing).await);
    assert_eq!(refused.text().replace(&hers, &missing), absent.text());
    assert_eq!(
        site.get(&site.admin, &format!("/jobs/{hers}")).await.ok()["status"],
        "PENDING",
        "bob canceled nothing"
    );
    assert_eq!(site.get(ALICE, "/jobs/what").await.error(), plain(404, "job_not_found"));
}

#[tokio::test]
async fn an_admin_sees_and_cancels_everybodys_jobs() {
    let site = Site::new().await;
    let id = site.submitted(ALICE).await;
    let job = site.cancel(&site.admin, &id).await.ok();
    assert_eq!(job["cancel_reason"]["by"], "admin");
    assert_eq!(job["creator"], "alice");
}

#[tokio::test]
async fn an_ended_jobs_kept_output_is_read_from_any_offset() {
    let site = Site::new().await;
    let id = site.ended(ALICE, Outcome::Failed { error: "no".to_owned() }).await;
    let path = format!("/jobs/{id}/logs");
    let empty = site.get(ALICE, &path).await;
    assert_eq!((empty.status, empty.text()), (StatusCode::OK, ""), "no output is no error");
    let id = crate::site::id(&id);
    let token = site.host.store.job_get(id).await.unwrap().unwrap().token.unwrap();
    let _ = site.host.store.job_log_put(id, token, "first\nzwölf\n").await.unwrap();
    let whole = site.get(ALICE, &path).await;
    assert_eq!(
        (whole.text(), &whole.headers["x-log-next-offset"], &whole.headers["x-log-end"]),
        ("first\nzwölf\n", &"13".parse().unwrap(), &"true".parse().unwrap())
    );
    for (offset, text) in [(6, "zwölf\n"), (9, "ölf\n"), (13, ""), (99, "")] {
        assert_eq!(
            site.get(ALICE, &format!("{path}?offset={offset}")).await.text(),
            text,
            "from {offset}"
        );
    }
    assert_eq!(site.get(ALICE, &format!("{path}?follow=true&offset=6")).await.text(), "zwölf\n");
    let wrong = site.get(ALICE, &format!("{path}?offset=-1")).await;
    assert_eq!(wrong.error(), plain(400, "invalid_query"));
    assert_eq!(
        site.get(ALICE, &format!("{path}?ofset=1")).await.error(),
        plain(400, "invalid_query")
    );
}

#[tokio::test]
async fn stored_json_that_is_none_is_shown_as_null() {
    let site = Site::new().await;
    // The store takes what it is given: the check is the host's.
    let id = site.ended(ALICE, Outcome::Succeeded { result: "{broken".to_owned() }).await;
    assert_eq!(site.get(ALICE, &format!("/jobs/{id}")).await.ok()["result"], Value::Null);
    assert_eq!(
        site.post(ALICE, "/jobs/search", json!({})).await.ok()["jobs"][0]["job_id"],
        id.as_str()
    );
    assert_eq!(
        site.get(ALICE, &format!("/jobs/{id}/result")).await.error(),
        plain(500, "internal")
    );
}
