//! Where jobs run, and what can be run.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::{
    config::{Effective, Origin, Role},
    plugin::{Standing, registry},
    tokens::Caller,
};

/// The executors and the job types.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Executors {
    executors: Vec<Executor>,
    /// What the caller may submit.
    job_types: Vec<JobType>,
}

/// A configured executor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Executor {
    /// What jobs are routed to.
    name: String,
    /// Its plugin.
    plugin: String,
    /// The plugin's version, if the plugin could be read.
    version: Option<String>,
    /// How it stands: `ready`, `starting`, `restarting`, `hung`, `quarantined`, `failed` or `absent`.
    #[schema(value_type = String)]
    standing: Standing,
    /// Whether jobs start on it now.
    ready: bool,
    /// Why not.
    trouble: Option<String>,
    /// What it is; null if it could not be opened.
    facts: Option<Facts>,
}

/// What an executor is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Facts {
    /// Whether its jobs run where they cannot see the host's own files and addresses.
    remote_execution: bool,
    /// How far its work reaches: `host` or `cluster`.
    #[schema(value_type = String)]
    scope: longshore_plugin_api::Scope,
    /// What stands between a job and the machine: `none`, `process`, `container`, `vm`.
    #[schema(value_type = String)]
    isolation: longshore_plugin_api::Isolation,
    /// Whether running work can be found again after a restart of the host.
    reattach: bool,
}

/// A job type.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobType {
    /// What submissions call it.
    name: String,
    /// Where it is defined: `{"from": "file", "line": 3}` or `{"from": "declared", "module": "m"}`.
    #[schema(value_type = Object)]
    origin: Origin,
    /// Every setting, by its key in `[jobs.NAME]`, with where it comes from.
    settings: BTreeMap<String, Setting>,
}

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Setting {
    /// As it would be written; null if it is not set.
    value: serde_json::Value,
    /// Where it comes from: `default`, `file` or `declared`.
    #[schema(value_type = Object)]
    origin: Origin,
}

/// Lists the executors, and the job types that the caller may submit.
#[utoipa::path(
    get, path = "/executors", tag = "host", operation_id = "list_executors",
    responses((status = 200, description = "Executors and job types.", body = Executors)),
)]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> axum::Json<Executors> {
    let plugins = api.host.registry.list();
    let executors = api.host.config.executors.iter();
    let executors =
        executors.map(|(name, config)| executor(&api, &plugins, name, &config.plugin)).collect();
    let effective = api.host.config.effective();
    let types =
        api.host.config.job_types.values().filter(|job_type| may_see(&caller, &job_type.name));
    let job_types = types
        .map(|job_type| JobType {
            name: job_type.name.clone(),
            origin: job_type.origin.clone(),
            settings: settings(&effective, &job_type.name),
        })
        .collect();
    axum::Json(Executors { executors, job_types })
}

fn executor(api: &Api, plugins: &[registry::Entry], name: &str, plugin: &str) -> Executor {
    let open = api.host.worker.executors().get(name);
    // The one that takes jobs, or is to, stands first.
    let row = plugins.iter().flat_map(|entry| &entry.executors).find(|row| row.name == name);
    let standing = open.map_or(Standing::Absent, |open| open.executor.standing());
    let trouble = if standing.takes_jobs() {
        open.and_then(|open| open.trouble())
    } else {
        let problem = row.and_then(|row| row.problem.as_ref());
        Some(problem.map_or_else(|| standing.word().to_owned(), |problem| problem.message.clone()))
    };
    Executor {
        name: name.to_owned(),
        plugin: plugin.to_owned(),
        version: row.and_then(|row| row.version.clone()),
        standing,
        ready: open.is_some_and(|open| open.is_ready()),
        trouble,
        facts: open.and_then(|open| open.facts()).map(|facts| Facts {
            remote_execution: facts.remote_execution,
            scope: facts.scope,
            isolation: facts.isolation,
            reattach: facts.reattach,
        }),
    }
}

fn settings(effective: &Effective, job_type: &str) -> BTreeMap<String, Setting> {
    // Keys are paths in TOML, in which a name with a dot stands in quotes.
    let bare = format!("jobs.{job_type}.");
    let quoted = format!("jobs.\"{job_type}\".");
    let of_type = effective.settings.iter().filter_map(|setting| {
        let key = setting.key.strip_prefix(&bare).or_else(|| setting.key.strip_prefix(&quoted))?;
        let shown = Setting { value: setting.value.clone(), origin: setting.origin.clone() };
        Some((key.to_owned(), shown))
    });
    of_type.collect()
}

fn may_see(caller: &Caller, job_type: &str) -> bool {
    match &caller.role {
        Role::Admin => true,
        Role::Submitter { job_types, .. } => {
            job_types.as_ref().is_none_or(|types| types.contains(job_type))
        }
    }
}
