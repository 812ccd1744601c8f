//! The data path through its handlers: every version of Produce and Fetch, and Kafka's code for each bad input.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, OffsetForLeaderEpochRequest,
    ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use uuid::Uuid;

use super::testing::{ask, broker, broker_on, outcome};
use super::{Answer, Reply};
use crate::broker::Broker;
use crate::broker::catalog::CreateMode;
use crate::cluster::{CreateTopic, Topic};
use crate::store::memory::MemoryStore;

/// The time of the test broker's clock.
const NOW_MS: i64 = 1_700_000_000_000;

async fn topic(broker: &Broker, name: &str, configs: &[(&str, &str)]) -> Arc<Topic> {
    let configs = configs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned())));
    let request = CreateTopic {
        name: name.to_owned(),
        partitions: 2,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: configs.collect(),
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
struct Producer {
    id: i64,
    epoch: i16,
    sequence: i32,
}

const NOBODY: Producer = Producer {
    id: -1,
    epoch: -1,
    sequence: -1,
};

fn batch_by(producer: Producer, records: &[(i64, &str)]) -> Bytes {
    let record = |(at, (timestamp, value)): (usize, &(i64, &str))| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: TimestampType::Creation,
        offset: at as i64,
        sequence: producer.sequence + at as i32,
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

fn batch(records: &[(i64, &str)]) -> Bytes {
    batch_by(NOBODY, records)
}

fn produce_request(
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

async fn produce(
    broker: &Arc<Broker>,
    version: i16,
    topic: &Topic,
    records: Option<Bytes>,
) -> PartitionProduceResponse {
    let request = produce_request(version, topic, 0, records);
    let answer = ask(broker, version, &request).await;
    answer.responses[0].partition_responses[0].clone()
}

fn fetch_request(version: i16, topic: &Topic, offset: i64) -> FetchRequest {
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

fn first(answer: &FetchResponse) -> &PartitionData {
    &answer.responses[0].partitions[0]
}

async fn fetch(broker: &Arc<Broker>, version: i16, topic: &Topic, offset: i64) -> PartitionData {
    first(&ask(broker, version, &fetch_request(version, topic, offset)).await).clone()
}

/// What the broker must give back for a batch that it put at `base_offset`.
fn stamped(batch: &Bytes, base_offset: i64) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&0_i32.to_be_bytes());
    bytes.into()
}

#[tokio::test]
async fn every_version_of_produce_is_read_back_by_every_version_of_fetch() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let mut expected = Vec::new();
    for version in 3..=13 {
        let records = batch(&[(NOW_MS, "a"), (NOW_MS + 1, "b")]);
        let answer = produce(&broker, version, &topic, Some(records.clone())).await;
        let base_offset = 2 * i64::from(version - 3);
        let log_start_offset = if version >= 5 { 0 } else { -1 };
        let got = (
            answer.error_code,
            answer.base_offset,
            answer.log_start_offset,
        );
        assert_eq!(got, (0, base_offset, log_start_offset), "v{version}");
        assert_eq!(answer.log_append_time_ms, -1);
        expected.extend_from_slice(&stamped(&records, base_offset));
    }
    for version in 4..=18 {
        let got = fetch(&broker, version, &topic, 0).await;
        assert_eq!((got.error_code, got.high_watermark), (0, 22), "v{version}");
        assert_eq!(got.records.as_deref(), Some(&expected[..]), "v{version}");
        assert_eq!(got.aborted_transactions, None);
        let middle = fetch(&broker, version, &topic, 5).await;
        let size = expected.len() / 11;
        assert_eq!(
            middle.records.as_deref(),
            Some(&expected[2 * size..]),
            "whole batches"
        );
        assert_eq!(
            fetch(&broker, version, &topic, 22).await.records.as_deref(),
            Some(&[][..])
        );
    }
}

#[tokio::test]
async fn bad_batches_have_kafkas_codes() {
    let broker = broker(&[]).await;
    let small = topic(&broker, "small", &[("max.message.bytes", "100")]).await;
    let compacted = topic(&broker, "compacted", &[("cleanup.policy", "compact")]).await;
    let topic = topic(&broker, "t", &[]).await;
    let good = batch(&[(NOW_MS, "value")]);
    let with = |at: usize, bytes: &[u8]| {
        let mut batch = good.to_vec();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        Some(Bytes::from(batch))
    };
    let twice = Some(Bytes::from([&good[..], &good[..]].concat()));
    let late = batch(&[(NOW_MS + 2 * 3_600_000, "from the future")]);
    let long = batch(&[(NOW_MS, &"x".repeat(100))]);
    let cases: [(&str, &Topic, Option<Bytes>, i16); 10] = [
        ("null records", &topic, None, 87),
        ("no batch", &topic, Some(Bytes::new()), 87),
        ("torn batch", &topic, Some(good.slice(..good.len() - 1)), 87),
        ("two batches", &topic, twice, 87),
        ("magic 1", &topic, with(16, &[1]), 87),
        ("magic 3", &topic, with(16, &[3]), 2),
        ("wrong CRC", &topic, with(17, &[0, 0, 0, 0]), 2),
        ("too large", &small, Some(long), 10),
        (
            "no key on a compacted topic",
            &compacted,
            Some(good.clone()),
            87,
        ),
        ("an hour and more ahead", &topic, Some(late), 32),
    ];
    for (name, topic, records, code) in cases {
        let answer = produce(&broker, 9, topic, records.clone()).await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (code, -1),
            "{name}"
        );
        let old = produce(&broker, 3, topic, records).await;
        assert_eq!(old.error_code, code, "{name}, v3");
    }
    assert_eq!(
        fetch(&broker, 12, &topic, 0).await.high_watermark,
        0,
        "nothing was stored"
    );
}

