//! `longshore jobs watch` where somebody looks at it, and where nobody does.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use longshore_tests::{TestHost, host::lossy, setup, wait::PATIENCE, wait_until};
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::json;

/// Takes each step when it is told to.
const STEPS_PY: &str = r#"
import os
import time

from longshore import job, report_progress


@job(name="steps")
def steps(go: str) -> str:
    for step in (10, 30):
        report_progress("busy", phase="walk", completed=step, total=40, unit="steps")
        while not os.path.exists(f"{go}-{step}"):
            time.sleep(0.02)
    return "there"
"#;

/// A host and a job of it that waits at its first step.
fn walking() -> (TestHost, String) {
    let host = setup("[python]\nmodules = [\"steps\"]").file("steps.py", STEPS_PY).start();
    let id = host.client().submit("steps", json!({ "go": host.path("go") }));
    (host, id)
}

fn go_on(host: &TestHost, step: u32) {
    fs::write(host.path(&format!("go-{step}")), "").unwrap();
}

/// A command on a terminal of its own, which is 100 columns wide.
struct Terminal {
    keyboard: File,
    command: Child,
    screen: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Terminal {
    fn run(command: &Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&ours, size).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = || open(&*name, flags, Mode::empty()).unwrap();
        // The session's own terminal: its keys are signals, also where these tests run in a background
        // that ignores them.
        let mut session = Command::new("env");
        session
            .args(["--default-signal=INT", "setsid", "--ctty"])
            .arg(command.get_program())
            .args(command.get_args());
        session.current_dir(command.get_current_dir().unwrap()).env("TERM", "xterm");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        let child = session.stdin(theirs()).stdout(theirs()).stderr(theirs()).spawn().unwrap();
        // With it go this process's ends of their side: what is read ends when they have.
        drop(session);

        let screen = Arc::<Mutex<String>>::default();
        let keyboard = File::from(ours);
        let (mut output, shown) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        let reading = thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal that nobody has open any more is an error, not an end.
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().push_str(&lossy(&bytes[..read]));
            }
        });
        Self { keyboard, command: child, screen, reading }
    }

    /// Waits until all of these have been written.
    #[track_caller]
    fn shows(&self, texts: &[&str]) {
        wait_until(&format!("the terminal shows {texts:?}"), PATIENCE, || {
            let screen = self.screen.lock().unwrap();
            texts.iter().all(|text| screen.contains(text)).then_some(())
        });
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Everything that has been written, and how the command has ended.
    fn end(mut self) -> (String, std::process::ExitStatus) {
        let status = wait_until("the command has ended", PATIENCE, || {
            self.command.try_wait().expect("a child can be waited for")
        });
        self.reading.join().unwrap();
        (Arc::into_inner(self.screen).unwrap().into_inner().unwrap(), status)
    }
}

#[test]
fn on_a_terminal_a_bar_moves_in_its_place_and_goes_when_the_job_has_ended() {
    let (host, id) = walking();
    let terminal = Terminal::run(&host.longshore(&["jobs", "watch", &id]));
    terminal.shows(&["[=======>  ", "] 10/40 steps  walk  busy"]);
    go_on(&host, 10);
    terminal.shows(&["[======================>  ", "] 30/40 steps  walk  busy"]);
    go_on(&host, 30);
    let (screen, status) = terminal.end();
    assert!(status.success(), "{status}: {screen}");
    let (bars, ending) = screen.split_once('\n').unwrap();
    assert!(bars.contains("RUNNING") && bars.contains("30/40"), "one line for all: {screen:?}");
    let (_, after) = bars.rsplit_once("30/40").unwrap();
    assert!(after.contains("\x1b[2K"), "the bar is taken away: {after:?}");
    assert!(after.contains(&format!("job {id} SUCCEEDED after ")), "{after:?}");
    assert_eq!(ending, "", "{screen:?}");
    host.finish();
}

#[test]
fn ctrl_c_ends_the_watching_and_not_the_job() {
    let (host, id) = walking();
    let mut terminal = Terminal::run(&host.longshore(&["jobs", "watch", &id]));
    terminal.shows(&["10/40"]);
    terminal.types("\x03");
    let (screen, status) = terminal.end();
    assert_eq!(status.signal(), Some(2), "as every program that is interrupted: {screen:?}");
    let client = host.client();
    assert_eq!(client.job(&id)["status"], "RUNNING");
    go_on(&host, 10);
    go_on(&host, 30);
    client.until(&id, "SUCCEEDED");
    host.finish();
}

#[test]
fn without_a_terminal_each_change_is_a_line() {
    let (host, id) = walking();
    wait_until("the job is at its first step", PATIENCE, || {
        (host.client().job(&id)["progress"]["completed"] == 10).then_some(())
    });
    let log = host.path("watched");
    let file = File::create(&log).unwrap();
    let mut watching = host.longshore(&["jobs", "watch", &id]).stderr(file).spawn().unwrap();
    let line = |step: u32| format!("RUNNING walk {step}/40 steps  busy\n");
    let written = |text: &str| {
        wait_until(&format!("{text:?} has been written"), PATIENCE, || {
            (fs::read_to_string(&log).unwrap() == text).then_some(())
        });
    };
    written(&line(10));
    go_on(&host, 10);
    written(&(line(10) + &line(30)));
    go_on(&host, 30);
    assert!(watching.wait().unwrap().success());
    written(&(line(10) + &line(30)));
    host.finish();
}
