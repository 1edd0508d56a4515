//! Human durations: `30s`, `1h30m`, `500ms`.

use std::time::Duration;

/// Largest first; a duration names each unit at most once, in this order.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Longer than any job, short enough to be added to any date in microseconds.
pub(super) const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// Reads `1h30m`; `None` for everything else, what does not fit 64 bits of milliseconds included.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let letters = &rest[digits..];
        let unit =
            &letters[..letters.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(letters.len())];
        let index = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(units[index].1)?)?;
        units = &units[index + 1..];
        rest = letters[unit.len()..].trim_start();
        if rest.is_empty() {
            return Some(Duration::from_millis(total));
        }
    }
}

/// Writes what [`parse`] reads; less than a millisecond is dropped.
pub(super) fn show(duration: Duration) -> String {
    let mut left = duration.as_millis();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, milliseconds) in UNITS {
        let milliseconds = u128::from(milliseconds);
        if left >= milliseconds {
            text += &format!("{}{unit}", left / milliseconds);
            left %= milliseconds;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let cases: [(&str, Option<u64>); 20] = [
            ("30s", Some(30_000)),
            ("10m", Some(600_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("2d", Some(172_800_000)),
            ("1m500ms", Some(60_500)),
            ("0s", Some(0)),
            ("", None),
            ("s", None),
            ("30", None),
            ("-5s", None),
            ("1.5h", None),
            ("30S", None),
            ("30 s", None),
            ("30m1h", None),
            ("1h1h", None),
            ("1h30", None),
            ("99999999999999999999s", None),
            ("184467440737095516s", None),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text), milliseconds.map(Duration::from_millis), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_duration_reads_as_itself(milliseconds: u64) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&show(duration)), Some(duration));
        }
    }
}
