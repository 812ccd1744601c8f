//! ListOffsets (2), versions 1-10: the offset of a time, or one of the special times.
//!
//! - -1 the end (the last stable offset for read_committed), -2 the log start, -3 the record with the largest timestamp
//!   (v7), -4 the earliest local offset, which is the log start (v8), -5 the last tiered offset: none (v9). Asked at too
//!   low a version, and for any other negative time: 35.
//! - A time gives the first record at or after it, also inside a compressed batch; none gives offset and timestamp -1.
//! - A partition twice in one request: 42. The leader epoch is checked (v4: 74, 75) and answered.
//!
//! Deviation: -3 never answers an offset below the log start; Kafka can.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::errors;
use super::fetch::isolation;
use super::{Answer, Call};
use crate::base::{BoxFuture, PartitionNumber};
use crate::broker::fetch::{LEADER_EPOCH, check_leader_epoch};
use crate::broker::reader::{Isolation, ReadError};
use crate::cluster::Topics;
use crate::protocol::shape::{INT8, INT32, INT64, STRING, Shape, array, field};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// The leader epoch is answered from this version on.
const LEADER_EPOCH_SINCE: i16 = 4;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("replica_id", INT32),
    field("isolation_level", INT8).since(2),
    field(
        "topics",
        array(&[
            field("name", STRING),
            field(
                "partitions",
                array(&[
                    field("partition_index", INT32),
                    field("current_leader_epoch", INT32).since(4),
                    field("timestamp", INT64),
                ]),
            ),
        ]),
    ),
    field("timeout_ms", INT32).since(10),
])
.flexible_since(6);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<ListOffsetsRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let topics = call.broker.catalog.topics();
        let isolation = isolation(request.isolation_level);
        let repeated = repeated(&request);
        let mut answers = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                let found = if repeated.contains(&(&topic.name, asked.partition_index)) {
                    Err(ResponseError::InvalidRequest)
                } else {
                    find(&call, &topics, &topic.name, asked, isolation).await
                };
                partitions.push(partition_answer(call.version, asked.partition_index, found));
            }
            answers.push(
                ListOffsetsTopicResponse::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions),
            );
        }
        call.reply(&ListOffsetsResponse::default().with_topics(answers))
            .into()
    })
}

/// The partitions that a request names more than once.
fn repeated(request: &ListOffsetsRequest) -> HashSet<(&str, i32)> {
    let mut seen = HashSet::new();
    let mut repeated = HashSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.as_str(), partition.partition_index);
            if !seen.insert(key) {
                repeated.insert(key);
            }
        }
    }
    repeated
}

/// -1 stands for "none" in each field.
struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

impl Found {
    const NONE: Found = Found {
        offset: -1,
        timestamp: -1,
        leader_epoch: -1,
    };

    fn at(offset: i64, timestamp: i64) -> Self {
        Self {
            offset,
            timestamp,
            leader_epoch: LEADER_EPOCH,
        }
    }
}

async fn find(
    call: &Call,
    topics: &Topics,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Found, ResponseError> {
    let partition = topics
        .by_name(topic)
        .and_then(|topic| topic.partition(asked.partition_index));
    let partition = partition.ok_or(ResponseError::UnknownTopicOrPartition)?;
    check_leader_epoch(asked.current_leader_epoch).map_err(errors::of_leader_epoch)?;
    let since = match asked.timestamp {
        0.. | LATEST | EARLIEST => 1,
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        _ => i16::MAX,
    };
    if call.version < since {
        return Err(ResponseError::UnsupportedVersion);
    }
    let found = find_offset(call, partition, asked.timestamp, isolation).await;
    found.map_err(|error| errors::of_read(&error))
}

async fn find_offset(
    call: &Call,
    partition: PartitionNumber,
    timestamp: i64,
    isolation: Isolation,
) -> Result<Found, ReadError> {
    let reader = &call.broker.reader;
    let offsets = reader.offsets(partition).await?;
    let record = match timestamp {
        LATEST => return Ok(Found::at(offsets.end(isolation), -1)),
        EARLIEST | EARLIEST_LOCAL => return Ok(Found::at(offsets.log_start_offset, -1)),
        MAX_TIMESTAMP => reader.offset_of_max_timestamp(partition, isolation).await?,
        0.. => {
            reader
                .offset_by_time(partition, timestamp, isolation)
                .await?
        }
        _ => None,
    };
    Ok(record.map_or(Found::NONE, |record| {
        Found::at(record.offset, record.timestamp)
    }))
}

fn partition_answer(
    version: i16,
    index: i32,
    found: Result<Found, ResponseError>,
) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match found {
        Err(code) => answer.with_error_code(code.code()),
        Ok(found) => {
            let leader_epoch = if version >= LEADER_EPOCH_SINCE {
                found.leader_epoch
            } else {
                -1
            };
            answer
                .with_offset(found.offset)
                .with_timestamp(found.timestamp)
                .with_leader_epoch(leader_epoch)
        }
    }
}
