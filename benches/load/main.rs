//! The raw-protocol generator: what librdkafka and Kafka's own tools can't drive, `load COMMAND key=value...`.
//!
//! Each command prints one line of JSON. `benches/beside` calls it; nothing here knows which broker it talks to.

mod disk;
mod fetch;
mod produce;
mod start;
mod topics;
mod wire;

use std::collections::HashMap;
use std::error::Error;
use std::io::{Write, stdout};
use std::str::FromStr;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// `key=value` arguments.
pub(crate) struct Arguments(HashMap<String, String>);

impl Arguments {
    pub(crate) fn get<T: FromStr>(&self, key: &str) -> Result<T, Failure>
    where
        T::Err: Error + Send + Sync + 'static,
    {
        let value = self
            .0
            .get(key)
            .ok_or_else(|| format!("{key}=... is missing"))?;
        Ok(value.parse()?)
    }

    pub(crate) fn get_or<T: FromStr>(&self, key: &str, default: T) -> Result<T, Failure>
    where
        T::Err: Error + Send + Sync + 'static,
    {
        if self.0.contains_key(key) {
            self.get(key)
        } else {
            Ok(default)
        }
    }
}

/// What was measured, as JSON: a flat object of numbers.
pub(crate) type Measures = Vec<(&'static str, f64)>;

fn main() -> Result<(), Failure> {
    // `cargo bench` calls every bench target with `--bench` alone: then there is nothing to do.
    let mut arguments = std::env::args().skip(1);
    let Some(command) = arguments.next().filter(|command| command != "--bench") else {
        return Ok(());
    };
    let mut pairs = HashMap::new();
    let mut program = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            program.extend(arguments.by_ref());
        } else if let Some((key, value)) = argument.split_once('=') {
            pairs.insert(key.to_owned(), value.to_owned());
        } else {
            return Err(format!("{argument} is not key=value").into());
        }
    }
    let arguments = Arguments(pairs);
    let measures = match command.as_str() {
        "disk" => disk::limits(&arguments)?,
        "start" => start::start(&arguments, &program)?,
        _ => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(over_the_wire(&command, &arguments))?,
    };
    let fields: Vec<String> = measures
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    writeln!(stdout(), "{{{}}}", fields.join(", "))?;
    Ok(())
}

async fn over_the_wire(command: &str, arguments: &Arguments) -> Result<Measures, Failure> {
    match command {
        "create" => topics::create(arguments).await,
        "delete" => topics::delete(arguments).await,
        "produce" => produce::produce(arguments).await,
        "fetch" => fetch::fetch(arguments).await,
        other => {
            Err(format!("no command {other}: disk, start, create, delete, produce or fetch").into())
        }
    }
}

/// The value below which `share` (0 to 1) of the sorted `values` lie, in milliseconds.
pub(crate) fn percentile_ms(values: &[u64], share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a list, from a share between 0 and 1"
    )]
    let at = ((values.len() - 1) as f64 * share) as usize;
    nanoseconds_to_ms(values[at])
}

#[expect(clippy::cast_precision_loss, reason = "days are far below 2^53 ns")]
pub(crate) fn nanoseconds_to_ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
