//! What an executor and its keepers say to each other. The program is in `main.rs`.
//!
//! ```text
//!            order (one packet, three descriptors)
//!  executor ─────────────────────────────────────► nursery
//!     │                                               │ fork
//!     │    stop requests ──►                          ▼
//!     └──────── control socket ─────────────────── keeper ──► the job and all it starts
//!                         ◄── end of file: it is over, read the `exit` file
//! ```
//!
//! Nothing here allocates a resource or makes a system call: these are the formats, in one place for
//! both sides.

pub mod control;
pub mod order;
pub mod record;

/// How much output one segment file (`output.N`) holds, in bytes. Segment `N` starts at offset
/// `N * SEGMENT_BYTES` of everything the job has written; the last two are kept.
pub const SEGMENT_BYTES: u64 = 256 * 1024;
