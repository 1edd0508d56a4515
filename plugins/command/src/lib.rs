//! The executor `command`: an executor in any language. A program of the operator's is asked the
//! verbs of the plugin API in JSON, over its standard input and output.
//!
//! ```text
//!  CommandExecutor (executor.rs)   methods to verbs, answers to types
//!        │ call (call.rs)          one verb, its payload, its deadline
//!        ├── once ──► launcher ─► process      a process for each call
//!        └── serve ─► connection ─► launcher ─► process     one process, lines with ids; back-off when it dies
//!  protocol.rs  what the program may say      line.rs  how much of it is listened to
//!  life.rs  what calls keep on disk while the plugin lives      aftermath.rs  what it leaves when killed
//! ```
//!
//! **A call dies with the plugin; the work does not.** A call is the program's process group. The kernel
//! kills its leader when the plugin dies, whoever kills that; the rest of the group is noted in the plugin's
//! life and killed by the next one, before it asks anything that could prove an attempt gone. What the
//! program starts as a job's work leaves the group, and nobody here touches it.
//!
//! What is said on either side is in `docs/command-plugin.md`.

mod aftermath;
mod call;
mod config;
mod connection;
mod executor;
mod launcher;
mod life;
mod line;
mod log;
mod once;
mod process;
mod protocol;
mod serve;

pub use config::{Config, Mode};
pub use executor::CommandExecutor;

longshore_plugin_api::export_executor!(CommandExecutor);
