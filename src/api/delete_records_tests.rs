//! DeleteRecords through its handler: Kafka's codes, and what all other APIs see of a raised log start.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, DeleteRecordsRequest, ListOffsetsRequest};

use super::common::topic_name;
use super::data_testing::{NOW_MS, Producer, batch, batch_by, fetch, produce, stamped, topic};
use super::delete_records::find;
use super::testing::{ask, broker, broker_on};
use crate::broker::Broker;
use crate::cluster::{Topic, Topics};
use crate::store::memory::{BLOB_SIZE, MemoryStore};
use crate::store::{BlobStore, Store, Version};

/// Topic, partition, error, low watermark.
type Deleted = (String, i32, i16, i64);

async fn delete(broker: &Arc<Broker>, version: i16, asked: &[(&str, i32, i64)]) -> Vec<Deleted> {
    let topics = asked.iter().map(|(name, index, offset)| {
        let partition = DeleteRecordsPartition::default()
            .with_partition_index(*index)
            .with_offset(*offset);
        DeleteRecordsTopic::default()
            .with_name(topic_name(name))
            .with_partitions(vec![partition])
    });
    let request = DeleteRecordsRequest::default().with_topics(topics.collect());
    let answer = ask(broker, version, &request).await;
    let results = answer.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|one| {
            let name = topic.name.to_string();
            (name, one.partition_index, one.error_code, one.low_watermark)
        })
    });
    results.collect()
}

/// Deletes in partition 0 of `t`: error and low watermark.
async fn delete_to(broker: &Arc<Broker>, offset: i64) -> (i16, i64) {
    let deleted = delete(broker, 2, &[("t", 0, offset)]).await.remove(0);
    (deleted.2, deleted.3)
}

/// Offset and timestamp that partition 0 of `t` has for a time, or a special one.
async fn list(broker: &Arc<Broker>, timestamp: i64) -> (i64, i64) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let asked = ListOffsetsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![asked]);
    let answer = ask(broker, 8, &request).await;
    let found = &answer.topics[0].partitions[0];
    assert_eq!(found.error_code, 0);
    (found.offset, found.timestamp)
}

#[tokio::test]
async fn each_way_to_ask_has_kafkas_code() {
    let broker = broker(&[]).await;
    let compact = [("cleanup.policy", "compact")];
    let both = [("cleanup.policy", "compact,delete")];
    for (name, configs) in [("t", &[][..]), ("compacted", &compact), ("both", &both)] {
        topic(&broker, name, configs).await;
    }
    let t = topic(&broker, "u", &[]).await;
    for version in 0..=2 {
        produce(&broker, 9, &t, Some(batch(&[(1, "a"), (2, "b")]))).await;
        let end = 2 * i64::from(version + 1);
        let asked = [
            ("u", 0, end - 1),
            ("compacted", 0, 0),
            ("u", 7, 0),
            ("both", 1, -1),
            ("none", 0, 0),
            ("__consumer_offsets", 0, -5),
            ("u", 1, 1),
            ("t", 0, -2),
            ("t", 1, i64::MAX),
        ];
        let row = |name: &str, index, code, low| (name.to_owned(), index, code, low);
        let expected = [
            row("__consumer_offsets", 0, 3, -1),
            row("both", 1, 0, 0),
            row("compacted", 0, 44, -1),
            row("none", 0, 3, -1),
            row("t", 0, 1, -1),
            row("t", 1, 1, -1),
            row("u", 0, 0, end - 1),
            row("u", 1, 1, -1),
            row("u", 7, 3, -1),
        ];
        assert_eq!(delete(&broker, version, &asked).await, expected);
        // The last offset counts, a lower one moves nothing.
        let twice = [("u", 0, -1), ("u", 0, 0)];
        let kept = [row("u", 0, 0, end - 1)];
        assert_eq!(delete(&broker, version, &twice).await, kept);
        assert_eq!(delete(&broker, version, &[]).await, []);
    }
}

/// There are no such topics yet; where there are, they are the broker's own.
#[tokio::test]
async fn records_of_internal_topics_stay() {
    let broker = broker(&[]).await;
    let t = topic(&broker, "t", &[]).await;
    let internal = Topic {
        name: "__consumer_offsets".into(),
        internal: true,
        ..(*t).clone()
    };
    let mut topics = Topics::default();
    topics.insert(Arc::new(internal), Version(1));
    let found = |index| find(&topics, "__consumer_offsets", index, 0).map(|_| ());
    assert_eq!(found(0), Err(ResponseError::InvalidTopicException));
    assert_eq!(found(9), Err(ResponseError::UnknownTopicOrPartition));
}

