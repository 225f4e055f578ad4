//! The text that Prometheus reads (exposition format 0.0.4): families of samples, each with its help and type once.

use std::fmt::{Display, Write};

use crate::counters::{BOUNDS_MS, Snapshot};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Default)]
pub struct Page(String);

/// Samples of one name; they must stand together, so the page is borrowed meanwhile.
pub struct Family<'p> {
    text: &'p mut String,
    name: &'static str,
}

pub type Labels<'l> = &'l [(&'static str, &'l str)];

impl Page {
    /// What only grows; its name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, help, "counter")
    }

    /// What goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, help, "gauge")
    }

    /// Durations in seconds; its name ends in `_seconds`.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, help, "histogram")
    }

    fn family(&mut self, name: &'static str, help: &str, kind: &str) -> Family<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family {
            text: &mut self.0,
            name,
        }
    }

    pub fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: Labels, value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    pub fn durations(&mut self, labels: Labels, read: &Snapshot) -> &mut Self {
        for (bound_ms, n) in BOUNDS_MS.iter().zip(read.up_to) {
            let bound = (bound_ms / 1e3).to_string();
            self.line("_bucket", labels, Some(&bound), n);
        }
        self.line("_bucket", labels, Some("+Inf"), read.count());
        self.line("_sum", labels, None, read.sum_s);
        self.line("_count", labels, None, read.count());
        self
    }

    fn line(&mut self, suffix: &str, labels: Labels, le: Option<&str>, value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(le.map(|le| ("le", le))) {
            self.text.push(before);
            before = ',';
            let _ = write!(self.text, "{name}=\"{}\"", escaped(value));
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Histogram;
    use std::time::Duration;

    #[test]
    fn what_would_break_a_line_is_escaped() {
        let mut page = Page::default();
        page.gauge("seedbank_test", "A \\ and\na line.")
            .sample(&[("word", "a\"b\\c\nd"), ("other", "")], 1.5)
            .sample(&[], 2);
        assert_eq!(
            page.finish(),
            "# HELP seedbank_test A \\\\ and\\na line.\n# TYPE seedbank_test gauge\n\
             seedbank_test{word=\"a\\\"b\\\\c\\nd\",other=\"\"} 1.5\nseedbank_test 2\n"
        );
    }

    #[test]
    fn a_histogram_ends_in_its_count() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(3));
        let mut page = Page::default();
        page.histogram("seedbank_test_seconds", "Waits.")
            .durations(&[("of", "x")], &histogram.read());
        let text = page.finish();
        assert!(
            text.contains("_bucket{of=\"x\",le=\"0.0025\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("_bucket{of=\"x\",le=\"0.005\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("_bucket{of=\"x\",le=\"+Inf\"} 1\n"), "{text}");
        assert!(
            text.ends_with("_sum{of=\"x\"} 0.003\nseedbank_test_seconds_count{of=\"x\"} 1\n"),
            "{text}"
        );
    }
}
