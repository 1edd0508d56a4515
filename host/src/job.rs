//! The words that everybody shares: ids, tokens, what is submitted, claimed, ended and shown.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lifecycle::{State, Work};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// One job. Ordered by creation (UUIDv7), made by the host.
    JobId
}
id! {
    /// What every write of an attempt presents. Drawn at each claim and each reattach; never leaves
    /// the host and its database.
    ClaimToken
}
id! {
    /// Names an attempt outside the host: containers, files, the lock's acquisition. Kept over
    /// reattach; the job may know it.
    AttemptTag
}
id! {
    /// One host process's seat; kept in its state directory over restarts.
    ReplicaId
}

impl JobId {
    /// A new id, later in order than every id made before it by this process.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for JobId {
    fn default() -> Self {
        Self::new()
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl ClaimToken {
    /// A new one: 128 random bits.
    #[must_use]
    pub fn draw() -> Self {
        Self(random())
    }
}

impl AttemptTag {
    /// A new one: 128 random bits.
    #[must_use]
    pub fn draw() -> Self {
        Self(random())
    }
}

/// A UUID of version 4 has six bits that are always the same.
fn random() -> Uuid {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    Uuid::from_bytes(bytes)
}

impl fmt::LowerHex for AttemptTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(self.0.as_simple(), f)
    }
}

/// From its second crash on a job runs alone, so that it takes no neighbour with it. `job_claim` and
/// the index `job_alone` say the same number.
pub const ALONE_FROM: u32 = 2;

/// The crashes of one attempt as they count: at how many the job was running, and at how many of them
/// it was running alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Crashes {
    /// All of them.
    pub all: u32,
    /// Those that nobody else can have caused.
    pub alone: u32,
}

impl Crashes {
    /// No crash.
    pub const NONE: Self = Self { all: 0, alone: 0 };

    /// `now` crashes, one after another, of a job that was there at `before` others in its earlier
    /// attempts.
    #[must_use]
    pub const fn of(before: u32, now: u32) -> Self {
        Self { all: now, alone: now.saturating_sub(ALONE_FROM.saturating_sub(before)) }
    }
}

/// A submission after everything was checked and decided.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The configured name of what runs.
    pub job_type: String,
    /// Its tenant.
    pub workspace: String,
    /// Who submitted it.
    pub creator: String,
    /// Where it was routed; never changed afterwards.
    pub executor: String,
    /// 1 is first, 4 is last.
    pub priority: u8,
    /// Not to be claimed before; microseconds UTC. Now, by the database's clock, if not given.
    pub due_at: Option<i64>,
    /// The effective timeout, resolved once.
    pub timeout: Duration,
    /// The parameters: a JSON object as text.
    pub params: String,
    /// The exclusivity key, if the type is exclusive.
    pub lock_key: Option<[u8; 32]>,
    /// The client's own key: a second submission with it answers with the first job.
    pub idempotency_key: Option<String>,
}

/// A claimed job, with the right to move it.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: JobId,
    /// The right.
    pub token: ClaimToken,
    /// The attempt's name.
    pub tag: AttemptTag,
    /// The configured name of what runs.
    pub job_type: String,
    /// Its tenant.
    pub workspace: String,
    /// Where it runs.
    pub executor: String,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// How many retries came before.
    pub retry_count: u32,
    /// How many times it was running when its host or runner crashed.
    pub recovery_count: u32,
    /// The effective timeout.
    pub timeout: Duration,
    /// The parameters: a JSON object as text.
    pub params: String,
    /// The exclusivity key, if the type is exclusive.
    pub lock_key: Option<Vec<u8>>,
}

/// How a job ends; exactly the columns that belong together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It returned a result: any JSON value as text.
    Succeeded {
        /// The result.
        result: String,
    },
    /// It failed for good.
    Failed {
        /// Why, for people.
        error: String,
    },
    /// The deadline ended it.
    Timeout {
        /// Why, for people.
        error: String,
    },
    /// The executor says that somebody stopped it.
    Canceled {
        /// Why.
        reason: CancelReason,
    },
}

impl Outcome {
    /// The state that this outcome leads to.
    #[must_use]
    pub const fn state(&self) -> State {
        match self {
            Self::Succeeded { .. } => State::Succeeded,
            Self::Failed { .. } => State::Failed,
            Self::Timeout { .. } => State::Timeout,
            Self::Canceled { .. } => State::Canceled,
        }
    }
}

/// Why a job was canceled, for programs and people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum CancelReason {
    /// Somebody asked for it.
    Requested {
        /// Who.
        by: String,
    },
    /// Another job of the same exclusivity key was there first.
    ExclusiveConflict {
        /// The holder.
        holder: Option<JobId>,
    },
    /// The executor stopped it by itself.
    StoppedByExecutor {
        /// What the executor says.
        message: String,
    },
}

/// A job as it is shown.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The configured name of what runs.
    pub job_type: String,
    /// Its tenant.
    pub workspace: String,
    /// Who submitted it.
    pub creator: String,
    /// Where it was routed.
    pub executor: String,
    /// 1 is first, 4 is last.
    pub priority: u8,
    /// Not to be claimed before; microseconds UTC.
    pub due_at: i64,
    /// The effective timeout.
    pub timeout: Duration,
    /// Where it stands.
    pub state: State,
    /// Whether backend work may exist.
    pub work: Work,
    /// How many attempts were made.
    pub attempt: u32,
    /// How many of them were retries.
    pub retry_count: u32,
    /// How many times it was running when its host or runner crashed.
    pub recovery_count: u32,
    /// Microseconds UTC.
    pub created_at: i64,
    /// Microseconds UTC.
    pub updated_at: i64,
    /// When the current attempt was claimed; microseconds UTC.
    pub started_at: Option<i64>,
    /// Microseconds UTC.
    pub finished_at: Option<i64>,
    /// JSON as text.
    pub result: Option<String>,
    /// For people.
    pub error_message: Option<String>,
    /// JSON as text: a [`CancelReason`].
    pub cancel_reason: Option<String>,
    /// What is going on.
    pub status_message: Option<String>,
    /// JSON as text: phase, completed, total, unit.
    pub progress: Option<String>,
    /// Microseconds UTC.
    pub progress_updated_at: Option<i64>,
    /// The current or last claim.
    pub token: Option<ClaimToken>,
    /// The current or last attempt.
    pub tag: Option<AttemptTag>,
    /// What the executor finds it by: JSON as text.
    pub handle: Option<String>,
    /// A JSON object as text.
    pub params: String,
}

/// Whether a write of an attempt still counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a lost claim means that somebody else moves the job now"]
pub enum Fenced {
    /// The claim token was the row's: written.
    Held,
    /// Somebody else has moved the job: nothing was written.
    Lost,
}
