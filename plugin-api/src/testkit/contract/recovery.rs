//! What an executor says of attempts that it may not know.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use super::stopping::gone;
use crate::{
    Attempt, Found, Handle,
    testkit::{
        bench::{Bench, GRACE, attempt_of},
        executor::{Exec, Trouble},
        report::{Outcome, Tried, fail, skip, warn},
    },
};

/// How long a job may take to answer after it was stopped.
const SOON: Duration = Duration::from_secs(5);

/// The verdicts by tag: none about anybody else, none twice.
async fn verdicts(exec: &Exec, attempts: &[Attempt]) -> Result<BTreeMap<String, Found>, Outcome> {
    let mut of = BTreeMap::new();
    for verdict in exec.recover(attempts).await? {
        let tag = verdict.attempt_tag;
        if !attempts.iter().any(|attempt| attempt.attempt_tag == tag) {
            return fail(format!("`recover` answers for `{tag}`, which nobody has asked about"));
        }
        if of.insert(tag.clone(), verdict.found).is_some() {
            return fail(format!("`recover` answers twice for `{tag}`"));
        }
    }
    Ok(of)
}

/// The verdict of one attempt; one that is left out counts as unknown.
async fn verdict(exec: &Exec, attempt: &Attempt) -> Result<Found, Outcome> {
    let mut of = verdicts(exec, std::slice::from_ref(attempt)).await?;
    let left_out = Found::Unknown { message: "it was left out".to_owned() };
    Ok(of.remove(&attempt.attempt_tag).unwrap_or(left_out))
}

pub(super) fn unknown(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let stranger = attempt_of(&bench.job(&bench.sample.quick)?);
        match verdict(&exec, &stranger).await? {
            Found::Gone | Found::Unknown { .. } => {}
            other => return fail(format!("an attempt that never was is {other:?}")),
        }
        gone(exec.cancel(&stranger, GRACE).await?)?;
        match exec.ended_within(&stranger, SOON).await {
            Err(Trouble::Said { .. }) => Ok(()),
            Err(Trouble::Broken(outcome)) => Err(outcome),
            Ok(Some(ended)) => {
                warn(format!("`wait` of an attempt that never was answers {:?}", ended.ending))
            }
            Ok(None) => fail("`wait` of an attempt that never was waits for it"),
        }
    })
}

pub(super) fn anew(bench: &Bench) -> Tried {
    bench.run(async {
        let (exec, attempt) = after_the_end(bench).await?;
        match verdict(&exec, &attempt).await? {
            Found::Here => {
                gone(exec.cancel(&attempt, GRACE).await?)?;
                match exec.ended_within(&attempt, SOON).await? {
                    Some(_) => Ok(()),
                    None => fail("it is here, it is gone, and `wait` does not answer"),
                }
            }
            Found::Gone if bench.sample.survives => fail("work that survives is called gone"),
            Found::Gone | Found::Failed { .. } => Ok(()),
            Found::Unknown { message } => {
                warn(format!("it cannot tell what became of a job that ran: {message}"))
            }
        }
    })
}

/// A long job whose executor has ended without a word, and the next executor of that name.
async fn after_the_end(bench: &Bench) -> Result<(Rc<Exec>, Attempt), Outcome> {
    let exec = bench.started("one").await?;
    let attempt = bench.long(&exec).await?;
    exec.close();
    Ok((bench.started("one").await?, attempt))
}

pub(super) fn each(bench: &Bench) -> Tried {
    bench.run(async {
        let exec = bench.started("one").await?;
        let ended = bench.quick(&exec).await?;
        exec.wait(&ended).await?;
        let running = bench.submit(&exec, &bench.job(&bench.sample.long)?).await?;
        let stranger = attempt_of(&bench.job(&bench.sample.quick)?);
        let all = [ended, running, stranger];
        let of = verdicts(&exec, &all).await?;
        let [ended, running, _] = &all;
        for (what, attempt) in [("ended and not forgotten", ended), ("submitted", running)] {
            match of.get(&attempt.attempt_tag) {
                Some(found @ (Found::Gone | Found::Failed { .. })) => {
                    return fail(format!("an attempt that is {what} is {found:?}"));
                }
                Some(Found::Here | Found::Unknown { .. }) | None => {}
            }
        }
        match all.len() - of.len() {
            0 => Ok(()),
            left_out => warn(format!("{left_out} of 3 are left out, which counts as unknown")),
        }
    })
}

pub(super) fn older_handle(bench: &Bench) -> Tried {
    bench.run(async {
        let (exec, attempt) = if bench.sample.survives {
            after_the_end(bench).await?
        } else {
            let exec = bench.started("one").await?;
            let attempt = bench.long(&exec).await?;
            (exec, attempt)
        };
        let Some(handle) = &attempt.handle else {
            return skip("it gives no handle");
        };
        for version in [handle.version.wrapping_sub(1), handle.version.wrapping_add(1)] {
            let handle = Some(Handle { version, data: handle.data.clone() });
            running(&exec, &Attempt { handle, ..attempt.clone() }).await?;
        }
        Ok(())
    })
}

/// The attempt runs, whatever its handle says.
pub(in crate::testkit) async fn running(exec: &Exec, attempt: &Attempt) -> Tried {
    match verdict(exec, attempt).await {
        Ok(Found::Here | Found::Unknown { .. }) => Ok(()),
        Ok(found) => {
            fail(format!("it runs, and with the handle {:?} it is {found:?}", attempt.handle))
        }
        Err(outcome) => Err(outcome),
    }
}
