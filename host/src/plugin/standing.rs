//! How an executor stands: the one truth for the list of plugins, the claim loop and recovery.

use serde::Serialize;

use crate::clock::Moment;

/// How a configured executor stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// No file in the plugin directory is its plugin.
    Absent,
    /// It is being loaded, opened and started.
    Starting,
    /// It takes jobs.
    Ready,
    /// It does not answer. In a process of its own it is about to be killed.
    Hung,
    /// Its process has died and is started again.
    Restarting {
        /// When.
        #[serde(skip)]
        at: Moment,
    },
    /// Its process has died too often; it waits for a person, or for another file.
    Quarantined,
    /// It cannot be used as it is.
    Failed {
        /// When that is tried again, if it may pass by itself.
        #[serde(skip)]
        again: Option<Moment>,
    },
    /// A newer version has taken its place; it ends the jobs that it has.
    Draining,
    /// It has ended.
    Stopped,
}

impl Standing {
    /// Whether jobs may be sent to it.
    #[must_use]
    pub const fn takes_jobs(self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Whether it can be asked about jobs that it has.
    #[must_use]
    pub const fn answers(self) -> bool {
        matches!(self, Self::Ready | Self::Draining)
    }

    /// Whether this host offers it: it runs, or will again. What is quarantined is not absent.
    #[must_use]
    pub const fn is_offered(self) -> bool {
        !matches!(self, Self::Absent | Self::Failed { .. } | Self::Stopped)
    }
}
