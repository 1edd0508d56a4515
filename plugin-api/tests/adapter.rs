//! An executor behind the ABI: what an author's code does never gets past it.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::{
    future::{Future, pending},
    pin::{Pin, pin},
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RStr},
};
use longshore_plugin_api::{
    Attempt, Ended, Ending, Error, ErrorKind, Executor, Facts, Handle, Host, Job, LogChunk,
    Progress, Verdict, Work,
    abi::{Answer, ExecutorBox, HostApi, HostApi_TO},
    export::{About, Plugin, open},
    wire::{Open, Verb},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// What the workload of these tests is: a closure for each verb would not cross the boundary.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    act: Act,
    #[serde(default)]
    limits: Vec<u32>,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Act {
    #[default]
    Nothing,
    Panic,
    PanicWorse,
    Block,
    Hang,
    Log,
}

struct Actor {
    act: Act,
    host: Host,
}

/// Where `Act::Block` waits for the test.
static GATE: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);
/// Where `Act::Hang` says that it has started and that it was dropped.
static HANGING: Mutex<Option<mpsc::Sender<&str>>> = Mutex::new(None);

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("in drop");
    }
}

struct SaysAndPanics(mpsc::Sender<&'static str>);

impl Drop for SaysAndPanics {
    fn drop(&mut self) {
        self.0.send("dropped").unwrap();
        panic!("in drop");
    }
}

impl Actor {
    async fn act(&self) {
        match self.act {
            Act::Nothing => {}
            Act::Panic => panic!("as told"),
            Act::PanicWorse => std::panic::panic_any(PanicsWhenDropped),
            Act::Block => GATE.lock().unwrap().take().unwrap().recv().unwrap(),
            Act::Hang => {
                let says = HANGING.lock().unwrap().take().unwrap();
                let _bomb = SaysAndPanics(says.clone());
                says.send("started").unwrap();
                pending().await
            }
            Act::Log => {
                let span = tracing::info_span!("outer", job = "j1");
                let _entered = span.enter();
                tracing::info!(n = 3, ok = true, "through tracing");
                tracing::debug!("too verbose");
                log::warn!("through log");
            }
        }
    }

    fn act_now(&self) {
        assert!(self.act != Act::Panic, "as told");
    }
}

impl Executor for Actor {
    type Config = Config;

    fn new(config: Config, host: Host) -> Result<Self, Error> {
        assert!(config.limits.is_empty(), "no limits");
        Ok(Self { act: config.act, host })
    }

    fn facts(&self) -> Facts {
        self.act_now();
        Facts::default()
    }

    fn locality(&self) -> Option<String> {
        self.act_now();
        None
    }

    fn validate_job(&self, _: &longshore_plugin_api::JobShape) -> Result<(), Error> {
        self.act_now();
        Ok(())
    }

    async fn check_requirements(&self) -> Result<(), Error> {
        self.act().await;
        Ok(())
    }

    async fn start(&self) -> Result<(), Error> {
        self.act().await;
        Ok(())
    }

    async fn stop(&self, _: Duration) -> Result<(), Error> {
        self.act().await;
        Ok(())
    }

    async fn submit(&self, _: Job) -> Result<Option<Handle>, Error> {
        self.act().await;
        Ok(None)
    }

    async fn wait(&self, attempt: &Attempt) -> Result<Ended, Error> {
        self.act().await;
        // No reactor of the host's can be meant: these tests poll without any.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let progress = Progress { message: Some(Some("done".to_owned())), progress: None };
        self.host.progress(&attempt.attempt_tag, &progress);
        Ok(Ending::succeeded(&thread::current().name())?.into())
    }

    async fn cancel(&self, _: &Attempt, _: Duration) -> Result<Work, Error> {
        self.act().await;
        Ok(Work::Gone)
    }

    async fn recover(&self, _: Vec<Attempt>) -> Result<Vec<Verdict>, Error> {
        self.act().await;
        Ok(Vec::new())
    }

    async fn forget(&self, _: &Attempt) -> Result<(), Error> {
        self.act().await;
        Ok(())
    }

    async fn retain(&self, _: Vec<Attempt>) -> Result<(), Error> {
        self.act().await;
        Ok(())
    }

    async fn logs(&self, _: &Attempt, _: u64) -> Result<LogChunk, Error> {
        self.act().await;
        Ok(LogChunk::default())
    }

    async fn health(&self) -> Result<(), Error> {
        self.act().await;
        Ok(())
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        assert!(self.act != Act::Panic, "in drop of the executor");
    }
}

struct Exported;

impl Plugin for Exported {
    type Executor = Actor;
    const ABOUT: About = About::of_crate("longshore-actor", "1.0.0", "", "", true);
}

/// A host that writes down what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl HostApi for Notes {
    fn log(&self, level: u8, target: RStr<'_>, message: RStr<'_>, fields: RStr<'_>) {
        self.note(format!("{level} {target}: {message} {fields}"));
    }

    fn tell(&self, verb: RStr<'_>, payload: RStr<'_>) -> Answer {
        self.note(format!("{verb} {payload}"));
        RResult::ROk("null".into())
    }
}