#[tokio::test]
async fn readers_see_the_log_begin_where_it_was_cut() {
    let broker = broker(&[]).await;
    let t = topic(&broker, "t", &[]).await;
    let records = batch(&[(100, "a"), (200, "b"), (300, "c")]);
    for _ in 0..3 {
        produce(&broker, 9, &t, Some(records.clone())).await;
    }
    assert_eq!(delete_to(&broker, 4).await, (0, 4));
    assert_eq!(list(&broker, -2).await, (4, -1));
    assert_eq!(list(&broker, -4).await, (4, -1));
    assert_eq!(list(&broker, 0).await, (4, 200), "inside a batch");
    for offset in [0, 3] {
        let out_of_range = fetch(&broker, 12, &t, offset).await;
        assert_eq!(out_of_range.error_code, 1, "offset {offset}");
    }
    let whole = [stamped(&records, 3), stamped(&records, 6)].concat();
    let read = fetch(&broker, 12, &t, 4).await;
    assert_eq!((read.error_code, read.log_start_offset), (0, 4));
    assert_eq!(read.records.as_deref(), Some(&whole[..]));

    assert_eq!(delete_to(&broker, -1).await, (0, 9));
    assert_eq!(list(&broker, -2).await, (9, -1));
    assert_eq!(list(&broker, -1).await, (9, -1));
    assert_eq!(list(&broker, 0).await, (-1, -1));
    assert_eq!(list(&broker, -3).await, (-1, -1));
    assert_eq!(fetch(&broker, 12, &t, 8).await.error_code, 1);
    let end = fetch(&broker, 12, &t, 9).await;
    assert_eq!((end.error_code, end.log_start_offset), (0, 9));
    let answer = produce(&broker, 9, &t, Some(records.clone())).await;
    assert_eq!((answer.base_offset, answer.log_start_offset), (9, 9));
    let read = fetch(&broker, 12, &t, 9).await;
    assert_eq!(read.records, Some(stamped(&records, 9)));
}

#[tokio::test]
async fn the_largest_timestamp_is_that_of_a_record_that_is_left() {
    let broker = broker(&[]).await;
    let t = topic(&broker, "t", &[]).await;
    for records in [
        [(900, "a"), (500, "b"), (700, "c")],
        [(100, "d"), (600, "e"), (600, "f")],
        [(600, "g"), (300, "h"), (200, "i")],
    ] {
        produce(&broker, 9, &t, Some(batch(&records))).await;
    }
    let expected = [
        (900, 0),
        (700, 2),
        (700, 2),
        (600, 4),
        (600, 4),
        (600, 5),
        (600, 6),
        (300, 7),
        (200, 8),
    ];
    for (start, (timestamp, offset)) in (0..).zip(expected) {
        assert_eq!(delete_to(&broker, start).await, (0, start));
        let largest = list(&broker, -3).await;
        assert_eq!(largest, (offset, timestamp), "from {start} on");
    }
    assert_eq!(delete_to(&broker, 9).await, (0, 9));
    assert_eq!(list(&broker, -3).await, (-1, -1));
    produce(&broker, 9, &t, Some(batch(&[(50, "j")]))).await;
    assert_eq!(list(&broker, -3).await, (9, 50));
    assert_eq!(list(&broker, 0).await, (9, 50));
}

/// Kafka keeps what it knows of producers as well.
#[tokio::test]
async fn a_producer_goes_on_after_its_records_are_gone() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = broker_on(Arc::clone(&store), &[]).await;
    let t = topic(&broker, "t", &[]).await;
    let by = |sequence| {
        let (id, epoch) = (7, 0);
        let producer = Producer {
            id,
            epoch,
            sequence,
        };
        Some(batch_by(producer, &[(NOW_MS, "x")]))
    };
    produce(&broker, 9, &t, by(0)).await;
    produce(&broker, 9, &t, by(1)).await;
    assert_eq!(delete_to(&broker, -1).await, (0, 2));
    let again = produce(&broker, 9, &t, by(1)).await;
    assert_eq!((again.error_code, again.base_offset), (0, 1), "a retry");
    assert_eq!(produce(&broker, 9, &t, by(3)).await.error_code, 45);
    // And so it is for another broker on the same store.
    let broker = broker_on(store, &[]).await;
    assert_eq!(list(&broker, -2).await, (2, -1));
    let next = produce(&broker, 9, &t, by(2)).await;
    assert_eq!((next.error_code, next.base_offset), (0, 2));
}

#[tokio::test]
async fn blobs_in_which_nothing_is_left_are_given_back() {
    let store = Arc::new(MemoryStore::new());
    let broker = broker_on(Arc::<MemoryStore>::clone(&store), &[]).await;
    let large = [("max.message.bytes", "5000000")];
    let t = topic(&broker, "t", &large).await;
    let kept = topic(&broker, "kept", &large).await;
    let value = "v".repeat(4_000_000);
    for _ in 0..3 {
        for _ in 0..=BLOB_SIZE / 4_000_000 {
            produce(&broker, 9, &t, Some(batch(&[(1, &value)]))).await;
        }
    }
    produce(&broker, 9, &kept, Some(batch(&[(1, &value)]))).await;
    let before = store.blobs().await.expect("lists").len();
    assert!(before >= 4);
    assert_eq!(delete_to(&broker, 7).await, (0, 7));
    let until = async |blobs: usize| {
        while store.blobs().await.expect("lists").len() > blobs {
            tokio::task::yield_now().await;
        }
    };
    until(before - 1).await;
    assert_eq!(fetch(&broker, 12, &t, 7).await.error_code, 0);
    assert_eq!(delete_to(&broker, -1).await, (0, 15));
    until(1).await;
    let read = fetch(&broker, 12, &kept, 0).await;
    assert_eq!(
        read.records.map(|bytes| bytes.len() > value.len()),
        Some(true)
    );
}
