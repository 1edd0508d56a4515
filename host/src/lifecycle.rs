//! The whole life of a job.
//!
//! ```text
//!             claim                 settle
//!   submit ─► PENDING ───────────► RUNNING ─────────► SUCCEEDED FAILED TIMEOUT CANCELED
//!               ▲  ▲                │  ▲  │ ▲ renew        ▲
//!               │  └─ release,retry ┘  │  └─┘              │
//!               │               mark │ │ reattach          │
//!               │                    ▼ │                   │
//!               └──── requeue,retry NEEDS_RECOVERY ────────┘ settle, give up
//!
//!   cancel: PENDING, RUNNING, NEEDS_RECOVERY ─► CANCELED      orphan: PENDING ─► FAILED
//! ```
//!
//! What is always true:
//!
//! - Every arrow is one guarded statement in `store/sql`, named like its event; a test compares the
//!   guard in its text with [`TRANSITIONS`], and `docs/lifecycle.md` is generated from it.
//! - Only the holder of the claim token moves an attempt. No rows matched is an answer: somebody
//!   else was first.
//! - The four ends never change again.
//! - Whether work may exist is told by [`Work`], never by the state: a canceled job whose process
//!   nobody has seen die is CANCELED and `maybe`.

use std::fmt;

/// Where a job stands.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// Waiting for its due time and a free slot. The worker's claim moves it on.
    Pending,
    /// Claimed by a replica that renews its lease. That replica moves it on; an expired lease lets
    /// the recovery sweep mark it.
    Running,
    /// Nobody watches the attempt, and its work may still run. Recovery moves it on, with proof.
    NeedsRecovery,
    /// The job returned a result.
    Succeeded,
    /// The job failed, for good.
    Failed,
    /// The deadline ended it.
    Timeout,
    /// Somebody asked for its end.
    Canceled,
}

use State::{Canceled, Failed, NeedsRecovery, Pending, Running, Succeeded, Timeout};

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] =
        [Pending, Running, NeedsRecovery, Succeeded, Failed, Timeout, Canceled];
    /// The states that nothing leaves.
    pub const TERMINAL: [Self; 4] = [Succeeded, Failed, Timeout, Canceled];

    /// The word in SQL, API and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Pending => "PENDING",
            Running => "RUNNING",
            NeedsRecovery => "NEEDS_RECOVERY",
            Succeeded => "SUCCEEDED",
            Failed => "FAILED",
            Timeout => "TIMEOUT",
            Canceled => "CANCELED",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing leaves this state.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Succeeded | Failed | Timeout | Canceled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether backend work of the current attempt may exist. Independent of the state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Work {
    /// `submit` was not called.
    None,
    /// Committed before `submit` is called: work may exist.
    Maybe,
    /// The executor (or an operator) has shown that nothing of it runs any more.
    Gone,
}

impl Work {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::None, Self::Maybe, Self::Gone];

    /// The word in SQL, API and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Maybe => "maybe",
            Self::Gone => "gone",
        }
    }

    /// The value of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.as_str() == word)
    }
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Event {
    /// A client hands it in; everything was validated before.
    Submit,
    /// A replica takes it: new claim token and attempt tag, attempt + 1, a lease.
    Claim,
    /// Its replica still watches it.
    Renew,
    /// Its replica gives it back unstarted, or started and proven gone at a shutdown. Neither a
    /// retry nor a recovery.
    Release,
    /// A transient failure with budget left; due again after its back-off.
    Retry,
    /// Its end is recorded by whoever holds the claim token.
    Settle,
    /// A client or a rule ends it at once; the executor is told afterwards.
    Cancel,
    /// Nobody watches it any more: the lease has expired, it is overdue, or its watcher let go.
    Mark,
    /// Recovery found its work, and a replica watches it again: new claim token, same attempt tag.
    Reattach,
    /// Recovery has proof that nothing of it runs.
    Requeue,
    /// Recovery ends it: the executor says so, recoveries are exhausted, or it stayed unresolved.
    GiveUp,
    /// No live replica has offered its type or executor for too long.
    Orphan,
}

