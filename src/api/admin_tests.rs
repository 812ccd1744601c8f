//! The handlers about topics and the cluster: every version, and Kafka's code for each bad input.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, MetadataRequest,
    MetadataResponse,
};
use uuid::Uuid;

use super::common::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS, text, topic_name};
use super::testing::{ask, broker, broker_on};
use crate::broker::Broker;
use crate::store::Store;
use crate::store::memory::MemoryStore;

fn creatable(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
}

async fn create(
    broker: &Arc<Broker>,
    version: i16,
    topics: Vec<CreatableTopic>,
) -> CreateTopicsResponse {
    let request = CreateTopicsRequest::default().with_topics(topics);
    ask(broker, version, &request).await
}

/// A broker with topic `orders` of three partitions, and the topic's id.
async fn with_orders(settings: &[(&str, &str)]) -> (Arc<Broker>, Uuid) {
    let broker = broker(settings).await;
    let created = create(&broker, 7, vec![creatable("orders", 3)]).await;
    assert_eq!(created.topics[0].error_code, 0);
    let id = created.topics[0].topic_id;
    (broker, id)
}

fn names(names: &[&str]) -> Option<Vec<MetadataRequestTopic>> {
    let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    Some(names.iter().map(topic).collect())
}

/// Name and error of each topic of an answer.
fn listed(response: &MetadataResponse) -> Vec<(Option<&str>, i16)> {
    let topics = response.topics.iter();
    topics
        .map(|topic| {
            let name = topic.name.as_ref().map(|name| name.0.as_str());
            (name, topic.error_code)
        })
        .collect()
}

#[tokio::test]
async fn metadata_answers_in_every_version() {
    let (broker, id) = with_orders(&[("node.id", "5"), ("broker.rack", "north")]).await;
    for version in 0..=13 {
        let request = MetadataRequest::default()
            .with_topics(names(&["orders", "no such", "missing"]))
            .with_allow_auto_topic_creation(version < 4)
            .with_include_topic_authorized_operations(version >= 8)
            .with_include_cluster_authorized_operations((8..=10).contains(&version));
        let answer = ask(&broker, version, &request).await;
        let missing = if version < 4 { 0 } else { 3 };
        if version < 4 {
            let delete =
                DeleteTopicsRequest::default().with_topic_names(vec![topic_name("missing")]);
            ask(&broker, 1, &delete).await;
        }
        assert_eq!(
            listed(&answer),
            [
                (Some("orders"), 0),
                (Some("no such"), 17),
                (Some("missing"), missing)
            ]
        );
        let node = &answer.brokers[0];
        assert_eq!(
            (node.node_id.0, node.host.as_str(), node.port),
            (5, "broker.example", 19_092)
        );
        assert_eq!(answer.brokers.len(), 1);
        assert_eq!(node.rack.as_deref(), (version >= 1).then_some("north"));
        assert_eq!(answer.error_code, 0);
        if version >= 1 {
            assert_eq!(answer.controller_id, BrokerId(5));
        }
        let cluster_id = answer.cluster_id.as_deref();
        assert_eq!(
            cluster_id,
            (version >= 2).then(|| broker.catalog.cluster_id())
        );
        let expected = if (8..=10).contains(&version) {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        };
        assert_eq!(answer.cluster_authorized_operations, expected);

        check_orders(&answer.topics[0], version, id);
    }
}

/// The topic of [`with_orders`] on node 5, with the fields of this version.
fn check_orders(orders: &MetadataResponseTopic, version: i16, id: Uuid) {
    assert_eq!(
        orders.topic_id,
        if version >= 10 { id } else { Uuid::nil() }
    );
    let expected = if version >= 8 {
        TOPIC_OPERATIONS
    } else {
        i32::MIN
    };
    assert_eq!(orders.topic_authorized_operations, expected);
    assert_eq!(orders.partitions.len(), 3);
    for (index, partition) in (0..).zip(&orders.partitions) {
        assert_eq!(
            (partition.error_code, partition.partition_index),
            (0, index)
        );
        assert_eq!(partition.leader_id, BrokerId(5));
        assert_eq!(partition.leader_epoch, if version >= 7 { 0 } else { -1 });
        assert_eq!(partition.replica_nodes, [BrokerId(5)]);
        assert_eq!(partition.isr_nodes, [BrokerId(5)]);
        assert!(partition.offline_replicas.is_empty());
    }
}

