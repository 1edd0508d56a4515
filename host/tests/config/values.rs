//! What a right configuration becomes.

use std::time::Duration;

use longshore::config::{DatabaseUrl, Exclusive, LogFormat, OnConflict, Origin, Priority, Role};
use longshore_plugin_api::Run;

use super::*;

#[test]
fn an_empty_file_is_a_configuration() {
    let config = read("");
    assert_eq!(config.state_dir, Path::new("/etc/longshore/state"));
    assert_eq!(config.plugins.dir, Path::new("/etc/longshore/plugins"));
    let path = "/etc/longshore/state/longshore.db".into();
    assert_eq!(config.database.url, DatabaseUrl::Sqlite { path });
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7878");
    assert_eq!(config.leases.job, Duration::from_secs(60));
    assert_eq!(config.recovery.interval, Duration::from_secs(10));
    assert_eq!(config.recovery.max_recoveries, 3);
    assert_eq!(config.recovery.give_up_after, Duration::from_secs(24 * 3600));
    assert_eq!(config.recovery.orphan_after, Duration::from_secs(3600));
    assert_eq!(config.shutdown.grace, Duration::from_secs(30));
    assert_eq!((config.limits.params, config.limits.result), (16 << 20, 16 << 20));
    assert_eq!(config.defaults.timeout, Duration::from_secs(3600));
    assert_eq!(config.defaults.max_workers, 4);
    assert_eq!(config.defaults.retry.max_retries, 3);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.routing.default_executor, None);
    assert!(config.executors.is_empty() && config.job_types.is_empty() && config.tokens.is_empty());
}

#[test]
fn every_key_arrives_where_it_belongs() {
    let config = read(
        r#"
state_dir = "/var/lib/longshore"

[server]
listen = "0.0.0.0:80"
public_url = "https://jobs.example.org"
behind_tls_proxy = true
allowed_hosts = ["jobs.example.org:443"]
allowed_origins = ["https://mlflow.example.org"]

[database]
url = "sqlite:jobs.db"
synchronous = "normal"

[executors.here]
plugin = "local"
required = true
config = { cache_dir = "/var/cache", limits = [1, 2.5, true] }

[python]
interpreter = "venv/bin/python"
path = ["src"]

[defaults]
timeout = "2h"
retry = { base_delay = "2s" }

[jobs.score_traces]
function = "scorers.jobs:score_traces"
max_workers = 8
max_running = 20
timeout = "10m"
priority = 1
exclusive = ["experiment_id"]
on_conflict = "requeue"
conflict_delay = "7s"
transient_errors = ["requests.exceptions.ConnectionError"]
retry = { max_retries = 5 }
python = { requirements = ["scikit-learn==1.5.0"], index_url = "https://index.example.org/simple" }
resources = { requests = { cpu = "500m" }, limits = { memory = "1Gi" } }
required_params = ["experiment_id"]
stop_grace = "3s"
options = { nice = 10 }
description = "scores traces"

[jobs.export]
command = ["./export", "--all"]
exclusive = true

[[tokens]]
name = "ci"
role = "submitter"
env = "CI_TOKEN"
job_types = ["export"]
"#,
    );
    let job = &config.job_types["score_traces"];
    assert_eq!(job.run, Run::Function("scorers.jobs:score_traces".to_owned()));
    assert_eq!(job.executor, "here");
    assert_eq!((job.max_workers, job.max_running), (8, Some(20)));
    assert_eq!(job.timeout, Duration::from_secs(600));
    assert_eq!(job.priority, Priority::FIRST);
    assert_eq!(job.exclusive, Some(Exclusive::Params(vec!["experiment_id".to_owned()])));
    assert_eq!(job.on_conflict, OnConflict::Requeue);
    assert_eq!(job.conflict_delay, Duration::from_secs(7));
    assert_eq!(job.transient_errors, ["requests.exceptions.ConnectionError"]);
    assert_eq!(job.retry.max_retries, 5);
    assert_eq!(job.retry.base_delay, Duration::from_secs(2), "from [defaults]");
    assert_eq!(job.retry.max_delay, Duration::from_secs(60));
    let python = job.python.as_ref().unwrap();
    assert_eq!(python.requirements, ["scikit-learn==1.5.0"]);
    assert_eq!(python.index_url.as_deref(), Some("https://index.example.org/simple"));
    let resources = job.resources.as_ref().unwrap();
    assert_eq!((&*resources.requests["cpu"], &*resources.limits["memory"]), ("500m", "1Gi"));
    assert_eq!(job.required_params, ["experiment_id"]);
    assert_eq!(job.accepted_params, None, "only a decorator knows all of them");
    assert_eq!(job.stop_grace, Duration::from_secs(3));
    assert_eq!(job.options, Some(serde_json::json!({ "nice": 10 })));
    assert_eq!(job.description.as_deref(), Some("scores traces"));
    assert_eq!(job.origin, Origin::File { line: 28 });

    let export = &config.job_types["export"];
    let command = ["/etc/longshore/./export", "--all"].map(str::to_owned).to_vec();
    assert_eq!(export.run, Run::Command(command), "relative to the file");
    assert_eq!(export.timeout, Duration::from_secs(7200), "from [defaults]");
    assert_eq!(export.exclusive, Some(Exclusive::AllParams));

    let path = "/etc/longshore/jobs.db".into();
    assert_eq!(config.database.url, DatabaseUrl::Sqlite { path });
    assert_eq!(config.python.interpreter, "/etc/longshore/venv/bin/python");
    assert_eq!(config.python.path, [Path::new("/etc/longshore/src")]);
    assert_eq!(config.routing.default_executor.as_deref(), Some("here"), "the only one");
    let settings = &config.executors["here"].config;
    assert_eq!(settings["limits"], serde_json::json!([1, 2.5, true]));
    let Role::Submitter { job_types, workspaces } = &config.tokens[0].role else { panic!() };
    assert_eq!((job_types.as_ref().unwrap().len(), workspaces), (1, &None));
}

#[test]
fn local_is_the_default_among_several_executors() {
    let config = read("[executors.docker]\n[executors.local]\n[executors.zoo]\n");
    assert_eq!(config.routing.default_executor.as_deref(), Some("local"));
}

#[test]
fn everything_in_effect_is_shown_with_its_origin() {
    let config = read(
        r#"
[executors.local]
config = { cache_dir = "/var/cache", api_token = "hunter2", nested = { password = "hunter2" } }

[defaults]
timeout = "2h"

[jobs.score]
command = ["true"]
max_workers = 8
retry = { max_retries = 1 }

[[tokens]]
name = "ci"
role = "admin"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
"#,
    );
    let shown = config.effective().to_string();
    assert!(!shown.contains("hunter2") && !shown.contains("0123456789abcdef"));
    toml::from_str::<toml::Table>(&shown.replace("[0]", "")).unwrap();
    agreed("everything_in_effect_is_shown_with_its_origin", &shown);
    let json = serde_json::to_value(config.effective()).unwrap();
    let timeout =
        json.as_array().unwrap().iter().find(|setting| setting["key"] == "defaults.timeout");
    let expected = serde_json::json!({
        "key": "defaults.timeout", "value": "2h", "origin": { "from": "file", "line": 6 },
    });
    assert_eq!(timeout, Some(&expected));
}
