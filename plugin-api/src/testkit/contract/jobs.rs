//! A job from `submit` to `forget`.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::stopping::gone;
use crate::{
    Ended, Ending, ErrorKind,
    testkit::{
        bench::{Bench, GRACE, QUICK, attempt_of},
        executor::Trouble,
        report::{Outcome, Tried, fail, skip, warn},
    },
    wire::Verb,
};

/// What an ending is, for comparison.
pub(super) fn text(ended: &Ended) -> String {
    serde_json::to_string(ended).unwrap_or_else(|error| error.to_string())
}

pub(in crate::testkit) fn succeeded(ended: &Ended) -> Tried {
    match &ended.ending {
        Ending::Succeeded { .. } => Ok(()),
        other => fail(format!("the sample's quick job does not succeed: {other:?}")),
    }
}

pub(super) fn quick(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.quick(&exec).await?;
        match exec.ended_within(&attempt, QUICK).await? {
            None => fail(format!("the sample's quick job has not ended within {QUICK:?}")),
            Some(ended) => succeeded(&ended),
        }
    })
}

pub(super) fn failing(bench: &Bench) -> Tried {
    let Some(failing) = &bench.sample.failing else {
        return skip("no job that fails is named; name one as `failing`");
    };
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.submit(&exec, &bench.job(failing)?).await?;
        let ended = exec.wait(&attempt).await?;
        match ended.ending {
            Ending::Failed { message, .. } if message.is_empty() => {
                fail("it fails, and does not say why")
            }
            Ending::Failed { .. } => Ok(()),
            other => fail(format!("the sample's failing job ends as {other:?}")),
        }
    })
}

pub(super) fn results(bench: &Bench) -> Tried {
    const MAX_TAIL: usize = 64 << 10;
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.quick(&exec).await?;
        // Read as a host does, which keeps a result as the text that it is.
        let ended = exec.wait(&attempt).await?;
        if ended.log_tail.len() > MAX_TAIL {
            let bytes = ended.log_tail.len();
            return fail(format!("the log tail has {bytes} bytes, {MAX_TAIL} fit"));
        }
        let Ending::Succeeded { result } = &ended.ending else {
            return succeeded(&ended);
        };
        serde_json::from_str::<serde_json::Value>(result.get())
            .map(drop)
            .or_else(|error| fail(format!("the result is no JSON: {error}")))
    })
}

pub(super) fn twice(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.quick(&exec).await?;
        let first = text(&exec.wait(&attempt).await?);
        for _ in 0..3 {
            let again = text(&exec.wait(&attempt).await?);
            if again != first {
                return fail(format!("`wait` answers {first}, then {again}"));
            }
        }
        Ok(())
    })
}

pub(super) fn dropped(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.long(&exec).await?;
        for _ in 0..10 {
            let moment = Duration::from_millis(5);
            if let Some(ended) = exec.ended_within(&attempt, moment).await? {
                return fail(format!("the long job ends when nobody waits: {}", text(&ended)));
            }
        }
        exec.cancel(&attempt, GRACE).await?;
        exec.wait(&attempt).await?;
        Ok(())
    })
}

pub(super) fn duplicate(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let job = bench.job(&bench.sample.long)?;
        let first = bench.submit(&exec, &job).await?;
        let again = match exec.submit(&job).await {
            Ok(handle) if handle == first.handle => Ok(()),
            Ok(handle) => fail(format!(
                "submitted twice it is two pieces of work: {:?}, then {handle:?}",
                first.handle
            )),
            Err(Trouble::Said { error, .. }) if error.kind == ErrorKind::AlreadyExists => Ok(()),
            Err(Trouble::Said { error, .. }) => {
                warn(format!("the error is {:?}, not AlreadyExists: {error}", error.kind))
            }
            Err(Trouble::Broken(outcome)) => Err(outcome),
        };
        // Whatever it says of the second, the first is what it was.
        gone(exec.cancel(&first, GRACE).await?)?;
        exec.wait(&first).await?;
        again
    })
}

pub(super) fn many(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let mut calls = JoinSet::new();
        let mut attempts = Vec::new();
        for _ in 0..64 {
            let job = bench.job(&bench.sample.quick)?;
            attempts.push(attempt_of(&job));
            let payload = serde_json::to_string(&job)
                .or_else(|error| fail(format!("no such job: {error}")))?;
            calls.spawn(exec.begin(Verb::Submit.name(), payload)?);
        }
        while let Some(answer) = calls.join_next().await {
            match answer {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return fail(format!("one of 64 submits fails: {error}")),
                Err(error) => return fail(format!("the kit's own task ended: {error}")),
            }
        }
        for attempt in &attempts {
            succeeded(&exec.wait(attempt).await?)?;
        }
        Ok(())
    })
}

pub(super) fn parameters(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let values = [
            json!(""),
            json!("\u{0}\u{202e}é😀\u{fffd}\"\\"),
            json!("x".repeat(1 << 20)),
            json!([null, -0.5, 1e300, u64::MAX, { "": [] }]),
        ];
        for value in values {
            let spec = bench.sample.quick.clone().param("conformance", value);
            let attempt = bench.submit(&exec, &bench.job(&spec)?).await?;
            succeeded(&exec.wait(&attempt).await?)?;
            exec.forget(&attempt).await?;
        }
        Ok(())
    })
}

pub(super) fn forget(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.quick(&exec).await?;
        exec.wait(&attempt).await?;
        for _ in 0..3 {
            exec.forget(&attempt).await?;
        }
        let stranger = attempt_of(&bench.job(&bench.sample.quick)?);
        Ok(exec.forget(&stranger).await?)
    })
}

pub(super) fn output(bench: &Bench) -> Tried {
    const MOST: usize = 1000;
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.quick(&exec).await?;
        exec.wait(&attempt).await?;
        let mut offset = 0;
        for _ in 0..MOST {
            let chunk = match exec.logs(&attempt, offset).await {
                Err(Trouble::Said { error, .. }) if error.kind == ErrorKind::Unsupported => {
                    return skip("it keeps no output");
                }
                chunk => chunk.map_err(Outcome::from)?,
            };
            if chunk.offset < offset || chunk.next_offset < chunk.offset {
                return fail(format!("asked from {offset} it answers {chunk:?}"));
            }
            if chunk.end {
                return Ok(());
            }
            if chunk.next_offset == offset {
                return fail(format!("the job has ended, and its output not, at {offset}"));
            }
            offset = chunk.next_offset;
        }
        fail(format!("a quick job has more than {MOST} pieces of output"))
    })
}
