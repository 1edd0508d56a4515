//! What to do about an attempt that nobody watches: a function from facts to a plan.

use std::time::Duration;

use longshore_plugin_api::Found;

use crate::{
    backoff::Backoff,
    job::ALONE_FROM,
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

/// What to write, or to do first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The work is there: watch it again.
    Reattach,
    /// Nothing of it runs: it may run again, after the delay. `crash` counts it.
    Requeue {
        /// How long it waits.
        delay: Duration,
        /// Whether it was running.
        crash: bool,
    },
    /// It must not run again.
    GiveUp {
        /// Why, for people.
        error: String,
        /// Whether its work is proven gone.
        work: Work,
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
        Work::None => return Step::Requeue { delay: Duration::ZERO, crash: false },
        // Its last watcher had the proof already.
        Work::Gone => Some(&Found::Gone),
        Work::Maybe => found,
    };
    match found {
        Some(Found::Gone | Found::Failed { .. } | Found::Here) if row.overdue => Step::StopOverdue,
        Some(Found::Here) => Step::Reattach,
        Some(Found::Failed { message }) => {
            Step::GiveUp { error: message.clone(), work: Work::Gone }
        }
        Some(Found::Gone)
            if row.recovery_count >= ALONE_FROM && row.solo_count >= rules.max_recoveries =>
        {
            Step::GiveUp {
                error: format!(
                    "its host or runner crashed {} times while it was running, {} of them while it ran alone",
                    row.recovery_count + 1,
                    row.solo_count + 1
                ),
                work: Work::Gone,
            }
        }
        Some(Found::Gone) => {
            Step::Requeue { delay: PATIENCE.delay(row.recovery_count, 0.0), crash: true }
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

/// The longer nobody knows, the more rarely it is asked.
fn ask_again(row: &Unresolved) -> Step {
    let delay = (row.unwatched / 4).clamp(PATIENCE.base_delay, PATIENCE.max_delay);
    Step::AskAgain { delay }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::job::{AttemptTag, ClaimToken, JobId};

    const RULES: Rules = Rules { max_recoveries: 3, give_up_after: Duration::from_secs(3600) };

    fn row(state: State, work: Work) -> Unresolved {
        Unresolved {
            id: JobId::new(),
            job_type: "score".to_owned(),
            executor: "local".to_owned(),
            state,
            work,
            token: ClaimToken::draw(),
            tag: AttemptTag(Uuid::new_v4()),
            locality: Some("here".to_owned()),
            handle: None,
            report: None,
            recovery_count: 0,
            solo_count: 0,
            retry_count: 0,
            overdue: false,
            unwatched: Duration::ZERO,
        }
    }

    fn unwatched() -> Unresolved {
        row(State::NeedsRecovery, Work::Maybe)
    }

    fn unknown() -> Found {
        Found::Unknown { message: "the daemon is down".to_owned() }
    }

    #[test]
    fn without_proof_nothing_runs_again() {
        for found in [None, Some(unknown())] {
            assert!(matches!(plan(&unwatched(), found.as_ref(), &RULES), Step::AskAgain { .. }));
            let long = Unresolved { unwatched: RULES.give_up_after, ..unwatched() };
            let step = plan(&long, found.as_ref(), &RULES);
            assert!(matches!(step, Step::GiveUp { work: Work::Maybe, .. }), "{step:?}");
        }
    }

    #[test]
    fn an_overdue_attempt_is_stopped_and_never_reattached() {
        let overdue = Unresolved { overdue: true, ..unwatched() };
        for found in [Found::Here, Found::Gone] {
            assert_eq!(plan(&overdue, Some(&found), &RULES), Step::StopOverdue);
        }
    }

    #[test]
    fn what_was_never_begun_goes_back_without_counting() {
        let step = plan(&row(State::NeedsRecovery, Work::None), None, &RULES);
        assert_eq!(step, Step::Requeue { delay: Duration::ZERO, crash: false });
    }

    #[test]
    fn what_its_surroundings_ended_runs_again_and_counts() {
        let step = plan(&row(State::NeedsRecovery, Work::Gone), None, &RULES);
        assert!(matches!(step, Step::Requeue { crash: true, .. }), "{step:?}");
    }

    #[test]
    fn only_crashes_that_it_had_alone_end_a_job() {
        let crashed =
            |recovery_count, solo_count| Unresolved { recovery_count, solo_count, ..unwatched() };
        for (total, solo) in [(0, 0), (1, 0), (2, 0), (3, 1), (40, 2)] {
            let step = plan(&crashed(total, solo), Some(&Found::Gone), &RULES);
            assert!(matches!(step, Step::Requeue { crash: true, .. }), "{total} {solo} {step:?}");
        }
        let step = plan(&crashed(5, 3), Some(&Found::Gone), &RULES);
        assert!(matches!(step, Step::GiveUp { work: Work::Gone, .. }), "{step:?}");
    }

    #[test]
    fn a_canceled_job_is_swept_until_its_work_is_gone() {
        let canceled = row(State::Canceled, Work::Maybe);
        assert_eq!(plan(&canceled, Some(&Found::Here), &RULES), Step::StopEnded);
        assert_eq!(plan(&canceled, Some(&Found::Gone), &RULES), Step::WorkGone);
        assert!(matches!(plan(&canceled, Some(&unknown()), &RULES), Step::AskAgain { .. }));
        assert!(matches!(plan(&canceled, None, &RULES), Step::AskAgain { .. }));
    }

    proptest! {
        #[test]
        fn work_that_may_run_is_never_requeued_without_the_executors_word(
            overdue: bool, recovery_count in 0_u32..9, solo_count in 0_u32..9, seconds in 0_u64..1 << 20, asked: bool,
        ) {
            let row = Unresolved {
                overdue, recovery_count, solo_count, unwatched: Duration::from_secs(seconds), ..unwatched()
            };
            let found = asked.then(unknown);
            let step = plan(&row, found.as_ref(), &RULES);
            let kept = matches!(step, Step::AskAgain { .. } | Step::GiveUp { work: Work::Maybe, .. });
            prop_assert!(kept, "{step:?}");
        }
    }
}
