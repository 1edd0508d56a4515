//! `longshore jobs list`.

use std::path::Path;

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{
        client::Client,
        error::CliError,
        exit::Exit,
        job::{self, Job},
        moment::{relative, span},
        output::Output,
        reach::Reach,
        say,
        table::Table,
    },
    lifecycle::State,
};

/// Lists jobs, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  $ longshore jobs list --status RUNNING,PENDING
  $ longshore jobs list --type score_traces --limit 100 --json")]
pub(super) struct List {
    /// Only jobs in these states, with commas between them.
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    status: Vec<State>,
    /// Only jobs of this type.
    #[arg(long = "type", value_name = "NAME")]
    job_type: Option<String>,
    /// Only jobs of this workspace.
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    limit: usize,
    /// Print JSON: a list of jobs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl List {
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
        let client = self.reach.client(config)?;
        let (jobs, more) = self.find(&client)?;
        if self.json {
            output.json(&jobs)?;
            return Ok(Exit::Success);
        }
        let jobs: Vec<Job> =
            jobs.iter().map(|value| job::parse(&client, value)).collect::<Result<_, _>>()?;
        if jobs.is_empty() {
            say::note("no such jobs");
            return Ok(Exit::Success);
        }
        output.text(table(&jobs, output))?;
        if more {
            say::note(format_args!(
                "there are older ones; see them with a larger --limit than {}",
                self.limit
            ));
        }
        Ok(Exit::Success)
    }
}

impl List {
    /// The jobs, and whether there are more. The host ends a page early when its jobs are large.
    fn find(&self, client: &Client) -> Result<(Vec<Value>, bool), CliError> {
        const PAGE: usize = 1000;
        let states: Vec<_> = self.status.iter().map(|state| state.as_str()).collect();
        let mut query = json!({
            "statuses": states, "job_name": self.job_type, "workspace": self.workspace,
        });
        let mut found = Vec::new();
        loop {
            query["max_results"] = (self.limit - found.len()).min(PAGE).into();
            let mut page = client.send_json(Method::POST, "/api/3.0/jobs/search", &query)?;
            if let Value::Array(jobs) = page["jobs"].take() {
                found.extend(jobs);
            }
            match page["next_page_token"].take() {
                Value::Null => return Ok((found, false)),
                _ if found.len() >= self.limit => return Ok((found, true)),
                token => query["page_token"] = token,
            }
        }
    }
}

fn table(jobs: &[Job], output: &Output) -> Table {
    let mut table = Table::new(["JOB", "TYPE", "STATUS", "SUBMITTED", "TOOK", "DETAIL"]);
    for job in jobs {
        let detail = if job.has_ended() { job.why().unwrap_or_default() } else { job.doing() };
        table.row([
            job.job_id.clone(),
            job.job_name.clone(),
            output.style.state(&job.status),
            job.creation_time.map(relative).unwrap_or_default(),
            job.took().map(span).unwrap_or_default(),
            short(&detail),
        ]);
    }
    table
}

/// A table has one line for each job; `jobs show` has the rest.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("expected a number from 1 on".to_owned()),
    }
}

fn state(word: &str) -> Result<State, String> {
    State::from_word(&word.to_ascii_uppercase()).ok_or_else(|| {
        let known: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}
