//! ListOffsets and OffsetForLeaderEpoch through their handlers.

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    BrokerId, ListOffsetsRequest, OffsetForLeaderEpochRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::data_testing::{NOW_MS, batch, produce, topic};
use super::testing::{ask, broker};

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
