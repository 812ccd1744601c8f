//! Tables of requests and Kafka's verdict on each, and what a decision writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::base::{NodeId, PartitionNumber};
use crate::config::{Config, TopicConfig};
use crate::store::{Version, Write};

/// A topic with partition numbers from `start`.
pub(super) fn topic(name: &str, partitions: u32, start: u32) -> Arc<Topic> {
    Arc::new(Topic {
        id: Uuid::from_u128(u128::from(start) + 1_000_000),
        name: Arc::from(name),
        partitions: (start..start + partitions).map(PartitionNumber).collect(),
        config: defaults(),
        overrides: BTreeMap::new(),
        internal: false,
    })
}

fn defaults() -> Arc<TopicConfig> {
    let resolved = TopicConfig::resolve(&Config::default(), &BTreeMap::new());
    Arc::new(resolved.expect("defaults are valid"))
}

pub(super) fn existing() -> Topics {
    let mut topics = Topics::default();
    topics.insert(topic("orders", 2, 0), Version(5));
    topics.insert(topic("a.b", 1, 2), Version(6));
    topics
}

pub(super) const COUNTER: Counter = Counter {
    next: 3,
    version: Version(6),
};

fn create(replication: Replication, requests: &[CreateTopic]) -> Creation {
    let (config, defaults) = (Config::default(), defaults());
    let rules = Rules {
        config: &config,
        defaults: &defaults,
        node_id: NodeId(7),
        partitions: 4,
        replication_factor: 1,
        replication,
    };
    let mut drawn = 0_u128;
    let mut draw = || {
        drawn += 50;
        Uuid::from_u128(drawn)
    };
    create_topics(&existing(), COUNTER, &rules, requests, &mut draw)
}

/// A request as most clients send it: one replica, `partitions` partitions.
fn plain(name: &str, partitions: i32) -> CreateTopic {
    CreateTopic {
        name: name.to_owned(),
        partitions,
        replication_factor: 1,
        ..CreateTopic::default()
    }
}

fn manual(name: &str, assignments: &[(i32, &[i32])]) -> CreateTopic {
    let assignments = assignments.iter().map(|(partition, replicas)| Assignment {
        partition: *partition,
        replicas: replicas.iter().copied().map(NodeId).collect(),
    });
    CreateTopic {
        replication_factor: -1,
        assignments: assignments.collect(),
        ..plain(name, -1)
    }
}

fn with_config(name: &str, key: &str, value: Option<&str>) -> CreateTopic {
    CreateTopic {
        configs: vec![(key.to_owned(), value.map(str::to_owned))],
        ..plain(name, 1)
    }
}

/// The verdict on one request: partitions created, or the start of the error's text.
fn verdict(request: CreateTopic) -> Result<usize, String> {
    let mut creation = create(Replication::Strict, &[request]);
    match creation.outcomes.remove(0) {
        Ok(topic) => Ok(topic.partitions.len()),
        Err(error) => {
            assert!(creation.writes.is_empty(), "an error writes nothing");
            Err(error.to_string())
        }
    }
}

