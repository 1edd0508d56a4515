//! Between an author's executor and the ABI: verbs to methods, JSON to types, panics to errors.

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use abi_stable::std_types::{RResult, RStr, RString};
use async_ffi::{FfiFuture, FutureExt};
use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::Runtime;
use tracing::dispatcher::{self, Dispatch};

use crate::{
    Error, Executor,
    abi::{self, Answer},
    guard::{Guarded, guard},
    runtime::Task,
    wire::{self, Verb},
};

/// An executor as the host holds it.
pub(crate) struct Adapter<E> {
    executor: Arc<Held<E>>,
    surroundings: Surroundings,
}

/// What is around an author's code while it runs.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) runtime: &'static Runtime,
    pub(crate) dispatch: Dispatch,
}

impl Surroundings {
    pub(crate) fn run<T>(&self, step: &str, run: impl FnOnce() -> T) -> Result<T, Error> {
        let _entered = self.runtime.enter();
        dispatcher::with_default(&self.dispatch, || guard(step, run))
    }
}

/// The author's value. Whoever holds it last, a call or the host, drops it under a guard.
struct Held<E> {
    executor: Option<E>,
    surroundings: Surroundings,
}

impl<E> Drop for Held<E> {
    fn drop(&mut self) {
        let executor = self.executor.take();
        // Nobody is left to tell; the hook has logged it.
        let _ = self.surroundings.run("drop", || drop(executor));
    }
}

impl<E: Executor> Adapter<E> {
    pub(crate) fn new(executor: E, surroundings: Surroundings) -> Self {
        let held = Held { executor: Some(executor), surroundings: surroundings.clone() };
        Self { executor: Arc::new(held), surroundings }
    }
}

impl<E: Executor> abi::Executor for Adapter<E> {
    fn ask(&self, verb: RStr<'_>, payload: RString) -> Answer {
        let answer = parse(&verb).and_then(|verb| {
            let executor = self.executor.get();
            self.surroundings.run(verb.name(), || answer_now(executor, verb, &payload))?
        });
        into_ffi(answer)
    }

    fn call(&self, verb: RStr<'_>, payload: RString) -> FfiFuture<Answer> {
        let verb = match parse(&verb) {
            Ok(verb) => verb,
            Err(e) => return ready(into_ffi(Err(e))).into_ffi(),
        };
        let held = Arc::clone(&self.executor);
        let answer = async move { answer(held.get(), verb, &payload).await };
        let mut work = Placed {
            work: Guarded::new(verb.name(), answer),
            dispatch: self.surroundings.dispatch.clone(),
        };
        if E::NEVER_BLOCKS {
            // The first poll here saves two thread hops. A waker that wakes nobody is enough: what
            // is not ready yet is polled again, with a real one, as soon as it is spawned.
            let _entered = self.surroundings.runtime.enter();
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(answer) = Pin::new(&mut work).poll(&mut cx) {
                return ready(into_ffi(answer)).into_ffi();
            }
        }
        let task = Task(self.surroundings.runtime.spawn(work));
        async move { into_ffi(task.await) }.into_ffi()
    }
}

impl<E> Held<E> {
    fn get(&self) -> &E {
        self.executor.as_ref().expect("taken by `drop` only")
    }
}

/// A call's work, logging through its own executor.
struct Placed<F> {
    work: Guarded<F>,
    dispatch: Dispatch,
}

impl<T, F: Future<Output = Result<T, Error>>> Future for Placed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        dispatcher::with_default(&this.dispatch, || Pin::new(&mut this.work).poll(cx))
    }
}

fn into_ffi(answer: Result<String, Error>) -> Answer {
    match answer {
        Ok(text) => RResult::ROk(text.into()),
        Err(e) => RResult::RErr(e.into()),
    }
}

fn parse(verb: &str) -> Result<Verb, Error> {
    Verb::parse(verb)
        .ok_or_else(|| Error::unsupported(format!("this plugin knows no verb `{verb}`")))
}

/// The verbs that need no waiting.
fn answer_now<E: Executor>(executor: &E, verb: Verb, payload: &str) -> Result<String, Error> {
    match verb {
        Verb::Facts => write(verb, &executor.facts()),
        Verb::Locality => write(verb, &executor.locality()),
        Verb::ValidateJob => write(verb, &executor.validate_job(&read(verb, payload)?)?),
        other => Err(Error::unsupported(format!("`{}` is to be called, not asked", other.name()))),
    }
}

async fn answer<E: Executor>(executor: &E, verb: Verb, payload: &str) -> Result<String, Error> {
    match verb {
        Verb::Submit => write(verb, &executor.submit(read(verb, payload)?).await?),
        Verb::Wait => write(verb, &executor.wait(&read(verb, payload)?).await?),
        Verb::Cancel => {
            let wire::Cancel { attempt, grace } = read(verb, payload)?;
            write(verb, &executor.cancel(&attempt, grace.into()).await?)
        }
        Verb::Recover => write(verb, &executor.recover(read(verb, payload)?).await?),
        Verb::Forget => write(verb, &executor.forget(&read(verb, payload)?).await?),
        Verb::Retain => write(verb, &executor.retain(read(verb, payload)?).await?),
        Verb::Logs => {
            let wire::Logs { attempt, offset } = read(verb, payload)?;
            write(verb, &executor.logs(&attempt, offset).await?)
        }
        Verb::Health => write(verb, &executor.health().await?),
        Verb::CheckRequirements => write(verb, &executor.check_requirements().await?),
        Verb::Start => write(verb, &executor.start().await?),
        Verb::Stop => {
            let wire::Stop { grace } = read(verb, payload)?;
            write(verb, &executor.stop(grace.into()).await?)
        }
        Verb::ValidateJob | Verb::Facts | Verb::Locality => answer_now(executor, verb, payload),
    }
}

fn read<T: DeserializeOwned>(verb: Verb, payload: &str) -> Result<T, Error> {
    serde_json::from_str(payload).map_err(|e| {
        let message = format!("this plugin cannot read the host's `{}`: {e}", verb.name());
        match verb {
            // A newer host may know jobs that this plugin does not.
            Verb::Submit | Verb::ValidateJob => Error::invalid_job(message),
            _ => Error::internal(message),
        }
    })
}

fn write<T: Serialize>(verb: Verb, answer: &T) -> Result<String, Error> {
    serde_json::to_string(answer)
        .map_err(|e| Error::internal(format!("the answer of `{}` is no JSON: {e}", verb.name())))
}
