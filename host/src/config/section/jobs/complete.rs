//! From what is written about a job type to the job type, with every cross-check.

use std::time::Duration;

use longshore_plugin_api::Run;
use serde_json::Value as Json;

use super::{Defaults, JobTable, JobType, OnConflict, Retry, table::show_exclusive};
use crate::config::{effective::Origin, kind::form::quantity, period, suggest};

const CONFLICT_DELAY: Duration = Duration::from_secs(5);
const STOP_GRACE: Duration = Duration::from_secs(10);

/// What is wrong with a job type, and at which of its keys.
pub(in crate::config) type Conflict = (&'static str, String);

impl JobTable {
    /// The job type, if the table says what runs and there is an executor for it; and everything
    /// that does not fit together.
    pub(in crate::config) fn complete(
        self,
        name: &str,
        defaults: &Defaults,
        default_executor: Option<&str>,
        origin: Origin,
    ) -> (Option<JobType>, Vec<Conflict>) {
        let mut conflicts = Vec::new();
        let executor = self.executor.as_deref().or(default_executor).map(str::to_owned);
        if executor.is_none() {
            let way_out = "name one, or set `routing.default_executor`";
            conflicts.push(("executor", format!("job type `{name}` has no executor: {way_out}")));
        }
        if self.exclusive.as_ref().is_none_or(Option::is_none) {
            let written = [
                ("on_conflict", self.on_conflict.is_some()),
                ("conflict_delay", self.conflict_delay.is_some()),
            ];
            for (key, _) in written.into_iter().filter(|(_, written)| *written) {
                conflicts.push((
                    key,
                    format!("`{key}` of job type `{name}` has no effect without `exclusive`"),
                ));
            }
        }
        let run = match (self.function, self.command) {
            (Some(function), _) => Some(Run::Function(function)),
            (None, Some(command)) => Some(Run::Command(command)),
            (None, None) => None,
        };
        let (Some(run), Some(executor)) = (run, executor) else {
            return (None, conflicts);
        };
        let job = JobType {
            name: name.to_owned(),
            run,
            executor,
            max_workers: self.max_workers.unwrap_or(defaults.max_workers),
            max_running: self.max_running,
            timeout: self.timeout.unwrap_or(defaults.timeout),
            priority: self.priority.unwrap_or_default(),
            exclusive: self.exclusive.flatten(),
            on_conflict: self.on_conflict.unwrap_or(OnConflict::Cancel),
            conflict_delay: self.conflict_delay.unwrap_or(CONFLICT_DELAY),
            transient_errors: self.transient_errors.unwrap_or_default(),
            retry: Retry {
                max_retries: self.max_retries.unwrap_or(defaults.retry.max_retries),
                base_delay: self.base_delay.unwrap_or(defaults.retry.base_delay),
                max_delay: self.max_delay.unwrap_or(defaults.retry.max_delay),
            },
            python: self.python,
            resources: self.resources,
            required_params: self.required_params.unwrap_or_default(),
            accepted_params: self.accepted_params,
            stop_grace: self.stop_grace.unwrap_or(STOP_GRACE),
            options: self.options,
            description: self.description,
            origin,
        };
        conflicts.extend(job.conflicts());
        (Some(job), conflicts)
    }
}

impl JobType {
    fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        if let Some(conflict) = self.retry.conflict() {
            conflicts.push(("retry", format!("job type `{}`: {conflict}", self.name)));
        }
        if let Some(accepted) = &self.accepted_params {
            let excluding = match &self.exclusive {
                Some(super::Exclusive::Params(names)) => names.as_slice(),
                _ => &[],
            };
            let named = [("exclusive", excluding), ("required_params", &self.required_params)];
            for (key, names) in named {
                for name in names.iter().filter(|name| !accepted.contains(name)) {
                    let meant = suggest::closest(name, accepted.iter().map(String::as_str));
                    let meant =
                        meant.map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default();
                    conflicts.push((
                        key,
                        format!(
                            "`{key}` names `{name}`, but job type `{}` has no such \
                             parameter{meant}",
                            self.name
                        ),
                    ));
                }
            }
        }
        if let Some(resources) = &self.resources {
            for (name, request) in &resources.requests {
                let Some(limit) = resources.limits.get(name) else {
                    continue;
                };
                if quantity(request) > quantity(limit) {
                    conflicts.push((
                        "resources",
                        format!(
                            "job type `{}` requests more {name} than its limit allows: {request} \
                             and {limit}",
                            self.name
                        ),
                    ));
                }
            }
        }
        conflicts
    }

    /// Every key below `jobs.NAME` with its value as it would be written.
    pub(in crate::config) fn shown(&self) -> Vec<(String, Json)> {
        let time = |duration: Duration| Json::from(period::show(duration));
        let on_conflict = match self.on_conflict {
            OnConflict::Cancel => "cancel",
            OnConflict::Requeue => "requeue",
        };
        let run = match &self.run {
            Run::Function(function) => ("function", function.as_str().into()),
            Run::Command(command) => ("command", command.clone().into()),
        };
        let mut shown = vec![
            run,
            ("executor", self.executor.as_str().into()),
            ("max_workers", self.max_workers.into()),
            ("max_running", self.max_running.map_or(Json::Null, Json::from)),
            ("timeout", time(self.timeout)),
            ("priority", self.priority.get().into()),
            ("exclusive", show_exclusive(self.exclusive.as_ref())),
        ];
        if self.exclusive.is_some() {
            shown.push(("on_conflict", on_conflict.into()));
            shown.push(("conflict_delay", time(self.conflict_delay)));
        }
        shown.extend([
            ("transient_errors", self.transient_errors.clone().into()),
            ("retry.max_retries", self.retry.max_retries.into()),
            ("retry.base_delay", time(self.retry.base_delay)),
            ("retry.max_delay", time(self.retry.max_delay)),
        ]);
        if let Some(python) = &self.python {
            shown.push(("python.requirements", python.requirements.clone().into()));
            shown.push((
                "python.index_url",
                python.index_url.clone().map_or(Json::Null, Json::from),
            ));
        }
        if let Some(resources) = &self.resources {
            shown.push(("resources.requests", object(&resources.requests)));
            shown.push(("resources.limits", object(&resources.limits)));
        }
        shown.extend([
            ("required_params", self.required_params.clone().into()),
            ("stop_grace", time(self.stop_grace)),
            ("options", self.options.clone().unwrap_or(Json::Null)),
            ("description", self.description.clone().map_or(Json::Null, Json::from)),
        ]);
        shown.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

fn object(map: &std::collections::BTreeMap<String, String>) -> Json {
    map.iter().map(|(key, value)| (key.clone(), Json::from(value.as_str()))).collect()
}
