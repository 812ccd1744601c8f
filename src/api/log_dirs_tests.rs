//! DescribeLogDirs and DescribeTopicPartitions through their handlers.

use std::sync::Arc;

use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponse;
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeTopicPartitionsRequest};

use super::common::{TOPIC_OPERATIONS, topic_name};
use super::data_testing::{NOW_MS, batch, produce, topic};
use super::testing::{ask, broker, broker_on};
use crate::broker::Broker;
use crate::store::Store;
use crate::store::local::{LocalOptions, LocalStore};

type Asked<'a> = Option<&'a [(&'a str, &'a [i32])]>;

async fn describe(broker: &Arc<Broker>, version: i16, asked: Asked<'_>) -> DescribeLogDirsResult {
    let topics = asked.map(|asked| {
        let topic = |(name, partitions): &(&str, &[i32])| {
            DescribableLogDirTopic::default()
                .with_topic(topic_name(name))
                .with_partitions(partitions.to_vec())
        };
        asked.iter().map(topic).collect()
    });
    let request = DescribeLogDirsRequest::default().with_topics(topics);
    let answer = ask(broker, version, &request).await;
    assert_eq!(answer.error_code, 0);
    assert_eq!(answer.results.len(), 1, "one folder");
    answer.results[0].clone()
}

/// Topic, partition and size of everything described.
fn sizes(result: &DescribeLogDirsResult) -> Vec<(&str, i32, i64)> {
    let topics = result.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| {
            assert_eq!((partition.offset_lag, partition.is_future_key), (0, false));
            let index = partition.partition_index;
            (topic.name.as_str(), index, partition.partition_size)
        })
    });
    topics.collect()
}

#[tokio::test]
async fn the_folder_tells_what_each_partition_takes() {
    let broker = broker(&[("log.dirs", "some/folder")]).await;
    topic(&broker, "b", &[]).await;
    let a = topic(&broker, "a", &[]).await;
    let records = batch(&[(NOW_MS, "one"), (NOW_MS, "two")]);
    let size = i64::try_from(records.len()).expect("small");
    for _ in 0..2 {
        produce(&broker, 9, &a, Some(records.clone())).await;
    }
    for version in 1..=4 {
        let all = describe(&broker, version, None).await;
        assert_eq!(all.error_code, 0);
        assert!(all.log_dir.starts_with('/') && all.log_dir.ends_with("/some/folder"));
        assert_eq!(
            sizes(&all),
            [("a", 0, 2 * size), ("a", 1, 0), ("b", 0, 0), ("b", 1, 0)]
        );
        assert_eq!((all.total_bytes, all.usable_bytes), (-1, -1), "in memory");
        let asked: Asked<'_> = Some(&[
            ("b", &[7, 1, 1]),
            ("none", &[0]),
            ("a", &[0, -1]),
            ("b", &[1]),
        ]);
        let some = describe(&broker, version, asked).await;
        assert_eq!(sizes(&some), [("a", 0, 2 * size), ("b", 1, 0)]);
        let asked: Asked<'_> = Some(&[("a", &[9])]);
        assert_eq!(describe(&broker, version, asked).await.topics, []);
        assert_eq!(describe(&broker, version, Some(&[])).await.topics, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_tells_the_size_of_its_file_system() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = LocalOptions {
        segment_size: Some(LocalOptions::SEGMENT_SIZE_MIN),
        ..LocalOptions::default()
    };
    let store = LocalStore::open_folder(folder.path(), options).expect("opens");
    let store: Arc<dyn Store> = Arc::new(store);
    let broker = broker_on(Arc::clone(&store), &[]).await;
    let result = describe(&broker, 4, None).await;
    assert!(result.usable_bytes > 0 && result.total_bytes >= result.usable_bytes);
    let older = describe(&broker, 3, None).await;
    assert_eq!((older.total_bytes, older.usable_bytes), (-1, -1));
    store.close().await.expect("closes");
    assert_eq!(describe(&broker, 4, None).await.error_code, 6);
}

async fn page(
    broker: &Arc<Broker>,
    topics: &[&str],
    limit: i32,
    cursor: Option<(&str, i32)>,
) -> DescribeTopicPartitionsResponse {
    let topic = |name: &&str| TopicRequest::default().with_name(topic_name(name));
    let cursor = cursor.map(|(name, index)| {
        Cursor::default()
            .with_topic_name(topic_name(name))
            .with_partition_index(index)
    });
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(topics.iter().map(topic).collect())
        .with_response_partition_limit(limit)
        .with_cursor(cursor);
    ask(broker, 0, &request).await
}

