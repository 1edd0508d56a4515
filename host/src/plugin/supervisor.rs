//! Keeps one generation of an executor up. One task owns its process, its ledger and its standing, so
//! that a restart, a kill and an end never meet; what follows on what is `standing::next`.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use longshore_plugin_api::{Error, wire::Verb};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Standing,
    generation::{Maker, Status},
    held::Held,
    ledger::Ledger,
    opening::{Trouble, Up, Workshop},
    problem::{Code, PluginProblem},
    runner::{Death, Why},
    standing::{Act, Event, next},
    watchdog::STRIKES,
};
use crate::{
    backoff::Backoff,
    clock::{self, Moment},
    config::PluginIsolation,
};

/// What others ask of it.
#[derive(Debug)]
pub(super) enum Ask {
    /// A call was given up, the so-manieth of that verb in a row.
    Overran { verb: Verb, strikes: u32 },
    /// `health` was answered after overruns.
    Answered,
    /// It holds no job any more.
    Emptied,
    /// A person lets it try again.
    Released,
    /// Another generation has taken its place.
    Replaced,
    /// It is up, and not wanted as it is.
    Refused(PluginProblem),
    /// It is to end, and to say when it has.
    Stop { grace: Duration, done: oneshot::Sender<Result<(), Error>> },
}

/// How long what may pass by itself is waited for.
const TRY_AGAIN: Backoff =
    Backoff { base_delay: Duration::from_secs(1), max_delay: Duration::from_secs(60) };
/// How long one that is not needed any more may take to end.
const LAST_GRACE: Duration = Duration::from_secs(5);

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) struct Supervisor {
    maker: Maker,
    asks: mpsc::UnboundedReceiver<Ask>,
    status: watch::Sender<Status>,
    held: Arc<Held>,
    ledger: Ledger,
    /// How often in a row it was refused for what may pass.
    refusals: u32,
    /// Whether loading it was the end of its process the last time.
    suspect: bool,
    making: Option<Task<Result<Up, Trouble>>>,
    /// A question whether it is alive, and the verb that gave the reason.
    question: Option<(Verb, Task<bool>)>,
    up: Option<Up>,
    /// How long it may take to end, and what it said to that.
    grace: Duration,
    farewell: Result<(), Error>,
    /// The verb that it did not answer last.
    overran: Option<Verb>,
}

impl Supervisor {
    fn standing(&self) -> Standing {
        self.status.borrow().standing
    }
}

impl Supervisor {
    pub(super) fn new(
        maker: Maker,
        asks: mpsc::UnboundedReceiver<Ask>,
        status: watch::Sender<Status>,
        held: Arc<Held>,
    ) -> Self {
        let ledger = Ledger::new(maker.wanted.config.restart);
        Self {
            maker,
            asks,
            status,
            held,
            ledger,
            refusals: 0,
            suspect: false,
            making: None,
            question: None,
            up: None,
            grace: LAST_GRACE,
            farewell: Ok(()),
            overran: None,
        }
    }

    /// Until it has ended for good.
    pub(super) async fn run(mut self) {
        let _counted = Counted::one(&self.maker.workshop);
        self.making = Some(self.maker.make(self.suspect));
        while self.standing() != Standing::Stopped {
            let happened = self.happened().await;
            self.take(happened).await;
        }
    }

    async fn happened(&mut self) -> Happened {
        let again = self.standing().again();
        tokio::select! {
            biased;
            // The sender is in the generation: without one, nobody needs this any more.
            ask = self.asks.recv() => match ask {
                Some(ask) => Happened::Asked(ask),
                None => Happened::Asked(Ask::Stop { grace: LAST_GRACE, done: oneshot::channel().0 }),
            },
            death = died(self.up.as_ref()) => Happened::Died(death),
            made = if_any(&mut self.making) => Happened::Made(Box::new(made)),
            (verb, alive) = answer(&mut self.question) => Happened::Told { verb, alive },
            () = due(again) => Happened::Due,
        }
    }

