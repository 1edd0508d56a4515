//! Durations and sizes, as text with a unit.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    super::{node::Value, period, reader::Spot, size},
    Kind,
};

/// A duration of at least `least`.
pub(crate) struct Period {
    least: Duration,
    /// Whether nothing at all is too little.
    positive: bool,
}

impl Period {
    /// Zero has a meaning: at once, or not at all.
    pub(crate) const ANY: Self = Self { least: Duration::ZERO, positive: false };
    /// Zero would be a mistake.
    pub(crate) const POSITIVE: Self = Self { least: Duration::ZERO, positive: true };

    pub(crate) const fn at_least(least: Duration) -> Self {
        Self { least, positive: true }
    }

    fn holds(&self, duration: Duration) -> bool {
        duration >= self.least && !(self.positive && duration.is_zero())
    }

    /// A bare number, as the duration that it was probably meant to be.
    fn seconds(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::Integer(number) => format!("{number}s"),
            Value::Text(number) => format!("{}s", number.trim()),
            _ => return None,
        };
        period::parse(&text).filter(|duration| self.holds(*duration)).map(|_| text)
    }
}

impl Kind for Period {
    type Out = Duration;

    fn name(&self) -> String {
        match self {
            Self { positive: false, .. } => "duration".to_owned(),
            Self { least: Duration::ZERO, .. } => "positive duration".to_owned(),
            Self { least, .. } => format!("duration, at least `{}`", period::show(*least)),
        }
    }

    fn expected(&self) -> String {
        if self.least > Duration::ZERO {
            return format!("a duration of at least \"{}\"", period::show(self.least));
        }
        let positive = if self.positive { "positive " } else { "" };
        format!("a {positive}duration such as \"30s\" or \"1h30m\"")
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<Duration> {
        let duration = if let Value::Text(text) = value { period::parse(text) } else { None };
        match duration {
            Some(duration) if duration > period::LONGEST => {
                let most = period::show(period::LONGEST);
                spot.wrong(&format!("a duration of at most \"{most}\""), value);
            }
            Some(duration) if self.holds(duration) => return Some(duration),
            Some(_) => spot.wrong(&self.expected(), value),
            None => match self.seconds(value) {
                Some(seconds) => {
                    let hint = format!("write \"{seconds}\" for seconds");
                    spot.wrong_with_hint(&self.expected(), value, hint);
                }
                None => spot.wrong(&self.expected(), value),
            },
        }
        None
    }

    fn show(&self, value: &Duration) -> Json {
        period::show(*value).into()
    }
}

/// A number of bytes.
pub(crate) struct Size {
    pub(crate) most: usize,
}

impl Kind for Size {
    type Out = usize;

    fn name(&self) -> String {
        format!("size, at most `{}`", size::show(self.most))
    }

    fn expected(&self) -> String {
        format!(
            "a size such as \"512KiB\", at least \"1B\" and at most \"{}\"",
            size::show(self.most)
        )
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<usize> {
        let size = if let Value::Text(text) = value { size::parse(text) } else { None };
        match (size, value) {
            (Some(size), _) if (1..=self.most).contains(&size) => return Some(size),
            (None, Value::Integer(bytes)) if *bytes > 0 => {
                spot.wrong_with_hint(
                    &self.expected(),
                    value,
                    format!("write \"{bytes}B\" for bytes"),
                );
            }
            _ => spot.wrong(&self.expected(), value),
        }
        None
    }

    fn show(&self, value: &usize) -> Json {
        size::show(*value).into()
    }
}
