//! CreateTopics (19), versions 2-7: creates what can be created and says for each other topic why not.
//!
//! - All topics of a request that are valid are created in one commit; they are durable when the answer leaves.
//! - Partitions or replication factor -1 mean the broker's defaults in every version (KIP-464 lists it for 4 and later,
//!   Kafka's broker takes it always).
//! - Version 5 adds partitions, replication factor and settings of the new topic; version 7 its id. The replication
//!   factor is the one it has: 1, whatever was asked for.
//! - `validate_only` answers the same and creates nothing. `timeout_ms` does not count: a commit takes no waiting.
//! - A name that occurs twice is answered once, with error 42, after the others.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::call::log_call;
use super::common::{catalog_code, text, topic_name};
use super::{Answer, Call};
use crate::base::{BoxFuture, NodeId};
use crate::broker::catalog::CreateMode;
use crate::cluster::{Assignment, CreateError, CreateTopic, Creator, Topic};
use crate::protocol::shape::{BOOLEAN, INT16, INT32, STRING, Shape, array, field, list};

pub(super) const SHAPE: Shape = Shape::new(&[
    field(
        "topics",
        array(&[
            field("name", STRING),
            field("num_partitions", INT32),
            field("replication_factor", INT16),
            field(
                "assignments",
                array(&[
                    field("partition_index", INT32),
                    field("broker_ids", list(&INT32)),
                ]),
            ),
            field(
                "configs",
                array(&[field("name", STRING), field("value", STRING).null_since(0)]),
            ),
        ]),
    ),
    field("timeout_ms", INT32),
    field("validate_only", BOOLEAN),
])
.flexible_since(5);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, request).await).into(),
            Err(reply) => reply.into(),
        }
    })
}

async fn answer(call: &Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mode = match request.validate_only {
        true => CreateMode::ValidateOnly,
        false => CreateMode::Create,
    };
    let topics: Vec<CreateTopic> = request.topics.into_iter().map(asked).collect();
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let results = match call.broker.catalog.create(topics, mode).await {
        Ok(outcomes) => {
            let mut seen = HashSet::new();
            let first_only = names
                .iter()
                .zip(outcomes)
                .filter(|(name, _)| seen.insert(*name));
            let (repeated, others): (Vec<_>, Vec<_>) =
                first_only.partition(|(_, outcome)| *outcome == Err(CreateError::Duplicate));
            let in_order = others.into_iter().chain(repeated);
            in_order
                .map(|(name, outcome)| match outcome {
                    Ok(topic) => created(call, &topic, mode),
                    Err(error) => refused(name, create_code(&error), error.to_string()),
                })
                .collect()
        }
        Err(error) => {
            log_call!(error, call, %error, "topics not created");
            let code = catalog_code(&error);
            let refusals = names
                .iter()
                .map(|name| refused(name, code, error.to_string()));
            refusals.collect()
        }
    };
    CreateTopicsResponse::default().with_topics(results)
}

fn asked(topic: CreatableTopic) -> CreateTopic {
    let assignments = topic.assignments.into_iter().map(|assignment| Assignment {
        partition: assignment.partition_index,
        replicas: assignment
            .broker_ids
            .iter()
            .map(|id| NodeId(id.0))
            .collect(),
    });
    let configs = topic.configs.into_iter().map(|config| {
        let value = config.value.map(|value| value.to_string());
        (config.name.to_string(), value)
    });
    CreateTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.collect(),
        creator: Creator::Client,
    }
}

fn created(call: &Call, topic: &Arc<Topic>, mode: CreateMode) -> CreatableTopicResult {
    if mode == CreateMode::Create {
        log_call!(
            info,
            call,
            topic = &*topic.name,
            partitions = topic.partitions.len(),
            "topic created"
        );
    }
    let result = CreatableTopicResult::default()
        .with_name(topic_name(&topic.name))
        .with_topic_id(topic.id)
        .with_error_message(None);
    if call.version < 5 {
        return result;
    }
    let listed = call.broker.config.now().list_topic(&topic.overrides);
    let configs = listed.into_iter().map(|entry| {
        CreatableTopicConfigs::default()
            .with_name(text(entry.name.into_owned()))
            .with_value(entry.value.map(text))
            .with_read_only(entry.is_read_only)
            .with_config_source(entry.source.wire())
            .with_is_sensitive(entry.is_sensitive)
    });
    result
        .with_num_partitions(i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
        .with_replication_factor(1)
        .with_configs(Some(configs.collect()))
}

fn refused(name: &str, code: ResponseError, message: String) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(topic_name(name))
        .with_error_code(code.code())
        .with_error_message(Some(text(message)))
}

/// Kafka's code for each way in which a topic is refused (`ReplicationControlManager`).
fn create_code(error: &CreateError) -> ResponseError {
    match error {
        CreateError::Duplicate | CreateError::Metadata | CreateError::Contradiction(_) => {
            ResponseError::InvalidRequest
        }
        CreateError::Internal(_) | CreateError::Exists(_) => ResponseError::TopicAlreadyExists,
        CreateError::Name(_) | CreateError::Collision { .. } => {
            ResponseError::InvalidTopicException
        }
        CreateError::NullConfig(_) | CreateError::Config(_) => ResponseError::InvalidConfig,
        CreateError::Assignment(_) => ResponseError::InvalidReplicaAssignment,
        CreateError::ReplicationFactor(_) => ResponseError::InvalidReplicationFactor,
        CreateError::Partitions => ResponseError::InvalidPartitions,
        CreateError::TooManyPartitions | CreateError::TooLarge => ResponseError::PolicyViolation,
    }
}
