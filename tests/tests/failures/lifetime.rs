//! E. Asynchrony, threads and lifetimes.

use std::fs;

use longshore_tests::{Scene, evil, evil_as, leftovers, scene, setup, wait::PATIENCE, wait_until};
use serde_json::json;

use crate::{FEW, NONE, end_held, hold, kill, runner};

/// An executor of `evil` in a process of its own, and one in the host's.
fn both() -> String {
    evil("") + &evil_as("inside", NONE)
}

#[test]
fn tokio_works_inside_a_plugin() {
    let scene = Scene::of(scene(&both()));
    for executor in ["evil", "inside"] {
        // Its `wait` is a timer of its own runtime.
        scene.client.result(&scene.client.submit(executor, json!({ "millis": 30 })));
    }
    scene.finish();
}

#[test]
fn a_blocking_poll_is_logged_and_stops_nobody() {
    let noops = r#"
[executors.noop]
[executors.inside]
plugin = "noop"
isolation = "none"
[jobs.noop]
executor = "noop"
command = ["noop"]
[jobs.inside]
executor = "inside"
command = ["noop"]
"#;
    let scene = Scene::of(scene(&evil("")).plugin("noop").config(noops));
    // In an executor that says that it never blocks.
    for executor in ["noop", "inside"] {
        scene.client.result(&scene.client.submit(executor, json!({ "block_ms": 212 })));
    }
    let told = "the plugin held the thread that asked it for";
    let log = wait_until("both are told", PATIENCE, || {
        let log = scene.host.log();
        (log.matches(told).count() >= 2).then_some(log)
    });
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(told)).collect();
    assert!(lines.iter().all(|line| line.contains("plugin=\"noop\"")), "{lines:#?}");
    // In one that does not say so, it holds a thread of its own: the next one is served by the other.
    let blocks = scene.does("block");
    scene.client.result(&scene.client.submit("evil", json!({})));
    scene.client.cancel(&blocks);
    assert_eq!(scene.client.ended(&blocks)["status"], "CANCELED");
    scene.finish();
}

#[test]
fn a_hung_call_is_found_and_its_runner_replaced() {
    let quick = |verb| format!("deadlines = {{ {verb} = \"500ms\" }}");
    let opening = [
        ("open", "hang-new"),
        ("start", "hang-start"),
        ("check_requirements", "block-check_requirements"),
    ];
    let hangs =
        |(verb, mode)| evil_as(verb, &format!("{}\nconfig = {{ mode = \"{mode}\" }}", quick(verb)));
    let setup = scene(&evil(&quick("health")))
        .config(FEW)
        .config(&opening.map(hangs).concat())
        .config(&evil_as("cancel", "deadlines = { margin = \"200ms\" }"))
        .config("[jobs.cancel]\nstop_grace = \"100ms\"");
    let scene = Scene::of(setup);
    for (verb, _) in opening {
        let line = scene.logs(&format!("did not answer `{verb}` within 500ms"));
        assert!(line.contains("code=E_HUNG"), "{line}");
        // As it does each time.
        scene.says(verb, "E_QUARANTINED");
    }
    // Each holds one of the two threads that serve its calls.
    let first = runner(&scene, "evil");
    let blocked = ["block-wait", "block-submit"].map(|mode| scene.does(mode));
    let why = scene.says("evil", "E_HUNG");
    assert!(why.contains("answer `health`"), "{why}");
    wait_until("another one is there", PATIENCE, || {
        (runner(&scene, "evil") != first).then_some(())
    });
    for job in &blocked {
        scene.client.cancel(job);
        assert_eq!(scene.client.ended(job)["status"], "CANCELED");
    }
    scene.client.result(&scene.client.submit("evil", json!({})));
    // One verb that is never answered is found by that alone.
    let jobs = [(); 3].map(|()| {
        let job = hold(&scene, "cancel", Some("hang-cancel"));
        scene.client.cancel(&job);
        scene.logs(&format!("its work is not proven gone job={job}"));
        job
    });
    let why = scene.says("cancel", "E_HUNG");
    assert!(why.contains("`cancel`"), "{why}");
    for job in &jobs {
        assert_eq!(scene.client.ended(job)["status"], "CANCELED");
    }
    scene.finish();
}

#[test]
fn what_hangs_in_the_hosts_own_process_gets_no_new_jobs() {
    let hangs = evil_as(
        "inside",
        &format!(
            "{NONE}\ndeadlines = {{ health = \"300ms\" }}\nconfig = {{ mode = \"hang-health\" }}"
        ),
    );
    let scene = Scene::of(scene(&hangs));
    scene.says("inside", "E_HUNG");
    scene.stands("inside", "hung");
    let job = scene.client.submit("inside", json!({}));
    assert_eq!(scene.client.job(&job)["status"], "PENDING");
    scene.client.cancel(&job);
    scene.finish();
}