#[test]
fn each_bad_creation_gets_kafkas_verdict() {
    let factor = |factor| CreateTopic {
        replication_factor: factor,
        ..plain("t", 1)
    };
    let table = [
        (plain("orders", 1), "Topic 'orders' already exists."),
        (plain("__cluster_metadata", 1), "Creation of internal"),
        (plain("__consumer_offsets", 1), "Topic '__consumer_offsets'"),
        (plain("", 1), "Topic name is invalid: the empty"),
        (plain("..", 1), "Topic name is invalid: '..'"),
        (plain("a b", 1), "Topic name is invalid: 'a b' contains"),
        (
            plain("a_b", 1),
            "Topic 'a_b' collides with existing topic: a.b",
        ),
        (plain("t", 0), "Number of partitions"),
        (plain("t", -2), "Number of partitions"),
        (factor(0), "Replication factor must be larger"),
        (factor(-2), "Replication factor must be larger"),
        (factor(2), "Unable to replicate the partition 2 time(s)"),
        (plain("t", 10_000), "Unable to perform excessively"),
        (plain("t", 10_001), "Excessively large number"),
        (plain("t", i32::MAX), "Excessively large number"),
        (
            with_config("t", "retention.ms", None),
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            manual("t", &[(0, &[])]),
            "The manual partition assignment includes an empty",
        ),
        (
            manual("t", &[(0, &[8])]),
            "The manual partition assignment includes broker 8",
        ),
        (
            manual("t", &[(0, &[7, 7])]),
            "The manual partition assignment includes the broker 7 more",
        ),
        (manual("t", &[(0, &[7]), (0, &[7])]), "Found multiple"),
        (manual("t", &[(0, &[7]), (2, &[7])]), "partitions should be"),
        (manual("t", &[(1, &[7])]), "partitions should be"),
        (manual("t", &[(-1, &[7])]), "partitions should be"),
        (
            CreateTopic {
                partitions: 1,
                ..manual("t", &[(0, &[7])])
            },
            "A manual partition assignment was specified, but numPartitions",
        ),
        (
            CreateTopic {
                replication_factor: 1,
                ..manual("t", &[(0, &[7])])
            },
            "A manual partition assignment was specified, but replication factor",
        ),
    ];
    for (request, text) in table {
        let error = verdict(request.clone()).expect_err(text);
        assert!(error.starts_with(text), "{request:?}: {error}");
    }
    let unknown = verdict(with_config("t", "no.such.key", Some("1")));
    assert!(unknown.is_err());
}

#[test]
fn each_good_creation_has_its_partitions() {
    assert_eq!(verdict(plain("t", 9_999)), Ok(9_999));
    assert_eq!(verdict(plain("t", -1)), Ok(4), "the broker's default");
    let default_factor = CreateTopic {
        replication_factor: -1,
        ..plain("t", 2)
    };
    assert_eq!(verdict(default_factor), Ok(2));
    assert_eq!(verdict(manual("t", &[(1, &[7]), (0, &[7])])), Ok(2));
    assert_eq!(verdict(with_config("t", "retention.ms", Some("5"))), Ok(1));
}

#[test]
fn any_replication_factor_is_taken_when_the_broker_says_so() {
    let request = CreateTopic {
        replication_factor: 3,
        ..plain("t", 2)
    };
    let creation = create(Replication::Any, &[request]);
    assert_eq!(
        creation.outcomes[0].as_ref().map(|t| t.partitions.len()),
        Ok(2)
    );
}

#[test]
fn a_creation_numbers_partitions_from_the_counter_and_guards_what_it_read() {
    let requests = [plain("x", 2), plain("orders", 1), plain("y", 3)];
    let creation = create(Replication::Strict, &requests);
    let x = creation.outcomes[0].as_ref().expect("created");
    let y = creation.outcomes[2].as_ref().expect("created");
    assert_eq!(x.partitions, [PartitionNumber(3), PartitionNumber(4)]);
    assert_eq!(y.partitions.first(), Some(&PartitionNumber(5)));
    assert_ne!(x.id, y.id);
    assert_eq!(
        x.id.as_u128(),
        150,
        "the reserved ids up to 100 are passed over"
    );
    assert_eq!(creation.next, 8);
    assert_eq!(
        creation.guards,
        [
            (topic_key("x"), Version::ABSENT),
            (topic_key("y"), Version::ABSENT),
            (counter_key(), Version(6)),
        ]
    );
    let Some(Write::Put { key, value, .. }) = creation.writes.last() else {
        panic!("the counter is written last");
    };
    assert_eq!((key, decode_counter(value)), (&counter_key(), Ok(8)));
    let Write::Put { value, .. } = &creation.writes[0] else {
        panic!("a topic row is put");
    };
    assert_eq!(
        decode_topic(value).expect("decodes").partitions,
        x.partitions
    );
}

#[test]
fn repeats_and_too_much_fail_together() {
    let repeated = create(
        Replication::Strict,
        &[plain("t", 1), plain("u", 1), plain("t", 2)],
    );
    assert_eq!(repeated.outcomes[0], Err(CreateError::Duplicate));
    assert!(repeated.outcomes[1].is_ok());
    assert_eq!(repeated.outcomes[2], Err(CreateError::Duplicate));

    let large = create(Replication::Strict, &[plain("t", 5_000), plain("u", 5_000)]);
    assert_eq!(
        large.outcomes,
        [Err(CreateError::TooLarge), Err(CreateError::TooLarge)]
    );
    assert!(large.writes.is_empty() && large.guards.is_empty());
    assert_eq!(large.next, COUNTER.next);
}

