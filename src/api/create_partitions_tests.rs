//! CreatePartitions: every version, Kafka's code for each bad request, and that what is new can be used at once.

use std::sync::Arc;

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::{BrokerId, CreatePartitionsRequest};

use super::common::topic_name;
use super::data_testing::{NOW_MS, batch, produce_request, topic};
use super::testing::{ask, broker};
use crate::broker::Broker;

fn to(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic::default()
        .with_name(topic_name(name))
        .with_count(count)
        .with_assignments(None)
}

fn assigned(count: i32, replicas: &[&[i32]]) -> CreatePartitionsTopic {
    let assignment = |ids: &&[i32]| {
        let ids = ids.iter().copied().map(BrokerId).collect();
        CreatePartitionsAssignment::default().with_broker_ids(ids)
    };
    to("orders", count).with_assignments(Some(replicas.iter().map(assignment).collect()))
}

fn request(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest::default().with_topics(topics)
}

fn partitions(broker: &Arc<Broker>, name: &str) -> usize {
    let topics = broker.catalog.topics();
    topics.by_name(name).expect("there").partitions.len()
}

#[tokio::test]
async fn new_partitions_take_records_when_the_answer_is_there() {
    let broker = broker(&[]).await;
    topic(&broker, "orders", &[]).await;
    for version in 0..=3 {
        let count = i32::from(version) + 3;
        let answer = ask(&broker, version, &request(vec![to("orders", count)])).await;
        let result = &answer.results[0];
        assert_eq!((result.name.as_str(), result.error_code), ("orders", 0));
        assert_eq!(result.error_message, None);
        let grown = broker
            .catalog
            .topics()
            .by_name("orders")
            .cloned()
            .expect("there");
        let request = produce_request(13, &grown, count - 1, Some(batch(&[(NOW_MS, "a")])));
        let produced = ask(&broker, 13, &request).await;
        let produced = &produced.responses[0].partition_responses[0];
        assert_eq!(
            (produced.error_code, produced.base_offset),
            (0, 0),
            "v{version}"
        );
    }
    assert_eq!(partitions(&broker, "orders"), 6);
}

#[tokio::test]
async fn each_bad_request_has_kafkas_code() {
    let broker = broker(&[("node.id", "5")]).await;
    topic(&broker, "orders", &[]).await;
    let table = [
        (to("missing", 3), 3),
        (to("orders", 2), 37),
        (to("orders", 1), 37),
        (to("orders", 0), 37),
        (to("orders", -1), 37),
        (to("orders", i32::MAX), 44),
        (assigned(3, &[]), 39),
        (assigned(3, &[&[5], &[5]]), 39),
        (assigned(3, &[&[1]]), 39),
        (assigned(3, &[&[]]), 39),
        (assigned(3, &[&[5, 5]]), 39),
    ];
    for (topic, code) in table {
        for version in 0..=3 {
            let answer = ask(&broker, version, &request(vec![topic.clone()])).await;
            assert_eq!(answer.results[0].error_code, code, "{topic:?}");
            assert!(answer.results[0].error_message.is_some());
        }
    }
    assert_eq!(partitions(&broker, "orders"), 2, "nothing was created");
    let by_hand = ask(&broker, 3, &request(vec![assigned(3, &[&[5]])])).await;
    assert_eq!(by_hand.results[0].error_code, 0);
    assert_eq!(partitions(&broker, "orders"), 3);
}

#[tokio::test]
async fn topics_of_a_request_are_answered_one_by_one_and_only_checked_when_asked_so() {
    let broker = broker(&[]).await;
    for name in ["a", "b", "c"] {
        topic(&broker, name, &[]).await;
    }
    let several = request(vec![to("a", 3), to("b", 4), to("c", 1), to("b", 5)]);
    let checked = ask(&broker, 3, &several.clone().with_validate_only(true)).await;
    assert_eq!(partitions(&broker, "a"), 2);
    let done = ask(&broker, 3, &several).await;
    for answer in [checked, done] {
        let results = answer.results.iter();
        let codes: Vec<_> = results.map(|r| (r.name.as_str(), r.error_code)).collect();
        assert_eq!(codes, [("b", 42), ("a", 0), ("c", 37)]);
    }
    assert_eq!(
        ["a", "b", "c"].map(|name| partitions(&broker, name)),
        [3, 2, 2]
    );
    broker.store.close().await.expect("closes");
    let refused = ask(&broker, 3, &request(vec![to("a", 4), to("b", 4)])).await;
    let codes: Vec<i16> = refused.results.iter().map(|r| r.error_code).collect();
    assert_eq!(codes, [7, 7]);
}
