//! An allocator that knows its own blocks: what the host, or another plugin, has made and this library
//! frees (or the other way round) ends the process.
#![expect(unsafe_code, reason = "an allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Write as _,
    process, ptr,
};

#[global_allocator]
static ALLOCATOR: Canary = Canary;

/// Before each block, and behind it.
const BEFORE: u64 = 0x5afe_5afe_c0de_c0de;
const BEHIND: u64 = 0x0dd5_0dd5_dead_beef;
const WORD: usize = size_of::<u64>();

struct Canary;

/// The layout of a block with its canaries, and where the block begins in it.
fn around(layout: Layout) -> Option<(Layout, usize)> {
    let start = layout.align().max(WORD);
    let size = layout.size().checked_add(start)?.checked_add(WORD)?;
    let whole = Layout::from_size_align(size, layout.align().max(WORD)).ok()?;
    Some((whole, start))
}

// SAFETY: `System` with room on both sides. `realloc` and `alloc_zeroed` are the trait's own, which use
// these two.
unsafe impl GlobalAlloc for Canary {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, start)) = around(layout) else {
            return ptr::null_mut();
        };
        // SAFETY: `whole` is not empty; the three places are inside of it.
        unsafe {
            let block = System.alloc(whole);
            if block.is_null() {
                return block;
            }
            let block = block.add(start);
            block.sub(WORD).cast::<u64>().write_unaligned(BEFORE);
            block.add(layout.size()).cast::<u64>().write_unaligned(BEHIND);
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((whole, start)) = around(layout) else {
            return;
        };
        // SAFETY: made by `alloc` with the same layout; if not, this is the place that finds out.
        unsafe {
            let before = block.sub(WORD).cast::<u64>();
            let behind = block.add(layout.size()).cast::<u64>();
            if before.read_unaligned() != BEFORE || behind.read_unaligned() != BEHIND {
                let _ = std::io::stderr().write_all(b"evil: freed what it has not made\n");
                process::abort();
            }
            // A second free of the same block is found as well.
            before.write_unaligned(!BEFORE);
            System.dealloc(block.sub(start), whole);
        }
    }
}
