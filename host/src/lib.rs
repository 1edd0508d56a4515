//! Longshore: a durable job host whose executors are plugins.
//!
//! Read [`lifecycle`] first: the whole life of a job is one table there.

pub mod backoff;
pub mod cli;
pub mod clock;
pub mod config;
pub mod executors;
pub mod host;
pub mod http;
pub mod identity;
pub mod job;
pub mod lifecycle;
pub mod plugin;
pub mod recovery;
pub mod report;
pub mod sdk;
pub mod service;
pub mod store;
pub mod submission;
pub mod tokens;
pub mod worker;
