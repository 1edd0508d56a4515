//! `[leases]`, `[recovery]` and `[shutdown]`: how long the host waits before it acts.

use std::time::Duration;

use crate::config::{
    kind::{Count, measure::Period},
    reader::Table,
};

/// `[leases]`.
#[derive(Clone, Debug)]
pub struct Leases {
    /// How long a running job belongs to a host that does not renew its lease. Defaults to 60 s, at
    /// least 1 s; renewed every third of it.
    pub job: Duration,
}

/// `[recovery]`.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Time between two sweeps. Defaults to 10 s.
    pub interval: Duration,
    /// How often a job may be started anew because what ran it died. Defaults to 3.
    pub max_recoveries: u32,
    /// After how long an unresolved job is failed. Defaults to 24 h.
    pub give_up_after: Duration,
    /// After how long a job that no live host offers to run is failed. Defaults to 1 h.
    pub orphan_after: Duration,
}

/// `[shutdown]`.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Time for running jobs to end after the first signal. Defaults to 30 s.
    pub grace: Duration,
}

impl Leases {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        table.later(&["scheduler"]);
        Self {
            job: table
                .key("job", Period::at_least(Duration::from_secs(1)))
                .means(
                    "How long a running job belongs to a host that has stopped renewing its lease; \
                     renewed every third of it. Longer: slower recovery. Shorter: a busy machine \
                     may lose its jobs.",
                )
                .or(Duration::from_secs(60)),
        }
    }
}

impl Recovery {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        table.later(&["fence_after", "owner_grace"]);
        Self {
            interval: table
                .key("interval", Period::POSITIVE)
                .means("Time between two sweeps for jobs whose host has died.")
                .or(Duration::from_secs(10)),
            max_recoveries: table
                .key("max_recoveries", Count { least: 0, most: 1000 })
                .means(
                    "How often a job may be started anew because what ran it died, before it is \
                     failed.",
                )
                .or(3),
            give_up_after: table
                .key("give_up_after", Period::POSITIVE)
                .means("After how long a job is failed whose fate cannot be found out.")
                .or(Duration::from_secs(24 * 3600)),
            orphan_after: table
                .key("orphan_after", Period::POSITIVE)
                .means("After how long a waiting job is failed that no live host offers to run.")
                .or(Duration::from_secs(3600)),
        }
    }
}

impl Shutdown {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        Self {
            grace: table
                .key("grace", Period::ANY)
                .means(
                    "Time for running jobs to end after the first signal to stop; keep it below \
                     what the service manager allows.",
                )
                .or(Duration::from_secs(30)),
        }
    }
}
