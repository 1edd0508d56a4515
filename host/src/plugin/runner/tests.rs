//! Real processes: this test program is its own runner.
#![expect(unsafe_code, reason = "a runner leaves by `_exit`")]

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use longshore_plugin_api::{
    ErrorKind,
    note::Note,
    wire::{SoftLimits, Verb},
};
use tempfile::TempDir;

use super::death::How;
use super::*;
use crate::plugin::problem::{Code, PluginProblem};

/// What was heard: `log LEVEL MESSAGE`, `tell PAYLOAD`, `out LINE`, `OUT LINE` where it is severe.
#[derive(Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Vec<String>>>);

impl Ear {
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn heard(&self, what: &str) -> bool {
        self.lines().iter().any(|line| line.contains(what))
    }
}

impl Heard for Ear {
    fn log(&self, level: u8, _: &str, message: &str, _: &str) {
        self.note(format!("log {level} {message}"));
    }

    fn tell(&self, verb: &str, payload: &str) -> Result<(), Error> {
        assert_eq!(verb, "progress");
        self.note(format!("tell {payload}"));
        Ok(())
    }

    fn output(&self, line: &str, severe: bool) {
        self.note(format!("{} {line}", if severe { "OUT" } else { "out" }));
    }
}

/// Run by the runners of the tests below: their first argument, `__runner`, is a filter to the harness.
#[test]
#[expect(non_snake_case, reason = "its name is the command's")]
fn started_by_hand_it_says_what_it_is__runner() {
    let code = child::fake::run();
    if code != 2 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) };
    }
}

struct Place {
    dir: TempDir,
    ear: Ear,
    limits: RunnerLimits,
    env: Vec<(OsString, OsString)>,
}

impl Place {
    fn new() -> Self {
        let (dir, ear) = (tempfile::tempdir().unwrap(), Ear::default());
        // As much as a test program needs.
        Self { dir, ear, limits: RunnerLimits::default(), env: Vec::new() }
    }

    fn run_dir(&self) -> PathBuf {
        self.dir.path().join("runners/x.1")
    }

    async fn spawn(&self) -> Arc<Live> {
        let program = Program::at(std::env::current_exe().unwrap());
        let order = Order {
            executor: "x",
            copy: &self.dir.path().join("copy.so"),
            env: self.env.clone(),
            limits: self.limits,
            run_dir: self.run_dir(),
        };
        Live::spawn(&program, &order, Arc::new(self.ear.clone())).await.unwrap()
    }

    async fn open(&self) -> Arc<Live> {
        let live = self.spawn().await;
        live.load(&note("good"), SOON).await.unwrap_or_else(|e| panic!("{e}"));
        live.open("{}".to_owned()).await.unwrap();
        live
    }

    async fn until_heard(&self, what: &str) {
        until(what, || self.ear.heard(what)).await;
    }
}

/// Far longer than anything takes.
const SOON: Duration = Duration::from_secs(60);

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(SOON, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn note(name: &str) -> Note<'static> {
    let text = |text: &str| text.to_owned().into();
    Note {
        note: 1,
        name: text(name),
        version: text("1.2.3"),
        vendor: text(""),
        api: text("1.0"),
        min_host: text("1.0"),
        abi_stable: text("0.11"),
        async_ffi_abi: 2,
        panic: text("unwind"),
        target: text(""),
        rustc: text(""),
        profile: text(""),
    }
}

async fn act(live: &Live, act: &str) -> Result<String, Error> {
    live.call(Verb::Wait, act.to_owned()).await
}