fn opened(config: serde_json::Value) -> (Result<ExecutorBox, Error>, Notes) {
    let notes = Notes::default();
    let request = Open {
        executor: "actor".to_owned(),
        config,
        log_level: "info".to_owned(),
        state_dir: None,
        config_dir: None,
        soft_limits: None,
    };
    let request = serde_json::to_string(&request).unwrap();
    let api = HostApi_TO::from_value(notes.clone(), TD_Opaque);
    (open::<Exported>(api, request.into()).into_result().map_err(Error::from), notes)
}

fn actor(act: &str) -> (ExecutorBox, Notes) {
    let (executor, notes) = opened(json!({"act": act}));
    (executor.unwrap(), notes)
}

/// Polls on this thread, with no runtime at all around it.
fn call(executor: &ExecutorBox, verb: Verb, payload: &str) -> Result<String, Error> {
    let future = executor.call(verb.name().into(), payload.into());
    let answer = pollster(future);
    answer.into_result().map(String::from).map_err(Error::from)
}

fn pollster<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

const ATTEMPT: &str = r#"{"job_id":"j","attempt_tag":"a"}"#;

fn payload(verb: Verb) -> String {
    match verb {
        Verb::Submit => {
            r#"{"job_id":"j","attempt_tag":"a","attempt":1,"job_type":"t","workspace":"w",
            "run":{"command":["x"]},"params":{},"timeout":60,"stop_grace":5}"#
                .to_owned()
        }
        Verb::Wait | Verb::Forget => ATTEMPT.to_owned(),
        Verb::Cancel => format!(r#"{{"attempt":{ATTEMPT},"grace":1}}"#),
        Verb::Logs => format!(r#"{{"attempt":{ATTEMPT},"offset":0}}"#),
        Verb::Recover | Verb::Retain => format!("[{ATTEMPT}]"),
        Verb::Stop => r#"{"grace":1}"#.to_owned(),
        Verb::ValidateJob => {
            r#"{"job_type":"t","run":{"command":["x"]},"params_bytes":2}"#.to_owned()
        }
        _ => "null".to_owned(),
    }
}

#[test]
fn every_verb_answers_and_a_panic_in_it_is_an_error_with_its_place() {
    let (good, _) = actor("nothing");
    let (bad, notes) = actor("panic");
    for verb in Verb::ALL {
        call(&good, *verb, &payload(*verb)).unwrap();
        let error = call(&bad, *verb, &payload(*verb)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Panic, "{error:?}");
        let said = format!("the plugin panicked in {}: as told (", verb.name());
        assert!(error.message.starts_with(&said), "{error}");
        assert!(error.message.contains("adapter.rs:"), "{error}");
    }
    drop(bad);
    let notes = notes.0.lock().unwrap();
    let logged =
        notes.iter().filter(|note| note.starts_with("1 panic: the plugin panicked: as told"));
    assert_eq!(logged.count(), Verb::ALL.len(), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("in drop of the executor")), "{notes:?}");
}

