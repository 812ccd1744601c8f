//! The handlers that describe settings and the cluster, find coordinators and give out producer ids.

use std::sync::Arc;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeConfigsResponse, FindCoordinatorRequest, InitProducerIdRequest, ProducerId,
    TransactionalId,
};

use super::common::{CLUSTER_OPERATIONS, text, topic_name};
use super::testing::{ask, broker};
use crate::broker::Broker;

fn resource(kind: i8, name: &str) -> DescribeConfigsResource {
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None)
}

async fn describe(
    broker: &Arc<Broker>,
    version: i16,
    resources: Vec<DescribeConfigsResource>,
) -> DescribeConfigsResponse {
    let request = DescribeConfigsRequest::default()
        .with_resources(resources)
        .with_include_synonyms(true)
        .with_include_documentation(version >= 3);
    ask(broker, version, &request).await
}

/// A broker with node id 5 and topic `t` that keeps records for a second.
async fn with_topic() -> Arc<Broker> {
    let broker = broker(&[("node.id", "5"), ("log.retention.hours", "2")]).await;
    let config = CreatableTopicConfig::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("1000")));
    let topic = CreatableTopic::default()
        .with_name(topic_name("t"))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(vec![config]);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    assert_eq!(ask(&broker, 7, &request).await.topics[0].error_code, 0);
    broker
}

#[tokio::test]
async fn describe_configs_answers_in_every_version() {
    let broker = with_topic().await;
    for version in 1..=4 {
        let resources = vec![
            resource(2, "t"),
            resource(4, "5"),
            resource(4, ""),
            resource(32, "g"),
            resource(16, "sub"),
        ];
        let answer = describe(&broker, version, resources).await;
        let [topic, node, defaults, group, metrics] = answer.results.as_slice() else {
            panic!("five answers");
        };
        for result in &answer.results {
            assert_eq!(
                (result.error_code, result.error_message.as_deref()),
                (0, Some(""))
            );
        }
        let retention = topic
            .configs
            .iter()
            .find(|one| one.name.as_str() == "retention.ms");
        let retention = retention.expect("listed");
        assert_eq!(
            (retention.value.as_deref(), retention.config_source),
            (Some("1000"), 1)
        );
        let first = &retention.synonyms[0];
        assert_eq!((first.name.as_str(), first.source), ("retention.ms", 1));
        assert_eq!(retention.config_type, if version >= 3 { 5 } else { 0 });
        let documented = retention
            .documentation
            .as_deref()
            .is_some_and(|text| !text.is_empty());
        assert_eq!(documented, version >= 3);

        let partitions = node
            .configs
            .iter()
            .find(|one| one.name.as_str() == "num.partitions");
        let partitions = partitions.expect("demanded by tools");
        assert_eq!(
            (partitions.value.as_deref(), partitions.config_source),
            (Some("1"), 5)
        );
        assert!(partitions.read_only);
        let node_id = node
            .configs
            .iter()
            .find(|one| one.name.as_str() == "node.id");
        assert_eq!(node_id.map(|one| one.config_source), Some(4));
        assert!(
            node.configs
                .iter()
                .all(|one| !one.is_sensitive || one.value.is_none())
        );
        assert!(
            defaults.configs.is_empty(),
            "nothing was changed at run time"
        );
        assert!(!group.configs.is_empty());
        let names = metrics.configs.iter().map(|one| one.name.as_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["interval.ms", "match", "metrics"]
        );
    }
}

#[tokio::test]
async fn described_keys_can_be_named_and_extras_left_out() {
    let broker = with_topic().await;
    let keys = |keys: &[&'static str]| {
        let keys = keys.iter().copied().map(text).collect();
        resource(2, "t").with_configuration_keys(Some(keys))
    };
    let request = |resource| DescribeConfigsRequest::default().with_resources(vec![resource]);
    let some = ask(&broker, 4, &request(keys(&["retention.ms", "no.such.key"]))).await;
    let [only] = some.results[0].configs.as_slice() else {
        panic!("one setting");
    };
    assert_eq!(only.name.as_str(), "retention.ms");
    assert!(only.synonyms.is_empty() && only.documentation.is_none());
    let none_named = ask(&broker, 4, &request(keys(&[]))).await;
    let null = ask(&broker, 4, &request(resource(2, "t"))).await;
    assert_eq!(none_named, null);
    assert!(null.results[0].configs.len() > 20);
}

#[tokio::test]
async fn an_answer_describes_no_more_than_fits_a_bounded_answer() {
    let broker = with_topic().await;
    let resources = vec![resource(4, "5"); 3_000];
    let answer = describe(&broker, 4, resources).await;
    assert_eq!(answer.results.len(), 3_000);
    let (whole, beyond): (Vec<_>, Vec<_>) = answer
        .results
        .iter()
        .partition(|result| result.error_code == 0);
    assert!(whole.len() > 100, "{} fit", whole.len());
    assert!(!beyond.is_empty() && beyond.iter().all(|result| result.error_code == 44));
    assert_eq!(answer.results.last().map(|last| last.error_code), Some(44));
}

#[tokio::test]
async fn each_bad_resource_has_kafkas_code() {
    let broker = with_topic().await;
    let table = [
        (2, "missing", 3),
        (2, "..", 17),
        (4, "6", 42),
        (4, "five", 42),
        (8, "", 42),
        (8, "6", 42),
        (8, "5", 0),
        (16, "", 42),
        (16, "sub", 0),
        (32, "", 42),
        (0, "t", 42),
        (3, "t", 42),
    ];
    for (kind, name, code) in table {
        let answer = describe(&broker, 4, vec![resource(kind, name)]).await;
        let result = &answer.results[0];
        assert_eq!(result.error_code, code, "type {kind} `{name}`");
        assert_eq!(
            (result.resource_type, result.resource_name.as_str()),
            (kind, name)
        );
        let told = result
            .error_message
            .as_deref()
            .is_some_and(|text| !text.is_empty());
        assert_eq!(told, code != 0);
    }
    let answer = describe(&broker, 4, vec![resource(2, "t"), resource(99, "x")]).await;
    let codes: Vec<i16> = answer
        .results
        .iter()
        .map(|result| result.error_code)
        .collect();
    assert_eq!(codes, [42, 42], "an unknown type fails the whole request");
}

