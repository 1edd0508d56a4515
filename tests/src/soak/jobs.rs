//! What is submitted, and how it has to end.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::{built::repository, chance::Chance, client::Client, host::Setup};

const SOAK_SH: &str = include_str!("../../jobs/soak.sh");

/// Nobody is left alone for his many deaths; else the times of a usual host would make it a long day.
pub(super) const CONFIG: &str = r#"
[executors.local.restart]
base_delay = "50ms"
max_delay = "200ms"
quarantine_after = 1000

[executors.noop]
restart = { base_delay = "50ms", max_delay = "200ms", quarantine_after = 1000 }
config = { echo = true }

[executors.evil]
restart = { base_delay = "50ms", max_delay = "200ms", quarantine_after = 1000 }
deadlines = { health = "2s", recover = "5s", forget = "2s", margin = "2s" }

[executors.pool]
plugin = "command"
restart = { base_delay = "50ms", max_delay = "200ms", quarantine_after = 1000 }
config = { program = ["python3", "pool.py"], mode = "serve" }

[jobs.local]
executor = "local"
command = ["sh", "{dir}/soak.sh", "{dir}/history", "0.05"]
max_workers = 4
retry = { max_retries = 0 }

[jobs.pool]
executor = "pool"
# In the only life that there is: what the pool has started outlives whoever asked for it.
command = ["sh", "{dir}/soak.sh", "{dir}/history", "0.05", "0"]
max_workers = 4
retry = { max_retries = 0 }

[jobs.noop]
executor = "noop"
command = ["noop"]
max_workers = 4
retry = { max_retries = 0 }

[jobs.evil]
executor = "evil"
command = ["evil"]
max_workers = 4
retry = { max_retries = 0 }

[jobs.bad]
executor = "evil"
command = ["evil"]
max_workers = 2
timeout = "1s"
stop_grace = "100ms"
retry = { max_retries = 0 }
"#;

/// What a bad job may do, and how it may end. One that ends its process is tried twice among others and
/// four times alone, and has failed. One that hangs is stopped when its time is over, unless its runner was
/// killed so often that it looks like the first kind.
const MODES: [(&str, &[&str]); 13] = [
    ("abort", &["FAILED"]),
    ("exit", &["FAILED"]),
    ("exit-zero", &["FAILED"]),
    ("null", &["FAILED"]),
    ("overflow", &["FAILED"]),
    ("junk-frame", &["FAILED"]),
    ("close-fds", &["FAILED"]),
    ("abort-submit", &["FAILED"]),
    ("panic-submit", &["FAILED"]),
    ("panic", &["TIMEOUT", "FAILED"]),
    ("hang", &["TIMEOUT", "FAILED"]),
    ("hang-submit", &["TIMEOUT", "FAILED"]),
    ("block", &["TIMEOUT", "FAILED"]),
];

/// Of so many jobs of `evil` one is bad. They come first: what ends its process again and again is tried
/// for a quarter of a minute, and the rest is to be company for it.
const ONE_IN: usize = 30;

/// How many are submitted in one transaction.
const AT_ONCE: usize = 500;

/// Everything that was submitted, by id.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    submitted: BTreeMap<String, Kind>,
    /// Which bad thing comes next.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Writes the history, and returns its id.
    Witness,
    /// Returns its parameters.
    Echo,
    /// Returns who ran it.
    Evil,
    /// Does one thing wrong, and ends in one of these ways.
    Bad(&'static [&'static str]),
}

/// With all that these jobs need.
pub(super) fn host(setup: Setup) -> Setup {
    let pool = repository().join("examples/command/pool.py");
    let pool = fs::read(pool).expect("the example is in the repository");
    let setup = setup.plugin("noop").plugin("evil").plugin("command");
    setup.file("soak.sh", SOAK_SH).file("pool.py", pool)
}

impl Jobs {
    pub(super) fn len(&self) -> usize {
        self.submitted.len()
    }

    /// Submits so many more; `bad` says whether some of them are.
    pub(super) fn submit(&mut self, client: &Client, count: usize, bad: bool, chance: &mut Chance) {
        let drawn: Vec<_> = (0..count)
            .map(|n| match n % 4 {
                0 => (Kind::Witness, "local", json!({})),
                1 => (Kind::Witness, "pool", json!({})),
                2 => (Kind::Echo, "noop", json!({ "sleep_ms": millis(chance), "of": n })),
                _ if bad && n < count / 2 && n / 4 % (ONE_IN / 2) == 0 => self.bad(chance),
                _ => (Kind::Evil, "evil", json!({ "millis": millis(chance) })),
            })
            .map(|(kind, job_name, params)| {
                (kind, json!({ "job_name": job_name, "params": params }))
            })
            .collect();
        for part in drawn.chunks(AT_ONCE) {
            let submissions: Vec<_> =
                part.iter().map(|(_, submission)| submission.clone()).collect();
            let ids = client.submit_all(&submissions);
            self.submitted.extend(ids.into_iter().zip(part.iter().map(|(kind, _)| *kind)));
        }
    }

    /// The next kind of bad job; the first one is drawn.
    fn bad(&mut self, chance: &mut Chance) -> (Kind, &'static str, Value) {
        if self.next == 0 {
            self.next = usize::try_from(chance.below(MODES.len() as u64)).expect("it is small");
        }
        self.next += 1;
        let (mode, ends) = MODES[self.next % MODES.len()];
        let params = json!({ "evil": mode, "millis": millis(chance) });
        (Kind::Bad(ends), "bad", params)
    }

    /// Whether each has ended as it had to. `ended` is what the witnesses wrote.
    pub(super) fn judge(&self, found: &BTreeMap<&str, &Value>, ended: &BTreeMap<String, Vec<u64>>) {
        let mut faults = Vec::new();
        for (id, kind) in &self.submitted {
            let job = found.get(id.as_str()).unwrap_or_else(|| panic!("job {id} is lost"));
            let attempt = job["attempt"].as_u64();
            let good = match kind {
                // The attempt that counts is the last that ran to its end; nothing ran after it.
                Kind::Witness => {
                    job["result"] == **id
                        && ended.get(id).and_then(|all| all.last()).copied() == attempt
                }
                Kind::Echo => job["result"] == job["params"],
                Kind::Evil => job["result"]["attempt"].as_u64() == attempt,
                Kind::Bad(_) => true,
            };
            let ends: &[&str] = if let Kind::Bad(ends) = kind { ends } else { &["SUCCEEDED"] };
            let status = job["status"].as_str().unwrap_or_default();
            if !good || !ends.contains(&status) || job["work"] != "gone" || job["retry_count"] != 0
            {
                faults.push(format!("{kind:?} should have ended {ends:?}: {job:#}"));
            }
        }
        assert!(faults.is_empty(), "{} jobs: {}", faults.len(), faults.join("\n"));
    }
}

/// How long a job runs.
fn millis(chance: &mut Chance) -> u64 {
    40 + chance.below(160)
}
