//! Plugins in processes of their own.
//!
//! ```text
//!  host                                    runner: `longshore __runner`, in a process group of its own
//!  Live ─ call ─► Channel ═══ socket ═══► Channel ─► child::calls ─► the plugin's executor
//!   ├─ Intake ◄── log, progress ◄── credit ──── child::outbox ◄── HostApi, on the plugin's threads
//!   ├─ Drain  ◄══ pipe ══ stdout, stderr
//!   └─ pidfd  ══► Death: the whole group is killed, the process reaped, every call answered
//! ```
//!
//! What always holds: nothing that a runner does (a crash, an exit, a flood, a frame that makes no
//! sense, silence) blocks or ends the host; nothing of its group runs once its death is known; and
//! a runner whose host is gone ends.

mod channel;
mod child;
mod death;
mod drain;
mod environment;
mod frame;
mod intake;
mod live;
mod message;
mod meter;
mod payload;
mod pending;
mod place;
mod spawn;
#[cfg(test)]
mod tests;
mod watched;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use longshore_plugin_api::Error;

pub(crate) use self::child::child;
pub(super) use self::{
    child::inherited as soft_limits,
    death::{Death, Why},
    environment::environment,
    live::Live,
    place::sweep,
};
use super::verdicts::Probed;
use crate::config::RunnerLimits;

/// The hidden command: `longshore __runner`.
pub(crate) const COMMAND: &str = "__runner";

/// How many events a runner sends before the host has taken the first.
const MAX_UNTAKEN: usize = 64;

/// The program that is started as a runner: the host's own binary, so that both ends are one build.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// This process's own file, also when an upgrade has put another one in its place.
    #[must_use]
    pub fn own() -> Self {
        Self::at("/proc/self/exe")
    }

    /// The `longshore` at that path, for a host inside another program.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

/// What a runner says by itself. Called by whoever watches it: must not block.
pub(super) trait Heard: Send + Sync {
    /// A log record, as of [`HostApi::log`](longshore_plugin_api::abi::HostApi::log).
    fn log(&self, level: u8, target: &str, message: &str, fields: &str);
    /// As of [`HostApi::tell`](longshore_plugin_api::abi::HostApi::tell).
    fn tell(&self, verb: &str, payload: &str) -> Result<(), Error>;
    /// A line of its standard output or error; `severe` where it tells of a crash.
    fn output(&self, line: &str, severe: bool);
}

/// What a runner is started with.
pub(super) struct Order<'a> {
    /// Whose it is, for people who list processes.
    pub(super) executor: &'a str,
    /// The private copy that it loads.
    pub(super) copy: &'a Path,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) limits: RunnerLimits,
    /// Its working and temporary directory: made empty, and removed after its death.
    pub(super) run_dir: PathBuf,
}
