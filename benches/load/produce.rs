//! Producing by hand: any number of connections, requests in flight, batches in a request; as fast as it goes or at a
//! fixed rate; and how long the acknowledgement took, or the way to a consumer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep_until;

use crate::fetch::{Reader, Watch};
use crate::wire::{Batch, answer, ask, connect, frame};
use crate::{Arguments, Failure, Measures, float, percentile_ms};

/// The newest that names topics and has no topic ids.
const VERSION: i16 = 9;
/// Fewer than the shortest queue of a listener, which is Kafka's 50.
const OPENED_AT_ONCE: usize = 32;

/// What is sent.
struct Plan {
    address: String,
    topic: TopicName,
    partitions: i32,
    connections: usize,
    in_flight: usize,
    size: usize,
    records_per_batch: usize,
    batches_per_request: usize,
    /// Requests of each connection in a second; as many as go where it is `None`.
    rate: Option<f64>,
    duration: Duration,
    /// Stamps count from here.
    epoch: Instant,
}

impl Plan {
    fn new(arguments: &Arguments) -> Result<Plan, Failure> {
        let (connections, size) = (
            arguments.get_or("connections", 1)?,
            arguments.get_or("size", 1024)?,
        );
        let records_per_batch = arguments.get_or("records_per_batch", 1)?;
        let batches_per_request = arguments.get_or("batches_per_request", 1)?;
        let mb_per_second: f64 = arguments.get_or("mb_per_second", 0.0)?;
        let request = size * records_per_batch * batches_per_request * connections;
        let rate = mb_per_second * 1e6 / float(u64::try_from(request)?);
        Ok(Plan {
            address: arguments.get("address")?,
            topic: TopicName(StrBytes::from_string(arguments.get("topic")?)),
            partitions: arguments.get("partitions")?,
            connections,
            in_flight: arguments.get_or("in_flight", 5)?,
            size,
            records_per_batch,
            batches_per_request,
            rate: (rate > 0.0).then_some(rate),
            duration: Duration::from_secs_f64(arguments.get_or("seconds", 5.0)?),
            epoch: Instant::now(),
        })
    }

