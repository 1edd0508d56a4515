//! The parent's side: one process a test, a deadline, a verdict.

use std::{
    fs, io,
    io::Read,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use tokio::time::Instant;

use super::{
    Body, Package, Printing, Sample, Test, package,
    question::{QUESTION, Question, read_answer},
    report::{Report, Row, Verdict},
    tests,
};

/// What to try out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The library, where the executor is not linked: a copy that nobody writes to.
    pub file: Option<PathBuf>,
    /// What the host has read of it.
    pub package: Option<Package>,
    /// How to use the executor.
    pub sample: Sample,
    /// What relative paths of its configuration are relative to.
    pub config_dir: Option<PathBuf>,
    /// The highest level to try.
    pub level: u8,
    /// Only tests whose names contain this.
    pub only: Option<String>,
    /// For the tests that draw.
    pub seed: u64,
    /// How long one test may take.
    pub deadline: Duration,
    /// Whether the children's standard output is nobody's but the plugin's.
    pub hears_output: bool,
    /// Where tests get directories of their own.
    pub directory: PathBuf,
}

/// Tries everything out. `child` makes the command that runs one test: it has to call
/// [`answer`](super::answer) with the directory. `told` hears of each test when it has ended.
///
/// # Errors
///
/// A directory cannot be made, or a process not be started.
pub fn run(
    plan: &Plan,
    child: &dyn Fn(&Test, &Path) -> Command,
    told: &mut dyn FnMut(&Row),
) -> io::Result<Report> {
    let mut report = Report { seed: plan.seed, tests: Vec::new() };
    let mut unusable = plan
        .package
        .as_ref()
        .and_then(|package| package.problem.as_ref().map(|_| package::PREFLIGHT));
    for test in tests().filter(|test| plan.wants(test)) {
        let before = Instant::now();
        let verdict = match (test.body, &plan.package) {
            (Body::File(look), Some(package)) => super::Outcome::from(look(package)).into(),
            (Body::File(_), None) => {
                Verdict::Skip("needs the built library: `longshore plugin check FILE`".to_owned())
            }
            // The dynamic linker is no judge: what has not passed the others is not handed to it.
            (Body::Code(_), _) => match unusable {
                Some(gate) => Verdict::Skip(format!("there is no code to run, see `{gate}`")),
                None => plan.try_out(test, child)?,
            },
        };
        let is_gate = [package::CONSTRUCTOR, package::LOADS].contains(&test.name);
        if is_gate && verdict.is_bad() {
            unusable = Some(test.name);
        }
        let row = Row { test, verdict, took: before.elapsed() };
        told(&row);
        report.tests.push(row);
    }
    Ok(report)
}

impl Plan {
    /// Whether a test is part of it.
    #[must_use]
    pub fn wants(&self, test: &Test) -> bool {
        let named = self.only.as_ref().is_none_or(|only| test.name.contains(&**only));
        named && test.level <= self.level
    }

    fn try_out(&self, test: &Test, child: &dyn Fn(&Test, &Path) -> Command) -> io::Result<Verdict> {
        if test.printing != Printing::Nothing && !self.hears_output {
            let why = "its standard output is not its own here: `longshore plugin check FILE`";
            return Ok(Verdict::Skip(why.to_owned()));
        }
        let directory = self.directory.join(test.name);
        fs::create_dir_all(&directory)?;
        let question = Question {
            test: test.name.to_owned(),
            file: self.file.clone(),
            note: self.package.as_ref().and_then(|package| package.note.clone()),
            sample: self.sample.clone(),
            config_dir: self.config_dir.clone(),
            seed: self.seed,
        };
        fs::write(directory.join(QUESTION), serde_json::to_vec(&question)?)?;
        let mut command = child(test, &directory);
        command
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // What the plugin starts ends with it, however that was.
            .process_group(0);
        let mut process = command.spawn()?;
        let printed = Printed::by(process.stdout.take());
        let complained = Printed::by(process.stderr.take());
        let status = ended(&mut process, self.deadline)?;
        let verdict = judge(status, &directory, self.deadline, &complained);
        // Large where a plugin wrote much, and of no use to anybody now.
        let _ = fs::remove_dir_all(&directory);
        Ok(match (verdict, test.printing, printed.text()) {
            (Verdict::Pass, Printing::AWarning, text) if !text.is_empty() => {
                Verdict::Warn(format!("it prints `{}`", start_of(&text)))
            }
            (Verdict::Pass, Printing::AFailure, text) if !text.is_empty() => {
                Verdict::Fail(format!("it prints `{}`", start_of(&text)))
            }
            (verdict, ..) => verdict,
        })
    }
}

/// How it ended, if in time. Nothing of its group is left afterwards.
fn ended(process: &mut Child, deadline: Duration) -> io::Result<Option<ExitStatus>> {
    let pid = Pid::from_child(process);
    let watched = pidfd_open(pid, PidfdFlags::empty())?;
    let wait = Timespec::try_from(deadline).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
    let in_time = loop {
        match poll(&mut [PollFd::new(&watched, PollFlags::IN)], Some(&wait)) {
            Ok(ready) => break ready > 0,
            // A signal for this process, such as a change of the terminal's size.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    // Before it is reaped: until then nobody else can have its number.
    let _ = kill_process_group(pid, Signal::KILL);
    let status = process.wait()?;
    Ok(in_time.then_some(status))
}

fn judge(
    status: Option<ExitStatus>,
    directory: &Path,
    deadline: Duration,
    complained: &Printed,
) -> Verdict {
    let Some(status) = status else {
        return Verdict::Hang(deadline);
    };
    let how = match (status.code(), status.signal()) {
        (Some(0), _) => match read_answer(directory) {
            Some(outcome) => return outcome.into(),
            None => "ended without an answer".to_owned(),
        },
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("died of {}", name_of(signal)),
        (None, None) => "ended, nobody knows how".to_owned(),
    };
    let text = complained.text();
    // The last words name the cause, if anything does.
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    Verdict::Crash(last.map_or_else(|| how.clone(), |last| format!("{how}: {}", start_of(last))))
}

fn name_of(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

fn start_of(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// What a process prints: read for as long as it does, so that it never has to wait, and forgotten but
/// for the last of it.
struct Printed {
    kept: Arc<Mutex<Vec<u8>>>,
    end: mpsc::Receiver<()>,
}

const KEPT: usize = 64 << 10;
/// What the process has started and let out of its group may hold the pipe open; it is not waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Printed {
    fn by(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (says, end) = mpsc::channel();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeps = Arc::clone(&kept);
        thread::spawn(move || {
            let mut block = [0; 8 << 10];
            let mut pipe = pipe;
            while let Some(read) = pipe.as_mut().and_then(|pipe| pipe.read(&mut block).ok()) {
                if read == 0 {
                    break;
                }
                let mut kept = keeps.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&block[..read]);
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            }
            // Whoever asked may have gone.
            let _ = says.send(());
        });
        Self { kept, end }
    }

    fn text(&self) -> String {
        let _ = self.end.recv_timeout(LAST_WORDS);
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    }
}
