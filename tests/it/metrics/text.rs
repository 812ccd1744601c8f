//! A reader of Prometheus' text format 0.0.4 that accepts nothing else than what the format says, and holds what its
//! conventions ask of counters and histograms.

use std::collections::{BTreeMap, BTreeSet};

/// A metric of a page.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) help: String,
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// With the suffix that a histogram's have.
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A whole page.
#[derive(Debug, Default)]
pub(crate) struct Page(pub(crate) BTreeMap<String, Family>);

impl Page {
    /// Reads a page; the error names the line.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut page = Self::default();
        let mut current = String::new();
        if !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        for line in text.lines() {
            let read = match line.strip_prefix("# ") {
                Some(comment) => page.comment(comment, &mut current),
                None => page.sample(line, &current),
            };
            read.map_err(|reason| format!("{reason}: {line}"))?;
        }
        for (name, family) in &page.0 {
            family
                .hold()
                .map_err(|reason| format!("{name}: {reason}"))?;
        }
        Ok(page)
    }

    /// A HELP line begins a metric, its TYPE line follows.
    fn comment(&mut self, comment: &str, current: &mut String) -> Result<(), String> {
        let (word, rest) = comment.split_once(' ').ok_or("a comment without a text")?;
        let (name, rest) = rest.split_once(' ').ok_or("a name and nothing more")?;
        match word {
            "HELP" if self.0.contains_key(name) => Err("a metric that was there before".to_owned()),
            "HELP" => {
                current.clear();
                current.push_str(name);
                let family = self.0.entry(name.to_owned()).or_default();
                family.help = unescape(rest, false)?;
                Ok(())
            }
            "TYPE" if name == current => {
                let family = self.0.get_mut(name).ok_or("a type without a help text")?;
                if !family.kind.is_empty() || !family.samples.is_empty() {
                    return Err("a type that comes late".to_owned());
                }
                if !["counter", "gauge", "histogram"].contains(&rest) {
                    return Err("no such type".to_owned());
                }
                family.kind = rest.to_owned();
                Ok(())
            }
            _ => Err("neither HELP nor the TYPE of the metric above".to_owned()),
        }
    }

    fn sample(&mut self, line: &str, current: &str) -> Result<(), String> {
        let end = line.find(['{', ' ']).ok_or("no value")?;
        let (name, mut rest) = line.split_at(end);
        let family = self.0.get_mut(current).ok_or("a sample of no metric")?;
        let suffix = name.strip_prefix(current).ok_or("another metric's")?;
        let suffixes: &[&str] = match family.kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        if !suffixes.contains(&suffix) || !is_name(name) {
            return Err("not a name of this metric".to_owned());
        }
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = read_labels(inside, &mut labels)?;
        }
        let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
        let value: f64 = value.parse().map_err(|_| "not a number")?;
        let sample = Sample {
            name: name.to_owned(),
            labels,
            value,
        };
        let is_twice = family
            .samples
            .iter()
            .any(|other| other.name == sample.name && other.labels == sample.labels);
        if is_twice {
            return Err("a sample that was there before".to_owned());
        }
        family.samples.push(sample);
        Ok(())
    }

    /// The value of the sample with exactly these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let family = name
            .strip_suffix("_count")
            .or(name.strip_suffix("_sum"))
            .filter(|family| self.0.contains_key(*family))
            .unwrap_or(name);
        let same = |sample: &&Sample| {
            let given = sample.labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            sample.name == name && given.eq(labels.iter().copied())
        };
        Some(self.0.get(family)?.samples.iter().find(same)?.value)
    }
}

/// Reads `name="value",...}` and returns what is behind.
fn read_labels<'a>(
    mut rest: &'a str,
    labels: &mut BTreeMap<String, String>,
) -> Result<&'a str, String> {
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("no value of a label")?;
        let mut escaped = false;
        let end = after.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let end = end.ok_or("a value without an end")?;
        if !is_name(name) || name.contains(':') {
            return Err(format!("not a label: {name}"));
        }
        let value = unescape(&after[..end], true)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} twice"));
        }
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(rest.strip_prefix('}').ok_or("labels without an end")?),
        }
    }
}

