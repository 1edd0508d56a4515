use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Value, json};

use crate::{
    agreed,
    site::{ALICE, BOB, Site, at, plain, score},
};

async fn sent(site: &Site, path: &str, body: &str) -> (u16, String, Option<String>) {
    let request = Request::post(format!("/api/3.0{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {ALICE}"))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Body::from(body.to_owned()));
    site.send(request.unwrap()).await.error()
}

#[tokio::test]
async fn a_submission_is_answered_with_its_job() {
    let site = Site::new().await;
    let body = json!({
        "job_name": "train", "params": { "dataset": "s3://data", "rate": 1.50, "deep": { "a": [1, null] } },
        "timeout": 2.5, "priority": 1, "run_at": 4_102_444_800_000_i64, "workspace": "lab", "idempotency_key": "k",
    });
    let job = site.post(ALICE, "/jobs/", body).await.ok();
    assert_eq!(job["due_at"], 4_102_444_800_000_i64);
    assert_eq!((&job["timeout"], &job["priority"]), (&json!(2.5), &json!(1)));
    agreed("submitted", &job);
    let id = job["job_id"].as_str().unwrap();
    assert_eq!(site.get(ALICE, &format!("/jobs/{id}")).await.ok(), job);
}

#[tokio::test]
async fn parameters_come_back_as_they_were_written() {
    let site = Site::new().await;
    let params =
        r#"{"experiment_id": 1.500, "big": 123456789012345678901234567890, "text": "\u00e9"}"#;
    let request = Request::post("/ajax-api/3.0/jobs")
        .header(header::AUTHORIZATION, format!("Bearer {ALICE}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(format!(r#"{{"job_name": "score", "params": {params}}}"#)));
    let answer = site.send(request.unwrap()).await;
    answer.ok();
    assert!(answer.text().contains(&format!("\"params\":{params}")), "{}", answer.text());
}

#[tokio::test]
async fn a_refused_submission_names_the_field_and_leaves_no_row() {
    let site = Site::new().await;
    let with = |key: &str, value: Value| {
        let mut body = score(1);
        body[key] = value;
        body.to_string()
    };
    let big = json!({ "experiment_id": "x".repeat(5000) });
    let huge = json!({ "experiment_id": "x".repeat(100_000) });
    let cases = [
        ("{", plain(400, "invalid_json")),
        ("", plain(400, "invalid_json")),
        (r#"{"job_name": "score", "params": {}} x"#, plain(400, "invalid_json")),
        ("[]", plain(400, "invalid_field")),
        (r#"{"params": {}}"#, plain(400, "invalid_field")),
        (&with("job_name", json!(5)), at(400, "invalid_field", "job_name")),
        (&with("job_name", json!("scare")), at(400, "unknown_job_type", "job_name")),
        (&with("params", json!([1])), at(400, "invalid_params", "params")),
        (&with("params", json!({})), at(400, "missing_param", "params.experiment_id")),
        (&with("params", big), at(413, "params_too_large", "params")),
        (&with("params", huge), plain(413, "body_too_large")),
        (&with("timeout", json!("1")), at(400, "invalid_field", "timeout")),
        (&with("timeout", json!(0)), at(400, "invalid_timeout", "timeout")),
        (&with("timeout", json!(-1.0)), at(400, "invalid_timeout", "timeout")),
        (&with("timeout", json!(1e30)), at(400, "invalid_timeout", "timeout")),
        (
            r#"{"job_name": "score", "params": {"experiment_id": 1}, "timeout": 1e999}"#,
            plain(400, "invalid_json"),
        ),
        (
            r#"{"job_name": "score", "params": {"experiment_id": 1}, "timeout": NaN}"#,
            plain(400, "invalid_json"),
        ),
        (&with("priority", json!(5)), at(400, "invalid_priority", "priority")),
        (&with("priority", json!(300)), at(400, "invalid_field", "priority")),
        (&with("run_at", json!(-1)), at(400, "invalid_run_at", "run_at")),
        (&with("workspace", json!("a/b")), at(400, "invalid_workspace", "workspace")),
        (
            &with("idempotency_key", json!("")),
            at(400, "invalid_idempotency_key", "idempotency_key"),
        ),
        (&with("prioritty", json!(1)), at(400, "invalid_field", "prioritty")),
    ];
    for (body, expected) in cases {
        assert_eq!(sent(&site, "/jobs/", body).await, expected, "{}", &body[..body.len().min(200)]);
    }
    assert_eq!(site.jobs().await, 0);
}

#[tokio::test]
async fn only_a_body_that_says_it_is_json_is_read() {
    let site = Site::new().await;
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = Request::post("/api/3.0/jobs/")
            .header(header::AUTHORIZATION, format!("Bearer {ALICE}"));
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let answer = site.send(request.body(Body::from(score(1).to_string())).unwrap()).await;
        assert_eq!(answer.error(), plain(415, "unsupported_media_type"));
    }
    assert_eq!(site.jobs().await, 0);
}

#[tokio::test]
async fn a_submitter_submits_its_types_in_its_workspaces_only() {
    let site = Site::new().await;
    let train = |workspace: &str| json!({ "job_name": "train", "params": { "dataset": "d" }, "workspace": workspace });
    assert_eq!(
        site.post(BOB, "/jobs/", score(1)).await.error(),
        at(403, "not_permitted", "job_name")
    );
    assert_eq!(
        site.post(BOB, "/jobs/", train("default")).await.error(),
        at(403, "not_permitted", "job_name")
    );
    assert_eq!(site.jobs().await, 0);
    assert_eq!(site.post(BOB, "/jobs/", train("lab")).await.ok()["creator"], "bob");
}

#[tokio::test]
async fn a_repeated_key_answers_with_the_first_job_and_another_content_is_a_conflict() {
    let site = Site::new().await;
    let with_key = |experiment| {
        let mut body = score(experiment);
        body["idempotency_key"] = "once".into();
        body
    };
    let first = site.post(ALICE, "/jobs/", with_key(1)).await.ok();
    assert_eq!(site.post(ALICE, "/jobs/", with_key(1)).await.ok()["job_id"], first["job_id"]);
    let other = site.post(ALICE, "/jobs/", with_key(2)).await;
    assert_eq!(other.error(), at(409, "idempotency_key_reused", "idempotency_key"));
    assert_eq!(site.jobs().await, 1);
}

#[tokio::test]
async fn a_bulk_is_stored_whole_and_in_order() {
    let site = Site::new().await;
    let mut twice = score(7);
    twice["idempotency_key"] = "twice".into();
    let jobs = json!({ "jobs": [score(1), twice, twice, score(4)] });
    let answer = site.post(ALICE, "/jobs/bulk", jobs).await.ok();
    agreed("bulk", &answer);
    let ids: Vec<_> =
        answer["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].clone()).collect();
    assert_eq!(ids[1], ids[2]);
    let fourth = site.get(ALICE, &format!("/jobs/{}", ids[3].as_str().unwrap())).await.ok();
    assert_eq!(fourth["params"]["experiment_id"], 4);
    assert_eq!(site.jobs().await, 3);
}

#[tokio::test]
async fn one_wrong_submission_refuses_the_whole_bulk() {
    let site = Site::new().await;
    let mut late = score(3);
    late["timeout"] = json!(-1);
    let many = vec![score(1); 10_001];
    let cases = [
        (
            json!({ "jobs": [score(1), score(2), late] }),
            at(400, "invalid_timeout", "jobs[2].timeout"),
        ),
        (
            json!({ "jobs": [score(1), { "job_name": 5 }] }),
            at(400, "invalid_field", "jobs[1].job_name"),
        ),
        (json!({ "jobs": [] }), at(400, "invalid_field", "jobs")),
        (json!({}), plain(400, "invalid_field")),
        (json!({ "jobs": many }), plain(413, "body_too_large")),
    ];
    for (body, expected) in cases {
        assert_eq!(site.post(ALICE, "/jobs/bulk", body).await.error(), expected);
    }
    assert_eq!(site.jobs().await, 0);
}

#[tokio::test]
async fn a_trailing_stroke_does_not_matter_when_submitting() {
    let site = Site::new().await;
    for path in ["/jobs", "/jobs/"] {
        site.ask(ALICE, Method::POST, path, Some(score(1))).await.ok();
    }
    assert_eq!(site.jobs().await, 2);
}
