//! The executors: whether each has what it needs.

use serde::Deserialize;

use super::{
    finding::{Finding, fail, failed, ok, warn},
    host::Seat,
};
use crate::{
    cli::client::Client,
    config::Config,
    plugin::{Registry, Wanted},
    report::Chain,
};

const SUBJECT: &str = "executors";

pub(super) async fn examine(config: &Config, registry: &Registry, seat: &Seat) -> Vec<Finding> {
    match seat {
        Seat::Answers(client) => asked(client),
        Seat::Silent => vec![warn(
            SUBJECT,
            "not looked at: a host that does not answer may be using them",
            "start the host, or end it, and look again",
        )],
        Seat::Free => checked(config, registry).await,
    }
}

/// What the host says of them.
fn asked(client: &Client) -> Vec<Finding> {
    #[derive(Deserialize)]
    struct Answer {
        executors: Vec<Executor>,
    }
    #[derive(Deserialize)]
    struct Executor {
        name: String,
        ready: bool,
        trouble: Option<String>,
    }
    let answer = match client.get("/api/3.0/executors") {
        Ok(answer) => answer,
        Err(error) => return vec![failed(SUBJECT, format!("{:#}", Chain(&error)))],
    };
    let Ok(Answer { executors }) = Answer::deserialize(answer) else {
        return vec![fail(SUBJECT, "the host's answer cannot be read", "bring both up to date")];
    };
    let finding = |executor: Executor| {
        let name = executor.name;
        if executor.ready {
            return ok(SUBJECT, format!("`{name}` takes jobs"));
        }
        let why = executor.trouble.unwrap_or_else(|| "it does not say why".to_owned());
        failed(SUBJECT, format!("`{name}` takes no jobs: {why}"))
    };
    executors.into_iter().map(finding).collect()
}

/// Asks each what it needs. No host runs, so nobody is disturbed, and nothing is started.
async fn checked(config: &Config, registry: &Registry) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, executor) in &config.executors {
        let checked =
            registry.check(Wanted { executor: name.clone(), config: executor.clone() }).await;
        findings.push(match checked {
            Ok(()) => ok(SUBJECT, format!("`{name}` has what it needs")),
            Err(problem) => failed(SUBJECT, format!("{}: {problem}", problem.code)),
        });
    }
    findings
}
