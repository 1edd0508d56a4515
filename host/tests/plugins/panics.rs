//! A panic of a plugin is an error of one call. That these tests end at all is the point.

use std::time::Duration;

use longshore::plugin::{Code, HostedExecutor, Standing};
use longshore_plugin_api::{Error, ErrorKind, JobShape, Run};
use serde_json::json;

use super::bench::{BOTH, Place, attempt, job, noop, open};

async fn call(executor: &dyn HostedExecutor, verb: &str) -> Result<(), Error> {
    let attempt = attempt("a");
    match verb {
        "submit" => executor.submit(&job("a", "{}")).await.map(drop),
        "wait" => executor.wait(&attempt).await.map(drop),
        "cancel" => executor.cancel(&attempt, Duration::ZERO).await.map(drop),
        "recover" => executor.recover(&[attempt]).await.map(drop),
        "forget" => executor.forget(&attempt).await,
        "logs" => executor.logs(&attempt, 0).await.map(drop),
        "health" => executor.health().await,
        "locality" => executor.locality().await.map(drop),
        "validate_job" => {
            let run = Run::Command(vec!["true".to_owned()]);
            let shape = JobShape {
                job_type: "test".to_owned(),
                run,
                python: None,
                resources: None,
                options: None,
                params_bytes: 2,
            };
            executor.validate_job(&shape).await
        }
        other => panic!("no such verb: {other}"),
    }
}

fn names_the_place(text: &str, verb: &str) {
    assert!(
        text.contains(&format!("the plugin panicked in {verb}: asked to panic in {verb}")),
        "{text}"
    );
    assert!(text.contains("noop/src/lib.rs:"), "{text}");
}

#[tokio::test]
async fn a_panic_in_any_verb_is_an_error_that_names_the_place() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        for verb in [
            "submit",
            "wait",
            "cancel",
            "recover",
            "forget",
            "logs",
            "health",
            "locality",
            "validate_job",
        ] {
            let executor =
                open(&place, isolation, "noop", json!({"panic": verb})).await.expect("it opens");
            for _ in 0..2 {
                let error = call(&*executor, verb).await.expect_err("it panics");
                assert_eq!(error.kind, ErrorKind::Panic, "{error:?}");
                names_the_place(&error.message, verb);
            }
            let other = if verb == "health" { "logs" } else { "health" };
            call(&*executor, other).await.expect("every other verb still works");
        }
    }
}

#[tokio::test]
async fn a_panic_in_stop_is_told_and_it_has_ended_all_the_same() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let executor =
            open(&place, isolation, "noop", json!({"panic": "stop"})).await.expect("it opens");
        let error = executor.stop(Duration::ZERO).await.expect_err("it panics");
        names_the_place(&error.message, "stop");
        assert_eq!(executor.standing(), Standing::Stopped);
        executor.stop(Duration::ZERO).await.expect("it had ended");
    }
}

#[tokio::test]
async fn a_panic_while_it_opens_is_a_reason_not_to_use_it() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        for (verb, code) in [
            ("new", Code::OpenExecutor),
            ("facts", Code::OpenExecutor),
            ("check_requirements", Code::Requirements),
            ("start", Code::Start),
        ] {
            let problem = open(&place, isolation, "noop", json!({"panic": verb}))
                .await
                .expect_err("it panics");
            assert_eq!(problem.code, code, "{problem}");
            names_the_place(&problem.message, verb);
        }
    }
}

#[tokio::test]
async fn a_panic_of_one_job_is_no_concern_of_the_next() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let executor = open(&place, isolation, "noop", json!({})).await.expect("it is good");
        let error =
            executor.submit(&job("a", r#"{"panic":"submit"}"#)).await.expect_err("it panics");
        names_the_place(&error.message, "submit");
        executor.submit(&job("b", r#"{"panic":"wait"}"#)).await.expect("it starts");
        let error = executor.wait(&attempt("b")).await.expect_err("it panics");
        names_the_place(&error.message, "wait");
        executor.submit(&job("c", "{}")).await.expect("it starts");
        executor.wait(&attempt("c")).await.expect("it ends");
    }
}

#[tokio::test]
async fn a_panic_after_a_pause_is_caught_on_the_plugins_own_thread() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        let executor = open(&place, isolation, "noop", json!({})).await.expect("it is good");
        executor.submit(&job("a", r#"{"sleep_ms":1,"panic":"end"}"#)).await.expect("it starts");
        let error = executor.wait(&attempt("a")).await.expect_err("it panics");
        assert_eq!(error.kind, ErrorKind::Panic);
        assert!(error.message.contains("asked to panic in end"), "{error}");
    }
}

#[tokio::test]
async fn an_executor_that_panics_twice_while_it_is_dropped_ends_nothing() {
    for isolation in BOTH {
        let place = Place::with(&[("x.so", noop())]);
        drop(open(&place, isolation, "noop", json!({"panic": "drop"})).await.expect("it is good"));
        open(&place, isolation, "noop", json!({})).await.expect("the library still works");
    }
}
