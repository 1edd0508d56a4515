//! `cargo xtask bench`: the benchmarks are a program of their own, built for release.

use crate::{
    build::build,
    run::{Done, cargo, run},
};

pub(crate) fn bench(names: &[&str]) -> Done {
    build(&["longshore", "longshore-local", "longshore-noop"], true)?;
    run(cargo()
        .args(["run", "--release", "--quiet", "--package", "longshore-bench", "--"])
        .args(names))
}
