//! D. Panics, aborts and exits.

use std::fs;

use longshore_tests::{
    Scene, built::evil_that_aborts, evil, evil_as, scene, setup, wait::PATIENCE, wait_until,
};
use serde_json::json;

use crate::{FEW, NONE, hold, kill};

#[test]
fn a_panic_while_it_opens_is_the_reason() {
    let methods = ["new", "facts", "check_requirements", "start"];
    let codes = ["E_EXECUTOR", "E_EXECUTOR", "E_REQUIREMENTS", "E_START"];
    let mode = |method| evil_as(method, &format!("config = {{ mode = \"panic-{method}\" }}"));
    let scene = Scene::of(scene(&methods.map(mode).concat()));
    for (method, code) in methods.into_iter().zip(codes) {
        let why = scene.says(method, code);
        assert!(why.contains(&format!("asked to panic in {method}")), "{why}");
        assert!(why.contains("evil/src/panics.rs:"), "{why}");
        scene.stands(method, "failed");
    }
    scene.finish();
}

#[test]
fn a_panic_in_any_method_is_one_jobs_error() {
    let setting = ["validate_job", "retain", "health", "recover"];
    let mode = |method| evil_as(method, &format!("config = {{ mode = \"panic-{method}\" }}"));
    let scene = Scene::of(scene(&evil("")).config(&setting.map(mode).concat()));
    let client = &scene.client;
    for method in ["submit", "wait"] {
        let job = client.until(&scene.does(&format!("panic-{method}")), "FAILED");
        let why = job["error_message"].as_str().unwrap();
        assert!(why.contains(&format!("asked to panic in {method}")), "{why}");
        assert!(why.contains("evil/src/panics.rs:"), "{why}");
        assert_eq!(job["work"], "gone");
    }
    // It had ended well by then.
    let forgotten = scene.does("panic-forget");
    client.until(&forgotten, "SUCCEEDED");
    scene.logs("asked to panic in forget");
    for method in ["validate_job", "retain"] {
        client.result(&client.submit(method, json!({})));
        scene.logs(&format!("asked to panic in {method}"));
    }
    // No jobs go to one that is not well; none is lost.
    let waits = client.submit("health", json!({}));
    scene.logs("asked to panic in health");
    assert_eq!(client.job(&waits)["status"], "PENDING");
    client.cancel(&waits);
    // Nobody knows what became of it, until somebody asks another method.
    let unknown = hold(&scene, "recover", None);
    kill(&scene, "recover");
    scene.logs("asked to panic in recover");
    assert_eq!(client.job(&unknown)["status"], "NEEDS_RECOVERY");
    client.cancel(&unknown);
    assert_eq!(client.until(&unknown, "CANCELED")["work"], "maybe");
    for method in ["evil", "validate_job", "retain", "health"] {
        assert_eq!(scene.row(method)["deaths"], 0, "{method}");
    }
    client.result(&client.submit("evil", json!({})));
    scene.finish();
}

#[test]
fn a_panic_in_cancel_keeps_the_work_in_doubt_until_there_is_proof() {
    let scene = Scene::of(scene(&evil("")));
    let id = hold(&scene, "evil", Some("panic-cancel"));
    scene.client.cancel(&id);
    scene.logs("asked to panic in cancel");
    assert_eq!(scene.client.until(&id, "CANCELED")["work"], "maybe");
    kill(&scene, "evil");
    assert_eq!(scene.client.ended(&id)["status"], "CANCELED");
    scene.finish();
}

#[test]
fn a_panic_in_an_async_body_keeps_its_words() {
    let scene = Scene::of(scene(&evil("")));
    for method in ["submit", "wait"] {
        let job = scene.client.until(&scene.does(&format!("panic-later-{method}")), "FAILED");
        let why = job["error_message"].as_str().unwrap();
        assert!(why.contains(&format!("asked to panic in {method}, later")), "{why}");
    }
    scene.finish();
}

#[test]
fn a_panic_in_drop_ends_nothing() {
    let drops = "config = { mode = \"panic-drop\" }";
    let both = evil(drops) + &evil_as("inside", &format!("{NONE}\n{drops}"));
    let scene = Scene::of(scene(&both));
    for executor in ["evil", "inside"] {
        scene.client.result(&scene.client.submit(executor, json!({})));
    }
    // Dropped when its file is gone and its last job has ended.
    fs::remove_file(scene.host.path("plugins/liblongshore_evil.so")).unwrap();
    scene.stands("inside", "absent");
    scene.logs("asked to panic in drop");
    scene.finish();
}

#[test]
fn a_panic_while_a_call_is_dropped_ends_nothing() {
    let both = evil("") + &evil_as("inside", NONE);
    let scene = Scene::of(scene(&both));
    for executor in ["evil", "inside"] {
        let id = hold(&scene, executor, Some("panic-guard"));
        scene.client.cancel(&id);
        assert_eq!(scene.client.ended(&id)["status"], "CANCELED");
        scene.client.result(&scene.client.submit(executor, json!({})));
        assert_eq!(scene.row(executor)["deaths"], 0);
    }
    scene.logs("asked to panic while it is dropped");
    scene.finish();
}

