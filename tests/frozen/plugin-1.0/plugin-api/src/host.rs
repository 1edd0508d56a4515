//! The host, as a plugin sees it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RStr},
};

use crate::{
    Error, Progress,
    abi::{Answer, HostApi, HostApi_TO, HostApiBox},
    wire,
};

/// A handle to the host. Cheap to clone; usable from any thread; never blocks.
///
/// Logging needs no handle: `tracing` and `log` events reach the host's log by themselves.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    executor: String,
    state_dir: Option<PathBuf>,
    config_dir: Option<PathBuf>,
    soft_limits: Option<wire::SoftLimits>,
    api: HostApiBox,
}

impl Host {
    pub(crate) fn new<C>(open: &wire::Open<C>, api: HostApiBox) -> Self {
        Self(Arc::new(Inner {
            executor: open.executor.clone(),
            state_dir: open.state_dir.clone(),
            config_dir: open.config_dir.clone(),
            soft_limits: open.soft_limits,
            api,
        }))
    }

    /// A host that listens to nothing, for unit tests of an executor.
    #[must_use]
    pub fn nowhere() -> Self {
        let open = wire::Open {
            executor: "nowhere".to_owned(),
            config: (),
            log_level: "off".to_owned(),
            state_dir: None,
            config_dir: None,
            soft_limits: None,
        };
        Self::new(&open, HostApi_TO::from_value(Nowhere, TD_Opaque))
    }

    /// The configured name of this executor.
    #[must_use]
    pub fn executor(&self) -> &str {
        &self.0.executor
    }

    /// A directory that is this executor's alone, kept over restarts. It may have to be made. Absent
    /// where the host has none to give.
    #[must_use]
    pub fn state_dir(&self) -> Option<&Path> {
        self.0.state_dir.as_deref()
    }

    /// What relative paths in the settings are relative to: where the configuration file is. Absent
    /// where there is no file.
    #[must_use]
    pub fn config_dir(&self) -> Option<&Path> {
        self.0.config_dir.as_deref()
    }

    /// The soft limits of the host itself, for processes that are started for jobs: this process may be
    /// allowed less. Absent where it is allowed the same.
    #[must_use]
    pub fn soft_limits(&self) -> Option<wire::SoftLimits> {
        self.0.soft_limits
    }

    /// Says how far the work of an attempt has got. Best effort: the host keeps the latest only, and
    /// drops what is about an attempt that it no longer runs.
    pub fn progress(&self, attempt_tag: &str, progress: &Progress) {
        let told = wire::Progress { attempt_tag: attempt_tag.to_owned(), progress };
        if let Ok(payload) = serde_json::to_string(&told) {
            // Progress is best effort, and a host may be older than this verb.
            let _ = self.0.api.tell(wire::tell::PROGRESS.into(), payload.as_str().into());
        }
    }

    pub(crate) fn log(&self, level: tracing::Level, target: &str, message: &str, fields: &str) {
        let level = match level {
            tracing::Level::ERROR => 1,
            tracing::Level::WARN => 2,
            tracing::Level::INFO => 3,
            tracing::Level::DEBUG => 4,
            tracing::Level::TRACE => 5,
        };
        self.0.api.log(level, target.into(), message.into(), fields.into());
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.0.executor)
    }
}

struct Nowhere;

impl HostApi for Nowhere {
    fn log(&self, _: u8, _: RStr<'_>, _: RStr<'_>, _: RStr<'_>) {}

    fn tell(&self, _: RStr<'_>, _: RStr<'_>) -> Answer {
        RResult::RErr(Error::unsupported("nobody listens").into())
    }
}
