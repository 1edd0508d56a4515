//! The conformance kit finds what is wrong: each of its tests fails on a plugin that breaks just that
//! promise, and on good ones none does.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use longshore_tests::{
    built::{built, repository},
    fixture::{compiled, evil_at_load, patched},
    leftovers,
    wait::PATIENCE,
    wait_until,
};
use serde_json::Value;
use tempfile::TempDir;

/// What is wrong, the test of the kit that says so, and what it says.
type Arrow = (&'static str, &'static str, &'static str);

/// Files that are compiled, or patched, and so is what their code does before there is an executor.
const FILES: &[Arrow] = &[
    ("rwx.c", "preflight_passes", "fail"),
    ("exports_util.c", "exports_one_symbol", "warn"),
    ("undefined.c", "loads_now", "fail"),
    ("needs_missing.c", "loads_now", "fail"),
    ("origin.c", "loads_now", "fail"),
    ("static_tls.c", "loads_now", "fail"),
    (r#""panic":"unwind"->"panic": "abort""#, "unwinds", "warn"),
    (r#"{"note":1,"name":"evil"->{"note":1,"name":"live""#, "note_and_code_agree", "fail"),
    ("exit", "constructor_returns", "crash"),
    ("segv", "constructor_returns", "crash"),
    ("hang", "constructor_returns", "hang"),
    ("panic", "loads_now", "fail"),
    ("slow", "loads_within_100_ms", "warn"),
    ("print", "loading_prints_nothing", "fail"),
    ("remote-ref", "schema_is_local", "fail"),
    ("bad-schema", "schema_is_local", "fail"),
    ("open", "schema_refuses_unknown_keys", "warn"),
    ("lax", "bad_config_names_its_pointer", "fail"),
];

/// Modes of the evil plugin, against the contract.
const CONTRACT: &[Arrow] = &[
    ("abort", "starts", "crash"),
    ("hang-start", "starts", "hang"),
    ("secret", "starts", "fail"),
    ("leak-fds", "opens_and_closes_100_times", "fail"),
    ("panic-wait", "two_live_side_by_side", "fail"),
    ("lie-facts", "facts_are_stable", "fail"),
    ("lie-kind", "errors_have_plugin_kinds", "fail"),
    ("block-health", "health_is_quick", "hang"),
    ("hang-wait", "quick_job_ends", "hang"),
    ("panic-later-wait", "quick_job_ends", "fail"),
    ("exit-zero-wait", "quick_job_ends", "crash"),
    ("lie-result", "results_are_json", "fail"),
    ("lie-huge", "results_are_json", "fail"),
    ("lie-ending", "wait_twice_is_the_same", "fail"),
    ("panic-guard", "wait_can_be_dropped", "fail"),
    ("lie-tag-twice", "duplicate_submit_starts_nothing", "fail"),
    ("block-submit", "64_at_once", "hang"),
    ("null-submit", "unicode_empty_and_1_mib", "crash"),
    ("panic-forget", "forget_is_idempotent", "fail"),
    ("lie-logs", "output_has_an_end", "fail"),
    ("hang-cancel", "cancel_before_submit", "hang"),
    ("hang-cancel", "cancel_within_grace", "hang"),
    ("lie-ending", "cancel_after_end", "fail"),
    ("hang-stop", "stop_with_running_jobs", "hang"),
    ("late", "no_callback_after_stop", "fail"),
    ("lie-verdict", "unknown_attempt_is_gone_or_not_found", "fail"),
    ("lie-verdict", "recover_in_a_new_executor", "fail"),
    ("lie-verdict", "recover_answers_for_each", "fail"),
    ("lie-handle", "a_handle_of_an_older_version_is_understood_or_refused", "fail"),
    ("chdir", "surroundings_unchanged", "fail"),
    ("umask", "surroundings_unchanged", "fail"),
    ("setenv", "surroundings_unchanged", "fail"),
    ("sigchld", "surroundings_unchanged", "fail"),
    ("sigterm", "surroundings_unchanged", "fail"),
    ("sigpipe", "surroundings_unchanged", "fail"),
    ("flood-stdout", "stdout_is_silent", "warn"),
];

/// Modes that abuse brings to light, and leaks, which are waited for.
const ABUSE: &[Arrow] = &[
    ("leak-threads", "threads_return_to_baseline", "fail"),
    ("leak-fds", "fds_return_to_baseline", "fail"),
    ("panic-submit", "random_json", "fail"),
    ("panic-drop", "futures_dropped_anywhere", "fail"),
    ("hang-cancel", "cancel_storm", "hang"),
    ("overflow-submit", "host_refuses_callbacks", "crash"),
    ("leak-memory", "10000_jobs_keep_memory_flat", "fail"),
    ("panic-payload", "panics_are_errors", "fail"),
    ("panic-thread", "panics_are_errors", "fail"),
    ("lie-handle", "recover_with_nonsense_handles", "fail"),
];

/// What no plugin that is built with `export_executor!` does wrong: the adapter answers, not the author;
/// and a failing job has to be named, which [`a_job_that_should_fail_is_held_to_it`] does.
const SHOWN_OTHERWISE: [&str; 3] =
    ["unknown_verb_is_unsupported", "logs_reach_the_host", "failing_job_fails"];

/// The jobs that the evil plugin has: it runs no commands.
const EVIL: &str = "long = { params = { hold = '/there/is/no/such/gate' } }";

struct Kit {
    scratch: TempDir,
}

impl Kit {
    fn new() -> Self {
        Self { scratch: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// The report about a library, and whether the command calls it good.
    fn check(&self, library: &Path, sample: &str, arguments: &[&str]) -> (Vec<Value>, bool) {
        // Several are checked at once.
        let mut with = tempfile::NamedTempFile::new_in(self.path()).unwrap();
        with.write_all(sample.as_bytes()).unwrap();
        let output = Command::new(built().host())
            .args(["plugin", "check", "--json", "--with"])
            .arg(with.path())
            .args(arguments)
            .arg(library)
            .current_dir(self.path())
            // What a test makes is found by this directory, and so is what it leaves.
            .env("TMPDIR", self.path())
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (report["tests"].as_array().unwrap().clone(), output.status.success())
    }

    /// Nothing of a test goes on after it.
    fn nothing_is_left(&self) {
        wait_until("nothing of the tests runs any more", PATIENCE, || {
            leftovers::processes(self.path()).is_empty().then_some(())
        });
    }

    /// The one test that should find something is tried, and what it says compared.
    fn finds(&self, library: &Path, sample: &str, (deed, test, verdict): Arrow) {
        let quick = ["--deadline", "3s"];
        let slow = ["--deadline", "60s"];
        let deadline = if verdict == "hang" { quick } else { slow };
        let (rows, good) = self.check(
            library,
            sample,
            &[&["--level", "3", "--only", test][..], &deadline].concat(),
        );
        let row = rows.iter().find(|row| row["test"] == test);
        let row = row.unwrap_or_else(|| panic!("there is no test {test}"));
        assert_eq!(row["verdict"], verdict, "{deed} in {row:#}");
        if rows.len() == 1 {
            assert_eq!(good, verdict == "warn", "{deed}: {row:#}");
        }
    }
}

/// Nearly all of the time is spent waiting for what must not come to an end, or not stay: four at once.
fn evil_finds(arrows: &[Arrow]) {
    let (kit, next) = (Kit::new(), AtomicUsize::new(0));
    let one_after_another = || {
        while let Some(arrow) = arrows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let sample = format!("config = {{ mode = '{}' }}\n{EVIL}", arrow.0);
            kit.finds(&built().plugin("evil"), &sample, *arrow);
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(one_after_another);
        }
    });
    kit.nothing_is_left();
}

/// What a busy machine is slow at: it may warn, or be unable to tell; that it does not fail is seen
/// without it.
const DEPENDS_ON_THE_MACHINE: [&str; 2] = ["loads_within_100_ms", "10000_jobs_keep_memory_flat"];

/// Nothing fails, and nothing beside what is named here is skipped or warned of.
fn is_good(library: &Path, sample: &str, level: &str, skipped: &[&str]) {
    let kit = Kit::new();
    let (rows, good) = kit.check(library, sample, &["--level", level, "--deadline", "120s"]);
    let odd: Vec<_> = rows
        .iter()
        .filter(|row| row["verdict"] != "pass")
        .filter(|row| {
            !skipped.iter().chain(&DEPENDS_ON_THE_MACHINE).any(|name| row["test"] == *name)
        })
        .collect();
    assert!(good && odd.is_empty(), "{odd:#?}");
    kit.nothing_is_left();
}

#[test]
fn what_is_wrong_with_a_file_is_found_before_it_runs_a_job() {
    let kit = Kit::new();
    let evil = built().plugin("evil");
    for arrow in FILES {
        let made = tempfile::tempdir().unwrap();
        let library = match arrow.0.split_once("->") {
            Some((from, to)) => patched(&evil, from, to, made.path()),
            None => match arrow.0.strip_suffix(".c") {
                Some(name) => compiled(name, made.path()),
                None => evil_at_load(&evil, arrow.0, made.path()),
            },
        };
        kit.finds(&library, EVIL, *arrow);
    }
    kit.nothing_is_left();
}

#[test]
fn each_broken_promise_of_the_contract_is_found() {
    evil_finds(CONTRACT);
}

#[test]
fn what_abuse_breaks_is_found() {
    evil_finds(ABUSE);
}

#[test]
fn without_a_mode_the_evil_plugin_keeps_every_promise() {
    let failing = format!("{EVIL}\nfailing = {{ params = {{ fail = true }} }}");
    is_good(&built().plugin("evil"), &failing, "3", &[]);
}

#[test]
fn a_job_that_should_fail_is_held_to_it() {
    let sample = format!("{EVIL}\nfailing = {{}}");
    Kit::new().finds(&built().plugin("evil"), &sample, ("none", "failing_job_fails", "fail"));
}

#[test]
fn every_test_of_the_kit_is_shown_to_find_something() {
    let kit = Kit::new();
    let made = tempfile::tempdir().unwrap();
    // Where nothing can be loaded no test takes any time, and all are listed.
    let library = compiled("rwx", made.path());
    let (rows, _) = kit.check(&library, "", &["--level", "3"]);
    let all: BTreeSet<_> = rows.iter().filter_map(|row| row["test"].as_str()).collect();
    let arrows = [FILES, CONTRACT, ABUSE].concat();
    let shown: BTreeSet<_> =
        arrows.iter().map(|(_, test, _)| *test).chain(SHOWN_OTHERWISE).collect();
    assert_eq!(all, shown);
}

#[test]
fn the_test_plugins_keep_every_promise() {
    // It runs nothing that could be stopped, and remembers nothing.
    let nothing_runs = [
        "bad_config_names_its_pointer",
        "logs_reach_the_host",
        "failing_job_fails",
        "wait_can_be_dropped",
        "output_has_an_end",
        "cancel_within_grace",
        "stop_with_running_jobs",
        "unknown_attempt_is_gone_or_not_found",
        "recover_in_a_new_executor",
        "recover_answers_for_each",
        "a_handle_of_an_older_version_is_understood_or_refused",
        "cancel_storm",
        "recover_with_nonsense_handles",
    ];
    is_good(&built().plugin("smallest"), "", "3", &nothing_runs);
    let noop = "quick = { params = { sleep_ms = 1 } }\nlong = { params = { hang = true } }\n\
                failing = { params = { fail = 'permanent' } }";
    // Of an unusual job it knows, of any other it says that it has succeeded; it has no handles.
    let remembers_little = [
        "unknown_attempt_is_gone_or_not_found",
        "a_handle_of_an_older_version_is_understood_or_refused",
    ];
    is_good(&built().plugin("noop"), noop, "3", &remembers_little);
}

#[test]
fn the_local_executor_keeps_every_promise() {
    // It logs trouble only.
    let silent = ["logs_reach_the_host"];
    is_good(&built().plugin("local"), "failing = { command = ['false'] }", "3", &silent);
}

#[test]
fn an_executor_that_is_a_python_program_keeps_the_contract() {
    program_is_good("python3", "pool.py", "serve");
}

#[test]
fn an_executor_that_is_a_shell_script_keeps_the_contract() {
    program_is_good("sh", "at.sh", "once");
}

fn program_is_good(interpreter: &str, file: &str, mode: &str) {
    // Neither logs, keeps output for `logs`, or has handles: both find their attempts by tag.
    let without = [
        "logs_reach_the_host",
        "output_has_an_end",
        "a_handle_of_an_older_version_is_understood_or_refused",
    ];
    let file = repository().join("examples/command").join(file);
    let sample = format!(
        "survives = true\nfailing = {{ command = ['false'] }}\n\
         config = {{ program = ['{interpreter}', '{}'], mode = '{mode}' }}",
        file.display()
    );
    is_good(&built().plugin("command"), &sample, "2", &without);
}

#[test]
fn what_the_linker_refuses_is_said_in_its_words_with_a_way_out() {
    let kit = Kit::new();
    let made = tempfile::tempdir().unwrap();
    let says = [
        ("undefined", "undefined symbol: nobody_has_this"),
        ("needs_missing", "liblongshore_nowhere.so.7: cannot open shared object file"),
        ("needs_missing", "install the library that it names"),
        ("origin", "loaded from a private copy, and nothing lies beside that"),
        ("static_tls", "build it without `-ftls-model=initial-exec`"),
        ("exports_util", "its header is not that of abi_stable 0.11"),
    ];
    for (name, words) in says {
        let library = compiled(name, made.path());
        let (rows, _) = kit.check(&library, "", &["--only", "loads_now"]);
        let message = rows[0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{name}: {message}");
    }
}
