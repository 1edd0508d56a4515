//! Starting the job's main process.
//!
//! `clone` with `CLONE_VM | CLONE_VFORK`: the child borrows our memory until it executes, so nothing is
//! copied, and what goes wrong in it is told by writing to a variable. (`posix_spawn` is the same
//! thing without a way to set the parent-death signal.)
#![expect(unsafe_code, reason = "a process is made here")]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    ptr,
};

use longshore_keeper::order::Order;
use rustix::{
    io::{Errno, Result},
    process::{Pid, Resource, Rlimit, Signal, WaitOptions, getpid},
};

use crate::signals::{self, check};

/// Enough for the frames of [`child`]; the kernel's `execve` does not use it. Each page of it is
/// touched, so more would cost every attempt.
const STACK: usize = 8 * 1024;

/// What `select` can count; programs that need more raise it themselves, up to the hard limit.
const DESCRIPTORS: u64 = 1024;

struct Plan {
    program: *const c_char,
    arguments: *const *const c_char,
    variables: *const *const c_char,
    directory: c_int,
    output: c_int,
    keeper: Pid,
    /// Written by the child if it cannot execute the program.
    failure: Option<Errno>,
}

/// Why there is no process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// The system had none to give.
    Clone(Errno),
    /// The program cannot be executed, or not in `work/`.
    Exec(Errno),
}

/// Starts the program in a session of its own, in `work/` below `directory`, with `output` as its
/// standard output and error.
pub(crate) fn spawn(
    order: &Order<'_>,
    directory: &OwnedFd,
    output: &OwnedFd,
) -> std::result::Result<Pid, Failure> {
    let pointers = |strings: &[&CStr]| -> Vec<*const c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
    };
    let arguments = pointers(&order.arguments);
    let variables = pointers(&order.variables);
    let mut plan = Plan {
        program: arguments[0],
        arguments: arguments.as_ptr(),
        variables: variables.as_ptr(),
        directory: directory.as_raw_fd(),
        output: output.as_raw_fd(),
        keeper: getpid(),
        failure: None,
    };
    let mut stack = MaybeUninit::<[u128; STACK / 16]>::uninit();
    // SAFETY: the stack grows down from one past its last, 16-byte aligned element. `CLONE_VFORK`
    // holds us here until the child has executed or exited, so `stack`, `plan` and what it points to
    // outlive the child's use of them, and no two threads touch `plan` at once. Signals are blocked,
    // so no handler runs on the borrowed memory.
    let answer = unsafe {
        libc::clone(
            child,
            stack.as_mut_ptr().add(1).cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            (&raw mut plan).cast(),
        )
    };
    let pid = check(answer).map_err(Failure::Clone)?;
    // SAFETY: the child wrote it, behind the compiler's back.
    match unsafe { (&raw const plan.failure).read_volatile() } {
        None => Ok(Pid::from_raw(pid).expect("a child's pid is positive")),
        Some(errno) => {
            // It has exited; leave no zombie.
            let _ = rustix::process::waitpid(Pid::from_raw(pid), WaitOptions::empty());
            Err(Failure::Exec(errno))
        }
    }
}

extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its `Plan` and waits.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    let Err(errno) = become_job(plan);
    plan.failure = Some(errno);
    127
}

fn become_job(plan: &Plan) -> Result<std::convert::Infallible> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The keeper may have been killed before the line above: then nobody will tell us.
    if rustix::process::getppid() != Some(plan.keeper) {
        return Err(Errno::SRCH);
    }
    rustix::process::setsid()?;
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    let soft = Some(hard.map_or(DESCRIPTORS, |hard| hard.min(DESCRIPTORS)));
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: soft, maximum: hard })?;
    // SAFETY: the descriptors stay open until `spawn` goes on, and nothing here owns 1 and 2.
    let (directory, output) =
        unsafe { (BorrowedFd::borrow_raw(plan.directory), BorrowedFd::borrow_raw(plan.output)) };
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(output)?;
    rustix::process::fchdir(directory)?;
    rustix::process::chdir(c"work")?;
    signals::release()?;
    // SAFETY: the strings and the arrays, each ended by a null, are `spawn`'s.
    check(unsafe { libc::execve(plan.program, plan.arguments, plan.variables) })?;
    Err(Errno::NOEXEC)
}
