//! Opening, and what an executor says of itself.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::{Map, json};
use tokio::time::sleep;

use crate::{
    ErrorKind, Facts,
    testkit::{
        bench::{Bench, GRACE, QUICK, attempt_of},
        executor::Trouble,
        process,
        report::{Outcome, Tried, fail, skip, warn},
        schema,
    },
    wire::Verb,
};

pub(super) fn starts(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.open("one")?;
        bench.start(&exec).await?;
        exec.stop(GRACE).await?;
        exec.close();
        Ok(())
    })
}

pub(super) fn closes(bench: &Bench) -> Tried {
    const TIMES: usize = 100;
    // The first one of a library starts its runtime, which stays.
    bench.run(async {
        for n in 0..3 {
            open_and_close(bench, &format!("warm-{n}")).await?;
        }
        let before = process::descriptors();
        for n in 0..TIMES {
            open_and_close(bench, &format!("turn-{n}")).await?;
        }
        let left = settled(process::descriptors, before + 5, Duration::from_secs(2)).await;
        match left.checked_sub(before) {
            Some(more) if more > 5 => {
                fail(format!("{more} descriptors more are open after {TIMES} executors"))
            }
            _ => Ok(()),
        }
    })
}

async fn open_and_close(bench: &Bench, name: &str) -> Result<(), Outcome> {
    let exec = bench.open(name)?;
    exec.facts().await?;
    exec.close();
    Ok(())
}

/// The number, when it is at most that, or when it has had its time.
pub(super) async fn settled(number: fn() -> usize, most: usize, patience: Duration) -> usize {
    const LOOK: Duration = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        let now = number();
        if now <= most || waited >= patience {
            return now;
        }
        sleep(LOOK).await;
        waited += LOOK;
    }
}

pub(super) fn two(bench: &Bench) -> Tried {
    bench.run(async {
        let (one, two) = (bench.started("one").await?, bench.started("two").await?);
        let (of_one, of_two) = (bench.quick(&one).await?, bench.quick(&two).await?);
        let (_, _) = (one.wait(&of_one).await?, two.wait(&of_two).await?);
        // One that ends takes nothing from the other.
        one.stop(GRACE).await?;
        one.close();
        let again = bench.quick(&two).await?;
        two.wait(&again).await?;
        Ok(())
    })
}

pub(super) fn bad_config(bench: &Bench) -> Tried {
    let (at, config) = match &bench.sample.bad_config {
        Some(config) => (None, config.clone()),
        None => {
            let schema = &bench.loaded()?.description.config_schema;
            let Some((name, value)) = schema::wrong_value(schema) else {
                return skip("no setting of its schema has a plain type; name a `bad_config`");
            };
            let mut config = bench.sample.config.as_object().cloned().unwrap_or_else(Map::new);
            config.insert(name.clone(), value);
            (Some(name), config.into())
        }
    };
    let Err(error) = bench.open_with("one", &config)? else {
        return fail(format!("it opens with {config}"));
    };
    match (error.kind, error.pointer, at) {
        (ErrorKind::InvalidConfig, Some(pointer), Some(at))
            if !pointer.starts_with(&format!("/{at}")) =>
        {
            fail(format!("what is wrong is at `/{at}`, it says `{pointer}`"))
        }
        (ErrorKind::InvalidConfig, Some(_), _) => Ok(()),
        (ErrorKind::InvalidConfig, None, _) => {
            fail(format!("it does not say which setting is wrong: {}", error.message))
        }
        (kind, ..) => fail(format!("the error is {kind:?}, not InvalidConfig: {}", error.message)),
    }
}

pub(super) fn facts(bench: &Bench) -> Tried {
    bench.run(async {
        let (one, two) = (bench.open("one")?, bench.open("two")?);
        let first = one.facts().await?;
        for exec in [&one, &two, &one] {
            let asked = exec.ask(Verb::Facts.name(), "null")?;
            let asked = asked.or_else(|error| fail(format!("`facts` fails: {error}")))?;
            let asked: Facts = serde_json::from_str(&asked)
                .or_else(|error| fail(format!("`facts` makes no sense: {error}")))?;
            let called = exec.facts().await?;
            if asked != first || called != first {
                return fail(format!("it is {first:?}, then {asked:?} and {called:?}"));
            }
        }
        Ok(())
    })
}

pub(super) fn unknown_verb(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.open("one")?;
        let called = exec.begin("sing", "null".to_owned())?.await;
        let asked = exec.ask("sing", "null")?;
        for answer in [called, asked] {
            match answer {
                Err(error) if error.kind == ErrorKind::Unsupported => {}
                other => return fail(format!("`sing` is answered with {other:?}")),
            }
        }
        Ok(())
    })
}

/// Errors are looked at in every call of every test; here some are provoked.
pub(super) fn kinds(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let stranger = attempt_of(&bench.job(&bench.sample.quick)?);
        honest(exec.ended_within(&stranger, QUICK).await)?;
        honest(exec.forget(&stranger).await)?;
        honest(exec.logs(&stranger, u64::MAX).await)?;
        honest(exec.raw(Verb::Submit, "{}".to_owned()).await)?;
        honest(exec.raw(Verb::Cancel, json!([]).to_string()).await)?;
        let job = bench.job(&bench.sample.quick)?;
        honest(bench.submit(&exec, &job).await)
    })
}

/// Any answer that an executor may give.
pub(in crate::testkit) fn honest<T>(answer: Result<T, Trouble>) -> Tried {
    match answer {
        Ok(_) | Err(Trouble::Said { .. }) => Ok(()),
        Err(Trouble::Broken(outcome)) => Err(outcome),
    }
}

pub(super) fn health(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        match exec.health().await {
            Ok(()) => Ok(()),
            Err(Trouble::Said { error, .. }) => warn(format!("it is not well here: {error}")),
            Err(Trouble::Broken(outcome)) => Err(outcome),
        }
    })
}

pub(super) fn logs(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let attempt = bench.quick(&exec).await?;
        exec.wait(&attempt).await?;
        exec.stop(GRACE).await?;
        exec.heard.deaf.store(true, Ordering::Relaxed);
        if let Some(nonsense) = exec.heard.nonsense() {
            return fail(format!("it has told the host {nonsense}"));
        }
        if exec.heard.said().is_empty() {
            return skip("it has logged nothing while it ran a job");
        }
        Ok(())
    })
}
