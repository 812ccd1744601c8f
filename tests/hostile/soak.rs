//! An hour's worth of load in minutes: what `ottla --print-budgets` says bounds the memory of a broker at work.
//!
//! Writers and readers over many partitions, clients that read nothing, connections that come and go, topics made and
//! deleted, groups that members join and leave. Run by `scripts/soak`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{
    ApiVersionsRequest, DeleteTopicsRequest, GroupId, JoinGroupRequest, LeaveGroupRequest,
    ProduceResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::arena::{ask, frame};
use crate::broker::{Broker, Cage};
use crate::load::{FETCH, PRODUCE, create_topic, fetch, produce, topic_name};
use crate::wire::Wire;
use crate::{records, say};

/// Beside the budgets: the program, its threads, what the allocator keeps of what was freed, and what the budgets are
/// counted without: topics, partitions, connections. Bytes.
const FIXED_SIZE: u64 = 64 << 20;

/// What may be left of the load when it is over, bytes: caches that were empty at the beginning, rows, fragments.
const IDLE_GROWTH_MAX: u64 = 96 << 20;

/// Longer than anything is kept that nobody needs: cached records for a minute, read buffers and freed pages for less.
const IDLE_MAX: Duration = Duration::from_secs(90);

/// In plain `cargo test`; scripts/soak asks for more.
const MINUTES: f64 = 0.1;

const PARTITIONS: i32 = 64;
const TOPIC: &str = "soak";

/// Bytes of a batch, some of each.
const BATCH_SIZES: [usize; 4] = [100, 2_000, 30_000, 900_000];

/// Clients that ask for much and read nothing, at a time.
const DEAF: usize = 40;

/// Budgets small enough that a broken one shows.
const SETTINGS: [&str; 7] = [
    "ottla.request.memory.bytes=16777216",
    "socket.request.max.bytes=2097152",
    "ottla.cache.bytes=16777216",
    "ottla.checkpoint.overlay.bytes=1048576",
    "ottla.store.cache.bytes=4194304",
    "group.initial.rebalance.delay.ms=0",
    "log.segment.bytes=16777216",
];

/// A worker: one step of its load.
type Step = fn(&Load, u64) -> Result<(), String>;

const WORKERS: [(&str, Step); 7] = [
    ("writer", Load::write),
    ("second writer", Load::write),
    ("reader", Load::read),
    ("deaf", Load::ask_and_not_read),
    ("churn", Load::come_and_go),
    ("topics", Load::make_and_delete),
    ("groups", Load::join_and_leave),
];

/// What the workers share.
struct Load {
    address: SocketAddr,
    bytes: AtomicU64,
    steps: AtomicU64,
}

