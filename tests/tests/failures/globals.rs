//! F. What belongs to the whole process, and to everybody in it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
};

use longshore_tests::{
    Scene, built::built, evil, evil_as, fixture::evil_at_load, scene, setup, wait::PATIENCE,
    wait_until,
};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::{FEW, NONE, kill, runner};

fn inside(mode: &str) -> String {
    evil_as("inside", &format!("{NONE}\nconfig = {{ mode = \"{mode}\" }}"))
}

/// Where the host works, and with which mask it makes files.
fn place(scene: &Scene) -> (std::path::PathBuf, String) {
    let host = scene.host.pid().as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{host}/status")).unwrap();
    let mask = status.lines().find(|line| line.starts_with("Umask")).unwrap();
    (fs::read_link(format!("/proc/{host}/cwd")).unwrap(), mask.to_owned())
}

#[test]
fn directory_mask_and_environment_of_the_host_are_its_own() {
    let scene = Scene::of(scene(&(evil("") + &inside("chdir"))));
    let ours = place(&scene);
    assert_eq!(ours.0, scene.host.path("").canonicalize().unwrap());
    let line = scene.logs("went to `/`; the host is back in");
    assert!(line.contains("plugin=\"evil\""), "{line}");
    // In a process of its own it may do so, and nobody is told.
    for mode in ["chdir", "umask", "setenv"] {
        scene.client.result(&scene.does(mode));
    }
    assert_eq!(place(&scene), ours);
    assert_eq!(scene.host.log().matches("went to `/`").count(), 1);
    for mode in ["umask", "setenv"] {
        scene.client.result(&scene.client.submit("inside", json!({ "evil": mode })));
    }
    scene.logs("has set the mask of new files to 777; it is ");
    scene.logs("has set or removed environment variables: EVIL_WAS_HERE");
    assert_eq!(place(&scene), ours);
    scene.finish();
}

#[test]
fn children_are_reaped_whatever_a_plugin_ignores() {
    let scene = Scene::of(scene(&(evil("") + &inside("sigchld"))));
    scene.logs("has changed what SIGCHLD does; it is as it was");
    kill(&scene, "evil");
    let why = scene.says("evil", "E_CRASHED");
    assert!(why.contains("died of SIGKILL"), "{why}");
    // Once more, and a death before anybody has looked.
    let first = runner(&scene, "evil");
    scene.client.result(&scene.client.submit("inside", json!({ "evil": "sigchld" })));
    kill_process(first, Signal::KILL).unwrap();
    wait_until("it is started again", PATIENCE, || (runner(&scene, "evil") != first).then_some(()));
    scene.client.result(&scene.client.submit("evil", json!({})));
    scene.finish();
}

#[test]
fn the_host_still_hears_sigterm() {
    let pipe = evil_as("pipe", &format!("{NONE}\nconfig = {{ mode = \"sigpipe\" }}"));
    let scene = Scene::of(scene(&(inside("sigterm") + &pipe)));
    scene.logs("has changed what SIGTERM does; it is as it was");
    scene.logs("has changed what SIGPIPE does; it is as it was");
    // By SIGTERM.
    scene.finish();
}

#[test]
fn what_a_plugin_prints_is_not_the_hosts_answer() {
    let draft = tempfile::tempdir().unwrap();
    let prints = evil_at_load(&built().plugin("evil"), "print", draft.path());
    let both = evil("") + &evil_as("inside", NONE);
    let mut host =
        setup(&both).without_local().config("[routing]\ndefault_executor = \"evil\"").stopped();
    longshore_tests::built::install(&prints, &host.path("plugins"));
    let mut stdout = BufReader::new(host.spawn()).lines();
    let first = stdout.next().unwrap().unwrap();
    assert!(first.starts_with("longshore listens on "), "{first}");
    wait_until("both have printed", PATIENCE, || {
        (host.log().matches("evil was loaded").count() >= 2).then_some(())
    });
    assert!(host.terminate().success());
    assert_eq!(stdout.map(Result::unwrap).collect::<Vec<_>>(), Vec::<String>::new());
    host.finish();
}

#[test]
fn tracing_and_log_reach_the_hosts_log() {
    let scene = Scene::of(scene(&(evil("") + &evil_as("inside", NONE))));
    for executor in ["evil", "inside"] {
        let of = format!("evil starts plugin=\"evil\" executor=\"{executor}\"");
        let line = scene.logs(&of);
        assert!(line.contains(" INFO ") && line.contains("origin=\"longshore_evil\""), "{line}");
    }
    scene.finish();
}

#[test]
fn memory_is_freed_by_whoever_made_it() {
    let many = "[jobs.inside]\nmax_workers = 32";
    let scene = Scene::of(scene(&(evil_as("inside", NONE))).config(many));
    // Each is at least four calls (submit, wait, forget, and its shape), with answers both ways.
    let jobs = vec![json!({ "job_name": "inside", "params": { "text": "x".repeat(500) } }); 500];
    let ids = scene.client.submit_all(&jobs);
    scene.client.until_idle_but(1, 2 * PATIENCE);
    let pids: Vec<Value> = ids.iter().map(|id| scene.client.result(id)["pid"].take()).collect();
    assert!(pids.iter().all(|pid| *pid == scene.host.pid().as_raw_nonzero().get()));
    scene.finish();
}

#[test]
fn a_forked_child_and_closed_descriptors_end_one_runner() {
    let modes = [("fork", "E_CRASHED"), ("close-fds", "E_PROTOCOL")];
    let scene = Scene::of(scene(FEW).config(&modes.map(|(mode, _)| evil_as(mode, "")).concat()));
    for (mode, _) in modes {
        let job = scene.client.submit(mode, json!({ "evil": mode }));
        let why = wait_until("it says so", PATIENCE, || {
            let row = scene.row(mode);
            let code = row["problem"]["code"].as_str()?;
            ["E_CRASHED", "E_PROTOCOL"].contains(&code).then(|| row["problem"].to_string())
        });
        assert!(why.contains(&job), "{why}");
        scene.client.until(&job, "FAILED");
        scene.client.result(&scene.client.submit(mode, json!({})));
    }
    scene.finish();
}
