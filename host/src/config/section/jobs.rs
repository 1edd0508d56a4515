//! `[defaults]` and `[jobs.NAME]`: what can be run, and how.
//!
//! ```text
//!  [jobs.NAME] ──┐
//!                ├─ over ─► JobTable ─ complete ─► JobType
//!  @job ─────────┘                        ▲
//!                        [defaults], routing.default_executor
//! ```
//!
//! A table may say little: what it leaves out comes from the decorator of the same name, and what
//! neither says from `[defaults]`. Both steps are pure.

mod complete;
mod table;

use std::time::Duration;

use longshore_plugin_api::{PythonEnvironment, Resources, Run};
use serde_json::Value as Json;

pub(in crate::config) use self::table::JobTable;
use crate::config::{
    effective::Origin,
    kind::{Count, measure::Period},
    reader::Table,
};

/// What can be run: `[jobs.NAME]`, a decorated Python function, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct JobType {
    /// What submissions call it.
    pub name: String,
    /// What runs.
    pub run: Run,
    /// The executor that runs it.
    pub executor: String,
    /// How many may run at a time in one host. Defaults to 4.
    pub max_workers: u32,
    /// How many may run at a time in all hosts together; absent means no such limit.
    pub max_running: Option<u32>,
    /// How long an attempt may take, set-up included. Defaults to 1 h.
    pub timeout: Duration,
    /// Which jobs start first. Defaults to 2.
    pub priority: Priority,
    /// Which jobs of this type exclude each other; absent means none.
    pub exclusive: Option<Exclusive>,
    /// What becomes of a job that finds its lock held on its first attempt.
    pub on_conflict: OnConflict,
    /// After how long a job that was sent back by a held lock tries again. Defaults to 5 s.
    pub conflict_delay: Duration,
    /// Full names of the exception classes that make a failure transient.
    pub transient_errors: Vec<String>,
    /// What happens after a transient failure.
    pub retry: Retry,
    /// The Python environment of a function, if it needs one.
    pub python: Option<PythonEnvironment>,
    /// Requests and limits, if there are any.
    pub resources: Option<Resources>,
    /// Parameters that a submission must give.
    pub required_params: Vec<String>,
    /// Every parameter that a submission may give; absent means that any is accepted.
    pub accepted_params: Option<Vec<String>>,
    /// How long the work may take to stop after it is asked to. Defaults to 10 s.
    pub stop_grace: Duration,
    /// Settings for the executor's plugin: a JSON object.
    pub options: Option<Json>,
    /// What it is for, for people.
    pub description: Option<String>,
    /// Where `run` comes from; never [`Origin::Default`].
    pub origin: Origin,
}

/// Which jobs start first: 1 before 2, up to 4.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Priority(u8);

/// What makes two jobs of a type exclude each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exclusive {
    /// All parameters are the same.
    AllParams,
    /// These parameters are the same. Never empty.
    Params(Vec<String>),
}

/// What becomes of a job that finds its lock held on its first attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnConflict {
    /// It is canceled, with the holder's id.
    Cancel,
    /// It goes back to the queue for `conflict_delay`.
    Requeue,
}

/// What happens after a transient failure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retry {
    /// How many more attempts there are after the first. Defaults to 3.
    pub max_retries: u32,
    /// The wait before the first of them; doubled for each one after it. Defaults to 1 s.
    pub base_delay: Duration,
    /// The longest wait. Defaults to 60 s.
    pub max_delay: Duration,
}

/// `[defaults]`: what job types get that say nothing else.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// See [`JobType::timeout`].
    pub timeout: Duration,
    /// See [`JobType::max_workers`].
    pub max_workers: u32,
    /// See [`JobType::retry`].
    pub retry: Retry,
}

impl Priority {
    /// The first to start.
    pub const FIRST: Self = Self(1);
    /// What a job has that asks for nothing else.
    pub const DEFAULT: Self = Self(2);
    /// The last to start.
    pub const LAST: Self = Self(4);

    /// The priority of that number, from 1 to 4.
    pub fn new(number: u8) -> Option<Self> {
        (Self::FIRST.0..=Self::LAST.0).contains(&number).then_some(Self(number))
    }

    /// Its number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// At least one, and few enough to be counted in one statement.
pub(in crate::config) const WORKERS: Count = Count { least: 1, most: 10_000 };
const RETRIES: Count = Count { least: 0, most: 1000 };

const MAX_WORKERS: &str = "How many jobs of the type run at a time in one host.";
const TIMEOUT: &str = "How long an attempt may take, set-up included; the work is then stopped and \
                       the job ends as TIMEOUT.";
const RETRY: &str = "What happens after a transient failure; other failures are not retried.";
const MAX_RETRIES: &str = "How many more attempts there are after the first.";
const BASE_DELAY: &str = "The wait before the first of them; doubled for each one after it, with \
                          jitter.";
const MAX_DELAY: &str = "The longest wait.";

impl Defaults {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        Self {
            timeout: table
                .key("timeout", Period::POSITIVE)
                .means(TIMEOUT)
                .or(Duration::from_secs(3600)),
            max_workers: table.key("max_workers", WORKERS).means(MAX_WORKERS).or(4),
            retry: table.section("retry", RETRY, |table| {
                let retry = Retry {
                    max_retries: table.key("max_retries", RETRIES).means(MAX_RETRIES).or(3),
                    base_delay: table
                        .key("base_delay", Period::ANY)
                        .means(BASE_DELAY)
                        .or(Duration::from_secs(1)),
                    max_delay: table
                        .key("max_delay", Period::ANY)
                        .means(MAX_DELAY)
                        .or(Duration::from_secs(60)),
                };
                if let Some(conflict) = retry.conflict() {
                    table.conflict(None, conflict);
                }
                retry
            }),
        }
    }
}

impl Retry {
    fn conflict(&self) -> Option<String> {
        use crate::config::period::show;
        (self.base_delay > self.max_delay).then(|| {
            let (base, max) = (show(self.base_delay), show(self.max_delay));
            format!("expected `base_delay` to be at most `max_delay`, got \"{base}\" and \"{max}\"")
        })
    }
}
