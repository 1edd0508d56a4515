//! What the host asks, and what is answered: one thread that never waits for the plugin.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use longshore_plugin_api::{Error, wire::Verb};
use tokio::task::AbortHandle;

use super::{
    outbox::{Event, Outbox},
    source::Source,
};
use crate::{
    clock::Moment,
    plugin::{
        problem::{Code, PluginProblem},
        runner::{
            channel::{self, Channel, Unsent},
            frame::{Frame, Kind, Violation},
            message::{Load, Loaded, Refusal, failure},
        },
    },
};

/// Serves the host until it closes its end.
pub(super) async fn serve<S: Source>(
    source: Arc<S>,
    channel: Arc<Channel>,
) -> Result<(), Violation> {
    let runner = Arc::new(Runner {
        source,
        channel,
        outbox: Outbox::new(),
        executor: OnceLock::new(),
        calls: Mutex::default(),
    });
    let mut packet = channel::packet();
    loop {
        tokio::select! {
            frame = runner.channel.receive(&mut packet) => match frame? {
                Some(frame) => runner.take(frame)?,
                None => break,
            },
            event = runner.outbox.next() => runner.tell(event),
            // The host has gone; the end of file says so too.
            _ = runner.channel.pump() => break,
        }
    }
    runner.part();
    Ok(())
}

struct Runner<S: Source> {
    source: Arc<S>,
    channel: Arc<Channel>,
    outbox: Arc<Outbox>,
    executor: OnceLock<S::Executor>,
    calls: Mutex<HashMap<u64, AbortHandle>>,
}

impl<S: Source> Runner<S> {
    fn take(self: &Arc<Self>, frame: Frame) -> Result<(), Violation> {
        let Frame { kind, verb, id, payload } = frame;
        match (kind, verb) {
            (Kind::Call, Some(verb)) => self.call(id, verb, payload),
            (Kind::Drop, _) => {
                // Gone where the answer was faster. Every call is answered once, so that the host can
                // tell a late answer from one that it never asked for.
                if let Some(call) = self.calls().remove(&id) {
                    call.abort();
                    self.answer(id, Err(failure(&Error::cancelled("the host dropped the call"))));
                }
            }
            (Kind::Credit, _) => self.outbox.credit(id),
            (Kind::Load, _) => self.on_own_thread(id, move |runner| runner.load(&payload)),
            (Kind::Open, _) => self.on_own_thread(id, move |runner| runner.open(payload)),
            _ => return Err(Violation(format!("a {kind:?} to a runner"))),
        }
        Ok(())
    }

    fn call(self: &Arc<Self>, id: u64, verb: Verb, payload: String) {
        let runner = Arc::clone(self);
        let call = tokio::spawn(async move {
            let answer = match runner.executor.get() {
                Some(executor) => S::call(executor, verb, payload).await,
                None => Err(Error::internal("no executor is open")),
            };
            if verb == Verb::Stop && answer.is_ok() {
                runner.outbox.close();
            }
            // Answered already where the host has dropped the call meanwhile.
            if runner.calls().remove(&id).is_some() {
                runner.answer(id, answer.as_ref().map(AsRef::as_ref).map_err(failure));
            }
        });
        // This is the only thread on which it runs, so it has not yet.
        self.calls().insert(id, call.abort_handle());
    }

    /// Runs what may never come back, while this thread goes on reading.
    fn on_own_thread(
        self: &Arc<Self>,
        id: u64,
        run: impl FnOnce(&Self) -> Result<String, String> + Send + 'static,
    ) {
        let runner = Arc::clone(self);
        let spawned = thread::Builder::new().name("plugin-open".to_owned()).spawn(move || {
            let answer = catch_unwind(AssertUnwindSafe(|| run(&runner)))
                .unwrap_or_else(|_| Err(failure(&Error::internal("the runner panicked"))));
            runner.answer(id, answer.as_deref().map_err(String::clone));
        });
        if let Err(error) = spawned {
            let error = Error::unavailable(format!("the runner cannot have a thread: {error}"));
            self.answer(id, Err(failure(&error)));
        }
    }

    fn load(&self, payload: &str) -> Result<String, String> {
        let refuse = |problem: PluginProblem| {
            serde_json::to_string(&Refusal::from(problem)).unwrap_or_default()
        };
        let load: Load<'_> = serde_json::from_str(payload)
            .map_err(|e| refuse(PluginProblem::new(Code::Protocol, e.to_string())))?;
        let started = Moment::now();
        let description = self.source.load(&load.copy, &load.note).map_err(refuse)?;
        let loaded = Loaded { description, took: started.elapsed() };
        serde_json::to_string(&loaded)
            .map_err(|e| refuse(PluginProblem::new(Code::Describe, e.to_string())))
    }

    fn open(&self, request: String) -> Result<String, String> {
        let opened = self.source.open(self.outbox.as_host(), request);
        let (executor, facts) = opened.map_err(|e| failure(&e))?;
        let second = || failure(&Error::internal("this runner has an executor"));
        // Before the answer, which the first call follows.
        self.executor.set(executor).map_err(|_| second())?;
        serde_json::to_string(&facts).map_err(|e| failure(&Error::internal(e.to_string())))
    }

    fn answer(&self, id: u64, answer: Result<&str, String>) {
        let sent = match &answer {
            Ok(text) => self.channel.send(Kind::Answer, id, None, text),
            Err(failure) => self.channel.send(Kind::Fail, id, None, failure),
        };
        if let Err(unsent @ (Unsent::TooLong(_) | Unsent::Refused(_))) = sent {
            let error = Error::internal(format!("the answer cannot be sent: {unsent}"));
            // Then the host has gone.
            let _ = self.channel.send(Kind::Fail, id, None, &failure(&error));
        }
    }

    fn tell(&self, event: Event) {
        let (kind, payload) = event.into_frame();
        // Where the host has gone nobody misses it.
        let _ = self.channel.send(kind, 0, None, &payload);
    }

    /// Says what there still is to say, as far as it is taken at once: the process is about to end.
    fn part(&self) {
        while let Some(event) = self.outbox.try_next() {
            self.tell(event);
        }
        let _ = self.channel.flush();
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<u64, AbortHandle>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
