//! One configured executor, whatever becomes of its plugin: the generation that takes jobs, those that
//! end theirs, and one that may take over.

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use futures_util::future::join_all;
use longshore_plugin_api::{
    Attempt, Ended, Error, ErrorKind, Facts, Handle, Job, JobShape, LogChunk, Verdict, Work,
};
use tokio::sync::watch;

use super::{
    BoxFuture, Events, HostedExecutor, Standing,
    candidate::Candidate,
    executor::Answer,
    generation::{Generation, Status},
    opening::{Wanted, Workshop},
    problem::{Code, PluginProblem},
    supervisor::Ask,
    verbs::Verbs,
};
use crate::clock;

/// A configured executor.
pub(super) struct Hosted {
    pub(super) wanted: Arc<Wanted>,
    workshop: Arc<Workshop>,
    events: Arc<dyn Events>,
    generations: RwLock<Generations>,
    /// Counts how often `current` was another one.
    swaps: watch::Sender<u64>,
}

#[derive(Default)]
struct Generations {
    /// What new jobs go to.
    current: Option<Arc<Generation>>,
    /// What is to take its place once it is up.
    next: Option<Arc<Generation>>,
    /// What still has jobs.
    draining: Vec<Arc<Generation>>,
    /// Why there is none, and since when; milliseconds UTC.
    absent: Option<(PluginProblem, i64)>,
    /// Whether nothing is started any more.
    closed: bool,
}

/// One generation, as it stands.
pub(super) struct Snapshot {
    pub(super) candidate: Arc<Candidate>,
    pub(super) status: Status,
    /// How many it has.
    pub(super) jobs: usize,
}

impl Hosted {
    /// Starts with a candidate, or with the reason why there is none.
    pub(super) fn start(
        wanted: Wanted,
        first: Result<Arc<Candidate>, PluginProblem>,
        workshop: Arc<Workshop>,
        events: Arc<dyn Events>,
    ) -> Arc<Self> {
        let this = Arc::new(Self {
            wanted: Arc::new(wanted),
            workshop,
            events,
            generations: RwLock::default(),
            swaps: watch::channel(0).0,
        });
        match first {
            Ok(candidate) => this.replace(&candidate),
            Err(problem) => {
                let executor = &*this.wanted.executor;
                tracing::warn!(executor, code = %problem.code, "executor `{executor}` is not used: {problem}");
                this.write(|generations| generations.absent = Some((problem, clock::wall_ms())));
            }
        }
        this
    }

    /// Waits until it takes jobs, or says why not.
    pub(super) async fn settled(&self) -> Result<(), PluginProblem> {
        let (current, absent) = {
            let generations = self.read();
            (generations.current.clone(), generations.absent.clone())
        };
        match (current, absent) {
            (Some(current), _) => current.settled().await,
            (None, Some((problem, _))) => Err(problem),
            (None, None) => Ok(()),
        }
    }