#[tokio::test]
async fn describe_cluster_answers_in_every_version() {
    let broker = broker(&[("node.id", "5")]).await;
    for version in 0..=2 {
        let request = DescribeClusterRequest::default()
            .with_include_cluster_authorized_operations(true)
            .with_include_fenced_brokers(version >= 2);
        let answer = ask(&broker, version, &request).await;
        assert_eq!((answer.error_code, answer.controller_id), (0, BrokerId(5)));
        assert_eq!(answer.cluster_id.as_str(), broker.catalog.cluster_id());
        assert_eq!(answer.cluster_authorized_operations, CLUSTER_OPERATIONS);
        assert_eq!(answer.endpoint_type, 1);
        let [node] = answer.brokers.as_slice() else {
            panic!("one broker");
        };
        assert_eq!(
            (node.broker_id, node.host.as_str(), node.port),
            (BrokerId(5), "broker.example", 19_092)
        );
        assert!(!node.is_fenced);
    }
    let plain = ask(&broker, 2, &DescribeClusterRequest::default()).await;
    assert_eq!(plain.cluster_authorized_operations, i32::MIN);
    for (endpoint_type, code) in [(2, 114), (0, 115), (3, 115), (-1, 115)] {
        let request = DescribeClusterRequest::default().with_endpoint_type(endpoint_type);
        let answer = ask(&broker, 1, &request).await;
        assert_eq!(answer.error_code, code, "endpoint type {endpoint_type}");
        assert!(answer.brokers.is_empty());
    }
}

#[tokio::test]
async fn find_coordinator_answers_in_every_version() {
    let broker = broker(&[("node.id", "5")]).await;
    let here = (0, 5, "broker.example", 19_092);
    let nowhere = (42, -1, "", -1);
    for version in 0..=3 {
        for (key_type, expected) in [(0, here), (1, here), (2, nowhere), (7, nowhere)] {
            if version == 0 && key_type != 0 {
                continue;
            }
            let request = FindCoordinatorRequest::default()
                .with_key(text("g"))
                .with_key_type(key_type);
            let answer = ask(&broker, version, &request).await;
            let found = (
                answer.error_code,
                answer.node_id.0,
                answer.host.as_str(),
                answer.port,
            );
            assert_eq!(found, expected, "v{version} type {key_type}");
            let none = answer.error_message.as_deref() == Some("NONE");
            assert_eq!(none, version >= 1 && expected == here);
        }
    }
    let share = "group:AAAAAAAAAAAAAAAAAAAAAQ:3";
    for version in 4..=6 {
        let valid_share = if version >= 6 { here } else { nowhere };
        let table = [
            (0, "g", here),
            (0, "", here),
            (1, "t", here),
            (2, share, valid_share),
            (2, "with:colon:AAAAAAAAAAAAAAAAAAAAAQ:3", valid_share),
            (2, "g", nowhere),
            (2, ":AAAAAAAAAAAAAAAAAAAAAQ:3", nowhere),
            (2, "group:AAAAAAAAAAAAAAAAAAAAAQ:x", nowhere),
            (2, "group:short:3", nowhere),
            (7, "g", nowhere),
        ];
        for (key_type, key, expected) in table {
            let request = FindCoordinatorRequest::default()
                .with_key_type(key_type)
                .with_coordinator_keys(vec![text(key), text(key)]);
            let answer = ask(&broker, version, &request).await;
            assert_eq!(answer.coordinators.len(), 2);
            for one in &answer.coordinators {
                let found = (one.error_code, one.node_id.0, one.host.as_str(), one.port);
                assert_eq!(found, expected, "v{version} type {key_type} `{key}`");
                assert_eq!(one.key.as_str(), key);
            }
        }
    }
}

#[tokio::test]
async fn init_producer_id_answers_in_every_version() {
    let broker = broker(&[]).await;
    for version in 0..=5_i16 {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let answer = ask(&broker, version, &request).await;
        let expected = i64::from(version);
        assert_eq!(
            (
                answer.error_code,
                answer.producer_id.0,
                answer.producer_epoch
            ),
            (0, expected, 0)
        );
    }
    for version in 3..=5 {
        let asked = |id: i64, epoch: i16| {
            InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_producer_id(ProducerId(id))
                .with_producer_epoch(epoch)
        };
        let renewed = ask(&broker, version, &asked(2, 8)).await;
        assert_eq!((renewed.error_code, renewed.producer_epoch), (0, 0));
        assert!(renewed.producer_id.0 > 5, "a new id, whatever was given");
        for (id, epoch) in [(2, -1), (-1, 8)] {
            let refused = ask(&broker, version, &asked(id, epoch)).await;
            assert_eq!(
                (
                    refused.error_code,
                    refused.producer_id.0,
                    refused.producer_epoch
                ),
                (42, -1, -1)
            );
        }
    }
    for (id, code) in [("", 42), ("tx", 53)] {
        let id = Some(TransactionalId(text(id)));
        let request = InitProducerIdRequest::default().with_transactional_id(id);
        assert_eq!(ask(&broker, 4, &request).await.error_code, code);
    }
}
