//! What belongs to the whole process, and what a plugin in it must not change: how signals are taken, the
//! working directory, the mask of new files, the environment. Looked at after each step of a plugin that
//! runs here, and now and then; what can be put back is.
#![expect(unsafe_code, reason = "how a signal is taken has no safe question")]

use std::{
    collections::BTreeSet,
    env,
    ffi::{OsString, c_int, c_void},
    fs,
    mem::MaybeUninit,
    path::PathBuf,
    ptr,
    sync::{Mutex, PoisonError},
};

use rustix::fs::Mode;

/// What a host has to do with.
const SIGNALS: [(c_int, &str); 7] = [
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGUSR2, "SIGUSR2"),
];

/// As they were before the first plugin was loaded into this process, and as the host itself has changed
/// them since. One for all plugins: whose change it was is known by whose step came before.
static OURS: Mutex<Option<Surroundings>> = Mutex::new(None);

struct Surroundings {
    actions: [libc::sigaction; SIGNALS.len()],
    directory: Option<PathBuf>,
    mask: Option<u32>,
    variables: BTreeSet<OsString>,
}

/// Remembers how things are, before a plugin is loaded.
pub(super) fn remember() {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    ours.get_or_insert_with(Surroundings::now);
}

/// Puts back what has been changed, and says so: it was this plugin, or another one in this process.
pub(super) fn restore(plugin: &str) {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(ours) = ours.as_mut() else { return };
    for change in ours.restore() {
        tracing::warn!(
            plugin,
            "a plugin in the host's own process, most likely `{plugin}`, {change}"
        );
    }
}

impl Surroundings {
    fn now() -> Self {
        Self {
            actions: SIGNALS.map(|(signal, _)| action(signal)),
            directory: directory(),
            mask: mask(),
            variables: variables(),
        }
    }

    fn restore(&mut self) -> Vec<String> {
        let mut changes = Vec::new();
        for (&(signal, name), ours) in SIGNALS.iter().zip(&mut self.actions) {
            let now = action(signal);
            if now.sa_sigaction == ours.sa_sigaction {
                continue;
            }
            if is_hosts_own(&now) {
                // A part of the host listens that did not before.
                *ours = now;
                continue;
            }
            // SAFETY: an action that was in force before.
            unsafe { libc::sigaction(signal, ours, ptr::null_mut()) };
            changes.push(format!("has changed what {name} does; it is as it was"));
        }
        if let (Some(ours), Some(now)) = (&self.directory, directory())
            && *ours != now
        {
            let now = now.display();
            changes.push(match env::set_current_dir(ours) {
                Ok(()) => format!("went to `{now}`; the host is back in `{}`", ours.display()),
                Err(error) => format!("went to `{now}`; there is no way back: {error}"),
            });
        }
        if let (Some(ours), Some(now)) = (self.mask, mask())
            && ours != now
        {
            rustix::process::umask(Mode::from_raw_mode(ours));
            changes.push(format!(
                "has set the mask of new files to {now:03o}; it is {ours:03o} again"
            ));
        }
        let variables = variables();
        let other: Vec<_> = variables.symmetric_difference(&self.variables).collect();
        if !other.is_empty() {
            let names: Vec<_> = other.iter().map(|name| name.to_string_lossy()).collect();
            // Not put back: another thread may be reading them.
            changes.push(format!("has set or removed environment variables: {}", names.join(", ")));
            self.variables = variables;
        }
        changes
    }
}

fn action(signal: c_int) -> libc::sigaction {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only, and writes what it is given room for; zeroes are an action, too.
    unsafe {
        libc::sigaction(signal, ptr::null(), now.as_mut_ptr());
        now.assume_init()
    }
}

/// Whether it is a handler in the host's own code, as the runtime sets them when somebody begins to
/// listen. The host ignores no signal and resets none.
fn is_hosts_own(action: &libc::sigaction) -> bool {
    let handler = action.sa_sigaction;
    handler != libc::SIG_DFL
        && handler != libc::SIG_IGN
        && object(handler as *const c_void) == object(is_hosts_own as *const c_void)
}

/// Where the program or the library begins that has this address.
fn object(address: *const c_void) -> Option<*mut c_void> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: looks an address up, whatever it is; writes what it is given room for.
    unsafe {
        let found = libc::dladdr(address, info.as_mut_ptr()) != 0;
        found.then(|| info.assume_init().dli_fbase)
    }
}

fn directory() -> Option<PathBuf> {
    fs::read_link("/proc/self/cwd").ok()
}

/// Read, not asked for: the call that answers also changes it.
fn mask() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(mask.trim(), 8).ok()
}

fn variables() -> BTreeSet<OsString> {
    env::vars_os().map(|(name, _)| name).collect()
}
