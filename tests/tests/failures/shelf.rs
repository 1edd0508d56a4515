//! A plugin directory that a running host looks at all the time, and what is put there.

use std::{ffi::OsStr, fs};

use longshore_tests::{
    Scene,
    built::built,
    fixture::{at_load, replaced},
    host::Setup,
    scene,
};

/// Begins a scene whose host notices soon what is in its plugin directory.
pub(crate) fn watching(config: &str) -> Setup {
    scene(config).config("[plugins]\nscan_interval = \"50ms\"")
}

/// An executor of that plugin and a job type that runs on it, both of this name. `executor` is what else
/// its table says.
pub(crate) fn made_of(plugin: &str, name: &str, executor: &str) -> String {
    format!(
        r#"
[executors.{name}]
plugin = "{plugin}"
restart = {{ base_delay = "50ms", max_delay = "200ms" }}
{executor}

[jobs.{name}]
executor = "{name}"
command = ["{name}"]
retry = {{ max_retries = 0 }}
"#
    )
}

/// A built plugin.
pub(crate) fn library(name: &str) -> Vec<u8> {
    fs::read(built().plugin(name)).unwrap()
}

/// The evil plugin that does this while it is loaded, or while it describes itself.
pub(crate) fn evil_that(what: &str) -> Vec<u8> {
    let (from, to) = at_load(what);
    replaced(library("evil"), &from, &to)
}

/// The library with another name, as long, in its note only.
pub(crate) fn named(name: &str, other: &str, library: Vec<u8>) -> Vec<u8> {
    let says = |name: &str| format!("{{\"note\":1,\"name\":\"{name}\"");
    replaced(library, &says(name), &says(other))
}

/// Puts a file there as an operator should: under another name first, then renamed.
pub(crate) fn put(scene: &Scene, name: impl AsRef<OsStr>, content: &[u8]) {
    let directory = scene.host.path("plugins");
    let draft = directory.join(".draft");
    fs::write(&draft, content).unwrap();
    fs::rename(draft, directory.join(name.as_ref())).unwrap();
}

/// Waits until the host has looked at all that was put there before.
#[track_caller]
pub(crate) fn looked(scene: &Scene) {
    put(scene, "zz-last.so", b"the last file");
    let _ = scene.says("zz-last.so", "E_NOT_ELF");
    fs::remove_file(scene.host.path("plugins/zz-last.so")).unwrap();
}