#[tokio::test]
async fn unknown_places_and_acks_have_kafkas_codes() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let records = Some(batch(&[(NOW_MS, "value")]));
    let elsewhere = Topic {
        name: "elsewhere".into(),
        id: Uuid::from_u128(7),
        ..(*topic).clone()
    };
    assert_eq!(
        produce(&broker, 9, &elsewhere, records.clone())
            .await
            .error_code,
        3
    );
    assert_eq!(
        produce(&broker, 13, &elsewhere, records.clone())
            .await
            .error_code,
        100
    );
    for index in [-1, 2, i32::MAX] {
        let request = produce_request(9, &topic, index, records.clone());
        let answer = ask(&broker, 9, &request).await;
        assert_eq!(
            answer.responses[0].partition_responses[0].error_code, 3,
            "partition {index}"
        );
    }
    for acks in [-2, 2] {
        let request = produce_request(9, &topic, 0, records.clone()).with_acks(acks);
        let answer = ask(&broker, 9, &request).await;
        assert_eq!(
            answer.responses[0].partition_responses[0].error_code, 21,
            "acks {acks}"
        );
    }
}

#[tokio::test]
async fn acks_0_is_not_answered_and_an_error_closes_the_connection() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let records = Some(batch(&[(NOW_MS, "value")]));
    let reply = async |index| {
        let request = produce_request(9, &topic, index, records.clone()).with_acks(0);
        match outcome(&broker, 9, &request).await {
            Answer::Ready(reply) => reply,
            Answer::Pending(reply) => reply.await,
        }
    };
    assert!(matches!(reply(0).await, Reply::Nothing));
    assert!(matches!(reply(9).await, Reply::Close(_)));
    assert_eq!(fetch(&broker, 12, &topic, 0).await.high_watermark, 1);
}

