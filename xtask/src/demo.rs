//! `cargo xtask demo`: the whole product in one command.

use std::{
    fs,
    io::{BufRead as _, BufReader, IsTerminal as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    build::{Built, build},
    run::{Done, read, root},
};

const BATCH: usize = 20;

pub(crate) fn demo() -> Done {
    println!("building the host and the `local` executor ...");
    let built = build(&["longshore-local"], false)?;
    let host = Host::start(&built)?;
    println!("host {} is up on embedded SQLite, `local` loaded from its .so\n", host.url);
    let jobs = host.submit()?;
    let ended = host.watch(&jobs)?;
    table(&ended);
    let failed = ended.iter().filter(|job| job["status"] != "SUCCEEDED").count();
    println!("{}", host.next_steps(&ended));
    drop(host);
    if failed == 0 {
        Ok(())
    } else {
        Err(format!("{failed} of {} jobs did not succeed", ended.len()))
    }
}

/// A running host in a directory of its own.
struct Host {
    child: Child,
    host: PathBuf,
    directory: PathBuf,
    url: String,
    token: String,
}

impl Host {
    fn start(built: &Built) -> Done<Self> {
        let directory = root().join("target/demo");
        let _ = fs::remove_dir_all(&directory);
        let example = root().join("examples/scoring");
        let failed =
            |error: std::io::Error| format!("cannot prepare {}: {error}", directory.display());
        fs::create_dir_all(directory.join("scorers")).map_err(failed)?;
        for entry in fs::read_dir(example.join("scorers")).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.path().extension().is_some_and(|extension| extension == "py") {
                fs::copy(entry.path(), directory.join("scorers").join(entry.file_name()))
                    .map_err(failed)?;
            }
        }
        built.install("local", &directory.join("plugins"))?;
        fs::copy(example.join("longshore.toml"), directory.join("longshore.toml"))
            .map_err(failed)?;

        let log = fs::File::create(directory.join("host.log")).map_err(failed)?;
        let mut child = Command::new(&built.host)
            // A free port of the system's choice: whatever else runs here, the demo does, too.
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(directory.join("longshore.toml"))
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", built.host.display()))?;
        // The host says where it listens when it is ready, and nothing before.
        let mut line = String::new();
        let answered = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line);
        let url = line
            .split_whitespace()
            .last()
            .filter(|_| answered.is_ok())
            .unwrap_or_default()
            .to_owned();
        let token = fs::read_to_string(directory.join("state/admin-token")).unwrap_or_default();
        let host = Self { child, host: built.host.clone(), directory, url, token };
        if host.url.is_empty() {
            let log = fs::read_to_string(host.directory.join("host.log")).unwrap_or_default();
            return Err(format!("the host did not start:\n{log}"));
        }
        Ok(host)
    }

    fn longshore(&self) -> Command {
        let mut command = Command::new(&self.host);
        command.arg("--config").arg(self.directory.join("longshore.toml"));
        command
            .env("LONGSHORE_URL", &self.url)
            .env("LONGSHORE_TOKEN", &self.token)
            .current_dir(&self.directory);
        command
    }

    /// One job for each batch of traces, and one command for contrast.
    fn submit(&self) -> Done<Vec<String>> {
        let traces = root().join("examples/traces/traces.jsonl");
        let lines = fs::read(&traces)
            .map_err(|error| format!("cannot read {}: {error}", traces.display()))?;
        let lines = lines.iter().filter(|byte| **byte == b'\n').count();
        let mut jobs = Vec::new();
        for offset in (0..lines).step_by(BATCH) {
            let params = json!({
                "traces_path": traces, "offset": offset, "limit": BATCH, "seconds_per_trace": 0.05,
            });
            let command = &mut self.longshore();
            command.args(["submit", "score_traces", "--params", &params.to_string(), "--json"]);
            jobs.push(id(&read(command)?)?);
        }
        let command = &mut self.longshore();
        jobs.push(id(&read(command.args([
            "submit",
            "word_count",
            "--params",
            r#"{"text": "a few words"}"#,
            "--json",
        ]))?)?);
        println!("{lines} traces in {} jobs", jobs.len());
        Ok(jobs)
    }

    fn job(&self, id: &str) -> Done<Value> {
        let text = read(self.longshore().args(["jobs", "show", id, "--json"]))?;
        serde_json::from_str(&text).map_err(|error| format!("`jobs show` printed no JSON: {error}"))
    }

    /// Shows the progress of all jobs until the last one has ended.
    fn watch(&self, ids: &[String]) -> Done<Vec<Value>> {
        let bars = MultiProgress::new();
        let style =
            ProgressStyle::with_template("{prefix:>14} {bar:30} {pos:>3}/{len:3} {wide_msg}")
                .map_err(|error| error.to_string())?;
        let bar = |id: &String| {
            let bar = ProgressBar::new(BATCH as u64).with_style(style.clone());
            bars.add(bar).with_prefix(id[id.len() - 8..].to_owned())
        };
        let lines: Vec<ProgressBar> = ids.iter().map(bar).collect();
        let mut ended: Vec<Option<Value>> = vec![None; ids.len()];
        let mut seen = 0;
        while ended.iter().any(Option::is_none) {
            for (at, id) in
                ids.iter().enumerate().filter(|(at, _)| ended[*at].is_none()).collect::<Vec<_>>()
            {
                let job = self.job(id)?;
                let status = job["status"].as_str().unwrap_or_default().to_owned();
                if let Some(done) = job["progress"]["completed"].as_u64() {
                    lines[at].set_position(done);
                }
                let message = job["status_message"].as_str().unwrap_or_default();
                lines[at].set_message(format!("{status} {message}"));
                if ["SUCCEEDED", "FAILED", "TIMEOUT", "CANCELED"].contains(&status.as_str()) {
                    if status == "SUCCEEDED" {
                        lines[at].set_position(lines[at].length().unwrap_or(0));
                    }
                    lines[at].abandon_with_message(status.clone());
                    if !std::io::stderr().is_terminal() {
                        seen += 1;
                        println!("{seen:>3}/{} {id} {status}", ids.len());
                    }
                    ended[at] = Some(job);
                }
            }
            pause();
        }
        Ok(ended.into_iter().flatten().collect())
    }

    fn next_steps(&self, ended: &[Value]) -> String {
        let host = shown(&self.host);
        let config = shown(&self.directory.join("longshore.toml"));
        let job = ended[0]["job_id"].as_str().unwrap_or_default();
        format!(
            "The demo's host is stopped now; its directory is {}. Try next:\n\n  \
             {host} serve --config {config}\n  \
             {host} jobs show {job} --config {config}\n  \
             {host} submit word_count --params '{{\"text\": \"two words\"}}' --wait --config {config}\n\n\
             the last two in another terminal. To read: examples/scoring/scorers/jobs.py, docs/configuration.md.",
            shown(&self.directory)
        )
    }
}

