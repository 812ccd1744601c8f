//! Group requests for tests, each with the fields that its version has.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::common::text;
use super::groups::group_id;
use super::testing::ask;
use crate::broker::Broker;

/// What a consumer tells of itself: a subscription to topic `t`.
pub(super) const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

/// A member as it knows itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Me {
    pub(super) group: &'static str,
    pub(super) id: StrBytes,
    pub(super) instance: Option<&'static str>,
    pub(super) generation: i32,
}

impl Me {
    pub(super) fn in_group(group: &'static str) -> Self {
        Self {
            group,
            ..Self::default()
        }
    }

    /// A static member of group `g`, which is stable and has no other.
    pub(super) async fn in_stable_group(broker: &Arc<Broker>) -> Self {
        let mut me = Self::in_group("g").with_instance(Some("i"));
        me.join_through(broker, 9).await;
        ask(broker, 5, &me.sync(5, Some(b"A"))).await;
        me
    }

    pub(super) fn with_group(self, group: &'static str) -> Self {
        Self { group, ..self }
    }

    pub(super) fn with_id(self, id: &'static str) -> Self {
        let id = text(id);
        Self { id, ..self }
    }

    pub(super) fn with_instance(self, instance: Option<&'static str>) -> Self {
        Self { instance, ..self }
    }

    pub(super) fn with_generation(self, generation: i32) -> Self {
        Self { generation, ..self }
    }

    fn instance_since(&self, version: i16, since: i16) -> Option<StrBytes> {
        self.instance.filter(|_| version >= since).map(text)
    }

    pub(super) fn join(&self, version: i16) -> JoinGroupRequest {
        JoinGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(if version == 0 { -1 } else { 60_000 })
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance_since(version, 5))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![
                JoinGroupRequestProtocol::default()
                    .with_name(text("range"))
                    .with_metadata(Bytes::from_static(SUBSCRIPTION)),
            ])
    }

    pub(super) fn sync(&self, version: i16, assignment: Option<&'static [u8]>) -> SyncGroupRequest {
        let assign = |bytes| {
            SyncGroupRequestAssignment::default()
                .with_member_id(self.id.clone())
                .with_assignment(Bytes::from_static(bytes))
        };
        SyncGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_member_id(self.id.clone())
            .with_generation_id(self.generation)
            .with_group_instance_id(self.instance_since(version, 3))
            .with_assignments(assignment.into_iter().map(assign).collect())
    }

    pub(super) fn heartbeat(&self, version: i16) -> HeartbeatRequest {
        HeartbeatRequest::default()
            .with_group_id(group_id(self.group))
            .with_member_id(self.id.clone())
            .with_generation_id(self.generation)
            .with_group_instance_id(self.instance_since(version, 3))
    }

    pub(super) fn leave(&self, version: i16) -> LeaveGroupRequest {
        let request = LeaveGroupRequest::default().with_group_id(group_id(self.group));
        match version {
            ..3 => request.with_member_id(self.id.clone()),
            _ => request.with_members(vec![
                MemberIdentity::default()
                    .with_member_id(self.id.clone())
                    .with_group_instance_id(self.instance.map(text)),
            ]),
        }
    }

    pub(super) fn commit(
        &self,
        version: i16,
        offsets: &[(&'static str, i32, i64, Option<&str>)],
    ) -> OffsetCommitRequest {
        let topics = offsets.iter().map(|(topic, index, offset, metadata)| {
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(text(*topic)))
                .with_partitions(vec![
                    OffsetCommitRequestPartition::default()
                        .with_partition_index(*index)
                        .with_committed_offset(*offset)
                        .with_committed_metadata(metadata.map(text)),
                ])
        });
        OffsetCommitRequest::default()
            .with_group_id(group_id(self.group))
            .with_member_id(self.id.clone())
            .with_generation_id_or_member_epoch(self.generation)
            .with_group_instance_id(self.instance_since(version, 7))
            .with_retention_time_ms(-1)
            .with_topics(topics.collect())
    }

    /// The code of a commit for partition 0 of topic `t`.
    pub(super) async fn commit_code(
        &self,
        broker: &Arc<Broker>,
        version: i16,
        metadata: Option<&str>,
    ) -> i16 {
        let request = self.commit(version, &[("t", 0, 1, metadata)]);
        let answer = ask(broker, version, &request).await;
        answer.topics[0].partitions[0].error_code
    }

    /// The code of a leave: of the member, or of the whole.
    pub(super) async fn leave_code(&self, broker: &Arc<Broker>, version: i16) -> i16 {
        let left = ask(broker, version, &self.leave(version)).await;
        let member = left.members.first().map_or(0, |member| member.error_code);
        left.error_code.max(member)
    }

    /// Joins, with the id that it is given first where there is one, and waits for its place.
    pub(super) async fn join_through(
        &mut self,
        broker: &Arc<Broker>,
        version: i16,
    ) -> JoinGroupResponse {
        let mut joined = ask(broker, version, &self.join(version)).await;
        if joined.error_code == 79 {
            self.id = joined.member_id.clone();
            joined = ask(broker, version, &self.join(version)).await;
        }
        self.id = joined.member_id.clone();
        self.generation = joined.generation_id;
        joined
    }
}

/// Asks for the offsets of partitions of topic `t`, or for all: (topic, partition, offset, metadata).
pub(super) async fn fetch(
    broker: &Arc<Broker>,
    version: i16,
    group: &str,
    partitions: Option<&[i32]>,
) -> Vec<(String, i32, i64, String)> {
    let request = OffsetFetchRequest::default();
    if version >= 8 {
        let topics = partitions.map(|partitions| {
            let topic = OffsetFetchRequestTopics::default().with_name(TopicName(text("t")));
            vec![topic.with_partition_indexes(partitions.to_vec())]
        });
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(group_id(group))
            .with_member_epoch(-1)
            .with_topics(topics);
        let answer = ask(broker, version, &request.with_groups(vec![asked])).await;
        let found = &answer.groups[0];
        assert_eq!((found.error_code, found.group_id.as_str()), (0, group));
        let rows = found.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| {
                assert_eq!(partition.error_code, 0);
                let metadata = partition.metadata.as_ref().expect("never null").to_string();
                let (index, offset) = (partition.partition_index, partition.committed_offset);
                (topic.name.to_string(), index, offset, metadata)
            })
        });
        return rows.collect();
    }
    let topics = partitions.map(|partitions| {
        let topic = OffsetFetchRequestTopic::default().with_name(TopicName(text("t")));
        vec![topic.with_partition_indexes(partitions.to_vec())]
    });
    let request = request.with_group_id(group_id(group)).with_topics(topics);
    let answer = ask(broker, version, &request).await;
    assert_eq!(answer.error_code, 0);
    let rows = answer.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            assert_eq!(partition.error_code, 0);
            let metadata = partition.metadata.as_ref().expect("never null").to_string();
            let (index, offset) = (partition.partition_index, partition.committed_offset);
            (topic.name.to_string(), index, offset, metadata)
        })
    });
    rows.collect()
}
