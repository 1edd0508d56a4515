//! The plugin with a program of the test's, and a host that writes down what it is told.

use std::{
    fs,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Wake},
    thread::{self, Thread},
    time::Duration,
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RStr},
};
use longshore_command::CommandExecutor;
use longshore_plugin_api::{
    Error,
    abi::{Answer, ExecutorBox, HostApi, HostApi_TO},
    export::{About, Plugin, open},
    wire::{Open, Verb},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// More than any condition here needs, less than a person waits.
const PATIENCE: Duration = Duration::from_secs(60);

struct Exported;

impl Plugin for Exported {
    type Executor = CommandExecutor;
    const ABOUT: About = About::of_crate("longshore-command", "1.0.0", "", "", true);
}

#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl HostApi for Notes {
    fn log(&self, _: u8, _: RStr<'_>, message: RStr<'_>, _: RStr<'_>) {
        self.0.lock().unwrap().push(message.to_string());
    }

    fn tell(&self, verb: RStr<'_>, payload: RStr<'_>) -> Answer {
        self.0.lock().unwrap().push(format!("{verb} {payload}"));
        RResult::ROk("null".into())
    }
}

pub(crate) struct Stage {
    executor: Arc<ExecutorBox>,
    pub(crate) directory: Arc<TempDir>,
    config: Value,
    notes: Notes,
}

impl Stage {
    /// An executor of that mode whose program is this script, run by `sh`.
    pub(crate) fn new(mode: &str, script: &str) -> Self {
        Self::with(mode, script, &json!({}))
    }

    /// One with timeouts, in seconds.
    pub(crate) fn with(mode: &str, script: &str, timeout: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("program.sh"), script).unwrap();
        let config = json!({ "program": ["sh", "./program.sh"], "mode": mode, "timeout": timeout,
            "set_env": { "HERE": directory.path() } });
        Self::configured(directory, config)
    }

    pub(crate) fn configured(directory: TempDir, config: Value) -> Self {
        Self::open(Arc::new(directory), config)
    }

    /// The same executor once more, as a new version of the plugin beside an old one.
    pub(crate) fn again(&self) -> Self {
        Self::open(Arc::clone(&self.directory), self.config.clone())
    }

    fn open(directory: Arc<TempDir>, config: Value) -> Self {
        let notes = Notes::default();
        let request = Open {
            executor: "own".to_owned(),
            config: config.clone(),
            log_level: "info".to_owned(),
            state_dir: Some(directory.path().join("state")),
            config_dir: Some(directory.path().to_owned()),
            soft_limits: None,
        };
        let api = HostApi_TO::from_value(notes.clone(), TD_Opaque);
        let request = serde_json::to_string(&request).unwrap();
        let executor = open::<Exported>(api, request.into()).into_result().unwrap();
        Self { executor: Arc::new(executor), directory, config, notes }
    }

    pub(crate) fn facts(&self) -> Value {
        let answer = self.executor.ask(Verb::Facts.name().into(), "null".into());
        serde_json::from_str(&answer.into_result().unwrap()).unwrap()
    }

    pub(crate) fn call(&self, verb: Verb) -> Result<Value, Error> {
        self.begin(verb).recv_timeout(PATIENCE).expect("no answer in time")
    }

    pub(crate) fn refusal(&self, verb: Verb) -> Error {
        self.call(verb).expect_err("it was to be refused")
    }

    /// A call on a thread of its own, whose answer comes when it comes.
    pub(crate) fn begin(&self, verb: Verb) -> mpsc::Receiver<Result<Value, Error>> {
        let (tell, told) = mpsc::channel();
        let executor = Arc::clone(&self.executor);
        thread::spawn(move || {
            let answer = wait_for(executor.call(verb.name().into(), payload(verb).into()));
            let answer = answer.into_result().map_err(Error::from);
            let _ = tell.send(answer.map(|text| serde_json::from_str(&text).unwrap()));
        });
        told
    }

    pub(crate) fn file(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.directory.path().join(name)).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.0.lock().unwrap().clone()
    }
}

pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / 5 {
        if let Some(value) = condition() {
            return value;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    panic!("waited {PATIENCE:?} in vain: {what}");
}

/// Whether a process with that id, noted by a script, runs.
pub(crate) fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}

const ATTEMPT: &str = r#"{"job_id":"j","attempt_tag":"a"}"#;

fn payload(verb: Verb) -> String {
    match verb {
        Verb::Submit => "{\"job_id\":\"j\",\"attempt_tag\":\"a\",\"attempt\":1,\"job_type\":\"t\",\
            \"workspace\":\"w\",\"run\":{\"command\":[\"x\",\"y z\"]},\"params\":{\n\"p\":1},\
            \"timeout\":60,\"stop_grace\":5}"
            .to_owned(),
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

/// Polls on this thread, as a host without any runtime would.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
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