#[tokio::test]
async fn an_idempotent_producer_is_deduplicated_ordered_and_fenced_across_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let broker = broker_on(store.clone(), &[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let send = async |broker: &Arc<Broker>, epoch, sequence| {
        let producer = Producer {
            id: 40,
            epoch,
            sequence,
        };
        let records = batch_by(producer, &[(NOW_MS, "a"), (NOW_MS, "b")]);
        let answer = produce(broker, 11, &topic, Some(records)).await;
        (answer.error_code, answer.base_offset)
    };
    for n in 0..7 {
        assert_eq!(send(&broker, 0, 2 * n).await, (0, 2 * i64::from(n)));
    }
    assert_eq!(send(&broker, 0, 12).await, (0, 12), "the newest again");
    assert_eq!(
        send(&broker, 0, 4).await,
        (0, 4),
        "the oldest of five again"
    );
    assert_eq!(send(&broker, 0, 2).await, (45, -1), "older than the window");
    assert_eq!(send(&broker, 0, 16).await, (45, -1), "a gap");
    let restarted = broker_on(store, &[]).await;
    assert_eq!(
        send(&restarted, 0, 12).await,
        (0, 12),
        "a duplicate after a restart"
    );
    assert_eq!(send(&restarted, 0, 14).await, (0, 14));
    assert_eq!(
        send(&restarted, 1, 3).await,
        (45, -1),
        "a new epoch starts at 0"
    );
    assert_eq!(send(&restarted, 1, 0).await, (0, 16));
    assert_eq!(send(&restarted, 0, 16).await, (47, -1), "the old epoch");
    assert_eq!(fetch(&restarted, 12, &topic, 0).await.high_watermark, 18);
}

#[tokio::test]
async fn log_append_time_is_the_brokers() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[("message.timestamp.type", "LogAppendTime")]).await;
    let answer = produce(&broker, 9, &topic, Some(batch(&[(5, "a")]))).await;
    assert_eq!((answer.error_code, answer.log_append_time_ms), (0, NOW_MS));
    let records = fetch(&broker, 12, &topic, 0).await.records.unwrap();
    let crc = u32::from_be_bytes(records[17..21].try_into().unwrap());
    assert_eq!(crc, crc32c::crc32c(&records[21..]));
    assert_eq!(records[22] & 8, 8, "the timestamp type");
    assert_eq!(
        records[35..43],
        NOW_MS.to_be_bytes(),
        "the largest timestamp"
    );
}

#[tokio::test]
async fn limits_cut_at_whole_batches_and_the_first_batch_is_always_whole() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let one = batch(&[(NOW_MS, "0123456789")]);
    for index in [0, 0, 0, 1, 1] {
        let request = produce_request(9, &topic, index, Some(one.clone()));
        ask(&broker, 9, &request).await;
    }
    let size = one.len() as i32;
    let sizes = async |bytes_max: i32, partition_max: i32| {
        let mut request = fetch_request(12, &topic, 0).with_max_bytes(bytes_max);
        let mut second = request.topics[0].partitions[0].clone();
        second.partition = 1;
        request.topics[0].partitions.push(second);
        for partition in &mut request.topics[0].partitions {
            partition.partition_max_bytes = partition_max;
        }
        let answer = ask(&broker, 12, &request).await;
        let size_of = |p: &PartitionData| p.records.as_ref().map_or(-1, |r| r.len() as i32);
        answer.responses[0]
            .partitions
            .iter()
            .map(size_of)
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(1 << 20, 1 << 20).await, [3 * size, 2 * size]);
    assert_eq!(
        sizes(1, 1).await,
        [size, 0],
        "the first batch over both limits"
    );
    assert_eq!(sizes(1 << 20, 2 * size + 1).await, [2 * size, 2 * size]);
    assert_eq!(sizes(4 * size, 1 << 20).await, [3 * size, size]);
    assert_eq!(sizes(0, 0).await, [size, 0]);
}