#[test]
fn partition_numbers_run_out_without_wrapping() {
    let (config, defaults) = (Config::default(), defaults());
    let rules = Rules {
        config: &config,
        defaults: &defaults,
        node_id: NodeId(7),
        partitions: 1,
        replication_factor: 1,
        replication: Replication::Strict,
    };
    let counter = Counter {
        next: u32::MAX - 1,
        version: Version(1),
    };
    let mut draw = || Uuid::from_u128(500);
    let full = create_topics(&existing(), counter, &rules, &[plain("t", 2)], &mut draw);
    assert_eq!(full.outcomes, [Err(CreateError::TooLarge)]);
    let last = create_topics(&existing(), counter, &rules, &[plain("t", 1)], &mut draw);
    assert_eq!(last.next, u32::MAX);
}

fn named(name: &str) -> DeleteTopic {
    DeleteTopic {
        name: Some(name.to_owned()),
        id: None,
    }
}

fn by_id(id: Uuid) -> DeleteTopic {
    DeleteTopic {
        name: None,
        id: Some(id),
    }
}

#[test]
fn each_deletion_gets_kafkas_verdict() {
    let topics = existing();
    let orders = topics.by_name("orders").expect("exists").id;
    let both = DeleteTopic {
        id: Some(orders),
        ..named("orders")
    };
    let verdicts = |requests: &[DeleteTopic]| -> Vec<Result<String, DeleteError>> {
        let deletion = delete_topics(&topics, requests);
        let deleted = deletion.outcomes.iter().flatten().count();
        assert_eq!(
            (deletion.guards.len(), deletion.writes.len()),
            (deleted, 2 * deleted)
        );
        let named = deletion.outcomes.into_iter();
        named
            .map(|outcome| outcome.map(|topic| topic.name.to_string()))
            .collect()
    };
    let ok = |name: &str| Ok(name.to_owned());
    use DeleteError::{
        Both, DuplicateId, DuplicateName, NamedTwice, Neither, UnknownId, UnknownName,
    };
    assert_eq!(
        verdicts(&[named("orders"), named("a.b")]),
        [ok("orders"), ok("a.b")]
    );
    assert_eq!(verdicts(&[by_id(orders)]), [ok("orders")]);
    assert_eq!(
        verdicts(&[both, DeleteTopic::default()]),
        [Err(Both), Err(Neither)]
    );
    assert_eq!(
        verdicts(&[named("nope"), by_id(Uuid::from_u128(9))]),
        [Err(UnknownName), Err(UnknownId)]
    );
    assert_eq!(
        verdicts(&[named("orders"), named("a.b"), named("orders")]),
        [Err(DuplicateName), ok("a.b"), Err(DuplicateName)]
    );
    assert_eq!(
        verdicts(&[by_id(orders), named("orders"), by_id(orders)]),
        [Err(DuplicateId), Err(NamedTwice), Err(DuplicateId)]
    );
    assert_eq!(
        verdicts(&[named("orders"), by_id(orders)]),
        [Err(NamedTwice), Err(NamedTwice)]
    );
}

#[test]
fn a_deletion_leaves_a_trim_row_that_lists_the_partitions() {
    let topics = existing();
    let orders = topics.by_name("orders").expect("exists");
    let deletion = delete_topics(&topics, &[named("orders")]);
    assert_eq!(deletion.guards, [(topic_key("orders"), Version(5))]);
    assert_eq!(
        deletion.writes[0],
        Write::Delete {
            key: topic_key("orders")
        }
    );
    let Write::Put { key, value, .. } = &deletion.writes[1] else {
        panic!("the trim row is put");
    };
    let trim = decode_trim(key, value).expect("decodes");
    let subject = TrimSubject::Topic {
        id: orders.id,
        name: "orders".to_owned(),
        partitions: orders.partitions.clone(),
    };
    assert_eq!(trim.subject, subject);
}
