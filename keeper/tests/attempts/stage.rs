//! A real nursery, and attempts in temporary directories.

use std::{
    ffi::CString,
    fs::{self, File},
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use longshore_keeper::{
    NEW_KEEPER,
    control::{Done, PACKET_BYTES, Reason, Stop},
    order,
    record::{self, Evidence, Record},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        SocketFlags, SocketType, recv, send, sendmsg, socketpair,
    },
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};
use tempfile::TempDir;

/// More than any condition here needs, less than a person waits.
const PATIENCE: Duration = Duration::from_secs(60);
const BOOT: &str = "11111111-2222-3333-4444-555555555555";

pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let pause = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    for _ in 0..PATIENCE.as_millis() / 2 {
        if let Some(value) = condition() {
            return value;
        }
        poll(&mut [], Some(&pause)).unwrap();
    }
    panic!("waited {PATIENCE:?} in vain: {what}");
}

pub(crate) fn boot_clock() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

pub(crate) struct Stage {
    pub(crate) nursery: Child,
    requests: Option<OwnedFd>,
    directory: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::under(Command::new(env!("CARGO_BIN_EXE_longshore-keeper")))
    }

    pub(crate) fn under(mut nursery: Command) -> Self {
        let (requests, theirs) = pair();
        let nursery = nursery.stdin(Stdio::from(theirs)).stdout(Stdio::null()).spawn().unwrap();
        Self { nursery, requests: Some(requests), directory: TempDir::new().unwrap() }
    }

    pub(crate) fn attempt(&self) -> Ticket<'_> {
        Ticket {
            stage: self,
            time: Duration::from_secs(600),
            grace: Duration::from_secs(60),
            stop_first: None,
            control: None,
        }
    }

    pub(crate) fn shell(&self, script: &str) -> Attempt {
        self.attempt().run(&["/bin/sh", "-c", script])
    }

    /// Asks for a keeper with what is already in its socket.
    fn request(&self, control: &OwnedFd) {
        send_with(self.requests.as_ref().unwrap(), &[NEW_KEEPER], &[control.as_fd()]);
    }

    pub(crate) fn send_nonsense(&self) {
        let requests = self.requests.as_ref().unwrap();
        send(requests, b"nonsense", SendFlags::NOSIGNAL).unwrap();
        for packet in [&b"more nonsense"[..], b"K"] {
            let (ours, theirs) = pair();
            let null = File::open("/dev/null").unwrap();
            send_with(&ours, b"an order, perhaps", &[null.as_fd(), null.as_fd()]);
            send_with(requests, packet, &[theirs.as_fd()]);
        }
    }

    /// What a dead host leaves: the socket closed.
    pub(crate) fn hang_up(&mut self) {
        self.requests = None;
    }

    pub(crate) fn kill_nursery(&mut self) {
        self.nursery.kill().unwrap();
        self.nursery.wait().unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.requests = None;
        // Returns when the last keeper is done; a test that leaves one running hangs here, loudly.
        self.nursery.wait().unwrap();
    }
}

pub(crate) struct Ticket<'a> {
    stage: &'a Stage,
    time: Duration,
    grace: Duration,
    stop_first: Option<Reason>,
    control: Option<OwnedFd>,
}

impl Ticket<'_> {
    pub(crate) fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    pub(crate) fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(crate) fn stopped_before_it_starts(mut self, reason: Reason) -> Self {
        self.stop_first = Some(reason);
        self
    }

    /// The keeper of an attempt that has ended keeps this one too.
    pub(crate) fn after(mut self, ended: Attempt) -> Self {
        self.control = ended.control;
        self
    }

    pub(crate) fn run(self, arguments: &[&str]) -> Attempt {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::tempdir_in(self.stage.directory.path()).unwrap().keep();
        let tag = format!("{}", directory.file_name().unwrap().display());
        fs::create_dir(directory.join("work")).unwrap();
        fs::write(directory.join("exit"), record::blank(BOOT)).unwrap();
        let exit_file =
            File::options().read(true).write(true).open(directory.join("exit")).unwrap();
        flock(&exit_file, FlockOperation::NonBlockingLockExclusive).unwrap();

        let strings = |list: Vec<String>| -> Vec<CString> {
            list.into_iter().map(|s| CString::new(s).unwrap()).collect()
        };
        let variables = vec![
            "PATH=/usr/local/bin:/usr/bin:/bin".to_owned(),
            format!("TAG={tag}"),
            format!("DIR={}", directory.display()),
        ];
        let packet = order::encode(
            number,
            u64::try_from((boot_clock() + self.time).as_nanos()).unwrap(),
            u64::try_from(self.grace.as_nanos()).unwrap(),
            &strings(arguments.iter().map(|&s| s.to_owned()).collect()),
            &strings(variables),
        )
        .unwrap();
        let opened = File::open(&directory).unwrap();
        let (control, theirs) = match self.control {
            Some(control) => (control, None),
            None => {
                let (ours, theirs) = pair();
                (ours, Some(theirs))
            }
        };
        send_with(&control, &packet, &[opened.as_fd(), exit_file.as_fd()]);
        let mut attempt = Attempt { directory, tag, number, control: Some(control) };
        if let Some(reason) = self.stop_first {
            attempt.stop(reason, Duration::ZERO);
        }
        // Last, so that a new keeper finds all of it when it comes.
        if let Some(theirs) = theirs {
            self.stage.request(&theirs);
        }
        attempt
    }
}

