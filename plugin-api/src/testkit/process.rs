//! What can be seen of this process in `/proc`. None of it needs unsafe code, or the plugin's consent.

use std::{collections::BTreeSet, env, ffi::OsString, fs, path::PathBuf};

/// Descriptors that are open.
pub(super) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Threads.
pub(super) fn threads() -> usize {
    number("Threads:")
}

/// Resident memory, in KiB.
pub(super) fn resident_kib() -> usize {
    number("VmRSS:")
}

/// What all code in a process shares.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Surroundings {
    directory: Option<PathBuf>,
    umask: String,
    variables: BTreeSet<OsString>,
    ignored: u64,
    caught: u64,
}

/// Signals by number, as every Linux on the processors of a host counts them.
const SIGNALS: [(&str, u32); 8] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGTERM", 15),
    ("SIGCHLD", 17),
];

impl Surroundings {
    pub(super) fn now() -> Self {
        let mask = |key: &str| u64::from_str_radix(&status(key), 16).unwrap_or_default();
        Self {
            directory: env::current_dir().ok(),
            umask: status("Umask:"),
            variables: env::vars_os().map(|(name, _)| name).collect(),
            ignored: mask("SigIgn:"),
            caught: mask("SigCgt:"),
        }
    }

    /// What is not as it was.
    pub(super) fn changes(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.directory != before.directory {
            changes.push(format!("the current directory is {:?}", self.directory));
        }
        if self.umask != before.umask {
            changes.push(format!("the umask is {}", self.umask));
        }
        if self.variables != before.variables {
            let names: Vec<_> = self.variables.symmetric_difference(&before.variables).collect();
            changes.push(format!("the environment differs in {names:?}"));
        }
        for (name, number) in SIGNALS {
            let how = |of: &Self| {
                let bit = 1 << (number - 1);
                match (of.ignored & bit != 0, of.caught & bit != 0) {
                    (true, _) => "ignored",
                    (_, true) => "caught",
                    _ => "at its default",
                }
            };
            // A handler of SIGCHLD that calls the one before it takes nothing from anybody; `tokio` sets
            // one where a process is waited for.
            let harmless = name == "SIGCHLD" && how(self) == "caught";
            if how(self) != how(before) && !harmless {
                changes.push(format!("{name} is {}, was {}", how(self), how(before)));
            }
        }
        changes
    }
}

fn number(key: &str) -> usize {
    status(key).parse().unwrap_or_default()
}

/// The first word behind a key of `/proc/self/status`.
fn status(key: &str) -> String {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default().to_owned()
}