#[test]
fn a_panic_whose_payload_panics_is_an_error_too() {
    let (executor, _) = actor("panic_worse");
    let error = call(&executor, Verb::Health, "null").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Panic);
    assert!(error.message.contains("a value that is not text"), "{error}");
}

#[test]
fn a_panic_in_new_and_a_config_that_does_not_fit_are_errors() {
    let error = opened(json!({"limits": [1]})).0.map(drop).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Panic);
    for (config, pointer, said) in [
        (json!({"act": "fly"}), "/act", "unknown variant `fly`"),
        (json!({"limits": [1, "two"]}), "/limits/1", "invalid type: string \"two\", expected u32"),
        (json!({"a/b": 1}), "/a~1b", "unknown field `a/b`"),
    ] {
        let error = opened(config).0.map(drop).unwrap_err();
        assert_eq!(
            (error.kind, error.pointer.as_deref()),
            (ErrorKind::InvalidConfig, Some(pointer))
        );
        assert!(error.message.starts_with(said) && !error.message.contains("line"), "{error}");
    }
}

#[test]
fn an_unknown_verb_is_unsupported_and_a_payload_from_the_future_is_no_panic() {
    let (executor, _) = actor("nothing");
    let answer = executor.ask("fly".into(), "null".into()).into_result();
    assert_eq!(answer.map_err(Error::from).unwrap_err().kind, ErrorKind::Unsupported);
    let answer = pollster(executor.call("fly".into(), "null".into())).into_result();
    assert_eq!(answer.map_err(Error::from).unwrap_err().kind, ErrorKind::Unsupported);
    let answer = executor.ask(Verb::Submit.name().into(), payload(Verb::Submit).into());
    assert_eq!(answer.map_err(Error::from).into_result().unwrap_err().kind, ErrorKind::Unsupported);
    let future = payload(Verb::Submit).replace(r#"{"command":["x"]}"#, r#"{"wasm":"x"}"#);
    assert_eq!(call(&executor, Verb::Submit, &future).unwrap_err().kind, ErrorKind::InvalidJob);
    assert_eq!(call(&executor, Verb::Wait, "{").unwrap_err().kind, ErrorKind::Internal);
}

#[test]
fn an_author_has_a_runtime_and_the_hosts_thread_is_not_it() {
    let (executor, notes) = actor("nothing");
    let ended = call(&executor, Verb::Wait, ATTEMPT).unwrap();
    assert!(ended.contains(r#""result":"plug-actor""#), "{ended}");
    let told = r#"progress {"attempt_tag":"a","progress":{"message":"done"}}"#;
    assert_eq!(*notes.0.lock().unwrap(), [told]);
}

#[test]
fn a_method_that_blocks_does_not_block_the_host() {
    let (open_gate, gate) = mpsc::channel();
    *GATE.lock().unwrap() = Some(gate);
    let (blocked, _) = actor("block");
    let answer = blocked.call(Verb::Health.name().into(), "null".into());
    // Reached only because `call` came back; and polling comes back too.
    let mut answer = pin!(answer);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(answer.as_mut().poll(&mut cx).is_pending());
    open_gate.send(()).unwrap();
    assert!(pollster(answer).is_ok());
}

#[test]
fn a_future_that_is_dropped_is_aborted_even_if_that_panics() {
    let (says, hears) = mpsc::channel();
    *HANGING.lock().unwrap() = Some(says);
    let (executor, _) = actor("hang");
    let mut hanging = executor.call(Verb::Health.name().into(), "null".into());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut hanging).poll(&mut cx).is_pending());
    assert_eq!(hears.recv(), Ok("started"));
    drop(hanging);
    assert_eq!(hears.recv(), Ok("dropped"));
    // And the runtime is as good as before.
    let (other, _) = actor("nothing");
    call(&other, Verb::Health, "null").unwrap();
}

#[test]
fn what_an_author_logs_reaches_the_host_up_to_its_level() {
    let (executor, notes) = actor("log");
    call(&executor, Verb::Health, "null").unwrap();
    let notes = notes.0.lock().unwrap();
    assert_eq!(
        *notes,
        [r#"3 adapter: through tracing {"job":"j1","n":3,"ok":true}"#, "2 adapter: through log ",]
    );
}
