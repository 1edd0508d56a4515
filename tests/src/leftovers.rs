//! What a test must not leave: processes, attempts, temporary files.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

/// A process that belongs to a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its command line, for people.
    pub command: String,
}

/// The processes that run a program below `directory`, work there, or name it in their arguments or
/// their environment: a host, its nursery, its keepers, their jobs, and whatever those started.
///
/// # Panics
///
/// `/proc` cannot be read.
#[must_use]
pub fn processes(directory: &Path) -> Vec<Process> {
    let needle = directory.as_os_str().as_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("Linux has /proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if pid == rustix::process::getpid().as_raw_nonzero().get() {
            continue;
        }
        let at = entry.path();
        // One that ends meanwhile reads as empty, which belongs to nobody.
        let arguments = fs::read(at.join("cmdline")).unwrap_or_default();
        let environment = fs::read(at.join("environ")).unwrap_or_default();
        let linked =
            |name: &str| fs::read_link(at.join(name)).is_ok_and(|path| path.starts_with(directory));
        if contains(&arguments, needle)
            || contains(&environment, needle)
            || linked("cwd")
            || linked("exe")
        {
            let command = String::from_utf8_lossy(&arguments).replace('\0', " ");
            found.push(Process { pid, command });
        }
    }
    found
}

/// Kills what is left, so that a failed test harms no other.
pub fn kill(directory: &Path) {
    for Process { pid, .. } in processes(directory) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The attempts that an executor still keeps.
#[must_use]
pub fn attempts(cache_dir: &Path) -> Vec<PathBuf> {
    children(&cache_dir.join("attempts"))
}

/// The directories of plugins' processes that a host still keeps.
#[must_use]
pub fn runners(state_dir: &Path) -> Vec<PathBuf> {
    children(&state_dir.join("runners"))
}

/// Files that were made to be renamed or removed: of unknown names in a directory for temporary
/// files, and drafts anywhere below `directory`.
#[must_use]
pub fn drafts(directory: &Path) -> Vec<PathBuf> {
    let mut found = children(&directory.join("tmp"));
    let mut to_see = vec![directory.to_owned()];
    while let Some(next) = to_see.pop() {
        for path in children(&next) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ends = [".tmp", ".new", ".draft", ".part", "~"];
            if name.starts_with('.') || ends.iter().any(|end| name.ends_with(end)) {
                found.push(path.clone());
            }
            // What pip leaves in an environment is its own business.
            let is_directory = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
            if is_directory && !path.join("pyvenv.cfg").exists() {
                to_see.push(path);
            }
        }
    }
    found
}

fn children(directory: &Path) -> Vec<PathBuf> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => panic!("cannot list {}: {error}", directory.display()),
    }
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}
