//! G. The process that a plugin runs in.

use std::{fs, os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use longshore_tests::{
    Scene,
    built::{built, install},
    evil, evil_as,
    fixture::{evil_at_load, patched},
    leftovers, scene,
    wait::PATIENCE,
    wait_until,
};
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};

use crate::{FEW, kill, runner};

#[test]
fn a_replaced_host_binary_still_restarts_runners() {
    let setup = scene(&evil(""));
    let own = setup.path("longshore");
    fs::copy(built().host(), &own).unwrap();
    // The word behind it is the host's own path, which this one does not use.
    let instead = ["sh", "-c", "shift; exec \"$0\" \"$@\"", own.to_str().unwrap()];
    let scene = Scene::of(setup.wrapped(instead.map(Into::into)));
    let first = runner(&scene, "evil");
    fs::remove_file(&own).unwrap();
    fs::write(&own, "another version").unwrap();
    kill(&scene, "evil");
    scene.says("evil", "E_CRASHED");
    assert_ne!(runner(&scene, "evil"), first);
    scene.client.result(&scene.client.submit("evil", json!({})));
    scene.finish();
}

#[test]
fn a_killed_host_leaves_no_runner() {
    let stopped = evil_as("stopped", "");
    let mut scene = Scene::of(scene(&evil("")).config(&stopped));
    let job = scene.client.submit("stopped", json!({ "evil": "stop-self-submit" }));
    scene.client.until(&job, "RUNNING");
    let pid = runner(&scene, "stopped");
    wait_until("it has stopped itself", PATIENCE, || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        stat.contains(") T ").then_some(())
    });
    scene.host.kill_9();
    let here = scene.host.path("");
    wait_until("no runner is left", PATIENCE, || {
        let left = leftovers::processes(&here);
        left.iter().all(|process| !process.command.contains("longshore-runner")).then_some(())
    });
    fs::write(scene.host.path("go"), "").unwrap();
    scene.host.start();
    let client = scene.host.client();
    client.cancel(&job);
    client.until_idle(PATIENCE);
    assert_eq!(client.ended(&job)["status"], "CANCELED");
    scene.host.finish();
}

#[test]
fn output_without_end_blocks_and_fills_nothing() {
    let scene = Scene::of(scene(&evil("")));
    let host = scene.host.pid();
    scene.client.result(&scene.client.submit("evil", json!({})));
    for mode in ["flood-stdout", "flood-line", "flood-log", "flood-progress"] {
        let before = resident(host);
        scene.client.result(&scene.does(mode));
        let grown = resident(host).saturating_sub(before) >> 20;
        assert!(grown < 16, "{mode}: the host has grown by {grown} MiB");
    }
    scene.logs("things more than could be kept");
    assert_eq!(scene.row("evil")["deaths"], 0);
    let log = fs::metadata(scene.host.path("host.log")).unwrap().len() >> 20;
    assert!(log < 16, "the log has {log} MiB");
    scene.finish();
}

/// The memory of a process, in bytes.
fn resident(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_stranger_with_the_number_of_a_dead_runner_is_left_alone() {
    let mut scene = Scene::of(scene(&evil("")));
    let pid = runner(&scene, "evil").as_raw_nonzero().to_string();
    fs::write(scene.host.path("go"), "").unwrap();
    scene.client.until_idle(PATIENCE);
    scene.host.kill_9();
    // What the next host is to end is written down beside the runner's directory.
    let runners = scene.host.path("state/runners");
    let mut stranger = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
    let records = fs::read_dir(&runners).unwrap().map(|entry| entry.unwrap().path());
    let is_record = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "group");
    let records: Vec<_> = records.filter(is_record).collect();
    let ours = records.iter().find(|record| fs::read_to_string(record).unwrap().contains(&pid));
    let ours = ours.unwrap_or_else(|| panic!("{pid} is in none of {records:?}"));
    let text = fs::read_to_string(ours).unwrap().replace(&pid, &stranger.id().to_string());
    fs::write(ours, text).unwrap();
    scene.host.start();
    assert!(stranger.try_wait().unwrap().is_none(), "it was another process that had this number");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    scene.host.finish();
}

#[test]
fn a_frame_that_makes_no_sense_ends_its_runner() {
    let modes = ["junk-frame", "huge-frame"];
    let scene = Scene::of(scene(FEW).config(&modes.map(|mode| evil_as(mode, "")).concat()));
    for mode in modes {
        let job = scene.client.submit(mode, json!({ "evil": mode }));
        let why = scene.says(mode, "E_PROTOCOL");
        assert!(why.contains("was killed") && why.contains("it sent"), "{why}");
        scene.client.until(&job, "FAILED");
        scene.client.result(&scene.client.submit(mode, json!({})));
    }
    scene.finish();
}