#[tokio::test]
async fn no_topics_and_all_topics_are_told_apart_by_version() {
    let (broker, _) = with_orders(&[]).await;
    let empty = MetadataRequest::default().with_topics(Some(Vec::new()));
    assert_eq!(
        ask(&broker, 0, &empty).await.topics.len(),
        1,
        "v0: empty is all"
    );
    for version in 1..=13 {
        assert_eq!(ask(&broker, version, &empty).await.topics.len(), 0);
        let all = MetadataRequest::default().with_topics(None);
        let answer = ask(&broker, version, &all).await;
        assert_eq!(listed(&answer), [(Some("orders"), 0)]);
    }
}

#[tokio::test]
async fn metadata_creates_a_topic_before_it_answers_where_allowed() {
    let wanted = |allow: bool| {
        MetadataRequest::default()
            .with_topics(names(&[
                "new",
                "new",
                "__consumer_offsets",
                "__cluster_metadata",
                "..",
                "a_b",
            ]))
            .with_allow_auto_topic_creation(allow)
    };
    let missing = [
        (Some("new"), 3),
        (Some("__consumer_offsets"), 3),
        (Some("__cluster_metadata"), 3),
        (Some(".."), 17),
        (Some("a_b"), 3),
    ];
    let closed = broker(&[("auto.create.topics.enable", "false")]).await;
    assert_eq!(listed(&ask(&closed, 12, &wanted(true)).await), missing);

    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let open = broker_on(store.clone(), &[("num.partitions", "4")]).await;
    assert_eq!(listed(&ask(&open, 12, &wanted(false)).await), missing);
    create(&open, 7, vec![creatable("a.b", 1)]).await;
    let created = ask(&open, 12, &wanted(true)).await;
    let mut expected = missing;
    expected[0].1 = 0;
    assert_eq!(listed(&created), expected, "a_b collides with a.b");
    assert_eq!(created.topics[0].partitions.len(), 4);
    assert!(created.topics[1].is_internal);
    let again = broker_on(store, &[]).await;
    assert_eq!(again.catalog.topics().len(), 2, "and it is durable");
}

#[tokio::test]
async fn metadata_is_asked_for_by_id_from_version_12() {
    let (broker, id) = with_orders(&[]).await;
    let by_id = |id: Uuid| {
        MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(id)
    };
    let unknown = Uuid::from_u128(99);
    let request = |topics| MetadataRequest::default().with_topics(Some(topics));
    for version in 12..=13 {
        let both = request(vec![by_id(id), by_id(unknown), by_id(id)]);
        let answer = ask(&broker, version, &both).await;
        assert_eq!(listed(&answer), [(Some("orders"), 0), (None, 100)]);
        assert_eq!(answer.topics[1].topic_id, unknown);
        let mixed = vec![by_id(id), names(&["other"]).expect("one").remove(0)];
        let answer = ask(&broker, version, &request(mixed)).await;
        assert_eq!(
            listed(&answer),
            [(Some("orders"), 0)],
            "beside ids names do not count"
        );
        let neither = ask(&broker, version, &request(vec![by_id(Uuid::nil())])).await;
        assert_eq!(listed(&neither), [(None, 42)]);
    }
    for version in 10..=11 {
        let answer = ask(&broker, version, &request(vec![by_id(id)])).await;
        assert_eq!(listed(&answer), [(Some(""), 42)]);
    }
}

