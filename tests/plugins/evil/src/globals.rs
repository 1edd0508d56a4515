//! Changes what belongs to the process, and with it to everybody in it.
#![expect(unsafe_code, reason = "signals, the mask and the environment are the process's")]

use crate::mode::Global;

pub(crate) fn act(global: Global) {
    match global {
        Global::Chdir => {
            let _ = std::env::set_current_dir("/");
        }
        // SAFETY: sets a number.
        Global::Umask => unsafe {
            libc::umask(0o777);
        },
        // SAFETY: none: another thread may read the environment now.
        Global::Setenv => unsafe { std::env::set_var("EVIL_WAS_HERE", "1") },
        Global::Sigchld => disposition(libc::SIGCHLD, libc::SIG_IGN),
        Global::Sigterm => disposition(libc::SIGTERM, libc::SIG_IGN),
        Global::Sigpipe => disposition(libc::SIGPIPE, libc::SIG_DFL),
    }
}

fn disposition(signal: libc::c_int, how: libc::sighandler_t) {
    // SAFETY: no handler of ours is called.
    unsafe { libc::signal(signal, how) };
}
