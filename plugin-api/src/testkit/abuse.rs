//! Level 3: what no host does, and everything might.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::Ordering,
    task::Poll,
    time::Duration,
};

use serde_json::{Value, value::to_raw_value};
use tokio::{
    task::{JoinSet, yield_now},
    time::Instant,
};

use super::{
    Body, Test,
    bench::{Bench, GRACE, attempt_of},
    contract, process,
    report::{Outcome, Tried, fail, skip},
};
use crate::{
    Handle, Work,
    wire::{self, Verb},
};

const fn code(name: &'static str, promise: &'static str, body: fn(&Bench) -> Tried) -> Test {
    Test::new(name, 3, promise, Body::Code(body))
}

pub(super) const TESTS: &[Test] = &[
    code("random_json", "nonsense is an error", random),
    code("futures_dropped_anywhere", "a call may be abandoned at any step", dropped),
    code("cancel_storm", "many may want the same job stopped", storm),
    code("host_refuses_callbacks", "a host that does not listen is no reason to fail", deaf),
    code("10000_jobs_keep_memory_flat", "a forgotten job leaves nothing", flat),
    code("panics_are_errors", "nothing panics while every verb is used", every_verb),
    code("recover_with_nonsense_handles", "running work is never called gone", nonsense),
];

/// How long tests that could go on for ever do.
const BUSY: Duration = Duration::from_secs(4);

/// Whether a quick job still runs: the executor has survived.
async fn survives(bench: &Bench, exec: &super::executor::Exec) -> Tried {
    let attempt = bench.quick(exec).await?;
    contract::succeeded(&exec.wait(&attempt).await?)
}

fn random(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let until = Instant::now() + BUSY;
        for _ in 0..200 {
            if Instant::now() > until {
                break;
            }
            let mut job = bench.job(&bench.sample.quick)?;
            let params = bench.chance(|chance| Value::Object(chance.object(3)));
            job.params = to_raw_value(&params).or_else(|e| skip(format!("no such job: {e}")))?;
            contract::honest(bench.submit(&exec, &job).await)?;
            exec.cancel(&attempt_of(&job), GRACE).await?;
            for verb in Verb::ALL {
                // These are for good: what comes after them would be about an executor that ended.
                if matches!(verb, Verb::Stop | Verb::Start | Verb::Wait) {
                    continue;
                }
                let payload = bench.chance(|chance| chance.json(3)).to_string();
                contract::honest(exec.raw(*verb, payload).await)?;
            }
        }
        survives(bench, &exec).await
    })
}

fn dropped(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        for polls in (0..40).map(|n| n % 8) {
            let job = bench.job(&bench.sample.long)?;
            let attempt = attempt_of(&job);
            let write = |what: Result<String, _>| {
                what.or_else(|error: serde_json::Error| skip(format!("no such job: {error}")))
            };
            let payloads = [
                (Verb::Submit, write(serde_json::to_string(&job))?),
                (Verb::Wait, write(serde_json::to_string(&attempt))?),
                (Verb::Recover, write(serde_json::to_string(&[&attempt]))?),
                (Verb::Health, "null".to_owned()),
            ];
            for (verb, payload) in payloads {
                abandon(exec.begin(verb.name(), payload)?, polls).await;
            }
            let work = exec.cancel(&attempt, GRACE).await?;
            if work != Work::Gone {
                return fail("a job whose `submit` was abandoned cannot be stopped");
            }
            exec.forget(&attempt).await?;
        }
        survives(bench, &exec).await?;
        // The end of the executor is a drop, too.
        exec.stop(GRACE).await?;
        exec.close();
        Ok(())
    })
}

/// Polls it that often, and drops it.
async fn abandon(call: impl Future, polls: usize) {
    let mut call = pin!(call);
    for _ in 0..polls {
        let ended = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
        if ended {
            return;
        }
        yield_now().await;
    }
}

fn storm(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.long(&exec).await?;
        let cancel = wire::Cancel { attempt: &attempt, grace: GRACE.into() };
        let payload = serde_json::to_string(&cancel)
            .or_else(|error| skip(format!("no such question: {error}")))?;
        let mut calls = JoinSet::new();
        for _ in 0..32 {
            calls.spawn(exec.begin(Verb::Cancel.name(), payload.clone())?);
        }
        while let Some(answer) = calls.join_next().await {
            match answer {
                Ok(Ok(text)) if text == "\"gone\"" => {}
                other => return fail(format!("one of 32 cancels answers {other:?}")),
            }
        }
        exec.wait(&attempt).await?;
        Ok(())
    })
}

fn deaf(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.open("one")?;
        exec.heard.deaf.store(true, Ordering::Relaxed);
        bench.start(&exec).await?;
        survives(bench, &exec).await
    })
}

fn flat(bench: &Bench) -> Tried {
    const JOBS: usize = 10_000;
    const ENOUGH: usize = 400;
    /// What an allocator may keep for itself, in KiB.
    const ROOM: usize = 8 << 10;
    bench.run(async {
        let exec = bench.started("one").await?;
        let until = Instant::now() + 2 * BUSY;
        let mut sizes = Vec::new();
        while sizes.len() < JOBS && Instant::now() < until {
            let job = bench.job(&bench.sample.quick)?;
            let mut attempt = attempt_of(&job);
            attempt.handle = exec.submit(&job).await?;
            exec.wait(&attempt).await?;
            exec.forget(&attempt).await?;
            sizes.push(process::resident_kib());
        }
        let jobs = sizes.len();
        if jobs < ENOUGH {
            return skip(format!("{jobs} jobs in {:?} are too few to tell", 2 * BUSY));
        }
        // The first half fills what is filled once.
        let (half, end) = (sizes[jobs / 2], sizes[jobs - 1]);
        if end <= half + ROOM {
            return Ok(());
        }
        let more = end - half;
        fail(format!("{more} KiB more after {} jobs that were forgotten", jobs - jobs / 2))
    })
}

/// Every verb, of a job in every state. Panics are looked for after every test.
fn every_verb(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let mut attempts = vec![attempt_of(&bench.job(&bench.sample.quick)?)];
        for spec in [Some(&bench.sample.quick), bench.sample.failing.as_ref()].into_iter().flatten()
        {
            let attempt = bench.submit(&exec, &bench.job(spec)?).await?;
            exec.wait(&attempt).await?;
            attempts.push(attempt);
        }
        attempts.push(bench.submit(&exec, &bench.job(&bench.sample.long)?).await?);
        contract::honest(exec.recover(&attempts).await)?;
        for attempt in &attempts {
            contract::honest(exec.logs(attempt, 0).await)?;
            contract::honest(exec.cancel(attempt, GRACE).await)?;
            contract::honest(exec.forget(attempt).await)?;
        }
        contract::honest(exec.health().await)?;
        exec.stop(GRACE).await?;
        exec.close();
        Ok::<_, Outcome>(())
    })
}

fn nonsense(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.long(&exec).await?;
        for _ in 0..50 {
            let handle = bench
                .chance(|chance| Handle { version: chance.next() as u32, data: chance.json(3) });
            let mut doubtful = attempt.clone();
            doubtful.handle = Some(handle);
            contract::running(&exec, &doubtful).await?;
        }
        Ok(())
    })
}