    async fn take(&mut self, happened: Happened) {
        match happened {
            Happened::Made(made) => self.made(*made).await,
            Happened::Died(death) => self.died(&death).await,
            Happened::Told { alive: true, .. } => {}
            Happened::Told { verb, alive: false } => self.overran(verb).await,
            Happened::Due => self.on(Event::Due, None).await,
            Happened::Asked(Ask::Overran { verb, strikes }) => {
                let in_a_row = strikes >= STRIKES;
                if in_a_row && !is_anybodys(verb) {
                    self.overran(verb).await;
                } else if (in_a_row || needs_a_question(verb)) && self.question.is_none() {
                    self.question = self.up.as_ref().map(|up| {
                        let verbs = Arc::clone(&up.verbs);
                        let ask: Task<bool> = Box::pin(async move { verbs.is_alive().await });
                        (verb, ask)
                    });
                }
            }
            Happened::Asked(Ask::Answered) if self.standing() == Standing::Hung => {
                self.on(Event::Answered, None).await;
            }
            Happened::Asked(Ask::Answered) => {}
            Happened::Asked(Ask::Emptied) => self.drained().await,
            Happened::Asked(Ask::Released) => {
                self.ledger.clear();
                self.suspect = false;
                self.maker.forget_verdict();
                self.on(Event::Released, None).await;
            }
            Happened::Asked(Ask::Replaced) => {
                self.on(Event::Replaced, None).await;
                self.drained().await;
            }
            Happened::Asked(Ask::Refused(problem)) => {
                self.on(Event::Refused(None), Some(problem)).await;
            }
            Happened::Asked(Ask::Stop { grace, done }) => {
                self.grace = grace;
                self.on(Event::Stop, None).await;
                // Nobody may be waiting any more.
                let _ = done.send(std::mem::replace(&mut self.farewell, Ok(())));
            }
        }
    }

    async fn made(&mut self, made: Result<Up, Trouble>) {
        self.making = None;
        match made {
            Ok(mut up) => {
                self.refusals = 0;
                self.suspect = false;
                let suspicion = up.suspicion.take();
                self.up = Some(up);
                self.on(Event::Up, suspicion).await;
            }
            Err(Trouble::Refused { problem, retryable }) => {
                self.refusals = self.refusals.saturating_add(1);
                // What was up with this file and these settings can be again, whatever it says now: a
                // busy machine, a program that was away, somebody's `kill` of its child.
                let was_up = self.status.borrow().facts.is_some();
                let again = (retryable || was_up).then(|| TRY_AGAIN.delay(self.refusals, 0.0));
                self.on(Event::Refused(again), Some(problem)).await;
            }
            Err(Trouble::Died(problem)) => self.fell(problem).await,
            Err(Trouble::DiedLoading(problem)) => {
                self.suspect = true;
                self.fell(problem).await;
            }
        }
    }

    async fn died(&mut self, death: &Death) {
        let executor = &self.maker.wanted.executor;
        let message = format!("executor `{executor}`: its process {death}");
        // Its last words may be anything.
        let message =
            self.up.as_ref().map_or_else(|| message.clone(), |up| up.verbs.redact(&message));
        let problem = self.maker.problem(death.code(), message);
        self.fell(problem).await;
    }

    async fn fell(&mut self, mut problem: PluginProblem) {
        self.up = None;
        self.question = None;
        if self.held.any_ended() {
            self.ledger.clear();
        }
        let running = self.held.lose();
        problem.message.push_str(&ran(&running));
        let now = Moment::now();
        let aftermath = self.ledger.died(now, &running);
        let deaths = self.ledger.count(now);
        // Told with what follows.
        self.status.send_if_modified(|status| {
            status.deaths = deaths;
            false
        });
        self.on(Event::Died(aftermath), Some(problem)).await;
    }

    async fn overran(&mut self, verb: Verb) {
        self.overran = Some(verb);
        let problem = self.maker.problem(
            Code::Hung,
            format!("executor `{}` does not answer `{}`", self.maker.wanted.executor, verb.name()),
        );
        self.on(Event::Overran, Some(problem)).await;
    }

    async fn drained(&mut self) {
        if self.standing() == Standing::Draining && self.held.len() == 0 {
            self.on(Event::Drained, None).await;
        }
    }

    async fn on(&mut self, event: Event, problem: Option<PluginProblem>) {
        let before = self.standing();
        let isolated = self.maker.wanted.config.isolation == PluginIsolation::Process;
        let (standing, act) = next(Moment::now(), before, event, isolated);
        let problem = match problem {
            Some(last) if standing == Standing::Quarantined => Some(self.quarantined(&last)),
            problem => problem,
        };
        if let Some(problem) = &problem {
            self.tell(standing, problem);
        }
        match act {
            Act::Nothing => {}
            Act::Start => self.making = Some(self.maker.make(self.suspect)),
            Act::Kill => {
                let live = self.up.as_ref().and_then(|up| up.live.as_ref());
                if let (Some(live), Some(verb)) = (live, self.overran) {
                    live.kill(Why::Overran(verb));
                }
            }
            Act::End => self.end().await,
        }
        // What hangs is still asked how it is: an answer brings it back.
        let up = self.up.as_ref().map(|up| Arc::clone(&up.verbs));
        let pid = self.up.as_ref().and_then(|up| Some(up.live.as_ref()?.pid()));
        let mut old = None;
        self.status.send_if_modified(|status| {
            let news = before != standing || problem.is_some() || pid != status.pid;
            if before != standing {
                (status.standing, status.since) = (standing, clock::wall_ms());
            }
            if problem.is_some() {
                status.problem = problem;
            }
            if let Some(up) = &up {
                status.facts = Some(up.facts.clone());
            }
            status.pid = pid;
            // Not dropped under the lock.
            old = std::mem::replace(&mut status.up, up);
            news
        });
        drop(old);
        if before != standing && standing == Standing::Ready {
            self.maker.say_ready();
        }
    }

