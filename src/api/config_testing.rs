//! What the tests of settings share: requests to change and describe them.

use std::sync::Arc;

use kafka_protocol::messages::alter_configs_request as legacy;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::common::text;
use super::testing::ask;
use crate::broker::Broker;

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const LOGGER: i8 = 8;
pub(super) const METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

pub(super) const SET: i8 = 0;
pub(super) const DELETE: i8 = 1;
pub(super) const APPEND: i8 = 2;
pub(super) const SUBTRACT: i8 = 3;

pub(super) type Op<'a> = (&'a str, i8, Option<&'a str>);

pub(super) fn resource(kind: i8, name: &str, ops: &[Op<'_>]) -> AlterConfigsResource {
    let configs = ops.iter().map(|(key, op, value)| {
        AlterableConfig::default()
            .with_name(text(*key))
            .with_config_operation(*op)
            .with_value(value.map(text))
    });
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect())
}

/// Codes and messages of an incremental change.
pub(super) async fn change(
    broker: &Arc<Broker>,
    version: i16,
    resources: Vec<AlterConfigsResource>,
) -> Vec<(i16, String)> {
    let request = IncrementalAlterConfigsRequest::default().with_resources(resources);
    let answer = ask(broker, version, &request).await;
    let responses = answer.responses.iter();
    responses
        .map(|one| {
            let message = one.error_message.as_ref().map(ToString::to_string);
            assert_eq!(message.is_some(), one.error_code != 0, "{one:?}");
            (one.error_code, message.unwrap_or_default())
        })
        .collect()
}

/// Makes one change that must succeed.
pub(super) async fn set(broker: &Arc<Broker>, kind: i8, name: &str, ops: &[Op<'_>]) {
    let answer = change(broker, 1, vec![resource(kind, name, ops)]).await;
    assert_eq!(answer, [(0, String::new())], "{name} {ops:?}");
}

/// Sets one key, and nothing else, the legacy way.
pub(super) async fn replace(
    broker: &Arc<Broker>,
    version: i16,
    kind: i8,
    name: &str,
    set: &[(&str, Option<&str>)],
) -> i16 {
    let configs = set.iter().map(|(key, value)| {
        legacy::AlterableConfig::default()
            .with_name(text(*key))
            .with_value(value.map(text))
    });
    let resource = legacy::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect());
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = ask(broker, version, &request).await;
    assert_eq!(answer.responses.len(), 1);
    answer.responses[0].error_code
}

pub(super) async fn described(
    broker: &Arc<Broker>,
    kind: i8,
    name: &str,
) -> Vec<DescribeConfigsResourceResult> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true);
    let answer = ask(broker, 4, &request).await;
    assert_eq!(answer.results[0].error_code, 0);
    answer.results[0].configs.clone()
}

/// Value and source of a key, and its synonyms as `source name=value`.
pub(super) async fn entry(
    broker: &Arc<Broker>,
    kind: i8,
    name: &str,
    key: &str,
) -> (String, i8, Vec<String>) {
    let all = described(broker, kind, name).await;
    let found = all
        .iter()
        .find(|one| one.name.as_str() == key)
        .expect("described");
    let shown = |value: &Option<StrBytes>| value.as_deref().unwrap_or("null").to_owned();
    let synonyms = found.synonyms.iter().map(|synonym| {
        format!(
            "{} {}={}",
            synonym.source,
            synonym.name.as_str(),
            shown(&synonym.value)
        )
    });
    (shown(&found.value), found.config_source, synonyms.collect())
}
