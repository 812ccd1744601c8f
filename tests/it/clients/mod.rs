//! A real client, librdkafka through the rdkafka crate, against the real binary.
//!
//! With OTTLA_IT_BOOTSTRAP=host:port the same tests run against a broker that is there already, Apache Kafka for one,
//! which is how the tests themselves are checked.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail as the test itself would"
)]

mod groups;
mod node;
mod old_folder;
mod produce;
mod records;
mod restart;
mod settings;
mod stalled;
mod topics;

pub(crate) use node::{Node, node};

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, Timestamp, TopicPartitionList};

/// No step of a test takes this long unless something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A record as a test writes and reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Record {
    pub(crate) fn value(value: impl Into<Vec<u8>>) -> Record {
        Record {
            value: Some(value.into()),
            ..Record::default()
        }
    }
}

/// The values "0", "1", ... of `count` records.
pub(crate) fn numbered(count: usize) -> Vec<Record> {
    (0..count).map(|n| Record::value(n.to_string())).collect()
}

/// Where a record was acknowledged, or why it was not.
pub(crate) type Delivery = Result<(i32, i64), RDKafkaErrorCode>;

/// Keeps what became of each record, by the order in which they were sent.
#[derive(Clone, Default)]
pub(crate) struct Deliveries(Arc<Mutex<Vec<(usize, Delivery)>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<usize>) {
        let delivery = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error
                .rdkafka_error_code()
                .expect("a delivery fails with a code")),
        };
        self.0.lock().unwrap().push((*index, delivery));
    }
}

/// A producer that stays connected and remembers what became of its records.
pub(crate) struct Sender {
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
}

impl Sender {
    pub(crate) fn new(address: &str, settings: &[(&str, &str)]) -> Sender {
        let deliveries = Deliveries::default();
        let mut config = client(address);
        config.set("linger.ms", "1");
        settings.iter().for_each(|(key, value)| {
            config.set(*key, *value);
        });
        let producer = config.create_with_context(deliveries.clone()).unwrap();
        Sender {
            producer,
            deliveries,
        }
    }

    /// Hands the client a record; `index` is its place among what [`Sender::settle`] returns.
    pub(crate) fn enqueue(
        &self,
        topic: &str,
        partition: Option<i32>,
        index: usize,
        record: &Record,
    ) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header {
                key,
                value: value.as_deref(),
            });
        }
        let index = Box::new(index);
        let mut out =
            BaseRecord::<[u8], [u8], Box<usize>>::with_opaque_to(topic, index).headers(headers);
        out.partition = partition;
        out.key = record.key.as_deref();
        out.payload = record.value.as_deref();
        out.timestamp = record.timestamp_ms;
        let sent = self.producer.send(out).map_err(|(error, _)| error);
        sent.expect("the client takes the record");
    }

    /// Waits until each of `count` records is delivered or failed, and returns what became of them in their order.
    pub(crate) fn settle(&self, count: usize) -> Vec<Delivery> {
        let flushed = self.producer.flush(PATIENCE);
        flushed.expect("all records are settled in time");
        let mut settled = std::mem::take(&mut *self.deliveries.0.lock().unwrap());
        settled.sort_by_key(|(index, _)| *index);
        assert_eq!(settled.len(), count, "each record is settled once");
        settled.into_iter().map(|(_, delivery)| delivery).collect()
    }

    /// Sends all and waits for them.
    pub(crate) fn try_send(
        &self,
        topic: &str,
        partition: Option<i32>,
        records: &[Record],
    ) -> Vec<Delivery> {
        for (index, record) in records.iter().enumerate() {
            self.enqueue(topic, partition, index, record);
        }
        self.settle(records.len())
    }

    /// The same where every record must be acknowledged.
    #[track_caller]
    pub(crate) fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        records: &[Record],
    ) -> Vec<(i32, i64)> {
        let deliveries = self.try_send(topic, partition, records);
        deliveries
            .into_iter()
            .map(|delivery| delivery.expect("acknowledged"))
            .collect()
    }
}

