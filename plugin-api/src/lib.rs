//! What an executor for Longshore is written against.
//!
//! An executor runs jobs somewhere: in a process, a container, a cluster. It is a shared library that
//! an operator drops into a directory; one library serves every host of the same major version.
//!
//! ```
//! use longshore_plugin_api::*;
//!
//! struct Noop;
//!
//! impl Executor for Noop {
//!     type Config = NoConfig;
//!
//!     fn new(_: NoConfig, _: Host) -> Result<Self, Error> {
//!         Ok(Self)
//!     }
//!
//!     fn facts(&self) -> Facts {
//!         Facts::default()
//!     }
//!
//!     async fn submit(&self, _: Job) -> Result<Option<Handle>, Error> {
//!         Ok(None)
//!     }
//!
//!     async fn wait(&self, _: &Attempt) -> Result<Ended, Error> {
//!         Ok(Ending::succeeded(&"done")?.into())
//!     }
//!
//!     async fn cancel(&self, _: &Attempt, _: std::time::Duration) -> Result<Work, Error> {
//!         Ok(Work::Gone)
//!     }
//!
//!     async fn recover(&self, _: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
//!         Ok(Vec::new())
//!     }
//! }
//!
//! export_executor!(Noop);
//! # fn main() {}
//! ```
//!
//! Build it as a `cdylib`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! longshore-plugin-api = "1"
//! ```
//!
//! and leave `panic = "unwind"` (the default) in its profile: a panic then becomes an [`Error`] of one
//! call instead of the end of the process. Install it by rename, never by writing over the old file.
//!
//! Features for others than plugins: `load` (hosts), `testkit` (tests of plugins).
//!
//! To read, in this order:
//!
//! 1. [`Executor`] is the trait. All of it runs on a `tokio` runtime of the plugin's own, and what it
//!    says through `tracing` or `log` stands in the host's log.
//! 2. [`Job`], [`Attempt`], [`Ended`], [`Verdict`]: what crosses the boundary.
//! 3. [`Error`] and [`ErrorKind`]: what the host makes of a failure.
//! 4. [`Host`] takes progress.
//! 5. [`wire`], [`note`], [`abi`] and [`layout`]: for authors of hosts. The ABI never grows by a method: an
//!    executor is asked by *verb*, in JSON.

pub mod abi;
mod adapter;
pub mod environment;
mod error;
mod executor;
#[doc(hidden)]
pub mod export;
mod guard;
mod host;
mod job;
pub mod layout;
#[cfg(feature = "load")]
pub mod load;
mod logging;
pub mod note;
mod runtime;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod wire;

pub use error::{Error, ErrorKind};
pub use executor::{Executor, Facts, Isolation, JobShape, NoConfig, Scope};
pub use host::Host;
pub use job::{
    Attempt, Context, Counts, Ended, Ending, Found, Handle, Job, LogChunk, Progress,
    PythonEnvironment, Resources, Run, Seconds, Secret, Verdict, Work,
};
