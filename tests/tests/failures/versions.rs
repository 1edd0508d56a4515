//! What a plugin was built with, and for.

use std::fs;

use longshore_tests::{Scene, built::evil_that_hides, evil, fixture::replaced};
use serde_json::{Value, json};

use crate::{
    discovery::without_code,
    shelf::{library, made_of, named, put, watching},
};

const API: &str = r#""api":"1.0""#;
const MIN_HOST: &str = r#""min_host":"1.0""#;

/// Puts the smallest plugin there with a text of its note replaced, and sees that it runs jobs.
fn is_welcome(changes: &[(&str, &str)]) {
    let scene = Scene::of(watching(&made_of("smallest", "smallest", "")));
    let library =
        changes.iter().fold(library("smallest"), |library, (from, to)| replaced(library, from, to));
    put(&scene, "smallest.so", &library);
    let _ = scene.stands("smallest", "ready");
    let id = scene.client.submit("smallest", json!({}));
    assert_eq!(scene.client.result(&id), "done");
    scene.finish();
}

/// Puts the test plugin there with its note changed, and sees that it is refused.
fn is_out_of_range(changes: &[(&str, &str)], says: &[&str]) {
    let scene = Scene::of(watching(""));
    let library =
        changes.iter().fold(library("noop"), |library, (from, to)| replaced(library, from, to));
    put(&scene, "noop.so", &library);
    let why = scene.says("noop.so", "E_API_RANGE");
    for says in says {
        assert!(why.contains(says), "{why}");
    }
    scene.finish();
}

#[test]
fn a_newer_plugin_is_judged_by_min_host() {
    is_out_of_range(
        &[(API, r#""api":"1.9""#), (MIN_HOST, r#""min_host":"1.7""#)],
        &["needs a host of plugin API 1.7 or newer", "upgrade the host"],
    );
}

#[test]
fn another_major_is_refused_with_the_range() {
    is_out_of_range(
        &[(API, r#""api":"2.0""#)],
        &["built for plugin API 2.0; this host speaks 1.0 to 1.", "ask for a build for API 1"],
    );
}

#[test]
fn a_zero_major_is_refused() {
    is_out_of_range(
        &[(API, r#""api":"0.9""#)],
        &["built for plugin API 0.9; this host speaks 1.0"],
    );
}

#[test]
fn another_abi_stable_is_refused_by_the_note() {
    is_out_of_range(
        &[(r#""abi_stable":"0.11""#, r#""abi_stable":"0.10""#)],
        &["built with abi_stable 0.10", "rebuild it"],
    );
    is_out_of_range(
        &[(r#""async_ffi_abi":2"#, r#""async_ffi_abi":1"#)],
        &["async-ffi ABI 1", "rebuild it"],
    );
}

#[test]
fn another_compiler_is_no_reason() {
    is_welcome(&[(r#""rustc":"rustc 1."#, r#""rustc":"rustc 9."#)]);
}

#[test]
fn only_versions_are_compared() {
    is_welcome(&[
        (r#""profile":"debug""#, r#""profile":"quick""#),
        (r#""target":"x"#, r#""target":"y"#),
        // What a later note may say.
        (r#""rustc":"rustc 1."#, r#""rustc":"", "n":""#),
    ]);
}

#[test]
fn a_layout_mismatch_is_one_line() {
    let scene = Scene::of(watching(&made_of("smallest", "smallest", "")));
    let other = replaced(library("smallest"), "describe;open;", "describe;shut;");
    put(&scene, "smallest.so", &other);
    let why = scene.says("smallest", "E_LAYOUT");
    assert!(why.contains("its memory layout is not that of plugin API 1.0"), "{why}");
    assert!(why.contains("expected a field `open`, found `shut`"), "{why}");
    assert!(why.len() < 300, "{}: {why}", why.len());
    scene.finish();
}

#[test]
fn a_hidden_layout_is_refused() {
    let naked = made_of("evil", "naked", "isolation = \"none\"");
    let scene = Scene::of(watching(&[evil(""), naked].concat()));
    put(&scene, "liblongshore_evil.so", &fs::read(evil_that_hides()).unwrap());
    for executor in ["evil", "naked"] {
        let why = scene.says(executor, "E_LAYOUT");
        assert!(why.contains("it hides its layout"), "{why}");
        let id = scene.client.submit(executor, json!({}));
        let _ = scene.client.until(&id, "SUCCEEDED");
    }
    scene.finish();
}

#[test]
fn two_plugins_are_never_mixed_up() {
    let naked = "isolation = \"none\"";
    let executors = [("anoo", ""), ("noop", "config = { echo = true }"), ("smallest", "")];
    let config =
        executors.map(|(plugin, more)| made_of(plugin, plugin, &format!("{naked}\n{more}")));
    let scene = Scene::of(watching(&[config.concat(), made_of("evil", "evil", naked)].concat()));
    // The first in this process fails late: whatever it leaves there is not the others'.
    let broken =
        replaced(named("noop", "anoo", library("noop")), "describe;open;", "describe;shut;");
    put(&scene, "anoo.so", &broken);
    let _ = scene.says("anoo", "E_LAYOUT");
    for plugin in ["noop", "smallest"] {
        put(&scene, format!("{plugin}.so"), &library(plugin));
    }
    for executor in ["noop", "smallest", "evil"] {
        let _ = scene.stands(executor, "ready");
    }
    let ids = ["noop", "smallest", "evil"].map(|job| scene.client.submit(job, json!({ "n": 1 })));
    let [noop, smallest, evil] = ids.map(|id| scene.client.result(&id));
    assert_eq!((noop, smallest), (json!({ "n": 1 }), json!("done")));
    assert_eq!(evil["pid"], scene.host.pid().as_raw_nonzero().get(), "in the host's process");
    scene.finish();
}

#[test]
fn the_note_is_read_whatever_the_code_is() {
    let scene = Scene::of(watching(&made_of("noop", "noop", "")));
    put(&scene, "noop.so", &without_code(library("noop")));
    let file = scene.host.path("plugins/noop.so").display().to_string();
    let told: Value = scene.host.prints_json(&["plugin", "inspect", "--json", &file]);
    let note = &told["note"];
    assert_eq!((&note["name"], &note["api"]), (&json!("noop"), &json!("1.0")), "{told:#}");
    let _ = scene.says("noop", "E_CRASHED");
    scene.finish();
}

#[test]
fn a_note_that_lies_is_refused() {
    let scene = Scene::of(watching(&made_of("good", "good", "")));
    put(&scene, "good.so", &named("evil", "good", library("evil")));
    let why = scene.says("good", "E_DESCRIBE");
    assert!(why.contains("good") && why.contains("evil"), "{why}");
    assert!(why.contains("put together from two builds"), "{why}");
    scene.finish();
}
