//! Times as people say them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock;

/// How long ago that was, or how long it is till then: `3m ago`, `in 2h`.
pub(super) fn relative(milliseconds: i64) -> String {
    relative_to(milliseconds, clock::wall_ms())
}

fn relative_to(milliseconds: i64, now: i64) -> String {
    let distance = span(Duration::from_millis(milliseconds.abs_diff(now)));
    match milliseconds.cmp(&now) {
        _ if milliseconds.abs_diff(now) < 1000 => "now".to_owned(),
        std::cmp::Ordering::Less => format!("{distance} ago"),
        _ => format!("in {distance}"),
    }
}

/// Date and time, UTC, to the second, and how long ago: `2026-03-01 12:00:00 UTC (3m ago)`.
pub(super) fn absolute(milliseconds: i64) -> String {
    format!("{} ({})", clock::utc(milliseconds), relative(milliseconds))
}

/// A duration in its two largest units: `1h 5m`, `12s`, `340ms`.
pub(super) fn span(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{}ms", duration.as_millis());
    }
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit} {small}{small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => two(minutes, "m", seconds % 60, "s"),
        3600..86_400 => two(hours, "h", minutes, "m"),
        _ => two(days, "d", hours, "h"),
    }
}

/// Reads `10m` or `1h 30m`.
pub(super) fn parse_span(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .filter(|span| !span.is_zero())
        .ok_or_else(|| "expected a duration such as `90s`, `10m` or `1h 30m`".to_owned())
}

/// Reads a moment: `2026-03-01T12:00:00Z`, or a duration from now. Answers milliseconds UTC.
pub(super) fn parse_moment(text: &str) -> Result<i64, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let expected =
        "expected a time such as `2026-03-01T12:00:00Z`, or a duration from now such as `10m`";
    let later = parse_span(text).map_err(|_| expected.to_owned())?;
    let later = i64::try_from(later.as_millis()).map_err(|_| expected.to_owned())?;
    Ok(clock::wall_ms().saturating_add(later))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_said_in_two_units_at_most() {
        let cases = [
            (0, "0ms"),
            (999, "999ms"),
            (59_999, "59s"),
            (60_000, "1m"),
            (61_000, "1m 1s"),
            (3_900_000, "1h 5m"),
            (90_000_000, "1d 1h"),
        ];
        for (milliseconds, said) in cases {
            assert_eq!(span(Duration::from_millis(milliseconds)), said);
        }
        assert_eq!(relative_to(1000, 4000), "3s ago");
        assert_eq!(relative_to(4000, 1000), "in 3s");
        assert_eq!(relative_to(1500, 1000), "now");
    }

    #[test]
    fn a_timeout_is_a_positive_duration() {
        assert_eq!(parse_span("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_span("1h 30m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "10", "0s", "-5m", "5m ago", "soon", "NaN"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_moment_is_a_date_or_a_distance() {
        assert_eq!(parse_moment("1970-01-01T00:00:01Z"), Ok(1000));
        assert_eq!(parse_moment("1970-01-01T01:00:01+01:00"), Ok(1000));
        let now = clock::wall_ms();
        let then = parse_moment("1h").unwrap();
        assert!((3_600_000..3_660_000).contains(&(then - now)));
        // Without its offset it would be somebody's local time.
        assert!(parse_moment("2026-03-01T12:00:00").is_err());
    }
}
