//! DeleteRecords (21), versions 0-2: raises log starts, so that the records before an offset are gone (KIP-107; Kafka's
//! `ReplicaManager.deleteRecords` and `Partition.deleteRecordsOnLeader`).
//!
//! - The offset may lie anywhere up to the high watermark, in the middle of a batch too; -1 is the high watermark. One
//!   beyond it, or another negative one, is error 1. A log start is never lowered: then nothing happens.
//! - The answer is the low watermark: where the log begins now. Whatever else happens, the records are gone when it
//!   leaves; the space that they took is given back by a job, as soon as nothing else lives in their segments.
//! - An unknown topic or partition is error 3, a topic in which Kafka keeps its own state 17, a topic that is compacted
//!   and nothing else 44.
//! - A partition that occurs twice is answered once, by the last offset. `timeout_ms` does not count: there are no other
//!   replicas to wait for.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::common::topic_name;
use super::errors;
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::broker::committer::{DeleteRecords, TrimError};
use crate::cluster::Topics;
use crate::protocol::shape::{INT32, INT64, STRING, Shape, array, field};

/// The low watermark beside an error (Kafka's `DeleteRecordsResponse.INVALID_LOW_WATERMARK`).
const INVALID_LOW_WATERMARK: i64 = -1;

pub(super) const SHAPE: Shape = Shape::new(&[
    field(
        "topics",
        array(&[
            field("name", STRING),
            field(
                "partitions",
                array(&[field("partition_index", INT32), field("offset", INT64)]),
            ),
        ]),
    ),
    field("timeout_ms", INT32),
])
.flexible_since(2);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode::<DeleteRecordsRequest>() {
            Ok(request) => call.reply(&answer(&call, &request).await).into(),
            Err(reply) => reply.into(),
        }
    })
}

/// The low watermark of each partition by topic and index.
type Results<'a> = BTreeMap<(&'a str, i32), Result<i64, ResponseError>>;

async fn answer(call: &Call, request: &DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = call.broker.catalog.topics();
    let mut wanted = BTreeMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.as_str(), partition.partition_index);
            wanted.insert(key, partition.offset);
        }
    }
    let mut results = Results::new();
    let (mut keys, mut requests) = (Vec::new(), Vec::new());
    for ((topic, index), offset) in wanted {
        match find(&topics, topic, index, offset) {
            Ok(request) => {
                keys.push((topic, index));
                requests.push(request);
            }
            Err(code) => drop(results.insert((topic, index), Err(code))),
        }
    }
    let low_watermarks = call.broker.committer.delete_records(&requests).await;
    let low_watermarks = low_watermarks.unwrap_or_else(|error| vec![Err(error); requests.len()]);
    for (key, low_watermark) in keys.into_iter().zip(low_watermarks) {
        results.insert(key, low_watermark.map_err(|error| code(&error)));
    }
    response(results)
}

pub(super) fn find(
    topics: &Topics,
    topic: &str,
    index: i32,
    offset: i64,
) -> Result<DeleteRecords, ResponseError> {
    let unknown = ResponseError::UnknownTopicOrPartition;
    let topic = topics.by_name(topic).ok_or(unknown)?;
    let partition = topic.partition(index).ok_or(unknown)?;
    let policy = &topic.config.cleanup_policy;
    if topic.internal {
        return Err(ResponseError::InvalidTopicException);
    }
    if policy.compact && !policy.delete {
        return Err(ResponseError::PolicyViolation);
    }
    Ok(DeleteRecords {
        topic_id: topic.id,
        partition,
        offset,
    })
}

fn response(results: Results<'_>) -> DeleteRecordsResponse {
    let mut response = DeleteRecordsResponse::default();
    for ((name, index), low_watermark) in results {
        let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
        let result = match low_watermark {
            Ok(low_watermark) => result.with_low_watermark(low_watermark),
            Err(code) => result
                .with_low_watermark(INVALID_LOW_WATERMARK)
                .with_error_code(code.code()),
        };
        match response.topics.last_mut() {
            Some(topic) if topic.name.as_str() == name => topic.partitions.push(result),
            _ => response.topics.push(
                DeleteRecordsTopicResult::default()
                    .with_name(topic_name(name))
                    .with_partitions(vec![result]),
            ),
        }
    }
    response
}

fn code(error: &TrimError) -> ResponseError {
    match error {
        TrimError::OutOfRange(_) => ResponseError::OffsetOutOfRange,
        TrimError::TopicDeleted => ResponseError::UnknownTopicOrPartition,
        TrimError::Load(error) => errors::of_load(error),
        TrimError::Row(_) => ResponseError::KafkaStorageError,
        TrimError::Contended | TrimError::Stopping => ResponseError::NotLeaderOrFollower,
    }
}
