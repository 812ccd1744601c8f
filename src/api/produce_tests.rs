//! Produce through its handler: every version, and Kafka's code for each bad input.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::data_testing::{
    NOW_MS, Producer, batch, batch_by, fetch, produce, produce_request, stamped, topic,
};
use super::testing::{ask, broker, broker_on, outcome};
use super::{Answer, Reply};
use crate::base::crc32c;
use crate::broker::Broker;
use crate::cluster::Topic;
use crate::store::fault::{Fault, FaultStore};
use crate::store::memory::MemoryStore;

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
    assert_eq!(crc, crc32c(&records[21..]));
    assert_eq!(records[22] & 8, 8, "the timestamp type");
    assert_eq!(
        records[35..43],
        NOW_MS.to_be_bytes(),
        "the largest timestamp"
    );
}

#[tokio::test]
async fn a_failed_commit_is_answered_and_costs_no_offset() {
    let store = FaultStore::new();
    let broker = broker_on(store.clone(), &[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let send = async || {
        let answer = produce(&broker, 9, &topic, Some(batch(&[(NOW_MS, "a")]))).await;
        (answer.error_code, answer.base_offset)
    };
    assert_eq!(send().await, (0, 0));
    store.plan([Fault::Full]);
    assert_eq!(send().await, (56, -1), "KAFKA_STORAGE_ERROR");
    assert_eq!(
        fetch(&broker, 12, &topic, 0).await.high_watermark,
        1,
        "reads go on"
    );
    assert_eq!(send().await, (0, 1));
    store.plan([Fault::Conflicts, Fault::Conflicts]);
    assert_eq!(send().await, (0, 2), "a conflict is decided anew");
    store.plan([Fault::Conflicts, Fault::Conflicts, Fault::Conflicts]);
    assert_eq!(send().await, (7, -1), "but not for ever");
    assert_eq!(fetch(&broker, 12, &topic, 0).await.high_watermark, 3);
}

#[tokio::test]
async fn a_retry_after_an_unknown_outcome_is_a_duplicate() {
    let store = FaultStore::new();
    let broker = broker_on(store.clone(), &[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let send = async |sequence| {
        let producer = Producer {
            id: 9,
            epoch: 0,
            sequence,
        };
        let records = batch_by(producer, &[(NOW_MS, "a")]);
        let answer = produce(&broker, 9, &topic, Some(records)).await;
        (answer.error_code, answer.base_offset)
    };
    assert_eq!(send(0).await, (0, 0));
    store.plan([Fault::Unheard]);
    assert_eq!(send(1).await, (56, -1));
    assert_eq!(
        send(1).await,
        (0, 1),
        "it had been made, and is not made twice"
    );
    assert_eq!(send(2).await, (0, 2));
    assert_eq!(fetch(&broker, 12, &topic, 0).await.high_watermark, 3);
}
