//! What a host leaves that dies between the commit of an outcome and `forget`.

use longshore_plugin_api as api;

use super::{Recovery, named};
use crate::executors::Open;

impl Recovery {
    /// Tells an executor, once it is well, which evidence still counts; the rest may go.
    ///
    /// Nothing is claimed for it before that, so no attempt can be submitted after the list
    /// was read. Whoever reads evidence meanwhile (a job that is watched again) stands in the list. The
    /// state directory is this host's alone, by its lock, and so is what executors keep for it.
    pub(super) async fn retain(&self, open: &Open) {
        if !open.is_ready() || open.is_swept() {
            return;
        }
        match self.store.job_alive_attempts(&open.name).await {
            Ok(alive) => {
                let attempts: Vec<api::Attempt> = alive
                    .into_iter()
                    .map(|(id, tag, handle)| named(id, tag, handle.as_deref()))
                    .collect();
                open.retain(&attempts).await;
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(executor = open.name, %error, "could not list the evidence that counts, again later");
                return;
            }
            // A list that lacks somebody removes what still counts: better too much is kept.
            Err(error) => {
                tracing::error!(executor = open.name, %error, "could not list the evidence that counts, all of it is kept");
                open.retain_all();
            }
        }
        self.store.wake();
    }
}
