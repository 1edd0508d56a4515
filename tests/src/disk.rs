//! A disk that is small enough to be filled.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::host::{Setup, TestHost};

/// Starts a host that alone sees a file system of `size` in its directory `disk`. It needs root, or
/// user namespaces.
///
/// # Panics
///
/// The test's directory cannot be written to.
#[must_use]
pub fn small(setup: Setup, size: &str) -> Setup {
    let disk = setup.path("disk");
    fs::create_dir(&disk).expect("the test's directory is writable");
    let mut command: Vec<OsString> = vec!["unshare".into(), "--mount".into()];
    if !rustix::process::geteuid().is_root() {
        command.extend(["--user".into(), "--map-root-user".into()]);
    }
    let mount = format!("mount -t tmpfs -o size={size} longshore-test \"$0\" && exec \"$@\"");
    command.extend(["sh".into(), "-c".into(), mount.into(), disk.into()]);
    setup.wrapped(command)
}

/// Where we see that disk: it is the host's own, and there through its process.
///
/// # Panics
///
/// The host does not run.
#[must_use]
pub fn seen_by(host: &TestHost) -> PathBuf {
    let disk = host.path("disk");
    let below = disk.strip_prefix("/").expect("the test's directory is absolute");
    PathBuf::from(format!("/proc/{}/root", host.pid().as_raw_nonzero())).join(below)
}

/// How much room there is, in bytes.
///
/// # Panics
///
/// It is no disk, or no small one.
#[must_use]
pub fn room(disk: &Path) -> usize {
    let stat = rustix::fs::statvfs(disk).expect("a disk says how full it is");
    usize::try_from(stat.f_bavail * stat.f_frsize).expect("it is a small one")
}
