//! Chance that can be repeated: the seed is printed, and can be given.

use std::hash::{BuildHasher as _, RandomState};

/// Names the variable that gives the seed of an earlier run.
const VARIABLE: &str = "LONGSHORE_TEST_SEED";

/// Numbers by chance (`SplitMix64`).
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// A new seed, or the one that the environment gives. A failed test shows it.
    ///
    /// # Panics
    ///
    /// The environment gives no number.
    #[must_use]
    pub fn new() -> Self {
        let seed = match std::env::var(VARIABLE) {
            Ok(given) => {
                given.parse().unwrap_or_else(|_| panic!("{VARIABLE} is no number: {given}"))
            }
            Err(_) => RandomState::new().hash_one(VARIABLE),
        };
        println!("by chance: {VARIABLE}={seed}");
        Self(seed)
    }

    /// A number from 0 to `below`, exclusive.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
