//! Harms the process it is in as a process: its descriptors, its socket, its children.
#![expect(unsafe_code, reason = "what safe code cannot do wrong")]

use std::process::Command;

use crate::mode::Process;

pub(crate) fn act(process: Process) {
    match process {
        Process::Fork => fork(),
        // SAFETY: none; whoever owns them does not know.
        Process::CloseFds => unsafe {
            libc::close_range(3, libc::c_uint::MAX, 0);
        },
        Process::JunkFrame => send(b"this is no frame, and nobody has asked for one"),
        Process::HugeFrame => {
            // Magic, kind and the rest 0, a length of 4 GiB, and nothing that would follow.
            let mut frame = [0; 24];
            frame[..4].copy_from_slice(b"LSR1");
            frame[16..20].copy_from_slice(&u32::MAX.to_ne_bytes());
            send(&frame);
        }
        // SAFETY: a signal to oneself.
        Process::StopSelf => unsafe {
            libc::raise(libc::SIGSTOP);
        },
        Process::Grandchild => {
            let child = Command::new("sh").args(["-c", "sleep 600 & sleep 600"]).spawn();
            if let Err(error) = child {
                tracing::error!("evil has no child: {error}");
            }
        }
    }
}

/// Ends, and leaves a child that holds every descriptor it had.
fn fork() {
    // SAFETY: the child calls nothing but `pause`.
    match unsafe { libc::fork() } {
        0 => loop {
            // SAFETY: waits.
            unsafe { libc::pause() };
        },
        _ => crate::crash::exit(42),
    }
}

/// Speaks on every packet socket that this process has: in a runner that is the one to the host.
fn send(bytes: &[u8]) {
    for descriptor in 3..256 {
        let mut kind: libc::c_int = 0;
        let mut size = size_of_val(&kind) as libc::socklen_t;
        // SAFETY: writes at most `size` bytes to `kind`; sends what it can read.
        unsafe {
            let asked = libc::getsockopt(
                descriptor,
                libc::SOL_SOCKET,
                libc::SO_TYPE,
                (&raw mut kind).cast(),
                &raw mut size,
            );
            if asked == 0 && kind == libc::SOCK_SEQPACKET {
                libc::send(descriptor, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL);
            }
        }
    }
}
