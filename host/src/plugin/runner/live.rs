//! One runner, from its start to its death.
//!
//! One task owns the process. It reads what comes from it (answers wake their callers at once), passes
//! on what it says, and waits for its end, of which there are four: the socket ends, the process ends,
//! it breaks the protocol, or somebody kills it.

use std::{borrow::Cow, path::PathBuf, sync::Arc, time::Duration};

use longshore_plugin_api::{Error, ErrorKind, Facts, wire::Verb};
use tokio::sync::{oneshot, watch};

use super::{
    Heard, Order, Probed, Program,
    channel::{self, Channel, Unsent},
    death::{Death, How, Why},
    drain::Drain,
    frame::{Frame, Kind, Violation},
    intake::Intake,
    message::{BUILD, Hello, Load, Loaded, PROTOCOL, Refusal, Welcome},
    meter::Meter,
    pending::{Pending, Reply},
    spawn::{self, Process, Spawned},
};
use crate::{
    clock::Moment,
    plugin::{
        preflight::Note,
        problem::{Code, PluginProblem},
    },
};

/// How long a runner may take for its first word.
const GREETING: Duration = Duration::from_secs(10);
/// How long its process may outlive its socket. One that ends closes it, and is gone some moments later.
const PARTING: Duration = Duration::from_secs(1);
/// How long a process may take to end that was killed.
const BURIAL: Duration = Duration::from_secs(5);

/// A runner. Dies when it is dropped.
pub(in crate::plugin) struct Live {
    shared: Arc<Shared>,
    pid: u32,
    copy: PathBuf,
}

struct Shared {
    channel: Channel,
    pending: Pending,
    intake: Intake,
    killed: watch::Sender<Option<Why>>,
    state: watch::Sender<State>,
}

#[derive(Clone, Default)]
struct State {
    death: Option<Arc<Death>>,
    /// Whether its directory is gone, too.
    swept: bool,
}

/// Why there is nothing more to read.
enum End {
    /// Its socket is closed.
    Socket,
    /// Its process has ended.
    Process,
    Violation(Violation),
    Killed(Why),
}

impl Live {
    /// Starts a runner and exchanges greetings.
    ///
    /// # Errors
    ///
    /// `E_RUNNER` if it does not start, `E_PROTOCOL` if it is another build.
    pub(in crate::plugin) async fn spawn(
        program: &Program,
        order: &Order<'_>,
        heard: Arc<dyn Heard>,
    ) -> Result<Arc<Self>, PluginProblem> {
        let refuse = |why: String| PluginProblem::new(Code::Runner, why);
        let cannot = |e: std::io::Error| refuse(format!("cannot talk to a plugin's process: {e}"));
        let spawned = spawn::spawn(program, order).await;
        let Spawned { process, socket, output } =
            spawned.map_err(|e| refuse(format!("a plugin's process does not start: {e}")))?;
        let pid = process.id();
        let shared = Arc::new(Shared {
            channel: Channel::new(socket, order.run_dir.clone()).map_err(cannot)?,
            pending: Pending::default(),
            intake: Intake::default(),
            killed: watch::Sender::new(None),
            state: watch::Sender::new(State::default()),
        });
        let (greet, greeted) = oneshot::channel();
        let life = Life {
            shared: Arc::clone(&shared),
            process,
            drain: Drain::new(output.into()).map_err(cannot)?,
            heard,
            since: Moment::now(),
        };
        tokio::spawn(life.run(greet));
        let live = Arc::new(Self { shared, pid, copy: order.copy.to_owned() });
        live.greet(order, greeted).await?;
        Ok(live)
    }

