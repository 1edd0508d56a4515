//! Longshore: a durable job host whose executors are plugins.
//!
//! Read [`lifecycle`] first: the whole life of a job is one table there.

pub mod backoff;
pub mod clock;
pub mod config;
pub mod job;
pub mod lifecycle;
pub mod plugin;
pub mod store;
