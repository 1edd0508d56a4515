//! How verbs reach a plugin: in this process, or over a socket to a process that has loaded it.

use std::sync::Arc;

use longshore_plugin_api::{Error, abi::abi_stable::std_types::RString, wire::Verb};

use super::{in_process::InProcess, marker::Marker, runner::Live, surroundings};

#[derive(Debug)]
pub(super) enum Transport {
    InProcess(InProcess, Arc<Marker>),
    Runner(Arc<Live>),
}

/// An answer, in whoever's memory it is.
pub(super) enum Text {
    Plugins(RString),
    Ours(String),
}

impl Transport {
    /// Something that takes its time, for a job or for none. Never panics; dropping it abandons the call.
    pub(super) async fn call(
        &self,
        verb: Verb,
        job: Option<&str>,
        payload: String,
    ) -> Result<Text, Error> {
        match self {
            Self::InProcess(plugin, marker) => {
                let _marked = marker.enter(verb, job);
                plugin.call(verb, payload).await.map(Text::Plugins)
            }
            Self::Runner(live) => live.call(verb, payload).await.map(Text::Ours),
        }
    }
}

impl Transport {
    /// Looks whether the plugin has changed what is not its own.
    pub(super) fn look_around(&self, plugin: &str) {
        if let Self::InProcess(..) = self {
            surroundings::restore(plugin);
        }
    }

    /// It has ended in order.
    pub(super) fn ended(&self) {
        if let Self::InProcess(_, marker) = self {
            marker.remove();
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