#[test]
fn a_crash_loop_is_quarantined_and_released() {
    let scene = Scene::of(scene(&evil("config = { mode = \"abort-start\" }")));
    let job = scene.client.submit("evil", json!({}));
    let row = scene.stands("evil", "quarantined");
    assert_eq!(row["deaths"], 5);
    assert_eq!(row["pid"], json!(null));
    scene.says("evil", "E_QUARANTINED");
    let line = scene.logs("longshore plugin release evil");
    assert!(line.contains("it died 5 times"), "{line}");
    // It waits: what is quarantined is not absent.
    assert_eq!(scene.client.job(&job)["status"], "PENDING");
    let again = |than: &Value| {
        wait_until("it was tried again, and left alone again", PATIENCE, || {
            let row = scene.stands("evil", "quarantined");
            (row["since"].as_i64() > than["since"].as_i64()).then_some(row)
        })
    };
    let answer = scene.client.post("/api/3.0/plugins/release", &json!({ "name": "evil" }));
    assert_eq!(answer.json, json!({ "released": ["evil"] }), "{}", answer.text);
    let row = again(&row);
    assert_eq!(row["deaths"], 5);
    // Another content is another chance; as it does the same, it ends the same way.
    let draft = tempfile::tempdir().unwrap();
    let newer = evil_at_load(&built().plugin("evil"), "newer", draft.path());
    install(&newer, &scene.host.path("plugins"));
    let newer = again(&row);
    assert_ne!(newer["digest"], row["digest"]);
    assert_eq!(newer["deaths"], 5);
    scene.client.cancel(&job);
    scene.finish();
}

#[test]
fn children_of_a_plugin_end_with_it() {
    let scene = Scene::of(scene(&evil("")));
    scene.client.result(&scene.does("grandchild"));
    let pid = runner(&scene, "evil").as_raw_nonzero().get();
    let family = || processes_of_group(pid).len();
    assert!(family() >= 3, "the runner, a shell and what that started: {}", family());
    kill(&scene, "evil");
    scene.says("evil", "E_CRASHED");
    wait_until("nothing of its group is left", PATIENCE, || (family() == 0).then_some(()));
    scene.finish();
}

fn processes_of_group(group: i32) -> Vec<String> {
    let stats = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // Behind the name: state, parent, group. What is dead and not reaped yet is not there.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        (state != "Z" && fields.nth(1)?.parse() == Ok(group)).then_some(stat)
    });
    stats.collect()
}

#[test]
fn a_runner_does_not_know_the_hosts_secrets() {
    let passes = evil_as("passes", "pass_env = [\"ACME_*\"]");
    // Nobody behind `env` knows more than what is named here.
    let with = ["env", "ACME_KEY=mellon", "DATABASE_PASSWORD=sesame", "LONGSHORE_TOKEN_X=lx"];
    let scene = Scene::of(scene(&evil("")).config(&passes).wrapped(with.map(Into::into)));
    let environment = |executor| {
        let pid = runner(&scene, executor).as_raw_nonzero();
        let read = fs::read(format!("/proc/{pid}/environ")).unwrap();
        String::from_utf8(read).unwrap()
    };
    for executor in ["evil", "passes"] {
        let text = environment(executor);
        assert!(text.contains("PATH="), "{text}");
        assert!(!text.contains("sesame") && !text.contains("LONGSHORE"), "{text}");
        assert_eq!(text.contains("ACME_KEY=mellon"), executor == "passes", "{text}");
    }
    scene.finish();
}

#[test]
fn a_stopped_runner_is_found_by_its_deadline() {
    let quick = evil("deadlines = { health = \"500ms\" }");
    let scene = Scene::of(scene(FEW).config(&quick));
    let first = runner(&scene, "evil");
    let job = scene.does("stop-self");
    scene.says("evil", "E_HUNG");
    let why = scene.logs("since it did not answer `health` in time; it was running job");
    assert!(why.contains("executor `evil`") && why.contains(&job), "{why}");
    wait_until("another one is there", PATIENCE, || {
        (runner(&scene, "evil") != first).then_some(())
    });
    assert!(test_kill_process(first).is_err(), "it is still there");
    scene.client.until(&job, "FAILED");
    scene.finish();
}

#[test]
fn of_many_bad_plugins_each_is_named() {
    let bad = [
        ("evi1", "exit", "E_CRASHED"),
        ("evi2", "segv", "E_CRASHED"),
        ("evi3", "hang", "E_HUNG"),
        // Loads well, and says that it is another one than its note says.
        ("evi4", "none", "E_DESCRIBE"),
    ];
    let draft = tempfile::tempdir().unwrap();
    let mut setup = scene(&evil(""));
    for (name, deed, _) in bad {
        let library = evil_at_load(&built().plugin("evil"), deed, draft.path());
        let note = |name| format!("\"name\":\"{name}\"");
        let named = patched(&library, &note("evil"), &note(name), draft.path());
        let file = draft.path().join(format!("{name}.so"));
        fs::rename(named, &file).unwrap();
        setup = setup.plugin_file(file).config(&format!(
            "[executors.{name}]\ndeadlines = {{ load = \"2s\" }}\nrestart = {{ base_delay = \"50ms\" }}"
        ));
    }
    let scene = Scene::of(setup);
    for (name, _, code) in bad {
        let why = scene.says(name, code);
        assert_eq!(scene.row(name)["problem"]["plugin"], name, "{why}");
    }
    scene.client.result(&scene.client.submit("evil", json!({})));
    scene.finish();
}
