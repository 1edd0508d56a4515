//! What an executor leaves behind in its process.

use std::time::Duration;

use super::opening::settled;
use crate::testkit::{
    bench::{Bench, GRACE},
    process::{self, Surroundings},
    report::{Outcome, Tried, fail},
};

/// How often an executor is opened, used and closed.
const TURNS: usize = 12;
/// What may come and go by chance.
const SLACK: usize = 4;
/// Threads for blocking work wait 10 s for more of it.
const PATIENCE: Duration = Duration::from_secs(12);

/// An executor's whole life, with one job in it.
async fn turn(bench: &Bench, name: &str) -> Result<(), Outcome> {
    let exec = bench.started(name).await?;
    let attempt = bench.quick(&exec).await?;
    exec.wait(&attempt).await?;
    exec.forget(&attempt).await?;
    exec.stop(GRACE).await?;
    exec.close();
    Ok(())
}

/// What stays of `what` when an executor has lived `TURNS` times.
fn left(bench: &Bench, what: &str, number: fn() -> usize) -> Tried {
    bench.run(async {
        // What a library keeps for all of its executors is there after the first.
        for _ in 0..3 {
            turn(bench, "one").await?;
        }
        let before = number();
        for _ in 0..TURNS {
            turn(bench, "one").await?;
        }
        let after = settled(number, before + SLACK, PATIENCE).await;
        if after <= before + SLACK {
            return Ok(());
        }
        fail(format!("{after} {what} after {TURNS} executors, {before} before"))
    })
}

pub(super) fn threads(bench: &Bench) -> Tried {
    left(bench, "threads", process::threads)
}

pub(super) fn descriptors(bench: &Bench) -> Tried {
    left(bench, "descriptors", process::descriptors)
}

pub(super) fn surroundings(bench: &Bench) -> Tried {
    bench.run(async {
        let before = Surroundings::now();
        turn(bench, "one").await?;
        match &*Surroundings::now().changes(&before) {
            [] => Ok(()),
            changes => fail(changes.join("; ")),
        }
    })
}

/// The parent listens.
pub(super) fn silence(bench: &Bench) -> Tried {
    bench.run(turn(bench, "one"))
}