    /// Another content of its plugin is there. It takes over once it is up; until then, and if it never
    /// is, the one that runs goes on.
    pub(super) fn replace(self: &Arc<Self>, candidate: &Arc<Candidate>) {
        let digest = |one: &Arc<Generation>| one.candidate.digest == candidate.digest;
        // What starts again was up before.
        let runs = |one: &Arc<Generation>| match one.standing() {
            Standing::Ready | Standing::Hung | Standing::Restarting(_) => true,
            Standing::Starting => one.status().facts.is_some(),
            _ => false,
        };
        let next = self.write(|generations| {
            // The host ends.
            if generations.closed {
                return None;
            }
            // The one that runs, again: what was to take its place is gone.
            if generations.current.as_ref().is_some_and(|current| digest(current) && runs(current))
            {
                retire(generations.next.take());
                return None;
            }
            if generations.next.as_ref().is_some_and(digest) {
                return None;
            }
            let next = Arc::new(Generation::start(
                Arc::clone(&self.wanted),
                Arc::clone(candidate),
                Arc::clone(&self.workshop),
                Arc::clone(&self.events),
            ));
            generations.absent = None;
            retire(generations.next.replace(Arc::clone(&next)));
            Some(next)
        });
        let Some(next) = next else { return };
        // What does not run is not waited for.
        if !self.read().current.as_ref().is_some_and(runs) {
            return self.promote(&next);
        }
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut status = next.watch();
            loop {
                match next.standing() {
                    Standing::Stopped => return,
                    Standing::Ready => {
                        let Some(this) = this.upgrade() else { return };
                        if this.take_over(&next) {
                            return;
                        }
                    }
                    _ => {}
                }
                if status.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Its file is gone: no new jobs, and the ones that it has go on.
    pub(super) fn retire(&self, why: PluginProblem) {
        self.write(|generations| {
            retire(generations.next.take());
            let current = generations.current.take();
            current.into_iter().for_each(|current| drain(generations, current));
            generations.absent = Some((why, clock::wall_ms()));
        });
        self.swapped();
    }

    /// Lets it try again at once, whatever it waits for.
    pub(super) fn release(&self) {
        let generations = self.read();
        for generation in generations.current.iter().chain(&generations.next) {
            generation.ask(Ask::Released);
        }
    }

    /// Every generation that there is, the one that takes jobs first.
    pub(super) fn snapshot(&self) -> Vec<Snapshot> {
        let generations = self.read();
        let all = generations.current.iter().chain(&generations.next).chain(&generations.draining);
        let all = all.filter(|one| one.standing() != Standing::Stopped);
        let snapshot = |one: &Arc<Generation>| Snapshot {
            candidate: Arc::clone(&one.candidate),
            status: one.status(),
            jobs: one.held.len(),
        };
        all.map(snapshot).collect()
    }

    /// Why there is none that takes jobs, and since when; milliseconds UTC.
    pub(super) fn absence(&self) -> Option<(PluginProblem, i64)> {
        self.read().absent.clone()
    }

    /// The contents that are in use.
    pub(super) fn digests(&self) -> Vec<String> {
        self.snapshot().into_iter().map(|one| one.candidate.digest.clone()).collect()
    }

    /// A newer version is up: it takes over, unless it is another kind of executor. Says whether that
    /// is decided.
    fn take_over(&self, next: &Arc<Generation>) -> bool {
        let now = self.read().current.as_ref().and_then(|current| current.status().facts);
        let then = next.status().facts;
        if let (Some(now), Some(then)) = (now, then)
            && let Some(step) = step_down(&now, &then)
        {
            let executor = &self.wanted.executor;
            let message = format!(
                "executor `{executor}`: the new file {step} than the one that runs; restart the host \
                 to take it"
            );
            let note = &next.candidate.note;
            let problem = PluginProblem::new(Code::StepDown, message)
                .plugin(&note.name)
                .file(&next.candidate.file);
            next.ask(Ask::Refused(problem));
            return false;
        }
        self.promote(next);
        true
    }

    fn promote(&self, next: &Arc<Generation>) {
        let took = self.write(|generations| {
            // Something newer has come meanwhile.
            if !generations.next.as_ref().is_some_and(|one| Arc::ptr_eq(one, next)) {
                return false;
            }
            let before = generations.current.take();
            generations.current = generations.next.take();
            before.into_iter().for_each(|before| drain(generations, before));
            true
        });
        if took {
            self.swapped();
        }
    }

    fn swapped(&self) {
        self.swaps.send_modify(|count| *count += 1);
    }

    fn current(&self) -> Option<Arc<Generation>> {
        self.read().current.clone()
    }

    /// The one that takes new jobs.
    fn up(&self) -> Result<(Arc<Generation>, Arc<Verbs>), Error> {
        let current = self.current();
        current.and_then(|one| Some((Arc::clone(&one), one.up()?))).ok_or_else(|| self.not_up())
    }

    /// The one that takes this job, and has it from now on.
    fn taker(&self, job: &Job) -> Result<(Arc<Generation>, Arc<Verbs>), Error> {
        // Another try where one has been replaced between the two lines.
        for _ in 0..3 {
            let (generation, verbs) = self.up()?;
            // Entered first, then looked: the supervisor looks the other way round before it ends one
            // that is drained.
            generation.held.enter(&job.attempt_tag, &job.job_id);
            if generation.standing().takes_jobs() {
                return Ok((generation, verbs));
            }
            generation.leave(&job.attempt_tag);
        }
        Err(self.not_up())
    }

    /// The one that has this attempt; else the one that would find it.
    fn holder(&self, attempt: &Attempt) -> Result<(Arc<Generation>, Arc<Verbs>), Error> {
        let holder = {
            let generations = self.read();
            let mut old = generations.draining.iter();
            old.find(|one| one.held.has(&attempt.attempt_tag)).cloned()
        };
        match holder.and_then(|one| Some((Arc::clone(&one), one.up()?))) {
            Some(holder) => Ok(holder),
            None => self.up(),
        }
    }

    fn not_up(&self) -> Error {
        let (executor, standing) = (&self.wanted.executor, self.standing().word());
        Error::new(ErrorKind::Refused, format!("executor `{executor}` is {standing}"))
    }

    async fn recover_each(&self, attempts: &[Attempt]) -> Result<Vec<Verdict>, Error> {
        let mut shares: Vec<(Arc<Generation>, Arc<Verbs>, Vec<Attempt>)> = Vec::new();
        for attempt in attempts {
            // Nobody can say anything of it now.
            let Ok((generation, verbs)) = self.holder(attempt) else { continue };
            match shares.iter_mut().find(|(one, ..)| Arc::ptr_eq(one, &generation)) {
                Some((.., share)) => share.push(attempt.clone()),
                None => shares.push((generation, verbs, vec![attempt.clone()])),
            }
        }
        if shares.is_empty() && !attempts.is_empty() {
            return Err(self.not_up());
        }
        let asking = shares.iter().map(async |(generation, verbs, share)| {
            let alone = if let [alone] = &share[..] { Some(alone) } else { None };
            let visitor = alone.map(|alone| Visitor::enter(generation, alone));
            let answer = verbs.recover(share).await;
            visitor.into_iter().for_each(|visitor| visitor.leave(&answer));
            let verdicts = answer?;
            for attempt in share {
                let gone = verdicts.iter().any(|one| {
                    one.attempt_tag == attempt.attempt_tag
                        && one.found == longshore_plugin_api::Found::Gone
                });
                if gone {
                    generation.leave(&attempt.attempt_tag);
                }
            }
            Ok(verdicts)
        });
        // One that does not answer leaves its own share unknown, and no other.
        let answers: Vec<Result<Vec<Verdict>, Error>> = join_all(asking).await;
        if answers.iter().all(Result::is_err)
            && let Some(Err(error)) = answers.iter().find(|answer| answer.is_err())
        {
            return Err(error.clone());
        }
        Ok(answers.into_iter().flatten().flatten().collect())
    }

    fn read(&self) -> RwLockReadGuard<'_, Generations> {
        self.generations.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, change: impl FnOnce(&mut Generations) -> T) -> T {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        generations.draining.retain(|one| one.standing() != Standing::Stopped);
        change(&mut generations)
    }
}

/// An attempt that is asked about, or stopped, by itself: if that kills the process, it is known who was
/// there.
struct Visitor<'a> {
    generation: &'a Generation,
    tag: &'a str,
    new: bool,
}

