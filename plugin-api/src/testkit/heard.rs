//! The host that an executor under test has: it remembers what it is told.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RStr},
};

use crate::{
    Error,
    abi::{Answer, HostApi, HostApi_TO, HostApiBox},
    wire::tell,
};

/// More than a test looks at.
const MOST: usize = 10_000;

/// Panics that the plugin's hook has reported, in whichever thread and test.
#[derive(Clone, Debug, Default)]
pub(super) struct Panics(Arc<Mutex<Vec<String>>>);

impl Panics {
    pub(super) fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }
}

/// What one executor has said.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// One line for each, as people read it.
    said: Mutex<Vec<String>>,
    /// The first thing that no executor may say.
    nonsense: Mutex<Option<String>>,
    /// Refuse everything from now on.
    pub(super) deaf: AtomicBool,
    panics: Panics,
}

impl Heard {
    pub(super) fn new(panics: Panics) -> Arc<Self> {
        Arc::new(Self { panics, ..Self::default() })
    }

    pub(super) fn into_ffi(self: Arc<Self>) -> HostApiBox {
        HostApi_TO::from_value(Ear(self), TD_Opaque)
    }

    pub(super) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn nonsense(&self) -> Option<String> {
        self.nonsense.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, line: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < MOST {
            said.push(line);
        }
    }

    fn object(&self, what: impl FnOnce() -> String) {
        self.nonsense.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(what);
    }
}

struct Ear(Arc<Heard>);

impl HostApi for Ear {
    fn log(&self, level: u8, target: RStr<'_>, message: RStr<'_>, fields: RStr<'_>) {
        let heard = &self.0;
        if target.as_str() == "panic" {
            let mut panics = heard.panics.0.lock().unwrap_or_else(PoisonError::into_inner);
            panics.push(message.as_str().to_owned());
        }
        let object = serde_json::from_str::<serde_json::Map<_, _>>(&fields);
        if !(1..=5).contains(&level) || !(fields.is_empty() || object.is_ok()) {
            heard.object(|| format!("a log record of level {level} with the fields `{fields}`"));
        }
        heard.note(format!("log `{message}`"));
    }

    fn tell(&self, verb: RStr<'_>, payload: RStr<'_>) -> Answer {
        let heard = &self.0;
        heard.note(format!("tell `{verb}`"));
        if heard.deaf.load(Ordering::Relaxed) {
            return RResult::RErr(Error::internal("this host does not listen").into());
        }
        if verb.as_str() != tell::PROGRESS {
            return RResult::RErr(Error::unsupported("this host takes progress only").into());
        }
        if let Err(error) = serde_json::from_str::<crate::wire::Progress>(&payload) {
            heard.object(|| format!("progress that does not parse: {error}"));
        }
        RResult::ROk("null".into())
    }
}