#[tokio::test]
async fn create_topics_answers_in_every_version() {
    let broker = broker(&[("num.partitions", "2")]).await;
    for version in 2..=7 {
        let name = format!("t{version}");
        let config = CreatableTopicConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("1000")));
        let topic = creatable(&name, -1)
            .with_replication_factor(-1)
            .with_configs(vec![config]);
        let answer = create(&broker, version, vec![topic, creatable("..", 1)]).await;
        let [created, refused] = answer.topics.as_slice() else {
            panic!("two answers");
        };
        let stored = broker
            .catalog
            .topics()
            .by_name(&name)
            .cloned()
            .expect("created");
        assert_eq!((created.error_code, refused.error_code), (0, 17));
        assert_eq!(created.error_message, None);
        assert!(
            refused
                .error_message
                .as_deref()
                .is_some_and(|text| text.contains("'..'"))
        );
        let id = if version >= 7 { stored.id } else { Uuid::nil() };
        assert_eq!(created.topic_id, id);
        if version < 5 {
            continue;
        }
        assert_eq!((created.num_partitions, created.replication_factor), (2, 1));
        let configs = created.configs.as_deref().expect("listed");
        assert!(configs.is_sorted_by_key(|config| config.name.as_str()));
        let by_name: BTreeMap<_, _> = configs.iter().map(|c| (c.name.as_str(), c)).collect();
        let retention = by_name["retention.ms"];
        assert_eq!(
            (retention.value.as_deref(), retention.config_source),
            (Some("1000"), 1)
        );
        assert_eq!(by_name["cleanup.policy"].value.as_deref(), Some("delete"));
        assert_eq!(
            (refused.num_partitions, refused.replication_factor),
            (-1, -1)
        );
    }
}

#[tokio::test]
async fn each_bad_creation_has_kafkas_code() {
    let (broker, _) = with_orders(&[]).await;
    create(&broker, 7, vec![creatable("a.b", 1)]).await;
    let with_config = |key: &'static str, value: Option<&'static str>| {
        let config = CreatableTopicConfig::default().with_name(text(key));
        creatable("t", 1).with_configs(vec![config.with_value(value.map(text))])
    };
    let assigned = |partition, brokers: &[i32]| {
        let assignment = CreatableReplicaAssignment::default().with_partition_index(partition);
        let brokers = brokers.iter().copied().map(BrokerId).collect();
        creatable("t", -1)
            .with_replication_factor(-1)
            .with_assignments(vec![assignment.with_broker_ids(brokers)])
    };
    let table = [
        (creatable("orders", 1), 36),
        (creatable("__consumer_offsets", 1), 36),
        (creatable("__cluster_metadata", 1), 42),
        (creatable("", 1), 17),
        (creatable("a b", 1), 17),
        (creatable("a_b", 1), 17),
        (creatable("t", 0), 37),
        (creatable("t", -2), 37),
        (creatable("t", i32::MAX), 44),
        (creatable("t", 1).with_replication_factor(0), 38),
        (creatable("t", 1).with_replication_factor(3), 38),
        (with_config("retention.ms", None), 40),
        (with_config("retention.ms", Some("soon")), 40),
        (with_config("no.such.key", Some("1")), 40),
        (with_config("cleanup.policy", Some("shred")), 40),
        (assigned(0, &[2]), 39),
        (assigned(0, &[]), 39),
        (assigned(1, &[1]), 39),
        (assigned(0, &[1]).with_num_partitions(1), 42),
        (assigned(0, &[1]).with_replication_factor(1), 42),
    ];
    for (topic, code) in table {
        for version in [2, 5, 7] {
            let answer = create(&broker, version, vec![topic.clone()]).await;
            assert_eq!(answer.topics[0].error_code, code, "{topic:?}");
            assert!(answer.topics[0].error_message.is_some());
        }
    }
    let twice = vec![creatable("t", 1), creatable("u", 1), creatable("t", 1)];
    let answer = create(&broker, 7, twice).await;
    let codes = answer
        .topics
        .iter()
        .map(|t| (t.name.0.as_str(), t.error_code));
    assert_eq!(codes.collect::<Vec<_>>(), [("u", 0), ("t", 42)]);
    let by_hand = create(&broker, 7, vec![assigned(0, &[1])]).await;
    assert_eq!(
        (
            by_hand.topics[0].error_code,
            by_hand.topics[0].num_partitions
        ),
        (0, 1)
    );
}