impl<'a> Visitor<'a> {
    fn enter(generation: &'a Generation, attempt: &'a Attempt) -> Self {
        let tag = &*attempt.attempt_tag;
        Self { generation, tag, new: generation.held.keep(tag, &attempt.job_id) }
    }

    fn leave<T>(mut self, answer: &Result<T, Error>) {
        // Who was there at a death is the supervisor's to find, and to take out.
        self.new &= !answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Crashed);
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        if self.new {
            self.generation.leave(self.tag);
        }
    }
}

fn retire(generation: Option<Arc<Generation>>) {
    if let Some(generation) = generation {
        generation.ask(Ask::Replaced);
    }
}

fn drain(generations: &mut Generations, before: Arc<Generation>) {
    before.ask(Ask::Replaced);
    generations.draining.push(before);
}

/// In what a newer version is less than the one that runs, so that jobs that were routed to the one
/// must not go to the other.
fn step_down(now: &Facts, then: &Facts) -> Option<&'static str> {
    if then.isolation < now.isolation {
        Some("isolates its jobs less")
    } else if then.remote_execution != now.remote_execution {
        Some("runs its jobs elsewhere")
    } else if then.scope != now.scope {
        Some("reaches otherwise")
    } else if then.reattach != now.reattach {
        Some("keeps its jobs over a restart otherwise")
    } else {
        None
    }
}