#[test]
fn memory_stays_within_its_budgets() {
    let minutes = std::env::var("OTTLA_SOAK_MINUTES").ok();
    let minutes: f64 = minutes
        .and_then(|text| text.parse().ok())
        .unwrap_or(MINUTES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let soaked = soak(folder.path(), Duration::from_secs_f64(minutes * 60.0));
    soaked.unwrap_or_else(|problem| panic!("{problem}"));
}

fn soak(folder: &Path, time: Duration) -> Result<(), String> {
    let bound = sum_of_budgets()? + FIXED_SIZE;
    let mut broker = Broker::start(folder, 1, &SETTINGS, Cage::ROOMY)?;
    create_topic(broker.address, TOPIC, PARTITIONS)?;
    let (begin, _) = broker.memory();
    let load = Load {
        address: broker.address,
        bytes: AtomicU64::new(0),
        steps: AtomicU64::new(0),
    };
    let worked = load.run(time);
    broker.check()?;
    worked?;
    let (_, peak) = broker.memory();
    say(&format!(
        "{} steps, {} MiB written; memory at most {} MiB, {} MiB allowed",
        load.steps.load(Ordering::Relaxed),
        load.bytes.load(Ordering::Relaxed) >> 20,
        peak >> 20,
        bound >> 20
    ));
    if peak > bound {
        return Err(format!(
            "memory was {} MiB, the budgets and the fixed part allow {}",
            peak >> 20,
            bound >> 20
        ));
    }
    idle(&broker, begin)?;
    broker.stop()
}

/// Waits until memory is near what it was before the load.
fn idle(broker: &Broker, begin: u64) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let (now, _) = broker.memory();
        let words = format!("{} MiB, {} before the load", now >> 20, begin >> 20);
        if now <= begin + IDLE_GROWTH_MAX {
            say(&format!("idle again at {words}"));
            return Ok(());
        }
        if started.elapsed() > IDLE_MAX {
            return Err(format!("idle memory is {words}"));
        }
        // The allocator gives back as it is used.
        let _ = ask(broker.address, 0, &ApiVersionsRequest::default());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the broker itself says, with these settings, bytes.
fn sum_of_budgets() -> Result<u64, String> {
    let printed = Command::new(env!("CARGO_BIN_EXE_ottla"))
        .arg("--print-budgets")
        .args(SETTINGS.iter().flat_map(|setting| ["--set", setting]))
        .output()
        .map_err(|error| error.to_string())?;
    let page = String::from_utf8_lossy(&printed.stdout);
    let sum = page.lines().find_map(|line| line.strip_prefix("sum "));
    let sum = sum.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let problem = String::from_utf8_lossy(&printed.stderr);
    sum.ok_or_else(|| format!("no sum of budgets: {page}{problem}"))
}

impl Load {
    /// Every worker takes steps until the time is over; the first problem ends all.
    fn run(&self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        let problem = Mutex::new(None);
        let is_over = || Instant::now() > end || problem.lock().is_ok_and(|found| found.is_some());
        std::thread::scope(|scope| {
            for (number, (name, step)) in (0_u64..).zip(WORKERS) {
                let (problem, is_over) = (&problem, &is_over);
                scope.spawn(move || {
                    let mut round = number << 32;
                    while !is_over() {
                        round += 1;
                        if let Err(found) = step(self, round) {
                            let mut problem = problem.lock().expect("no worker panics");
                            problem.get_or_insert(format!("{name}: {found}"));
                        }
                        self.steps.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let problem = problem.into_inner().expect("no worker panics");
        problem.map_or(Ok(()), Err)
    }

    fn write(&self, round: u64) -> Result<(), String> {
        let size = BATCH_SIZES[usize::try_from(round % 4).unwrap_or(0)];
        let request = produce(TOPIC, partition(round), records::batch(1, size));
        let answer: ProduceResponse = ask(self.address, PRODUCE, &request)?;
        self.bytes.fetch_add(size as u64, Ordering::Relaxed);
        match answer.responses[0].partition_responses[0].error_code {
            0 => Ok(()),
            code => Err(format!("produce: error {code}")),
        }
    }

    fn read(&self, round: u64) -> Result<(), String> {
        let indexes: Vec<i32> = (0..8).map(|more| partition(round * 8 + more)).collect();
        let answer = ask(self.address, FETCH, &fetch(TOPIC, &indexes))?;
        let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        match partitions.find(|partition| partition.error_code != 0) {
            Some(partition) => Err(format!("fetch: error {}", partition.error_code)),
            None => Ok(()),
        }
    }

    fn ask_and_not_read(&self, round: u64) -> Result<(), String> {
        let all: Vec<i32> = (0..PARTITIONS).collect();
        let bytes = frame(FETCH, &fetch(TOPIC, &all));
        let mut deaf = Vec::new();
        for _ in 0..DEAF {
            let mut wire = Wire::connect(self.address).map_err(|error| error.to_string())?;
            (0..2).for_each(|_| wire.send_frame(&bytes));
            deaf.push(wire);
        }
        std::thread::sleep(Duration::from_secs(round % 3 * 2 + 1));
        Ok(())
    }

    fn come_and_go(&self, round: u64) -> Result<(), String> {
        let mut wire = Wire::connect(self.address).map_err(|error| error.to_string())?;
        if round.is_multiple_of(2) {
            wire.send(&[0, 0, 1]);
            return Ok(());
        }
        ask(self.address, 0, &ApiVersionsRequest::default()).map(drop)
    }

    fn make_and_delete(&self, round: u64) -> Result<(), String> {
        let name = format!("soak-{}", round % 10);
        create_topic(self.address, &name, 16)?;
        let written = produce(&name, partition(round) % 16, records::batch(3, 1_000));
        ask(self.address, PRODUCE, &written)?;
        let topic = DeleteTopicState::default().with_name(Some(topic_name(&name)));
        let request = DeleteTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        match ask(self.address, 6, &request)?.responses[0].error_code {
            0 => Ok(()),
            code => Err(format!("deleting {name}: error {code}")),
        }
    }

    fn join_and_leave(&self, round: u64) -> Result<(), String> {
        let group = GroupId(StrBytes::from_string(format!("soak-{}", round % 2_000)));
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str("range"))
            .with_metadata(vec![7; 4_000].into());
        let join = JoinGroupRequest::default()
            .with_group_id(group.clone())
            .with_session_timeout_ms(6_000)
            .with_rebalance_timeout_ms(6_000)
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol]);
        let joined = ask(self.address, 3, &join)?;
        if joined.error_code != 0 {
            return Err(format!("joining: error {}", joined.error_code));
        }
        let leave = LeaveGroupRequest::default()
            .with_group_id(group)
            .with_member_id(joined.member_id);
        match round % 3 {
            // Its session ends by itself.
            0 => Ok(()),
            _ => ask(self.address, 2, &leave).map(drop),
        }
    }
}

fn partition(round: u64) -> i32 {
    i32::try_from(round % u64::from(PARTITIONS.unsigned_abs())).unwrap_or(0)
}
