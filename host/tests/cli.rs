//! What the command says, word for word, and with which exit code: run as a person or a script runs
//! it. No host answers here but scripted ones; conversations with a real one are in the crate
//! `tests`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "cli/desk.rs"]
mod desk;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/host.rs"]
mod host;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
    thread,
};

use self::{
    desk::{Desk, agreed},
    host::Scripted,
};

/// A configuration that needs nothing but itself.
const RIGHT: &str = "\
[executors.local]

[jobs.score]
command = [\"true\"]
";

const ID: &str = "01957a3c-7f7e-7bd0-a4f3-6c62b0f0e0aa";

#[test]
fn every_command_explains_itself() {
    let commands = [
        "",
        "serve",
        "submit",
        "jobs",
        "jobs list",
        "jobs show",
        "jobs watch",
        "jobs cancel",
        "jobs logs",
        "plugin",
        "plugin list",
        "plugin check",
        "plugin new",
        "plugin inspect",
        "plugin lock",
        "plugin release",
        "config",
        "config check",
        "config show",
        "migrate",
        "doctor",
    ];
    let desk = Desk::new();
    for command in commands {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let said = desk.run(&arguments);
        assert_eq!(said.code, 0, "{said}");
        let name = format!("help {command}").trim_end().replace(' ', "_");
        agreed(&name, &said.stdout);
    }
}

/// One snapshot for each case: what is typed, and what comes back.
macro_rules! said {
    ($($name:ident($desk:ident) $prepare:block $arguments:expr;)*) => {$(
        #[test]
        fn $name() {
            let $desk = Desk::new();
            $prepare
            agreed(stringify!($name), &$desk.run(&$arguments).to_string());
        }
    )*};
}

said! {
    without_a_command_the_commands_are_listed(desk) {} [];
    an_unknown_command_is_answered_with_the_known_one(desk) {} ["sumbit", "score"];
    an_unknown_option_is_answered_with_the_known_one(desk) {} ["jobs", "list", "--statsu", "FAILED"];
    an_id_is_a_uuid(desk) {} ["jobs", "show", "42"];
    a_state_is_one_of_seven(desk) {} ["jobs", "list", "--status", "DONE"];
    a_timeout_is_a_duration(desk) {} ["submit", "score", "--timeout", "soon"];
    a_parameter_has_a_name(desk) {} ["submit", "score", "traces"];
    a_parameter_is_given_once(desk) {} ["submit", "score", "a=1", "a=2"];
    parameters_are_an_object(desk) {} ["submit", "score", "--params", "[1, 2]"];
    parameters_are_json(desk) {} ["submit", "score", "--params", "{a: 1}"];
    parameters_come_one_way(desk) {} ["submit", "score", "a=1", "--params", "{}"];
    a_parameter_file_that_is_missing_is_named(desk) {} ["submit", "score", "--params-file", "params.json"];
    an_address_has_a_scheme(desk) {} ["jobs", "list", "--url", "127.0.0.1:7878"];
    beyond_loopback_only_the_configuration_opens_a_door(desk) { desk.configure(RIGHT); }
        ["serve", "--listen", "0.0.0.0:7878"];
    without_a_configuration_there_is_no_host(desk) {} ["serve"];
    a_configuration_that_is_missing_is_named(desk) {} ["serve", "--config", "nowhere.toml"];
    without_a_configuration_a_host_must_be_named(desk) {} ["jobs", "list"];
    mistakes_in_the_configuration_are_reported_at_once(desk) { desk.configure(WRONG); } ["config", "check"];
    a_host_does_not_start_with_mistakes(desk) { desk.configure(WRONG); } ["serve"];
    a_host_does_not_start_without_its_default_executor(desk) {
        desk.configure(&format!("server.listen = \"127.0.0.1:0\"\nlog.level = \"error\"\n{RIGHT}"));
        fs::create_dir(desk.path("plugins")).unwrap();
    } ["serve"];
    mistakes_are_reported_to_a_script(desk) { desk.configure("state_dir = 7\n"); } ["config", "check", "--json"];
    an_executor_without_its_plugin_is_a_mistake(desk) {
        desk.configure(RIGHT);
        fs::create_dir(desk.path("plugins")).unwrap();
    } ["config", "check"];
    a_module_that_cannot_be_imported_is_named(desk) {
        desk.configure(&format!("[python]\npath = [\".\"]\nmodules = [\"broken\"]\n{RIGHT}"));
        desk.file("broken.py", "import nothing_of_that_name\n");
    } ["config", "check"];
    before_the_first_start_there_is_no_token(desk) { desk.configure(RIGHT); } ["jobs", "list"];
    the_admin_token_is_for_its_own_host(desk) {
        desk.configure(RIGHT);
        desk.admin_token();
    } ["jobs", "list", "--url", "http://192.0.2.1:7878"];
    a_text_is_no_plugin(desk) { desk.file("plugin.so", "not a library\n"); } ["plugin", "inspect", "plugin.so"];
    a_program_is_no_plugin(desk) { desk.copy(env!("CARGO_BIN_EXE_longshore"), "plugin.so"); }
        ["plugin", "inspect", "plugin.so"];
    a_plugin_that_is_missing_is_named(desk) {} ["plugin", "inspect", "plugin.so"];
    a_text_passes_no_check(desk) { desk.file("plugin.so", "not a library\n"); }
        ["plugin", "check", "plugin.so", "--level", "1", "--seed", "7"];
    no_test_has_that_name(desk) { desk.file("plugin.so", "not a library\n"); }
        ["plugin", "check", "plugin.so", "--only", "nothing_of_that_name"];
    a_sample_that_makes_no_sense_is_named(desk) {
        desk.file("plugin.so", "not a library\n");
        desk.file("check.toml", "quick = { comand = [\"true\"] }\n");
    } ["plugin", "check", "plugin.so", "--with", "check.toml"];
    a_test_is_not_started_by_hand(desk) {} ["__check"];
    a_refused_plugin_is_a_row_and_a_reason(desk) {
        desk.configure(RIGHT);
        desk.file("plugins/text.so", "not a library\n");
    } ["plugin", "list"];
    without_its_directory_there_are_no_plugins(desk) { desk.configure(RIGHT); } ["plugin", "list"];
    a_plugin_is_named_like_a_crate(desk) {} ["plugin", "new", "2nd-Acme"];
    a_plugin_is_not_named_like_the_host(desk) {} ["plugin", "new", "longshore-host"];
    a_new_plugin_is_not_made_over_what_is_there(desk) { desk.file("acme/notes.txt", "mine"); }
        ["plugin", "new", "acme"];
    a_plugin_api_that_is_missing_is_named(desk) {} ["plugin", "new", "acme", "--api", "nowhere"];
    another_crate_is_no_plugin_api(desk) { desk.file("other/Cargo.toml", "[package]\nname = \"other\"\n"); }
        ["plugin", "new", "acme", "--api", "other"];
    a_new_plugin_says_what_is_next(desk) {} ["plugin", "new", "acme-2", "--dir", "here"];
    a_doctor_without_a_configuration_says_so(desk) {} ["doctor"];
    a_doctor_shows_every_mistake(desk) { desk.configure(WRONG); } ["doctor"];
}

const WRONG: &str = "\
[server]
listne = \"127.0.0.1:7878\"

[executors.local]

[jobs.score]
command = [\"true\"]
timeout = \"0s\"
";

#[test]
fn a_new_plugin_has_its_name_everywhere_and_its_api_from_where_it_was_said() {
    let desk = Desk::new();
    desk.file("plugin-api/Cargo.toml", "[package]\nname = \"longshore-plugin-api\"\n");
    let api = ["--dir", "cloned", "--api", "plugin-api"];
    assert_eq!(desk.run(&["plugin", "new", "acme-2"]).code, 0);
    assert_eq!(desk.run(&[&["plugin", "new", "longshore-acme"], &api[..]].concat()).code, 0);
    let read = |path: &str| fs::read_to_string(desk.path(path)).unwrap();
    let files = [
        ".gitignore",
        "Cargo.toml",
        "README.md",
        "check.toml",
        "ci.sh",
        "longshore.toml",
        "src/lib.rs",
        "tests/conformance.rs",
    ];
    for file in files {
        assert!(!read(&format!("acme-2/{file}")).contains("{{"), "{file}");
    }
    let manifest: toml::Table = read("acme-2/Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("longshore-acme-2"));
    assert_eq!(manifest["dependencies"]["longshore-plugin-api"]["version"].as_str(), Some("1"));
    assert!(read("acme-2/tests/conformance.rs").contains("longshore_acme_2::Commands"));
    assert!(read("acme-2/longshore.toml").contains("[executors.acme-2.config]"));
    let mode = fs::metadata(desk.path("acme-2/ci.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o100, 0o100, "it is there to be run");

    let manifest: toml::Table = read("cloned/Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("longshore-acme"));
    let path = fs::canonicalize(desk.path("plugin-api")).unwrap();
    for dependencies in ["dependencies", "dev-dependencies"] {
        let found = manifest[dependencies]["longshore-plugin-api"]["path"].as_str();
        assert_eq!(found, path.to_str(), "{dependencies}");
    }
}

#[test]
fn what_is_in_effect_is_shown_with_its_origin() {
    let desk = Desk::new();
    desk.configure(RIGHT);
    let said = desk.run(&["config", "show"]);
    let has = |setting: &str, origin: &str| {
        said.stdout.lines().any(|line| line.starts_with(setting) && line.ends_with(origin))
    };
    assert_eq!(said.code, 0, "{said}");
    assert!(has("jobs.score.command = [\"true\"]", "# line 4"), "{said}");
    assert!(has("jobs.score.timeout = \"1h\"", "# default"), "{said}");

    let json: Vec<serde_json::Value> =
        serde_json::from_str(&desk.run(&["config", "show", "--json"]).stdout).unwrap();
    let command = json.iter().find(|setting| setting["key"] == "jobs.score.command").unwrap();
    assert_eq!(command["origin"], serde_json::json!({ "from": "file", "line": 4 }));
}

#[test]
fn a_job_type_that_a_decorator_declares_is_shown_beside_the_others() {
    let desk = Desk::new();
    desk.configure(&format!("[python]\npath = [\".\"]\nmodules = [\"scorers\"]\n{RIGHT}"));
    desk.file(
        "scorers.py",
        "from longshore import job\n\n@job(name=\"score_traces\", max_workers=7)\ndef score_traces(experiment_id): ...\n",
    );
    let said = desk.run(&["config", "show"]);
    assert_eq!(said.code, 0, "{said}");
    let declared = |setting: &str| {
        said.stdout
            .lines()
            .any(|line| line.starts_with(setting) && line.ends_with("# module scorers"))
    };
    assert!(declared("jobs.score_traces.function = \"scorers:score_traces\""), "{said}");
    assert!(declared("jobs.score_traces.max_workers = 7"), "{said}");
}

#[test]
fn a_schema_is_brought_up_to_date_once() {
    let desk = Desk::new();
    desk.configure(RIGHT);
    agreed("a_new_database_is_made", &desk.run(&["migrate"]).to_string());
    agreed("a_database_is_up_to_date_already", &desk.run(&["migrate"]).to_string());
    let state = desk.path("state");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o770)).unwrap();
    let said = desk.run(&["migrate"]);
    assert!(said.code == 1 && said.stderr.contains("others may write"), "as the host says: {said}");
}

#[test]
fn without_a_host_the_way_to_start_one_is_shown() {
    let desk = Desk::new();
    let port = host::free_port();
    desk.configure(&format!("[server]\nlisten = \"127.0.0.1:{port}\"\n{RIGHT}"));
    desk.admin_token();
    let said = desk.run(&["jobs", "list"]).to_string().replace(&port.to_string(), "[PORT]");
    agreed("without_a_host_the_way_to_start_one_is_shown", &said);
}

#[test]
fn a_token_file_that_others_can_read_is_warned_about() {
    let desk = Desk::new();
    desk.file("token", "a token of at least 32 characters\n");
    fs::set_permissions(desk.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let host = Scripted::answers(200, r#"{"jobs": [], "next_page_token": null}"#);
    let said = desk.run(&["jobs", "list", "--url", &host.url(), "--token-file", "token"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (0, "warning: others can read the token file `token`; `chmod 600 token`\nno such jobs\n")
    );
    let asked = host.asked();
    assert!(
        asked[0].contains("authorization: Bearer a token of at least 32 characters\r\n"),
        "{}",
        asked[0]
    );
}

#[test]
fn the_token_comes_from_the_state_directory_by_itself() {
    let desk = Desk::new();
    let host = Scripted::answers(200, r#"{"jobs": [], "next_page_token": null}"#);
    desk.configure(&format!("[server]\nlisten = \"{}\"\n{RIGHT}", host.address()));
    desk.admin_token();
    let said = desk.run(&["jobs", "list"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, "no such jobs\n"));
    let asked = host.asked();
    assert!(
        asked[0].contains(&format!("authorization: Bearer {}\r\n", desk::TOKEN)),
        "{}",
        asked[0]
    );
}

/// What a host may answer, and what is made of it.
#[test]
fn every_answer_of_a_host_has_its_exit_code() {
    let told = |code: &str, message: &str| {
        format!(r#"{{"error": {{"code": "{code}", "message": "{message}"}}}}"#)
    };
    let field = r#"{"error": {"code": "invalid_timeout", "message": "expected seconds", "field": "timeout"}}"#;
    let cases = [
        ("unauthorised", 401, told("unauthorized", "a valid token is needed"), 4),
        ("forbidden", 403, told("not_permitted", "`ci` may not submit `score`"), 6),
        ("not_found", 404, told("job_not_found", "there is no job"), 5),
        ("invalid", 400, field.to_owned(), 6),
        ("troubled", 503, told("storage_unavailable", "the database does not answer now"), 1),
        ("a_stranger_who_says_no", 404, "<html>not found</html>".to_owned(), 4),
        ("a_stranger_who_says_yes", 200, "hello".to_owned(), 4),
        ("a_stranger_with_json", 200, "{}".to_owned(), 4),
    ];
    for (name, status, body, code) in cases {
        let host = Scripted::answers(status, &body);
        let said = Desk::new().ask(&host, &["jobs", "show", ID]);
        assert_eq!(said.code, code, "{name}: {said}");
        agreed(&format!("answered_{name}"), &said.to_string().replace(&host.url(), "[URL]"));
    }
}

#[test]
fn what_speaks_no_tls_is_told_from_what_is_not_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").unwrap();
    });
    let desk = Desk::new();
    desk.configure(RIGHT);
    desk.admin_token();
    let said = desk.run(&["jobs", "list", "--url", &url]);
    answering.join().unwrap();
    assert_eq!(said.code, 4, "{said}");
    assert!(said.stderr.contains("it does not speak TLS; is it HTTP?"), "{said}");
}

#[test]
fn a_token_follows_no_redirection() {
    let other = Scripted::answers(200, "{}");
    let host = Scripted::redirects_to(&other.url());
    let said = Desk::new().ask(&host, &["jobs", "show", ID]);
    assert_eq!(said.code, 4, "{said}");
    assert!(other.asked().is_empty());
}

#[test]
fn a_submission_carries_what_was_typed() {
    let host = Scripted::answers(
        200,
        &format!(r#"{{"job_id": "{ID}", "job_name": "score", "status": "PENDING"}}"#),
    );
    let said = Desk::new().ask(
        &host,
        &[
            "submit",
            "score",
            "n=3",
            "name=x",
            "--timeout",
            "1m 30s",
            "--priority",
            "2",
            "--workspace",
            "w",
            "--idempotency-key",
            "k",
        ],
    );
    assert_eq!((said.code, said.stdout.as_str()), (0, format!("{ID}\n").as_str()), "{said}");
    let asked = &host.asked()[0];
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/3.0/jobs/ "), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let expected = serde_json::json!({
        "job_name": "score", "params": { "n": 3, "name": "x" }, "timeout": 90.0, "priority": 2,
        "workspace": "w", "idempotency_key": "k",
    });
    assert_eq!(body, expected);
}

#[test]
fn waiting_prints_the_result_alone_or_says_why_there_is_none() {
    let job = |more: &str| {
        format!(r#"{{"job_id": "{ID}", "job_name": "score", "started_at": 1000, {more}}}"#)
    };
    let succeeded = job(r#""status": "SUCCEEDED", "finished_at": 3000, "result": {"mean": 0.5}"#);
    let host = Scripted::answers_in_turn(&[
        (200, &job(r#""status": "PENDING""#)),
        (200, &job(r#""status": "PENDING""#)),
        (200, &succeeded),
    ]);
    let said = Desk::new().ask(&host, &["submit", "score", "--wait"]);
    assert_eq!(said.code, 0, "{said}");
    assert_eq!(said.stdout, "{\n  \"mean\": 0.5\n}\n");

    let failed = job(
        r#""status": "FAILED", "attempt": 1, "finished_at": 3000, "error_message": "no such trace""#,
    );
    let said = Desk::new().ask(&Scripted::answers(200, &failed), &["submit", "score", "--wait"]);
    agreed("waiting_for_a_job_that_fails", &said.to_string());
}

#[test]
fn a_job_that_is_stored_but_cannot_be_shown_is_submitted() {
    let unread = format!(
        r#"{{"error": {{"code": "accepted_unread", "message": "job {ID} is stored", "job_id": "{ID}"}}}}"#
    );
    let away = r#"{"error": {"code": "storage_unavailable", "message": "not now"}}"#;
    let job = |status: &str| {
        format!(r#"{{"job_id": "{ID}", "job_name": "score", "status": "{status}", "result": 7}}"#)
    };
    let submit = |more: &[&str], later: &[(u16, &str)]| {
        let answers: Vec<_> = [(202, unread.as_str())].into_iter().chain(later.to_vec()).collect();
        let host = Scripted::answers_in_turn(&answers);
        let said = Desk::new().ask(&host, &[&["submit", "score"], more].concat());
        let submissions = host.asked().iter().filter(|asked| asked.starts_with("POST")).count();
        assert_eq!((said.code, submissions), (0, 1), "{said}");
        assert!(said.stderr.contains("the job is stored"), "{said}");
        said.stdout
    };
    assert_eq!(submit(&[], &[]), format!("{ID}\n"));
    assert_eq!(submit(&["--json"], &[]), format!("{{\n  \"job_id\": \"{ID}\"\n}}\n"));
    let later = [(503, away), (200, &job("RUNNING")), (200, &job("SUCCEEDED"))];
    assert_eq!(submit(&["--wait"], &later), "7\n");
}

#[test]
fn a_watch_says_each_change_once_and_outlasts_a_host_that_is_away() {
    let job = |more: &str| {
        format!(r#"{{"job_id": "{ID}", "job_name": "score", "started_at": 1000, {more}}}"#)
    };
    let running = |completed: u32| {
        job(&format!(
            r#""status": "RUNNING", "progress": {{"completed": {completed}, "total": 9, "unit": "traces"}}"#
        ))
    };
    let away = r#"{"error": {"code": "storage_unavailable", "message": "not now"}}"#;
    let (one, two) = (running(1), running(2));
    let ended = job(r#""status": "SUCCEEDED", "finished_at": 3500, "result": null"#);
    let host = Scripted::answers_in_turn(&[
        (200, &one),
        (200, &one),
        (503, away),
        (200, &two),
        (200, &ended),
    ]);
    let said = Desk::new().ask(&host, &["jobs", "watch", ID]);
    agreed("a_watch", &said.to_string());
}

#[test]
fn a_job_is_shown_on_a_sheet() {
    let job = format!(
        r#"{{"job_id": "{ID}", "job_name": "score", "status": "FAILED", "params": {{"n": 3}}, "result": null,
        "error_message": "ValueError: no\nTraceback:\n  line 1", "retry_count": 1, "timeout": 600.0, "workspace": "default",
        "executor_backend": "local", "attempt": 2, "creator": "admin", "work": "maybe", "started_at": null}}"#
    );
    let said = Desk::new().ask(&Scripted::answers(200, &job), &["jobs", "show", ID]);
    agreed("a_job_is_shown_on_a_sheet", &said.to_string());
}

#[test]
fn a_list_goes_on_over_pages_until_it_has_enough() {
    let page = |ids: &[u32], next: &str| {
        let job =
            |id: &u32| format!(r#"{{"job_id": "{id}", "job_name": "score", "status": "PENDING"}}"#);
        let jobs: Vec<_> = ids.iter().map(job).collect();
        format!(r#"{{"jobs": [{}], "next_page_token": {next}}}"#, jobs.join(","))
    };
    let (first, second) = (page(&[9, 8], "\"after-8\""), page(&[7], "\"after-7\""));
    let host = Scripted::answers_in_turn(&[(200, &first), (200, &second)]);
    let said = Desk::new().ask(&host, &["jobs", "list", "--limit", "3"]);
    agreed("a_list_of_two_pages", &said.to_string());
    let asked = host.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[1].contains(r#""max_results":1"#) && asked[1].contains(r#""page_token":"after-8""#),
        "{}",
        asked[1]
    );
}

#[test]
fn output_that_ends_before_its_job_does_is_a_failure() {
    let job = |status: &str| {
        format!(r#"{{"job_id": "{ID}", "job_name": "score", "status": "{status}"}}"#)
    };
    let follow = |status: &str| {
        let host = Scripted::answers_in_turn(&[(200, "line 1\n"), (200, &job(status))]);
        let said = Desk::new().ask(&host, &["jobs", "logs", "--follow", ID]);
        assert_eq!(said.stdout, "line 1\n");
        (said.code, said.stderr.replace(&host.url(), "[URL]"))
    };
    assert_eq!(follow("FAILED"), (0, String::new()));
    let (code, stderr) = follow("RUNNING");
    assert_eq!(code, 1);
    agreed("output_that_ends_before_its_job_does", &stderr);
}

#[test]
fn a_script_that_watches_gets_a_line_for_each_change() {
    let job =
        |status: &str| format!(r#"{{"job_id":"{ID}","job_name":"score","status":"{status}"}}"#);
    let (pending, ended) = (job("PENDING"), job("SUCCEEDED"));
    let host = Scripted::answers_in_turn(&[(200, &pending), (200, &pending), (200, &ended)]);
    let said = Desk::new().ask(&host, &["jobs", "watch", "--json", ID]);
    assert_eq!((said.code, said.stdout), (0, format!("{pending}\n{ended}\n")));
}

#[test]
fn one_job_that_cannot_be_canceled_does_not_spare_the_others() {
    let gone = r#"{"error": {"code": "job_not_found", "message": "there is no job 1"}}"#;
    let canceled = format!(r#"{{"job_id": "{ID}", "job_name": "score", "status": "CANCELED"}}"#);
    let host = Scripted::answers_in_turn(&[(404, gone), (200, &canceled)]);
    let said = Desk::new().ask(&host, &["jobs", "cancel", ID, ID]);
    agreed("one_of_two_is_canceled", &said.to_string());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let desk = Desk::new();
    desk.configure(RIGHT);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status =
        desk.command(&["config", "show"]).stdout(writer).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let desk = Desk::new();
    desk.configure(RIGHT);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = desk.command(&["config", "show"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("cannot write the answer") && stderr.contains("No space left"),
        "{stderr}"
    );
}
