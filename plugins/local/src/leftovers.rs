//! Evidence of attempts that nobody will ask about again: their outcome was committed, and the host
//! died before it could say so.

use std::{collections::HashSet, fs, io};

use longshore_plugin_api::Error;

use crate::{
    attempt_dir::{AttemptDir, State},
    description::Description,
    executor::Inner,
    failure::not_started,
    removal,
};

impl Inner {
    /// Removes the directories of this executor's ended attempts, but those of `wanted` and those
    /// that this process has submitted.
    ///
    /// # Errors
    ///
    /// The directory of attempts cannot be listed. What cannot be removed is logged.
    pub(crate) fn remove_leftovers(&self, wanted: &HashSet<String>) -> Result<(), Error> {
        let started = self.started()?;
        let attempts = self.settings.attempts();
        let cannot_list = |error: io::Error| not_started("list", &attempts, &error);
        let mut removed = 0;
        for entry in fs::read_dir(&attempts).map_err(cannot_list)? {
            let name = entry.map_err(cannot_list)?.file_name();
            // A name that is no tag is a spare's, or nothing of ours.
            let Some(tag) = name.to_str() else { continue };
            let Ok(directory) = AttemptDir::new(&attempts, tag) else { continue };
            // In this order: an attempt is let in before its directory is made, so whatever was
            // listed and submitted meanwhile is seen here.
            if wanted.contains(tag) || self.running.get(tag).is_some() {
                continue;
            }
            // No lock, no record: it may still run, and recovery is not done with it.
            let ended =
                matches!(directory.state(&started.boot_id), Ok(State::Ended(_) | State::OtherBoot));
            let owner = Description::read(directory.path()).owner;
            if !ended || owner.as_deref() != Some(&started.owner) {
                continue;
            }
            let path = directory.path();
            let apart = started.spares.set_apart(path);
            match apart.and_then(|apart| apart.map_or(Ok(()), |apart| removal::remove(&apart))) {
                Ok(()) => removed += 1,
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(%error, "cannot remove `{path}`, of an attempt that is settled");
                }
            }
        }
        if removed > 0 {
            tracing::info!(attempts = removed, "removed what earlier attempts had left");
        }
        Ok(())
    }
}
