//! What stands on the wire is a promise to vendors: these texts never change within 1.x, and what a
//! newer side adds is passed over.

use longshore_plugin_api::{
    Attempt, Ended, Ending, Error, ErrorKind, Facts, Found, Handle, Job, Progress, Run, Verdict,
    Work,
    abi::PluginError,
    wire::{self, Verb},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("all of it is JSON")
}

fn parse<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn verbs_have_the_names_of_1_0() {
    let names: Vec<_> = Verb::ALL.iter().map(|verb| verb.name()).collect();
    let released = [
        "submit",
        "wait",
        "cancel",
        "recover",
        "forget",
        "retain",
        "logs",
        "health",
        "check_requirements",
        "start",
        "stop",
        "validate_job",
        "facts",
        "locality",
    ];
    assert_eq!(names, released);
    assert!(Verb::ALL.iter().all(|verb| Verb::parse(verb.name()) == Some(*verb)));
    assert_eq!(Verb::parse("fly"), None);
}

#[test]
fn error_kinds_have_the_numbers_of_1_0_and_an_unknown_one_is_internal() {
    let numbers: Vec<u32> = ErrorKind::ALL.iter().map(|kind| u32::from(*kind)).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 100, 101, 102, 103]);
    assert!(ErrorKind::ALL.iter().all(|kind| ErrorKind::from(u32::from(*kind)) == *kind));
    assert_eq!(ErrorKind::from(13), ErrorKind::Internal);
}

#[test]
fn an_error_crosses_the_boundary_whole() {
    let error = Error::exhausted("no room").at("/limits/memory").with_details(json!({"free": 3}));
    assert_eq!(Error::from(PluginError::from(error.clone())), error);
    let plain = PluginError::from(Error::denied("not here"));
    assert_eq!((plain.kind, &*plain.message, &*plain.details), (10, "not here", ""));
    let newer =
        PluginError { details: r#"{"pointer":"/a","since_1_7":[]}"#.into(), ..plain.clone() };
    assert_eq!(Error::from(newer).pointer.as_deref(), Some("/a"));
    let broken = PluginError { details: "{".into(), ..plain };
    assert_eq!(Error::from(broken).message, "not here");
}

#[test]
fn the_smallest_job_of_1_0_is_a_job_and_the_text_of_its_parameters_is_kept() {
    let params = r#"{"n": 1.0, "big": 123456789012345678901234567890, "n": 2}"#;
    let job: Job = parse(&format!(
        r#"{{"job_id":"j","attempt_tag":"a","attempt":1,"job_type":"t","workspace":"w","run":{{"command":["x"]}},
            "params":{params},"timeout":60,"stop_grace":5.5,"since_1_7":true}}"#
    ));
    assert_eq!(job.params.get(), params);
    assert_eq!(job.run, Run::Command(vec!["x".to_owned()]));
    let again: Job = parse(&text(&job));
    assert_eq!(again.params.get(), params);
    assert!(text(&job).contains(r#""timeout":60.0,"stop_grace":5.5"#));
}

#[test]
fn a_jobs_token_is_not_shown() {
    let job: Job = parse(
        r#"{"job_id":"j","attempt_tag":"a","attempt":1,"job_type":"t","workspace":"w","run":{"function":"m:f"},
            "params":{},"timeout":60,"stop_grace":5,"context":{"token":"s3cret"}}"#,
    );
    assert!(text(&job).contains("s3cret"), "the plugin gets it");
    assert!(!format!("{job:?}").contains("s3cret"), "no log does");
}

#[test]
fn endings_stand_as_in_1_0() {
    let succeeded = Ending::succeeded(&json!([1])).expect("it is JSON");
    assert_eq!(text(&Ended::from(succeeded)), r#"{"ending":{"succeeded":{"result":[1]}}}"#);
    assert_eq!(
        text(&Ended { ending: Ending::failed("no"), log_tail: "x\n".to_owned() }),
        r#"{"ending":{"failed":{"message":"no","transient":false}},"log_tail":"x\n"}"#
    );
    let ended: Ended = parse(r#"{"ending":{"succeeded":{"result":{"a": 1.0}}}}"#);
    assert!(
        matches!(ended.ending, Ending::Succeeded { result } if result.get() == r#"{"a": 1.0}"#)
    );
    for word in ["timeout", "canceled", "interrupted"] {
        parse::<Ended>(&format!(r#"{{"ending":{{"{word}":{{"message":"m"}}}}}}"#));
    }
}

#[test]
fn the_other_payloads_stand_as_in_1_0() {
    let handle = Some(Handle { version: 2, data: json!({"id": "c"}) });
    let attempt = Attempt { job_id: "j".to_owned(), attempt_tag: "a".to_owned(), handle };
    let standing = r#"{"job_id":"j","attempt_tag":"a","handle":{"version":2,"data":{"id":"c"}}}"#;
    assert_eq!(text(&attempt), standing);
    let grace = std::time::Duration::from_millis(1500).into();
    let cancel = wire::Cancel { attempt: &attempt, grace };
    assert_eq!(text(&cancel), format!(r#"{{"attempt":{standing},"grace":1.5}}"#));
    assert_eq!(parse::<wire::Cancel<Attempt>>(&text(&cancel)).attempt, attempt);
    let logs = wire::Logs { attempt: &attempt, offset: 7 };
    assert_eq!(text(&logs), format!(r#"{{"attempt":{standing},"offset":7}}"#));
    assert_eq!(text(&[Work::Maybe, Work::Gone]), r#"["maybe","gone"]"#);
    let verdict = |found| Verdict { attempt_tag: "a".to_owned(), found };
    let unknown = Found::Unknown { message: "m".to_owned() };
    assert_eq!(text(&verdict(Found::Here)), r#"{"attempt_tag":"a","found":{"found":"here"}}"#);
    assert_eq!(
        text(&verdict(unknown)),
        r#"{"attempt_tag":"a","found":{"found":"unknown","message":"m"}}"#
    );
    assert_eq!(
        text(&Facts::default()),
        r#"{"remote_execution":false,"scope":"host","isolation":"none","reattach":false}"#
    );
    assert_eq!(parse::<Facts>("{}"), Facts::default());
}

#[test]
fn progress_tells_an_absent_field_from_a_null() {
    let said: Progress = parse(r#"{"message":null,"progress":{"completed":3,"total":null}}"#);
    assert_eq!(said.message, Some(None));
    let counts = said.progress.clone().flatten().expect("it was said");
    assert_eq!((counts.completed, counts.total, counts.unit), (Some(Some(3)), Some(None), None));
    assert_eq!(
        parse::<Value>(&text(&said)),
        json!({"message": null, "progress": {"completed": 3, "total": null}})
    );
    assert_eq!(text(&Progress::default()), "{}");
}

#[test]
fn seconds_become_a_duration_whatever_they_are() {
    use longshore_plugin_api::Seconds;
    use std::time::Duration;
    for (seconds, duration) in [
        (1.5, Duration::from_millis(1500)),
        (-1.0, Duration::ZERO),
        (f64::NAN, Duration::ZERO),
        (f64::INFINITY, Duration::MAX),
    ] {
        assert_eq!(Duration::from(Seconds(seconds)), duration, "{seconds}");
    }
}
