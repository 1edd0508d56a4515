//! Finding what an earlier host process left.
//!
//! ```text
//!  lock free, record ────────────────────────────────────────► here: `wait` tells how it ended
//!  lock held ─────── ended within PATIENCE ──────────────────► as above
//!              └──── not ────────────────────────────────────► unknown
//!  lock free, no record ─┐                     ┌─ none left ─► gone
//!  no directory ─────────┴─ kill what carries ─┴─ some left,
//!                           the tag or writes    or somebody in
//!                           to its output        the directory,
//!                                                or a process
//!                                                nobody may
//!                                                look into ──► unknown
//!  made before the machine started ──────────────────────────► gone
//! ```
//!
//! A keeper that loses its host kills its job at once, so what this finds is nearly always a record.

use std::{collections::HashMap, fs, io, path::Path, sync::Arc, time::Duration};

use longshore_plugin_api::{self as api, Verdict};
use rustix::process::Pid;

use crate::{
    attempt_dir::{AttemptDir, State},
    clock,
    processes::{self, Found, Mark},
};

/// How long dying work may take before we answer that we do not know.
const PATIENCE: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(10);

/// How far the wall clock, which dates files, may have been set since.
const CLOCK_SLACK: Duration = Duration::from_secs(10);

/// Says of each directory what there is. A directory of which nothing is left to tell is removed.
pub(crate) async fn verdicts(attempts: Vec<(String, AttemptDir)>, boot_id: &str) -> Vec<Verdict> {
    let mut found = HashMap::new();
    let mut unproven = Vec::new();
    let until = clock::since_boot() + PATIENCE;
    for (tag, directory) in attempts {
        match settled(&directory, boot_id, until).await {
            Ok(State::Ended(_)) => drop(found.insert(tag, api::Found::Here)),
            Ok(State::OtherBoot) => {
                remove(&directory);
                found.insert(tag, api::Found::Gone);
            }
            Ok(State::Abandoned | State::Missing) => unproven.push((tag, directory)),
            Ok(State::Locked) => {
                let message = "its keeper is still at work".to_owned();
                found.insert(tag, api::Found::Unknown { message });
            }
            Err(error) => {
                let message = format!("its directory cannot be read: {error}");
                found.insert(tag, api::Found::Unknown { message });
            }
        }
    }
    for (tag, found_) in prove(unproven).await {
        found.insert(tag, found_);
    }
    found.into_iter().map(|(attempt_tag, found)| Verdict { attempt_tag, found }).collect()
}

/// The state of a directory, when whoever holds its lock has let go or `until` has passed.
async fn settled(directory: &AttemptDir, boot_id: &str, until: Duration) -> io::Result<State> {
    loop {
        match directory.state(boot_id)? {
            State::Locked if clock::since_boot() < until => tokio::time::sleep(PAUSE).await,
            state => return Ok(state),
        }
    }
}

async fn prove(attempts: Vec<(String, AttemptDir)>) -> Vec<(String, api::Found)> {
    if attempts.is_empty() {
        return Vec::new();
    }
    let marks = attempts.iter().map(|(tag, directory)| directory.mark(tag)).collect();
    let left = sweep(marks).await;
    attempts
        .into_iter()
        .map(|(tag, directory)| {
            let verdict = match left.stands_against(&tag, directory.path()) {
                Some(message) => api::Found::Unknown { message },
                None => {
                    remove(&directory);
                    api::Found::Gone
                }
            };
            (tag, verdict)
        })
        .collect()
}

/// What a sweep could not do away with.
#[derive(Debug, Default)]
pub(crate) struct Left {
    found: Found,
    error: Option<String>,
}

impl Left {
    /// What speaks against the attempt being gone.
    pub(crate) fn stands_against(&self, tag: &str, directory: &Path) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(format!("the machine's processes cannot be listed: {error}"));
        }
        if let Some(pids) = self.found.of.get(tag) {
            return Some(format!("processes of it do not die: {}", listed(pids)));
        }
        if let Some(pids) = self.found.near.get(tag) {
            let (path, pids) = (directory.display(), listed(pids));
            return Some(format!(
                "processes are at work in `{path}` and may be the job's: {pids} (hint: end them)"
            ));
        }
        // What began before the attempt was made is not of it.
        let closed_to_us = self.found.youngest_closed?;
        let made = made(directory)?;
        (closed_to_us + CLOCK_SLACK > made)
            .then(|| "a process of this user that began after it cannot be looked into".to_owned())
    }
}

fn listed(pids: &[Pid]) -> String {
    let pids: Vec<_> = pids.iter().map(|pid| pid.as_raw_nonzero().to_string()).collect();
    pids.join(", ")
}

/// Kills every process of these attempts, until there is none or patience is over.
pub(crate) async fn sweep(marks: Vec<Mark>) -> Left {
    let until = clock::since_boot() + PATIENCE;
    let marks = Arc::new(marks);
    loop {
        let marks = Arc::clone(&marks);
        // Reads several files of every process there is.
        let look = tokio::task::spawn_blocking(move || {
            let found = processes::look_for(&marks)?;
            for mark in &*marks {
                let pids = found.of.get(&mark.tag).into_iter().flatten();
                pids.for_each(|pid| processes::kill(*pid, mark));
            }
            Ok::<_, io::Error>(found)
        });
        let found = match look.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return Left { error: Some(error.to_string()), ..Left::default() },
            Err(error) => return Left { error: Some(error.to_string()), ..Left::default() },
        };
        if found.of.is_empty() || clock::since_boot() > until {
            return Left { found, error: None };
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// When the attempt was made, since the machine started, if its directory is still there.
fn made(directory: &Path) -> Option<Duration> {
    let file = fs::metadata(directory.join("exit")).or_else(|_| fs::metadata(directory)).ok()?;
    let age = file.modified().ok()?.elapsed().unwrap_or_default();
    Some(clock::since_boot().saturating_sub(age))
}

fn remove(directory: &AttemptDir) {
    if let Err(error) = directory.remove() {
        let path = directory.path().display();
        tracing::warn!(%error, "the directory `{path}` of an attempt that is gone cannot be removed");
    }
}
