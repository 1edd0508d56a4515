//! A program that talks to a host over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::{Agent, Body, Error, http::Response};

use crate::wait::{PATIENCE, wait_until};

/// Larger than any answer: 16 MiB of parameters, 16 MiB of result, and what JSON adds.
const LARGEST: u64 = 128 << 20;

/// The states that a job does not leave.
pub const TERMINAL: [&str; 4] = ["SUCCEEDED", "FAILED", "TIMEOUT", "CANCELED"];

/// Talks to one run of a host.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    url: String,
    token: String,
}

/// What the host answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; null if it is none.
    pub json: Value,
}

impl Client {
    /// A client with that token.
    #[must_use]
    pub fn new(url: &str, token: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // What is tested is here; a proxy in the environment is not for it.
            .proxy(None)
            .timeout_global(Some(PATIENCE));
        Self { agent: config.build().into(), url: url.to_owned(), token: token.to_owned() }
    }

    /// Where the host is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET`.
    ///
    /// # Errors
    ///
    /// The host does not answer.
    pub fn try_get(&self, path: &str) -> Result<Answer, Error> {
        let request = self.agent.get(format!("{}{path}", self.url));
        Answer::read(request.header("authorization", self.bearer()).call()?)
    }

    /// `POST` or `PATCH` with a body.
    ///
    /// # Errors
    ///
    /// The host does not answer.
    pub fn try_send(&self, method: &str, path: &str, body: &Value) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.url);
        let request = match method {
            "POST" => self.agent.post(url),
            "PATCH" => self.agent.patch(url),
            other => panic!("the API has no {other}"),
        };
        let request =
            request.header("authorization", self.bearer()).content_type("application/json");
        Answer::read(request.send(body.to_string())?)
    }

    /// `GET`, of a host that is there.
    ///
    /// # Panics
    ///
    /// It does not answer.
    #[track_caller]
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// `POST`, of a host that is there.
    ///
    /// # Panics
    ///
    /// It does not answer.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_send("POST", path, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Submits a job and returns its id.
    ///
    /// # Panics
    ///
    /// It is refused.
    #[track_caller]
    #[must_use]
    pub fn submit(&self, job_name: &str, params: Value) -> String {
        self.submit_as(json!({ "job_name": job_name, "params": params }))
    }

    /// Submits with everything that a submission can say.
    ///
    /// # Panics
    ///
    /// It is refused.
    #[track_caller]
    #[must_use]
    pub fn submit_as(&self, submission: Value) -> String {
        let answer = self.post("/api/3.0/jobs/", &submission);
        assert_eq!(answer.status, 200, "{}", answer.text);
        id(&answer.json)
    }

    /// Submits many in one transaction and returns their ids.
    ///
    /// # Panics
    ///
    /// They are refused.
    #[track_caller]
    #[must_use]
    pub fn submit_all(&self, submissions: &[Value]) -> Vec<String> {
        let answer = self.post("/api/3.0/jobs/bulk", &json!({ "jobs": submissions }));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json["jobs"].as_array().expect("a list of jobs").iter().map(id).collect()
    }

    /// The job as the host shows it.
    ///
    /// # Panics
    ///
    /// There is no such job.
    #[track_caller]
    #[must_use]
    pub fn job(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/3.0/jobs/{id}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json
    }

    /// Cancels a job.
    ///
    /// # Panics
    ///
    /// The host does not answer.
    #[track_caller]
    pub fn cancel(&self, id: &str) -> Answer {
        let path = format!("/api/3.0/jobs/cancel/{id}");
        self.try_send("PATCH", &path, &json!({})).unwrap_or_else(|error| panic!("cancel: {error}"))
    }

    /// Waits until a job is in that state, and returns it.
    ///
    /// # Panics
    ///
    /// It ends otherwise, or does not get there.
    #[track_caller]
    pub fn until(&self, id: &str, status: &str) -> Value {
        wait_until(&format!("job {id} is {status}"), PATIENCE, || {
            let job = self.job(id);
            let found = job["status"].as_str().expect("a job has a status");
            let ended = TERMINAL.contains(&found) && found != status;
            assert!(!ended, "job {id} should become {status}: {job:#}");
            (found == status).then_some(job)
        })
    }

    /// Waits until a job has ended in whatever state and nothing of it is left, and returns it.
    ///
    /// # Panics
    ///
    /// It does not end.
    #[track_caller]
    pub fn ended(&self, id: &str) -> Value {
        wait_until(&format!("job {id} has ended"), PATIENCE, || {
            let job = self.job(id);
            let ended = TERMINAL.contains(&job["status"].as_str().expect("a job has a status"));
            (ended && job["work"] != "maybe").then_some(job)
        })
    }

    /// Waits until a job has succeeded, and returns its result.
    ///
    /// # Panics
    ///
    /// It does not succeed.
    #[track_caller]
    pub fn result(&self, id: &str) -> Value {
        self.until(id, "SUCCEEDED")["result"].take()
    }

    /// All jobs that fit `search` (as `POST /jobs/search` takes it), newest first.
    ///
    /// # Panics
    ///
    /// The search is refused.
    #[track_caller]
    #[must_use]
    pub fn search(&self, mut search: Value) -> Vec<Value> {
        let mut jobs = Vec::new();
        search["max_results"] = 1000.into();
        loop {
            let mut answer = self.post("/api/3.0/jobs/search", &search);
            assert_eq!(answer.status, 200, "{}", answer.text);
            let Value::Array(page) = answer.json["jobs"].take() else {
                panic!("no list of jobs: {}", answer.text)
            };
            jobs.extend(page);
            match answer.json["next_page_token"].take() {
                Value::Null => return jobs,
                token => search["page_token"] = token,
            }
        }
    }

    /// Waits until no job is left that has not ended, or of which something may still run.
    ///
    /// # Panics
    ///
    /// Some do not end within `limit`.
    #[track_caller]
    pub fn until_idle(&self, limit: Duration) {
        self.until_idle_but(0, limit);
    }

    /// As [`until_idle`](Self::until_idle), with so many that may go on.
    ///
    /// # Panics
    ///
    /// More do not end within `limit`.
    #[track_caller]
    pub fn until_idle_but(&self, others: usize, limit: Duration) {
        let waiting = json!({ "statuses": ["PENDING", "RUNNING", "NEEDS_RECOVERY"] });
        wait_until("every job has ended", limit, || {
            let mut first = waiting.clone();
            first["max_results"] = (others + 1).into();
            let answer = self.post("/api/3.0/jobs/search", &first);
            answer.json["jobs"].as_array().is_some_and(|jobs| jobs.len() <= others).then_some(())
        });
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

impl Answer {
    fn read(mut response: Response<Body>) -> Result<Self, Error> {
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(LARGEST).read_to_string()?;
        let json = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self { status, text, json })
    }

    /// The code of an error.
    #[must_use]
    pub fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }

    /// The message of an error.
    #[must_use]
    pub fn message(&self) -> &str {
        self.json["error"]["message"].as_str().unwrap_or_default()
    }
}

fn id(job: &Value) -> String {
    job["job_id"].as_str().unwrap_or_else(|| panic!("a job has an id: {job}")).to_owned()
}
