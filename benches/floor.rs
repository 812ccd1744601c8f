//! The floor broker: a measuring stick, not a broker.
//!
//! It decodes Produce, checks each batch's CRC, writes what waits with direct I/O, syncs, answers, and does nothing
//! else: no rows, no reads, nothing found again. What it reaches is what this machine and this client allow, so a bad
//! day of the machine can be told from a fault of ours. Usage: `floor HOST:PORT FILE PARTITIONS`; FILE is overwritten.

use ottla::base::crc32c;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, ProduceRequest,
    ProduceResponse, RequestHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

type Failure = Box<dyn Error + Send + Sync>;

/// The alignment that direct I/O asks for.
const ALIGNMENT: usize = 4096;
/// The most that is written under one sync.
const WRITE_MAX: usize = 16 << 20;
/// The longest request that is read.
const FRAME_MAX: usize = 64 << 20;
/// Where the CRC of a batch stands, and where what it covers begins.
const CRC_AT: usize = 17;
const CRC_COVERS_FROM: usize = 21;

/// One answer, with the batches that must be on disk before it goes out. Requests without batches take the same way,
/// so that answers keep the order of their requests.
struct Job {
    batches: Vec<Bytes>,
    answer: Bytes,
    to: Sender<Bytes>,
}

fn main() -> Result<(), Failure> {
    // `cargo bench` calls every bench target with `--bench`: then there is nothing to serve.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, partitions] = arguments.as_slice() else {
        return Ok(());
    };
    let partitions = partitions.parse()?;
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits())?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .custom_flags(direct)
        .open(path)?;
    let (jobs, waiting) = sync_channel(256);
    thread::spawn(move || write_out(&waiting, &file).expect("the disk takes writes"));
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    for stream in listener.incoming() {
        let (stream, jobs) = (stream?, jobs.clone());
        // An error ends the connection; the measuring client says what it missed.
        thread::spawn(move || serve(stream, address, &jobs, partitions));
    }
    Ok(())
}

/// Group commit: takes all that waits, up to [`WRITE_MAX`], writes it at once, syncs, and lets the answers go.
fn write_out(waiting: &Receiver<Job>, file: &File) -> Result<(), Failure> {
    let mut memory = vec![0u8; WRITE_MAX + ALIGNMENT];
    let aligned = memory.as_ptr().align_offset(ALIGNMENT);
    let buffer = &mut memory[aligned..aligned + WRITE_MAX];
    let mut position = 0u64;
    let mut left_over = None;
    let mut done: Vec<Job> = Vec::new();
    loop {
        let mut length = 0;
        let mut next = left_over.take().or_else(|| waiting.recv().ok());
        if next.is_none() {
            return Ok(());
        }
        while let Some(job) = next.take() {
            let size: usize = job.batches.iter().map(Bytes::len).sum();
            if length + size + ALIGNMENT > WRITE_MAX {
                left_over = Some(job);
                break;
            }
            for batch in &job.batches {
                buffer[length..length + batch.len()].copy_from_slice(batch);
                length += batch.len();
            }
            done.push(job);
            next = waiting.try_recv().ok();
        }
        if length > 0 {
            let padded = length.next_multiple_of(ALIGNMENT);
            buffer[length..padded].fill(0);
            file.write_all_at(&buffer[..padded], position)?;
            position += u64::try_from(padded)?;
            file.sync_data()?;
        }
        for job in done.drain(..) {
            drop(job.batches);
            // A client that is gone needs no answer.
            let _gone = job.to.send(job.answer);
        }
    }
}

fn serve(
    mut stream: TcpStream,
    address: SocketAddr,
    jobs: &SyncSender<Job>,
    partitions: i32,
) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let (to, answers) = channel::<Bytes>();
    let mut out = stream.try_clone()?;
    thread::spawn(move || {
        for answer in answers {
            if out.write_all(&answer).is_err() {
                return;
            }
        }
    });
    loop {
        let mut length = [0u8; 4];
        stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length))?;
        if length > FRAME_MAX {
            return Err(format!("a request of {length} bytes").into());
        }
        // Reads into spare capacity: nothing is zeroed first.
        let mut frame = Vec::with_capacity(length);
        (&mut stream)
            .take(u64::try_from(length)?)
            .read_to_end(&mut frame)?;
        let (batches, answer) = answer(Bytes::from(frame), address, partitions)?;
        jobs.send(Job {
            batches,
            answer,
            to: to.clone(),
        })?;
    }
}

