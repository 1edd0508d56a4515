//! Where the code of an executor comes from.

use std::{future::Future, path::Path, sync::OnceLock};

use longshore_plugin_api::{
    Error, Facts,
    abi::{HostApiBox, abi_stable::std_types::RString},
    note::Note,
    wire::{Description, Verb},
};

use crate::plugin::{
    in_process::InProcess,
    library::{self, Loaded},
    polls::Polls,
    problem::PluginProblem,
};

/// The dynamic linker, or a test.
pub(super) trait Source: Send + Sync + 'static {
    type Executor: Send + Sync + 'static;
    /// The text of an answer, in whoever's memory it is.
    type Text: AsRef<str> + Send;

    /// Blocks for as long as the library's constructors do.
    fn load(&self, copy: &Path, note: &Note<'_>) -> Result<Description, PluginProblem>;

    /// Makes an executor of what has been loaded. Blocks for as long as the plugin does.
    fn open(&self, host: HostApiBox, request: String) -> Result<(Self::Executor, Facts), Error>;

    fn call(
        executor: &Self::Executor,
        verb: Verb,
        payload: String,
    ) -> impl Future<Output = Result<Self::Text, Error>> + Send;
}

/// A plugin in this process, by the same way as with isolation `none`.
#[derive(Default)]
pub(super) struct Library {
    loaded: OnceLock<Loaded>,
}

impl Source for Library {
    type Executor = InProcess;
    type Text = RString;

    fn load(&self, copy: &Path, note: &Note<'_>) -> Result<Description, PluginProblem> {
        let loaded = library::load(copy, note)?;
        Ok(self.loaded.get_or_init(|| loaded).description.clone())
    }

    fn open(&self, host: HostApiBox, request: String) -> Result<(InProcess, Facts), Error> {
        let loaded = self.loaded.get().ok_or_else(|| Error::internal("no plugin is loaded"))?;
        // Heard by whoever drains our standard error.
        InProcess::open(loaded.root, host, request, Polls::new(super::say))
    }

    async fn call(executor: &InProcess, verb: Verb, payload: String) -> Result<Self::Text, Error> {
        executor.call(verb, payload).await
    }
}
