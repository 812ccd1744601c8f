//! OffsetCommit (8), versions 2-9: how far a group has read.
//!
//! - Generation -1 is a commit by nobody's member: allowed while the group is empty, and makes the group. With members
//!   there it is 25. A member's commit renews its session; 22 wrong generation, 25 unknown member, 82 replaced static member,
//!   27 while the group waits for the leader's assignment. Unknown group with a generation: 69 from version 9 on, 22 below.
//! - Unknown topic or partition 3; metadata of more than `offset.metadata.max.bytes` UTF-16 units 12. Null metadata reads
//!   back empty, as from Kafka.
//! - `retention_time_ms` of versions 2 to 4 counts.
//!
//! Version 10 (topic ids) is not served: kafka-protocol does not read it.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::groups::{ask, code, identity, of_group, partition, shared};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{Command, OffsetCommit, PartitionCommit, Reply, TopicPartition};
use crate::protocol::shape::{INT32, INT64, STRING, Shape, array, field};

/// An unknown group is called so from this version on.
const GROUP_NOT_FOUND_SINCE: i16 = 9;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("group_id", STRING),
    field("generation_id_or_member_epoch", INT32),
    field("member_id", STRING),
    field("group_instance_id", STRING).since(7).null_since(7),
    field("retention_time_ms", INT64).since(2).until(4),
    field(
        "topics",
        array(&[
            field("name", STRING),
            field(
                "partitions",
                array(&[
                    field("partition_index", INT32),
                    field("committed_offset", INT64),
                    field("committed_leader_epoch", INT32).since(6),
                    field("committed_metadata", STRING).null_since(0),
                ]),
            ),
        ]),
    ),
])
.flexible_since(8);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<OffsetCommitRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let mut codes = Codes::new(&call, &request);
        if let Some(commit) = codes.commit(&request) {
            let command = Command::Commit(Box::new(commit));
            let committed = ask(&call, &request.group_id, command, |reply| match reply {
                Reply::Commit(committed) => Some(committed),
                _ => None,
            });
            codes.settle(match committed.await {
                Ok(Ok(results)) => results.into_iter().map(code).collect(),
                Ok(Err(error)) => vec![whole(call.version, of_group(error)).code()],
                Err(error) => vec![error.code()],
            });
        }
        call.reply(&codes.answer(&request)).into()
    })
}

/// The code for a commit that was refused as a whole.
fn whole(version: i16, code: ResponseError) -> ResponseError {
    match code {
        ResponseError::GroupIdNotFound if version < GROUP_NOT_FOUND_SINCE => {
            ResponseError::IllegalGeneration
        }
        other => other,
    }
}

/// Which partitions there are, and the code of each, in the order of the request.
struct Codes {
    found: Vec<Option<TopicPartition>>,
    codes: Vec<i16>,
}

impl Codes {
    fn new(call: &Call, request: &OffsetCommitRequest) -> Self {
        let topics = call.broker.catalog.topics();
        let named = request.topics.iter().flat_map(|topic| {
            let indexes = topic
                .partitions
                .iter()
                .map(|partition| partition.partition_index);
            indexes.map(|index| partition(&topics, &topic.name, index))
        });
        let found: Vec<_> = named.collect();
        Self {
            codes: vec![ResponseError::UnknownTopicOrPartition.code(); found.len()],
            found,
        }
    }

    /// The commit of the partitions that there are; none when there are none.
    fn commit(&self, request: &OffsetCommitRequest) -> Option<OffsetCommit> {
        let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
        let found = asked.zip(&self.found);
        let partitions: Vec<_> = found
            .filter_map(|(asked, of)| Some(offset(asked, of.clone()?)))
            .collect();
        let retention_ms = Some(request.retention_time_ms).filter(|ms| *ms != -1);
        (!partitions.is_empty()).then(|| OffsetCommit {
            who: identity(
                &request.member_id,
                request.group_instance_id.as_ref(),
                request.generation_id_or_member_epoch,
            ),
            retention_ms,
            partitions,
        })
    }

    /// What the group said of the partitions that there are: of each, or one for all.
    fn settle(&mut self, said: Vec<i16>) {
        let mut said = said.into_iter();
        let mut last = 0;
        for (code, found) in self.codes.iter_mut().zip(&self.found) {
            if found.is_some() {
                last = said.next().unwrap_or(last);
                *code = last;
            }
        }
    }

    fn answer(self, request: &OffsetCommitRequest) -> OffsetCommitResponse {
        let mut codes = self.codes.into_iter();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().zip(&mut codes);
            let partitions = partitions.map(|(partition, code)| {
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code)
            });
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }
}

fn offset(asked: &OffsetCommitRequestPartition, of: TopicPartition) -> PartitionCommit {
    let metadata = asked.committed_metadata.as_ref();
    PartitionCommit {
        of,
        offset: asked.committed_offset,
        leader_epoch: asked.committed_leader_epoch,
        metadata: metadata.map(shared).unwrap_or_default(),
    }
}
