//! An executor whose process dies when the test says so, and whose work goes on without it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use longshore_plugin_api::{
    Attempt, Ended, Ending, Error, ErrorKind, Facts, Found, Handle, Job, JobShape, LogChunk,
    Verdict, Work,
};
use tokio::sync::watch;

use crate::{
    clock::Moment,
    plugin::{
        HostedExecutor, Standing,
        executor::{Answer, BoxFuture},
    },
};

#[derive(Debug)]
pub(super) struct Mortal(watch::Sender<State>);

/// What is so, for tests to wait for and to change.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Whether it says that its process is there.
    pub(super) stands: bool,
    /// Whether its process is there.
    pub(super) lives: bool,
    /// Whether submissions and questions of recovery do not arrive for now.
    pub(super) holds: bool,
    /// How often its process has died.
    pub(super) deaths: u32,
    /// What was started and has not been stopped, by job.
    pub(super) work: BTreeSet<String>,
    /// What has ended by itself.
    pub(super) ended: BTreeSet<String>,
    /// Who is waited for.
    pub(super) watched: BTreeSet<String>,
    /// What its process dies of: a verb, and a job that it is about.
    pub(super) deadly: BTreeSet<(&'static str, String)>,
    /// How often each verb was called, whether there was anybody to hear it or not.
    pub(super) calls: BTreeMap<&'static str, u32>,
}

impl Mortal {
    pub(super) fn new() -> Arc<Self> {
        let state = State { stands: true, lives: true, ..State::default() };
        Arc::new(Self(watch::Sender::new(state)))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        self.0.send_modify(change);
    }

    pub(super) fn state(&self) -> State {
        self.0.borrow().clone()
    }

    /// Its process dies, with every call that is under way. The work goes on.
    pub(super) fn die(&self) {
        self.change(|state| {
            (state.stands, state.lives) = (false, false);
            state.deaths += 1;
        });
    }

    fn called(&self, verb: &'static str) -> Result<u32, Error> {
        self.change(|state| *state.calls.entry(verb).or_default() += 1);
        let state = self.0.borrow();
        let down = || Error::new(ErrorKind::Refused, "its process is not up");
        state.lives.then_some(state.deaths).ok_or_else(down)
    }

    fn answer<T: Send + 'static>(
        &self,
        verb: &'static str,
        answer: impl FnOnce(&mut State) -> T,
    ) -> Answer<'static, T> {
        let answer = self.called(verb).map(|_| {
            let mut given = None;
            self.change(|state| given = Some(answer(state)));
            given.expect("it was asked")
        });
        Box::pin(async move { answer })
    }

    /// An answer to a question that may be on its way for a while.
    fn held<'a, T: Send + 'static>(
        &'a self,
        verb: &'static str,
        answer: impl FnOnce(&mut State) -> T + Send + 'a,
    ) -> Answer<'a, T> {
        self.change(|state| *state.calls.entry(verb).or_default() += 1);
        Box::pin(async {
            let mut state = self.0.subscribe();
            drop(state.wait_for(|state| !state.holds).await.expect("it is there"));
            self.answer("arrived", answer).await
        })
    }
}

impl Mortal {
    /// Dies, if that is what it dies of.
    fn survive(&self, verb: &'static str, job: &str) -> Result<(), Error> {
        if self.state().deadly.contains(&(verb, job.to_owned())) {
            self.die();
            return Err(Error::new(ErrorKind::Crashed, "its process died"));
        }
        Ok(())
    }
}

/// Somebody who is waited for, as long as somebody waits.
struct Watch<'a>(&'a Mortal, &'a str);

impl<'a> Watch<'a> {
    fn of(mortal: &'a Mortal, job: &'a str) -> Self {
        mortal.change(|state| assert!(state.watched.insert(job.to_owned()), "{job}, twice"));
        Self(mortal, job)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.change(|state| assert!(state.watched.remove(self.1)));
    }
}

impl HostedExecutor for Mortal {
    fn name(&self) -> &str {
        "here"
    }

    fn plugin(&self) -> &str {
        "mortal"
    }

    fn standing(&self) -> Standing {
        if self.0.borrow().stands { Standing::Ready } else { Standing::Restarting(Moment::now()) }
    }

    fn answers(&self) -> bool {
        self.standing().answers()
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn facts(&self) -> Option<Facts> {
        Some(Facts { reattach: true, ..Facts::default() })
    }

    fn submit<'a>(&'a self, job: &'a Job) -> Answer<'a, Option<Handle>> {
        let id = job.job_id.clone();
        self.held("submit", |state| {
            state.work.insert(id);
            None
        })
    }

    fn wait<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Ended> {
        let called = self.called("wait");
        Box::pin(async move {
            let deaths = called?;
            let mut state = self.0.subscribe();
            let watch = Watch::of(self, &attempt.job_id);
            let ends =
                |state: &State| state.deaths > deaths || state.ended.contains(&attempt.job_id);
            let crashed = state.wait_for(ends).await.expect("it is there").deaths > deaths;
            drop(watch);
            if crashed {
                return Err(Error::new(ErrorKind::Crashed, "its process died"));
            }
            Ok(Ended { ending: Ending::succeeded(&())?, log_tail: String::new() })
        })
    }

    fn cancel<'a>(&'a self, attempt: &'a Attempt, _: Duration) -> Answer<'a, Work> {
        Box::pin(async {
            self.answer("cancel", |_| ()).await?;
            self.survive("cancel", &attempt.job_id)?;
            self.change(|state| {
                state.work.remove(&attempt.job_id);
            });
            Ok(Work::Gone)
        })
    }

    fn recover<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, Vec<Verdict>> {
        let verdicts = self.held("recover", |state| {
            let found = |attempt: &Attempt| {
                if state.work.contains(&attempt.job_id) { Found::Here } else { Found::Gone }
            };
            let verdict = |attempt: &Attempt| Verdict {
                attempt_tag: attempt.attempt_tag.clone(),
                found: found(attempt),
            };
            attempts.iter().map(verdict).collect()
        });
        Box::pin(async {
            let verdicts = verdicts.await?;
            attempts.iter().try_for_each(|one| self.survive("recover", &one.job_id))?;
            Ok(verdicts)
        })
    }

    fn forget<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, ()> {
        self.answer("forget", |state| state.work.retain(|job| *job != attempt.job_id))
    }

    fn locality(&self) -> Answer<'_, Option<String>> {
        self.answer("locality", |_| None)
    }

    fn validate_job<'a>(&'a self, _: &'a JobShape) -> Answer<'a, ()> {
        self.answer("validate_job", |_| ())
    }

    fn retain<'a>(&'a self, _: &'a [Attempt]) -> Answer<'a, ()> {
        self.answer("retain", |_| ())
    }

    fn logs<'a>(&'a self, _: &'a Attempt, offset: u64) -> Answer<'a, LogChunk> {
        let said = LogChunk { offset, next_offset: offset, text: String::new(), end: true };
        self.answer("logs", |_| said)
    }

    fn health(&self) -> Answer<'_, ()> {
        self.answer("health", |_| ())
    }

    fn stop(&self, _: Duration) -> Answer<'_, ()> {
        self.answer("stop", |_| ())
    }
}
