//! Numbers for Prometheus. Only what the host knows for certain and can say cheaply: ended jobs are
//! not counted here, there may be millions of them.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::{Api, error::ApiError};
use crate::{lifecycle::State as JobState, tokens::Caller};

/// Numbers in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "host", operation_id = "get_metrics",
    responses((status = 200, description = "The numbers.", body = String, content_type = "text/plain")),
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    _caller: Caller,
) -> Result<Response, ApiError> {
    let host = &api.host;
    let counts = host.store.job_counts().await?;
    let mut page = Metrics::default();
    let states = JobState::ALL.into_iter().filter(|state| !state.is_terminal()).map(|state| {
        let count = counts.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
        (format!("{{state=\"{state}\"}}"), count as f64)
    });
    page.gauge("longshore_jobs", "Unfinished jobs, by state.", states);
    page.gauge(
        "longshore_attempts_watched",
        "Attempts that this host watches.",
        one(host.worker.running().into()),
    );
    let executors = host.config.executors.keys().map(|name| {
        let ready = host.worker.executors().get(name).is_some_and(|open| open.is_ready());
        // Names are letters, digits and `_-.:/`: nothing to escape.
        (format!("{{executor=\"{name}\"}}"), f64::from(u8::from(ready)))
    });
    page.gauge("longshore_executor_ready", "Whether jobs start on an executor now.", executors);
    if let Some(pass) = host.recovery.last_pass() {
        let waiting = one(pass.waiting as f64);
        page.gauge(
            "longshore_recovery_waiting",
            "Jobs of which recovery knew nothing in its last pass.",
            waiting,
        );
        let ended = one(pass.ended_at as f64 / 1e3);
        page.gauge(
            "longshore_recovery_ended_timestamp_seconds",
            "When the last recovery pass ended.",
            ended,
        );
    }
    page.gauge(
        "longshore_uptime_seconds",
        "For how long this host has run.",
        one(host.uptime().as_secs_f64()),
    );
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}").to_owned();
    page.gauge("longshore_build_info", "Always 1; the version is a label.", [(version, 1.0)]);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0)
        .into_response())
}

#[derive(Default)]
struct Metrics(String);

impl Metrics {
    fn gauge(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (String, f64)>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn one(value: f64) -> [(String, f64); 1] {
    [(String::new(), value)]
}