fn send_with(socket: &OwnedFd, packet: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
}

pub(crate) struct Attempt {
    pub(crate) directory: PathBuf,
    pub(crate) tag: String,
    number: u64,
    control: Option<OwnedFd>,
}

impl Attempt {
    pub(crate) fn stop(&mut self, reason: Reason, grace: Duration) {
        let packet = Stop { attempt: self.number, reason, grace }.encode();
        send(self.control.as_ref().unwrap(), &packet, SendFlags::NOSIGNAL).unwrap();
    }

    /// What the attempt sees of a host that was killed.
    pub(crate) fn lose_host(&mut self) {
        self.control = None;
    }

    /// Waits until the keeper says that it is done, or its end of the control socket closes, and reads
    /// the record.
    pub(crate) fn ended(&self) -> Record {
        let control = self.control.as_ref().expect("no host to wait in");
        let patience = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        let woken = poll(&mut [PollFd::new(control, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(woken, 1, "the keeper of {} did not end", self.tag);
        let mut packet = [0; PACKET_BYTES];
        let (count, _) = recv(control, &mut packet, RecvFlags::DONTWAIT).unwrap();
        if count > 0 {
            assert_eq!(Done::decode(&packet[..count]), Some(Done { attempt: self.number }));
        }
        assert!(self.lock_is_free());
        self.evidence().record.expect("the keeper left no record")
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let evidence = Evidence::parse(&self.read("exit").unwrap()).unwrap();
        assert_eq!(evidence.boot_id, BOOT);
        evidence
    }

    pub(crate) fn lock_is_free(&self) -> bool {
        let file = File::open(self.directory.join("exit")).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
    }

    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.directory.join(name)).ok()
    }

    /// Waits until the job has written a file, and returns what it says.
    pub(crate) fn file(&self, name: &str) -> String {
        until(&format!("{name} of {}", self.tag), || {
            self.read(name).filter(|text| text.ends_with('\n')).map(|text| text.trim().to_owned())
        })
    }

    pub(crate) fn output(&self) -> String {
        self.read("output.0").unwrap_or_default()
    }

    /// Every process that carries the attempt's tag in its environment or its arguments.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let carries = |file: PathBuf| {
            fs::read(file).is_ok_and(|bytes| {
                bytes.windows(self.tag.len()).any(|window| window == self.tag.as_bytes())
            })
        };
        all_processes()
            .filter(|(_, path)| carries(path.join("environ")) || carries(path.join("cmdline")))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// The keeper, found by the job whose parent it is.
    pub(crate) fn keeper(&self, job: Pid) -> Pid {
        until("the job's parent", || parent(job))
    }
}

pub(crate) fn all_processes() -> impl Iterator<Item = (Pid, PathBuf)> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let pid = path.file_name()?.to_str()?.parse().ok()?;
        Some((Pid::from_raw(pid)?, path))
    })
}

pub(crate) fn pid(text: &str) -> Pid {
    Pid::from_raw(text.parse().unwrap()).unwrap()
}

pub(crate) fn parent(pid: Pid) -> Option<Pid> {
    Pid::from_raw(status(pid, "PPid")?.parse().ok()?)
}

/// A field of `/proc/PID/status`.
pub(crate) fn status(pid: Pid, field: &str) -> Option<String> {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let text = fs::read_to_string(Path::new(&path)).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

pub(crate) fn kill(pid: Pid, signal: Signal) {
    kill_process(pid, signal).unwrap();
}
