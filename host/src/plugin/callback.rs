//! What a plugin may ask of this host. Called on the plugin's threads: never blocks, never calls
//! back, never unwinds (beyond this it would end the process).

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use longshore_plugin_api::{
    Error,
    abi::{
        Answer, HostApi, HostApi_TO, HostApiBox,
        abi_stable::{
            sabi_trait::TD_Opaque,
            std_types::{RResult, RStr},
        },
    },
    wire::{self, tell},
};

use super::{Events, runner::Heard, secret::Secrets};

/// A plugin that logs whole files must not fill the host's log with one record.
const MAX_MESSAGE: usize = 16 << 10;

pub(super) struct Callback {
    pub(super) plugin: String,
    pub(super) executor: String,
    pub(super) events: Arc<dyn Events>,
    /// Known once its settings are read.
    pub(super) secrets: OnceLock<Arc<Secrets>>,
}

impl Callback {
    pub(super) fn into_ffi(self) -> HostApiBox {
        HostApi_TO::from_value(self, TD_Opaque)
    }

    /// From here on nothing that is said of this executor shows them.
    pub(super) fn keep_secret(&self, secrets: Arc<Secrets>) {
        // One life of an executor has one configuration.
        let _ = self.secrets.set(secrets);
    }

    /// The text without what is secret.
    pub(super) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.secrets.get().map_or(Cow::Borrowed(text), |secrets| secrets.redact(text))
    }

    fn told(&self, verb: &str, payload: &str) -> Result<(), Error> {
        match verb {
            tell::PROGRESS => {
                let told: wire::Progress = serde_json::from_str(payload)
                    .map_err(|e| Error::internal(format!("this progress does not parse: {e}")))?;
                self.events.progress(&self.executor, &told.attempt_tag, told.progress);
                Ok(())
            }
            other => Err(Error::unsupported(format!("this host takes no `{other}`"))),
        }
    }
}

/// From a process of its own.
impl Heard for Callback {
    fn log(&self, level: u8, target: &str, message: &str, fields: &str) {
        let (plugin, executor) = (&*self.plugin, &*self.executor);
        // Redacted first: a secret across the cut would leave its beginning.
        let (message, fields) = (self.redact(message), self.redact(fields));
        let (message, origin) = (cut(&message), target);
        let fields = (!fields.is_empty()).then(|| cut(&fields));
        // `tracing` fixes level and target where the event stands in the source.
        macro_rules! log {
            ($level:ident) => {
                tracing::event!(target: "longshore::plugin", tracing::Level::$level, plugin, executor, origin, fields, "{message}")
            };
        }
        match level {
            0 | 1 => log!(ERROR),
            2 => log!(WARN),
            3 => log!(INFO),
            4 => log!(DEBUG),
            5.. => log!(TRACE),
        }
    }

    fn tell(&self, verb: &str, payload: &str) -> Result<(), Error> {
        self.told(verb, payload)
    }

    fn output(&self, line: &str, severe: bool) {
        Heard::log(self, if severe { 1 } else { 2 }, "output", line, "");
    }
}

/// From this process.
impl HostApi for Callback {
    fn log(&self, level: u8, target: RStr<'_>, message: RStr<'_>, fields: RStr<'_>) {
        // The record is lost where a subscriber panics; the process is not.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            Heard::log(self, level, target.as_str(), message.as_str(), fields.as_str());
        }));
    }

    fn tell(&self, verb: RStr<'_>, payload: RStr<'_>) -> Answer {
        let told = catch_unwind(AssertUnwindSafe(|| self.told(verb.as_str(), payload.as_str())));
        match told {
            Ok(Ok(())) => RResult::ROk("null".into()),
            Ok(Err(e)) => RResult::RErr(e.into()),
            Err(_) => RResult::RErr(Error::internal("the host panicked").into()),
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_MESSAGE)]
}
