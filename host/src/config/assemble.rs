//! From what the file writes and what decorators declare to the job types.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Config, Declared, check,
    declared::DeclaredJob,
    effective::Origin,
    mistake::Mistake,
    reader::{Record, join},
    section::jobs::JobTable,
    suggest,
};

/// A job type that may be written, declared, or both.
struct Draft<'a> {
    name: &'a str,
    path: String,
    written: Option<&'a JobTable>,
    declared: Option<&'a DeclaredJob>,
}

impl Config {
    /// Makes the job types, and finds every mistake that shows only here.
    pub(super) fn assemble(&mut self) -> Vec<Mistake> {
        let mut mistakes = check::job_types_of_tokens(self);
        let drafts = self.drafts();
        if !self.record.has("executors") && !drafts.is_empty() {
            let message = "no executor is configured, and job types need one: add \
                           [executors.local]";
            mistakes.push(self.record.conflict("jobs", message));
        }
        let mut job_types = BTreeMap::new();
        for draft in drafts {
            let Some((table, origin)) = draft.merge(&self.record) else {
                mistakes.extend(self.nothing_to_run(&draft));
                continue;
            };
            let default_executor = self.routing.default_executor.as_deref();
            let (job, conflicts) =
                table.complete(draft.name, &self.defaults, default_executor, origin);
            for (key, message) in conflicts {
                let path = format!("{}.{key}", draft.path);
                if key == "executor" && self.executor_is_wrong_already(&path) {
                    continue;
                }
                mistakes.push(draft.record(&self.record).conflict(&path, message));
            }
            job_types.extend(job.map(|job| (job.name.clone(), job)));
        }
        self.job_types = job_types;
        mistakes
    }

    /// The names of all job types that are known so far.
    pub(super) fn job_names(&self) -> Vec<&str> {
        let declared = self.declared.iter().flat_map(Declared::names);
        self.tables.keys().map(String::as_str).chain(declared).collect()
    }

    /// Whether modules are listed that were not read yet.
    pub(super) fn is_incomplete(&self) -> bool {
        self.declared.is_none() && !self.python.modules.is_empty()
    }

    /// Where a setting of a job type comes from.
    pub(super) fn origin(&self, job: &str, key: &str) -> Origin {
        let path = format!("{}.{key}", join("jobs", job));
        let declared = self.declared.as_ref().and_then(|declared| declared.jobs.get(job));
        let default = match key {
            "executor" => "routing.default_executor".to_owned(),
            key => format!("defaults.{key}"),
        };
        let declared_key =
            if key == "description" { format!("{}.doc", join("jobs", job)) } else { path.clone() };
        self.record
            .origin_of(&path)
            .or_else(|| declared?.record.origin_of(&declared_key))
            .or_else(|| self.record.origin_of(&default))
            .unwrap_or(Origin::Default)
    }

    fn drafts(&self) -> Vec<Draft<'_>> {
        let names: BTreeSet<&str> = self.job_names().into_iter().collect();
        let draft = |name| Draft {
            name,
            path: join("jobs", name),
            written: self.tables.get(name),
            declared: self.declared.as_ref().and_then(|declared| declared.jobs.get(name)),
        };
        names.into_iter().map(draft).collect()
    }

    fn nothing_to_run(&self, draft: &Draft<'_>) -> Option<Mistake> {
        let said = ["function", "command"]
            .iter()
            .any(|key| self.record.has(&format!("{}.{key}", draft.path)));
        if said || self.is_incomplete() {
            return None;
        }
        let mut message =
            format!("job type `{}` has neither a `function` nor a `command`", draft.name);
        if let Some(declared) = &self.declared {
            message += ", and no listed module declares it";
            if let Some(meant) = suggest::closest(draft.name, declared.names()) {
                message += &format!(", did you mean `{meant}`?");
            }
        }
        Some(self.record.conflict(&draft.path, message))
    }

    /// One mistake is reported once: a name that does not exist, or no executor at all.
    fn executor_is_wrong_already(&self, path: &str) -> bool {
        self.record.has(path)
            || self.record.has("routing.default_executor")
            || !self.record.has("executors")
    }
}

impl Draft<'_> {
    /// What is said about the type in all, and where its `run` comes from; nothing if nobody says
    /// what runs.
    fn merge(&self, record: &Record) -> Option<(JobTable, Origin)> {
        let in_file =
            || Origin::File { line: record.positions.get(&self.path).map_or(0, |at| at.line) };
        match (self.written, self.declared) {
            (Some(written), None) => written.runs().then(|| (written.clone(), in_file())),
            (Some(written), Some(declared)) => {
                let origin = if written.runs() { in_file() } else { declared.origin() };
                Some((written.clone().over(&declared.table), origin))
            }
            (None, declared) => {
                declared.map(|declared| (declared.table.clone(), declared.origin()))
            }
        }
    }

    fn record<'r>(&'r self, file: &'r Record) -> &'r Record {
        match (self.written, self.declared) {
            (None, Some(declared)) => &declared.record,
            _ => file,
        }
    }
}
