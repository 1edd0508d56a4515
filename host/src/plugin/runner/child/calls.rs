//! What the host asks, and what is answered: one thread that never waits for the plugin.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use longshore_plugin_api::{Error, ErrorKind, wire::Verb};
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
            let kind = match unsent {
                // It would be as long the next time.
                Unsent::TooLong(_) => ErrorKind::Protocol,
                _ => ErrorKind::Internal,
            };
            let error = Error::new(kind, format!("the answer cannot be sent: {unsent}"));
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

#[cfg(test)]
mod tests {
    use std::{env::temp_dir, time::Duration};

    use super::{super::fake::Fake, *};

    /// A runner in this thread, and the host's end of its socket.
    fn served() -> (Channel, impl Future<Output = Result<(), Violation>>) {
        let (near, far) = channel::pair().unwrap();
        let far = Channel::new(far, temp_dir()).unwrap();
        (Channel::new(near, temp_dir()).unwrap(), serve(Arc::new(Fake), Arc::new(far)))
    }

    async fn during<T>(
        served: impl Future<Output = Result<(), Violation>>,
        host: impl Future<Output = T>,
    ) -> T {
        let patient = tokio::time::timeout(Duration::from_secs(60), host);
        tokio::select! {
            ended = served => panic!("it ended: {ended:?}"),
            answer = patient => answer.unwrap(),
        }
    }

    async fn next(host: &Channel) -> (Kind, u64, String) {
        let frame = host.receive(&mut channel::packet()).await.unwrap().unwrap();
        (frame.kind, frame.id, frame.payload)
    }

    #[tokio::test]
    async fn every_call_is_answered_once_also_one_that_was_dropped() {
        let (host, served) = served();
        during(served, async {
            host.send(Kind::Call, 1, Some(Verb::Health), "null").unwrap();
            let (kind, id, failure) = next(&host).await;
            assert_eq!((kind, id), (Kind::Fail, 1));
            assert!(failure.contains("no executor is open"), "{failure}");
            host.send(Kind::Open, 2, None, "{}").unwrap();
            assert_eq!(next(&host).await.1, 2);
            host.send(Kind::Call, 3, Some(Verb::Wait), "hang").unwrap();
            host.send(Kind::Drop, 3, None, "").unwrap();
            assert_eq!((Kind::Fail, 3), {
                let (kind, id, _) = next(&host).await;
                (kind, id)
            });
            // Answered already, and never asked.
            host.send(Kind::Drop, 3, None, "").unwrap();
            host.send(Kind::Drop, 99, None, "").unwrap();
            host.send(Kind::Open, 4, None, "{}").unwrap();
            let (kind, id, failure) = next(&host).await;
            assert_eq!((kind, id), (Kind::Fail, 4), "{failure}");
            host.send(Kind::Call, 5, Some(Verb::Wait), "echo:x").unwrap();
            assert_eq!(next(&host).await, (Kind::Answer, 5, "x".to_owned()));
        })
        .await;
    }

    #[tokio::test]
    async fn a_host_that_takes_no_events_still_gets_its_answers() {
        let (host, served) = served();
        during(served, async {
            host.send(Kind::Open, 1, None, "{}").unwrap();
            next(&host).await;
            host.send(Kind::Call, 2, Some(Verb::Wait), "log:5000").unwrap();
            host.send(Kind::Call, 3, Some(Verb::Wait), "echo:x").unwrap();
            let (mut logs, mut answers) = (0, Vec::new());
            while answers.len() < 2 {
                match next(&host).await {
                    (Kind::Log, ..) => logs += 1,
                    (_, id, _) => answers.push(id),
                }
            }
            assert_eq!(answers, [2, 3]);
            while logs < crate::plugin::runner::MAX_UNTAKEN {
                assert_eq!(next(&host).await.0, Kind::Log);
                logs += 1;
            }
            // Without credit there is no more, and other answers still come.
            host.send(Kind::Call, 4, Some(Verb::Wait), "echo:y").unwrap();
            assert_eq!(next(&host).await.1, 4);
            host.send(Kind::Credit, 1, None, "").unwrap();
            assert_eq!(next(&host).await.0, Kind::Log);
        })
        .await;
    }

    #[tokio::test]
    async fn it_ends_with_its_host_and_at_what_is_no_request() {
        let (host, served) = served();
        drop(host);
        served.await.unwrap();
        for kind in [Kind::Answer, Kind::Hello, Kind::Log] {
            let (host, served) = self::served();
            host.send(kind, 1, None, "").unwrap();
            let Violation(why) = served.await.unwrap_err();
            assert_eq!(why, format!("a {kind:?} to a runner"));
        }
    }
}
