//! What is written about a job type, in a `[jobs.NAME]` table or by a decorator.

use std::{collections::BTreeMap, time::Duration};

use longshore_plugin_api::{PythonEnvironment, Resources};
use serde_json::Value as Json;

use super::{
    BASE_DELAY, Exclusive, MAX_DELAY, MAX_RETRIES, MAX_WORKERS, OnConflict, Priority, RETRIES,
    RETRY, TIMEOUT, WORKERS,
};
use crate::config::{
    kind::{
        Count, ExecutorName, Flag, Kind, List, Word,
        form::{CLASS, FUNCTION, PARAMETER, QUANTITY, REQUIREMENT, TEXT, URL},
        json::{MapOf, Opaque},
        measure::Period,
        path::Command,
    },
    node::Value,
    reader::{Spot, Table},
};

/// Every key as far as it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::config) struct JobTable {
    pub(super) function: Option<String>,
    pub(super) command: Option<Vec<String>>,
    pub(super) executor: Option<String>,
    pub(super) max_workers: Option<u32>,
    pub(super) max_running: Option<u32>,
    pub(super) timeout: Option<Duration>,
    pub(super) priority: Option<Priority>,
    /// Written as `false`, it takes a decorator's exclusivity away.
    pub(super) exclusive: Option<Option<Exclusive>>,
    pub(super) on_conflict: Option<OnConflict>,
    pub(super) conflict_delay: Option<Duration>,
    pub(super) transient_errors: Option<Vec<String>>,
    pub(super) max_retries: Option<u32>,
    pub(super) base_delay: Option<Duration>,
    pub(super) max_delay: Option<Duration>,
    pub(super) python: Option<PythonEnvironment>,
    pub(super) resources: Option<Resources>,
    pub(super) required_params: Option<Vec<String>>,
    /// Only a decorator knows them.
    pub(super) accepted_params: Option<Vec<String>>,
    pub(super) stop_grace: Option<Duration>,
    pub(super) options: Option<Json>,
    pub(super) description: Option<String>,
}

