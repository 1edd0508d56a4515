//! The process beside a job's user code. What it says to the executor is in the library (`lib.rs`).
//!
//! ```text
//!  host ──socket──► nursery ──fork──► keeper ──clone, exec──► job ──► descendants
//!    │               │ subreaper        │ subreaper            own session, PDEATHSIG KILL
//!    │               │                  │  stdout, stderr ◄── one pipe, for ever drained
//!    │               │                  │  deadline on CLOCK_BOOTTIME
//!    ├──── order ──────────────────────►│
//!    ├──── stop; end of file: the host is gone ──────────────►│
//!    │               │                  ▼
//!    │◄─── done ─────┼────────── all dead (ECHILD) ─► exit record ─► lock released ─► next order
//!    │               │
//!    │               └── a keeper that was killed: kills what fell to the nursery, writes the record
//!    └◄── end of file ── in its stead, releases the lock
//! ```
//!
//! One nursery serves an executor. It leaves its caller's session, resets what it inherited, and forks
//! keepers as they are asked for. A keeper serves one attempt at a time and then the next, so that in
//! the long run an attempt costs no process but its own. Both outlive the host until what they keep is
//! ended.
//!
//! What always holds:
//! - an exit record is written only after `waitpid` has said that no descendant is left;
//! - the lock on the `exit` file is held until then: by the keeper, and by the file that it has
//!   deposited with the nursery (`deposit.rs`);
//! - nothing the job does to its output (flood it, hold it open, a full disk) blocks anybody.
//!
//! What can go wrong, and where that lands: keeper killed: the nursery sweeps. Nursery killed: its
//! keepers go on, the executor starts another. Both killed: the job's main process dies with the
//! keeper, and `recover` in the executor finds the rest by their environment and output.

mod attempt;
mod clock;
mod deposit;
mod descendants;
mod descriptors;
mod keeper;
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
