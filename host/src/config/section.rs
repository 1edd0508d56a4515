//! The sections of the file, one file each: the typed settings and the reader that declares them.

pub(super) mod database;
pub(super) mod executors;
pub(super) mod jobs;
pub(super) mod limits;
pub(super) mod log;
pub(super) mod plugins;
pub(super) mod python;
pub(super) mod routing;
pub(super) mod server;
pub(super) mod times;
pub(super) mod tokens;
