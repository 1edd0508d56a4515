//! The documentation that is made from the code. The tests that compare it write it, too.

use crate::run::{Done, cargo, run};

pub(crate) fn docs() -> Done {
    let tests = ["--test", "config", "--test", "http", "--test", "lifecycle"];
    run(cargo().args(["test", "--package", "longshore"]).args(tests).env("UPDATE_DOCS", "1"))
}
