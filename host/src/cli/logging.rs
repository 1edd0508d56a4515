//! What the host says about itself: events to standard error, as text or JSON.

use std::io;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::style::Style;
use crate::config::{Log, LogFormat, LogLevel};

/// Overrides `log.level`, with one level for each part of the host: `info,longshore::worker=debug`.
const VARIABLE: &str = "LONGSHORE_LOG";

/// Starts to write events. A second call changes nothing.
pub(super) fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    let registry = tracing_subscriber::registry().with(filter);
    // An error here says that somebody listens already.
    let _ = match log.format {
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_writer(io::stderr);
            registry.with(layer).try_init()
        }
        LogFormat::Text => {
            let colours = Style::of(&io::stderr()).has_colours();
            registry.with(fmt::layer().with_ansi(colours).with_writer(io::stderr)).try_init()
        }
    };
}

/// Writes warnings only, for commands that open plugins by themselves.
pub(super) fn quiet() {
    start(&Log { level: LogLevel::Error, format: LogFormat::Text });
}
