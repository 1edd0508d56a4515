//! A plugin without a library, which does what its payload says.
#![expect(unsafe_code, reason = "it breaks what safe code cannot")]

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, abort},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use longshore_plugin_api::{
    Error, ErrorKind, Facts,
    abi::HostApiBox,
    note::Note,
    wire::{Description, Verb, tell},
};
use serde_json::json;

use super::source::Source;
use crate::plugin::problem::{Code, PluginProblem};

#[derive(Default)]
pub(in crate::plugin::runner) struct Fake;

/// The process of this test program as a runner.
pub(in crate::plugin::runner) fn run() -> i32 {
    super::run(Arc::new(Fake))
}

pub(in crate::plugin::runner) struct Executor(Arc<Mutex<HostApiBox>>);

impl Source for Fake {
    type Executor = Executor;
    type Text = String;

    fn load(&self, copy: &Path, note: &Note<'_>) -> Result<Description, PluginProblem> {
        match &*note.name {
            "abort" => abort(),
            "hang" => loop {
                thread::park();
            },
            "panic" => panic!("while it is loaded"),
            "refused" => Err(PluginProblem::new(Code::Layout, "another layout")),
            name => Ok(Description {
                name: name.to_owned(),
                version: note.version.to_string(),
                vendor: String::new(),
                description: copy.display().to_string(),
                api: note.api.to_string(),
                config_schema: json!({}),
                options_schema: None,
            }),
        }
    }

    fn open(&self, host: HostApiBox, request: String) -> Result<(Executor, Facts), Error> {
        match &*request {
            "bad" => Err(Error::invalid_config("no such place").at("/place")),
            "crashed" => Err(Error::new(ErrorKind::Crashed, "says it of itself")),
            _ => Ok((Executor(Arc::new(Mutex::new(host))), Facts::default())),
        }
    }

    async fn call(executor: &Executor, verb: Verb, payload: String) -> Result<String, Error> {
        let (act, rest) = payload.split_once(':').unwrap_or((&payload, ""));
        let count = || rest.parse::<usize>().expect("a number");
        match act {
            "echo" => Ok(rest.to_owned()),
            "verb" => Ok(verb.name().to_owned()),
            "huge" => Ok("x".repeat(count())),
            "fail" => Err(Error::denied("no").at("/x")),
            "hang" => {
                struct Told<'a>(&'a Executor);
                impl Drop for Told<'_> {
                    fn drop(&mut self) {
                        self.0.log("the call was dropped");
                    }
                }
                let _told = Told(executor);
                std::future::pending().await
            }
            "log" => {
                (0..count()).for_each(|n| executor.log(&format!("record {n}")));
                Ok("null".to_owned())
            }
            "progress" => {
                (0..count()).try_for_each(|n| executor.progress(rest, n))?;
                Ok("null".to_owned())
            }
            "later" => {
                let host = Arc::clone(&executor.0);
                thread::spawn(move || Executor(host).log("from a thread"));
                Ok("null".to_owned())
            }
            "print" => {
                let text = format!("{rest}\n");
                std::io::stderr().write_all(text.as_bytes()).expect("somebody reads");
                Ok("null".to_owned())
            }
            "flood" => {
                let line = "y".repeat(1023) + "\n";
                for _ in 0..count() {
                    std::io::stderr().write_all(line.as_bytes()).expect("somebody reads");
                }
                Ok("null".to_owned())
            }
            "sleep" => {
                let sleep = Command::new("sleep").arg("600").spawn();
                Ok(sleep.expect("there is a `sleep`").id().to_string())
            }
            "leave" => {
                let sleep = Command::new("sleep").arg("600").process_group(0).spawn();
                Ok(sleep.expect("there is a `sleep`").id().to_string())
            }
            "astray" => {
                // SAFETY: numbers in, a number out.
                let moved = unsafe { libc::setpgid(0, libc::getpgid(libc::getppid())) };
                Ok(moved.to_string())
            }
            "env" => Ok(std::env::var(rest).unwrap_or_default()),
            "cwd" => Ok(std::env::current_dir().expect("there is one").display().to_string()),
            "limits" => Ok(serde_json::to_string(&super::inherited()).expect("numbers")),
            "stdin" => Ok(std::io::read_to_string(std::io::stdin()).expect("it is /dev/null")),
            "abort" => abort(),
            // SAFETY: ends the process.
            "exit" => unsafe { libc::_exit(42) },
            // Not raised: the standard library's handler waits for the fault to come again.
            // SAFETY: none; the fault is what is wanted.
            "segv" => unsafe {
                std::ptr::without_provenance_mut::<u8>(8).write_volatile(0);
                Ok("null".to_owned())
            },
            "kill" => {
                // SAFETY: signals itself.
                unsafe { libc::raise(libc::SIGKILL) };
                Ok("null".to_owned())
            }
            "junk" => {
                for fd in 3..64 {
                    // SAFETY: reads a text; most are no sockets.
                    unsafe { libc::send(fd, c"hello".as_ptr().cast(), 5, libc::MSG_NOSIGNAL) };
                }
                std::future::pending().await
            }
            "close" => {
                // SAFETY: what happens then is what is looked at.
                unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
                loop {
                    thread::park();
                }
            }
            other => panic!("there is no act `{other}`"),
        }
    }
}

impl Executor {
    fn log(&self, message: &str) {
        let host = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        host.log(3, "fake".into(), message.into(), "".into());
    }

    fn progress(&self, tag: &str, n: usize) -> Result<(), Error> {
        let payload = json!({"attempt_tag": tag, "progress": {"message": n.to_string()}});
        let host = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = host.tell(tell::PROGRESS.into(), payload.to_string().as_str().into());
        told.into_result().map(drop).map_err(Error::from)
    }
}
