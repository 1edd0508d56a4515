//! Keeps what it should give back.

use std::{fs::File, hint, mem, thread};

use crate::mode::Leak;

pub(crate) fn act(leak: Leak) {
    match leak {
        Leak::Threads => {
            thread::spawn(crate::stall::block);
        }
        Leak::Fds => {
            let _ = File::open("/dev/null").map(mem::forget);
        }
        Leak::Memory => mem::forget(hint::black_box(vec![1_u8; 64 << 10])),
    }
}