impl Drop for Host {
    /// As an operator would: TERM, then patience.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn id(printed: &str) -> Done<String> {
    let job: Value = serde_json::from_str(printed)
        .map_err(|error| format!("`submit` printed no JSON: {error}"))?;
    job["job_id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("`submit` printed no job id: {printed}"))
}

fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// The results, a line a job.
fn table(jobs: &[Value]) {
    println!(
        "\n{:<38} {:<13} {:<10} {:>6} {:>6} {:>12} {:>9} {:>11}",
        "job", "type", "status", "scored", "broken", "correctness", "tool_use", "politeness"
    );
    for job in jobs {
        let summary = &job["result"]["summary"];
        let mean = |scorer: &str| {
            summary["mean"][scorer]
                .as_f64()
                .map_or_else(|| "-".to_owned(), |mean| format!("{mean:.2}"))
        };
        let count = |name: &str| {
            summary[name].as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string())
        };
        println!(
            "{:<38} {:<13} {:<10} {:>6} {:>6} {:>12} {:>9} {:>11}",
            job["job_id"].as_str().unwrap_or_default(),
            job["job_name"].as_str().unwrap_or_default(),
            job["status"].as_str().unwrap_or_default(),
            count("scored"),
            count("failed"),
            mean("correctness"),
            mean("tool_use"),
            mean("politeness"),
        );
    }
    println!("\nbroken traces are failures of those traces, not of their jobs\n");
}

#[expect(clippy::disallowed_methods, reason = "a person watches: ten looks a second are enough")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}
