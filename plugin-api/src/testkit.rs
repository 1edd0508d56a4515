//! The conformance kit: what every executor promises, tried out on one. Feature `testkit`.
//!
//! ```text
//!  longshore plugin check FILE ─┐             one process a test        ┌─ loads or links the plugin
//!  cargo test (conformance!) ───┴─► run ──► question.json ► answer.json ┴─► one of TESTS, beside it
//!                                    └─ deadline, exit code, output ─► Verdict
//! ```
//!
//! Each test runs in a process of its own, beside the plugin's code: it sees the threads, descriptors
//! and signals of that process, and what the plugin does to it ends one test. The parent only starts,
//! waits and judges. A test that cannot tell says `skip` and why.
//!
//! In the plugin's own crate:
//!
//! ```text
//! // tests/conformance.rs, with longshore-plugin-api's feature `testkit` in [dev-dependencies]
//! longshore_plugin_api::conformance!(my_plugin::MyExecutor);
//! ```

mod abuse;
mod bench;
mod chance;
mod contract;
mod executor;
mod heard;
mod own_test;
mod package;
mod process;
mod question;
mod report;
mod run;
mod sample;
mod schema;

use std::fmt;

use self::{
    bench::Bench,
    report::{Outcome, Tried},
};
pub use self::{
    own_test::conform,
    package::Package,
    question::{Asked, JudgeSchema, Question, answer},
    report::{Report, Row, Verdict},
    run::{Plan, run},
    sample::{JobSpec, Sample},
};

/// One promise, and how it is tried out.
pub struct Test {
    /// Its name: what `--only` looks at.
    pub name: &'static str,
    /// 1: the file; 2: the contract; 3: abuse.
    pub level: u8,
    /// What is promised.
    pub promise: &'static str,
    body: Body,
    /// What it means if the process prints on its standard output meanwhile.
    printing: Printing,
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Where a test looks.
#[derive(Clone, Copy)]
enum Body {
    /// At what was read of the file; nothing is run.
    File(fn(&Package) -> Tried),
    /// At the plugin's code, in a process of its own.
    Code(fn(&Bench) -> Tried),
}

/// What output means.
#[derive(Clone, Copy, PartialEq)]
enum Printing {
    Nothing,
    AWarning,
    AFailure,
}

impl Test {
    const fn new(name: &'static str, level: u8, promise: &'static str, body: Body) -> Self {
        Self { name, level, promise, body, printing: Printing::Nothing }
    }

    const fn silent(mut self, printing: Printing) -> Self {
        self.printing = printing;
        self
    }
}

/// Every test there is, by level.
pub const TESTS: &[&[Test]] = &[package::TESTS, contract::TESTS, abuse::TESTS];

/// The tests in order.
pub fn tests() -> impl Iterator<Item = &'static Test> {
    TESTS.iter().flat_map(|level| level.iter())
}

/// Tests that an executor keeps the promises of the contract (levels 1 and 2), each in a process of its
/// own: `conformance!(Type)`, or `conformance!(Type, sample)` with a [`Sample`](crate::testkit::Sample)
/// of configuration and jobs.
///
/// It makes a test named `conformance`; the executor is linked, so what only a built library shows is
/// skipped: `longshore plugin check FILE` looks at that.
#[macro_export]
macro_rules! conformance {
    ($executor:ty) => {
        $crate::conformance!($executor, $crate::testkit::Sample::default());
    };
    ($executor:ty, $sample:expr) => {
        #[test]
        fn conformance() {
            struct Tested;

            impl $crate::export::Plugin for Tested {
                type Executor = $executor;
                const ABOUT: $crate::export::About = $crate::export::About::of_crate(
                    env!("CARGO_PKG_NAME"),
                    env!("CARGO_PKG_VERSION"),
                    env!("CARGO_PKG_AUTHORS"),
                    env!("CARGO_PKG_DESCRIPTION"),
                    cfg!(panic = "unwind"),
                );
            }

            let this_test = concat!(module_path!(), "::conformance");
            $crate::testkit::conform($crate::export::root_of::<Tested>(), this_test, || $sample);
        }
    };
}