impl HostedExecutor for Hosted {
    fn name(&self) -> &str {
        &self.wanted.executor
    }

    fn plugin(&self) -> &str {
        &self.wanted.config.plugin
    }

    fn standing(&self) -> Standing {
        self.read().current.as_ref().map_or(Standing::Absent, |current| current.standing())
    }

    fn answers(&self) -> bool {
        let generations = self.read();
        let mut all = generations.current.iter().chain(&generations.draining);
        all.any(|one| one.standing().answers())
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        // Both are listened to before anybody asks how it stands.
        let mut swaps = self.swaps.subscribe();
        let current = self.current().map(|current| current.watch());
        Box::pin(async move {
            let current = async move {
                let Some(mut status) = current else { return std::future::pending().await };
                // It has ended, and another one takes its place or none.
                if status.changed().await.is_err() {
                    std::future::pending().await
                }
            };
            tokio::select! {
                _ = swaps.changed() => {}
                () = current => {}
            }
        })
    }

    fn facts(&self) -> Option<Facts> {
        let generations = self.read();
        generations.current.iter().chain(&generations.draining).find_map(|one| one.status().facts)
    }

    fn locality(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { self.up()?.1.locality().await })
    }

    fn validate_job<'a>(&'a self, job: &'a JobShape) -> Answer<'a, ()> {
        Box::pin(async { self.up()?.1.validate_job(job).await })
    }

    fn submit<'a>(&'a self, job: &'a Job) -> Answer<'a, Option<Handle>> {
        Box::pin(async {
            let (generation, verbs) = self.taker(job)?;
            let answer = verbs.submit(job).await;
            // It was not sent.
            if matches!(&answer, Err(error) if error.kind == ErrorKind::Refused) {
                generation.leave(&job.attempt_tag);
            }
            answer
        })
    }

    fn wait<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Ended> {
        Box::pin(async {
            let (generation, verbs) = self.holder(attempt)?;
            // One that an earlier process began.
            generation.held.keep(&attempt.attempt_tag, &attempt.job_id);
            let ended = verbs.wait(attempt).await;
            if ended.is_ok() {
                generation.held.ended(&attempt.attempt_tag);
            }
            ended
        })
    }

    fn cancel<'a>(&'a self, attempt: &'a Attempt, grace: Duration) -> Answer<'a, Work> {
        Box::pin(async move {
            let (generation, verbs) = self.holder(attempt)?;
            let visitor = Visitor::enter(&generation, attempt);
            let answer = verbs.cancel(attempt, grace).await;
            visitor.leave(&answer);
            answer
        })
    }

    fn recover<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(self.recover_each(attempts))
    }

    fn forget<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, ()> {
        Box::pin(async {
            let (generation, verbs) = self.holder(attempt)?;
            let answer = verbs.forget(attempt).await;
            // Nobody asks for it again, whatever the answer.
            generation.leave(&attempt.attempt_tag);
            answer
        })
    }

    fn retain<'a>(&'a self, attempts: &'a [Attempt]) -> Answer<'a, ()> {
        Box::pin(async { self.up()?.1.retain(attempts).await })
    }

    fn logs<'a>(&'a self, attempt: &'a Attempt, offset: u64) -> Answer<'a, LogChunk> {
        Box::pin(async move { self.holder(attempt)?.1.logs(attempt, offset).await })
    }

    fn health(&self) -> Answer<'_, ()> {
        Box::pin(async { self.up()?.1.health().await })
    }

    /// Ends every generation.
    fn stop(&self, grace: Duration) -> Answer<'_, ()> {
        Box::pin(async move {
            let all: Vec<_> = {
                let mut generations =
                    self.generations.write().unwrap_or_else(PoisonError::into_inner);
                generations.closed = true;
                let rest = generations.next.iter().chain(&generations.draining);
                generations.current.iter().chain(rest).cloned().collect()
            };
            join_all(all.iter().map(|one| one.stop(grace))).await.into_iter().collect()
        })
    }
}

impl std::fmt::Debug for Hosted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hosted")
            .field("executor", &self.wanted.executor)
            .field("standing", &self.standing())
            .finish_non_exhaustive()
    }
}
