//! Ways to end the process.
#![expect(unsafe_code, reason = "a wild pointer needs one")]

use std::{hint, process, ptr};

use crate::mode::Crash;

pub(crate) fn act(crash: Crash) -> ! {
    match crash {
        Crash::Abort => process::abort(),
        Crash::Exit => exit(42),
        Crash::ExitZero => exit(0),
        Crash::Null => null(),
        Crash::Overflow => {
            deeper(0);
            process::abort()
        }
        Crash::Oom => more(),
    }
}

#[expect(clippy::disallowed_methods, reason = "as asked")]
pub(crate) fn exit(code: i32) -> ! {
    process::exit(code)
}

pub(crate) fn null() -> ! {
    // SAFETY: none.
    unsafe { ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1) };
    process::abort()
}

#[expect(unconditional_recursion, reason = "as asked")]
fn deeper(depth: u64) -> u64 {
    let room = hint::black_box([depth; 512]);
    deeper(depth + 1) + room[hint::black_box(7)]
}

/// Takes memory until there is none. Where no limit is set, a machine's worth of it is not needed to make
/// the point.
fn more() -> ! {
    let mut taken = Vec::new();
    for _ in 0..48 {
        taken.push(hint::black_box(vec![1_u8; 64 << 20]));
    }
    process::abort()
}