    fn since_epoch(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

pub(crate) async fn produce(arguments: &Arguments) -> Result<Measures, Failure> {
    let plan = Arc::new(Plan::new(arguments)?);
    let watch = if arguments.get_or("end_to_end", false)? {
        let stamp_at = Batch::new(plan.records_per_batch, plan.size)?.stamp_at();
        let reader = Reader::open(&plan.address, &plan.topic, plan.partitions).await?;
        Some(Watch::start(reader, stamp_at, plan.epoch))
    } else {
        None
    };
    let streams = open(&plan).await?;
    let started = Instant::now();
    let senders: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(index, stream)| tokio::spawn(connection(plan.clone(), index, stream, started)))
        .collect();
    let mut latencies = Vec::new();
    for sender in senders {
        latencies.extend(sender.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let requests = u64::try_from(latencies.len())?;
    let per_request = u64::try_from(plan.records_per_batch * plan.batches_per_request)?;
    let records = requests * per_request;
    let mut measures = vec![
        ("requests", float(requests)),
        ("records", float(records)),
        ("mb", float(records * u64::try_from(plan.size)?) / 1e6),
        ("seconds", seconds),
        ("p50_ms", percentile_ms(&latencies, 0.5)),
        ("p99_ms", percentile_ms(&latencies, 0.99)),
        ("p999_ms", percentile_ms(&latencies, 0.999)),
    ];
    if let Some(watch) = watch {
        let batches = requests * u64::try_from(plan.batches_per_request)?;
        let arrived = watch.finish(usize::try_from(batches)?).await?;
        measures.extend([
            ("end_to_end_p50_ms", percentile_ms(&arrived, 0.5)),
            ("end_to_end_p99_ms", percentile_ms(&arrived, 0.99)),
            ("end_to_end_p999_ms", percentile_ms(&arrived, 0.999)),
        ]);
    }
    Ok(measures)
}

/// Opens all connections, some at a time: a listener's queue is finite, and one that overflows drops without a word. So
/// each has had an answer before the next are opened.
async fn open(plan: &Plan) -> Result<Vec<tokio::net::TcpStream>, Failure> {
    let mut streams = Vec::with_capacity(plan.connections);
    while streams.len() < plan.connections {
        let count = OPENED_AT_ONCE.min(plan.connections - streams.len());
        let opening: Vec<_> = (0..count)
            .map(|_| {
                let address = plan.address.clone();
                tokio::spawn(async move {
                    let mut stream = connect(&address).await?;
                    ask(&mut stream, &ApiVersionsRequest::default(), 0).await?;
                    Ok::<_, Failure>(stream)
                })
            })
            .collect();
        for stream in opening {
            streams.push(stream.await??);
        }
    }
    Ok(streams)
}

/// One connection: sends until the time is over and returns how long each acknowledgement took, in ns.
async fn connection(
    plan: Arc<Plan>,
    index: usize,
    stream: tokio::net::TcpStream,
    started: Instant,
) -> Result<Vec<u64>, Failure> {
    let (input, output) = stream.into_split();
    let window = Semaphore::new(plan.in_flight);
    let (sent, waiting) = mpsc::unbounded_channel();
    // Whichever fails ends the other: nobody waits for answers that can't come.
    let sending = send(&plan, index, output, started, sent, &window);
    let receiving = receive(&plan, input, waiting, &window);
    let ((), latencies) = tokio::try_join!(sending, receiving)?;
    Ok(latencies)
}

async fn send(
    plan: &Plan,
    index: usize,
    mut output: impl AsyncWrite + Unpin,
    started: Instant,
    sent: mpsc::UnboundedSender<Instant>,
    window: &Semaphore,
) -> Result<(), Failure> {
    let mut batch = Batch::new(plan.records_per_batch, plan.size)?;
    let mut partition = i32::try_from(index)? % plan.partitions;
    let mut count = 0;
    loop {
        // At a fixed rate the clock runs from when a request was due, not from when there was room for it.
        let due = match plan.rate {
            Some(rate) => started + Duration::from_secs_f64(f64::from(count) / rate),
            None => Instant::now(),
        };
        if due.duration_since(started) >= plan.duration {
            return Ok(());
        }
        if plan.rate.is_some() {
            sleep_until(due.into()).await;
        }
        window.acquire().await?.forget();
        let due = if plan.rate.is_some() {
            due
        } else {
            Instant::now()
        };
        let records = batch.stamped(plan.since_epoch(due));
        let mut data = TopicProduceData::default().with_name(plan.topic.clone());
        for _ in 0..plan.batches_per_request {
            data.partition_data.push(
                PartitionProduceData::default()
                    .with_index(partition)
                    .with_records(Some(records.clone())),
            );
            partition = (partition + 1) % plan.partitions;
        }
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        sent.send(due)?;
        output.write_all(&frame(&request, VERSION, count)?).await?;
        count += 1;
    }
}

async fn receive(
    plan: &Plan,
    mut input: impl AsyncRead + Unpin,
    mut waiting: mpsc::UnboundedReceiver<Instant>,
    window: &Semaphore,
) -> Result<Vec<u64>, Failure> {
    let mut latencies = Vec::new();
    let mut buffer = BytesMut::new();
    while let Some(due) = waiting.recv().await {
        let answer: ProduceResponse =
            answer::<ProduceRequest>(&mut input, &mut buffer, VERSION).await?;
        let mut partitions = answer.responses.iter().flat_map(|t| &t.partition_responses);
        if let Some(refused) = partitions.find(|partition| partition.error_code != 0) {
            return Err(format!(
                "partition {}: error code {}",
                refused.index, refused.error_code
            )
            .into());
        }
        latencies.push(plan.since_epoch(Instant::now()) - plan.since_epoch(due));
        window.add_permits(1);
    }
    Ok(latencies)
}