    async fn greet(
        &self,
        order: &Order<'_>,
        greeted: oneshot::Receiver<String>,
    ) -> Result<(), PluginProblem> {
        let welcome = Welcome {
            protocols: vec![PROTOCOL],
            build: BUILD.to_owned(),
            limits: order.limits,
            run_dir: order.run_dir.clone(),
        };
        let died = |death: &Death| {
            PluginProblem::new(
                Code::Runner,
                format!("a process for the plugin does not start: it {death}"),
            )
        };
        let welcome = serde_json::to_string(&welcome).map_err(|e| {
            PluginProblem::new(Code::Runner, format!("its greeting is no JSON: {e}"))
        })?;
        // Where it has died already, the end says why.
        let _ = self.shared.channel.send(Kind::Hello, 0, None, &welcome);
        let hello = match tokio::time::timeout(GREETING, greeted).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(_)) => return Err(died(&*self.died().await)),
            Err(_) => {
                self.kill(Why::NeverReady);
                return Err(died(&*self.died().await));
            }
        };
        let known: Result<Hello, _> = serde_json::from_str(&hello);
        match known {
            Ok(hello) if hello.protocol == PROTOCOL && hello.build == BUILD => Ok(()),
            other => {
                self.kill(Why::Abandoned);
                let theirs = other.map_or_else(
                    |e| format!("says what makes no sense: {e}"),
                    |hello| format!("is {} with protocol {}", hello.build, hello.protocol),
                );
                Err(PluginProblem::new(
                    Code::Protocol,
                    format!(
                        "this host is {BUILD} with protocol {PROTOCOL}, and what it starts for plugins \
                         {theirs}; both have to be one program"
                    ),
                ))
            }
        }
    }

    /// Loads a library, within a deadline, after which the runner is killed.
    ///
    /// # Errors
    ///
    /// What the loader says; `E_CRASHED` and `E_HUNG` of the library's own code.
    pub(in crate::plugin) async fn load(
        &self,
        note: &Note,
        deadline: Duration,
    ) -> Result<Probed, PluginProblem> {
        let load = Load { copy: self.copy.clone(), note: Cow::Borrowed(note) };
        let load = serde_json::to_string(&load)
            .map_err(|e| PluginProblem::new(Code::Runner, format!("its path is no JSON: {e}")))?;
        let asked = tokio::time::timeout(deadline, self.ask(Kind::Load, None, &load));
        let reply = match asked.await {
            Ok(Ok(reply)) => reply,
            Ok(Err(NoReply::Dead(death) | NoReply::Refused(death))) => {
                let message = format!("its process {death}, while it was loaded");
                return Err(PluginProblem::new(death.code(), message));
            }
            Ok(Err(NoReply::Unsent(e))) => return Err(PluginProblem::new(Code::Runner, e.message)),
            Err(_) => {
                self.kill(Why::NeverReady);
                let message = format!("loading did not return within {deadline:?}");
                return Err(PluginProblem::new(Code::Hung, message));
            }
        };
        let nonsense = |e| {
            PluginProblem::new(
                Code::Protocol,
                format!("its process answers what makes no sense: {e}"),
            )
        };
        match reply {
            Ok(loaded) => {
                let Loaded { description, took } =
                    serde_json::from_str(&loaded).map_err(nonsense)?;
                Ok(Probed { description, took })
            }
            Err(refusal) => {
                let refusal: Refusal = serde_json::from_str(&refusal).map_err(nonsense)?;
                Err(refusal.into())
            }
        }
    }

    /// Makes an executor of what has been loaded. No deadline.
    pub(in crate::plugin) async fn open(&self, request: String) -> Result<Facts, Error> {
        let facts = self.answer(Kind::Open, None, request).await?;
        serde_json::from_str(&facts).map_err(|e| {
            let message = format!("the plugin does not say what it is: {e}");
            Error::new(ErrorKind::Protocol, message)
        })
    }

    /// Asks the executor. No deadline. Dropping this abandons the call there, too.
    ///
    /// # Errors
    ///
    /// What the plugin says. `Refused`: nothing was sent. `Crashed` or `Hung`: the runner died, and what
    /// has come of the call is unknown.
    pub(in crate::plugin) async fn call(
        &self,
        verb: Verb,
        payload: String,
    ) -> Result<String, Error> {
        self.answer(Kind::Call, Some(verb), payload).await
    }

    async fn answer(
        &self,
        kind: Kind,
        verb: Option<Verb>,
        payload: String,
    ) -> Result<String, Error> {
        match self.ask(kind, verb, &payload).await {
            Ok(reply) => reply.map_err(|failure| plugins_own(&failure)),
            Err(NoReply::Dead(death)) => Err(death.of_a_call()),
            Err(NoReply::Refused(death)) => {
                let message = format!("nothing was asked of the plugin, whose process {death}");
                Err(Error::new(ErrorKind::Refused, message))
            }
            Err(NoReply::Unsent(error)) => Err(error),
        }
    }

    async fn ask(&self, kind: Kind, verb: Option<Verb>, payload: &str) -> Result<Reply, NoReply> {
        let shared = &*self.shared;
        let Some((id, answered)) = shared.pending.enter() else {
            return Err(NoReply::Refused(self.died().await));
        };
        if let Err(unsent) = shared.channel.send(kind, id, verb, payload) {
            shared.pending.forget(id);
            return Err(match unsent {
                Unsent::Gone => NoReply::Refused(self.died().await),
                Unsent::TooLong(_) => {
                    NoReply::Unsent(Error::invalid_job(format!("it cannot be sent: {unsent}")))
                }
                Unsent::Refused(_) => {
                    let message = format!("the plugin's process cannot be asked now: {unsent}");
                    NoReply::Unsent(Error::new(ErrorKind::Refused, message))
                }
            });
        }
        let mut open = OpenCall { shared, id, answered: false };
        let reply = answered.await;
        open.answered = true;
        drop(open);
        match reply {
            Ok(reply) => Ok(reply),
            Err(_) => {
                let death = self.died().await;
                // Then the runner has never seen it.
                let unseen = shared.channel.take_back(id);
                Err(if unseen { NoReply::Refused(death) } else { NoReply::Dead(death) })
            }
        }
    }

    /// The leader of its process group.
    pub(in crate::plugin) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it died, once it has.
    pub(in crate::plugin) async fn died(&self) -> Arc<Death> {
        let mut state = self.shared.state.subscribe();
        let died = state.wait_for(|state| state.death.is_some()).await;
        // The sender is ours.
        died.ok().and_then(|state| state.death.clone()).expect("waited for")
    }

    /// Closes our end, which ends it; kills it after `grace`. Its executor has been stopped before.
    pub(in crate::plugin) async fn end(&self, grace: Duration) -> Arc<Death> {
        self.shared.channel.close();
        let mut state = self.shared.state.subscribe();
        if tokio::time::timeout(grace, self.died()).await.is_err() {
            self.kill(Why::Lingered);
        }
        let death = self.died().await;
        // As above.
        let _ = state.wait_for(|state| state.swept).await;
        death
    }

    /// Kills it and its process group. Returns at once.
    pub(in crate::plugin) fn kill(&self, why: Why) {
        // The first reason is the one.
        self.shared.killed.send_if_modified(|killed| {
            let first = killed.is_none();
            killed.get_or_insert(why);
            first
        });
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.kill(Why::Abandoned);
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({})", self.pid)
    }
}

