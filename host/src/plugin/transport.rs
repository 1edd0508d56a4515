//! How verbs reach a plugin. [`super::in_process`] is one way; a socket to a process that has loaded
//! the plugin is another.

use std::{fmt, future::Future};

use longshore_plugin_api::{Error, wire::Verb};

pub(super) trait Transport: fmt::Debug + Send + Sync {
    /// The text of an answer, in whoever's memory it is.
    type Text: AsRef<str> + Send;

    /// Something that takes its time. Never panics; dropping it abandons the call.
    fn call(
        &self,
        verb: Verb,
        payload: String,
    ) -> impl Future<Output = Result<Self::Text, Error>> + Send;
}
