//! DescribeTopicPartitions (75), version 0: topics and their partitions, page by page (KIP-966; Kafka's
//! `DescribeTopicPartitionsRequestHandler` and `KRaftMetadataCache.describeTopicResponse`).
//!
//! - No topics asked for means all. They are answered in the order of their names, each once.
//! - At most `response_partition_limit` partitions (at least one, at most `max.request.partition.size.limit`) are
//!   answered; where there are more, the cursor says where the next request begins. A cursor leaves out the topics
//!   before it, and must itself be among the topics asked for: else each of them is answered with error 42.
//! - An unknown topic is error 3, a name that no topic can have error 17. The operations are answered for these as well.
//! - There is one replica, so no other could become the leader: the lists for that are empty, as in Kafka.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};

use super::common::{TOPIC_OPERATIONS, node_id, topic_name};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::cluster::{self, Topic};
use crate::config::keys;
use crate::protocol::shape::{INT32, STRING, Shape, array, field, structure};

pub(super) const SHAPE: Shape = Shape::new(&[
    field("topics", array(&[field("name", STRING)])),
    field("response_partition_limit", INT32),
    field(
        "cursor",
        structure(&[field("topic_name", STRING), field("partition_index", INT32)]),
    )
    .null_since(0),
])
.flexible_since(0);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, &request)).into(),
            Err(reply) => reply.into(),
        }
    })
}

fn answer(
    call: &Call,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let topics = call.broker.catalog.topics();
    let (from, from_index) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.as_str(), cursor.partition_index),
        None => ("", 0),
    };
    let asks_for_all = request.topics.is_empty();
    let names: BTreeSet<&str> = match asks_for_all {
        true => topics.iter().map(|topic| &*topic.name).collect(),
        false => (request.topics.iter())
            .map(|topic| topic.name.as_str())
            .collect(),
    };
    let is_left_out = request.cursor.is_some() && !asks_for_all && !names.contains(from);
    if is_left_out || from_index < 0 {
        return refused(request);
    }
    let limit_max = call
        .broker
        .config
        .get(keys::MAX_REQUEST_PARTITION_SIZE_LIMIT);
    let limit = request.response_partition_limit.min(limit_max).max(1);
    let mut left = usize::try_from(limit).unwrap_or(1);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.range(from..) {
        if left == 0 {
            return response.with_next_cursor(Some(cursor(name, 0)));
        }
        let Some(topic) = topics.by_name(name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let start = if *name == from { from_index } else { 0 };
        let described = describe(topic, node_id(call), start, left);
        let next = i64::from(start) + described.partitions.len() as i64;
        left -= described.partitions.len();
        response.topics.push(described);
        if let Ok(next) = i32::try_from(next)
            && topic.partition(next).is_some()
        {
            return response.with_next_cursor(Some(cursor(name, next)));
        }
    }
    response
}

fn cursor(name: &str, partition_index: i32) -> Cursor {
    Cursor::default()
        .with_topic_name(topic_name(name))
        .with_partition_index(partition_index)
}

fn describe(
    topic: &Arc<Topic>,
    node_id: BrokerId,
    start: i32,
    partitions_max: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = (start..=i32::MAX)
        .take_while(|index| topic.partition(*index).is_some())
        .take(partitions_max)
        .map(|index| {
            DescribeTopicPartitionsResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(node_id)
                .with_leader_epoch(0)
                .with_replica_nodes(vec![node_id])
                .with_isr_nodes(vec![node_id])
                .with_eligible_leader_replicas(Some(Vec::new()))
                .with_last_known_elr(Some(Vec::new()))
        });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(topic.id)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match cluster::validate(name) {
        Ok(()) => ResponseError::UnknownTopicOrPartition,
        Err(_) => ResponseError::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(topic_name(name)))
        .with_is_internal(cluster::is_internal(name))
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

/// As Kafka's `DescribeTopicPartitionsRequest.getErrorResponse`.
fn refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_name(Some(topic.name.clone()))
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}
