//! Asks an executor what it has, in one question, and does what follows.
//!
//! A question may be what its process dies of, because of one handle among many. Then each attempt of that
//! question has a question of its own; and one that the process has died of alone is asked about, and
//! stopped, only while nothing else runs there, more and more rarely.

use std::{
    collections::HashMap,
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use longshore_plugin_api as api;
use longshore_plugin_api::{Error, ErrorKind, Found};
use uuid::Uuid;

use super::{
    Pass, Recovery, Step, attempt_of,
    plan::{given_up, patience, plan, restraint},
};
use crate::{
    executors::Open,
    job::{ALONE_FROM, AttemptTag, Fenced},
    lifecycle::Work,
    store::{StoreError, Unresolved},
};

/// How long found work waits for its turn before it is looked at again, at most.
const TURN: Duration = Duration::from_secs(10);

/// Attempts that may be what a process has died of. Only what this host has seen: of what an earlier one
/// has seen, the crashes stand in the rows.
#[derive(Default)]
pub(super) struct Doubts(Mutex<HashMap<AttemptTag, Doubt>>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doubt {
    /// A question about it and others was not answered: the next one is about it alone.
    OneOfMany,
    /// A question about it alone, or its stop, was what a process has died of.
    Deadly,
}

impl Doubts {
    fn of(&self, row: &Unresolved) -> Option<Doubt> {
        self.lock().get(&row.tag).copied()
    }

    fn note(&self, row: &Unresolved, doubt: Doubt) {
        self.lock().insert(row.tag, doubt);
    }

    fn clear(&self, row: &Unresolved) {
        self.lock().remove(&row.tag);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AttemptTag, Doubt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of a question.
enum Answer {
    /// It may lack some, or all.
    Found(HashMap<Uuid, Found>),
    /// Nobody heard it.
    Silence,
    /// Not in time; the plugin still says how it is.
    Late,
    /// The process is dead, or hangs for good.
    Death,
}

impl Recovery {
    /// One executor's part of a pass.
    pub(super) async fn recover(self: &Arc<Self>, executor: &str, rows: &[Unresolved]) -> Pass {
        let mut pass = Pass { seen: rows.len(), ..Pass::default() };
        let Some(open) = self.worker.executors().get(executor) else {
            pass.trouble.insert(executor.to_owned(), "not open on this host".to_owned());
            self.follow(rows, &HashMap::new(), None, &mut pass).await;
            return pass;
        };
        let here = self.worker.executors().locality(open);
        let is_here =
            |row: &Unresolved| row.work == Work::Maybe && row.locality.as_deref() == Some(&here);
        let (alone, rest): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| is_here(row) && self.must_be_alone(row));
        let asked: Vec<_> = rest.iter().copied().filter(|row| is_here(row)).collect();
        let found = self.ask(open, &asked, &mut pass).await;
        let mut up = found.is_some();
        if let Some(found) = found {
            self.follow(rest, &found, Some(open), &mut pass).await;
        } else {
            // It is asked again when there is somebody to ask, not by the clock.
            let (waiting, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|row| {
                matches!(plan(row, None, &self.settings.rules), Step::AskAgain { .. })
            });
            pass.waiting += waiting.len();
            self.follow(rest, &HashMap::new(), Some(open), &mut pass).await;
        }
        // They wait for all others that were found, not those for them.
        for row in alone {
            if up {
                up = self.ask_alone(row, open, &mut pass).await;
            } else {
                pass.waiting += 1;
            }
        }
        self.retain(open).await;
        pass
    }

    /// Does what the plan says about each of these.
    async fn follow(
        self: &Arc<Self>,
        rows: impl IntoIterator<Item = &Unresolved>,
        found: &HashMap<Uuid, Found>,
        open: Option<&Open>,
        pass: &mut Pass,
    ) {
        for row in rows {
            let step = plan(row, found.get(&row.tag.0), &self.settings.rules);
            let done = self.carry_out(row, step, open, pass).await;
            self.written(row, done, pass);
        }
    }

    fn written(&self, row: &Unresolved, done: Result<(), StoreError>, pass: &mut Pass) {
        if let Err(error) = done {
            tracing::warn!(job = %row.id, %error, "recovery of a job failed");
            pass.waiting += 1;
        }
    }

    fn must_be_alone(&self, row: &Unresolved) -> bool {
        row.recovery_count + row.crashes >= ALONE_FROM || self.doubts.of(row) == Some(Doubt::Deadly)
    }

    /// One question for all of them, and one for each that there are doubts about. Nothing says that the
    /// process is not up any more.
    async fn ask(
        self: &Arc<Self>,
        open: &Open,
        rows: &[&Unresolved],
        pass: &mut Pass,
    ) -> Option<HashMap<Uuid, Found>> {
        let (singly, together): (Vec<_>, Vec<_>) =
            rows.iter().copied().partition(|row| self.doubts.of(row).is_some());
        let mut found = HashMap::new();
        for share in iter::once(together).chain(singly.into_iter().map(|row| vec![row])) {
            match self.question(open, &share, pass).await {
                Answer::Found(more) => {
                    share.iter().for_each(|row| self.doubts.clear(row));
                    found.extend(more);
                }
                Answer::Late => {
                    share.iter().for_each(|row| self.doubts.note(row, Doubt::OneOfMany));
                }
                Answer::Silence => return None,
                Answer::Death => {
                    if let [row] = share[..] {
                        let done = self.ends_it(row, pass).await;
                        self.written(row, done, pass);
                    } else {
                        share.iter().for_each(|row| self.doubts.note(row, Doubt::OneOfMany));
                    }
                    return None;
                }
            }
        }
        Some(found)
    }

    /// Asks about one while nothing else runs there, and does what follows. Says whether the process is
    /// still up.
    async fn ask_alone(self: &Arc<Self>, row: &Unresolved, open: &Open, pass: &mut Pass) -> bool {
        if !self.worker.admits(&row.executor, row.id, true).await {
            let done = self.await_turn(row, pass).await;
            self.written(row, done, pass);
            return true;
        }
        let found = match self.question(open, &[row], pass).await {
            Answer::Found(found) => found,
            Answer::Late => HashMap::new(),
            Answer::Silence => {
                pass.waiting += 1;
                return false;
            }
            Answer::Death => {
                let done = self.ends_it(row, pass).await;
                self.written(row, done, pass);
                return false;
            }
        };
        self.follow([row], &found, Some(open), pass).await;
        true
    }

    async fn question(&self, open: &Open, rows: &[&Unresolved], pass: &mut Pass) -> Answer {
        if rows.is_empty() {
            return Answer::Found(HashMap::new());
        }
        let attempts: Vec<api::Attempt> = rows.iter().map(|row| attempt_of(row)).collect();
        let error = match open.executor.recover(&attempts).await {
            Ok(verdicts) => {
                let found = verdicts
                    .into_iter()
                    // A tag that nobody asked about is nonsense, and nonsense changes nothing.
                    .filter_map(|verdict| {
                        Some((Uuid::try_parse(&verdict.attempt_tag).ok()?, verdict.found))
                    });
                return Answer::Found(found.collect());
            }
            Err(error) => error,
        };
        tracing::warn!(executor = open.name, %error, "could not ask for what it has");
        let answer = match error.kind {
            ErrorKind::Refused => Answer::Silence,
            _ if is_death(open, &error).await => Answer::Death,
            ErrorKind::Hung => Answer::Late,
            _ => Answer::Found(HashMap::new()),
        };
        pass.trouble.insert(open.name.clone(), error.message);
        answer
    }

    /// The process has died of a question about this one alone.
    async fn ends_it(&self, row: &Unresolved, pass: &mut Pass) -> Result<(), StoreError> {
        let counted = Unresolved { crashes: row.crashes + 1, ..row.clone() };
        if let Some(error) = given_up(&counted, &self.settings.rules) {
            let work = Work::Maybe;
            let unlock = Some(row.tag);
            if self.store.job_give_up(row.id, row.token, unlock, &error, work).await?
                == Fenced::Held
            {
                pass.given_up += 1;
            }
        }
        self.count(row, pass).await
    }

    /// Counts a crash that nobody else can have caused, and lets others go first.
    pub(super) async fn count(&self, row: &Unresolved, pass: &mut Pass) -> Result<(), StoreError> {
        tracing::warn!(job = %row.id, executor = row.executor, "the executor's process has died over it");
        self.doubts.note(row, Doubt::Deadly);
        self.worker.let_go(&row.executor, row.id);
        pass.waiting += 1;
        let delay = restraint(row.crashes + 1);
        let _ = self.store.job_ask_again(row.id, row.token, delay, true).await?;
        Ok(())
    }

    /// Something else runs where it must be alone, or something runs alone.
    pub(super) async fn await_turn(
        &self,
        row: &Unresolved,
        pass: &mut Pass,
    ) -> Result<(), StoreError> {
        pass.waiting += 1;
        let _ = self.store.job_ask_again(row.id, row.token, patience(row, TURN), false).await?;
        Ok(())
    }
}

/// Whether the process is dead of what failed with that, or hangs for good. One that is only late says
/// how it is.
pub(super) async fn is_death(open: &Open, error: &Error) -> bool {
    match error.kind {
        ErrorKind::Crashed => true,
        ErrorKind::Hung => open.executor.health().await.is_err_and(|error| {
            matches!(error.kind, ErrorKind::Hung | ErrorKind::Crashed | ErrorKind::Refused)
        }),
        _ => false,
    }
}
