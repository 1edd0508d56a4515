//! How long a job waits before its next attempt.

use std::time::Duration;

/// A type's retry settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// Delay before the first retry.
    pub base_delay: Duration,
    /// No delay is longer.
    pub max_delay: Duration,
}

impl Backoff {
    /// The delay before retry `n` (counted from 1): `min(max_delay, base_delay * 2^(n-1))`, less up
    /// to a quarter. `jitter` is a number from 0 to 1; a herd of jobs that failed together comes
    /// back spread out, and never later than the documented delay.
    #[must_use]
    pub fn delay(&self, n: u32, jitter: f64) -> Duration {
        // The exponent is capped before the shift: 2^n of a large n is not a number to compute.
        let factor = 1_u32 << n.saturating_sub(1).min(31);
        let full = self.base_delay.saturating_mul(factor).min(self.max_delay);
        // Taken off, not multiplied in: rounding must not carry the delay over its maximum.
        full.saturating_sub(full.mul_f64(0.25 * jitter.clamp(0.0, 1.0)))
    }
}

/// A number from 0 to 1, for [`Backoff::delay`].
#[must_use]
pub fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: Backoff =
        Backoff { base_delay: Duration::from_secs(1), max_delay: Duration::from_secs(60) };

    #[test]
    fn delays_double_up_to_the_maximum() {
        let delays: Vec<u64> = (1..=8).map(|n| USUAL.delay(n, 0.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn a_delay_is_never_longer_than_the_maximum_nor_shorter_than_three_quarters(
            n in 0_u32.., base in 0_u64..1 << 40, max in 0_u64..1 << 40, jitter in -1.0_f64..2.0,
        ) {
            let backoff = Backoff {
                base_delay: Duration::from_millis(base), max_delay: Duration::from_millis(max),
            };
            let delay = backoff.delay(n, jitter);
            let full = backoff.delay(n, 0.0);
            prop_assert!(delay <= backoff.max_delay);
            prop_assert!(delay <= full && delay >= full.mul_f64(0.749));
        }
    }
}
