//! What an operator writes, and what an operator is told.

use std::fs;

use longshore_tests::{Scene, evil, scene, wait::PATIENCE, wait_until};
use serde_json::{Value, json};

use crate::shelf::{evil_that, made_of, named, put, watching};

#[test]
fn a_misspelled_setting_is_named_with_what_was_meant() {
    let naked = made_of("evil", "naked", "isolation = \"none\"\nconfig = { sekret = \"x\" }");
    let scene = Scene::of(scene(&[evil("config = { moed = \"abort\" }"), naked].concat()));
    let why = scene.says("evil", "E_CONFIG");
    assert!(why.contains("at `/moed`: unknown key `moed`; did you mean `mode`?"), "{why}");
    let why = scene.says("naked", "E_CONFIG");
    assert!(why.contains("did you mean `secret`?"), "{why}");
    scene.finish();
}

#[test]
fn settings_for_a_plugin_without_any_are_refused() {
    let config = made_of("smallest", "smallest", "config = { size = 1 }");
    let scene = Scene::of(scene(&config).plugin("smallest"));
    let why = scene.says("smallest", "E_CONFIG");
    assert!(why.contains("size") || why.contains("takes no settings"), "{why}");
    scene.finish();
}

#[test]
fn a_schema_that_is_none_is_refused() {
    let naked = made_of("evil", "naked", "isolation = \"none\"");
    let scene = Scene::of(watching(&[evil(""), naked].concat()));
    let schemas = [("bad-schema", "#/$defs/nowhere"), ("remote-ref", "https://example.com/")];
    for (deed, says) in schemas {
        put(&scene, "liblongshore_evil.so", &evil_that(deed));
        for executor in ["evil", "naked"] {
            wait_until(&format!("{says} is the reason"), PATIENCE, || {
                scene.says(executor, "E_SCHEMA").contains(says).then_some(())
            });
        }
    }
    let id = scene.client.submit("evil", json!({}));
    let _ = scene.client.until(&id, "SUCCEEDED");
    scene.finish();
}

#[test]
fn a_secret_is_never_echoed() {
    let secret = "2f6c1d-not-to-be-seen";
    let talks = evil(&format!("config = {{ mode = \"secret\", secret = \"{secret}\" }}"));
    let wrong = format!("config = {{ secret = [\"{secret}\"] }}");
    let unknown = format!("config = {{ secret = \"{secret}\", mode = \"{secret}\" }}");
    let config = [talks, made_of("evil", "wrong", &wrong), made_of("evil", "unknown", &unknown)];
    let scene = Scene::of(scene(&config.concat()));
    let why = scene.says("evil", "E_START");
    assert!(why.contains("evil cannot go on with ***"), "{why}");
    for executor in ["wrong", "unknown"] {
        let _ = scene.says(executor, "E_CONFIG");
    }
    for line in ["evil prints ***", "evil logs ***"] {
        let _ = scene.logs(line);
    }
    let list = scene.host.says(&["plugin", "list", "--json"]);
    let mut said = vec![scene.host.log(), String::from_utf8(list.stdout).unwrap()];
    said.extend(
        ["plugins", "executors"].map(|of| scene.client.get(&format!("/api/3.0/{of}")).text),
    );
    for said in said {
        assert!(said.contains("evil") && !said.contains(secret), "{said}");
    }
    scene.finish();
}

#[test]
fn one_bad_plugin_stops_nobody_unless_required() {
    let bad = "config = { mode = \"panic-new\" }";
    let scene = Scene::of(watching(&evil(bad)));
    put(&scene, "text.so", b"no library");
    let _ = scene.says("text.so", "E_NOT_ELF");
    let _ = scene.says("evil", "E_EXECUTOR");
    scene.finish();

    let required = evil(&format!("required = true\n{bad}"));
    let host = longshore_tests::scene(&required).stopped();
    let serve = host.says(&["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&serve.stderr);
    assert!(!serve.status.success() && said.contains("E_EXECUTOR"), "{said}");
    assert!(said.contains("asked to panic in new"), "{said}");
    host.finish();
}

#[test]
fn the_list_says_what_runs() {
    let scene = Scene::of(watching(&[evil(""), made_of("evil", "naked", NAKED)].concat()));
    put(&scene, "text.so", b"no library");
    let _ = scene.says("text.so", "E_NOT_ELF");
    for executor in ["evil", "naked"] {
        let _ = scene.stands(executor, "ready");
    }
    let hold = scene.host.path("hold");
    let id = scene.client.submit("evil", json!({ "hold": hold }));
    let _ = scene.client.until(&id, "RUNNING");

    // One plugin is refused, so the list is no success.
    let list = scene.host.says(&["plugin", "list", "--json"]);
    assert_eq!(list.status.code(), Some(1));
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let row = |name: &str| {
        let file = scene.host.path(&format!("plugins/{name}"));
        let file = file.to_string_lossy();
        let rows = list.as_array().unwrap().iter();
        { rows }.find(|row| row["path"] == *file).unwrap_or_else(|| panic!("{list:#}"))
    };
    let plugin = row("liblongshore_evil.so");
    for (key, value) in [("name", "evil"), ("version", "0.1.0"), ("api", "1.0"), ("state", "used")]
    {
        assert_eq!(plugin[key], value, "{plugin:#}");
    }
    assert!(plugin["since"].as_i64() > Some(0) && plugin["problem"].is_null(), "{plugin:#}");
    let executors = plugin["executors"].as_array().unwrap();
    let of = |name: &str| executors.iter().find(|row| row["name"] == name).unwrap();
    let (evil, naked) = (of("evil"), of("naked"));
    assert_eq!((&evil["isolation"], &naked["isolation"]), (&json!("process"), &json!("none")));
    assert_eq!((&evil["standing"], &evil["jobs"]), (&json!("ready"), &json!(1)));
    assert_eq!(evil["digest"], plugin["digest"]);
    assert_eq!(naked["pid"], Value::Null, "it runs in the host");
    let runner = fs::read_to_string(format!("/proc/{}/cmdline", evil["pid"])).unwrap();
    assert!(runner.starts_with("longshore-runner[evil]"), "{runner}");
    let refused = row("text.so");
    assert_eq!((&refused["state"], &refused["name"]), (&json!("refused"), &Value::Null));
    assert_eq!(refused["problem"]["code"], "E_NOT_ELF");

    fs::write(hold, "").unwrap();
    let ended = scene.client.until(&id, "SUCCEEDED");
    assert_eq!(ended["result"]["pid"], evil["pid"], "there it ran");
    scene.finish();
}

const NAKED: &str = "isolation = \"none\"";

#[test]
fn a_slow_plugin_is_said_to_be_slow() {
    let impatient = made_of("slow", "impatient", "deadlines = { load = \"100ms\" }");
    let scene = Scene::of(watching(&[evil(""), impatient].concat()));
    put(&scene, "liblongshore_evil.so", &evil_that("slow"));
    put(&scene, "slow.so", &named("evil", "slow", evil_that("slow")));
    let line = scene.logs("to load");
    assert!(line.contains("plugin `evil` took ") && line.contains("WARN"), "{line}");
    let why = scene.says("impatient", "E_HUNG");
    assert!(why.contains("100ms"), "{why}");
    scene.finish();
}
