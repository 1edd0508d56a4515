//! One candidate, opened for one executor: from its first start to the end of its last job.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use longshore_plugin_api::{Error, Facts};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Events, Standing,
    candidate::Candidate,
    held::Held,
    opening::{Opening, Trouble, Until, Up, Wanted, Workshop},
    problem::{Code, PluginProblem},
    supervisor::{Ask, Supervisor},
    verbs::Verbs,
};
use crate::clock;

/// What is known of a generation.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) standing: Standing,
    /// Since when; milliseconds UTC.
    pub(super) since: i64,
    /// The last one; it may be over.
    pub(super) problem: Option<PluginProblem>,
    /// How often its process has died, as far as that counts.
    pub(super) deaths: usize,
    pub(super) pid: Option<u32>,
    pub(super) up: Option<Arc<Verbs>>,
    pub(super) facts: Option<Facts>,
}

#[derive(Debug)]
pub(super) struct Generation {
    pub(super) candidate: Arc<Candidate>,
    pub(super) held: Arc<Held>,
    status: watch::Receiver<Status>,
    asks: mpsc::UnboundedSender<Ask>,
}

/// Makes lives of one generation.
pub(super) struct Maker {
    pub(super) workshop: Arc<Workshop>,
    pub(super) wanted: Arc<Wanted>,
    pub(super) candidate: Arc<Candidate>,
    pub(super) events: Arc<dyn Events>,
    pub(super) asks: mpsc::WeakUnboundedSender<Ask>,
}

impl Generation {
    pub(super) fn start(
        wanted: Arc<Wanted>,
        candidate: Arc<Candidate>,
        workshop: Arc<Workshop>,
        events: Arc<dyn Events>,
    ) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let (tell, status) = watch::channel(Status {
            standing: Standing::Starting,
            since: clock::wall_ms(),
            problem: None,
            deaths: 0,
            pid: None,
            up: None,
            facts: None,
        });
        let held = Arc::new(Held::default());
        let maker = Maker {
            workshop,
            wanted,
            candidate: Arc::clone(&candidate),
            events,
            asks: asks.downgrade(),
        };
        tokio::spawn(Supervisor::new(maker, asked, tell, Arc::clone(&held)).run());
        Self { candidate, held, status, asks }
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn standing(&self) -> Standing {
        self.status.borrow().standing
    }

    /// What calls go to, whether or not it takes new jobs.
    pub(super) fn up(&self) -> Option<Arc<Verbs>> {
        self.status.borrow().up.clone()
    }

    /// Changes from now on.
    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        let mut status = self.status.clone();
        status.mark_unchanged();
        status
    }

    /// Waits until it is up, or says why it is not. An executor that is started again has said why.
    pub(super) async fn settled(&self) -> Result<(), PluginProblem> {
        let mut status = self.status.clone();
        // The sender is in the supervisor, which ends with `Stopped`.
        let settled = status.wait_for(|status| status.standing != Standing::Starting).await;
        match settled {
            Ok(status) if status.standing.answers() => Ok(()),
            Ok(status) => Err(status.problem.clone().unwrap_or_else(|| self.stopped())),
            Err(_) => Err(self.stopped()),
        }
    }

    fn stopped(&self) -> PluginProblem {
        PluginProblem::new(Code::Start, "it was stopped before it was up")
            .plugin(&self.candidate.note.name)
    }

    pub(super) fn ask(&self, ask: Ask) {
        // What has ended needs nothing.
        let _ = self.asks.send(ask);
    }

    /// Nothing of this attempt is here any more.
    pub(super) fn leave(&self, tag: &str) {
        // Left first, then looked: the supervisor looks the other way round.
        if self.held.leave(tag) && self.standing() == Standing::Draining {
            self.ask(Ask::Emptied);
        }
    }

    /// Ends it, and waits until it has.
    pub(super) async fn stop(&self, grace: Duration) -> Result<(), Error> {
        let (done, ended) = oneshot::channel();
        self.ask(Ask::Stop { grace, done });
        // Without an answer it had ended before.
        ended.await.unwrap_or(Ok(()))
    }
}

impl Maker {
    /// `suspect`: loading it was the end of its process the last time.
    pub(super) fn make(
        &self,
        suspect: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Up, Trouble>> + Send>> {
        let opening = Opening {
            workshop: Arc::clone(&self.workshop),
            wanted: Arc::clone(&self.wanted),
            candidate: Arc::clone(&self.candidate),
            events: Arc::clone(&self.events),
            asks: self.asks.clone(),
            secrets: OnceLock::new(),
            suspect,
        };
        Box::pin(opening.run(Until::Started))
    }

    pub(super) fn problem(&self, code: Code, message: String) -> PluginProblem {
        PluginProblem::new(code, message).plugin(&self.candidate.note.name)
    }

    pub(super) fn forget_verdict(&self) {
        if let Err(error) = self.workshop.verdicts.forget(&self.candidate.digest) {
            let plugin = &*self.candidate.note.name;
            tracing::warn!(plugin, %error, "cannot forget what became of it");
        }
    }

    pub(super) fn say_ready(&self) {
        let (note, executor) = (&self.candidate.note, &*self.wanted.executor);
        let (plugin, version, api) = (&*note.name, &*note.version, &*note.api);
        tracing::info!(executor, plugin, %version, %api, digest = &self.candidate.digest[..12], "executor ready");
    }
}
