//! What the handlers about groups share.

use std::net::IpAddr;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::StrBytes;

use super::Call;
use super::common::text;
use crate::broker::coordinator::CoordinatorError;
use crate::cluster::Topics;
use crate::group::{Command, GroupError, Identity, Reply, TopicPartition};

/// What a client may do with a group where nothing is denied, as a bit per `AclOperation`: read (3), delete (6),
/// describe (8), describe configs (10), alter configs (11).
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

/// What a group answers to a command, in the kind of answer that the command has.
pub(super) async fn ask<T>(
    call: &Call,
    group_id: &GroupId,
    command: Command,
    kind: impl FnOnce(Reply) -> Option<T>,
) -> Result<T, ResponseError> {
    let reply = call.broker.coordinator.ask(group_id, command).await;
    let reply = reply.and_then(|reply| kind(reply).ok_or(CoordinatorError::Mismatch));
    reply.map_err(|error| of_coordinator(&error))
}

/// A text as the core has it.
pub(super) fn shared(text: &StrBytes) -> Arc<str> {
    Arc::from(text.as_str())
}

/// A group's id on the wire.
pub(super) fn group_id(id: &str) -> GroupId {
    GroupId(text(id))
}

/// Who a request says it comes from.
pub(super) fn identity(
    member_id: &StrBytes,
    instance_id: Option<&StrBytes>,
    generation: i32,
) -> Identity {
    Identity {
        member_id: shared(member_id),
        instance_id: instance_id.map(shared),
        generation,
    }
}

/// The partition of a topic, if there is one.
pub(super) fn partition(topics: &Topics, topic: &str, index: i32) -> Option<TopicPartition> {
    let topic = topics.by_name(topic)?;
    Some(TopicPartition {
        topic: topic.name.clone(),
        index,
        partition: topic.partition(index)?,
    })
}

/// An address as Java prints it, which is what DescribeGroups shows: IPv6 in eight groups, nothing left out.
pub(super) fn client_host(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:x}"));
            format!("/{}", groups.join(":"))
        }
    }
}

/// Kafka's code for each way in which a group refuses.
pub(super) fn of_group(error: GroupError) -> ResponseError {
    match error {
        GroupError::InvalidGroupId => ResponseError::InvalidGroupId,
        GroupError::GroupIdNotFound => ResponseError::GroupIdNotFound,
        GroupError::NonEmptyGroup => ResponseError::NonEmptyGroup,
        GroupError::GroupMaxSizeReached => ResponseError::GroupMaxSizeReached,
        GroupError::InvalidSessionTimeout => ResponseError::InvalidSessionTimeout,
        GroupError::InconsistentGroupProtocol => ResponseError::InconsistentGroupProtocol,
        GroupError::MemberIdRequired => ResponseError::MemberIdRequired,
        GroupError::UnknownMemberId => ResponseError::UnknownMemberId,
        GroupError::FencedInstanceId => ResponseError::FencedInstanceId,
        GroupError::IllegalGeneration => ResponseError::IllegalGeneration,
        GroupError::RebalanceInProgress => ResponseError::RebalanceInProgress,
        GroupError::OffsetMetadataTooLarge => ResponseError::OffsetMetadataTooLarge,
        GroupError::GroupSubscribedToTopic => ResponseError::GroupSubscribedToTopic,
    }
}

/// The code of a result.
pub(super) fn code(result: Result<(), GroupError>) -> i16 {
    result.map_or_else(|error| of_group(error).code(), |()| 0)
}

/// What a client should do when the coordinator did not answer: find it anew, except where that is of no use.
pub(super) fn of_coordinator(error: &CoordinatorError) -> ResponseError {
    match error {
        CoordinatorError::Lost | CoordinatorError::PartitionGone => {
            ResponseError::CoordinatorNotAvailable
        }
        CoordinatorError::Stopping => ResponseError::NotCoordinator,
        CoordinatorError::Full => ResponseError::GroupMaxSizeReached,
        CoordinatorError::Mismatch => ResponseError::UnknownServerError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_printed_as_java_does() {
        let print = |text: &str| client_host(text.parse().expect("an address"));
        assert_eq!(print("127.0.0.1"), "/127.0.0.1");
        assert_eq!(print("::ffff:10.1.2.3"), "/10.1.2.3");
        assert_eq!(print("::1"), "/0:0:0:0:0:0:0:1");
        assert_eq!(print("fe80::a0b:1"), "/fe80:0:0:0:0:0:a0b:1");
    }

    #[test]
    fn operations_are_what_kafka_answers_without_an_authorizer() {
        assert_eq!(GROUP_OPERATIONS, 3_400);
    }
}
