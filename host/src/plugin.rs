//! Plugins: executors from shared libraries. The only place that knows a foreign ABI.
//!
//! From a file to a running executor, each step with a reason code of its own ([`problem::Code`]):
//! `walk` looks at every directory on the way to it, `file` opens and hashes it, `preflight` and `linking`
//! read what it says of itself without running any of it, `pins` compares it with what was locked,
//! `copies` keeps a private copy and `verdicts` what became of it, `library` loads that copy and checks
//! its layout, `schema` checks the configuration and `secret` keeps parts of it out of every text,
//! `in_process` makes an executor of it. `shelf` tells when to look. [`registry`] does these in order
//! and remembers what happened; a bad plugin is a row there, never a dead host.
//!
//! What the rest of the host sees is [`HostedExecutor`]. It speaks verbs and JSON over a
//! `transport::Transport`, so a plugin in a process of its own is another transport, not another
//! executor.

mod callback;
mod candidate;
mod copies;
pub mod executor;
mod file;
mod generation;
mod held;
mod hosted;
mod in_process;
pub mod inspect;
mod ledger;
mod library;
mod linking;
mod marker;
mod opening;
pub mod pins;
mod polls;
mod preflight;
pub mod problem;
pub mod registry;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "executors are opened through it by the registry's next form")
)]
pub mod runner;
mod schema;
mod secret;
mod shelf;
mod stamp;
pub mod standing;
mod supervisor;
mod surroundings;
mod transport;
mod verbs;
mod verdicts;
mod walk;
mod watchdog;
mod whole;

pub use executor::{BoxFuture, Events, HostedExecutor};
pub use inspect::{Inspection, PinState, Step, inspect};
pub use opening::Wanted;
pub use pins::{Pin, Pins};
pub(crate) use preflight::{RESERVED, is_name};
pub use problem::{Code, PluginProblem};
pub use registry::{Entry, Places, Registry};
pub use runner::Program;
pub(crate) use schema::mistake_of as schema_mistake;
pub use standing::Standing;
