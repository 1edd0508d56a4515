//! Human sizes: `16MiB`, `512KiB`, `1GB`.

/// Exact powers, the ones that [`show`] uses first.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

/// Reads `16MiB` as bytes; `None` for everything else.
pub(super) fn parse(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start();
    let (_, bytes) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*bytes)?.try_into().ok()
}

/// Writes what [`parse`] reads, in the largest unit that is exact.
pub(super) fn show(bytes: usize) -> String {
    let bytes = bytes as u64;
    let exact = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    let (name, unit) = exact.unwrap_or(&("B", 1));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let cases = [
            ("16MiB", Some(16 << 20)),
            ("16 mib", Some(16 << 20)),
            ("1kB", Some(1000)),
            ("100B", Some(100)),
            ("0B", Some(0)),
            ("16", None),
            ("MiB", None),
            ("-1MiB", None),
            ("1.5MiB", None),
            ("16M", None),
            ("99999999999999GiB", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text), bytes, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_size_reads_as_itself(bytes: usize) {
            prop_assert_eq!(parse(&show(bytes)), Some(bytes));
        }
    }
}
