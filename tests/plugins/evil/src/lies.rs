//! Answers that are not true, or not even answers.
#![expect(unsafe_code, reason = "a `RawValue` that is no JSON cannot be had otherwise")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use longshore_plugin_api::{
    Attempt, Ending, Error, ErrorKind, Facts, Found, Handle, Host, Scope, Verdict,
};
use serde_json::{json, value::RawValue};

use crate::threads::said;

/// Larger than what a host takes of a handle.
const LARGE: usize = 80 << 10;
/// Larger than any answer.
const HUGE: usize = 129 << 20;

/// A result that is no JSON.
pub(crate) fn result() -> Ending {
    let text: Box<str> = "{\"this\": is no JSON".into();
    // SAFETY: `RawValue` is a transparent `str`; that it holds JSON is not for safety.
    let result = unsafe { std::mem::transmute::<Box<str>, Box<RawValue>>(text) };
    Ending::Succeeded { result }
}

/// A result that is too large for every host.
pub(crate) fn huge() -> Result<Ending, Error> {
    Ending::succeeded(&"x".repeat(HUGE))
}

/// Another one each time.
pub(crate) fn ending() -> Ending {
    static TIMES: AtomicU32 = AtomicU32::new(0);
    let n = TIMES.fetch_add(1, Ordering::Relaxed);
    Ending::Interrupted { message: format!("evil has been asked {n} times before") }
}

/// A handle that is too large.
pub(crate) fn handle() -> Handle {
    Handle { version: 1, data: json!("x".repeat(LARGE)) }
}

/// Now one thing, now another.
pub(crate) fn facts() -> Facts {
    static OTHER: AtomicBool = AtomicBool::new(false);
    let other = OTHER.fetch_xor(true, Ordering::Relaxed);
    Facts { scope: if other { Scope::Cluster } else { Scope::Host }, ..Facts::default() }
}

/// What only a host may say.
pub(crate) fn kind() -> Error {
    Error::new(ErrorKind::Crashed, "evil says that it has crashed")
}

/// One attempt is there whether it is or not, the others are left out, and somebody else's is gone.
pub(crate) fn verdicts(attempts: Vec<Attempt>) -> Vec<Verdict> {
    let stranger =
        Verdict { attempt_tag: "ffffffffffffffffffffffffffffffff".to_owned(), found: Found::Gone };
    let first = attempts.into_iter().next();
    let here = first.map(|a| Verdict { attempt_tag: a.attempt_tag, found: Found::Here });
    here.into_iter().chain([stranger]).collect()
}

/// Progress of somebody else's work.
pub(crate) fn progress(host: &Host) {
    host.progress("ffffffffffffffffffffffffffffffff", &said(666));
}