/// Whether a process is there, and no zombie.
fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_runner_loads_opens_and_answers() {
    let place = Place::new();
    let live = place.spawn().await;
    let Probed { description, took } = live.load(&note("good"), SOON).await.unwrap();
    assert_eq!((&*description.name, &*description.version), ("good", "1.2.3"));
    assert!(description.description.ends_with("/copy.so"));
    assert!(took < SOON);
    assert!(!live.open("{}".to_owned()).await.unwrap().remote_execution);
    assert_eq!(act(&live, r#"echo:{"a":1.0}"#).await.unwrap(), r#"{"a":1.0}"#);
    assert_eq!(live.call(Verb::Health, "verb".to_owned()).await.unwrap(), "health");
    let refused = act(&live, "fail").await.unwrap_err();
    assert_eq!((refused.kind, refused.pointer.as_deref()), (ErrorKind::Denied, Some("/x")));
    let death = live.end(SOON).await;
    assert_eq!(death.how, How::Exit(0), "{death}");
    assert!(!place.run_dir().exists());
}

#[tokio::test]
async fn a_payload_of_any_length_goes_both_ways() {
    let place = Place::new();
    let live = place.open().await;
    let long = format!("echo:{}", "é".repeat(8 << 20));
    assert!(act(&live, &long).await.unwrap() == long["echo:".len()..]);
    for len in [65_511, 65_512, 65_513, 1 << 20] {
        assert_eq!(act(&live, &format!("huge:{len}")).await.unwrap().len(), len);
    }
}

#[tokio::test]
async fn a_runner_has_a_place_limits_and_an_environment_of_its_own() {
    let mut place = Place::new();
    place.limits = RunnerLimits { memory: 1 << 30, open_files: Some(100), core: false };
    place.env = vec![("ACME".into(), "1".into())];
    let live = place.open().await;
    let run_dir = place.run_dir().display().to_string();
    assert_eq!(act(&live, "cwd").await.unwrap(), run_dir);
    assert_eq!(act(&live, "env:TMPDIR").await.unwrap(), run_dir);
    assert_eq!(act(&live, "env:ACME").await.unwrap(), "1");
    assert_eq!(act(&live, "env:PATH").await.unwrap(), "", "nothing that it was not given");
    assert_eq!(act(&live, "stdin").await.unwrap(), "");
    let limits: SoftLimits = serde_json::from_str(&act(&live, "limits").await.unwrap()).unwrap();
    let wanted = SoftLimits { data: Some(1 << 30), open_files: Some(100), core: Some(0) };
    assert_eq!(limits, wanted);
    let stat = fs::read_to_string(format!("/proc/{}/stat", live.pid())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_eq!(fields[2], live.pid().to_string(), "it leads a process group");
    let arguments = fs::read_to_string(format!("/proc/{}/cmdline", live.pid())).unwrap();
    assert_eq!(arguments, "longshore-runner[x]\0__runner\0");
    let mode = fs::metadata(place.run_dir()).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700);
}

#[tokio::test]
async fn a_death_fails_every_call_that_it_knew_and_refuses_the_next() {
    let place = Place::new();
    for (how, deadly) in [
        (How::Exit(42), "exit"),
        (How::Signal(libc::SIGABRT), "abort"),
        (How::Signal(libc::SIGSEGV), "segv"),
        (How::Signal(libc::SIGKILL), "kill"),
    ] {
        let live = place.open().await;
        act(&live, "print:on my way").await.unwrap();
        let (waiting, killing) = tokio::join!(act(&live, "hang"), act(&live, deadly));
        for error in [waiting.unwrap_err(), killing.unwrap_err()] {
            assert_eq!(error.kind, ErrorKind::Crashed);
            assert!(error.message.ends_with("; it last said: on my way"), "{error}");
        }
        let death = live.died().await;
        assert_eq!(death.how, how);
        assert_eq!(act(&live, "echo:x").await.unwrap_err().kind, ErrorKind::Refused);
        until("the directory is removed", || !place.run_dir().exists()).await;
    }
}

#[tokio::test]
async fn what_its_children_are_ends_with_it() {
    let place = Place::new();
    for end in ["segv", "watchdog", "drop", "end"] {
        let live = place.open().await;
        let (child, own) = (act(&live, "sleep").await.unwrap(), live.pid().to_string());
        assert!(lives(&child) && lives(&own));
        match end {
            "watchdog" => {
                live.kill(Why::Overran(Verb::Health));
                let death = live.died().await;
                assert_eq!(death.how, How::Killed(Why::Overran(Verb::Health)));
            }
            "drop" => drop(live),
            "end" => assert_eq!(live.end(SOON).await.how, How::Exit(0)),
            deadly => drop(act(&live, deadly).await.unwrap_err()),
        }
        until("both are gone", || !lives(&child) && !lives(&own)).await;
    }
}

#[tokio::test]
async fn a_runner_that_has_left_its_group_is_killed_all_the_same() {
    let place = Place::new();
    let live = place.open().await;
    assert_eq!(act(&live, "astray").await.unwrap(), "0");
    live.kill(Why::Overran(Verb::Health));
    let death = live.died().await;
    assert_eq!(death.how, How::Killed(Why::Overran(Verb::Health)));
    assert!(!lives(&live.pid().to_string()), "its death is known");
}

#[tokio::test]
async fn a_call_that_nobody_wants_any_more_is_dropped_there() {
    let place = Place::new();
    let live = place.open().await;
    for _ in 0..3 {
        tokio::select! {
            // Sent in this order.
            biased;
            answer = act(&live, "hang") => panic!("{answer:?}"),
            // Answered after the other one has been taken.
            answer = act(&live, "echo:x") => assert_eq!(answer.unwrap(), "x"),
        }
    }
    until("three are dropped", || {
        place.ear.lines().iter().filter(|line| line.contains("the call was dropped")).count() == 3
    })
    .await;
    assert_eq!(act(&live, "echo:y").await.unwrap(), "y");
}

#[tokio::test]
async fn what_makes_no_sense_ends_its_runner() {
    let place = Place::new();
    let live = place.open().await;
    assert_eq!(act(&live, "junk").await.unwrap_err().kind, ErrorKind::Crashed);
    let death = live.died().await;
    assert_eq!(death.how, How::Protocol("a packet of 5 bytes".to_owned()));
    let live = place.open().await;
    assert_eq!(act(&live, "close").await.unwrap_err().kind, ErrorKind::Crashed);
    let death = live.died().await;
    assert!(matches!(&death.how, How::Protocol(why) if why.contains("lives on")), "{death}");
}

#[tokio::test]
async fn a_library_that_ends_hangs_or_is_refused_is_named() {
    let place = Place::new();
    let load = async |name, deadline| {
        let live = place.spawn().await;
        let problem: PluginProblem = match live.load(&note(name), deadline).await {
            Ok(_) => panic!("`{name}` is loaded"),
            Err(problem) => problem,
        };
        (problem.code, problem.message)
    };
    let (code, message) = load("abort", SOON).await;
    assert_eq!(code, Code::Crashed);
    assert!(message.starts_with("its process died of SIGABRT after "), "{message}");
    let (code, message) = load("hang", Duration::from_millis(50)).await;
    assert_eq!((code, &*message), (Code::Hung, "loading did not return within 50ms"));
    assert_eq!(load("refused", SOON).await, (Code::Layout, "another layout".to_owned()));
    assert_eq!(load("panic", SOON).await.0, Code::Load);
}

#[tokio::test]
async fn what_a_plugin_says_of_itself_is_not_believed() {
    let place = Place::new();
    let live = place.spawn().await;
    live.load(&note("good"), SOON).await.unwrap_or_else(|e| panic!("{e}"));
    let open = async |request: &str| live.open(request.to_owned()).await.unwrap_err();
    let bad = open("bad").await;
    assert_eq!((bad.kind, bad.pointer.as_deref()), (ErrorKind::InvalidConfig, Some("/place")));
    assert_eq!(open("crashed").await.kind, ErrorKind::Internal);
    assert_eq!(act(&live, "echo:x").await.unwrap_err().kind, ErrorKind::Internal, "none is open");
}

#[tokio::test]
async fn a_flood_of_records_loses_some_says_so_and_holds_up_nobody() {
    let place = Place::new();
    let live = place.open().await;
    act(&live, "log:20000").await.unwrap();
    assert_eq!(act(&live, "echo:x").await.unwrap(), "x");
    act(&live, "progress:20000").await.unwrap();
    let told = |ear: &Ear| ear.lines().into_iter().rfind(|line| line.starts_with("tell"));
    until("the latest progress", || told(&place.ear).is_some_and(|told| told.contains("19999")))
        .await;
    live.end(SOON).await;
    place.until_heard("things more than could be kept").await;
    let records = place.ear.lines().iter().filter(|line| line.contains("record")).count();
    assert!(records < 5000, "{records} of 20000");
}

#[tokio::test]
async fn output_without_end_blocks_nobody_and_its_last_is_kept() {
    let place = Place::new();
    let live = place.open().await;
    act(&live, "flood:50000").await.unwrap();
    act(&live, "print:memory allocation of 7 bytes failed").await.unwrap();
    act(&live, "exit").await.unwrap_err();
    let death = live.died().await;
    assert!(death.tail.len() <= 64 << 10);
    assert!(death.to_string().ends_with("it last said: memory allocation of 7 bytes failed"));
}

#[tokio::test]
async fn what_a_thread_of_the_plugin_says_is_heard_until_the_end_and_refused_after_a_stop() {
    let place = Place::new();
    let live = place.open().await;
    act(&live, "later").await.unwrap();
    place.until_heard("from a thread").await;
    live.call(Verb::Stop, "echo:null".to_owned()).await.unwrap();
    let late = act(&live, "progress:1").await.unwrap_err();
    assert_eq!(late.kind, ErrorKind::Cancelled);
    act(&live, "log:1").await.unwrap();
    live.end(SOON).await;
    assert!(place.ear.heard("record 0"), "what was said before the end is heard");
}

/// Tests that are their own hosts: this one, started with this, has a runner and waits to be killed.
const AS_HOST: &str = "RUNNER_TEST_HOST";

/// Such a host, and the processes that it says it has.
fn host<const N: usize>(test: &str, how: impl AsRef<OsStr>) -> (std::process::Child, [String; N]) {
    let mut host = std::process::Command::new(std::env::current_exe().unwrap())
        .args([&format!("plugin::runner::tests::{test}"), "--exact", "--nocapture"])
        .env(AS_HOST, how)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let mut pids = lines
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("process=").map(|(_, pid)| pid.to_owned()));
    let pids = [(); N].map(|()| pids.next().expect("it says whom it has"));
    assert!(pids.iter().all(|pid| lives(pid)));
    (host, pids)
}

fn kill_host(mut host: std::process::Child) {
    host.kill().unwrap();
    host.wait().unwrap();
}

#[tokio::test]
async fn a_killed_host_leaves_no_runner_not_even_one_that_is_stopped() {
    if let Some(how) = std::env::var_os(AS_HOST) {
        let place = Place::new();
        let live = place.open().await;
        if how == "stopped" {
            let pid = rustix::process::Pid::from_raw(live.pid() as i32).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        }
        println!("process={}", live.pid());
        return std::future::pending().await;
    }
    for how in ["running", "stopped"] {
        let test = "a_killed_host_leaves_no_runner_not_even_one_that_is_stopped";
        let (host, [pid]) = host(test, how);
        kill_host(host);
        until("the runner ends", || !lives(&pid)).await;
    }
}

#[tokio::test]
async fn what_outlives_a_killed_host_in_a_runners_group_is_ended_by_the_next_host() {
    if let Some(dir) = std::env::var_os(AS_HOST) {
        let place = Place { dir: TempDir::new_in(dir).unwrap(), ..Place::new() };
        let live = place.open().await;
        println!("process={}", live.pid());
        for act in ["sleep", "leave"] {
            println!("process={}", self::act(&live, act).await.unwrap());
        }
        return std::future::pending().await;
    }
    let dir = tempfile::tempdir().unwrap();
    let test = "what_outlives_a_killed_host_in_a_runners_group_is_ended_by_the_next_host";
    let (host, [runner, stayed, left]) = host(test, dir.path());
    kill_host(host);
    until("the runner ends", || !lives(&runner)).await;
    assert!(lives(&stayed), "the kernel ends only the runner");
    let state = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    sweep(&state.join("runners"));
    assert!(!lives(&stayed));
    assert!(lives(&left), "it is not the runner's any more");
    let left = rustix::process::Pid::from_raw(left.parse().unwrap()).unwrap();
    rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn what_is_no_runner_is_refused() {
    let place = Place::new();
    let problem = async |program: &str| {
        let order = Order {
            executor: "x",
            copy: &place.dir.path().join("copy.so"),
            env: Vec::new(),
            limits: RunnerLimits::default(),
            run_dir: place.run_dir(),
        };
        Live::spawn(&Program::at(program), &order, Arc::new(place.ear.clone())).await.unwrap_err()
    };
    let missing = problem("/nonexistent/longshore").await;
    assert_eq!(missing.code, Code::Runner);
    assert!(missing.message.contains("`/nonexistent/longshore`"), "{missing}");
    let other = problem("/bin/true").await;
    assert_eq!(other.code, Code::Runner);
    assert!(other.message.contains("exited with 0"), "{other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_are_not_mixed_up() {
    let place = Place::new();
    let live = place.open().await;
    let tasks = (0..64).map(|task| {
        let live = Arc::clone(&live);
        tokio::spawn(async move {
            for n in 0..50 {
                let text = format!("{task}/{n}");
                assert_eq!(act(&live, &format!("echo:{text}")).await.unwrap(), text);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[test]
fn a_runner_outlives_the_thread_that_asked_for_it() {
    let place = Arc::new(Place::new());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let asked = {
        let (place, handle) = (Arc::clone(&place), runtime.handle().clone());
        std::thread::spawn(move || handle.block_on(place.open()))
    };
    let live = asked.join().unwrap();
    assert_eq!(runtime.block_on(act(&live, "echo:x")).unwrap(), "x");
    runtime.block_on(live.end(SOON));
}