impl JobTable {
    /// Reads `[jobs.NAME]`. `executors` are the names that it may use.
    pub(in crate::config) fn read(table: &Table<'_>, executors: &[&str]) -> Self {
        table.later(&[
            "accept_less_isolation",
            "custom_code",
            "experiment_ids",
            "model_uris",
            "required_resources",
            "requires_local",
        ]);
        if table.has("function") && table.has("command") {
            table.conflict(Some("command"), "a job type has a `function` or a `command`, not both");
        }
        let on_conflict = Word {
            words: &[("cancel", OnConflict::Cancel), ("requeue", OnConflict::Requeue)],
            later: &[],
        };
        let run = "`function` or `command`: one is required, unless a decorator declares the type";
        let mut job = Self {
            function: table
                .key("function", FUNCTION)
                .means(
                    "A Python function; it gets the parameters as keyword arguments and returns \
                     the result.",
                )
                .optional_or(run),
            command: table
                .key("command", Command)
                .means(
                    "A program and its arguments, run without a shell; it finds its parameters in \
                     the file `LONGSHORE_PARAMS` and may write its result to `LONGSHORE_RESULT`.",
                )
                .optional_or(run),
            executor: table
                .key("executor", ExecutorName(executors))
                .means("The executor that runs it.")
                .optional_or("`routing.default_executor`"),
            max_workers: table
                .key("max_workers", WORKERS)
                .means(MAX_WORKERS)
                .optional_or("`defaults.max_workers`"),
            max_running: table
                .key("max_running", WORKERS)
                .means("How many jobs of the type run at a time in all hosts together, exactly.")
                .optional_or("no such limit"),
            timeout: table
                .key("timeout", Period::POSITIVE)
                .means(TIMEOUT)
                .optional_or("`defaults.timeout`"),
            priority: table
                .key("priority", PriorityKind)
                .means(
                    "Which jobs start first: 1 before 2, up to 4. A submission may say otherwise.",
                )
                .optional_or("`2`"),
            exclusive: table
                .key("exclusive", ExclusiveKind)
                .means(
                    "Jobs of the type with the same values of these parameters do not run at the \
                     same time; `true` means all parameters.",
                )
                .optional_or("`false`"),
            on_conflict: table
                .key("on_conflict", on_conflict)
                .means(
                    "What becomes of a job that finds another one running: `cancel` it, or \
                     `requeue` it for `conflict_delay`.",
                )
                .optional_or("`\"cancel\"`"),
            conflict_delay: table
                .key("conflict_delay", Period::POSITIVE)
                .means("After how long a job that was sent back tries again.")
                .optional_or("`\"5s\"`"),
            transient_errors: table
                .key("transient_errors", List::of(CLASS))
                .means(
                    "Exception classes, by full name and exactly, that make a failure of a \
                     function transient.",
                )
                .optional_or("`[]`"),
            required_params: table
                .key("required_params", List::of(PARAMETER))
                .means("Parameters that a submission must give.")
                .optional_or("`[]`, or what the decorated function requires"),
            stop_grace: table
                .key("stop_grace", Period::ANY)
                .means(
                    "How long the work may take to stop after it is asked to, before it is killed.",
                )
                .optional_or("`\"10s\"`"),
            options: table
                .key("options", Opaque)
                .means("Settings of the type for the executor's plugin.")
                .optional_or("none"),
            description: table
                .key("description", TEXT)
                .means("What the type is for, for people.")
                .optional_or("the decorated function's doc"),
            ..Self::default()
        };
        table.optional_section("retry", RETRY, |table| {
            job.max_retries = table
                .key("max_retries", RETRIES)
                .means(MAX_RETRIES)
                .optional_or("`defaults.retry.max_retries`");
            job.base_delay = table
                .key("base_delay", Period::ANY)
                .means(BASE_DELAY)
                .optional_or("`defaults.retry.base_delay`");
            job.max_delay = table
                .key("max_delay", Period::ANY)
                .means(MAX_DELAY)
                .optional_or("`defaults.retry.max_delay`");
        });
        job.read_surroundings(table);
        if table.has("command") {
            for of_functions in ["python", "transient_errors"] {
                if table.has(of_functions) {
                    table.conflict(
                        Some(of_functions),
                        format!("`{of_functions}` is for functions; a command has none"),
                    );
                }
            }
        }
        job
    }

    /// Reads what a decorator says.
    pub(in crate::config) fn read_declared(table: &Table<'_>) -> Self {
        table.key("name", TEXT).optional();
        let required = table.key("required_params", List::of(PARAMETER)).optional();
        let optional = table.key("optional_params", List::of(PARAMETER)).or(Vec::new());
        let accepts_any = table.key("accepts_extra_params", Flag).or(false);
        let accepted = required.iter().flatten().chain(&optional).cloned().collect();
        let mut job = Self {
            function: table.key("function", FUNCTION).required(),
            max_workers: table.key("max_workers", WORKERS).optional(),
            timeout: table.key("timeout", Period::POSITIVE).optional(),
            exclusive: table.key("exclusive", ExclusiveKind).optional(),
            transient_errors: table.key("transient_errors", List::of(CLASS)).optional(),
            description: table.key("doc", TEXT).optional(),
            accepted_params: (!accepts_any).then_some(accepted),
            required_params: required,
            ..Self::default()
        };
        job.read_surroundings(table);
        job
    }

    fn read_surroundings(&mut self, table: &Table<'_>) {
        self.python = table.optional_section(
            "python",
            "The environment of a function, built once per distinct value.",
            |table| PythonEnvironment {
                requirements: table
                    .key("requirements", List::of(REQUIREMENT))
                    .means("What pip installs.")
                    .or(Vec::new()),
                index_url: table
                    .key("index_url", URL)
                    .means("The package index.")
                    .optional_or("pip's own"),
            },
        );
        self.resources = table.optional_section(
            "resources",
            "What the work needs and may use, as Kubernetes writes it (`500m`, `1Gi`). The executor passes it on to what it runs jobs in. `local` runs plain processes: it sets none of it aside and enforces none of it.",
            |table| {
                let requests = table
                    .key("requests", MapOf(QUANTITY))
                    .means("What it asks for, by name (`cpu`, `memory`).")
                    .or(BTreeMap::new());
                let limits = table
                    .key("limits", MapOf(QUANTITY))
                    .means("What it may not exceed.")
                    .or(BTreeMap::new());
                Resources { requests, limits }
            },
        );
    }