/// Name, error and partitions of each topic; where the next page begins.
type Page = (Vec<(String, i16, Vec<i32>)>, Option<(String, i32)>);

fn seen(answer: &DescribeTopicPartitionsResponse) -> Page {
    let topics = answer.topics.iter().map(|topic| {
        let name = topic.name.as_ref().map(|name| name.to_string());
        let indexes = topic.partitions.iter().map(|one| one.partition_index);
        (
            name.unwrap_or_default(),
            topic.error_code,
            indexes.collect(),
        )
    });
    let cursor = answer.next_cursor.as_ref();
    let cursor = cursor.map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
    (topics.collect(), cursor)
}

fn row(name: &str, error: i16, partitions: &[i32]) -> (String, i16, Vec<i32>) {
    (name.to_owned(), error, partitions.to_vec())
}

#[tokio::test]
async fn topics_are_described_page_by_page() {
    let broker = broker(&[("node.id", "5")]).await;
    for name in ["c", "a", "b"] {
        topic(&broker, name, &[]).await;
    }
    let all = page(&broker, &[], 2000, None).await;
    let expected = ["a", "b", "c"].map(|name| row(name, 0, &[0, 1]));
    assert_eq!(seen(&all), (expected.to_vec(), None));
    let first = &all.topics[0];
    assert_eq!(
        first.topic_id,
        broker.catalog.topics().by_name("a").expect("a").id
    );
    assert_eq!(first.topic_authorized_operations, TOPIC_OPERATIONS);
    let partition = &first.partitions[1];
    assert_eq!((partition.leader_id.0, partition.leader_epoch), (5, 0));
    assert_eq!(partition.replica_nodes, [5]);
    assert_eq!(partition.isr_nodes, [5]);
    assert_eq!(partition.eligible_leader_replicas, Some(vec![]));
    assert!(partition.offline_replicas.is_empty());

    let next = |name: &str, index| Some((name.to_owned(), index));
    let three = page(&broker, &[], 3, None).await;
    let expected = vec![row("a", 0, &[0, 1]), row("b", 0, &[0])];
    assert_eq!(seen(&three), (expected, next("b", 1)));
    let rest = page(&broker, &[], 3, Some(("b", 1))).await;
    let expected = vec![row("b", 0, &[1]), row("c", 0, &[0, 1])];
    assert_eq!(seen(&rest), (expected, None));
    let two = page(&broker, &[], 2, None).await;
    assert_eq!(seen(&two), (vec![row("a", 0, &[0, 1])], next("b", 0)));
    let least = page(&broker, &[], -9, None).await;
    assert_eq!(seen(&least), (vec![row("a", 0, &[0])], next("a", 1)));
    let beyond = page(&broker, &[], 9, Some(("b", i32::MAX))).await;
    let expected = vec![row("b", 0, &[]), row("c", 0, &[0, 1])];
    assert_eq!(seen(&beyond), (expected, None));
    let gone = page(&broker, &[], 9, Some(("bb", 1))).await;
    assert_eq!(seen(&gone), (vec![row("c", 0, &[0, 1])], None));
}

#[tokio::test]
async fn topics_that_are_not_there_have_their_error_on_a_page() {
    let broker = broker(&[("max.request.partition.size.limit", "2")]).await;
    topic(&broker, "b", &[]).await;
    let names = ["x", "b", "not a name", "b", "__consumer_offsets"];
    let answer = page(&broker, &names, 2000, None).await;
    let expected = vec![row("__consumer_offsets", 3, &[]), row("b", 0, &[0, 1])];
    let next = Some(("not a name".to_owned(), 0));
    assert_eq!(seen(&answer), (expected, next), "the broker's limit holds");
    assert!(answer.topics[0].is_internal);
    assert_eq!(
        answer.topics[0].topic_authorized_operations,
        TOPIC_OPERATIONS
    );
    let answer = page(&broker, &names, 2000, Some(("not a name", 0))).await;
    let expected = vec![row("not a name", 17, &[]), row("x", 3, &[])];
    assert_eq!(seen(&answer), (expected, None));

    let refused = vec![row("b", 42, &[])];
    for cursor in [("c", 0), ("b", -1)] {
        let answer = page(&broker, &["b"], 2000, Some(cursor)).await;
        assert_eq!(seen(&answer), (refused.clone(), None), "{cursor:?}");
    }
    let answer = page(&broker, &[], 2000, Some(("b", -1))).await;
    assert_eq!(seen(&answer), (vec![], None));
}
