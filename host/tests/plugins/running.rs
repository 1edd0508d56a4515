//! Good plugins, running.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use longshore::{
    config::{ExecutorConfig, PluginIsolation},
    plugin::{Code, registry::State},
};
use longshore_plugin_api::{Ending, ErrorKind, Found, JobShape, Run, Work};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::bench::{BOTH, Heard, Place, attempt, job, noop, open, open_with, patched, smallest};

#[tokio::test]
async fn a_good_plugin_runs_a_job_and_remembers_it_until_told_to_forget() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let executor =
            open(&place, isolation, "noop", json!({"echo": true})).await.expect("it is good");
        executor.validate_job(&shape("test")).await.expect("it can run");
        assert_eq!(executor.submit(&job("a", r#"{"n":1.0}"#)).await.expect("it starts"), None);
        for _ in 0..2 {
            let ended = executor.wait(&attempt("a")).await.expect("it ends");
            let Ending::Succeeded { result } = ended.ending else { panic!("{ended:?}") };
            assert_eq!(
                result.get(),
                r#"{"n":1.0}"#,
                "the text itself, not what a parser made of it"
            );
        }
        let attempts = [attempt("a"), attempt("never")];
        let found = |verdicts: Vec<longshore_plugin_api::Verdict>| -> Vec<_> {
            verdicts.into_iter().map(|verdict| (verdict.attempt_tag, verdict.found)).collect()
        };
        let verdicts = executor.recover(&attempts).await.expect("it looks");
        assert_eq!(
            found(verdicts),
            [("a".to_owned(), Found::Here), ("never".to_owned(), Found::Gone)]
        );
        executor.forget(&attempt("a")).await.expect("it forgets");
        let verdicts = executor.recover(&attempts[..1]).await.expect("it looks");
        assert_eq!(found(verdicts), [("a".to_owned(), Found::Gone)]);
        executor.health().await.expect("it is well");
        executor.stop(Duration::ZERO).await.expect("it stops");
    }
}

#[tokio::test]
async fn the_smallest_plugin_runs_and_says_what_it_cannot() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", smallest())]);
        let executor = open(&place, isolation, "smallest", json!({})).await.expect("it is good");
        executor.submit(&job("a", "{}")).await.expect("it starts");
        let ended = executor.wait(&attempt("a")).await.expect("it ends");
        assert!(
            matches!(ended.ending, Ending::Succeeded { result } if result.get() == r#""done""#)
        );
        let logs = executor.logs(&attempt("a"), 0).await.expect_err("it keeps none");
        assert_eq!(logs.kind, ErrorKind::Unsupported);
        let mut with_options = shape("test");
        with_options.options = Some(json!({"queue": "long"}));
        let refused = executor.validate_job(&with_options).await.expect_err("it takes none");
        assert_eq!(
            (refused.kind, refused.pointer.as_deref()),
            (ErrorKind::InvalidJob, Some("/options"))
        );
    }
}

