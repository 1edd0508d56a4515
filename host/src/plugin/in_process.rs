//! A plugin in the host's own process.
#![expect(unsafe_code, reason = "an executor is dropped on a thread of its own")]

use std::{
    fmt,
    future::{Future, poll_fn},
    mem::{self, ManuallyDrop},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    thread,
};

use longshore_plugin_api::{
    Error, ErrorKind, Facts,
    abi::{
        Answer, ExecutorBox, HostApiBox, PluginError, PluginRootRef, abi_stable::std_types::RString,
    },
    wire::Verb,
};

use super::polls::Polls;

pub(super) struct InProcess {
    executor: ManuallyDrop<ExecutorBox>,
    polls: Polls,
}

impl Drop for InProcess {
    /// The author's `drop` may take its time, and whoever lets go of the executor has none.
    fn drop(&mut self) {
        // SAFETY: taken once, here, and nobody looks at it after this.
        let executor = unsafe { ManuallyDrop::take(&mut self.executor) };
        let thread = thread::Builder::new().name("plugin-drop".to_owned());
        // Without a thread it is dropped by whoever failed to start one.
        let _ = thread.spawn(move || drop(executor));
    }
}

impl InProcess {
    /// Makes an executor and asks what it is. Blocks for as long as the plugin does.
    pub(super) fn open(
        root: PluginRootRef,
        host: HostApiBox,
        request: String,
        polls: Polls,
    ) -> Result<(Self, Facts), Error> {
        let executor = root.open()(host, request.into()).into_result().map_err(plugins_own)?;
        let facts = into_result(executor.ask(Verb::Facts.name().into(), "null".into()))?;
        let facts = serde_json::from_str(&facts).map_err(|e| {
            let message = format!("the plugin does not say what it is: {e}");
            Error::new(ErrorKind::Protocol, message)
        })?;
        Ok((Self { executor: ManuallyDrop::new(executor), polls }, facts))
    }

    /// Something that takes its time. Never panics; dropping it abandons the call.
    pub(super) async fn call(&self, verb: Verb, payload: String) -> Result<RString, Error> {
        let call = || self.executor.call(verb.name().into(), payload.into());
        let mut call = pin!(self.polls.watch(verb, call));
        // The plugin's side never panics, if it is built with our adapter; a panic here would take
        // the task that renews leases with it.
        poll_fn(|cx| {
            let mut poll = || catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
            match self.polls.watch(verb, &mut poll) {
                Ok(poll) => poll.map(into_result),
                Err(payload) => {
                    mem::forget(payload);
                    let message =
                        format!("the plugin panicked in {}, outside its own guard", verb.name());
                    Poll::Ready(Err(Error::new(ErrorKind::Panic, message)))
                }
            }
        })
        .await
    }
}

fn into_result(answer: Answer) -> Result<RString, Error> {
    answer.into_result().map_err(plugins_own)
}

/// What a plugin says of itself. That it crashed or hangs is not its to say: the host draws conclusions
/// from these.
fn plugins_own(error: PluginError) -> Error {
    let error = Error::from(error);
    let kind = if error.kind.is_hosts() { ErrorKind::Internal } else { error.kind };
    Error { kind, ..error }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}