#[test]
fn a_payload_that_panics_ends_nothing() {
    let both = evil("") + &evil_as("inside", NONE);
    let scene = Scene::of(scene(&both));
    for executor in ["evil", "inside"] {
        for method in ["submit", "wait"] {
            let mode = json!({ "evil": format!("panic-payload-{method}") });
            let job = scene.client.until(&scene.client.submit(executor, mode), "FAILED");
            let why = job["error_message"].as_str().unwrap();
            assert!(why.contains(&format!("the plugin panicked in {method}")), "{why}");
        }
        assert_eq!(scene.row(executor)["deaths"], 0);
    }
    scene.finish();
}

#[test]
fn an_abort_build_needs_its_own_process() {
    let both = evil("") + &evil_as("inside", NONE);
    let setup = scene(&both).config(FEW).plugin_file(evil_that_aborts());
    let scene = Scene::of(setup);
    let why = scene.says("inside", "E_PANIC_ABORT");
    assert!(why.contains("panic"), "{why}");
    let job = scene.does("panic-wait");
    let why = scene.says("evil", "E_CRASHED");
    assert!(why.contains("died of SIGABRT") && why.contains("panicked at"), "{why}");
    scene.client.until(&job, "FAILED");
    scene.client.result(&scene.client.submit("evil", json!({})));
    scene.finish();
}

#[test]
fn a_panic_in_a_thread_reaches_the_log() {
    let scene = Scene::of(scene(&evil("")));
    scene.client.result(&scene.does("panic-thread"));
    let line = scene.logs("the plugin panicked: asked to panic in a thread");
    assert!(line.contains("evil-thread") && line.contains("evil/src/panics.rs:"), "{line}");
    assert!(line.contains("plugin") && line.contains("ERROR"), "{line}");
    assert_eq!(scene.row("evil")["deaths"], 0);
    scene.finish();
}

#[test]
fn a_crash_names_signal_plugin_and_jobs() {
    let deeds = [
        ("null", "died of SIGSEGV"),
        // Their guard pages say so only in threads that Rust's own runtime has started.
        ("overflow", "died of SIG"),
        ("oom", "memory allocation of"),
        ("abort", "died of SIGABRT"),
    ];
    let executor = |(name, _)| evil_as(name, "limits = { memory = \"256MiB\" }");
    let scene = Scene::of(scene(FEW).config(&deeds.map(executor).concat()));
    let ids = deeds.map(|(deed, _)| scene.client.submit(deed, json!({ "evil": deed })));
    for ((deed, how), id) in deeds.into_iter().zip(&ids) {
        let why = scene.says(deed, "E_CRASHED");
        assert!(why.contains(how), "{why}");
        assert!(why.contains(&format!("executor `{deed}`")), "{why}");
        assert!(why.contains(&format!("it was running job `{id}`")), "{why}");
        assert_eq!(scene.row(deed)["problem"]["plugin"], "evil");
        let job = scene.client.until(id, "FAILED");
        let why = job["error_message"].as_str().unwrap();
        assert!(why.contains("crashed 3 times while it was running, 1 of them"), "{why}");
        scene.stands(deed, "ready");
        scene.client.result(&scene.client.submit(deed, json!({})));
    }
    scene.finish();
}

#[test]
fn a_host_that_died_with_a_plugin_in_its_process_names_it_at_its_next_start() {
    for (deed, times) in [("null", 1), ("exit", 1), ("abort", 2)] {
        let mut host = setup(&evil(NONE)).without_local().plugin("evil").start();
        let mut job = String::new();
        for _ in 0..times {
            let client = host.client();
            job = client.submit("evil", json!({ "evil": deed }));
            host.wait();
            host.start();
            host.client().cancel(&job);
        }
        let row = wait_until("the row says so", PATIENCE, || {
            let rows = host.client().get("/api/3.0/plugins").json;
            let row = rows["plugins"][0]["executors"][0].clone();
            (row["problem"]["code"] == "E_CRASHED").then_some(row)
        });
        assert_eq!(row["standing"], "ready");
        let why = row["problem"]["message"].as_str().unwrap();
        assert!(why.contains("the host ended without a word"), "{why}");
        assert!(why.contains("while plugin `evil` 0.1.0 was in its process"), "{why}");
        assert!(why.contains(&format!("`wait` of job {job}")), "{why}");
        assert_eq!(why.contains("(2 times in a row)"), times == 2, "{why}");
        assert!(why.contains("set `isolation = \"process\"`"), "{why}");
        assert!(host.log().contains("the host ended without a word"));
        // After an end in order nobody is suspected.
        host.client().until_idle(PATIENCE);
        assert!(host.terminate().success());
        host.start();
        let rows = host.client().get("/api/3.0/plugins").json;
        assert_eq!(rows["plugins"][0]["executors"][0]["problem"], json!(null));
        host.finish();
    }
}

#[test]
fn a_plugin_that_exits_is_a_crash() {
    let deeds = [("exit", "exited with 42"), ("exit-zero", "exited with 0")];
    let executor = |(name, _)| evil_as(name, "");
    let scene = Scene::of(scene(FEW).config(&deeds.map(executor).concat()));
    let ids = deeds.map(|(deed, _)| scene.client.submit(deed, json!({ "evil": deed })));
    for ((deed, how), id) in deeds.into_iter().zip(&ids) {
        let why = scene.says(deed, "E_CRASHED");
        assert!(why.contains(how) && why.contains(id), "{why}");
        scene.client.until(id, "FAILED");
        wait_until("it is counted", PATIENCE, || {
            (scene.row(deed)["deaths"].as_u64() > Some(0)).then_some(())
        });
    }
    scene.finish();
}
