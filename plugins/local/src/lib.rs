//! The executor `local`: jobs as processes of this machine, each beside a keeper.
//!
//! ```text
//!  Executor (executor.rs)
//!    submit ── launch ──► attempt_dir (files) ──► keepers (order) ──► keeper ──► job
//!    wait ──── the keeper is done ──► ending (exit record + report or result)
//!    cancel ── a request to the keeper
//!    recover ─ lock and record of each directory, and a look at every process
//! ```
//!
//! All truth about an attempt is in its directory; what is kept in memory (`running`) is which keeper
//! has it. What is in the directory is in `docs/architecture.md`.

mod attempt_dir;
mod bundle;
mod clock;
mod config;
mod description;
mod descriptor;
mod ending;
mod environment;
mod executor;
mod failure;
mod inquiry;
mod job_file;
mod keepers;
mod launch;
mod leftovers;
mod logs;
mod nursery;
mod owner;
mod processes;
mod program;
mod progress;
mod python;
mod recover;
mod removal;
mod room;
mod running;
mod spares;
mod submission;

pub use config::Config;
pub use executor::Local;

longshore_plugin_api::export_executor!(Local);
