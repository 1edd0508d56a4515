//! What an executor and its keepers say to each other. The program is in `main.rs`.
//!
//! ```text
//!            a packet with a socket: a new keeper, please
//!  executor ─────────────────────────────────────────────► nursery
//!     │                                                       │ fork
//!     │       order (with two descriptors), stop ──►          ▼
//!     └──────────────── control socket ─────────────────── keeper ──► the job and all it starts
//!              ◄── done; end of file: it was killed
//! ```
//!
//! A keeper has one attempt at a time, and takes another order when it is done. Nothing here
//! allocates a resource or makes a system call: these are the formats, in one place for both sides.

pub mod control;
pub mod limit;
pub mod order;
pub mod record;

/// How much output one segment file (`output.N`) holds, in bytes. Segment `N` starts at offset
/// `N * SEGMENT_BYTES` of everything the job has written; the last two are kept.
pub const SEGMENT_BYTES: u64 = 256 * 1024;

/// What is sent to a nursery, with the socket that is to be a new keeper's control socket.
pub const NEW_KEEPER: u8 = b'K';
