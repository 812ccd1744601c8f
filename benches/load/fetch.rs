//! Reading by hand: what comes is counted and thrown away, so that the broker and not the client is at its limit.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::wire::{answer, batches, connect, frame};
use crate::{Arguments, Failure, Measures, float};

/// The newest that names topics.
const VERSION: i16 = 11;
/// As librdkafka and Kafka's consumer ask by default.
const PARTITION_BYTES_MAX: i32 = 1 << 20;
const BYTES_MAX: i32 = 50 << 20;
const WAIT_MAX: Duration = Duration::from_millis(500);
/// How long batches that were acknowledged may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection that reads all partitions of a topic from their start on.
pub(crate) struct Reader {
    stream: TcpStream,
    buffer: BytesMut,
    topic: TopicName,
    offsets: Vec<i64>,
}

impl Reader {
    pub(crate) async fn open(
        address: &str,
        topic: &TopicName,
        partitions: i32,
    ) -> Result<Reader, Failure> {
        Ok(Reader {
            stream: connect(address).await?,
            buffer: BytesMut::new(),
            topic: topic.clone(),
            offsets: vec![0; usize::try_from(partitions)?],
        })
    }

    /// One fetch: hands each batch to `take` and returns how many records came.
    async fn turn(&mut self, mut take: impl FnMut(&Bytes)) -> Result<u64, Failure> {
        let mut topic = FetchTopic::default().with_topic(self.topic.clone());
        for (index, offset) in self.offsets.iter().enumerate() {
            topic.partitions.push(
                FetchPartition::default()
                    .with_partition(i32::try_from(index)?)
                    .with_fetch_offset(*offset)
                    .with_partition_max_bytes(PARTITION_BYTES_MAX),
            );
        }
        // Whoever is first in a request is served best: each partition is so in turn.
        let turns = usize::try_from(self.offsets.iter().sum::<i64>())? % self.offsets.len();
        topic.partitions.rotate_left(turns);
        let request = FetchRequest::default()
            .with_max_wait_ms(i32::try_from(WAIT_MAX.as_millis())?)
            .with_min_bytes(1)
            .with_max_bytes(BYTES_MAX)
            .with_topics(vec![topic]);
        self.stream.write_all(&frame(&request, VERSION, 0)?).await?;
        let answer = answer::<FetchRequest>(&mut self.stream, &mut self.buffer, VERSION).await?;
        let mut count = 0;
        for partition in answer
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions)
        {
            if partition.error_code != 0 {
                return Err(format!("fetch: error code {}", partition.error_code).into());
            }
            let offset = &mut self.offsets[usize::try_from(partition.partition_index)?];
            for (batch, _, next) in batches(partition.records.unwrap_or_default()) {
                // A fetch inside a batch brings all of it; the bench always asks for where one begins.
                count += u64::try_from(next - *offset)?;
                *offset = next;
                take(&batch);
            }
        }
        Ok(count)
    }
}

/// `connections` readers, each of which reads the `records` of the topic `times` times.
pub(crate) async fn fetch(arguments: &Arguments) -> Result<Measures, Failure> {
    let topic = TopicName(StrBytes::from_string(arguments.get("topic")?));
    let (address, partitions) = (
        arguments.get::<String>("address")?,
        arguments.get("partitions")?,
    );
    let (records, times): (u64, u64) = (arguments.get("records")?, arguments.get_or("times", 1)?);
    let (connections, size) = (
        arguments.get_or("connections", 1u64)?,
        arguments.get::<u64>("size")?,
    );
    let mut readers = Vec::new();
    for _ in 0..connections {
        readers.push(Reader::open(&address, &topic, partitions).await?);
    }
    let started = Instant::now();
    let reading: Vec<_> = readers
        .into_iter()
        .map(|mut reader| {
            tokio::spawn(async move {
                for _ in 0..times {
                    reader.offsets.fill(0);
                    let mut count = 0;
                    while count < records {
                        count += reader.turn(|_| ()).await?;
                    }
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for reader in reading {
        reader.await??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let records = records * times * connections;
    let bytes = records * size;
    Ok(vec![
        ("records", float(records)),
        ("mb", float(bytes) / 1e6),
        ("seconds", seconds),
    ])
}

/// A consumer beside a producer: when did each stamped batch arrive?
pub(crate) struct Watch {
    /// Set to the count of batches that will have come in all, once that is known.
    expected: watch::Sender<Option<usize>>,
    reading: JoinHandle<Result<Vec<u64>, Failure>>,
}

impl Watch {
    pub(crate) fn start(mut reader: Reader, stamp_at: usize, epoch: Instant) -> Watch {
        let (expected, known) = watch::channel(None::<usize>);
        let reading = tokio::spawn(async move {
            let mut latencies = Vec::new();
            while known
                .borrow()
                .is_none_or(|expected| latencies.len() < expected)
            {
                reader
                    .turn(|batch| {
                        let stamp = batch.get(stamp_at..stamp_at + 8);
                        let stamp = stamp.and_then(|stamp| stamp.try_into().ok());
                        let sent = stamp.map_or(0, u64::from_be_bytes);
                        let now = u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
                        latencies.push(now.saturating_sub(sent));
                    })
                    .await?;
            }
            Ok(latencies)
        });
        Watch { expected, reading }
    }

    /// The sorted times of all `expected` batches, in ns.
    pub(crate) async fn finish(self, expected: usize) -> Result<Vec<u64>, Failure> {
        self.expected.send_replace(Some(expected));
        let mut latencies = tokio::time::timeout(PATIENCE, self.reading).await???;
        latencies.sort_unstable();
        Ok(latencies)
    }
}
