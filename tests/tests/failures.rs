//! What goes wrong with plugins, and what does not because of it: a row of `docs/plugin-failures.md`
//! each. Whatever the plugin does, its neighbour's job runs to its end and the host stays.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails here")]

#[path = "failures/globals.rs"]
mod globals;
#[path = "failures/lifetime.rs"]
mod lifetime;
#[path = "failures/panics.rs"]
mod panics;
#[path = "failures/runner.rs"]
mod runner;
