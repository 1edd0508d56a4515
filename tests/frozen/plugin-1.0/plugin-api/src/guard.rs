//! No panic leaves the plugin: what an author's code throws becomes an [`Error`] that names the
//! place. Beyond the boundary it would end the host.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    future::Future,
    mem,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook},
    pin::Pin,
    sync::Once,
    task::{Context, Poll},
};

use crate::{Error, ErrorKind};

thread_local! {
    /// Inside how many guards this thread is.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// What the hook saw last: the only place that knows where a panic came from.
    static SEEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs an author's code.
pub(crate) fn guard<T>(step: &str, run: impl FnOnce() -> T) -> Result<T, Error> {
    DEPTH.set(DEPTH.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|payload| {
        let text = SEEN.take().unwrap_or_else(|| text_of(&*payload).to_owned());
        // A payload is any value, and its `Drop` may panic too, outside every guard.
        mem::forget(payload);
        Error::new(ErrorKind::Panic, format!("the plugin panicked in {step}: {text}"))
    })
}

/// A future of an author, polled and dropped under a guard.
pub(crate) struct Guarded<F> {
    step: &'static str,
    // Boxed so that it is pinned apart from this, which then is `Unpin`.
    future: Option<Pin<Box<F>>>,
}

impl<F> Guarded<F> {
    pub(crate) fn new(step: &'static str, future: F) -> Self {
        Self { step, future: Some(Box::pin(future)) }
    }
}

impl<T, F: Future<Output = Result<T, Error>>> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let step = self.step;
        let Some(future) = &mut self.future else {
            return Poll::Ready(Err(Error::internal(format!("{step} was polled after its end"))));
        };
        match guard(step, || future.as_mut().poll(cx)) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        let future = self.future.take();
        // Nobody is left to tell; the hook has logged it.
        let _ = guard(self.step, || drop(future));
    }
}

/// Makes this copy of the standard library report panics to the host's log.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            let text = describe(info);
            let thread = std::thread::current();
            let thread = thread.name().unwrap_or("unnamed");
            tracing::error!(target: "panic", thread, "the plugin panicked: {text}");
            // Where panics abort, nobody comes to see it: these are the last words of the process.
            if DEPTH.get() > 0 && cfg!(panic = "unwind") {
                SEEN.replace(Some(text));
            } else {
                previous(info);
            }
        }));
    });
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let text = text_of(info.payload());
    match info.location() {
        Some(at) => format!("{text} ({}:{}:{})", at.file(), at.line(), at.column()),
        None => text.to_owned(),
    }
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a value that is not text"
    }
}
