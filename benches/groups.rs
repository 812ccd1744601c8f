//! What members of groups cost a broker: ten thousand members over a thousand groups, heartbeating as clients do by
//! default, and silent. `cargo bench --bench groups` prints a table; docs/benchmarks-groups.md keeps one.
//!
//! The client is not measured: it holds ten connections, each of which is one member in every group.

use std::error::Error;
use std::io::{Read, Write, stdout};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, RequestHeader, SyncGroupRequest,
};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};

type Failure = Box<dyn Error + Send + Sync>;

const GROUPS: usize = 1_000;
const MEMBERS_PER_GROUP: usize = 10;

/// `heartbeat.interval.ms` of Kafka's consumer.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// `session.timeout.ms` of Kafka's consumer.
const SESSION_TIMEOUT_MS: i32 = 45_000;

/// Rounds of heartbeats that are measured, and how long the silence is.
const ROUNDS: u32 = 5;
const SILENCE: Duration = Duration::from_secs(8);

fn main() -> Result<(), Failure> {
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let before_mb = broker.resident_mb()?;
    let barrier = Barrier::new(MEMBERS_PER_GROUP);
    let mut connections = Vec::new();
    for _ in 0..MEMBERS_PER_GROUP {
        connections.push(Connection::open(&broker.address)?);
    }
    in_parallel(&mut connections, |connection| connection.join_all(&barrier))?;
    let with_members_mb = broker.resident_mb()?;

    let heartbeats = broker.cpu_of(|| {
        in_parallel(&mut connections, |connection| {
            (0..ROUNDS).try_for_each(|_| connection.heartbeat_all())
        })
    })?;
    let silence = broker.cpu_of(|| {
        sleep(SILENCE);
        Ok(())
    })?;
    // Everybody is still there.
    in_parallel(&mut connections, Connection::heartbeat_all)?;
    writeln!(
        stdout(),
        "| {MEMBERS_PER_GROUP} members in each of {GROUPS} groups | |\n| --- | --- |\n\
         | a heartbeat of each every {} s: broker CPU % | {:.2} |\n\
         | broker CPU per heartbeat: µs | {:.1} |\n\
         | nobody sends anything: broker CPU % | {:.2} |\n\
         | resident MB: before, with all members, after | {before_mb:.0}, {with_members_mb:.0}, {:.0} |",
        HEARTBEAT_INTERVAL.as_secs(),
        heartbeats.percent(),
        heartbeats.cpu.as_secs_f64() * 1e6
            / f64::from(ROUNDS)
            / (GROUPS * MEMBERS_PER_GROUP) as f64,
        silence.percent(),
        broker.resident_mb()?,
    )?;
    Ok(())
}

/// Runs `step` on all connections at a time.
fn in_parallel(
    connections: &mut [Connection],
    step: impl Fn(&mut Connection) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let step = &step;
    scope(|scope| {
        let running: Vec<_> = connections
            .iter_mut()
            .map(|connection| scope.spawn(move || step(connection)))
            .collect();
        let mut ended = running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a panic")?);
        ended.try_for_each(|end| end)
    })
}

/// Time that a process worked, and over how long.
struct Cpu {
    cpu: Duration,
    wall: Duration,
}

impl Cpu {
    fn percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// The binary, killed when this is dropped.
struct Broker {
    child: Child,
    address: String,
}

impl Broker {
    fn start(folder: &Path) -> Result<Self, Failure> {
        let ready = folder.join("ready");
        let child = Command::new(env!("CARGO_BIN_EXE_ottla"))
            .args(["--listen", "127.0.0.1:0", "--log", "warn", "--data"])
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            // The members of a group come within this time: one rebalance each.
            .args(["--set", "group.initial.rebalance.delay.ms=10"])
            .stdout(Stdio::null())
            .spawn()?;
        let mut broker = Self {
            child,
            address: String::new(),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while broker.address.is_empty() {
            if Instant::now() > deadline {
                return Err("the broker is not ready in time".into());
            }
            sleep(Duration::from_millis(5));
            let text = std::fs::read_to_string(&ready).unwrap_or_default();
            broker.address = text.lines().next().unwrap_or_default().trim().to_owned();
        }
        Ok(broker)
    }

    fn resident_mb(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("no VmRSS")?.parse::<f64>()? * 1024.0 / 1e6)
    }

    /// User and system time so far; /proc counts in hundredths of a second.
    fn cpu(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    fn cpu_of(&self, work: impl FnOnce() -> Result<(), Failure>) -> Result<Cpu, Failure> {
        let (before, started) = (self.cpu()?, Instant::now());
        work()?;
        Ok(Cpu {
            cpu: self.cpu()? - before,
            wall: started.elapsed(),
        })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection, and its member's id in each group.
struct Connection {
    stream: TcpStream,
    member_ids: Vec<StrBytes>,
}

impl Connection {
    fn open(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            member_ids: Vec::new(),
        })
    }

    fn ask<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response, Failure> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version);
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        encode_request_header_into_buffer(&mut frame, &header)?;
        request.encode(&mut frame, version)?;
        let length = i32::try_from(frame.len() - 4)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
        self.stream.read_exact(&mut answer)?;
        let mut answer = Bytes::from(answer);
        let flexible = R::Response::header_version(version) >= 1;
        answer.advance(if flexible { 5 } else { 4 });
        Ok(R::Response::decode(&mut answer, version)?)
    }

    /// Becomes a member of every group, one after the other, at the same time as the other connections.
    fn join_all(&mut self, barrier: &Barrier) -> Result<(), Failure> {
        for group in 0..GROUPS {
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_static_str("range"))
                .with_metadata(Bytes::from_static(
                    b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff",
                ));
            let mut join = JoinGroupRequest::default()
                .with_group_id(group_id(group))
                .with_session_timeout_ms(SESSION_TIMEOUT_MS)
                .with_rebalance_timeout_ms(300_000)
                .with_protocol_type(StrBytes::from_static_str("consumer"))
                .with_protocols(vec![protocol]);
            join.member_id = self.ask(9, &join)?.member_id;
            barrier.wait();
            let joined = self.ask(9, &join)?;
            let share = |member_id| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(member_id)
                    .with_assignment(Bytes::from_static(&[0; 32]))
            };
            let members = joined.members.into_iter().map(|member| member.member_id);
            let sync = SyncGroupRequest::default()
                .with_group_id(group_id(group))
                .with_member_id(joined.member_id.clone())
                .with_generation_id(joined.generation_id)
                .with_assignments(members.map(share).collect());
            let synced = self.ask(5, &sync)?;
            if (joined.error_code, joined.generation_id, synced.error_code) != (0, 1, 0) {
                return Err(format!("group {group} did not come together at once").into());
            }
            self.member_ids.push(joined.member_id);
        }
        Ok(())
    }

    /// A heartbeat for every group, spread over the interval.
    fn heartbeat_all(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        for group in 0..GROUPS {
            let heartbeat = HeartbeatRequest::default()
                .with_group_id(group_id(group))
                .with_member_id(self.member_ids[group].clone())
                .with_generation_id(1);
            let answer = self.ask(4, &heartbeat)?;
            if answer.error_code != 0 {
                return Err(format!("group {group}: error {}", answer.error_code).into());
            }
            let due = HEARTBEAT_INTERVAL * u32::try_from(group + 1)? / u32::try_from(GROUPS)?;
            sleep(due.saturating_sub(started.elapsed()));
        }
        Ok(())
    }
}

fn group_id(group: usize) -> GroupId {
    GroupId(StrBytes::from_string(format!("group-{group}")))
}