    /// What this table says, and what `under` says where it is silent.
    pub(in crate::config) fn over(self, under: &Self) -> Self {
        let mut under = under.clone();
        if self.runs() {
            // Something else has other parameters.
            under = Self {
                function: None,
                command: None,
                required_params: None,
                accepted_params: None,
                ..under
            };
        }
        Self {
            function: self.function.or(under.function),
            command: self.command.or(under.command),
            executor: self.executor.or(under.executor),
            max_workers: self.max_workers.or(under.max_workers),
            max_running: self.max_running.or(under.max_running),
            timeout: self.timeout.or(under.timeout),
            priority: self.priority.or(under.priority),
            exclusive: self.exclusive.or(under.exclusive),
            on_conflict: self.on_conflict.or(under.on_conflict),
            conflict_delay: self.conflict_delay.or(under.conflict_delay),
            transient_errors: self.transient_errors.or(under.transient_errors),
            max_retries: self.max_retries.or(under.max_retries),
            base_delay: self.base_delay.or(under.base_delay),
            max_delay: self.max_delay.or(under.max_delay),
            python: self.python.or(under.python),
            resources: self.resources.or(under.resources),
            required_params: self.required_params.or(under.required_params),
            accepted_params: self.accepted_params.or(under.accepted_params),
            stop_grace: self.stop_grace.or(under.stop_grace),
            options: self.options.or(under.options),
            description: self.description.or(under.description),
        }
    }

    /// Whether the table says what runs.
    pub(in crate::config) fn runs(&self) -> bool {
        self.function.is_some() || self.command.is_some()
    }
}

struct PriorityKind;

impl PriorityKind {
    const NUMBER: Count = Count { least: 1, most: 4 };
}

impl Kind for PriorityKind {
    type Out = Priority;

    fn name(&self) -> String {
        Self::NUMBER.name()
    }

    fn expected(&self) -> String {
        format!("{} (1 starts first)", Self::NUMBER.expected())
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<Priority> {
        let number =
            if let Value::Integer(number) = value { u8::try_from(*number).ok() } else { None };
        let priority = number.and_then(Priority::new);
        if priority.is_none() {
            spot.wrong(&self.expected(), value);
        }
        priority
    }

    fn show(&self, value: &Priority) -> Json {
        value.get().into()
    }
}

struct ExclusiveKind;

impl ExclusiveKind {
    const NAMES: List<crate::config::kind::form::Form<String>> = List { of: PARAMETER, least: 1 };
}

impl Kind for ExclusiveKind {
    type Out = Option<Exclusive>;

    fn name(&self) -> String {
        "boolean, or list: parameter name".to_owned()
    }

    fn expected(&self) -> String {
        "`true`, `false`, or a list of names of parameters".to_owned()
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<Self::Out> {
        match value {
            Value::Flag(true) => Some(Some(Exclusive::AllParams)),
            Value::Flag(false) => Some(None),
            Value::List(items) if !items.is_empty() => {
                let names = Self::NAMES.read(value, spot)?;
                Some(Some(Exclusive::Params(names)))
            }
            _ => {
                spot.wrong(&self.expected(), value);
                None
            }
        }
    }

    fn show(&self, value: &Self::Out) -> Json {
        show_exclusive(value.as_ref())
    }
}

pub(super) fn show_exclusive(exclusive: Option<&Exclusive>) -> Json {
    match exclusive {
        None => false.into(),
        Some(Exclusive::AllParams) => true.into(),
        Some(Exclusive::Params(names)) => names.clone().into(),
    }
}