fn unescape(text: &str, has_quotes: bool) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some('\\') => plain.push('\\'),
                Some('"') if has_quotes => plain.push('"'),
                other => return Err(format!("an escape that is none: {other:?}")),
            },
            c => plain.push(c),
        }
    }
    Ok(plain)
}

fn is_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

impl Family {
    fn hold(&self) -> Result<(), String> {
        if self.help.is_empty() || self.kind.is_empty() {
            return Err("no help or no type".to_owned());
        }
        match self.kind.as_str() {
            "counter" if self.samples.iter().any(|sample| sample.value < 0.0) => {
                Err("a counter below zero".to_owned())
            }
            "histogram" => self.hold_histograms(),
            _ => Ok(()),
        }
    }

    /// Buckets are in order and cumulative, the last is +Inf and is the count.
    fn hold_histograms(&self) -> Result<(), String> {
        let without_bound = |sample: &Sample| {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            labels.into_iter().collect::<Vec<_>>()
        };
        let sets: BTreeSet<_> = self.samples.iter().map(without_bound).collect();
        for set in sets {
            let own = self
                .samples
                .iter()
                .filter(|sample| without_bound(sample) == set);
            let (buckets, others): (Vec<_>, Vec<_>) =
                own.partition(|sample| sample.name.ends_with("_bucket"));
            let (mut bound_before, mut count_before) = (f64::NEG_INFINITY, 0.0);
            for bucket in &buckets {
                let bound = bucket.labels.get("le").ok_or("a bucket without a bound")?;
                let bound: f64 = bound.parse().map_err(|_| "a bound that is no number")?;
                if bound <= bound_before || bucket.value < count_before {
                    return Err(format!("buckets of {set:?} are out of order"));
                }
                (bound_before, count_before) = (bound, bucket.value);
            }
            let last = buckets.last().ok_or("no bucket")?;
            let names: Vec<_> = others.iter().map(|sample| sample.name.as_str()).collect();
            let is_whole = last.labels["le"] == "+Inf"
                && names.len() == 2
                && names[0].ends_with("_sum")
                && names[1].ends_with("_count")
                && others[1].value == last.value;
            if !is_whole {
                return Err(format!("{set:?} is not whole"));
            }
        }
        Ok(())
    }
}

#[test]
fn the_reader_refuses_what_the_format_does_not_have() {
    let head = "# HELP a_total A.\n# TYPE a_total counter\n";
    let histogram = "# HELP h H.\n# TYPE h histogram\n";
    let good = [
        format!("{head}a_total{{b=\"\\\\ \\n \\\"\",c=\"}}\"}} 1\na_total 2e3\n"),
        format!(
            "{histogram}h_bucket{{le=\"1\"}} 1\nh_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 1\n"
        ),
        histogram.to_owned(),
    ];
    for page in &good {
        Page::read(page).expect(page);
    }
    let bad = [
        "a_total 1\n".to_owned(),
        "# HELP a_total A.\na_total 1\n".to_owned(),
        "# TYPE a_total counter\na_total 1\n".to_owned(),
        format!("{head}a_total 1"),
        format!("{head}a_total 1\n\n"),
        format!("{head}a_total 1\na_total 2\n"),
        format!("{head}a_total -1\n"),
        format!("{head}a_total one\n"),
        format!("{head}a_total  1\n"),
        format!("{head}a_total{{b=\"\\x\"}} 1\n"),
        format!("{head}a_total{{b=\"c}} 1\n"),
        format!("{head}a_total{{b=\"c\",b=\"d\"}} 1\n"),
        format!("{head}a_total{{1b=\"c\"}} 1\n"),
        format!("{head}b_total 1\n"),
        format!("{head}# HELP b_total B.\n# TYPE b_total counter\n# TYPE a_total counter\n"),
        format!("{head}{head}"),
        format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 2\n"),
        format!("{histogram}h_bucket{{le=\"1\"}} 1\nh_sum 1\nh_count 1\n"),
        format!(
            "{histogram}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 1\n"
        ),
        format!("{histogram}h_bucket{{le=\"2\"}} 1\nh_bucket{{le=\"1\"}} 1\nh_sum 1\nh_count 1\n"),
        format!("{histogram}h 1\n"),
    ];
    for page in &bad {
        assert!(Page::read(page).is_err(), "{page}");
    }
}
