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
        crashes: 0,
        retry_count: 0,
        overdue: false,
        unwatched: Duration::ZERO,
    }
}

const ONE: Crashes = Crashes { all: 1, alone: 0 };

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
    assert_eq!(step, Step::Requeue { delay: Duration::ZERO, crashes: Crashes::NONE });
}

#[test]
fn what_its_surroundings_ended_runs_again_and_counts() {
    let step = plan(&row(State::NeedsRecovery, Work::Gone), None, &RULES);
    assert!(matches!(step, Step::Requeue { crashes: ONE, .. }), "{step:?}");
}

#[test]
fn only_crashes_that_it_had_alone_end_a_job() {
    let crashed =
        |recovery_count, solo_count| Unresolved { recovery_count, solo_count, ..unwatched() };
    for (total, solo, alone) in [(0, 0, 0), (1, 0, 0), (2, 0, 1), (3, 1, 1), (40, 2, 1)] {
        let step = plan(&crashed(total, solo), Some(&Found::Gone), &RULES);
        let Step::Requeue { crashes, .. } = step else { panic!("{total} {solo} {step:?}") };
        assert_eq!(crashes, Crashes { all: 1, alone }, "{total} {solo}");
    }
    let step = plan(&crashed(5, 3), Some(&Found::Gone), &RULES);
    assert!(matches!(step, Step::GiveUp { work: Work::Gone, .. }), "{step:?}");
}

#[test]
fn a_crash_that_its_watcher_saw_counts_once_whatever_is_found_of_the_work() {
    let seen = |recovery_count, crashes| Unresolved { recovery_count, crashes, ..unwatched() };
    for (before, crashes, counts) in [
        (0, 1, Crashes { all: 1, alone: 0 }),
        (0, 2, Crashes { all: 2, alone: 0 }),
        (0, 4, Crashes { all: 4, alone: 2 }),
        (1, 2, Crashes { all: 2, alone: 1 }),
        (2, 1, Crashes { all: 1, alone: 1 }),
    ] {
        let row = seen(before, crashes);
        let step = plan(&row, Some(&Found::Gone), &RULES);
        let Step::Requeue { crashes: counted, .. } = step else { panic!("{row:?} {step:?}") };
        assert_eq!(counted, counts, "{before} and then {crashes}");
        let alone = before + crashes >= ALONE_FROM;
        assert_eq!(plan(&row, Some(&Found::Here), &RULES), Step::Reattach { alone });
    }
}

#[test]
fn found_work_that_has_crashed_its_runner_too_often_alone_is_stopped() {
    for (recovery_count, solo_count, crashes, stopped) in
        [(0, 0, 5, false), (0, 0, 6, true), (2, 0, 3, false), (2, 0, 4, true), (4, 2, 2, true)]
    {
        let row = Unresolved { recovery_count, solo_count, crashes, ..unwatched() };
        let step = plan(&row, Some(&Found::Here), &RULES);
        assert_eq!(matches!(step, Step::StopSuspect { .. }), stopped, "{row:?} {step:?}");
    }
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

    /// A job that takes its runner with it at every attempt, whatever is found of it afterwards.
    #[test]
    fn a_poison_job_fails_after_two_crashes_in_company_and_one_more_than_allowed_alone(
        found in prop::collection::vec(left(), 64), max_recoveries in 0_u32..9,
    ) {
        let rules = Rules { max_recoveries, ..RULES };
        let mut poison = Life::default();
        let (mut shared, mut lone) = (0, 0);
        for left in found {
            if poison.failed {
                break;
            }
            // From its second crash on for good.
            prop_assert_eq!(poison.alone, shared == 2);
            if poison.alone { lone += 1 } else { shared += 1 }
            poison.crash(left, &rules);
        }
        prop_assert!(poison.failed);
        prop_assert_eq!((shared, lone), (2, max_recoveries + 1));
    }

    /// Neighbours come and go beside a poison job for as long as it has any.
    #[test]
    fn no_neighbour_is_failed_for_the_crashes_that_it_shared(
        found in prop::collection::vec(prop::collection::vec(left(), 9), 8), max_recoveries in 0_u32..9,
    ) {
        let rules = Rules { max_recoveries, ..RULES };
        let mut jobs: [Life; 9] = Default::default();
        for found in found {
            // The first is the poison: where it is not alone, everybody is there who need not be.
            let with = jobs[0].alone;
            for (n, (job, left)) in jobs.iter_mut().zip(found).enumerate() {
                if !job.failed && (n == 0 || !with && !job.alone) {
                    job.crash(left, &rules);
                }
            }
        }
        prop_assert!(jobs[1..].iter().all(|neighbour| !neighbour.failed), "{jobs:?}");
    }
}

/// What a crash leaves of a job.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// Its runner died, and the work goes on.
    Work,
    /// Its runner died, and nothing is there.
    Nothing,
    /// Its runner died; the work was there and ended because of that while it was watched again.
    Remains,
    /// Its host died, and nothing is there.
    NoHost,
}

fn left() -> impl Strategy<Value = Left> {
    prop::sample::select(vec![Left::Work, Left::Nothing, Left::Remains])
}

/// A job from one crash to the next, as the store keeps it.
#[derive(Debug, Default)]
struct Life {
    recovery_count: u32,
    solo_count: u32,
    crashes: u32,
    alone: bool,
    failed: bool,
}

impl Life {
    fn crash(&mut self, left: Left, rules: &Rules) {
        self.crashes += u32::from(!matches!(left, Left::NoHost));
        match left {
            Left::Work => self.found(&Found::Here, rules),
            Left::Nothing | Left::NoHost => self.found(&Found::Gone, rules),
            Left::Remains => {
                self.found(&Found::Here, rules);
                if !self.failed {
                    self.found(&Found::Gone, rules);
                }
            }
        }
    }

    fn found(&mut self, found: &Found, rules: &Rules) {
        let Self { recovery_count, solo_count, crashes, .. } = *self;
        let row = Unresolved { recovery_count, solo_count, crashes, ..unwatched() };
        match plan(&row, Some(found), rules) {
            Step::Reattach { alone } => self.alone = alone,
            Step::Requeue { crashes, .. } => {
                self.recovery_count += crashes.all;
                self.solo_count += crashes.alone;
                self.crashes = 0;
                self.alone = self.recovery_count >= ALONE_FROM;
            }
            Step::GiveUp { .. } | Step::StopSuspect { .. } => self.failed = true,
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn deaths_of_the_host_count_as_those_of_a_runner_that_leave_nothing() {
    let mut life = Life::default();
    for n in 1..=6 {
        assert!(!life.failed, "after {n} crashes");
        life.crash(if n % 2 == 0 { Left::Nothing } else { Left::NoHost }, &RULES);
    }
    assert!(life.failed, "{life:?}");
}
