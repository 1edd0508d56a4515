//! What Longshore promises, shown from outside: hosts, plugins, jobs and faults are real.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails here")]

mod cli_doctor;
mod cli_lock;
mod cli_logs;
mod cli_pty;
mod cli_serve;
mod command;
mod crashes;
mod examples;
mod exclusive;
mod kit;
mod payloads;
mod queue;
mod refusals;
mod resources;
mod retries;
mod running;
mod shutdown;
mod soak;
mod stopping;
mod throughput;
mod vendor;
mod versions;

/// Python functions that tests run.
const WITNESS_PY: &str = include_str!("../jobs/witness.py");
/// A command that tests run.
const WITNESS_SH: &str = include_str!("../jobs/witness.sh");
