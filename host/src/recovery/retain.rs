//! What a host leaves that dies between the commit of an outcome and `forget`.

use longshore_plugin_api as api;

use super::{Recovery, named};
use crate::store::StoreError;

impl Recovery {
    /// Tells each executor, once it is well, which evidence still counts; the rest may go.
    ///
    /// Nothing is claimed for an executor before that, so no attempt can be submitted after the list
    /// was read. Whoever reads evidence meanwhile (a job that is watched again) stands in the list. The
    /// state directory is this host's alone, by its lock, and so is what executors keep for it.
    pub(super) async fn retain(&self) -> Result<(), StoreError> {
        for open in self.worker.executors().iter() {
            if !open.is_ready() || open.is_swept() {
                continue;
            }
            let alive = self.store.job_alive_attempts(&open.name).await?;
            let attempts: Vec<api::Attempt> = alive
                .into_iter()
                .map(|(id, tag, handle)| named(id, tag, handle.as_deref()))
                .collect();
            open.retain(&attempts).await;
            self.store.wake();
        }
        Ok(())
    }
}