    fn quarantined(&self, last: &PluginProblem) -> PluginProblem {
        let (executor, deaths) = (&self.maker.wanted.executor, self.status.borrow().deaths);
        let message = format!(
            "{}; it died {deaths} times, so it is left alone until another file takes its place or \
             `longshore plugin release {executor}` lets it try again",
            last.message
        );
        self.maker.problem(Code::Quarantined, message)
    }

    /// Says what happened and what follows.
    fn tell(&self, standing: Standing, problem: &PluginProblem) {
        let (executor, code) = (&*self.maker.wanted.executor, problem.code);
        match standing {
            Standing::Restarting(at) => {
                tracing::warn!(executor, %code, "{problem}; it is started again in {:?}", at.remaining());
            }
            Standing::Failed(Some(at)) => {
                tracing::warn!(executor, %code, "executor `{executor}` is not used: {problem}; tried again in {:?}", at.remaining());
            }
            Standing::Failed(None) => {
                tracing::warn!(executor, %code, "executor `{executor}` is not used: {problem}");
            }
            Standing::Quarantined => tracing::error!(executor, %code, "{problem}"),
            _ => tracing::warn!(executor, %code, "{problem}"),
        }
    }

    /// Ends it in order: `stop`, then its process.
    async fn end(&mut self) {
        // A process that is being made dies with its last handle.
        self.making = None;
        let Some(up) = self.up.take() else { return };
        self.farewell = up.verbs.stop(self.grace).await;
        if let Err(error) = &self.farewell {
            let executor = &*self.maker.wanted.executor;
            tracing::warn!(executor, %error, "executor did not stop well");
        }
        up.verbs.transport.ended();
        if let Some(live) = up.live {
            live.end(LAST_GRACE).await;
        }
    }
}

/// What a process was doing when it died.
fn ran(jobs: &[String]) -> String {
    /// More than these nobody reads.
    const NAMED: usize = 3;
    let named =
        jobs.iter().take(NAMED).map(|job| format!("`{job}`")).collect::<Vec<_>>().join(", ");
    match jobs.len() {
        0 => String::new(),
        1 => format!("; it was running job {named}"),
        2..=NAMED => format!("; it was running jobs {named}"),
        more => format!("; it was running jobs {named} and {} more", more - NAMED),
    }
}

/// How many supervisors a registry has.
#[derive(Debug)]
pub(super) struct Running(watch::Sender<usize>);

impl Default for Running {
    fn default() -> Self {
        Self(watch::channel(0).0)
    }
}

impl Running {
    /// Waits until there is none, at most that long: a process that ends must not leave them behind.
    pub(super) async fn none(&self, limit: Duration) {
        let mut running = self.0.subscribe();
        if tokio::time::timeout(limit, running.wait_for(|count| *count == 0)).await.is_err() {
            tracing::warn!("not every executor ended within {limit:?}");
        }
    }
}

/// One of them, for as long as it runs.
struct Counted(Arc<Workshop>);

impl Counted {
    fn one(workshop: &Arc<Workshop>) -> Self {
        workshop.running.0.send_modify(|count| *count += 1);
        Self(Arc::clone(workshop))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.running.0.send_modify(|count| *count -= 1);
    }
}

enum Happened {
    Made(Box<Result<Up, Trouble>>),
    Died(Arc<Death>),
    Told { verb: Verb, alive: bool },
    Due,
    Asked(Ask),
}

/// A verb whose silence is worth a question at once. Others may be slow: they count.
const fn needs_a_question(verb: Verb) -> bool {
    matches!(verb, Verb::Health | Verb::Recover | Verb::Cancel)
}

/// A verb that users cause: how often it is silent is in their hands.
const fn is_anybodys(verb: Verb) -> bool {
    matches!(verb, Verb::ValidateJob | Verb::Logs)
}

async fn died(up: Option<&Up>) -> Arc<Death> {
    match up.and_then(|up| up.live.as_ref()) {
        Some(live) => live.died().await,
        None => std::future::pending().await,
    }
}

async fn if_any<T>(task: &mut Option<Task<T>>) -> T {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

/// The answer to the question, which is then asked no more.
async fn answer(question: &mut Option<(Verb, Task<bool>)>) -> (Verb, bool) {
    let Some((verb, task)) = question else { return std::future::pending().await };
    let answer = (*verb, task.await);
    *question = None;
    answer
}

async fn due(at: Option<Moment>) {
    match at {
        Some(at) => at.reached().await,
        None => std::future::pending().await,
    }
}
