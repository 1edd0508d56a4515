//! The plugin's own runtime. `tokio` keeps its reactor in thread-locals, and a shared library has
//! its own copy of them: an author's future polled by the host's threads would find no reactor, and
//! one that blocks would stop the host.

use std::{
    future::Future,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use crate::Error;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime of this library, started at first use and never stopped: the library is never
/// unloaded, and its threads sleep when there is nothing to do.
pub(crate) fn get(plugin: &str) -> Result<&'static Runtime, Error> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(format!("plug-{plugin}"))
        .enable_all()
        .build()
        .map_err(|e| Error::unavailable(format!("cannot start the plugin's threads: {e}")))?;
    // Two executors may open at once; the runtime that lost must not be dropped here, where it
    // would wait for its threads.
    if let Err(lost) = RUNTIME.set(runtime) {
        lost.shutdown_background();
    }
    Ok(RUNTIME.get().expect("set just now"))
}

/// Waits for a task; aborts it when dropped.
pub(crate) struct Task<T>(pub(crate) JoinHandle<Result<T, Error>>);

impl<T> Future for Task<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|joined| match joined {
            Ok(answer) => answer,
            // A guarded future cannot panic, so the runtime was shut down.
            Err(e) => Err(Error::internal(format!("the plugin's task was lost: {e}"))),
        })
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
