//! The honest client: on a connection of its own it writes, reads back what it wrote, and compares, while others attack.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;

use crate::client::{Client, ProducerId, record};

/// Records of one batch.
const BATCH: usize = 7;

/// A client at work.
#[derive(Debug)]
pub(crate) struct Honest {
    stop: Arc<AtomicBool>,
    /// Records written and read back.
    done: Arc<AtomicUsize>,
    worker: JoinHandle<Result<(), String>>,
}

impl Honest {
    /// Creates its topic and begins.
    pub(crate) fn start(address: SocketAddr) -> Result<Self, String> {
        let mut client = Client::connect(address).map_err(|error| error.to_string())?;
        client.create_topic(1).map_err(|error| error.to_string())?;
        let producer = client.init_producer_id().map_err(|e| e.to_string())?;
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (end, count) = (Arc::clone(&stop), Arc::clone(&done));
        let worker = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let from = count.load(Ordering::Relaxed);
                round(&mut client, producer, from)
                    .map_err(|problem| format!("at record {from}: {problem}"))?;
                count.store(from + BATCH, Ordering::Relaxed);
            }
            Ok(())
        });
        Ok(Self { stop, done, worker })
    }

    /// Records written and read back until now.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether it has given up.
    pub(crate) fn is_hurt(&self) -> bool {
        self.worker.is_finished()
    }

    /// Ends it: how many records it wrote.
    pub(crate) fn finish(self) -> Result<usize, String> {
        self.stop.store(true, Ordering::Relaxed);
        match self.worker.join() {
            Ok(ended) => ended.map_err(|problem| format!("the honest client: {problem}"))?,
            Err(_) => return Err("the honest client panicked".to_owned()),
        }
        Ok(self.done.load(Ordering::Relaxed))
    }
}

/// Reads all `count` records again, on a new connection.
pub(crate) fn read_all(address: SocketAddr, count: usize) -> Result<(), String> {
    let mut client = Client::connect(address).map_err(|error| error.to_string())?;
    let mut next = 0;
    while next < count {
        next = read_back(&mut client, next)?;
    }
    match next == count {
        true => Ok(()),
        false => Err(format!("{next} records where {count} were written")),
    }
}

fn value(number: usize) -> Bytes {
    Bytes::from(format!("{number}:{}", "honest".repeat(number % 50)))
}

/// One batch there and back.
fn round(client: &mut Client, producer: ProducerId, from: usize) -> Result<(), String> {
    let first = i32::try_from(from).map_err(|error| error.to_string())?;
    let batch = (0..BATCH).map(|index| record(Some((producer, first)), index, value(from + index)));
    let records: Vec<_> = batch.collect();
    client
        .produce(0, &records)
        .map_err(|error| error.to_string())?;
    let answer = client.produced().map_err(|error| error.to_string())?;
    if answer != (0, 0, i64::from(first)) {
        return Err(format!("acknowledged as {answer:?}"));
    }
    match read_back(client, from)? {
        end if end == from + BATCH => Ok(()),
        end => Err(format!("read {from} to {end}")),
    }
}

/// Reads from a record on and compares; the record after the last one read.
fn read_back(client: &mut Client, from: usize) -> Result<usize, String> {
    let offset = i64::try_from(from).map_err(|error| error.to_string())?;
    let (records, _) = client.fetch(0, offset).map_err(|error| error.to_string())?;
    if records.is_empty() {
        return Err(format!("nothing to read at {from}"));
    }
    for (number, record) in (from..).zip(&records) {
        let place = i64::try_from(number).map_err(|error| error.to_string())?;
        if record.offset != place || record.value != value(number) {
            return Err(format!("read {record:?} instead of record {number}"));
        }
    }
    Ok(from + records.len())
}
