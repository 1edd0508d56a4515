//! Types that decorators declare.

use std::time::Duration;

use longshore::config::{Config, Declared, Origin};
use longshore_plugin_api::Run;

use super::{agreed, read};

const ANSWER: &str = r#"{
    "modules": ["scorers.jobs"],
    "jobs": [{
        "name": "score", "function": "scorers.jobs:score", "max_workers": 2, "timeout": 90.5,
        "transient_errors": ["requests.exceptions.ConnectionError"], "exclusive": ["experiment_id"],
        "python": {"requirements": ["numpy"], "index_url": null},
        "resources": {"requests": {"cpu": "1"}, "limits": {}},
        "required_params": ["experiment_id"], "optional_params": ["limit"],
        "accepts_extra_params": false, "doc": "Scores."
    }, {
        "name": "plain", "function": "scorers.jobs:plain", "max_workers": null, "timeout": null,
        "transient_errors": [], "exclusive": false, "python": null, "resources": null,
        "required_params": [], "optional_params": [], "accepts_extra_params": true, "doc": ""
    }],
    "errors": []
}"#;

fn merged(text: &str) -> Config {
    let declared = Declared::parse(ANSWER).unwrap();
    read(text).with_declared(declared).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn said_of(text: &str, answer: &str) -> String {
    let merged = Declared::parse(answer).and_then(|declared| read(text).with_declared(declared));
    merged.unwrap_err().to_string().replace("/etc/longshore/", "")
}

#[test]
fn a_decorated_function_is_a_job_type() {
    let config = merged("[executors.local]\n[python]\nmodules = [\"scorers.jobs\"]\n");
    let score = &config.job_types["score"];
    assert_eq!(score.run, Run::Function("scorers.jobs:score".to_owned()));
    assert_eq!(score.executor, "local");
    assert_eq!(score.max_workers, 2);
    assert_eq!(score.timeout, Duration::from_millis(90_500));
    assert_eq!(score.required_params, ["experiment_id"]);
    let accepted = ["experiment_id", "limit"].map(str::to_owned).to_vec();
    assert_eq!(score.accepted_params, Some(accepted));
    assert_eq!(score.description.as_deref(), Some("Scores."));
    assert_eq!(score.origin, Origin::Declared { module: "scorers.jobs".to_owned() });
    let plain = &config.job_types["plain"];
    assert_eq!(plain.max_workers, 4);
    assert_eq!(plain.timeout, Duration::from_secs(3600));
    assert_eq!((&plain.exclusive, &plain.python, &plain.resources), (&None, &None, &None));
    assert_eq!((&plain.accepted_params, &plain.description), (&None, &None));
}

#[test]
fn a_table_changes_the_keys_that_it_names_and_no_other() {
    let text = "\
[executors.local]
[executors.docker]
[python]
modules = [\"scorers.jobs\"]
[jobs.score]
executor = \"docker\"
timeout = \"5m\"
exclusive = false
[[tokens]]
name = \"ci\"
role = \"submitter\"
env = \"CI\"
job_types = [\"plain\"]
";
    let config = merged(text);
    let mut expected = merged("[executors.local]\n").job_types["score"].clone();
    expected.executor = "docker".to_owned();
    expected.timeout = Duration::from_secs(300);
    expected.exclusive = None;
    assert_eq!(config.job_types["score"], expected);
    let shown = config.effective();
    let origin = |key: &str| {
        let setting = shown.settings.iter().find(|setting| setting.key == key);
        setting.unwrap_or_else(|| panic!("{key} is not shown")).origin.to_string()
    };
    assert_eq!(origin("jobs.score.timeout"), "line 7");
    assert_eq!(origin("jobs.score.max_workers"), "module scorers.jobs");
    assert_eq!(origin("jobs.score.description"), "module scorers.jobs");
    assert_eq!(origin("jobs.score.python.requirements"), "module scorers.jobs");
    assert_eq!(origin("jobs.plain.max_workers"), "default");
}

#[test]
fn another_function_has_other_parameters() {
    let config = merged("[executors.local]\n[jobs.score]\nfunction = \"other:score\"\n");
    let score = &config.job_types["score"];
    assert_eq!(score.run, Run::Function("other:score".to_owned()));
    assert_eq!(score.max_workers, 2, "what is not about the function stays");
    assert!(score.required_params.is_empty() && score.accepted_params.is_none());
    assert_eq!(score.origin, Origin::File { line: 2 });
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    let text = "\
[executors.local]
[python]
modules = [\"scorers.jobs\"]
[jobs.scores]
timeout = \"5m\"
[jobs.score]
exclusive = [\"experiment\"]
[[tokens]]
name = \"ci\"
role = \"submitter\"
env = \"CI\"
job_types = [\"plane\"]
";
    let answer = r#"{"errors": [
        {"module": "broken", "error": "cannot be imported: ImportError: no module named 'x'"}
    ], "jobs": [
        {"name": "a b", "function": "m:f"},
        {"name": "late", "function": "m:late", "timeout": -1},
        {"name": "typo", "function": "m:typo", "exclusve": true, "max_workers": 0},
        {"name": "twice", "function": "m:twice"},
        {"name": "twice", "function": "n:twice"},
        7
    ]}"#;
    let lone = r#"{"jobs": [{"name": "score", "function": "m:score", "exclusive": ["x"],
        "required_params": ["y"], "accepts_extra_params": false}]}"#;
    let said = [
        said_of(text, ANSWER),
        said_of("[executors.local]\n", answer),
        said_of("[executors.local]\n", lone),
        said_of("", lone),
        said_of("", "Traceback"),
        said_of("", "[]"),
        said_of("", "{}"),
    ];
    agreed("what_does_not_fit_is_said_with_its_place", &said.join("\n\n"));
}
