//! What is outside the file: plugins and secrets.

use std::fs;

use super::*;

#[test]
fn an_executor_names_a_plugin_that_was_found() {
    let config = read("[executors.here]\nplugin = \"lokal\"\n[executors.docker]\n");
    let found = ["docker", "local"];
    let said = config.check_plugins(&found).unwrap_err().to_string();
    agreed("an_executor_names_a_plugin_that_was_found", &said);
    let config = read("[executors.local]\n[executors.docker]\n");
    assert!(config.check_plugins(&found).is_ok());
}

#[test]
fn secrets_are_read_when_asked_for_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let token = "3f1c9a8e7b6d5c4f3a2b1c0d9e8f7a6b";
    fs::write(dir.path().join("good.token"), format!("{token}\n")).unwrap();
    fs::write(dir.path().join("short.token"), "hunter2\n").unwrap();
    let entry = |name: &str, source: &str| {
        format!("[[tokens]]\nname = \"{name}\"\nrole = \"admin\"\n{source}\n")
    };
    let digest = "0123456789abcdef".repeat(4);
    let right =
        entry("file", "file = \"good.token\"") + &entry("hash", &format!("sha256 = \"{digest}\""));
    let config = Config::from_toml(&right, &dir.path().join("longshore.toml")).unwrap();
    assert!(config.check_secrets().is_ok());
    let digest_of_file = config.tokens[0].secret.digest().unwrap();
    assert!(digest_of_file.recognises(token), "white space around a token does not count");
    assert!(!digest_of_file.recognises(&format!("{token}\n")));
    let shown = format!("{config:?}{}{:?}", config.effective(), config.tokens[1].secret.digest());
    assert!(!shown.contains(token) && !shown.contains(&digest), "{shown}");

    let wrong = entry("gone", "file = \"gone.token\"")
        + &entry("short", "file = \"short.token\"")
        + &entry("directory", "file = \".\"")
        + &entry("unset", "env = \"LONGSHORE_TEST_UNSET\"");
    let config = Config::from_toml(&wrong, &dir.path().join("longshore.toml")).unwrap();
    let said = config.check_secrets().unwrap_err().to_string();
    let said = said.replace(&dir.path().display().to_string(), "DIR");
    agreed("secrets_that_cannot_be_read", &said);
}
