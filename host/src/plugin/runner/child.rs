//! The runner: a process that has loaded one plugin and does what the host asks of it.

mod calls;
#[cfg(test)]
pub(super) mod fake;
mod limits;
mod outbox;
mod settle;
mod source;

use std::{path::Path, sync::Arc};

pub(in crate::plugin) use self::limits::inherited;
use self::source::{Library, Source};
use super::{
    channel::{self, Channel},
    frame::{Kind, Violation},
    message::{BUILD, Hello, PROTOCOL, Welcome},
};

/// The command line or the socket is not a host's.
const USAGE: i32 = 2;
/// The host and this process do not understand each other (`EX_PROTOCOL`).
const MISUNDERSTOOD: i32 = 76;
/// Something that a process needs is not to be had (`EX_OSERR`).
const SYSTEM: i32 = 71;

/// `longshore __runner`. Answers with the exit code, when the host has closed its end. The caller leaves
/// by `_exit`: the plugin's threads are still running.
pub(crate) fn child() -> i32 {
    run(Arc::new(Library::default()))
}

fn run(source: Arc<impl Source>) -> i32 {
    let socket = match settle::settle() {
        Ok(Some(socket)) => socket,
        Ok(None) => {
            say("this is how the host starts plugins; see `longshore plugin --help`");
            return USAGE;
        }
        Err(error) => return cannot("settle", &error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cannot("start a runtime", &error),
    };
    let _entered = runtime.enter();
    // Replaced by what the host says, which is not known yet; a greeting is short.
    let channel = match Channel::new(socket, std::env::temp_dir()) {
        Ok(channel) => channel,
        Err(error) => return cannot("use its socket", &error),
    };
    let ended = runtime.block_on(async {
        let Some(welcome) = greet(&channel).await? else { return Ok(()) };
        if let Err(error) = limits::apply(&welcome.limits) {
            say(&format!("cannot set its limits: {error}"));
        }
        enter(&welcome.run_dir);
        calls::serve(source, Arc::new(channel)).await
    });
    let code = match ended {
        Ok(()) => 0,
        Err(Violation(why)) => {
            say(&format!("the host sends {why}"));
            MISUNDERSTOOD
        }
    };
    // The plugin's threads may hold what a runtime waits for when it is dropped.
    runtime.shutdown_background();
    code
}

/// Exchanges greetings. Nothing where the host has gone, or will.
async fn greet(channel: &Channel) -> Result<Option<Welcome>, Violation> {
    let Some(frame) = channel.receive(&mut channel::packet()).await? else { return Ok(None) };
    if frame.kind != Kind::Hello {
        return Err(Violation(format!("a {:?} before its greeting", frame.kind)));
    }
    let welcome: Welcome = serde_json::from_str(&frame.payload)
        .map_err(|e| Violation(format!("a greeting that does not parse: {e}")))?;
    // Always the own version: the host compares, and can say it to somebody.
    let hello = Hello { protocol: PROTOCOL, build: BUILD.to_owned(), pid: std::process::id() };
    let hello = serde_json::to_string(&hello).expect("numbers and text are JSON");
    // A host that has gone is seen by the next frame.
    let _ = channel.send(Kind::Hello, 0, None, &hello);
    Ok(Some(welcome))
}

/// Goes where a plugin may leave files. Elsewhere it works as well.
fn enter(run_dir: &Path) {
    if let Err(error) = std::env::set_current_dir(run_dir) {
        say(&format!("cannot enter `{}`: {error}", run_dir.display()));
    }
}

fn cannot(step: &str, error: &std::io::Error) -> i32 {
    say(&format!("the runner cannot {step}: {error}"));
    SYSTEM
}

/// To whoever drains our standard error.
fn say(text: &str) {
    use std::io::Write as _;
    // Nobody may be left to read it, and `eprintln` would panic.
    let _ = writeln!(std::io::stderr(), "{text}");
}
