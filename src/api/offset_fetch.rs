//! OffsetFetch (9), versions 1-9: how far groups have read.
//!
//! - An unknown group, or a partition without an offset: offset -1, empty metadata, error 0. Null topics (version 2) are
//!   all that the group has. From version 8 on many groups; version 9 adds the member, which means nothing to classic
//!   groups.
//! - `require_stable` (version 7) waits for nothing: there are no transactions yet that an offset could be part of.
//!
//! Version 10 (topic ids) is not served: kafka-protocol does not read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName};

use super::common::{text, topic_name};
use super::groups::{of_coordinator, partition};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{CommittedOffset, Groups};
use crate::protocol::shape::{BOOLEAN, INT32, STRING, Shape, array, field, list};

/// Many groups in one request from this version on.
const MANY_SINCE: i16 = 8;

/// The leader epoch is answered from this version on.
const LEADER_EPOCH_SINCE: i16 = 5;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("group_id", STRING).until(7),
    field(
        "topics",
        array(&[
            field("name", STRING),
            field("partition_indexes", list(&INT32)),
        ]),
    )
    .until(7)
    .null_since(2),
    field(
        "groups",
        array(&[
            field("group_id", STRING),
            field("member_id", STRING).since(9).null_since(9),
            field("member_epoch", INT32).since(9),
            field(
                "topics",
                array(&[
                    field("name", STRING),
                    field("partition_indexes", list(&INT32)),
                ]),
            )
            .null_since(8),
        ]),
    )
    .since(8),
    field("require_stable", BOOLEAN).since(7),
])
.flexible_since(6);

/// The partitions of a topic, and the offset of each.
type TopicOffsets = (TopicName, Vec<(i32, Option<CommittedOffset>)>);

/// Which topics and partitions are asked for; `None` for all that there is.
type Asked = Option<Vec<(TopicName, Vec<i32>)>>;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<OffsetFetchRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let response = match call.version >= MANY_SINCE {
            true => many(&call, request).await,
            false => one(&call, request).await,
        };
        call.reply(&response).into()
    })
}

async fn many(call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let asked = group.topics.map(|topics| {
            let topics = topics
                .into_iter()
                .map(|topic| (topic.name, topic.partition_indexes));
            topics.collect()
        });
        let answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
        groups.push(match find(call, &group.group_id, asked).await {
            Ok(topics) => answer.with_topics(topics.into_iter().map(topic_since_8).collect()),
            Err(code) => answer.with_error_code(code.code()),
        });
    }
    OffsetFetchResponse::default().with_groups(groups)
}

async fn one(call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let asked: Asked = request.topics.map(|topics| {
        let topics = topics
            .into_iter()
            .map(|topic| (topic.name, topic.partition_indexes));
        topics.collect()
    });
    let response = OffsetFetchResponse::default();
    match find(call, &request.group_id, asked.clone()).await {
        Ok(topics) => {
            let topic = |topic| topic_until_7(call.version, topic, 0);
            response.with_topics(topics.into_iter().map(topic).collect())
        }
        // Version 1 has no place for it but the partitions.
        Err(code) if call.version < 2 => {
            let none = |(name, indexes): (TopicName, Vec<i32>)| {
                let offsets = indexes.into_iter().map(|index| (index, None)).collect();
                topic_until_7(call.version, (name, offsets), code.code())
            };
            response.with_topics(asked.unwrap_or_default().into_iter().map(none).collect())
        }
        Err(code) => response.with_error_code(code.code()),
    }
}

async fn find(
    call: &Call,
    group_id: &GroupId,
    asked: Asked,
) -> Result<Vec<TopicOffsets>, ResponseError> {
    let topics = call.broker.catalog.topics();
    let group_id: Arc<str> = Arc::from(group_id.as_str());
    let look = move |groups: &Groups| {
        let offsets = groups.get(&group_id).map(|group| group.offsets());
        let Some(asked) = asked else {
            let mut all: BTreeMap<Arc<str>, Vec<_>> = BTreeMap::new();
            for offset in offsets.into_iter().flat_map(|offsets| offsets.values()) {
                let topic = all.entry(offset.topic.clone()).or_default();
                topic.push((offset.index, Some(offset.clone())));
            }
            let all = all.into_iter();
            return all
                .map(|(topic, offsets)| (topic_name(&topic), offsets))
                .collect();
        };
        let of = |topic: &TopicName, index: i32| {
            let partition = partition(&topics, topic, index)?.partition;
            offsets?.get(&partition).cloned()
        };
        let topic = |(name, indexes): (TopicName, Vec<i32>)| {
            let offsets = indexes.into_iter().map(|index| (index, of(&name, index)));
            let offsets = offsets.collect();
            (name, offsets)
        };
        asked.into_iter().map(topic).collect()
    };
    let found = call.broker.coordinator.read(look).await;
    found.map_err(|error| of_coordinator(&error))
}

fn topic_since_8((name, offsets): TopicOffsets) -> OffsetFetchResponseTopics {
    let partition = |(index, offset): (i32, Option<CommittedOffset>)| {
        let answer = OffsetFetchResponsePartitions::default().with_partition_index(index);
        match offset {
            None => answer
                .with_committed_offset(-1)
                .with_committed_leader_epoch(-1)
                .with_metadata(Some(text(""))),
            Some(offset) => answer
                .with_committed_offset(offset.offset)
                .with_committed_leader_epoch(offset.leader_epoch)
                .with_metadata(Some(text(&*offset.metadata))),
        }
    };
    OffsetFetchResponseTopics::default()
        .with_name(name)
        .with_partitions(offsets.into_iter().map(partition).collect())
}

fn topic_until_7(
    version: i16,
    (name, offsets): TopicOffsets,
    code: i16,
) -> OffsetFetchResponseTopic {
    let partition = |(index, offset): (i32, Option<CommittedOffset>)| {
        let leader_epoch = offset.as_ref().map_or(-1, |offset| offset.leader_epoch);
        let metadata = offset.as_ref().map_or("", |offset| &*offset.metadata);
        OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset.as_ref().map_or(-1, |offset| offset.offset))
            .with_committed_leader_epoch(match version >= LEADER_EPOCH_SINCE {
                true => leader_epoch,
                false => -1,
            })
            .with_metadata(Some(text(metadata)))
            .with_error_code(code)
    };
    OffsetFetchResponseTopic::default()
        .with_name(name)
        .with_partitions(offsets.into_iter().map(partition).collect())
}
