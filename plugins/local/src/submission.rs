//! From a job to a keeper that has its order.

use std::{
    io,
    sync::{Arc, PoisonError},
};

use longshore_plugin_api::{Error, Handle, Job};
use serde_json::json;

use crate::{
    attempt_dir::AttemptDir,
    executor::{HANDLE, Inner, Started},
    failure::not_started,
    keepers::Keeper,
    launch::Launch,
    room,
    running::{Refused, Submission},
};

impl Inner {
    /// Without a point at which a caller could give it up: an attempt is submitted or it is not.
    pub(crate) fn submit(self: &Arc<Self>, job: &Job) -> Result<Option<Handle>, Error> {
        let started = self.started()?;
        let attempts = self.settings.attempts();
        let tag = &job.attempt_tag;
        let directory = AttemptDir::new(&attempts, tag)?;
        let submission = self.running.admit(tag).map_err(|refused| match refused {
            Refused::Present => submitted_before(tag),
            Refused::Canceled => canceled_before(tag),
            Refused::Stopping => Error::unavailable("the executor is being stopped"),
        })?;
        let ordered = self.order(started, job, &directory, &submission);
        let keeper = ordered.inspect_err(|_| {
            submission.set_over();
            self.running.forget(tag);
        })?;
        self.follow(submission, keeper);
        let data = json!({ "attempts": attempts });
        Ok(Some(Handle { version: HANDLE, data }))
    }

    /// Waits, beside everything else, until the keeper is done with a submission.
    fn follow(self: &Arc<Self>, submission: Arc<Submission>, keeper: Arc<Keeper>) {
        // Neither the task nor the set may keep an executor alive that is dropped: its keepers must
        // see that the host is gone.
        let executor = Arc::downgrade(self);
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.spawn(async move {
            let again = keeper.done(submission.number).await;
            submission.set_over();
            let Some(executor) = executor.upgrade().filter(|_| again) else { return };
            if let Ok(started) = executor.started() {
                started.keepers.put_back(keeper);
            }
        });
        while followers.try_join_next().is_some() {}
    }

    fn order(
        &self,
        started: &Started,
        job: &Job,
        directory: &AttemptDir,
        submission: &Submission,
    ) -> Result<Arc<Keeper>, Error> {
        let Started { boot_id, installed, keepers, spares, progress, .. } = started;
        let (number, path) = (submission.number, directory.path());
        let launch = Launch::plan(job, number, path, &self.settings, started)?;
        let (tag, params) = (&job.attempt_tag, job.params.get());
        room::check(&self.settings.attempts(), params.len() as u64)?;
        let created = directory.create(spares, boot_id, &launch.description, params);
        let opened = created.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => submitted_before(tag),
            _ => not_started("write", path, &error),
        })?;
        progress.watch(tag, path);
        let ordered = match submission.order(|| keepers.order(&launch.packet, &opened)) {
            Some(Ok(keeper)) => Ok(keeper),
            Some(Err(error)) => Err(not_started("start the keeper", &installed.keeper, &error)),
            None => Err(canceled_before(tag)),
        };
        ordered.inspect_err(|_| {
            let _ = directory.remove();
        })
    }
}

fn submitted_before(tag: &str) -> Error {
    Error::already_exists(format!("attempt {tag} was submitted before"))
}

fn canceled_before(tag: &str) -> Error {
    Error::cancelled(format!("attempt {tag} was canceled before it was submitted"))
}
