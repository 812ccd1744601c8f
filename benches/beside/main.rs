//! The bench: Ottla beside other brokers, with the client that users have, in interleaved rounds.
//!
//! `scripts/bench` builds what it needs and calls it. Each round starts every broker fresh, one at a time, so that a
//! bad minute of the machine hits all of them; what is written down are medians and spread.

mod broker;
mod client;
mod machine;
mod report;

use std::error::Error;
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use broker::{Kind, Running};
use report::Figure;

pub(crate) type Failure = Box<dyn Error>;

/// Partitions of every topic that is written to.
pub(crate) const PARTITIONS: u32 = 4;
/// Bytes of each record's value.
pub(crate) const RECORD_SIZE: u64 = 1024;

/// How much is done in one run.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// Records written, then read, in each measured step.
    pub(crate) records: u64,
    /// Records written before, so that a JIT compiler and recycled files are in their usual state.
    pub(crate) warm_up_records: u64,
    pub(crate) idle: Duration,
}

const FULL: Plan = Plan {
    rounds: 5,
    records: 2_000_000,
    warm_up_records: 300_000,
    idle: Duration::from_secs(30),
};

const QUICK: Plan = Plan {
    rounds: 1,
    records: 500_000,
    warm_up_records: 100_000,
    idle: Duration::from_secs(5),
};

/// Where the programs are and what to run.
pub(crate) struct Setup {
    pub(crate) ottla: PathBuf,
    pub(crate) floor: PathBuf,
    pub(crate) performance: PathBuf,
    /// The folder with Kafka's jars, where Kafka takes part.
    pub(crate) jars: Option<PathBuf>,
    /// Brokers get their folders in here; it should be on a real disk.
    pub(crate) folder: PathBuf,
    pub(crate) durability: String,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) plan: Plan,
    /// The report is written here; without it, to stdout.
    pub(crate) report: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    let Some(setup) = setup(std::env::args().skip(1).collect())? else {
        return Ok(());
    };
    std::fs::create_dir_all(&setup.folder)?;
    let mut figures = Vec::new();
    for round in 0..setup.plan.rounds {
        for kind in &setup.kinds {
            writeln!(
                stderr(),
                "round {} of {}: {}",
                round + 1,
                setup.plan.rounds,
                kind.name()
            )?;
            figures.extend(measure(&setup, *kind, round)?);
        }
    }
    let text = report::write(&setup, &figures)?;
    match &setup.report {
        Some(path) => std::fs::write(path, text)?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(())
}

/// `None` when it was not called by scripts/bench: `cargo bench` calls every bench target with `--bench` alone.
fn setup(arguments: Vec<String>) -> Result<Option<Setup>, Failure> {
    let mut setup = Setup {
        ottla: PathBuf::new(),
        floor: PathBuf::new(),
        performance: PathBuf::new(),
        jars: None,
        folder: PathBuf::new(),
        durability: "fsync".to_owned(),
        kinds: vec![Kind::Ottla],
        plan: FULL,
        report: None,
    };
    let mut arguments = arguments
        .into_iter()
        .filter(|argument| argument != "--bench")
        .peekable();
    if arguments.peek().is_none() {
        return Ok(None);
    }
    while let Some(flag) = arguments.next() {
        if flag == "--quick" {
            setup.plan = QUICK;
            continue;
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--ottla" => setup.ottla = value.into(),
            "--floor" => setup.floor = value.into(),
            "--performance" => setup.performance = value.into(),
            "--jars" => setup.jars = Some(value.into()),
            "--folder" => setup.folder = value.into(),
            "--durability" => setup.durability = value,
            "--rounds" => setup.plan.rounds = value.parse()?,
            "--records" => setup.plan.records = value.parse()?,
            "--report" => setup.report = Some(value.into()),
            // The first of them is what the others are compared with.
            "--brokers" => {
                setup.kinds = value
                    .split(',')
                    .map(Kind::parse)
                    .collect::<Result<_, _>>()?
            }
            other => return Err(format!("{other} is not a flag of the bench").into()),
        }
    }
    Ok(Some(setup))
}

/// One broker's part of a round: start, idle, write, read, stop.
fn measure(setup: &Setup, kind: Kind, round: usize) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    let mut note = |what, value| figures.push(Figure { kind, what, value });
    let broker = Running::start(setup, kind)?;
    note("start_ms", broker.start_ms);
    if kind.settles_slowly() {
        sleep(Duration::from_secs(5));
    }
    if round == 0 {
        sleep(Duration::from_secs(1));
        note("idle_rss_mb", broker.resident_mb()?);
        let before = broker.cpu_seconds()?;
        sleep(setup.plan.idle);
        let used = broker.cpu_seconds()? - before;
        note(
            "idle_cpu_percent",
            100.0 * used / setup.plan.idle.as_secs_f64(),
        );
    }

    client::produce(setup, &broker.address, setup.plan.warm_up_records)?;
    let before = broker.cpu_seconds()?;
    let produced = client::produce(setup, &broker.address, setup.plan.records)?;
    note("produce_mb_s", produced.mb_per_second);
    note(
        "produce_cpu_s_gb",
        (broker.cpu_seconds()? - before) / produced.gb,
    );

    if kind.serves_reads() {
        let records = setup.plan.warm_up_records + setup.plan.records;
        client::consume(setup, &broker.address, setup.plan.warm_up_records)?;
        let before = broker.cpu_seconds()?;
        let consumed = client::consume(setup, &broker.address, records)?;
        note("consume_mb_s", consumed.mb_per_second);
        note(
            "consume_cpu_s_gb",
            (broker.cpu_seconds()? - before) / consumed.gb,
        );
    }
    note("busy_rss_mb", broker.resident_mb()?);
    broker.stop()?;
    Ok(figures)
}
