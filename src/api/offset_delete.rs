//! OffsetDelete (47), version 0: removes committed offsets (KIP-496).
//!
//! - Unknown group 69, a group with members of another protocol type than the consumers' 68, empty group id 24: at the top.
//! - Per partition: unknown topic or partition 3; 86 where a group with members reads the topic, and for every topic where
//!   it cannot be told what it reads. A partition without an offset is fine.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::groups::{ask, code, of_group, partition};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{Command, Reply, TopicPartition};
use crate::protocol::shape::{INT32, STRING, Shape, array, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field("group_id", STRING),
    field(
        "topics",
        array(&[
            field("name", STRING),
            field("partitions", array(&[field("partition_index", INT32)])),
        ]),
    ),
]);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<OffsetDeleteRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let found = find(&call, &request);
        let known: Vec<TopicPartition> = found.iter().flatten().cloned().collect();
        let command = Command::DeleteOffsets(known);
        let deleted = ask(&call, &request.group_id, command, |reply| match reply {
            Reply::DeleteOffsets(deleted) => Some(deleted),
            _ => None,
        });
        let response = match deleted.await.and_then(|deleted| deleted.map_err(of_group)) {
            Ok(results) => answer(&request, &found, results.into_iter().map(code)),
            Err(error) => OffsetDeleteResponse::default().with_error_code(error.code()),
        };
        call.reply(&response).into()
    })
}

/// The partitions of the request, in its order, where there are such.
fn find(call: &Call, request: &OffsetDeleteRequest) -> Vec<Option<TopicPartition>> {
    let topics = call.broker.catalog.topics();
    let asked = request.topics.iter().flat_map(|topic| {
        let indexes = topic
            .partitions
            .iter()
            .map(|partition| partition.partition_index);
        indexes.map(|index| partition(&topics, &topic.name, index))
    });
    asked.collect()
}

/// `codes` are those of the partitions that were found.
fn answer(
    request: &OffsetDeleteRequest,
    found: &[Option<TopicPartition>],
    mut codes: impl Iterator<Item = i16>,
) -> OffsetDeleteResponse {
    let mut found = found.iter();
    let mut next = || match found.next() {
        Some(Some(_)) => codes.next().unwrap_or_default(),
        Some(None) | None => ResponseError::UnknownTopicOrPartition.code(),
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(next())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
