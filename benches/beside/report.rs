//! From figures to a page: medians with their spread, one table, and what they were measured on.

use std::fmt::Write as _;

use crate::broker::Kind;
use crate::machine::{Machine, output};
use crate::{Failure, PARTITIONS, RECORD_SIZE, Setup};

/// One measurement of one broker.
pub(crate) struct Figure {
    pub(crate) kind: Kind,
    pub(crate) what: &'static str,
    pub(crate) value: f64,
}

/// The rows of the table: what, its text, digits after the point.
const ROWS: &[(&str, &str, usize)] = &[
    (
        "produce_mb_s",
        "produce 1 KiB, 1 producer, acks=all: MB/s",
        0,
    ),
    ("produce_cpu_s_gb", "its broker CPU: s/GB", 2),
    ("consume_mb_s", "consume 1 KiB, 1 consumer: MB/s", 0),
    ("consume_cpu_s_gb", "its broker CPU: s/GB", 2),
    ("start_ms", "fresh folder, start to first answer: ms", 1),
    ("idle_rss_mb", "idle: resident MB", 1),
    ("idle_cpu_percent", "idle: CPU %", 2),
    ("busy_rss_mb", "after the above: resident MB", 0),
];

struct Summary {
    median: f64,
    min: f64,
    max: f64,
}

fn summary(figures: &[Figure], kind: Kind, what: &str) -> Option<Summary> {
    let of_this = figures
        .iter()
        .filter(|figure| figure.kind == kind && figure.what == what);
    let mut values: Vec<f64> = of_this.map(|figure| figure.value).collect();
    values.sort_by(f64::total_cmp);
    let median = match values.len() {
        0 => return None,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    };
    Some(Summary {
        median,
        min: values[0],
        max: values[values.len() - 1],
    })
}

fn cell(figures: &[Figure], kind: Kind, what: &str, digits: usize) -> String {
    match summary(figures, kind, what) {
        None => "-".to_owned(),
        // One measurement has no spread.
        Some(s) if s.min.to_bits() == s.max.to_bits() => format!("{:.digits$}", s.median),
        Some(s) => format!(
            "**{:.digits$}** ({:.digits$}-{:.digits$})",
            s.median, s.min, s.max
        ),
    }
}

fn title(setup: &Setup, kind: Kind) -> String {
    match kind {
        Kind::Ottla => format!("Ottla, `{}`", setup.durability),
        Kind::Kafka => "Kafka, page cache".to_owned(),
        Kind::KafkaSync => "Kafka, sync each message".to_owned(),
        Kind::Floor => "floor, direct I/O, synced".to_owned(),
    }
}

pub(crate) fn write(setup: &Setup, figures: &[Figure]) -> Result<String, Failure> {
    let mut page = String::new();
    writeln!(page, "# Benchmarks\n")?;
    writeln!(
        page,
        "Made by `scripts/bench --beside kafka,floor`; nothing on this page is written by hand."
    )?;
    writeln!(
        page,
        "Median of {} interleaved rounds (lowest-highest); each round starts each broker with a fresh",
        setup.plan.rounds
    )?;
    writeln!(
        page,
        "folder, idle figures are of the first round. MB is 1e6 and GB 1e9 bytes of record values; CPU is the broker"
    )?;
    writeln!(
        page,
        "process's own, from /proc. Client and broker share the cores.\n"
    )?;
    let mut head = "| |".to_owned();
    let mut line = "| --- |".to_owned();
    for kind in &setup.kinds {
        write!(head, " {} |", title(setup, *kind))?;
        line.push_str(" --- |");
    }
    writeln!(page, "{head}\n{line}")?;
    for (what, text, digits) in ROWS {
        write!(page, "| {text} |")?;
        for kind in &setup.kinds {
            write!(page, " {} |", cell(figures, *kind, what, *digits))?;
        }
        writeln!(page)?;
    }
    conditions(&mut page, setup)?;
    Ok(page)
}

/// The machine, the versions and the settings behind the table.
fn conditions(page: &mut String, setup: &Setup) -> Result<(), Failure> {
    let machine = Machine::look(&setup.folder);
    writeln!(page, "\n## What they were measured with\n")?;
    writeln!(
        page,
        "- {}, commit {}, {}; {}",
        machine.date,
        machine.commit,
        machine.rustc,
        output_version(setup)
    )?;
    writeln!(
        page,
        "- {}, {}, {}, data on {}",
        machine.cpu, machine.memory, machine.kernel, machine.file_system
    )?;
    writeln!(
        page,
        "- {} records of {RECORD_SIZE} bytes, {PARTITIONS} partitions, after {} to warm up; librdkafka's rdkafka_performance with \
         `linger.ms=5`, `batch.size=1000000`, else its defaults",
        setup.plan.records, setup.plan.warm_up_records
    )?;
    writeln!(
        page,
        "- Durability of Ottla: `{}`. Kafka as it comes acknowledges from the page cache.",
        setup.durability
    )?;
    if setup
        .kinds
        .iter()
        .any(|kind| matches!(kind, Kind::Kafka | Kind::KafkaSync))
    {
        writeln!(
            page,
            "- Kafka 4.3.1, one node, Java {}, 1 GB heap, G1",
            java_version()
        )?;
    }
    if setup.kinds.contains(&Kind::Floor) {
        writeln!(
            page,
            "- The floor broker (benches/floor.rs) decodes, checks CRCs, writes, syncs and answers; it keeps no index and serves no reads"
        )?;
    }
    Ok(())
}

fn output_version(setup: &Setup) -> String {
    output(&setup.ottla.to_string_lossy(), &["--version"])
}

fn java_version() -> String {
    output("java", &["--version"])
}
