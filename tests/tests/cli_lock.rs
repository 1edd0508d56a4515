//! `longshore plugin lock`: an operator says once which plugins are meant.

use std::fs;

use longshore_tests::setup;
use serde_json::json;

#[test]
fn a_locked_plugin_runs_and_a_changed_one_keeps_the_host_from_starting_until_it_is_locked_again() {
    let config = "[plugins]\nrequire_pins = true\n[jobs.nothing]\ncommand = [\"true\"]\n";
    let mut host = setup(config).stopped();
    let unpinned = host.says(&["plugin", "list"]);
    assert_eq!(unpinned.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unpinned.stderr).contains("E_UNPINNED"), "{unpinned:?}");

    assert_eq!(
        host.says(&["plugin", "lock", "--check"]).status.code(),
        Some(1),
        "it would pin one"
    );
    let pinned = host.prints(&["plugin", "lock"]);
    assert!(pinned.starts_with("pinned local ") && pinned.lines().count() == 1, "{pinned}");
    assert!(host.prints(&["plugin", "lock", "--check"]).contains("is as the plugins are"));
    host.start();
    let id = host.client().submit("nothing", json!({}));
    host.client().until(&id, "SUCCEEDED");
    host.terminate();

    // A byte behind all that a linker looks at.
    let plugin = host.path("plugins/liblongshore_local.so");
    let mut bytes = fs::read(&plugin).unwrap();
    bytes.push(0);
    fs::remove_file(&plugin).unwrap();
    fs::write(&plugin, bytes).unwrap();
    let serve = host.says(&["serve"]);
    let said = String::from_utf8_lossy(&serve.stderr);
    assert!(!serve.status.success() && said.contains("`longshore plugin lock`"), "{said}");
    assert!(host.prints(&["plugin", "lock"]).starts_with("pinned local "));
    host.start();
    host.finish();
}
