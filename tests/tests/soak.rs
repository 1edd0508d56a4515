//! A soak: a mix of jobs, good and evil, and their runners killed at random.

use longshore_tests::soak::{Size, soak};

#[test]
fn killed_runners_lose_no_job_and_double_none_and_the_host_stays_as_it_was() {
    soak(Size::asked());
}
