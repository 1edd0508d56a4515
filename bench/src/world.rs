//! A host in this process, with real plugins, in a directory of its own.

use std::{path::PathBuf, sync::Arc};

use longshore::{
    config::Config, host::Host, plugin::Program, submission::Submission, tokens::Caller,
};
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::Outcome;

pub(crate) struct World {
    pub(crate) host: Arc<Host>,
    directory: TempDir,
}

impl World {
    /// A host that is open and not yet started, with a plugin as it is by default: in a process of its
    /// own.
    pub(crate) async fn new(plugin: &str, jobs: &str) -> Outcome<Self> {
        Self::with(plugin, "process", jobs).await
    }

    /// The same, with another wall between the two or none.
    pub(crate) async fn with(plugin: &str, isolation: &str, jobs: &str) -> Outcome<Self> {
        // On the disk of the repository, not on a memory file system: commits must reach a disk.
        let directory = tempfile::tempdir_in(built())?;
        let plugins = directory.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        let library = library(plugin);
        std::fs::copy(built().join(&library), plugins.join(&library))?;
        let text = format!("[executors.{plugin}]\nisolation = \"{isolation}\"\n{jobs}");
        let config = Config::from_toml(&text, &directory.path().join("longshore.toml"))?;
        let host = Host::open(config, Program::at(built().join("longshore"))).await?;
        Ok(Self { host, directory })
    }

    pub(crate) async fn submit(
        &self,
        job_name: &str,
        params: &str,
        count: usize,
    ) -> Outcome<Vec<longshore::job::JobId>> {
        let admin = Caller { name: "bench".to_owned(), role: longshore::config::Role::Admin };
        let submission = Submission {
            job_name: job_name.to_owned(),
            params: RawValue::from_string(params.to_owned())?,
            timeout: None,
            priority: None,
            run_at: None,
            workspace: None,
            idempotency_key: None,
        };
        let submitted = self.host.submit(&admin, vec![submission; count]).await?;
        Ok(submitted.into_iter().map(|submitted| submitted.id()).collect())
    }

    /// Waits until the last of these has ended: one row at a time, because a count of the backlog
    /// would cost more than the jobs.
    pub(crate) async fn done(&self, jobs: &[longshore::job::JobId]) -> Outcome {
        for id in jobs {
            while !self
                .host
                .store
                .job_get(*id)
                .await?
                .ok_or("the job has no row")?
                .state
                .is_terminal()
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Its plugin directory.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    pub(crate) async fn close(self) {
        self.host.shutdown(std::time::Duration::from_secs(5)).await;
    }
}

/// The file of a plugin.
pub(crate) fn library(plugin: &str) -> String {
    format!("liblongshore_{plugin}.so")
}

/// Where cargo has put this program and the plugins.
pub(crate) fn built() -> PathBuf {
    let this = std::env::current_exe().expect("a running program has a path");
    this.parent().expect("in a directory").to_owned()
}

/// 1 KiB of parameters.
pub(crate) fn params() -> String {
    format!(r#"{{"text":"{}"}}"#, "x".repeat(1013))
}
