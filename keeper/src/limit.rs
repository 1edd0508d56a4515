//! Soft limits that a nursery gives back to jobs: whoever starts it may be allowed less than they should
//! be. They are its arguments: `data=1048576`, `core=unlimited`.

/// What is limited, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// Data.
    Data,
    /// A core file.
    Core,
}

impl Limit {
    const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Core => "core",
        }
    }

    /// The argument that sets it; `None` is no limit.
    #[must_use]
    pub fn argument(self, bytes: Option<u64>) -> String {
        let name = self.name();
        bytes.map_or_else(|| format!("{name}={UNLIMITED}"), |bytes| format!("{name}={bytes}"))
    }

    /// What such an argument sets.
    #[must_use]
    pub fn parse(argument: &str) -> Option<(Self, Option<u64>)> {
        let (name, bytes) = argument.split_once('=')?;
        let limit = [Self::Data, Self::Core].into_iter().find(|limit| limit.name() == name)?;
        let bytes = if bytes == UNLIMITED { None } else { Some(bytes.parse().ok()?) };
        Some((limit, bytes))
    }
}

const UNLIMITED: &str = "unlimited";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_was_written() {
        for (limit, bytes) in [(Limit::Data, Some(1)), (Limit::Core, Some(0)), (Limit::Core, None)]
        {
            assert_eq!(Limit::parse(&limit.argument(bytes)), Some((limit, bytes)));
        }
        for nonsense in ["data", "data=", "data=-1", "stack=1", ""] {
            assert_eq!(Limit::parse(nonsense), None, "{nonsense}");
        }
    }
}