/// The answer to one request, and the batches that it brought.
fn answer(
    mut frame: Bytes,
    address: SocketAddr,
    partitions: i32,
) -> Result<(Vec<Bytes>, Bytes), Failure> {
    if frame.len() < 8 {
        return Err("a request without a header".into());
    }
    let key = i16::from_be_bytes([frame[0], frame[1]]);
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    let api = ApiKey::try_from(key).map_err(|()| format!("no api {key}"))?;
    let header = RequestHeader::decode(&mut frame, api.request_header_version(version))?;
    let reply = Reply {
        correlation_id: header.correlation_id,
        flexible: api.response_header_version(version) == 1,
    };
    match api {
        ApiKey::ApiVersions => Ok((Vec::new(), reply.frame(&versions(), version.min(3))?)),
        ApiKey::Metadata => {
            let request = MetadataRequest::decode(&mut frame, version)?;
            Ok((
                Vec::new(),
                reply.frame(&metadata(request, address, partitions), version)?,
            ))
        }
        ApiKey::Produce => {
            let request = ProduceRequest::decode(&mut frame, version)?;
            let (batches, response) = produce(request)?;
            Ok((batches, reply.frame(&response, version)?))
        }
        other => Err(format!("the floor knows no {other:?} {}", frame.remaining()).into()),
    }
}

struct Reply {
    correlation_id: i32,
    flexible: bool,
}

impl Reply {
    fn frame(&self, body: &impl Encodable, version: i16) -> Result<Bytes, Failure> {
        let mut frame = BytesMut::with_capacity(256);
        frame.put_i32(0);
        frame.put_i32(self.correlation_id);
        if self.flexible {
            frame.put_u8(0);
        }
        body.encode(&mut frame, version)?;
        let length = i32::try_from(frame.len() - 4)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame.freeze())
    }
}

fn versions() -> ApiVersionsResponse {
    // Produce, Fetch and ListOffsets (which clients want to see listed), Metadata, ApiVersions.
    let listed = [(0, 3, 9), (1, 4, 11), (2, 1, 5), (3, 0, 9), (18, 0, 3)];
    let listed = listed.map(|(key, min, max)| {
        ApiVersion::default()
            .with_api_key(key)
            .with_min_version(min)
            .with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(listed.to_vec())
}

/// Every topic that is asked for exists.
fn metadata(request: MetadataRequest, address: SocketAddr, partitions: i32) -> MetadataResponse {
    let this = BrokerId(1);
    let broker = MetadataResponseBroker::default()
        .with_node_id(this)
        .with_host(StrBytes::from_string(address.ip().to_string()))
        .with_port(i32::from(address.port()));
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(this)
            .with_replica_nodes(vec![this])
            .with_isr_nodes(vec![this])
    };
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
        MetadataResponseTopic::default()
            .with_name(topic.name)
            .with_partitions((0..partitions).map(partition).collect())
    });
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_controller_id(this)
        .with_topics(topics.collect())
}

fn produce(request: ProduceRequest) -> Result<(Vec<Bytes>, ProduceResponse), Failure> {
    let mut batches = Vec::new();
    let mut response = ProduceResponse::default();
    for topic in request.topic_data {
        let mut answers = TopicProduceResponse::default().with_name(topic.name);
        for partition in topic.partition_data {
            let batch = partition
                .records
                .filter(|batch| batch.len() > CRC_COVERS_FROM);
            let batch = batch.ok_or("a batch without a header")?;
            let crc = (&batch[CRC_AT..CRC_COVERS_FROM]).get_u32();
            if crc != crc32c(&batch[CRC_COVERS_FROM..]) {
                return Err("a batch whose CRC is wrong".into());
            }
            batches.push(batch);
            answers
                .partition_responses
                .push(PartitionProduceResponse::default().with_index(partition.index));
        }
        response.responses.push(answers);
    }
    Ok((batches, response))
}
