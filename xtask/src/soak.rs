//! `cargo xtask soak`: the soak of the tests, 10,000 jobs and 200 killed runners long.

use crate::run::{Done, cargo, run};

pub(crate) fn soak() -> Done {
    run(cargo()
        .args(["test", "--package", "longshore-tests", "--test", "promises", "--", "soak::"])
        .arg("--nocapture")
        .env("LONGSHORE_SOAK", "full"))
}
