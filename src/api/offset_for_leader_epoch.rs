//! OffsetForLeaderEpoch (23), versions 2-4: where the records of a leader epoch end, so that a consumer notices a
//! truncated log (KIP-320; Kafka's `LeaderEpochFileCache.endOffsetFor`).
//!
//! - A log here has one epoch, 0, which ends at the log's end. A newer one is not known: epoch and offset -1.
//! - The leader epoch that the client believes in is checked first (74, 75).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::errors;
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::broker::fetch::{LEADER_EPOCH, check_leader_epoch};
use crate::cluster::Topics;
use crate::protocol::shape::{INT32, STRING, Shape, array, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field("replica_id", INT32).since(3),
    field(
        "topics",
        array(&[
            field("topic", STRING),
            field(
                "partitions",
                array(&[
                    field("partition", INT32),
                    field("current_leader_epoch", INT32),
                    field("leader_epoch", INT32),
                ]),
            ),
        ]),
    ),
])
.flexible_since(4);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<OffsetForLeaderEpochRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let topics = call.broker.catalog.topics();
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                partitions.push(end_offset(&call, &topics, &topic.topic, partition).await);
            }
            results.push(
                OffsetForLeaderTopicResult::default()
                    .with_topic(topic.topic.clone())
                    .with_partitions(partitions),
            );
        }
        call.reply(&OffsetForLeaderEpochResponse::default().with_topics(results))
            .into()
    })
}

async fn end_offset(
    call: &Call,
    topics: &Topics,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> EpochEndOffset {
    let answer = EpochEndOffset::default().with_partition(asked.partition);
    let failed = |error: ResponseError| answer.clone().with_error_code(error.code());
    let found = topics
        .by_name(topic)
        .and_then(|topic| topic.partition(asked.partition));
    let Some(partition) = found else {
        return failed(ResponseError::UnknownTopicOrPartition);
    };
    if let Err(error) = check_leader_epoch(asked.current_leader_epoch) {
        return failed(errors::of_leader_epoch(error));
    }
    match call.broker.reader.offsets(partition).await {
        Ok(offsets) if asked.leader_epoch == LEADER_EPOCH => answer
            .with_leader_epoch(LEADER_EPOCH)
            .with_end_offset(offsets.high_watermark),
        Ok(_) => answer.with_leader_epoch(-1).with_end_offset(-1),
        Err(error) => failed(errors::of_read(&error)),
    }
}
