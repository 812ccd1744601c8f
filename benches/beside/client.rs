//! The clients: one raw request to see whether a broker answers, and librdkafka's rdkafka_performance for the rest.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Failure, PARTITIONS, RECORD_SIZE, Setup};

const TOPIC: &str = "bench";
/// A step that takes longer than this has hung.
const STEP_MAX: Duration = Duration::from_secs(300);

/// ApiVersions version 0 with correlation id 7 and no client id, length first.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Whether a connection is taken and ApiVersions answered without an error.
pub(crate) fn answers(address: &str) -> bool {
    let ask = || -> std::io::Result<[u8; 10]> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(&API_VERSIONS)?;
        let mut start = [0; 10];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    // Length, correlation id, error code.
    ask().is_ok_and(|start| start[4..] == [0, 0, 0, 7, 0, 0])
}

pub(crate) struct Throughput {
    pub(crate) mb_per_second: f64,
    /// Payload moved, in GB of 1e9 bytes.
    pub(crate) gb: f64,
}

/// One producer that waits for every acknowledgement.
pub(crate) fn produce(setup: &Setup, address: &str, records: u64) -> Result<Throughput, Failure> {
    let mut command = Command::new(&setup.performance);
    command.args(["-P", "-t", TOPIC, "-b", address, "-a", "-1"]);
    command.args(["-s", &RECORD_SIZE.to_string(), "-c", &records.to_string()]);
    command.args(["-X", "linger.ms=5", "-X", "batch.size=1000000"]);
    run(command, records)
}

/// One consumer of every partition, by assignment, from the beginning.
pub(crate) fn consume(setup: &Setup, address: &str, records: u64) -> Result<Throughput, Failure> {
    let mut command = Command::new(&setup.performance);
    command.args([
        "-C",
        "-t",
        TOPIC,
        "-b",
        address,
        "-o",
        "beginning",
        "-c",
        &records.to_string(),
    ]);
    for partition in 0..PARTITIONS {
        command.args(["-p", &partition.to_string()]);
    }
    run(command, records)
}

fn run(mut command: Command, records: u64) -> Result<Throughput, Failure> {
    // Nothing is printed between start and end, so the pipe holds it all.
    command.args(["-q", "-u", "-i", "1000000", "-X", "log_level=3"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > STEP_MAX {
            child.kill()?;
            child.wait()?;
            return Err(format!("not done after {} s: {command:?}", STEP_MAX.as_secs()).into());
        }
        sleep(Duration::from_millis(5));
    }
    let output = String::from_utf8(child.wait_with_output()?.stdout)?;
    throughput(&output, records).ok_or_else(|| format!("{command:?} said:\n{output}").into())
}

/// Reads the last row of the table: elapsed ms first, then records, bytes, round trip, and for a producer the records
/// that were acknowledged.
fn throughput(output: &str, records: u64) -> Option<Throughput> {
    let header = output.lines().find(|line| line.contains("elapsed"))?;
    let row = output
        .lines()
        .rfind(|line| line.starts_with('|') && !line.contains("elapsed"))?;
    let columns = |line: &str| -> Vec<String> {
        line.split('|')
            .skip(1)
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let (header, row) = (columns(header), columns(row));
    let cell = |name: &str| -> Option<f64> {
        let at = header.iter().position(|column| column == name)?;
        row.get(at)?.parse().ok()
    };
    let moved = cell("dr").or_else(|| cell("msgs"))?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "record counts are far below 2^53"
    )]
    let (expected, bytes) = (records as f64, moved * RECORD_SIZE as f64);
    if moved < expected || cell("dr_err").is_some_and(|errors| errors > 0.0) {
        return None;
    }
    let seconds = cell("elapsed")? / 1000.0;
    Some(Throughput {
        mb_per_second: bytes / 1e6 / seconds,
        gb: bytes / 1e9,
    })
}