#[tokio::test]
async fn two_plugins_and_two_executors_of_one_are_not_mixed_up() {
    for isolation in BOTH {
        let place = Place::with(&[("1.so", noop()), ("2.so", smallest())]);
        let registry = place.discover();
        let heard = Arc::new(Heard::default());
        let open = async |executor, plugin: &str, config| {
            let config = ExecutorConfig::of(plugin, isolation, config);
            open_with(&registry, executor, config, heard.clone()).await.expect("it is good")
        };
        let small = open("small", "smallest", json!({})).await;
        let north = open("north", "noop", json!({"echo": true, "locality": "north"})).await;
        let south = open("south", "noop", json!({"locality": "south"})).await;
        for (executor, locality, result) in [
            (&small, None, r#""done""#),
            (&north, Some("north"), r#"{"progress":1}"#),
            (&south, Some("south"), "null"),
        ] {
            assert_eq!(executor.locality().await.expect("it knows").as_deref(), locality);
            executor.submit(&job("a", r#"{"progress":1}"#)).await.expect("it starts");
            let ended = executor.wait(&attempt("a")).await.expect("it ends");
            let Ending::Succeeded { result: got } = ended.ending else { panic!("{ended:?}") };
            assert_eq!(got.get(), result, "{executor:?}");
        }
        // From another process it comes when it comes, and only the newest.
        for executor in ["north", "south"] {
            heard.until(executor, "a", 1).await;
        }
        assert_eq!(heard.of("small"), []);
        let states: Vec<_> = registry.list().iter().map(|e| (e.state, e.executors.len())).collect();
        assert_eq!(states, [(State::Used, 2), (State::Used, 1)]);
    }
}

#[tokio::test]
async fn a_bad_file_beside_a_good_one_harms_nobody() {
    for isolation in BOTH {
        let place = Place::with(&[("bad.so", b"text"), ("good.so", smallest())]);
        open(&place, isolation, "smallest", json!({})).await.expect("it is good");
        let missing =
            open(&place, isolation, "noop", json!({})).await.expect_err("it is not there");
        assert_eq!(missing.code, Code::Unknown);
        let text = missing.to_string();
        assert!(text.contains("known are `smallest`; refused: "), "{text}");
        assert!(text.contains("bad.so: a text file of 4 bytes"), "{text}");
        let misspelled =
            open(&place, isolation, "smalest", json!({})).await.expect_err("it is not there");
        assert!(misspelled.to_string().ends_with("did you mean `smallest`?"), "{misspelled}");
    }
}

#[tokio::test]
async fn a_note_that_is_not_about_this_code_is_refused_when_it_is_loaded() {
    for isolation in BOTH {
        let note = r#""name":"noop","version":"0.1.0""#;
        let lying = patched(noop(), note, r#""name":"nope","version":"0.1.0""#);
        let place = Place::with(&[("x.so", &lying)]);
        let problem = open(&place, isolation, "nope", json!({})).await.expect_err("it lies");
        assert_eq!(problem.code, Code::Describe);
        assert!(problem.to_string().contains(r#"its code ("noop", "0.1.0", "1.0")"#), "{problem}");
    }
}

#[tokio::test]
async fn a_plugin_whose_panics_end_its_process_needs_one_of_its_own() {
    let library = patched(noop(), r#""panic":"unwind""#, r#""panic":"abort!""#);
    let place = Place::with(&[("x.so", &library)]);
    let none = PluginIsolation::None;
    let problem = open(&place, none, "noop", json!({})).await.expect_err("it would end the host");
    assert_eq!(problem.code, Code::PanicAbort);
    assert!(problem.message.contains("`isolation = \"process\"`"), "{problem}");
    let process = PluginIsolation::Process;
    open(&place, process, "noop", json!({})).await.expect("it ends nobody else");
}

#[tokio::test]
async fn a_plugin_that_the_dynamic_linker_refuses_says_why() {
    for isolation in BOTH {
        let library = patched(noop(), "\0libc.so.6\0", "\0libQ.so.6\0");
        let place = Place::with(&[("x.so", &library)]);
        let problem =
            open(&place, isolation, "noop", json!({})).await.expect_err("it cannot be linked");
        assert_eq!(problem.code, Code::Load);
        assert!(problem.to_string().contains("libQ.so.6"), "{problem}");
    }
}

#[tokio::test]
async fn a_wrong_setting_is_named_by_its_pointer() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let of = async |config| {
            let problem = open(&place, isolation, "noop", config).await.expect_err("it is wrong");
            (problem.code, problem.message)
        };
        let (code, text) = of(json!({"ehco": true, "zz": 1})).await;
        assert_eq!(code, Code::Config);
        assert_eq!(
            text,
            "executor `noop`: at `/ehco`: unknown key `ehco`; did you mean `echo`?; at `/zz`: unknown key \
         `zz`; known are `echo`, `hang`, `locality`, `panic`, \
         `requirement`"
        );
        let (code, text) = of(json!({"echo": "yes"})).await;
        assert_eq!(code, Code::Config);
        assert_eq!(
            text,
            "executor `noop`: at `/echo`: invalid type: string \"yes\", expected a boolean"
        );
        let (code, text) = of(json!({"requirement": "no daemon answers; start it"})).await;
        assert_eq!(code, Code::Requirements);
        assert_eq!(text, "executor `noop`: no daemon answers; start it");
    }
}

#[tokio::test]
async fn a_job_that_hangs_ends_when_it_is_canceled() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let executor = open(&place, isolation, "noop", json!({})).await.expect("it is good");
        executor.submit(&job("a", r#"{"hang":true}"#)).await.expect("it starts");
        let waiting = tokio::spawn({
            let executor = executor.clone();
            async move { executor.wait(&attempt("a")).await }
        });
        let work = executor.cancel(&attempt("a"), Duration::ZERO).await.expect("it stops");
        assert_eq!(work, Work::Gone);
        let ended = waiting.await.expect("it is not gone").expect("it ends");
        assert!(matches!(ended.ending, Ending::Canceled { .. }), "{ended:?}");
    }
}

#[tokio::test]
async fn an_error_of_a_plugin_arrives_as_it_was_made() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let executor = open(&place, isolation, "noop", json!({})).await.expect("it is good");
        for kind in ErrorKind::ALL {
            let params = json!({"refuse": u32::from(*kind)}).to_string();
            let refused = executor.submit(&job("a", &params)).await.expect_err("it was told to");
            let kind = if kind.is_hosts() { ErrorKind::Internal } else { *kind };
            assert_eq!(refused.kind, kind, "that it crashed is not a plugin's to say");
        }
        let refused =
            executor.submit(&job("a", r#"{"refuse":77}"#)).await.expect_err("it was told to");
        assert_eq!(refused.kind, ErrorKind::Internal, "of a kind that this host does not know");
        let refused = executor.validate_job(&shape("impossible")).await.expect_err("it cannot");
        assert_eq!(
            (refused.kind, refused.pointer.as_deref()),
            (ErrorKind::InvalidJob, Some("/job_type"))
        );
    }
}

#[tokio::test]
async fn a_plugin_that_does_not_answer_counts_as_hung() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let mut config = ExecutorConfig::of("noop", isolation, json!({"hang": "health"}));
        config.deadlines.health = Duration::from_millis(50);
        let executor =
            open_with(&place.discover(), "noop", config, Arc::new(())).await.expect("it is good");
        let hung = executor.health().await.expect_err("it does not answer");
        assert_eq!(hung.kind, ErrorKind::Hung);
        assert_eq!(hung.message, "plugin `noop` did not answer `health` within 50ms");
    }
}

#[tokio::test]
async fn sixteen_megabytes_go_in_and_come_out() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let executor =
            open(&place, isolation, "noop", json!({"echo": true})).await.expect("it is good");
        let params = format!(r#"{{"text":"{}"}}"#, "é".repeat(8 << 20));
        executor.submit(&job("a", &params)).await.expect("it starts");
        let ended = executor.wait(&attempt("a")).await.expect("it ends");
        assert!(matches!(ended.ending, Ending::Succeeded { result } if result.get() == params));
    }
}

#[tokio::test]
async fn what_a_plugin_logs_stands_in_the_hosts_log_with_its_name() {
    let place = Place::with(&[("x.so", noop())]);
    // For the process, as in the host: a subscriber of one thread may miss what another thread was
    // the first to say.
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
    let registry = place.discover();
    for isolation in BOTH {
        let config = ExecutorConfig::of("noop", isolation, json!({}));
        open_with(&registry, "logging", config, Arc::new(())).await.expect("it is good");
    }
    // What another process says comes when it comes.
    let told = async {
        loop {
            let lines = log.lines_with(&["noop started", "\"logging\""]);
            if lines.len() == BOTH.len() {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(60), told).await;
    let lines = told.unwrap_or_else(|_| panic!("{:?}", log.lines_with(&[""])));
    for part in [
        " INFO ",
        "plugin=\"noop\"",
        "executor=\"logging\"",
        "origin=\"longshore_noop\"",
        r#"{\"executor\":\"logging\"}"#,
    ] {
        assert!(lines.iter().all(|line| line.contains(part)), "{part} in {lines:?}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines_with(&self, parts: &[&str]) -> Vec<String> {
        let text = self.0.lock().map(|text| String::from_utf8_lossy(&text).into_owned());
        let text = text.expect("nobody panicked");
        let with = |line: &&str| parts.iter().all(|part| line.contains(part));
        text.lines().filter(with).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_err(|_| io::Error::other("poisoned"))?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn shape(job_type: &str) -> JobShape {
    JobShape {
        job_type: job_type.to_owned(),
        run: Run::Command(vec!["true".to_owned()]),
        python: None,
        resources: None,
        options: None,
        params_bytes: 2,
    }
}
