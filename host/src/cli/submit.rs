//! `longshore submit`.

use std::{path::Path, time::Duration};

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};

use super::{
    client::{Client, ClientError},
    error::CliError,
    exit::Exit,
    job,
    jobs::watch::{self, Host},
    moment::{parse_moment, parse_span},
    output::Output,
    params::Params,
    reach::Reach,
    say,
};
use crate::job::JobId;

/// Submits a job and prints its id
///
/// With --wait, waits for its end behind a progress bar and prints its result, as JSON, alone on
/// standard output; ends with 0 only if the job succeeded.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  $ longshore submit score_traces experiment_id=7 'scorers=[\"length\"]'
  $ longshore submit score_traces --params-file params.json --timeout 10m --wait")]
pub(super) struct Submit {
    /// The job type.
    #[arg(value_name = "JOB")]
    job_type: String,
    #[command(flatten)]
    params: Params,
    /// How long an attempt may take, set-up included. By default as the job type says.
    #[arg(long, value_name = "DURATION", value_parser = parse_span)]
    timeout: Option<Duration>,
    /// 1 is first, 4 is last. By default as the job type says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    priority: Option<u8>,
    /// Not to be started before: a time (`2026-03-01T12:00:00Z`) or a duration from now (`10m`).
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    run_at: Option<i64>,
    /// The tenant.
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// A second submission with the same key and content answers with the first job.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait for the job's end and print its result.
    #[arg(long)]
    wait: bool,
    /// Print the job as JSON; with --wait, as it ended.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Submit {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let submission = self.submission()?;
        let client = self.reach.client(config)?;
        let answer = client.send_json(Method::POST, "/api/3.0/jobs/", &submission)?;
        let (id, answer) = submitted(&client, answer)?;
        if !self.wait {
            if self.json {
                output.json(&answer)?;
            } else {
                output.line(id)?;
            }
            return Ok(Exit::Success);
        }
        say::note(format_args!("job {id}"));
        let (ended, value) = watch::with_bar(&client, id, Host::Answered)?;
        if self.json {
            output.json(&value)?;
        } else if ended.exit() == Exit::Success {
            output.json(&ended.result)?;
        } else {
            say::error_line(ended.ending(say::style()));
            say::where_to_look(&ended);
        }
        Ok(ended.exit())
    }

    fn submission(&self) -> Result<Value, CliError> {
        let mut submission = json!({
            "job_name": self.job_type,
            "params": self.params.read()?,
        });
        let mut put = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                submission[field] = value;
            }
        };
        put("timeout", self.timeout.map(|timeout| timeout.as_secs_f64().into()));
        put("priority", self.priority.map(Value::from));
        put("run_at", self.run_at.map(Value::from));
        put("workspace", self.workspace.clone().map(Value::from));
        put("idempotency_key", self.idempotency_key.clone().map(Value::from));
        Ok(submission)
    }
}

/// The job in the answer to a submission. A host that has stored it but cannot read it back (202) says
/// only which one it is: that is no failure, and submitting again would make a second job.
fn submitted(client: &Client, answer: Value) -> Result<(JobId, Value), CliError> {
    let (id, answer) = match answer.pointer("/error/job_id") {
        Some(id) => {
            say::warning("the job is stored, but the host cannot show it now");
            (id.clone(), json!({ "job_id": id }))
        }
        None => (job::parse(client, &answer)?.job_id.into(), answer),
    };
    let id = id.as_str().and_then(|id| id.parse().ok()).ok_or_else(|| ClientError::Foreign {
        url: client.url().to_owned(),
        message: format!("{id} is no job id"),
    })?;
    Ok((id, answer))
}
