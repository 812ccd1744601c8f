//! Attacks by connections: slow, cut, half closed, deaf, idle, and many.

use std::io;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiVersionsRequest, FetchResponse};
use ottla::api::APIS;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::arena::{Arena, Effort, ask, frame};
use crate::load::{DEAF_BYTES, FETCH, PRODUCE, fetch, produce};
use crate::records;
use crate::request;
use crate::wire::{Outcome, Wire, framed};

/// Connections that only are there.
const IDLE: usize = 10_000;

/// File descriptors that this process needs beside them.
const SPARE_FILES: u64 = 200;

/// Clients that close their side, of which one must get its answer.
const HALF_CLOSED_TRIES: usize = 5;

/// Clients that ask for much and read nothing.
const DEAF: usize = 100;

/// The topic that they ask for.
pub(crate) const DEAF_TOPIC: &str = "hostile-deaf";

/// Until then whoever reads has records: longer than the broker bears the deaf.
const HEARD_MAX: Duration = Duration::from_secs(40);

fn connect(arena: &Arena) -> Result<Wire, String> {
    Wire::connect(arena.address).map_err(|error| format!("cannot connect: {error}"))
}

/// A client that has its whole life before it is served like any other.
fn is_served(arena: &Arena) -> Result<(), String> {
    ask(arena.address, 0, &ApiVersionsRequest::default()).map(|_| ())
}

/// Requests of every API, a byte at a time, all of them at once.
pub(crate) fn a_byte_at_a_time(arena: &Arena) -> Result<(), String> {
    let mut slow = Vec::new();
    for api in APIS {
        let bytes = framed(&request::right(api, *api.versions.end(), &arena.facts));
        slow.push((connect(arena)?, bytes));
    }
    let longest = slow.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
    for at in 0..longest {
        for (wire, bytes) in &mut slow {
            wire.send(bytes.get(at..=at).unwrap_or_default());
        }
    }
    for ((mut wire, _), api) in slow.into_iter().zip(APIS) {
        match wire.answer()? {
            Outcome::Answered(_) => {}
            other => return Err(format!("{:?} byte by byte: {other:?}", api.key)),
        }
    }
    Ok(())
}

/// Connections that end at every byte of a request: closed, half closed, reset.
pub(crate) fn cut_at_every_byte(arena: &Arena) -> Result<(), String> {
    arena.on_each_version(|_, api, version| {
        let bytes = framed(&request::right(api, version, &arena.facts));
        for end in 0..bytes.len() {
            let mut wire = connect(arena)?;
            wire.send(&bytes[..end]);
            if end % 3 == 0 {
                let half = wire.stream.shutdown(Shutdown::Write);
                half.map_err(|error| error.to_string())?;
                wire.drained()
                    .map_err(|problem| format!("half closed at {end}: {problem}"))?;
            } else if end % 3 == 1 {
                // Closing with bytes unread, or with no time to linger, is a reset.
                let linger =
                    socket2::SockRef::from(&wire.stream).set_linger(Some(Default::default()));
                linger.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    })
}

/// A client that ends its side after a whole request still gets its answer.
pub(crate) fn half_closed(arena: &Arena) -> Result<(), String> {
    arena.on_each_version(|_, api, version| {
        let mut seen = Outcome::Silent;
        // On a busy machine the answer may come too late: the broker waits a second for it.
        for _ in 0..HALF_CLOSED_TRIES {
            let mut wire = connect(arena)?;
            wire.send_frame(&request::right(api, version, &arena.facts));
            let half = wire.stream.shutdown(Shutdown::Write);
            half.map_err(|error| error.to_string())?;
            seen = wire.answer()?;
            if matches!(seen, Outcome::Answered(_)) {
                return wire.drained();
            }
        }
        Err(format!("{seen:?} instead of an answer"))
    })
}

/// Clients that ask for more than the broker has memory for, and do not read. They stay until the broker stops, or
/// closes them because others wait for the memory.
pub(crate) fn deaf(arena: &Arena) -> Result<Vec<Wire>, String> {
    fill(arena, usize::try_from(DEAF_BYTES).expect("a size"))?;
    let frame = frame(FETCH, &fetch(DEAF_TOPIC, &[0]));
    let mut deaf = Vec::new();
    for number in 0..DEAF {
        let mut wire = connect(arena)?;
        (0..4).for_each(|_| wire.send_frame(&frame));
        // One after the other: what one holds has left the cache when the next one reads.
        wire.hears_something()?;
        deaf.push(wire);
        if number % 10 == 0 {
            is_served(arena)?;
        }
    }
    (0..10).try_for_each(|_| is_served(arena))?;
    hears_records(arena)?;
    Ok(deaf)
}

/// Whoever reads gets records, however much is held for the deaf: the memory for answers is used up, and a batch is larger
/// than what is free without it.
fn hears_records(arena: &Arena) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let answer: FetchResponse = ask(arena.address, FETCH, &fetch(DEAF_TOPIC, &[0]))?;
        let partition = &answer.responses[0].partitions[0];
        match (partition.error_code, &partition.records) {
            (0, Some(records)) if !records.is_empty() => return Ok(()),
            (0, _) if begun.elapsed() < HEARD_MAX => {}
            (code, _) => {
                return Err(format!(
                    "no records among the deaf after {:?}, error {code}",
                    begun.elapsed()
                ));
            }
        }
    }
}

/// Writes so many bytes of records to the topic of the deaf, which nobody else attacks.
fn fill(arena: &Arena, bytes: usize) -> Result<(), String> {
    const BATCH: usize = 900_000;
    for _ in 0..bytes.div_ceil(BATCH) {
        let request = produce(DEAF_TOPIC, 0, records::batch(1, BATCH));
        let answer = ask(arena.address, PRODUCE, &request)?;
        match answer.responses[0].partition_responses[0].error_code {
            0 => {}
            code => return Err(format!("filling the topic: error {code}")),
        }
    }
    Ok(())
}

/// Thousands of connections that send nothing, or the beginning of a frame. They stay until the broker stops.
pub(crate) fn idle(arena: &Arena) -> Result<Vec<Wire>, String> {
    let count = raise_file_limit().min(IDLE);
    let mut idle = Vec::with_capacity(count);
    for number in 0..count {
        let mut wire = match Wire::connect(arena.address) {
            Ok(wire) => wire,
            // Out of ports or files after all: as many as there are.
            Err(error) if number > 0 && error.kind() != io::ErrorKind::ConnectionRefused => break,
            Err(error) => return Err(format!("connection {number}: {error}")),
        };
        if number % 4 == 0 {
            wire.send(&[0, 0, 1, 0, 0, 18]);
        }
        idle.push(wire);
        // In step with the broker: its queue of connections that wait to be accepted is short.
        if number % 16 == 0 {
            is_served(arena)?;
        }
    }
    is_served(arena)?;
    Ok(idle)
}

/// Lets this process, and the broker after it, open as many files as may be: how many connections that is room for.
pub(crate) fn raise_file_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it can't be raised the old limit counts.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files.saturating_sub(SPARE_FILES)).unwrap_or(usize::MAX)
}

/// How much is held open, in words.
pub(crate) fn effort_in_words(effort: Effort, idle: usize) -> String {
    let cut = if idle < IDLE {
        ", as many as this system allows"
    } else {
        ""
    };
    format!("{effort:?}, {DEAF} deaf and {idle} idle connections{cut}")
}
