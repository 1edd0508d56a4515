//! The host itself: whether one runs here, whether it answers, and whether its clock is ours.

use std::{
    fs::{self, File},
    path::Path,
};

use jiff::{Timestamp, fmt::rfc2822};
use rustix::fs::FlockOperation;
use serde_json::Value;

use super::finding::{Finding, fail, failed, ok, warn};
use crate::{
    cli::{
        client::{Client, ClientError},
        error::CliError,
        moment::span,
        reach::Reach,
    },
    clock,
    config::Config,
    report::Chain,
};

const SUBJECT: &str = "host";
/// Midnight of 2025-01-01 UTC, in seconds: before this software was written.
const PAST: i64 = 1_735_689_600;
/// What a network and a header in whole seconds explain.
const TOLERATED: u64 = 3;

/// Who uses the state directory now.
pub(super) enum Seat {
    /// A host that answers.
    Answers(Client),
    /// A host that does not.
    Silent,
    /// Nobody.
    Free,
}

pub(super) fn examine(config: &Config, reach: &Reach, path: Option<&Path>) -> (Vec<Finding>, Seat) {
    let taken = is_taken(&config.state_dir.join("host.lock"));
    let client = match reach.client(path) {
        Ok(client) => client,
        Err(CliError::Client(ClientError::NoAdminToken { .. })) if !taken => {
            let finding = ok(SUBJECT, "none has started here yet; `longshore serve` starts one");
            return (vec![finding, own_clock(now())], Seat::Free);
        }
        Err(error) => {
            let seat = if taken { Seat::Silent } else { Seat::Free };
            return (vec![failed(SUBJECT, format!("{:#}", Chain(&error))), own_clock(now())], seat);
        }
    };
    match client.text("/api/3.0/server-info") {
        Ok(answer) => {
            let mut findings = vec![known(&client, &answer.body)];
            findings.push(ready(&client));
            findings
                .extend(fs::read("/proc/1/cmdline").ok().and_then(|first| without_init(&first)));
            let clock = answer.header("date").and_then(|date| clocks(date, now()));
            findings.push(clock.unwrap_or_else(|| own_clock(now())));
            (findings, Seat::Answers(client))
        }
        Err(error) => {
            let finding = match (&error, taken) {
                (ClientError::Unreachable { url, .. }, false) => {
                    ok(SUBJECT, format!("none runs at {url}; `longshore serve` starts one"))
                }
                (ClientError::Unreachable { url, .. }, true) => fail(
                    SUBJECT,
                    format!("one uses the state directory, and does not answer at {url}"),
                    "it may be starting, or listen elsewhere: name it with --url, and see its log",
                ),
                _ => failed(SUBJECT, format!("{:#}", Chain(&error))),
            };
            (vec![finding, own_clock(now())], if taken { Seat::Silent } else { Seat::Free })
        }
    }
}

/// Whether a process holds that lock. A file that is not there is made by nobody here: it would
/// belong to whoever asks.
fn is_taken(lock: &Path) -> bool {
    let Ok(file) = File::open(lock) else { return false };
    // Shared, for as long as it takes to close the file: two that look do not take each other for a host.
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

fn known(client: &Client, answer: &str) -> Finding {
    let info: Value = serde_json::from_str(answer).unwrap_or_default();
    let own = env!("CARGO_PKG_VERSION");
    match info["version"].as_str() {
        Some(version) if version == own => {
            ok(SUBJECT, format!("version {version} answers at {}", client.url()))
        }
        Some(version) => warn(
            SUBJECT,
            format!("version {version} answers at {}, this command is {own}", client.url()),
            "restart the host to bring it up to date",
        ),
        None => fail(SUBJECT, format!("what answers at {} is no host", client.url()), "see --url"),
    }
}

/// A host that is the first process, as in a container, inherits every process whose parent has ended,
/// and does not wait for them: it waits for its own only.
fn without_init(command_line: &[u8]) -> Option<Finding> {
    let mut arguments = command_line.split(|byte| *byte == 0);
    let program = arguments.next()?.rsplit(|byte| *byte == b'/').next()?;
    (program == b"longshore" && arguments.any(|argument| argument == b"serve")).then(|| {
        warn(
            SUBJECT,
            "it is process 1, and leaves ended processes of its plugins as zombies",
            "run it below an init, as `docker run --init` does",
        )
    })
}

fn ready(client: &Client) -> Finding {
    const SUBJECT: &str = "host health";
    match client.status("/api/3.0/health/ready") {
        Ok((200, _)) => ok(SUBJECT, "it takes jobs"),
        Ok((_, health)) => {
            let problems = health["problems"].as_array().into_iter().flatten();
            let problems: Vec<_> = problems.filter_map(Value::as_str).collect();
            let what = format!("it takes no jobs now: {}", problems.join(", "));
            fail(SUBJECT, what, "its log says more; `draining` means that it is about to stop")
        }
        Err(error) => failed(SUBJECT, format!("{:#}", Chain(&error))),
    }
}

fn clocks(date: &str, now: i64) -> Option<Finding> {
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?.as_second();
    let apart = theirs.abs_diff(now);
    Some(if apart <= TOLERATED {
        ok("clock", "the host's and this one agree")
    } else {
        let apart = span(std::time::Duration::from_secs(apart));
        warn(
            "clock",
            format!("the host's and this one are {apart} apart"),
            "set both by NTP; --run-at with a duration goes by this one",
        )
    })
}

fn own_clock(now: i64) -> Finding {
    if let Some(now) = Timestamp::from_second(now).ok().filter(|_| now > PAST) {
        return ok("clock", now.strftime("%F %T UTC").to_string());
    }
    fail("clock", "this machine's clock is years behind", "set it by NTP, or jobs are never due")
}

fn now() -> i64 {
    clock::wall_us() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    const NOON: &str = "Sun, 01 Mar 2026 12:00:00 GMT";
    const NOON_SECONDS: i64 = 1_772_366_400;

    #[test]
    fn two_clocks_agree_or_are_said_to_be_apart() {
        let level = |now| clocks(NOON, now).unwrap().level;
        assert_eq!(level(NOON_SECONDS), Level::Ok);
        assert_eq!(level(NOON_SECONDS + 2), Level::Ok, "a header counts whole seconds");
        assert_eq!(level(NOON_SECONDS - 90), Level::Warn);
        assert!(clocks("noon", NOON_SECONDS).is_none());
    }

    #[test]
    fn a_host_without_an_init_is_warned_of() {
        assert!(without_init(b"/usr/bin/longshore\0--config\0x.toml\0serve\0").is_some());
        for other in
            ["/sbin/init\0", "/usr/bin/longshore\0doctor\0", "tini\0longshore\0serve\0", ""]
        {
            assert!(without_init(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn a_clock_that_is_years_behind_is_a_failure() {
        assert_eq!(own_clock(NOON_SECONDS).level, Level::Ok);
        assert_eq!(own_clock(0).level, Level::Fail);
    }
}
