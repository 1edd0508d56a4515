//! Level 2: what [`Executor`](crate::Executor) promises, method by method.

mod jobs;
mod opening;
mod recovery;
mod stopping;
mod traces;

pub(super) use self::{jobs::succeeded, opening::honest, recovery::running};
use super::{Body, Printing, Test};

const fn code(
    name: &'static str,
    promise: &'static str,
    body: fn(&super::Bench) -> super::Tried,
) -> Test {
    Test::new(name, 2, promise, Body::Code(body))
}

pub(super) const TESTS: &[Test] = &[
    code("starts", "it opens, finds what it needs and starts", opening::starts),
    code("opens_and_closes_100_times", "closing gives everything back", opening::closes),
    code("two_live_side_by_side", "two executors do not meet", opening::two),
    code("bad_config_names_its_pointer", "a wrong setting is named", opening::bad_config),
    code("facts_are_stable", "what it is does not change", opening::facts),
    code("unknown_verb_is_unsupported", "a newer host is answered", opening::unknown_verb),
    code("errors_have_plugin_kinds", "only a host says what a host says", opening::kinds),
    code("health_is_quick", "health answers within 5 s", opening::health),
    code("logs_reach_the_host", "what it logs is well formed", opening::logs),
    code("quick_job_ends", "a job succeeds", jobs::quick),
    code("failing_job_fails", "a failure is an ending, not an error", jobs::failing),
    code("results_are_json", "a result is JSON and fits", jobs::results),
    code("wait_twice_is_the_same", "evidence stays until it is forgotten", jobs::twice),
    code("wait_can_be_dropped", "not waiting any more stops nothing", jobs::dropped),
    code("duplicate_submit_starts_nothing", "an attempt is one piece of work", jobs::duplicate),
    code("64_at_once", "calls come from everywhere at once", jobs::many),
    code("unicode_empty_and_1_mib", "parameters are any JSON object", jobs::parameters),
    code("forget_is_idempotent", "forgetting twice is no mistake", jobs::forget),
    code("output_has_an_end", "logs lead on, and come to an end", jobs::output),
    code("cancel_before_submit", "what never was is gone", stopping::before),
    code("cancel_within_grace", "a stopped job is gone in time", stopping::within_grace),
    code("cancel_after_end", "cancel changes no outcome", stopping::after_end),
    code("stop_with_running_jobs", "stopping comes to an end", stopping::stop),
    code("no_callback_after_stop", "it is quiet when it has stopped", stopping::quiet),
    code("unknown_attempt_is_gone_or_not_found", "nothing is made up", recovery::unknown),
    code("recover_in_a_new_executor", "the next process finds the work", recovery::anew),
    code("recover_answers_for_each", "one verdict for each attempt", recovery::each),
    code(
        "a_handle_of_an_older_version_is_understood_or_refused",
        "running work is never called gone",
        recovery::older_handle,
    ),
    code("threads_return_to_baseline", "no thread stays behind", traces::threads),
    code("fds_return_to_baseline", "no descriptor stays open", traces::descriptors),
    code("surroundings_unchanged", "what all share is left alone", traces::surroundings),
    code("stdout_is_silent", "standard output is the host's", traces::silence)
        .silent(Printing::AWarning),
];