#[tokio::test]
async fn a_fetch_waits_for_enough_bytes_and_no_longer() {
    const FOR_EVER_MS: i32 = 600_000;
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let short = fetch_request(12, &topic, 0).with_max_wait_ms(20);
    assert_eq!(
        first(&ask(&broker, 12, &short).await).records.as_deref(),
        Some(&[][..])
    );
    let records = batch(&[(NOW_MS, "value")]);
    let both = fetch_request(12, &topic, 0)
        .with_max_wait_ms(FOR_EVER_MS)
        .with_min_bytes(records.len() as i32 + 1);
    let parked = {
        let broker = broker.clone();
        tokio::spawn(async move { ask(&broker, 12, &both).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    produce(&broker, 9, &topic, Some(records.clone())).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!parked.is_finished(), "one batch is too little");
    produce(&broker, 9, &topic, Some(records.clone())).await;
    let answer = parked.await.unwrap();
    assert_eq!(
        first(&answer).records.as_ref().unwrap().len(),
        2 * records.len()
    );
    let unknown = Topic {
        name: "unknown".into(),
        ..(*topic).clone()
    };
    let nothing_to_read = fetch_request(12, &unknown, 0).with_max_wait_ms(FOR_EVER_MS);
    assert_eq!(
        first(&ask(&broker, 12, &nothing_to_read).await).error_code,
        3
    );
    let outside = fetch_request(12, &topic, 99).with_max_wait_ms(FOR_EVER_MS);
    assert_eq!(first(&ask(&broker, 12, &outside).await).error_code, 1);
}

#[tokio::test]
async fn fetch_errors_have_kafkas_codes() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    produce(&broker, 9, &topic, Some(batch(&[(NOW_MS, "value")]))).await;
    let unknown = Topic {
        name: "u".into(),
        id: Uuid::from_u128(7),
        ..(*topic).clone()
    };
    assert_eq!(fetch(&broker, 12, &unknown, 0).await.error_code, 3);
    assert_eq!(fetch(&broker, 13, &unknown, 0).await.error_code, 100);
    for offset in [-1, 2] {
        let got = fetch(&broker, 12, &topic, offset).await;
        let offsets = (
            got.high_watermark,
            got.last_stable_offset,
            got.log_start_offset,
        );
        assert_eq!(
            (got.error_code, offsets),
            (1, (-1, -1, -1)),
            "offset {offset}"
        );
        assert_eq!(got.records.as_deref(), Some(&[][..]), "empty, not null");
    }
    let asked = async |current: i32, last: i32, offset: i64| {
        let mut request = fetch_request(12, &topic, offset);
        let partition = &mut request.topics[0].partitions[0];
        partition.current_leader_epoch = current;
        partition.last_fetched_epoch = last;
        first(&ask(&broker, 12, &request).await).clone()
    };
    assert_eq!(asked(1, -1, 0).await.error_code, 75);
    assert_eq!(asked(-2, -1, 0).await.error_code, 74);
    assert_eq!(asked(0, 0, 0).await.error_code, 0);
    assert_eq!(asked(0, 1, 0).await.error_code, 1);
    let diverging = asked(0, 0, 5).await;
    let epoch = (
        diverging.diverging_epoch.epoch,
        diverging.diverging_epoch.end_offset,
    );
    assert_eq!((diverging.error_code, epoch), (0, (0, 1)));
}

#[tokio::test]
async fn a_session_answers_with_news_only() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let opened = ask(
        &broker,
        12,
        &fetch_request(12, &topic, 0).with_session_epoch(0),
    )
    .await;
    assert_eq!((opened.error_code, opened.responses.len()), (0, 1));
    let in_session = |epoch| {
        FetchRequest::default()
            .with_max_bytes(1 << 20)
            .with_min_bytes(1)
            .with_session_id(opened.session_id)
            .with_session_epoch(epoch)
    };
    let quiet = ask(&broker, 12, &in_session(1)).await;
    assert_eq!((quiet.error_code, quiet.responses.len()), (0, 0));
    produce(&broker, 9, &topic, Some(batch(&[(NOW_MS, "value")]))).await;
    let news = ask(&broker, 12, &in_session(2)).await;
    assert_eq!((news.responses.len(), first(&news).high_watermark), (1, 1));
    assert_eq!(ask(&broker, 12, &in_session(9)).await.error_code, 71);
    assert_eq!(
        ask(&broker, 12, &in_session(3).with_session_id(1))
            .await
            .error_code,
        70
    );
    assert_eq!(ask(&broker, 13, &in_session(3)).await.error_code, 106);
    let forgotten = ForgottenTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("t")))
        .with_partitions(vec![0]);
    let forget = in_session(3).with_forgotten_topics_data(vec![forgotten]);
    assert_eq!(
        ask(&broker, 12, &forget).await.session_id,
        0,
        "nothing left, so closed"
    );
}

