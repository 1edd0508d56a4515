//! What is said about mistakes, word for word.

use std::fs;

use super::*;

/// One snapshot for each case: the text with its line numbers, and what is said about it.
macro_rules! said {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            let text: &str = $text;
            let numbered: String =
                (1..).zip(text.lines()).map(|(number, line)| format!("{number:>3} | {line}\n")).collect();
            let snapshot = format!("{numbered}\n{}", said(text));
            agreed(stringify!($name), &snapshot);
        }
    )*};
}

said! {
    an_unknown_key_is_answered_with_the_known_one: "\
[server]
listne = \"127.0.0.1:7878\"
";
    a_key_in_the_wrong_table_is_shown_the_way: "\
[server]
listen = \"127.0.0.1:7878\"
default_executor = \"local\"
state_dir = \"/var/lib/longshore\"
";
    a_key_like_no_other_is_just_unknown: "\
flux_capacitor = true
";
    an_unknown_table_is_answered_with_the_known_one: "\
[sever]
listen = \"127.0.0.1:7878\"
";
    a_wrong_type_is_named: "\
state_dir = 7
tokens = \"secret\"
executors = [\"local\"]

[server]
listen = 7878
behind_tls_proxy = \"true\"
allowed_hosts = \"jobs.example.org\"

[log]
level = true

[limits]
params = 16

[jobs]
score = \"scorers:score\"
";
    a_bad_duration_is_shown_a_good_one: "\
[defaults]
timeout = 30

[leases]
job = \"60\"

[recovery]
interval = \"ten seconds\"
give_up_after = \"1.5h\"
orphan_after = \"99999d\"

[shutdown]
grace = \"-5s\"
";
    a_timeout_is_positive_and_finite: "\
[executors.local]
[jobs.a]
command = [\"true\"]
timeout = nan
[jobs.b]
command = [\"true\"]
timeout = inf
[jobs.c]
command = [\"true\"]
timeout = \"0s\"
[jobs.d]
command = [\"true\"]
timeout = \"-1s\"
[jobs.e]
command = [\"true\"]
timeout = 0
[jobs.f]
command = [\"true\"]
timeout = -1.5
[jobs.g]
command = [\"true\"]
timeout = 1979-05-27
";
    a_lease_has_a_least_length: "\
[leases]
job = \"900ms\"
";
    a_number_has_bounds: "\
[executors.local]
[jobs.a]
command = [\"true\"]
max_workers = 0
priority = 5
max_running = 99999999999999999999999999999999999999999999
[limits]
result = \"1GiB\"
";
    a_type_runs_one_thing: "\
[executors.local]
[jobs.score]
function = \"scorers.jobs:score\"
command = [\"./score\"]
";
    a_type_runs_something: "\
[executors.local]
[jobs.score]
timeout = \"10m\"
";
    a_function_has_a_module: "\
[executors.local]
[jobs.a]
function = \"scorers.jobs.score\"
[jobs.b]
function = \"score\"
";
    a_command_is_a_list: "\
[executors.local]
[jobs.a]
command = \"./score --fast\"
[jobs.b]
command = []
[jobs.c]
command = [\"./score\", 7]
";
    a_command_has_no_python: "\
[executors.local]
[jobs.a]
command = [\"./score\"]
python = { requirements = [\"numpy\"] }
transient_errors = [\"OSError\"]
";
    an_unknown_executor_is_answered_with_the_known_one: "\
[executors.local]
[executors.docker]

[routing]
default_executor = \"locale\"

[jobs.score]
command = [\"true\"]
executor = \"dokcer\"
";
    without_an_executor_nothing_can_run: "\
[jobs.a]
command = [\"true\"]
[jobs.b]
command = [\"true\"]
";
    among_several_executors_one_is_the_default: "\
[executors.docker]
[executors.cluster]

[jobs.a]
command = [\"true\"]
[jobs.b]
command = [\"true\"]
executor = \"docker\"
";
    isolation_is_one_of_two_words: "\
[executors.local]
isolation = \"container\"
[executors.other]
isolation = \"proces\"
";
    names_are_plain: "\
[executors.\"a b\"]
[jobs.\"\"]
command = [\"true\"]
";
    an_option_is_one_of_a_few_words: "\
[database]
synchronous = \"ful\"

[log]
level = \"INFO\"
format = \"yaml\"
";
    a_database_is_a_file: "\
[database]
url = \"sqlite::memory:\"
";
    a_database_server_is_still_to_come: "\
[database]
url = \"postgres://longshore:hunter2@db.example.org/jobs\"
";
    a_database_has_a_scheme: "\
[database]
url = \"jobs.db\"
";
    listening_beyond_loopback_needs_tokens_and_tls: "\
[server]
listen = \"0.0.0.0:7878\"
";
    a_proxy_does_not_replace_tokens: "\
[server]
listen = \"[::]:7878\"
behind_tls_proxy = true
";
    tls_is_a_certificate_and_a_key: "\
[server]
tls = { cert = \"cert.pem\" }
";
    an_address_has_a_port: "\
[server]
listen = \"localhost:7878\"
public_url = \"https://me:hunter2@jobs.example.org\"
allowed_hosts = [\"https://jobs.example.org/x\", \"*\"]
allowed_origins = [\"https://jobs.example.org/\", \"jobs.example.org\"]
";
    tokens_have_names_of_their_own: "\
[[tokens]]
name = \"ci\"
role = \"admin\"
env = \"CI_TOKEN\"

[[tokens]]
name = \"ci\"
role = \"submitter\"
file = \"ci.token\"

[[tokens]]
name = \"cd\"
role = \"submitter\"
env = \"CI_TOKEN\"
";
    a_token_has_one_secret: "\
[[tokens]]
name = \"a\"
role = \"admin\"

[[tokens]]
name = \"b\"
role = \"admin\"
file = \"b.token\"
env = \"B_TOKEN\"
";
    a_token_needs_its_name_and_role: "\
[[tokens]]
env = \"TOKEN\"
";
    a_secret_is_not_repeated: "\
[[tokens]]
name = \"a\"
role = \"admin\"
sha256 = \"correct horse battery staple\"

[[tokens]]
name = \"b\"
role = \"admin\"
sha256 = [\"correct horse battery staple\"]
";
    an_admin_is_not_limited: "\
[[tokens]]
name = \"a\"
role = \"admin\"
env = \"TOKEN\"
job_types = [\"score\"]
";
    a_submitter_is_limited_to_types_that_exist: "\
[executors.local]
[jobs.score_traces]
command = [\"true\"]

[[tokens]]
name = \"a\"
role = \"submitter\"
env = \"TOKEN\"
job_types = [\"score_trace\", \"score_traces\"]
workspaces = []
";
    a_key_of_a_later_version_is_not_ignored: "\
[scheduler]
interval = \"60s\"

[retention]
completed_job_ttl = \"24h\"

[executors.local]

[routing]
allow_custom_code = true
custom_code_executor = \"docker\"

[recovery]
fence_after = \"10m\"

[jobs.score]
function = \"scorers.jobs:score\"
custom_code = [\"/scorers/*/call_source\"]
model_uris = [\"/scorers/*/model\"]
experiment_ids = [\"/experiment_id\"]
required_resources = { pointers = [] }
requires_local = true
accept_less_isolation = true

[[tokens]]
name = \"a\"
role = \"admin\"
env = \"TOKEN\"
grants = []
";
    retries_wait_at_most_the_longest_wait: "\
[executors.local]
[defaults]
retry = { base_delay = \"2m\", max_delay = \"1m\" }
[jobs.a]
command = [\"true\"]
retry = { base_delay = \"5s\", max_delay = \"1s\", max_retrys = 3 }
";
    a_setting_without_effect_is_a_mistake: "\
[executors.local]
[jobs.a]
command = [\"true\"]
on_conflict = \"requeue\"
conflict_delay = \"10s\"
";
    exclusivity_names_parameters: "\
[executors.local]
[jobs.a]
command = [\"true\"]
exclusive = []
[jobs.b]
command = [\"true\"]
exclusive = \"experiment_id\"
[jobs.c]
command = [\"true\"]
exclusive = [\"experiment_id\", 7]
";
    a_request_is_within_its_limit: "\
[executors.local]
[jobs.a]
command = [\"true\"]
resources = { requests = { cpu = \"1500m\", memory = \"1Gi\" }, limits = { cpu = \"1\", memory = \"2Gi\" } }
[jobs.b]
command = [\"true\"]
resources = { requests = { cpu = 1, memory = \"lots\" } }
";
    a_requirement_is_not_a_file: "\
[executors.local]
[jobs.a]
function = \"a:b\"
python = { requirements = [\"numpy\", \"-r requirements.txt\", \"./wheel.whl\", \"x @ file:///x\"], index_url = \"https://me:hunter2@pypi.example.org/simple\" }
";
    what_json_cannot_hold_is_refused: "\
[executors.local]
config = { nice = 1, deep = [{ not = nan }], huge = 99999999999999999999999999999999 }
";
    every_syntax_error_is_reported: "\
[server
listen = \"127.0.0.1:7878\"
state_dir = /var/lib
[log]
level = \"info
";
    a_key_is_written_once: "\
[log]
level = \"info\"
level = \"debug\"
";
    ten_mistakes_are_reported_at_once: "\
state_dri = \"/var/lib/longshore\"

[server]
listen = \"0.0.0.0:7878\"

[executors.local]
require = true

[defaults]
timeout = 3600

[jobs.score]
function = \"scorers.jobs.score\"
executor = \"loacl\"
max_workers = \"four\"
priority = 0
custom_code = [\"/scorers\"]

[jobs.export]
";
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("latin1.toml"), b"[server]\n# gr\xfc\xdfe\n").unwrap();
    let said: Vec<String> = ["missing.toml", "", "latin1.toml"]
        .map(|name| Config::load(&dir.path().join(name)).unwrap_err().to_string())
        .into_iter()
        .map(|said| said.replace(&dir.path().display().to_string(), "DIR"))
        .collect();
    agreed("a_file_that_cannot_be_read_says_why", &said.join("\n\n"));
}

#[test]
fn mistakes_are_also_data() {
    let text = "[server]\nlistne = 1\n[log]\nlevel = \"inof\"\n";
    let mistakes = Config::from_toml(text, Path::new(PATH)).unwrap_err();
    let json = serde_json::to_value(&mistakes).unwrap();
    let expected = serde_json::json!([
        {
            "source": { "file": PATH }, "line": 2, "column": 1, "key": "server.listne",
            "problem": "unknown_key", "name": "listne", "place": "in [server]", "suggestion": "listen",
        },
        {
            "source": { "file": PATH }, "line": 4, "column": 9, "key": "log.level",
            "problem": "value", "what": "`log.level`", "found": "\"inof\"", "suggestion": "info",
            "expected": "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        },
    ]);
    assert_eq!(json, expected);
}
