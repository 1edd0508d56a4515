//! What to do with the way an attempt ended: a function from facts to a plan.

use std::time::Duration;

use longshore_plugin_api::Ending;

use super::result;
use crate::{
    backoff::Backoff,
    job::{CancelReason, Outcome},
};

/// What is known when an attempt has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// How many retries came before this attempt.
    pub(super) retry_count: u32,
    /// How many the type allows.
    pub(super) max_retries: u32,
    /// How long the next one would wait.
    pub(super) backoff: Backoff,
    /// A number from 0 to 1.
    pub(super) jitter: f64,
    /// A result larger than this, in bytes, is a failure.
    pub(super) max_result: usize,
}

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Record the end.
    Settle(Outcome),
    /// Try again after the delay.
    Retry(Duration),
    /// Hand over to recovery with the proof that the work is gone: its surroundings ended it.
    Interrupted,
}

/// Only a transient failure retries, and only while there is budget.
#[must_use]
pub(super) fn decide(ending: Ending, facts: &Facts) -> Step {
    match ending {
        Ending::Succeeded { result } => Step::Settle(result::outcome(&result, facts.max_result)),
        Ending::Failed { transient: true, .. } if facts.retry_count < facts.max_retries => {
            Step::Retry(facts.backoff.delay(facts.retry_count + 1, facts.jitter))
        }
        Ending::Failed { message, .. } => Step::Settle(Outcome::Failed { error: message }),
        Ending::Timeout { message } => Step::Settle(Outcome::Timeout { error: message }),
        Ending::Canceled { message } => {
            Step::Settle(Outcome::Canceled { reason: CancelReason::StoppedByExecutor { message } })
        }
        Ending::Interrupted { .. } => Step::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn facts(retry_count: u32, max_retries: u32) -> Facts {
        let backoff =
            Backoff { base_delay: Duration::from_secs(1), max_delay: Duration::from_secs(60) };
        Facts { retry_count, max_retries, backoff, jitter: 0.0, max_result: 8 }
    }

    fn failed(transient: bool) -> Ending {
        Ending::Failed { message: "no".to_owned(), transient }
    }

    #[test]
    fn three_retries_are_four_attempts() {
        let steps: Vec<Step> = (0..4).map(|n| decide(failed(true), &facts(n, 3))).collect();
        let wait = |seconds| Step::Retry(Duration::from_secs(seconds));
        let end = Step::Settle(Outcome::Failed { error: "no".to_owned() });
        assert_eq!(steps, [wait(1), wait(2), wait(4), end]);
    }

    #[test]
    fn only_a_transient_failure_retries() {
        let message = || "x".to_owned();
        let endings = [
            failed(false),
            Ending::Timeout { message: message() },
            Ending::Canceled { message: message() },
            Ending::Succeeded { result: RawValue::from_string("1".to_owned()).unwrap() },
        ];
        for ending in endings {
            assert!(matches!(decide(ending, &facts(0, 3)), Step::Settle(_)));
        }
        assert_eq!(
            decide(Ending::Interrupted { message: message() }, &facts(0, 3)),
            Step::Interrupted
        );
    }

    #[test]
    fn a_result_over_the_limit_is_a_failure_that_says_so() {
        let result = RawValue::from_string("\"123456789\"".to_owned()).unwrap();
        let Step::Settle(Outcome::Failed { error }) =
            decide(Ending::Succeeded { result }, &facts(0, 3))
        else {
            panic!("not a failure")
        };
        assert!(error.contains("11 bytes"), "{error}");
    }
}
