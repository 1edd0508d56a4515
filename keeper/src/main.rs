//! The process beside a job's user code. What it says to the executor is in the library (`lib.rs`).
//!
//! ```text
//!  host ──packet──► nursery ──fork──► keeper ──clone, exec──► job ──► descendants
//!    │               │ subreaper        │ subreaper            own session, PDEATHSIG KILL
//!    │               │                  │  stdout, stderr ◄── one pipe, for ever drained
//!    │               │                  │  deadline on CLOCK_BOOTTIME
//!    └──────── control socket ─────────►│  stop requests; end of file: the host is gone
//!                    │                  ▼
//!                    │           all dead (ECHILD) ─► exit record ─► _exit(0) ─► lock released
//!                    └── a keeper that did not exit(0): kills what fell to the nursery, writes the
//!                        record in its stead
//! ```
//!
//! One nursery serves an executor, so that an attempt costs one fork of a tiny process and no second
//! `exec`, which is the dear part of starting anything. It leaves its caller's session, resets what
//! it inherited, and forks one keeper per attempt. It outlives the host until its last keeper is done.
//!
//! What always holds:
//! - an exit record is written only after `waitpid` has said that no descendant is left;
//! - the lock on the `exit` file is held until then, by the keeper and by the nursery;
//! - nothing the job does to its output (flood it, hold it open, a full disk) blocks anybody.
//!
//! What can go wrong, and where that lands: keeper killed: the nursery sweeps. Nursery killed: its
//! keepers go on, the executor starts another. Both killed: the job's main process dies with the
//! keeper, and `recover` in the executor finds the rest by their environment.

mod descendants;
mod keep;
mod nursery;
mod output;
mod signals;
mod spawn;

use std::process::ExitCode;

fn main() -> ExitCode {
    match nursery::run() {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads a nursery's stderr (it would keep the host's open): the code is the errno.
        Err(error) => ExitCode::from(u8::try_from(error.raw_os_error()).unwrap_or(u8::MAX)),
    }
}
