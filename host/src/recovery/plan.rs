//! What to do about an attempt that nobody watches: a function from facts to a plan.

use std::time::Duration;

use longshore_plugin_api::Found;

use crate::{
    backoff::Backoff,
    job::{ALONE_FROM, Crashes},
    lifecycle::{State, Work},
    store::Unresolved,
};

/// What an operator decides about recovery.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many crashes that happened while it ran alone a job survives.
    pub max_recoveries: u32,
    /// After how long an unresolved job is failed.
    pub give_up_after: Duration,
}

/// Between two questions about the same row, and before a crashed job runs again.
const PATIENCE: Backoff =
    Backoff { base_delay: Duration::from_secs(1), max_delay: Duration::from_secs(60) };

/// Between two questions about an attempt that executors' processes have died of: others go first, and
/// the executor is kept empty for each.
const RESTRAINT: Backoff =
    Backoff { base_delay: Duration::from_secs(1), max_delay: Duration::from_secs(3600) };

/// What to write, or to do first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The work is there: watch it again.
    Reattach {
        /// With no neighbour on its executor.
        alone: bool,
    },
    /// Nothing of it runs: it may run again, after the delay.
    Requeue {
        /// How long it waits.
        delay: Duration,
        /// How often what ran it crashed under it.
        crashes: Crashes,
    },
    /// It must not run again.
    GiveUp {
        /// Why, for people.
        error: String,
        /// Whether its work is proven gone.
        work: Work,
    },
    /// The work is there and must not be watched again: stop it; the job has failed.
    StopSuspect {
        /// Why, for people.
        error: String,
    },
    /// Its time is over: stop the work; with proof it ends TIMEOUT.
    StopOverdue,
    /// The job has ended, its work has not: stop it; with proof the row is done.
    StopEnded,
    /// The job has ended, and so has its work.
    WorkGone,
    /// Nothing is known: ask again after the delay.
    AskAgain {
        /// How long.
        delay: Duration,
    },
}

/// `found` is what the executor says; `None` where it was not asked or did not answer.
#[must_use]
pub fn plan(row: &Unresolved, found: Option<&Found>, rules: &Rules) -> Step {
    if row.state.is_terminal() {
        return match found {
            _ if row.work != Work::Maybe => Step::WorkGone,
            Some(Found::Gone | Found::Failed { .. }) => Step::WorkGone,
            Some(Found::Here) => Step::StopEnded,
            Some(Found::Unknown { .. }) | None => ask_again(row),
        };
    }
    debug_assert_eq!(row.state, State::NeedsRecovery);
    let found = match row.work {
        // Claimed, never begun: its host died in between. Nothing crashed because of it.
        Work::None => {
            return Step::Requeue { delay: Duration::ZERO, crashes: Crashes::NONE };
        }
        // Its last watcher had the proof already.
        Work::Gone => Some(&Found::Gone),
        Work::Maybe => found,
    };
    match found {
        Some(Found::Gone | Found::Failed { .. } | Found::Here) if row.overdue => Step::StopOverdue,
        Some(Found::Here) => {
            let crashes = Crashes::of(row.recovery_count, row.crashes);
            match suspected(row, crashes, rules) {
                Some(error) => Step::StopSuspect { error },
                None => Step::Reattach { alone: row.recovery_count + row.crashes >= ALONE_FROM },
            }
        }
        Some(Found::Failed { message }) => {
            Step::GiveUp { error: message.clone(), work: Work::Gone }
        }
        Some(Found::Gone) => {
            // Gone without a trace: something has crashed. If its watcher saw a runner do that, then this is
            // what became of it, counted already. A host that died after that hides behind it: better one
            // too few than one too many.
            let crashes = Crashes::of(row.recovery_count, row.crashes.max(1));
            match suspected(row, crashes, rules) {
                Some(error) => Step::GiveUp { error, work: Work::Gone },
                None => Step::Requeue { delay: PATIENCE.delay(row.recovery_count, 0.0), crashes },
            }
        }
        Some(Found::Unknown { .. }) | None if row.unwatched >= rules.give_up_after => {
            Step::GiveUp {
                error: format!(
                    "nobody could tell for {:?} whether its work still runs; see `longshore jobs show {}`",
                    rules.give_up_after, row.id
                ),
                work: Work::Maybe,
            }
        }
        Some(Found::Unknown { .. }) | None => ask_again(row),
    }
}

/// Why the job must not run again, if it has crashed what ran it too often while it ran alone.
fn suspected(row: &Unresolved, crashes: Crashes, rules: &Rules) -> Option<String> {
    let alone = row.solo_count + crashes.alone;
    (alone > rules.max_recoveries).then(|| {
        let all = row.recovery_count + crashes.all;
        format!(
            "its host or runner crashed {all} times while it was running, {alone} of them while it ran alone"
        )
    })
}

/// The longer nobody knows, the more rarely it is asked.
fn ask_again(row: &Unresolved) -> Step {
    Step::AskAgain { delay: ask_again_in(row) }
}

/// How long to wait before the same question is worth asking.
pub(super) fn ask_again_in(row: &Unresolved) -> Duration {
    patience(row, PATIENCE.max_delay)
}

/// How long not to ask about an attempt after so many crashes.
pub(super) fn restraint(crashes: u32) -> Duration {
    RESTRAINT.delay(crashes, 0.0)
}

/// Why a job is failed without an answer, if to ask is what processes have died of, too often.
pub(super) fn given_up(row: &Unresolved, rules: &Rules) -> Option<String> {
    let crashes = Crashes::of(row.recovery_count, row.crashes);
    if row.state.is_terminal() { None } else { suspected(row, crashes, rules) }
}

/// How long to wait before the next look at a row, `at_most`.
pub(super) fn patience(row: &Unresolved, at_most: Duration) -> Duration {
    (row.unwatched / 4).clamp(PATIENCE.base_delay, at_most)
}

#[cfg(test)]
mod tests;