/// Sends through a producer of its own.
#[track_caller]
pub(crate) fn send(
    address: &str,
    topic: &str,
    partition: i32,
    records: &[Record],
) -> Vec<(i32, i64)> {
    Sender::new(address, &[]).send(topic, Some(partition), records)
}

/// A consumer of these partitions by assignment, each from its offset.
pub(crate) fn reader(
    address: &str,
    from: &[(&str, i32, Offset)],
    settings: &[(&str, &str)],
) -> BaseConsumer {
    let mut config = client(address);
    config
        .set("group.id", "by-assignment")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true");
    settings.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    let consumer: BaseConsumer = config.create().unwrap();
    let mut partitions = TopicPartitionList::new();
    for (topic, partition, offset) in from {
        partitions
            .add_partition_offset(topic, *partition, *offset)
            .unwrap();
    }
    consumer.assign(&partitions).unwrap();
    consumer
}

/// A record that was read, and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) record: Record,
}

/// Polls until `count` records came.
#[track_caller]
pub(crate) fn take(consumer: &BaseConsumer, count: usize) -> Vec<Found> {
    let deadline = Instant::now() + PATIENCE;
    let mut found = Vec::with_capacity(count);
    while found.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} records came",
            found.len()
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = match message {
            Ok(message) => message,
            // A lost connection is told once and mended by the client.
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            )) => continue,
            Err(error) => panic!("polling: {error}"),
        };
        let headers = message.headers().map(|headers| {
            let pairs = headers
                .iter()
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
            pairs.collect()
        });
        let timestamp_ms = match message.timestamp() {
            Timestamp::CreateTime(ms) => Some(ms),
            Timestamp::LogAppendTime(_) | Timestamp::NotAvailable => None,
        };
        found.push(Found {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            record: Record {
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: headers.unwrap_or_default(),
                timestamp_ms,
            },
        });
    }
    found
}

/// The first `count` records of a partition, without their times.
#[track_caller]
pub(crate) fn read(address: &str, topic: &str, partition: i32, count: usize) -> Vec<Record> {
    let consumer = reader(address, &[(topic, partition, Offset::Beginning)], &[]);
    let found = take(&consumer, count);
    for (index, found) in found.iter().enumerate() {
        assert_eq!(
            found.offset,
            i64::try_from(index).unwrap(),
            "offsets are dense from 0"
        );
    }
    let without_time = |found: Found| Record {
        timestamp_ms: None,
        ..found.record
    };
    found.into_iter().map(without_time).collect()
}

/// Log start offset and high watermark.
pub(crate) fn watermarks(address: &str, topic: &str, partition: i32) -> (i64, i64) {
    let consumer: BaseConsumer = client(address).create().unwrap();
    consumer
        .fetch_watermarks(topic, partition, PATIENCE)
        .unwrap()
}

pub(crate) fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("allow.auto.create.topics", "true");
    config
}

pub(crate) fn admin(address: &str) -> AdminClient<DefaultClientContext> {
    client(address).create().unwrap()
}

/// Admin calls are futures; a test waits for one at a time.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

pub(crate) fn patient() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(PATIENCE))
        .request_timeout(Some(PATIENCE))
}

/// Makes a topic and returns what the broker said.
pub(crate) fn create(
    address: &str,
    topic: &str,
    partitions: i32,
    config: &[(&str, &str)],
) -> Result<(), RDKafkaErrorCode> {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (key, value) in config {
        new = new.set(key, value);
    }
    let mut results = wait(admin(address).create_topics([&new], &patient())).unwrap();
    assert_eq!(results.len(), 1);
    results.remove(0).map(drop).map_err(|(name, code)| {
        assert_eq!(name, topic);
        code
    })
}

/// A name that no other test and no earlier run has used.
pub(crate) fn fresh(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_millis();
    format!("{name}-{now}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