#[test]
fn work_that_goes_on_after_a_cancel_keeps_its_lock() {
    let alone = r#"
[jobs.evil]
exclusive = ["key"]
on_conflict = "requeue"
conflict_delay = "100ms"
"#;
    let scene = Scene::of(scene(&evil("")).config(alone));
    let params = json!({ "key": 1, "evil": "panic-cancel", "hold": scene.host.path("end") });
    let first = scene.client.submit("evil", params);
    scene.logs(&format!("evil holds {first}"));
    scene.client.cancel(&first);
    scene.logs("asked to panic in cancel");
    let second = scene.client.submit("evil", json!({ "key": 1 }));
    // It has been claimed, found the lock taken, and was given back: it is due later than it came.
    wait_until("it has tried", PATIENCE, || {
        let job = scene.client.job(&second);
        (job["due_at"].as_i64() > job["creation_time"].as_i64()).then_some(())
    });
    let job = scene.client.job(&first);
    assert_eq!((&job["status"], &job["work"]), (&json!("CANCELED"), &json!("maybe")));
    kill(&scene, "evil");
    scene.client.until(&second, "SUCCEEDED");
    assert_eq!(scene.client.ended(&first)["status"], "CANCELED");
    scene.finish();
}

#[test]
fn threads_after_stop_harm_nobody() {
    let busy = "config = { mode = \"threads-stop\" }";
    let scene = Scene::of(scene(&(evil(busy) + &evil_as("inside", &format!("{NONE}\n{busy}")))));
    for executor in ["evil", "inside"] {
        scene.client.result(&scene.client.submit(executor, json!({})));
    }
    fs::remove_file(scene.host.path("plugins/liblongshore_evil.so")).unwrap();
    for executor in ["evil", "inside"] {
        scene.stands(executor, "absent");
    }
    scene.finish();
}

#[test]
fn a_library_is_never_unmapped() {
    let busy = format!("{NONE}\nconfig = {{ mode = \"threads\" }}");
    let scene = Scene::of(scene(&evil_as("inside", &busy)));
    let digest = scene.stands("inside", "ready")["digest"].as_str().unwrap().to_owned();
    fs::remove_file(scene.host.path("plugins/liblongshore_evil.so")).unwrap();
    scene.stands("inside", "absent");
    let host = scene.host.pid().as_raw_nonzero();
    let maps = fs::read_to_string(format!("/proc/{host}/maps")).unwrap();
    assert!(maps.contains(&digest), "its threads still run in there");
    scene.finish();
}

#[test]
fn a_host_ends_well_beside_busy_plugins() {
    let busy = evil(&format!("{NONE}\nconfig = {{ mode = \"threads\" }}"));
    let mut host = setup(&busy).without_local().plugin("evil").stopped();
    for _ in 0..20 {
        host.start();
        let status = host.terminate();
        assert!(status.success(), "{status}");
    }
    assert_eq!(leftovers::processes(&host.path("")), []);
}

#[test]
fn a_callback_under_a_lock_returns() {
    let scene = Scene::of(scene(&both()));
    for executor in ["evil", "inside"] {
        scene.client.result(&scene.client.submit(executor, json!({ "evil": "reenter" })));
    }
    scene.finish();
}

#[test]
fn a_callback_after_the_end_is_refused() {
    let late = "config = { mode = \"late\" }";
    let scene = Scene::of(scene(&(evil(late) + &evil_as("inside", &format!("{NONE}\n{late}")))));
    let before = runner(&scene, "evil");
    fs::remove_file(scene.host.path("plugins/liblongshore_evil.so")).unwrap();
    for executor in ["evil", "inside"] {
        scene.stands(executor, "absent");
    }
    // What is in a process of its own has no more say once that has been stopped.
    wait_until("its process is gone", PATIENCE, || {
        rustix::process::test_kill_process(before).is_err().then_some(())
    });
    // The one in the host's may talk for as long as it likes.
    scene.logs("evil speaks after the end plugin=\"evil\" executor=\"inside\"");
    scene.finish();
}

#[test]
fn a_waker_kept_for_later_is_harmless() {
    let scene = Scene::of(scene(&both()));
    for executor in ["evil", "inside"] {
        scene.client.result(&scene.client.submit(executor, json!({ "evil": "waker" })));
        // Dropped while it is waited for, and woken after that.
        let held = hold(&scene, executor, Some("waker"));
        scene.client.cancel(&held);
        assert_eq!(scene.client.ended(&held)["status"], "CANCELED");
        scene.client.result(&scene.client.submit(executor, json!({})));
    }
    end_held(&scene);
    scene.finish();
}

#[test]
fn a_second_start_and_late_progress_change_nothing() {
    let scene = Scene::of(scene(&both()));
    for executor in ["evil", "inside"] {
        let job = scene.client.submit(executor, json!({ "evil": "late-wait" }));
        let ended = scene.client.until(&job, "SUCCEEDED");
        wait_until("it has spoken after the end", PATIENCE, || {
            let log = scene.host.log();
            let of = format!("executor=\"{executor}\"");
            let mut lines = log.lines().filter(|line| line.contains("evil speaks after the end"));
            lines.any(|line| line.contains(&of) && line.contains("199")).then_some(())
        });
        assert_eq!(scene.client.job(&job), ended);
    }
    scene.finish();
}
