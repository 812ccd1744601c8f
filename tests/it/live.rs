//! Limits on connections that are changed while the broker runs.

use std::time::Duration;

use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{ApiVersionsRequest, IncrementalAlterConfigsRequest};
use kafka_protocol::protocol::StrBytes;

use crate::support::broker::TestBroker;
use crate::support::client::Client;

const BROKERS: i8 = 4;
const SET: i8 = 0;

/// Sets a key for all brokers.
async fn set(client: &mut Client, key: &'static str, value: &'static str) {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str(key))
        .with_config_operation(SET)
        .with_value(Some(StrBytes::from_static_str(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(BROKERS)
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.ask(1, &request).await;
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
}

#[tokio::test]
async fn max_connections_is_lowered_and_raised() {
    let broker = TestBroker::start().await;
    let mut first = Client::connect(broker.address()).await;
    set(&mut first, "max.connections", "1").await;
    let mut second = Client::connect(broker.address()).await;
    let id = second.send(0, &ApiVersionsRequest::default()).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.frame()).await;
    assert!(
        early.is_err(),
        "it is served although there is room for one"
    );
    set(&mut first, "max.connections", "2").await;
    second.answer::<ApiVersionsRequest>(0, id).await;
    broker.until_connections(2).await;
}

#[tokio::test]
async fn connections_of_an_address_are_limited_while_the_broker_runs() {
    let broker = TestBroker::start().await;
    let mut first = Client::connect(broker.address()).await;
    set(&mut first, "max.connections.per.ip", "1").await;
    Client::connect(broker.address()).await.closed().await;
    set(
        &mut first,
        "max.connections.per.ip.overrides",
        "127.0.0.1:2",
    )
    .await;
    let mut second = Client::connect(broker.address()).await;
    second.ask(0, &ApiVersionsRequest::default()).await;
}
