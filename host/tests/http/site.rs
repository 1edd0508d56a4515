//! A host for one test: real store, real router, no executor, so that jobs move only as the test
//! says.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use longshore::{
    config::Config,
    host::Host,
    http::router,
    job::{CancelReason, Claimed, Fenced, JobId, Outcome},
    lifecycle::{State, Work},
    plugin::Program,
    store::{Begun, Ended, Want},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;

pub(crate) const ALICE: &str = "alice-alice-alice-alice";
pub(crate) const BOB: &str = "bob-bob-bob-bob-bob-bob";

/// `alice` may submit everything, `bob` only `train` in `lab`; `score` and `train` can be submitted.
const CONFIG: &str = r#"
[database]
synchronous = "normal"
[limits]
params = "4KiB"
[server]
public_url = "https://jobs.example.org"
allowed_hosts = ["queue.example.org"]
allowed_origins = ["https://ui.example.org"]
[executors.here]
plugin = "none-such"
[executors.there]
plugin = "none-such"
[jobs.score]
command = ["/bin/true"]
executor = "here"
required_params = ["experiment_id"]
[jobs.train]
function = "training.jobs:train"
executor = "there"
exclusive = ["dataset"]
timeout = "10m"
description = "Trains on a data set."
[[tokens]]
name = "alice"
role = "submitter"
file = "alice"
[[tokens]]
name = "bob"
role = "submitter"
file = "bob"
job_types = ["train"]
workspaces = ["lab"]
"#;

/// A host and its API.
pub(crate) struct Site {
    pub(crate) host: Arc<Host>,
    pub(crate) router: Router,
    pub(crate) admin: String,
    _close: watch::Sender<bool>,
    pub(crate) directory: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// The body of a success.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.json()
    }

    /// Status, code and field of an error.
    pub(crate) fn error(&self) -> (u16, String, Option<String>) {
        let body = self.json();
        let text = |key: &str| body["error"][key].as_str().map(str::to_owned);
        assert!(text("message").is_some_and(|message| !message.is_empty()), "{body}");
        (self.status.as_u16(), text("code").unwrap(), text("field"))
    }
}

/// What [`Answer::error`] says of an error without a field.
pub(crate) fn plain(status: u16, code: &str) -> (u16, String, Option<String>) {
    (status, code.to_owned(), None)
}

/// What [`Answer::error`] says of an error at a field.
pub(crate) fn at(status: u16, code: &str, field: &str) -> (u16, String, Option<String>) {
    (status, code.to_owned(), Some(field.to_owned()))
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// A site with more in its configuration.
    pub(crate) async fn with(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("alice"), ALICE).unwrap();
        std::fs::write(directory.path().join("bob"), BOB).unwrap();
        let path = directory.path().join("longshore.toml");
        let config = Config::from_toml(&format!("{CONFIG}{more}"), &path)
            .unwrap_or_else(|error| panic!("{error}"));
        let admin = longshore::tokens::admin_token_path(&config.state_dir);
        let host = Host::open(config, Program::at(env!("CARGO_BIN_EXE_longshore")))
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
        let admin = std::fs::read_to_string(admin).unwrap();
        let (close, closing) = watch::channel(false);
        let listen = SocketAddr::from(([127, 0, 0, 1], 7878));
        let router = router(Arc::clone(&host), listen, closing);
        Self { host, router, admin, _close: close, directory }
    }

    /// Sends a request as it is, but for a `Host`.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        let host = header::HeaderValue::from_static("localhost:7878");
        request.headers_mut().entry(header::HOST).or_insert(host);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let read = tokio::time::timeout(Duration::from_secs(20), to_bytes(body, usize::MAX)).await;
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes: read.expect("an end").unwrap().into(),
        }
    }

    pub(crate) async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/3.0{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.ask(token, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn cancel(&self, token: &str, id: &str) -> Answer {
        self.ask(token, Method::PATCH, &format!("/jobs/cancel/{id}"), None).await
    }

    /// A job of that submitter, by its id.
    pub(crate) async fn submitted(&self, token: &str) -> String {
        let answer = self.post(token, "/jobs/", score(1)).await;
        answer.ok()["job_id"].as_str().unwrap().to_owned()
    }

    /// A job that a worker has taken and begun.
    pub(crate) async fn running(&self, token: &str) -> (String, Claimed) {
        let id = self.submitted(token).await;
        let want = Want {
            executor: "here".to_owned(),
            job_type: "score".to_owned(),
            slots: 1,
            max_running: None,
        };
        let store = &self.host.store;
        let claimed = store
            .job_claim(vec![want], self.host.identity.id, Duration::from_secs(60))
            .await
            .unwrap();
        let claimed = claimed
            .jobs
            .into_iter()
            .find(|claimed| claimed.id.to_string() == id)
            .expect("it is due");
        let begun = store.job_begin(claimed.id, claimed.token, "test", None).await.unwrap();
        assert!(matches!(begun, Begun::Held), "{begun:?}");
        (id, claimed)
    }

    /// A job that has ended.
    pub(crate) async fn ended(&self, token: &str, outcome: Outcome) -> String {
        let (id, claimed) = self.running(token).await;
        let ended = Ended { outcome, work: Work::Gone };
        let settled =
            self.host.store.job_settle(claimed.id, claimed.token, None, &ended).await.unwrap();
        assert_eq!(settled, Fenced::Held);
        id
    }

    /// A job in each state, in the order of [`State::ALL`].
    pub(crate) async fn one_of_each(&self, token: &str) -> Vec<(State, String)> {
        let mut jobs = Vec::new();
        let error = || "out of cheese".to_owned();
        // The first in line is claimed: the pending one comes last.
        let (running, _) = self.running(token).await;
        let (lost, claimed) = self.running(token).await;
        assert_eq!(
            self.host
                .store
                .job_mark(claimed.id, claimed.token, Duration::ZERO, false)
                .await
                .unwrap(),
            Fenced::Held
        );
        let succeeded = Outcome::Succeeded { result: r#"{"mean": 0.50, "n": 3}"#.to_owned() };
        let by = || CancelReason::Requested { by: "alice".to_owned() };
        let ends = [
            (State::Succeeded, succeeded),
            (State::Failed, Outcome::Failed { error: error() }),
            (State::Timeout, Outcome::Timeout { error: error() }),
            (State::Canceled, Outcome::Canceled { reason: by() }),
        ];
        for (state, outcome) in ends {
            jobs.push((state, self.ended(token, outcome).await));
        }
        jobs.extend([(State::Running, running), (State::NeedsRecovery, lost)]);
        jobs.push((State::Pending, self.submitted(token).await));
        jobs.sort();
        jobs
    }

    pub(crate) async fn jobs(&self) -> usize {
        let filter = longshore::store::Filter { limit: 1000, ..Default::default() };
        self.host.store.job_list(&filter).await.unwrap().jobs.len()
    }
}

/// A right submission.
pub(crate) fn score(experiment: u32) -> Value {
    json!({ "job_name": "score", "params": { "experiment_id": experiment } })
}

pub(crate) fn id(text: &str) -> JobId {
    text.parse().unwrap()
}
