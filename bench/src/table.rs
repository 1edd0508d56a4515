//! The table that a run prints.

/// Rows of what was measured.
pub(crate) struct Table {
    rows: Vec<[String; 3]>,
}

impl Table {
    pub(crate) const fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row, and prints it while the rest is still being measured.
    pub(crate) fn row(&mut self, what: &str, value: String, beside: String) {
        eprintln!("{what}: {value} {beside}");
        self.rows.push([what.to_owned(), value, beside]);
    }

    /// A rate beside the limit that it has.
    pub(crate) fn rate(&mut self, what: &str, per_second: f64, limit: Option<(&str, f64)>) {
        let beside = limit.map_or_else(String::new, |(name, limit)| {
            format!("{:.0} % of {name}", 100.0 * per_second / limit)
        });
        self.row(what, format!("{per_second:.0}/s"), beside);
    }

    /// The median and the 99th percentile of what was measured, in microseconds.
    pub(crate) fn spread(&mut self, what: &str, mut us: Vec<f64>) {
        us.sort_by(f64::total_cmp);
        let at = |part: f64| us[((us.len() - 1) as f64 * part) as usize];
        self.row(
            what,
            format!("p50 {:.0} us", at(0.5)),
            format!("p99 {:.0} us, n {}", at(0.99), us.len()),
        );
    }

    pub(crate) fn print(&self) {
        println!("\n| measured | value | beside |\n| --- | ---: | --- |");
        for [what, value, beside] in &self.rows {
            println!("| {what} | {value} | {beside} |");
        }
    }
}
