use axum::http::StatusCode;
use serde_json::json;

use crate::{
    agreed,
    site::{ALICE, BOB, Site, at},
};

#[tokio::test]
async fn executors_and_job_types_are_shown_with_where_they_come_from() {
    let site = Site::new().await;
    let shown = site.get(ALICE, "/executors").await.ok().to_string();
    let shown = shown.replace(site.directory.path().to_str().unwrap(), "[DIR]");
    agreed("executors", &serde_json::from_str(&shown).unwrap());
}

#[tokio::test]
async fn a_submitter_sees_the_types_that_it_may_submit() {
    let site = Site::new().await;
    let shown = site.get(BOB, "/executors").await.ok();
    let names: Vec<_> =
        shown["job_types"].as_array().unwrap().iter().map(|job_type| &job_type["name"]).collect();
    assert_eq!(names, ["train"]);
}

#[tokio::test]
async fn a_type_whose_name_is_a_path_keeps_its_settings() {
    let site = Site::with("[jobs.\"a.b/c\"]\ncommand = [\"x\"]\nexecutor = \"here\"\n").await;
    let shown = site.get(ALICE, "/executors").await.ok();
    assert_eq!(shown["job_types"][0]["name"], "a.b/c");
    assert_eq!(shown["job_types"][0]["settings"]["executor"]["value"], "here");
}

#[tokio::test]
async fn replicas_are_those_that_have_announced_themselves() {
    let site = Site::new().await;
    assert_eq!(site.get(ALICE, "/replicas").await.ok(), json!({ "replicas": [] }));
    site.host.start().await.unwrap();
    agreed("replicas", &site.get(ALICE, "/replicas").await.ok());
    site.host.shutdown(std::time::Duration::ZERO).await;
}

#[tokio::test]
async fn server_info_tells_what_is_possible() {
    let site = Site::new().await;
    agreed("server info", &site.get(ALICE, "/server-info").await.ok());
}

/// Whether that is milliseconds UTC, of the last hour.
fn is_now(time: &serde_json::Value) -> bool {
    let now = longshore::clock::wall_us() / 1000;
    time.as_i64().is_some_and(|time| (now - 3_600_000..=now).contains(&time))
}

#[tokio::test]
async fn the_last_recovery_pass_is_shown() {
    let site = Site::new().await;
    assert_eq!(site.get(&site.admin, "/recovery").await.ok(), json!({ "last_pass": null }));
    site.host.recovery.run_once().await.unwrap();
    let recovery = site.get(&site.admin, "/recovery").await.ok();
    assert!(is_now(&recovery["last_pass"]["ended_at"]), "{recovery}");
    agreed("recovery", &recovery);
}

#[tokio::test]
async fn refused_plugins_are_listed() {
    let site = Site::with("[plugins]\ndir = \"plugins\"").await;
    let listed = site.get(&site.admin, "/plugins").await.ok();
    let rows = listed["plugins"].as_array().unwrap();
    let of = |code: &str| rows.iter().find(|row| row["problem"]["code"] == code).unwrap();
    assert!(is_now(&of("E_DIRECTORY")["since"]), "{listed}");
    let absent = of("E_UNKNOWN_PLUGIN");
    assert_eq!((&absent["name"], &absent["state"]), (&json!("none-such"), &json!("absent")));
    assert_eq!(absent["executors"][0]["standing"], "absent");
}

#[tokio::test]
async fn metrics_count_the_unfinished_jobs() {
    let site = Site::new().await;
    site.one_of_each(ALICE).await;
    let answer = site.get(ALICE, "/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let lines: Vec<_> =
        answer.text().lines().filter(|line| !line.contains("uptime_seconds ")).collect();
    agreed("metrics", &json!(lines));
}

#[tokio::test]
async fn a_host_is_ready_until_it_is_asked_to_stop() {
    let site = Site::new().await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(site.get("", path).await.ok(), json!({ "ok": true, "problems": [] }));
    }
    site.host.shutdown(std::time::Duration::ZERO).await;
    let ready = site.get("", "/health/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json(), json!({ "ok": false, "problems": ["draining", "storage"] }));
    assert_eq!(site.get("", "/health/live").await.status, StatusCode::OK, "it still lives");
}

#[tokio::test]
async fn an_executor_is_released_by_its_name_or_its_plugins() {
    let site = Site::new().await;
    let release = async |name: &str| {
        site.post(&site.admin, "/plugins/release", json!({ "name": name })).await
    };
    assert_eq!(release("here").await.ok(), json!({ "released": ["here"] }));
    assert_eq!(release("none-such").await.ok(), json!({ "released": ["here", "there"] }));
    assert_eq!(release("nobody").await.error(), at(404, "no_such_executor", "name"));
}
