//! CreatePartitions: Kafka's verdict on each request, and what a decision writes.

use super::rows::decode_topic;
use super::tests::{COUNTER, existing};
use super::*;
use crate::base::{NodeId, PartitionNumber};
use crate::store::{Version, Write};

const NODE: NodeId = NodeId(7);

fn grow(requests: &[GrowTopic]) -> Growth {
    create_partitions(&existing(), COUNTER, NODE, requests)
}

fn to(name: &str, count: i32) -> GrowTopic {
    GrowTopic {
        name: name.to_owned(),
        count,
        assignments: None,
    }
}

fn assigned(count: i32, assignments: &[&[i32]]) -> GrowTopic {
    let replicas = |ids: &&[i32]| ids.iter().copied().map(NodeId).collect();
    GrowTopic {
        assignments: Some(assignments.iter().map(replicas).collect()),
        ..to("orders", count)
    }
}

#[test]
fn each_bad_request_is_refused_in_kafkas_words() {
    let manual = |what: &str| format!("The manual partition assignment includes {what}");
    let table = [
        (
            to("missing", 3),
            "This server does not host this topic-partition.".to_owned(),
        ),
        (
            to("orders", 2),
            "Topic already has 2 partition(s).".to_owned(),
        ),
        (
            to("orders", 1),
            "The topic orders currently has 2 partition(s); 1 would not be an increase.".to_owned(),
        ),
        (
            to("orders", -1),
            "The topic orders currently has 2 partition(s); -1 would not be an increase."
                .to_owned(),
        ),
        (
            assigned(4, &[&[7]]),
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."
                .to_owned(),
        ),
        (assigned(3, &[&[]]), manual("an empty replica list.")),
        (
            assigned(3, &[&[8]]),
            manual("broker 8, but no such broker is registered."),
        ),
        (
            assigned(3, &[&[7, 7]]),
            manual("the broker 7 more than once."),
        ),
    ];
    for (request, text) in table {
        let growth = grow(std::slice::from_ref(&request));
        let error = growth.outcomes[0].as_ref().expect_err("refused");
        assert_eq!(error.to_string(), text);
        assert!(
            growth.writes.is_empty() && growth.guards.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn new_partitions_get_new_numbers_behind_the_old_ones() {
    let growth = grow(&[
        to("orders", 4),
        to("missing", 9),
        assigned(5, &[]),
        to("a.b", 2),
    ]);
    let twice = GrowError::Duplicate;
    assert_eq!(growth.outcomes[0], Err(twice.clone()));
    assert_eq!(growth.outcomes[1], Err(GrowError::Unknown));
    assert_eq!(growth.outcomes[2], Err(twice));

    let growth = grow(&[to("a.b", 2), assigned(4, &[&[7], &[7]])]);
    let numbers = |outcome: &Result<std::sync::Arc<Topic>, GrowError>| {
        let topic = outcome.as_ref().expect("grows");
        topic
            .partitions
            .iter()
            .map(|number| number.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&growth.outcomes[0]), [2, 3]);
    assert_eq!(numbers(&growth.outcomes[1]), [0, 1, 4, 5]);
    assert_eq!(growth.next, 6);
    let guards: Vec<_> = growth.guards.iter().map(|(_, version)| version.0).collect();
    assert_eq!(
        guards,
        [6, 5, COUNTER.version.0],
        "both topics and the counter"
    );
    assert_eq!(growth.writes.len(), 3);
    let Write::Put { key, value, .. } = &growth.writes[1] else {
        panic!("the row of the topic");
    };
    assert_eq!(*key, topic_key("orders"));
    let row = decode_topic(value).expect("readable");
    assert_eq!(row.id, existing().by_name("orders").expect("there").id);
    assert_eq!(row.partitions, [0, 1, 4, 5].map(PartitionNumber));
}

#[test]
fn a_request_for_too_many_fails_as_a_whole() {
    let most = i32::try_from(CREATE_PARTITIONS_MAX).expect("fits");
    assert!(grow(&[to("orders", most + 2)]).outcomes[0].is_ok());
    let growth = grow(&[to("orders", most), to("a.b", 4)]);
    assert_eq!(growth.outcomes, vec![Err(GrowError::TooMany); 2]);
    assert!(growth.writes.is_empty());
    assert_eq!((growth.next, growth.guards.len()), (COUNTER.next, 0));
    let all = grow(&[to("orders", i32::MAX)]);
    assert_eq!(all.outcomes, [Err(GrowError::TooMany)]);
    let full = Counter {
        next: u32::MAX,
        version: Version(1),
    };
    let growth = create_partitions(&existing(), full, NODE, &[to("orders", 3)]);
    assert_eq!(growth.outcomes, [Err(GrowError::TooMany)]);
}
