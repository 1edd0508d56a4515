//! What a plugin may ask of this host. Called on the plugin's threads: never blocks, never calls
//! back, never unwinds (beyond this it would end the process).

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
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

use super::Events;

/// A plugin that logs whole files must not fill the host's log with one record.
const MAX_MESSAGE: usize = 16 << 10;

pub(super) struct Callback {
    pub(super) plugin: String,
    pub(super) executor: String,
    pub(super) events: Arc<dyn Events>,
}

impl Callback {
    pub(super) fn into_ffi(self) -> HostApiBox {
        HostApi_TO::from_value(self, TD_Opaque)
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

impl HostApi for Callback {
    fn log(&self, level: u8, target: RStr<'_>, message: RStr<'_>, fields: RStr<'_>) {
        let (plugin, executor) = (&*self.plugin, &*self.executor);
        let (origin, fields) =
            (target.as_str(), (!fields.is_empty()).then(|| cut(fields.as_str())));
        let message = cut(message.as_str());
        // `tracing` fixes level and target where the event stands in the source.
        macro_rules! log {
            ($level:ident) => {
                tracing::event!(target: "longshore::plugin", tracing::Level::$level, plugin, executor, origin, fields, "{message}")
            };
        }
        // The record is lost where a subscriber panics; the process is not.
        let _ = catch_unwind(AssertUnwindSafe(|| match level {
            0 | 1 => log!(ERROR),
            2 => log!(WARN),
            3 => log!(INFO),
            4 => log!(DEBUG),
            5.. => log!(TRACE),
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
