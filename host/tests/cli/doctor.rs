//! Each finding of `longshore doctor`: what it sees, how bad that is, and the way out.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use serde_json::Value;

use crate::{
    RIGHT,
    desk::{Desk, Said},
    host::{self, Scripted},
};

/// A desk with a configuration, a plugin directory, and no host.
fn desk() -> Desk {
    with("")
}

fn with(config: &str) -> Desk {
    let desk = Desk::new();
    let port = host::free_port();
    desk.configure(&format!("server.listen = \"127.0.0.1:{port}\"\n{config}\n{RIGHT}"));
    fs::create_dir(desk.path("plugins")).unwrap();
    desk
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Checks that a subject is found so, with these words in its message or its way out.
#[track_caller]
fn finds(said: &Said, subject: &str, level: &str, words: &str) {
    let findings: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    let found = findings.iter().any(|finding| {
        let text = format!("{} {}", finding["message"], finding["way_out"]);
        finding["subject"] == subject && finding["level"] == level && text.contains(words)
    });
    assert!(found, "no `{subject}` is {level} with {words:?}: {said}");
    let failed = findings.iter().any(|finding| finding["level"] == "fail");
    assert_eq!(said.code, i32::from(failed), "{said}");
}

fn doctor(desk: &Desk) -> Said {
    desk.run(&["doctor", "--json"])
}

#[test]
fn a_fresh_place_is_well_but_for_its_executor() {
    let desk = desk();
    let said = doctor(&desk);
    assert_eq!(said.code, 1, "{said}");
    let findings: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    let failed: Vec<_> =
        findings.iter().filter(|f| f["level"] == "fail").map(|f| &f["subject"]).collect();
    assert_eq!(failed, ["executors"], "{said}");
    finds(&said, "configuration", "ok", "no mistakes; 1 job type, 1 executor");
    finds(&said, "state directory", "ok", "will be made at the first start");
    finds(&said, "host", "ok", "none has started here yet");
    finds(&said, "database", "ok", "will be made at the first start");
    finds(&said, "clock", "ok", "UTC");
    // Looking changes nothing.
    assert!(!desk.path("state").exists());
}

#[test]
fn a_finding_has_its_hint_below() {
    let desk = desk();
    fs::create_dir(desk.path("state")).unwrap();
    set_mode(&desk.path("state"), 0o755);
    let said = desk.run(&["doctor"]);
    let expected = "warn  state directory  others may look into `[DIR]/state` (mode 755)\n                       \
                    (hint: `chmod 700 [DIR]/state`)\n";
    assert!(said.stdout.contains(expected), "{said}");
}

#[test]
fn a_state_directory_that_is_not_this_users_alone_is_found() {
    let desk = desk();
    let state = desk.path("state");
    desk.file("state", "");
    finds(&doctor(&desk), "state directory", "fail", "is no directory");
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    set_mode(&state, 0o777);
    finds(&doctor(&desk), "state directory", "fail", "others may write");
    set_mode(&state, 0o755);
    finds(&doctor(&desk), "state directory", "warn", "chmod 700");
    set_mode(&state, 0o700);
    finds(&doctor(&desk), "state directory", "ok", "private to this user");
}

#[test]
fn a_state_directory_that_cannot_be_made_is_found() {
    let desk = with("state_dir = \"file/state\"");
    desk.file("file", "");
    finds(&doctor(&desk), "state directory", "fail", "cannot be made in `[DIR]/file`");
}

#[test]
fn a_host_that_has_lost_its_identity_is_found() {
    let desk = desk();
    fs::create_dir(desk.path("state")).unwrap();
    let id = "01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa";
    let kept = format!(r#"{{"replica": "{id}", "machine_id": "m"}}"#);
    desk.file("state/replica.json", &kept);
    finds(&doctor(&desk), "identity", "ok", &format!("this is host {id}"));
    desk.file("state/replica.json", &kept[..30]);
    finds(&doctor(&desk), "identity", "fail", "`[DIR]/state/replica.json` does not say which host");
}

#[test]
fn an_admin_token_that_others_can_read_is_found() {
    let desk = desk();
    desk.admin_token();
    set_mode(&desk.path("state"), 0o700);
    finds(&doctor(&desk), "admin token", "ok", "private to this user");
    set_mode(&desk.path("state/admin-token"), 0o644);
    finds(&doctor(&desk), "admin token", "fail", "chmod 600");
}

#[test]
fn configured_tokens_are_read() {
    let desk = with("[[tokens]]\nname = \"ci\"\nrole = \"admin\"\nfile = \"ci\"");
    finds(&doctor(&desk), "tokens", "fail", "ci");
    desk.file("ci", "a token of at least 32 characters");
    set_mode(&desk.path("ci"), 0o600);
    finds(&doctor(&desk), "tokens", "ok", "1 besides the admin token");
}

#[test]
fn a_database_is_opened_while_nobody_uses_it() {
    let desk = desk();
    fs::create_dir(desk.path("state")).unwrap();
    set_mode(&desk.path("state"), 0o700);
    desk.file("state/longshore.db", "");
    finds(&doctor(&desk), "database", "warn", "`longshore serve` does it, too");
    assert_eq!(desk.run(&["migrate"]).code, 0);
    finds(&doctor(&desk), "database", "ok", "opens and has this version's schema");
    let desk = self::desk();
    desk.file("state/longshore.db", &"this is text, and it is longer than a header ".repeat(30));
    finds(&doctor(&desk), "database", "fail", "longshore.db");
}

#[test]
fn plugins_that_cannot_be_used_are_found() {
    let desk = with("plugins = { dir = \"plugins\" }");
    desk.file("plugins/text.so", "not a library");
    finds(&doctor(&desk), "plugins", "warn", "text.so");
    fs::remove_dir_all(desk.path("plugins")).unwrap();
    finds(&doctor(&desk), "plugins", "fail", "set `plugins.dir`");
}

#[test]
fn python_is_asked_what_the_modules_declare() {
    let desk = with("python = { path = [\".\"], modules = [\"scorers\"] }");
    finds(&doctor(&desk), "python", "fail", "scorers");
    desk.file("scorers.py", "");
    finds(&doctor(&desk), "python", "ok", "they declare no job type");
    desk.file("scorers.py", "from longshore import job\n@job(name=\"rate\")\ndef rate(): ...\n");
    finds(&doctor(&desk), "python", "ok", "`rate`");
}

/// Three questions: what it is, whether it takes jobs, how its executors are.
fn answering(info: &str, ready: (u16, &str), executors: &str) -> Said {
    let host = Scripted::answers_in_turn(&[(200, info), ready, (200, executors)]);
    desk().ask(&host, &["doctor", "--json"])
}

const READY: (u16, &str) = (200, r#"{"ok": true, "problems": []}"#);
const EXECUTORS: &str = r#"{"executors": [
    {"name": "local", "ready": true, "trouble": null},
    {"name": "far", "ready": false, "trouble": "no daemon answers"}
]}"#;

#[test]
fn a_host_that_runs_is_asked_and_left_alone() {
    let info = concat!(r#"{"version": ""#, env!("CARGO_PKG_VERSION"), r#""}"#);
    let said = answering(info, READY, EXECUTORS);
    finds(&said, "host", "ok", "answers at http://127.0.0.1:");
    finds(&said, "host health", "ok", "it takes jobs");
    finds(&said, "database", "ok", "in use by the host");
    finds(&said, "executors", "ok", "`local` takes jobs");
    finds(&said, "executors", "fail", "`far` takes no jobs: no daemon answers");
}

#[test]
fn a_host_that_is_old_unwell_or_none_is_found() {
    let unwell = (503, r#"{"ok": false, "problems": ["draining", "storage"]}"#);
    let said = answering(r#"{"version": "0.0.1"}"#, unwell, "{}");
    finds(&said, "host", "warn", "restart the host");
    finds(&said, "host health", "fail", "it takes no jobs now: draining, storage");
    finds(&said, "executors", "fail", "bring both up to date");
    finds(&answering("{}", READY, EXECUTORS), "host", "fail", "is no host");
    let host = Scripted::answers(401, r#"{"error": {"code": "unauthorized", "message": "no"}}"#);
    let said = desk().ask(&host, &["doctor", "--json"]);
    finds(&said, "host", "fail", "does not accept the token");
}

#[test]
fn what_a_host_that_does_not_answer_may_be_using_is_left_alone() {
    let desk = desk();
    desk.admin_token();
    set_mode(&desk.path("state"), 0o700);
    desk.file("state/longshore.db", "");
    let said = doctor(&desk);
    finds(&said, "host", "ok", "none runs at http://127.0.0.1:");
    let lock = File::create(desk.path("state/host.lock")).unwrap();
    lock.lock_shared().unwrap();
    finds(&doctor(&desk), "host", "ok", "none runs at"); // another doctor
    lock.unlock().unwrap();
    lock.lock().unwrap();
    let said = doctor(&desk);
    finds(&said, "host", "fail", "one uses the state directory, and does not answer");
    finds(&said, "database", "warn", "not looked at");
    finds(&said, "executors", "warn", "not looked at");
}
