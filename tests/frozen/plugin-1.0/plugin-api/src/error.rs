//! The one error of the boundary.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::abi::PluginError;

/// What went wrong, in a form that crosses the boundary. Lower case, no full stop; name the thing,
/// the step and the way out.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What the host does about it.
    pub kind: ErrorKind,
    /// For people.
    pub message: String,
    /// The JSON pointer (`/limits/memory`) of the value that is wrong, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Anything more, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl Error {
    /// An error of any kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), pointer: None, details: None }
    }

    /// The same error, about the value at `pointer`.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The same error, with `details` for programs.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident = $code:literal $(, $make:ident)?;)+) => {
        /// What kind of error it is. An open integer on the wire: a kind that one side does not know
        /// yet is `Internal` there.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
        #[serde(from = "u32", into = "u32")]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[$doc])+ $kind,)+ }

        impl From<u32> for ErrorKind {
            fn from(code: u32) -> Self {
                match code { $($code => Self::$kind,)+ _ => Self::Internal }
            }
        }

        impl From<ErrorKind> for u32 {
            fn from(kind: ErrorKind) -> Self {
                match kind { $(ErrorKind::$kind => $code,)+ }
            }
        }

        impl ErrorKind {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];
        }

        impl Error { $($(
            #[doc = concat!("An error of kind [`", stringify!($kind), "`](ErrorKind::", stringify!($kind), ").")]
            pub fn $make(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            }
        )?)+ }
    };
}

kinds! {
    /// The executor's configuration is wrong.
    InvalidConfig = 1, invalid_config;
    /// The job can never run here.
    InvalidJob = 2, invalid_job;
    /// The executor has no such ability.
    Unsupported = 3, unsupported;
    /// No such attempt, and none is remembered.
    NotFound = 4, not_found;
    /// Something of that name is there already.
    AlreadyExists = 5, already_exists;
    /// What the executor needs does not answer now; nothing was started.
    Unavailable = 6, unavailable;
    /// There is no room now; nothing was started.
    Exhausted = 7, exhausted;
    /// It took too long.
    Timeout = 8, timeout;
    /// Somebody asked for it to stop.
    Cancelled = 9, cancelled;
    /// The executor may not do that.
    Denied = 10, denied;
    /// Anything else.
    Internal = 11, internal;
    /// The plugin panicked; the message names the place.
    Panic = 12;
    /// Host only: the plugin's process died.
    Crashed = 100;
    /// Host only: the plugin did not answer in time.
    Hung = 101;
    /// Host only: the plugin's answer makes no sense.
    Protocol = 102;
    /// Host only: the plugin is not let in, or does not run; nothing was sent to it.
    Refused = 103;
}

impl ErrorKind {
    /// Whether only the host says so. From a plugin it is [`Internal`](Self::Internal).
    #[must_use]
    pub const fn is_hosts(self) -> bool {
        matches!(self, Self::Crashed | Self::Hung | Self::Protocol | Self::Refused)
    }

    /// Whether another try may succeed, and nothing was started by this one.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Exhausted)
    }
}

/// What of an [`Error`] has no field in the frozen [`PluginError`].
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

impl From<Error> for PluginError {
    fn from(error: Error) -> Self {
        let Error { kind, message, pointer, details } = error;
        let extra = if pointer.is_none() && details.is_none() {
            String::new()
        } else {
            serde_json::to_string(&Extra { pointer, details }).unwrap_or_default()
        };
        Self { kind: kind.into(), message: message.into(), details: extra.into() }
    }
}

impl From<PluginError> for Error {
    /// Details that do not parse are dropped: the message is what matters.
    fn from(error: PluginError) -> Self {
        let Extra { pointer, details } = serde_json::from_str(&error.details).unwrap_or_default();
        Self { kind: error.kind.into(), message: error.message.into(), pointer, details }
    }
}
