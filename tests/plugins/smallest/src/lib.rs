//! The smallest plugin there can be: the one in the documentation of `longshore-plugin-api`.

use std::time::Duration;

use longshore_plugin_api::{
    Attempt, Ended, Ending, Error, Executor, Facts, Handle, Host, Job, NoConfig, Verdict, Work,
    export_executor,
};

struct Smallest;

impl Executor for Smallest {
    type Config = NoConfig;

    fn new(_: NoConfig, _: Host) -> Result<Self, Error> {
        Ok(Self)
    }

    fn facts(&self) -> Facts {
        Facts::default()
    }

    async fn submit(&self, _: Job) -> Result<Option<Handle>, Error> {
        Ok(None)
    }

    async fn wait(&self, _: &Attempt) -> Result<Ended, Error> {
        Ok(Ending::succeeded(&"done")?.into())
    }

    async fn cancel(&self, _: &Attempt, _: Duration) -> Result<Work, Error> {
        Ok(Work::Gone)
    }

    async fn recover(&self, _: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        Ok(Vec::new())
    }
}

export_executor!(Smallest);

#[cfg(test)]
mod tests {
    longshore_plugin_api::conformance!(super::Smallest);
}
