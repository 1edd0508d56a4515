//! Crates outside the workspace, built as a vendor builds them: by their own manifest and lock file.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use crate::built::{as_a_person_has_it, cargo, target};

/// Gives a crate the target directory that all such crates share: what they depend on is compiled once.
///
/// # Panics
///
/// The directory cannot be made, or the crate has one of its own.
pub fn share_target(directory: &Path) {
    let shared = target().join("vendor");
    let linked =
        fs::create_dir_all(&shared).and_then(|()| symlink(&shared, directory.join("target")));
    linked.unwrap_or_else(|error| panic!("cannot link {}: {error}", shared.display()));
}

/// Has a command build as [`build`] does, wherever in it a cargo is.
pub fn builds(command: &mut Command) {
    as_a_person_has_it(command);
    command
        // Not where the repository builds.
        .env_remove("CARGO_TARGET_DIR")
        // As a lock file that is still to be made wants it: of what the repository's own build has
        // fetched, so that the day of the test does not matter.
        .env("CARGO_NET_OFFLINE", "true")
        // As released, but for the time that it takes.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_TERM_QUIET", "true");
}

/// Builds a crate of this directory, released and locked, and returns the directory of what was built.
///
/// # Panics
///
/// It cannot be built.
#[must_use]
pub fn build(directory: &Path, arguments: &[&str]) -> PathBuf {
    let mut cargo = cargo(directory);
    builds(&mut cargo);
    let shared = target().join("vendor");
    cargo.arg("build").args(["--release", "--locked", "--target-dir"]).arg(&shared).args(arguments);
    // What it is locked to may be newer or older than the repository's own.
    cargo.env_remove("CARGO_NET_OFFLINE");
    let output = cargo.output().expect("cargo runs the tests, so it can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{cargo:?}: {said}");
    shared.join("release")
}