/// Why there is no reply to a call.
enum NoReply {
    /// The runner died. What has come of the call is unknown.
    Dead(Arc<Death>),
    /// It had died before.
    Refused(Arc<Death>),
    /// It lives, and the call was not sent.
    Unsent(Error),
}

/// A call that has been sent.
struct OpenCall<'a> {
    shared: &'a Shared,
    id: u64,
    answered: bool,
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        let Self { shared, id, answered } = *self;
        if answered || !shared.pending.drop(id) {
            return;
        }
        if shared.channel.take_back(id) {
            shared.pending.forget(id);
        } else {
            // One that is dying drops everything.
            let _ = shared.channel.send(Kind::Drop, id, None, "");
        }
    }
}

/// What an error in another process may say of itself: that it crashed or hangs is seen from here.
fn plugins_own(failure: &str) -> Error {
    let error: Error = match serde_json::from_str(failure) {
        Ok(error) => error,
        Err(e) => {
            let message = format!("the plugin's process fails with what makes no sense: {e}");
            return Error::new(ErrorKind::Protocol, message);
        }
    };
    match error.kind {
        // The runner's own word, about the plugin's.
        ErrorKind::Protocol => error,
        kind if kind.is_hosts() => Error { kind: ErrorKind::Internal, ..error },
        _ => error,
    }
}

