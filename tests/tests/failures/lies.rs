//! What a plugin says that is not so, and a job that kills whatever runs it.

use longshore_tests::{Scene, evil, evil_as, scene, wait::PATIENCE, wait_until};
use serde_json::json;

use crate::{hold, kill, runner};

#[test]
fn an_answer_that_makes_no_sense_fails_its_job_and_no_other() {
    let scene = Scene::of(scene(&evil("")));
    for (lie, why) in [
        ("lie-result", "answers `wait` with what makes no sense"),
        ("lie-handle", "with a handle of"),
        ("lie-kind", "evil says that it has crashed"),
    ] {
        let job = scene.client.until(&scene.does(lie), "FAILED");
        let said = job["error_message"].as_str().unwrap();
        assert!(said.contains(why), "{lie}: {said}");
        assert_eq!(job["work"], "gone");
    }
    let row = scene.row("evil");
    assert_eq!((&row["deaths"], &row["standing"]), (&json!(0), &json!("ready")));
    scene.client.result(&scene.client.submit("evil", json!({})));
    scene.finish();
}

#[test]
fn an_answer_larger_than_any_fails_its_job_and_no_other() {
    let scene = Scene::of(scene(&evil("")));
    let id = scene.does("lie-huge");
    // 129 MiB, made by an allocator that looks at each block.
    let job = wait_until("it has failed", 4 * PATIENCE, || {
        let job = scene.client.job(&id);
        (job["status"] == "FAILED").then_some(job)
    });
    let why = job["error_message"].as_str().unwrap();
    assert!(why.contains("bytes"), "{why}");
    scene.client.result(&scene.client.submit("evil", json!({})));
    scene.finish();
}

#[test]
fn progress_of_somebody_elses_work_is_dropped() {
    let scene = Scene::of(scene(&evil("")));
    let held = hold(&scene, "evil", None);
    scene.client.result(&scene.does("lie-progress"));
    assert_eq!(scene.client.job(&held)["status_message"], json!(null));
    scene.client.cancel(&held);
    scene.client.ended(&held);
    scene.finish();
}

#[test]
fn a_verdict_about_somebody_elses_work_is_ignored_and_one_that_is_missing_proves_nothing() {
    let scene = Scene::of(scene(&evil("config = { mode = \"lie-verdict\" }")));
    let held = [hold(&scene, "evil", None), hold(&scene, "evil", None)];
    let first = runner(&scene, "evil");
    kill(&scene, "evil");
    wait_until("it is back", PATIENCE, || (runner(&scene, "evil") != first).then_some(()));
    // One is said to be there, which is not so; of the other one nothing is said.
    scene.logs("waiting failed");
    let states = held.each_ref().map(|id| scene.client.job(id)["status"].clone());
    assert!(states.contains(&json!("NEEDS_RECOVERY")), "{states:?}");
    for id in &held {
        scene.client.cancel(id);
        scene.client.until(id, "CANCELED");
    }
    scene.finish();
}

#[test]
fn a_poison_job_takes_no_neighbour_with_it() {
    let many = "[jobs.evil]\nmax_workers = 8";
    let other = evil_as("other", "");
    let scene = Scene::of(scene(&evil("")).config(many).config(&other));
    let good = |_| json!({ "job_name": "evil", "params": { "millis": 100 } });
    let mut jobs: Vec<_> = (0..50).map(good).collect();
    jobs[20]["params"]["evil"] = json!("null");
    let mut ids = scene.client.submit_all(&jobs);
    let poison = ids.remove(20);
    let job = scene.client.until(&poison, "FAILED");
    let why = job["error_message"].as_str().unwrap();
    // At most two in company, and one more than `max_recoveries` alone.
    assert!(
        why.contains("crashed 6 times while it was running, 4 of them while it ran alone"),
        "{why}"
    );
    for id in &ids {
        scene.client.until(id, "SUCCEEDED");
    }
    assert!(!scene.host.log().contains("so it is left alone"), "it was quarantined");
    let row = scene.stands("evil", "ready");
    assert!(row["deaths"].as_u64() < Some(5), "{row}");
    scene.finish();
}
