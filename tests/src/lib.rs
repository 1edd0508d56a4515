//! The harness of the end-to-end tests: hosts as real processes, in directories of their own, with
//! plugins from their `.so` files, and what such tests wait for, look at and clean up.
//!
//! ```text
//!   built ─► TestHost ─► Client          what a program says
//!               │  └───► longshore()     what a person types
//!               ├──────► Scene           a plugin that does wrong, and its neighbour
//!               ├──────► History         what the jobs themselves wrote down
//!               └──────► leftovers       what is there afterwards, and should not be
//! ```

#![expect(clippy::print_stdout, reason = "what a test that failed has to show")]

pub mod built;
pub mod chance;
pub mod client;
pub mod disk;
pub mod fixture;
pub mod history;
pub mod host;
pub mod leftovers;
pub mod outcomes;
pub mod scene;
pub mod soak;
pub mod vendor;
pub mod wait;

pub use self::{
    chance::Chance,
    client::{Answer, Client},
    history::History,
    host::{TestHost, setup},
    outcomes::Outcomes,
    scene::{Scene, evil, evil_as, scene},
    wait::wait_until,
};