#[tokio::test]
async fn read_committed_has_a_list_of_aborted_transactions() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    produce(&broker, 9, &topic, Some(batch(&[(NOW_MS, "value")]))).await;
    let request = fetch_request(12, &topic, 0).with_isolation_level(1);
    let answer = ask(&broker, 12, &request).await;
    assert_eq!(first(&answer).aborted_transactions, Some(Vec::new()));
    assert_eq!(
        (
            first(&answer).last_stable_offset,
            first(&answer).high_watermark
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn offsets_are_listed_by_time_and_by_special_times() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    for records in [
        [(100, "a"), (300, "b")],
        [(200, "c"), (400, "d")],
        [(350, "e"), (360, "f")],
    ] {
        produce(&broker, 9, &topic, Some(batch(&records))).await;
    }
    let list = async |version: i16, timestamp: i64, index: i32| {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_timestamp(timestamp);
        let asked = ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![asked]);
        let answer = ask(&broker, version, &request).await;
        let found = &answer.topics[0].partitions[0];
        (found.error_code, found.offset, found.timestamp)
    };
    for version in 1..=10 {
        let special = |since, found| {
            if version >= since {
                (0, found, -1)
            } else {
                (35, -1, -1)
            }
        };
        assert_eq!(list(version, -1, 0).await, (0, 6, -1), "v{version}");
        assert_eq!(list(version, -2, 0).await, (0, 0, -1), "v{version}");
        let largest = if version >= 7 {
            (0, 3, 400)
        } else {
            (35, -1, -1)
        };
        assert_eq!(list(version, -3, 0).await, largest, "v{version}");
        assert_eq!(list(version, -4, 0).await, special(8, 0), "v{version}");
        assert_eq!(list(version, -5, 0).await, special(9, -1), "v{version}");
        assert_eq!(list(version, -6, 0).await, (35, -1, -1), "v{version}");
        assert_eq!(list(version, 0, 0).await, (0, 0, 100), "v{version}");
        assert_eq!(
            list(version, 101, 0).await,
            (0, 1, 300),
            "inside a batch, v{version}"
        );
        assert_eq!(list(version, 301, 0).await, (0, 3, 400), "v{version}");
        assert_eq!(list(version, 401, 0).await, (0, -1, -1), "v{version}");
        assert_eq!(list(version, -1, 7).await, (3, -1, -1), "v{version}");
        assert_eq!(
            list(version, 0, 1).await,
            (0, -1, -1),
            "an empty log, v{version}"
        );
    }
}

#[tokio::test]
async fn a_partition_that_is_listed_twice_is_refused() {
    let broker = broker(&[]).await;
    topic(&broker, "t", &[]).await;
    let partition = |index| {
        ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_timestamp(-1)
    };
    let asked = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_partitions(vec![partition(0), partition(1), partition(0)]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![asked]);
    let answer = ask(&broker, 7, &request).await;
    let codes: Vec<i16> = answer.topics[0]
        .partitions
        .iter()
        .map(|p| p.error_code)
        .collect();
    assert_eq!(codes, [42, 0, 42]);
}

#[tokio::test]
async fn leader_epochs_end_where_the_log_does() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    produce(
        &broker,
        9,
        &topic,
        Some(batch(&[(NOW_MS, "a"), (NOW_MS, "b")])),
    )
    .await;
    let end = async |version: i16, current: i32, epoch: i32, index: i32| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(index)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let asked = OffsetForLeaderTopic::default()
            .with_topic(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![asked]);
        let request = if version >= 3 {
            request.with_replica_id(BrokerId(-1))
        } else {
            request
        };
        let answer = ask(&broker, version, &request).await;
        let end = &answer.topics[0].partitions[0];
        (end.error_code, end.leader_epoch, end.end_offset)
    };
    for version in 2..=4 {
        assert_eq!(end(version, -1, 0, 0).await, (0, 0, 2));
        assert_eq!(end(version, 0, 5, 0).await, (0, -1, -1));
        assert_eq!(end(version, -1, -1, 0).await, (0, -1, -1));
        assert_eq!(end(version, 3, 0, 0).await, (75, -1, -1));
        assert_eq!(end(version, -1, 0, 1).await, (0, 0, 0), "an empty log");
        assert_eq!(end(version, -1, 0, 9).await, (3, -1, -1));
    }
}
