//! What the tests of the data path share: batches, requests, a topic to use them on.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::testing::ask;
use crate::broker::Broker;
use crate::broker::catalog::CreateMode;
use crate::cluster::{CreateTopic, Topic};

/// The time of the test broker's clock.
pub(super) const NOW_MS: i64 = 1_700_000_000_000;

pub(super) async fn topic(broker: &Broker, name: &str, configs: &[(&str, &str)]) -> Arc<Topic> {
    let configs = configs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned())));
    let request = CreateTopic {
        name: name.to_owned(),
        partitions: 2,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: configs.collect(),
        ..CreateTopic::default()
    };
    let created = broker
        .catalog
        .create(vec![request], CreateMode::Create)
        .await
        .unwrap();
    created.into_iter().next().unwrap().unwrap()
}

/// Who produces, for an idempotent batch.
#[derive(Clone, Copy)]
pub(super) struct Producer {
    pub(super) id: i64,
    pub(super) epoch: i16,
    pub(super) sequence: i32,
}

pub(super) const NOBODY: Producer = Producer {
    id: -1,
    epoch: -1,
    sequence: -1,
};

pub(super) fn batch_by(producer: Producer, records: &[(i64, &str)]) -> Bytes {
    let record = |(at, (timestamp, value)): (usize, &(i64, &str))| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: TimestampType::Creation,
        offset: at as i64,
        sequence: producer.sequence + i32::try_from(at).unwrap(),
        timestamp: *timestamp,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    };
    let records: Vec<Record> = records.iter().enumerate().map(record).collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
    out.freeze()
}

pub(super) fn batch(records: &[(i64, &str)]) -> Bytes {
    batch_by(NOBODY, records)
}

pub(super) fn produce_request(
    version: i16,
    topic: &Topic,
    index: i32,
    records: Option<Bytes>,
) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(index)
        .with_records(records);
    let data = TopicProduceData::default().with_partition_data(vec![partition]);
    let data = match version {
        13.. => data.with_topic_id(topic.id),
        _ => data.with_name(TopicName(StrBytes::from_string(topic.name.to_string()))),
    };
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![data])
}

pub(super) async fn produce(
    broker: &Arc<Broker>,
    version: i16,
    topic: &Topic,
    records: Option<Bytes>,
) -> PartitionProduceResponse {
    let request = produce_request(version, topic, 0, records);
    let answer = ask(broker, version, &request).await;
    answer.responses[0].partition_responses[0].clone()
}

pub(super) fn fetch_request(version: i16, topic: &Topic, offset: i64) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let data = FetchTopic::default().with_partitions(vec![partition]);
    let data = match version {
        13.. => data.with_topic_id(topic.id),
        _ => data.with_topic(TopicName(StrBytes::from_string(topic.name.to_string()))),
    };
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![data])
}

pub(super) fn first(answer: &FetchResponse) -> &PartitionData {
    &answer.responses[0].partitions[0]
}

pub(super) async fn fetch(
    broker: &Arc<Broker>,
    version: i16,
    topic: &Topic,
    offset: i64,
) -> PartitionData {
    first(&ask(broker, version, &fetch_request(version, topic, offset)).await).clone()
}

/// What the broker must give back for a batch that it put at `base_offset`.
pub(super) fn stamped(batch: &Bytes, base_offset: i64) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&0_i32.to_be_bytes());
    bytes.into()
}