#[tokio::test]
async fn validate_only_and_any_replication_factor() {
    let broker = broker(&[("ottla.replication.factor", "any")]).await;
    let request = CreateTopicsRequest::default()
        .with_topics(vec![creatable("t", 2).with_replication_factor(3)])
        .with_validate_only(true);
    let answer = ask(&broker, 7, &request).await;
    assert_eq!(
        (answer.topics[0].error_code, answer.topics[0].num_partitions),
        (0, 2)
    );
    assert!(broker.catalog.topics().is_empty(), "nothing was created");
    let created = ask(&broker, 7, &request.with_validate_only(false)).await;
    assert_eq!(created.topics[0].error_code, 0);
    assert_eq!(
        created.topics[0].replication_factor, 1,
        "what it really has"
    );
}

#[tokio::test]
async fn delete_topics_answers_in_every_version() {
    for version in 1..=6 {
        let (broker, id) = with_orders(&[]).await;
        let both = ["orders", "missing"].map(topic_name);
        let request = match version {
            ..6 => DeleteTopicsRequest::default().with_topic_names(both.to_vec()),
            _ => {
                let state = |name| DeleteTopicState::default().with_name(Some(name));
                DeleteTopicsRequest::default().with_topics(both.map(state).to_vec())
            }
        };
        let answer = ask(&broker, version, &request).await;
        let [deleted, missing] = answer.responses.as_slice() else {
            panic!("two answers");
        };
        assert_eq!((deleted.error_code, missing.error_code), (0, 3));
        assert_eq!(
            deleted.name.as_ref().map(|name| name.0.as_str()),
            Some("orders")
        );
        assert_eq!(
            deleted.topic_id,
            if version >= 6 { id } else { Uuid::nil() }
        );
        assert_eq!(missing.error_message.is_some(), version >= 5);
        assert!(broker.catalog.topics().is_empty());
    }
}

#[tokio::test]
async fn each_bad_deletion_has_kafkas_code() {
    let (broker, id) = with_orders(&[]).await;
    let named = |name: &str| DeleteTopicState::default().with_name(Some(topic_name(name)));
    let by_id = |id| DeleteTopicState::default().with_topic_id(id);
    let table = [
        (vec![named("orders").with_topic_id(id)], vec![42]),
        (vec![DeleteTopicState::default()], vec![42]),
        (vec![named("orders"), named("orders")], vec![42]),
        (vec![by_id(id), by_id(id)], vec![42]),
        (vec![by_id(id), named("orders")], vec![42, 42]),
        (
            vec![named("missing"), by_id(Uuid::from_u128(9))],
            vec![3, 100],
        ),
        (vec![named("..")], vec![3]),
    ];
    for (topics, codes) in table {
        let request = DeleteTopicsRequest::default().with_topics(topics.clone());
        let answer = ask(&broker, 6, &request).await;
        let answered: Vec<i16> = answer.responses.iter().map(|one| one.error_code).collect();
        assert_eq!(answered, codes, "{topics:?}");
    }
    assert_eq!(broker.catalog.topics().len(), 1, "nothing was deleted");

    let (kept, id) = with_orders(&[("delete.topic.enable", "false")]).await;
    for (version, code) in [(1, 42), (2, 42), (3, 73), (5, 73)] {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("orders")]);
        let answer = ask(&kept, version, &request).await;
        assert_eq!(answer.responses[0].error_code, code, "v{version}");
    }
    let request = DeleteTopicsRequest::default().with_topics(vec![by_id(id)]);
    assert_eq!(ask(&kept, 6, &request).await.responses[0].error_code, 73);
}

#[tokio::test]
async fn a_store_that_refuses_shows_in_every_answer() {
    let (broker, id) = with_orders(&[]).await;
    broker.store.close().await.expect("closes");
    let created = create(&broker, 7, vec![creatable("t", 1), creatable("u", 1)]).await;
    let codes: Vec<i16> = created
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    assert_eq!(codes, [7, 7]);
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![DeleteTopicState::default().with_topic_id(id)]);
    assert_eq!(ask(&broker, 6, &request).await.responses[0].error_code, 7);
    let wanted = MetadataRequest::default().with_topics(names(&["orders", "t"]));
    let answer = ask(&broker, 12, &wanted).await;
    assert_eq!(listed(&answer), [(Some("orders"), 0), (Some("t"), 3)]);
}