impl Event {
    /// Every event, in the order of a life.
    pub const ALL: [Self; 12] = [
        Self::Submit,
        Self::Claim,
        Self::Renew,
        Self::Release,
        Self::Retry,
        Self::Settle,
        Self::Cancel,
        Self::Mark,
        Self::Reattach,
        Self::Requeue,
        Self::GiveUp,
        Self::Orphan,
    ];

    /// The word in statement names (`job_give_up`), spans and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Release => "release",
            Self::Retry => "retry",
            Self::Settle => "settle",
            Self::Cancel => "cancel",
            Self::Mark => "mark",
            Self::Reattach => "reattach",
            Self::Requeue => "requeue",
            Self::GiveUp => "give_up",
            Self::Orphan => "orphan",
        }
    }
}

/// One row of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// What happens.
    pub event: Event,
    /// Where a job may stand for it to happen; empty where there is no job yet.
    pub from: &'static [State],
    /// Where it stands then.
    pub to: &'static [State],
    /// Who must be the one to say so, and what else must hold.
    pub condition: &'static str,
}

const UNFINISHED: &[State] = &[Pending, Running, NeedsRecovery];
const ATTEMPTED: &[State] = &[Running, NeedsRecovery];

/// The whole machine, one row per event.
pub const TRANSITIONS: &[Transition] = &[
    row(
        Event::Submit,
        &[],
        &[Pending],
        "everything validated; a rejected submission leaves no row",
    ),
    row(Event::Claim, &[Pending], &[Running], "due, a free slot, the executor is ready here"),
    row(Event::Renew, &[Running], &[Running], "claim token"),
    row(Event::Release, &[Running], &[Pending], "claim token; work none or gone"),
    row(Event::Retry, ATTEMPTED, &[Pending], "claim token; transient, budget left, work gone"),
    row(
        Event::Settle,
        ATTEMPTED,
        &State::TERMINAL,
        "claim token; no stored report but the one it settles",
    ),
    row(Event::Cancel, UNFINISHED, &[Canceled], "anybody who may; with a reason"),
    row(Event::Mark, &[Running], &[NeedsRecovery], "claim token, or lease expired, or overdue"),
    row(
        Event::Reattach,
        &[NeedsRecovery],
        &[Running],
        "claim token as it was when the executor was asked",
    ),
    row(
        Event::Requeue,
        &[NeedsRecovery],
        &[Pending],
        "likewise; work gone; counts against max_recoveries",
    ),
    row(Event::GiveUp, &[NeedsRecovery], &[Failed], "likewise"),
    row(
        Event::Orphan,
        &[Pending],
        &[Failed],
        "nobody has offered its type or executor for orphan_after",
    ),
];

const fn row(
    event: Event,
    from: &'static [State],
    to: &'static [State],
    condition: &'static str,
) -> Transition {
    Transition { event, from, to, condition }
}

/// The row of that event.
#[must_use]
pub fn transition(event: Event) -> &'static Transition {
    TRANSITIONS.iter().find(|row| row.event == event).expect("every event has a row: see the tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_exactly_one_row() {
        for event in Event::ALL {
            assert_eq!(TRANSITIONS.iter().filter(|row| row.event == event).count(), 1, "{event:?}");
        }
        assert_eq!(TRANSITIONS.len(), Event::ALL.len());
    }

    #[test]
    fn every_state_is_reached_and_only_the_ends_are_ends() {
        for state in State::ALL {
            assert!(
                TRANSITIONS.iter().any(|row| row.to.contains(&state)),
                "{state} is never reached"
            );
            let left = TRANSITIONS.iter().any(|row| row.from.contains(&state));
            assert_eq!(left, !state.is_terminal(), "{state}");
        }
    }

    #[test]
    fn words_and_values_agree() {
        for state in State::ALL {
            assert_eq!(State::from_word(state.as_str()), Some(state));
            assert_eq!(State::TERMINAL.contains(&state), state.is_terminal());
        }
        for work in Work::ALL {
            assert_eq!(Work::from_word(work.as_str()), Some(work));
        }
    }
}