/// What watches a runner.
struct Life {
    shared: Arc<Shared>,
    process: Process,
    drain: Drain,
    heard: Arc<dyn Heard>,
    since: Moment,
}

impl Life {
    async fn run(self, greet: oneshot::Sender<String>) {
        let Self { shared, process, mut drain, heard, since } = self;
        let (heard, meter) = (&*heard, Meter::new(since));
        let mut killed = shared.killed.subscribe();
        let mut reader = Reader { shared: &shared, packet: channel::packet(), greet: Some(greet) };
        let end = tokio::select! {
            end = reader.read() => end,
            () = process.ended() => End::Process,
            // The sender is ours.
            why = killed.wait_for(Option::is_some) => {
                End::Killed(why.ok().and_then(|why| *why).unwrap_or(Why::Abandoned))
            }
            _ = shared.channel.pump() => End::Socket,
            never = shared.intake.run(&shared.channel, &meter, heard) => match never {},
            never = drain.run(&meter, heard) => match never {},
            never = meter.tell(heard) => match never {},
        };
        // What it said before its end is heard; from one that talks nonsense nothing more is.
        if !matches!(end, End::Violation(_)) {
            reader.rest();
        }
        let ours = match end {
            End::Violation(Violation(why)) => Some(How::Protocol(why)),
            End::Killed(why) => Some(How::Killed(why)),
            End::Process => None,
            End::Socket => match tokio::time::timeout(PARTING, process.ended()).await {
                Ok(()) => None,
                Err(_) => Some(How::Protocol("the end of its socket, and lives on".to_owned())),
            },
        };
        let (status, place) = process.bury(BURIAL).await;
        let tail = drain.finish(&meter, heard);
        shared.intake.finish(&meter, heard);
        meter.tell_now(heard);
        let death = Death { how: ours.unwrap_or(status), tail, uptime: since.elapsed() };
        // Before the calls are let go: each of them asks how it died.
        shared.state.send_modify(|state| state.death = Some(Arc::new(death)));
        shared.pending.close();
        // Nothing of the group is left that could write there. May take its time.
        let _ = tokio::task::spawn_blocking(move || drop(place)).await;
        shared.state.send_modify(|state| state.swept = true);
    }
}

struct Reader<'a> {
    shared: &'a Shared,
    packet: Vec<u8>,
    /// Until its greeting has come.
    greet: Option<oneshot::Sender<String>>,
}

impl Reader<'_> {
    async fn read(&mut self) -> End {
        loop {
            let taken = match self.shared.channel.receive(&mut self.packet).await {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) => return End::Socket,
                Err(violation) => Err(violation),
            };
            if let Err(violation) = taken {
                return End::Violation(violation);
            }
        }
    }

    /// Reads what is there already, as far as it makes sense.
    fn rest(&mut self) {
        while let Ok(Some(frame)) = self.shared.channel.receive_now(&mut self.packet) {
            if self.take(frame).is_err() {
                break;
            }
        }
    }

    fn take(&mut self, frame: Frame) -> Result<(), Violation> {
        let Frame { kind, id, .. } = frame;
        match (kind, self.greet.is_some()) {
            (Kind::Hello, true) => {
                // Nobody waits where the start has been given up.
                let _ = self.greet.take().map(|greet| greet.send(frame.payload));
                Ok(())
            }
            (Kind::Answer, false) => self.shared.pending.answer(id, Ok(frame.payload)),
            (Kind::Fail, false) => self.shared.pending.answer(id, Err(frame.payload)),
            (Kind::Log | Kind::Progress, false) => self.shared.intake.put(frame),
            _ => Err(Violation(format!("a {kind:?} to its host"))),
        }
    }
}
