//! CreatePartitions (37), versions 0-3: gives topics more partitions.
//!
//! - All topics of a request that can grow do so in one commit; their new partitions take records when the answer
//!   leaves.
//! - The count is the one that the topic is to have in all: one that is no increase is error 37.
//! - Assignments, where there are any, are for the new partitions alone, in order: another number of them, or other
//!   replicas than this broker, are error 39.
//! - `validate_only` answers the same and creates nothing. `timeout_ms` does not count: a commit takes no waiting.
//! - A name that occurs twice is answered once, with error 42, before the others.
//! - A request for more than 10,000 partitions is error 44 for all its topics, as for CreateTopics; Kafka answers -1.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::call::log_call;
use super::common::{catalog_code, text, topic_name};
use super::{Answer, Call};
use crate::base::{BoxFuture, NodeId};
use crate::broker::catalog::CreateMode;
use crate::cluster::{GrowError, GrowTopic};
use crate::protocol::shape::{BOOLEAN, INT32, STRING, Shape, array, field, list};

pub(super) const SHAPE: Shape = Shape::new(&[
    field(
        "topics",
        array(&[
            field("name", STRING),
            field("count", INT32),
            field("assignments", array(&[field("broker_ids", list(&INT32))])).null_since(0),
        ]),
    ),
    field("timeout_ms", INT32),
    field("validate_only", BOOLEAN),
])
.flexible_since(2);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, request).await).into(),
            Err(reply) => reply.into(),
        }
    })
}

async fn answer(call: &Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mode = match request.validate_only {
        true => CreateMode::ValidateOnly,
        false => CreateMode::Create,
    };
    let topics: Vec<GrowTopic> = request.topics.into_iter().map(asked).collect();
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let results = match call.broker.catalog.grow(topics, mode).await {
        Ok(outcomes) => {
            let mut seen = HashSet::new();
            let first_only = names
                .iter()
                .zip(outcomes)
                .filter(|(name, _)| seen.insert(*name));
            let (repeated, others): (Vec<_>, Vec<_>) =
                first_only.partition(|(_, outcome)| matches!(outcome, Err(GrowError::Duplicate)));
            let in_order = repeated.into_iter().chain(others);
            in_order
                .map(|(name, outcome)| match outcome {
                    Ok(topic) => {
                        if mode == CreateMode::Create {
                            log_call!(
                                info,
                                call,
                                topic = &*topic.name,
                                partitions = topic.partitions.len(),
                                "topic has more partitions"
                            );
                        }
                        CreatePartitionsTopicResult::default()
                            .with_name(topic_name(name))
                            .with_error_message(None)
                    }
                    Err(error) => refused(name, grow_code(&error), error.to_string()),
                })
                .collect()
        }
        Err(error) => {
            log_call!(error, call, %error, "partitions not created");
            let code = catalog_code(&error);
            let refusals = names
                .iter()
                .map(|name| refused(name, code, error.to_string()));
            refusals.collect()
        }
    };
    CreatePartitionsResponse::default().with_results(results)
}

fn asked(topic: CreatePartitionsTopic) -> GrowTopic {
    let assignments = topic.assignments.map(|assignments| {
        let replicas = assignments
            .iter()
            .map(|assignment| assignment.broker_ids.iter().map(|id| NodeId(id.0)));
        replicas.map(Iterator::collect).collect()
    });
    GrowTopic {
        name: topic.name.to_string(),
        count: topic.count,
        assignments,
    }
}

fn refused(name: &str, code: ResponseError, message: String) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult::default()
        .with_name(topic_name(name))
        .with_error_code(code.code())
        .with_error_message(Some(text(message)))
}

/// Kafka's code for each way in which a topic is refused (`ReplicationControlManager`).
fn grow_code(error: &GrowError) -> ResponseError {
    match error {
        GrowError::Duplicate => ResponseError::InvalidRequest,
        GrowError::Unknown => ResponseError::UnknownTopicOrPartition,
        GrowError::Same(_) | GrowError::Fewer { .. } => ResponseError::InvalidPartitions,
        GrowError::AssignmentCount { .. } | GrowError::Assignment(_) => {
            ResponseError::InvalidReplicaAssignment
        }
        GrowError::TooMany => ResponseError::PolicyViolation,
    }
}
