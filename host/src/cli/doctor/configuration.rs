//! The file, and the tokens that it names.

use super::finding::{Finding, failed, ok};
use crate::{
    cli::{error::CliError, table::count},
    config::Config,
    report::Chain,
};

const SUBJECT: &str = "configuration";

pub(super) fn broken(error: &CliError) -> Finding {
    failed(SUBJECT, format!("{:#}", Chain(error)))
}

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let (types, executors) = (config.job_types.len(), config.executors.len());
    let mut findings = vec![ok(
        SUBJECT,
        format!("no mistakes; {}, {}", count(types, "job type"), count(executors, "executor")),
    )];
    if let Err(mistakes) = config.check_secrets() {
        findings.push(failed("tokens", mistakes.to_string()));
    } else if !config.tokens.is_empty() {
        findings.push(ok("tokens", format!("{} besides the admin token", config.tokens.len())));
    }
    findings
}
