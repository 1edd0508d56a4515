//! What `longshore plugin inspect` tells of a file.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
};

use longshore::plugin::{Code, inspect};
use serde_json::Value;

use super::bench::{Place, noop, patched};

#[test]
fn inspect_tells_what_a_file_is_without_loading_it() {
    let place = Place::with(&[("x.so", noop())]);
    let seen = inspect(&place.file("x.so")).expect("it is a plugin");
    assert_eq!((&*seen.note.name, &*seen.note.api), ("noop", "1.0"));
    assert_eq!(seen.bytes, noop().len());
    assert_eq!(seen.exports, ["_1as_0lib_1header_0root_bmodule_bloader"]);
    assert!(seen.needed.iter().any(|library| library.starts_with("libc.so")), "{:?}", seen.needed);
    assert!(seen.glibc.as_deref().is_some_and(|glibc| glibc.starts_with("2.")), "{:?}", seen.glibc);
    assert!(seen.problem.is_none());

    let newer = patched(noop(), r#""min_host":"1.0""#, r#""min_host":"1.7""#);
    fs::write(place.file("x.so"), newer).expect("it is writable");
    let seen = inspect(&place.file("x.so")).expect("it is a plugin all the same");
    assert_eq!(seen.problem.map(|problem| problem.code), Some(Code::ApiRange));
}

#[test]
fn every_directory_on_the_way_is_shown_and_who_may_change_it() {
    let place = Place::with(&[("real.so", noop())]);
    fs::create_dir_all(place.state()).expect("it is new");
    let link = place.state().join("link.so");
    symlink(place.file("real.so"), &link).expect("it is new");
    fs::set_permissions(place.state(), Permissions::from_mode(0o777)).expect("it is ours");

    let seen = inspect(&link).expect("what is wrong is told beside the rest");
    let problem = seen.problem.expect("others may replace the link");
    assert_eq!(problem.code, Code::Writable);
    assert!(problem.to_string().contains("/state` is writable for all"), "{problem}");
    let shown = |path: &std::path::Path| {
        let step = seen.way.iter().find(|step| step.path == path).expect("the way goes through it");
        (&*step.mode, step.user, step.trusted)
    };
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(shown(&place.state()), ("0777", user, false));
    assert!(shown(&place.dir()).2, "{:?}", seen.way);
    assert_eq!(seen.way[0].path.as_os_str(), "/");
    assert_eq!(seen.way.last().map(|step| &*step.path), Some(&*link), "the file as it was named");
}

#[test]
fn a_build_that_aborts_is_told_to_need_a_process_of_its_own() {
    let aborts = patched(noop(), r#""panic":"unwind""#, r#""panic":"abort!""#);
    let place = Place::with(&[("aborts.so", &aborts), ("unwinds.so", noop())]);
    let needs = |name| inspect(&place.file(name)).expect("it is a plugin").needs_process;
    assert!(needs("aborts.so") && !needs("unwinds.so"));
}

/// What the command prints, and whether it ends well.
fn told(place: &Place, more: &[&str]) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["plugin", "inspect"])
        .arg(place.file("noop.so"))
        .args(more)
        .current_dir(place.temp.path())
        .env_clear()
        .output()
        .expect("it runs");
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    (String::from_utf8(text).expect("it writes UTF-8"), output.status.success())
}

#[test]
fn a_file_is_compared_with_the_lock_file_of_the_configuration() {
    let place = Place::with(&[("noop.so", noop())]);
    let (sheet, good) = told(&place, &[]);
    assert!(good && !sheet.contains("lock file"), "without a configuration: {sheet}");
    assert!(sheet.contains("isolation   `process` or `none`"), "{sheet}");

    let config = "[executors.noop]\n[jobs.nothing]\ncommand = [\"true\"]\n";
    fs::write(place.temp.path().join("longshore.toml"), config).expect("it is new");
    let (sheet, good) = told(&place, &[]);
    assert!(good && sheet.contains("lock file   does not name it"), "{sheet}");

    let lock = |digest: &str| {
        let mut pins = place.pins(false);
        pins.lock("noop", "0.1.0", digest, false);
        pins.write().expect("it is writable");
    };
    let digest = inspect(&place.file("noop.so")).expect("it is a plugin").digest;
    lock(&digest);
    let (sheet, good) = told(&place, &[]);
    assert!(good && sheet.contains("lock file   pins this content"), "{sheet}");

    lock(&"0".repeat(64));
    let (json, good) = told(&place, &["--json"]);
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!((&json["pin"], &json["problem"]["code"]), (&"refused".into(), &"E_PIN".into()));
    assert!(!good);
}
