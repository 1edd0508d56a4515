//! What goes wrong with plugins, and what does not because of it: a row of `docs/plugin-failures.md`
//! each. Whatever the plugin does, its neighbour's job runs to its end and the host stays.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails here")]

#[path = "failures/discovery.rs"]
mod discovery;
#[path = "failures/globals.rs"]
mod globals;
#[path = "failures/lies.rs"]
mod lies;
#[path = "failures/lifetime.rs"]
mod lifetime;
#[path = "failures/linking.rs"]
mod linking;
#[path = "failures/operation.rs"]
mod operation;
#[path = "failures/panics.rs"]
mod panics;
#[path = "failures/runner.rs"]
mod runner;
#[path = "failures/shelf.rs"]
mod shelf;
#[path = "failures/table.rs"]
mod table;
#[path = "failures/versions.rs"]
mod versions;

use longshore_tests::Scene;
use rustix::process::{Pid, Signal, kill_process};

/// An executor in the host's own process.
const NONE: &str = "isolation = \"none\"";
/// A job that crashes what runs it is failed at the third time.
const FEW: &str = "[recovery]\nmax_recoveries = 0\ninterval = \"300ms\"";

/// A job that does this wrong and ends when [`end_held`] says so. It is with the plugin by now.
fn hold(scene: &Scene, executor: &str, mode: Option<&str>) -> String {
    let params = serde_json::json!({ "evil": mode, "hold": scene.host.path("end") });
    let id = scene.client.submit(executor, params);
    scene.logs(&format!("evil holds {id}"));
    id
}

/// Ends every job that is held.
fn end_held(scene: &Scene) {
    std::fs::write(scene.host.path("end"), "").unwrap();
}

/// The process that an executor runs in.
fn runner(scene: &Scene, executor: &str) -> Pid {
    let pid = scene.stands(executor, "ready")["pid"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// `kill -9` of it.
fn kill(scene: &Scene, executor: &str) {
    kill_process(runner(scene, executor), Signal::KILL).unwrap();
}
