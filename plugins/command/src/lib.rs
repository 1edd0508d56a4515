//! The executor `command`: an executor in any language. A program of the operator's is asked the
//! verbs of the plugin API in JSON, over its standard input and output.
//!
//! ```text
//!  CommandExecutor (executor.rs)   methods to verbs, answers to types
//!        │ call (call.rs)          one verb, its payload, its deadline
//!        ├── once ──► process      a process for each call
//!        └── serve ─► connection ─► process     one process, lines with ids; back-off when it dies
//!  protocol.rs  what the program may say      line.rs  how much of it is listened to
//! ```
//!
//! What is said on either side is in `docs/command-plugin.md`.

mod call;
mod config;
mod connection;
mod executor;
mod line;
mod log;
mod once;
mod process;
mod protocol;
mod serve;

pub use config::{Config, Mode};
pub use executor::CommandExecutor;

longshore_plugin_api::export_executor!(CommandExecutor);
