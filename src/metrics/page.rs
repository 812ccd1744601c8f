//! The page that Prometheus reads: text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write};

use super::def::{Def, Reading};
use super::instrument::{Counter, CounterRow, Histogram, HistogramRow, Observed};

/// A page in the making. The samples of one metric stand together.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a metric; its samples follow.
    pub fn family(&mut self, def: &'static Def) -> Family<'_> {
        let _ = write!(self.text, "# HELP {} ", def.name);
        escape(&mut self.text, def.help, Quotes::Kept);
        let _ = writeln!(self.text, "\n# TYPE {} {}", def.name, def.kind.name());
        Family { page: self, def }
    }

    /// A metric with one sample and no label.
    pub fn single(&mut self, def: &'static Def, value: impl Display) {
        self.family(def).sample(&[], value);
    }

    /// A counter.
    pub fn counter(&mut self, counter: &Counter) {
        self.single(counter.def(), counter.value());
    }

    /// A counter by label; `name` gives the label's value, and `None` leaves the sample out.
    pub fn counters<'a, const N: usize>(
        &mut self,
        counters: &CounterRow<N>,
        name: impl Fn(usize) -> Option<&'a str>,
    ) {
        let mut family = self.family(counters.def());
        for (index, value) in counters.values().enumerate() {
            if let Some(name) = name(index) {
                family.sample(&[name], value);
            }
        }
    }

    /// A histogram.
    pub fn histogram(&mut self, histogram: &Histogram) {
        let mut family = self.family(histogram.def());
        for observed in histogram.row().read() {
            family.observed(&[], &observed);
        }
    }

    /// A histogram by label; `name` gives the label's value, and `None` leaves it out. So does having seen nothing:
    /// a histogram is twenty lines.
    pub fn histograms<'a, const N: usize>(
        &mut self,
        histograms: &HistogramRow<N>,
        name: impl Fn(usize) -> Option<&'a str>,
    ) {
        let mut family = self.family(histograms.def());
        for (index, observed) in histograms.read().enumerate() {
            let has_any = observed.above > 0 || observed.buckets.iter().any(|count| *count > 0);
            if let Some(name) = name(index).filter(|_| has_any) {
                family.observed(&[name], &observed);
            }
        }
    }

    /// Gauges, each with the samples that there are of it.
    pub fn readings(&mut self, readings: &[Reading]) {
        let mut done: Vec<&'static str> = Vec::new();
        for Reading { def, .. } in readings {
            if done.contains(&def.name) {
                continue;
            }
            done.push(def.name);
            let mut family = self.family(def);
            for reading in readings.iter().filter(|other| other.def.name == def.name) {
                family.sample(reading.labels, reading.value);
            }
        }
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    def: &'static Def,
}

impl Family<'_> {
    /// One sample: the values of the metric's labels, in their order, and the value.
    pub fn sample(&mut self, labels: &[&str], value: impl Display) {
        self.line("", labels, None, value);
    }

    fn observed(&mut self, labels: &[&str], observed: &Observed) {
        let per_unit = self.def.per_unit();
        let mut count = 0;
        for (bound, bucket) in observed.bounds.iter().zip(&observed.buckets) {
            count += bucket;
            let bound = in_units(*bound, per_unit).to_string();
            self.line("_bucket", labels, Some(&bound), count);
        }
        // The number is the sum of the buckets, so that the two agree whatever is observed meanwhile.
        count += observed.above;
        self.line("_bucket", labels, Some("+Inf"), count);
        self.line("_sum", labels, None, in_units(observed.sum, per_unit));
        self.line("_count", labels, None, count);
    }

    fn line(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: impl Display) {
        debug_assert_eq!(labels.len(), self.def.labels.len(), "{}", self.def.name);
        let text = &mut self.page.text;
        let _ = write!(text, "{}{suffix}", self.def.name);
        let named = self.def.labels.iter().copied().zip(labels.iter().copied());
        let mut separator = '{';
        for (label, value) in named.chain(bound.map(|bound| ("le", bound))) {
            let _ = write!(text, "{separator}{label}=\"");
            escape(text, value, Quotes::Escaped);
            text.push('"');
            separator = ',';
        }
        if separator == ',' {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of more than 2^53 may be off by parts in 10^16"
)]
fn in_units(value: u64, per_unit: f64) -> f64 {
    value as f64 / per_unit
}

/// Whether a quote is special: it is in label values, and not in help texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    Kept,
    Escaped,
}

fn escape(into: &mut String, text: &str, quotes: Quotes) {
    for c in text.chars() {
        match c {
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '"' if quotes == Quotes::Escaped => into.push_str("\\\""),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::def::Kind;
    use super::*;

    static WORKED: Def = Def {
        name: "worked_seconds",
        kind: Kind::Histogram,
        labels: &["by"],
        help: "Time \"worked\",\nin C:\\.",
    };

    #[test]
    fn a_page_is_as_the_format_says() {
        let histograms = HistogramRow::<3>::new(&WORKED, &[1_000_000, 2_500_000_000]);
        histograms.observe(1, 1_000_000);
        histograms.observe(1, 1_000_001);
        histograms.observe(1, 9_000_000_000);
        histograms.observe(3, 1);
        let mut page = Page::default();
        page.histograms(&histograms, |index| {
            ["a", "b\"\\\n", "c"].get(index).copied()
        });
        let expected = r#"# HELP worked_seconds Time "worked",\nin C:\\.
# TYPE worked_seconds histogram
worked_seconds_bucket{by="b\"\\\n",le="0.001"} 1
worked_seconds_bucket{by="b\"\\\n",le="2.5"} 2
worked_seconds_bucket{by="b\"\\\n",le="+Inf"} 3
worked_seconds_sum{by="b\"\\\n"} 9.002000001
worked_seconds_count{by="b\"\\\n"} 3
"#;
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn counters_have_the_labels_that_have_names() {
        static COUNTED: Def = Def {
            name: "counted_total",
            kind: Kind::Counter,
            labels: &["what"],
            help: "Counted.",
        };
        let counters = CounterRow::<3>::new(&COUNTED);
        counters.add(0, 5);
        counters.add(2, 1);
        counters.add(3, 1);
        let mut page = Page::default();
        page.counters(&counters, |index| ["a", "b"].get(index).copied());
        let text = page.into_text();
        assert!(
            text.ends_with("counted_total{what=\"a\"} 5\ncounted_total{what=\"b\"} 0\n"),
            "{text}"
        );
    }
}
