//! How verbs reach a plugin: in this process, or over a socket to a process that has loaded it.

use std::sync::Arc;

use longshore_plugin_api::{Error, abi::abi_stable::std_types::RString, wire::Verb};

use super::{in_process::InProcess, runner::Live};

#[derive(Debug)]
pub(super) enum Transport {
    InProcess(InProcess),
    Runner(Arc<Live>),
}

/// An answer, in whoever's memory it is.
pub(super) enum Text {
    Plugins(RString),
    Ours(String),
}

impl Transport {
    /// Something that takes its time. Never panics; dropping it abandons the call.
    pub(super) async fn call(&self, verb: Verb, payload: String) -> Result<Text, Error> {
        match self {
            Self::InProcess(plugin) => plugin.call(verb, payload).await.map(Text::Plugins),
            Self::Runner(live) => live.call(verb, payload).await.map(Text::Ours),
        }
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        match self {
            Self::Plugins(text) => text,
            Self::Ours(text) => text,
        }
    }
}
