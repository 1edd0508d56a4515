//! Stopping: one job, and the executor.

use std::time::Duration;

use tokio::time::sleep;

use super::jobs::text;
use crate::{
    Work,
    testkit::{
        bench::{Bench, GRACE, attempt_of},
        report::{Tried, fail, warn},
    },
};

/// How long after a proven stop `wait` may still think.
const SOON: Duration = Duration::from_secs(5);
/// How long an executor that has stopped is listened to.
const LISTENING: Duration = Duration::from_millis(500);

pub(super) fn gone(work: Work) -> Tried {
    match work {
        Work::Gone => Ok(()),
        Work::Maybe => fail("after its grace `cancel` cannot say that the work is gone"),
    }
}

pub(super) fn before(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let stranger = attempt_of(&bench.job(&bench.sample.quick)?);
        gone(exec.cancel(&stranger, GRACE).await?)
    })
}

pub(super) fn within_grace(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.long(&exec).await?;
        gone(exec.cancel(&attempt, GRACE).await?)?;
        match exec.ended_within(&attempt, SOON).await? {
            Some(_) => Ok(()),
            None => fail(format!("its work is gone, and `wait` goes on for {SOON:?}")),
        }
    })
}

pub(super) fn after_end(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.quick(&exec).await?;
        let first = text(&exec.wait(&attempt).await?);
        gone(exec.cancel(&attempt, GRACE).await?)?;
        let again = text(&exec.wait(&attempt).await?);
        if again == first {
            return Ok(());
        }
        fail(format!("canceled after its end {first} became {again}"))
    })
}

pub(super) fn stop(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let running = bench.long(&exec).await?;
        let quick = bench.quick(&exec).await?;
        exec.wait(&quick).await?;
        exec.stop(GRACE).await?;
        exec.close();
        if !bench.sample.survives {
            return Ok(());
        }
        let next = bench.started("one").await?;
        super::recovery::running(&next, &running).await?;
        gone(next.cancel(&running, GRACE).await?)
    })
}

pub(super) fn quiet(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.quick(&exec).await?;
        exec.wait(&attempt).await?;
        exec.stop(GRACE).await?;
        let before = exec.heard.said().len();
        exec.close();
        // There is no condition to wait for: what must not happen has some time to.
        sleep(LISTENING).await;
        match &exec.heard.said()[before..] {
            [] => Ok(()),
            // A record that was on its way when it stopped.
            [one] => warn(format!("after `stop` it has still said {one}")),
            [one, ..] => fail(format!("after `stop` it goes on talking: {one}")),
        }
    })
}
