//! What a group is asked and what it answers: Kafka's group requests without their versions and error codes.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::PartitionNumber;

/// A member's id: given out by the coordinator, `client.id` or `group.instance.id` and a random part.
pub type MemberId = Arc<str>;

/// Names a request that waits for its answer; given by the shell, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A request to one group, or something that happens to it.
#[derive(Clone, Debug)]
pub enum Command {
    Join(Box<Join>),
    Sync(Box<Sync>),
    Heartbeat(Identity),
    /// The members that leave, in the order of the request.
    Leave(Vec<Leaving>),
    Commit(Box<OffsetCommit>),
    /// OffsetDelete: partitions, in the order of the request.
    DeleteOffsets(Vec<TopicPartition>),
    /// DeleteGroups.
    Delete,
    /// Timers are due.
    Expire,
    /// Offsets may be too old to be kept (`offsets.retention.minutes`), and the group with them.
    ExpireOffsets,
    /// The group was read from its row: it may have more members than it may now (`group.max.size`).
    Loaded,
    /// Topics were deleted: their offsets go.
    ForgetPartitions(Vec<PartitionNumber>),
}

/// JoinGroup.
#[derive(Clone, Debug)]
pub struct Join {
    /// Empty for a member that has none yet.
    pub member_id: MemberId,
    /// `group.instance.id`: a static member (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// The id that a new member gets; drawn by the caller because a core draws no random numbers.
    pub new_member_id: MemberId,
    pub client_id: Arc<str>,
    /// The client's address as DescribeGroups shows it.
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: Arc<str>,
    /// What the member can do, the protocol that it likes best at the front.
    pub protocols: Arc<[Protocol]>,
    /// Why the client says that it joins (KIP-800).
    pub reason: Option<Arc<str>>,
    pub new_member: NewMember,
    pub static_leader: StaticLeader,
}

/// What a dynamic member without an id gets (KIP-394).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewMember {
    /// An id, with which it joins again: JoinGroup 4 and later.
    IdFirst,
    /// A place in the group at once.
    AtOnce,
}

/// What a static leader that returns to a stable group is told (KIP-814).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticLeader {
    /// That it leads, and to skip the assignment: JoinGroup 9 and later.
    SkipsAssignment,
    /// The old leader's id, so that it does not assign.
    Follows,
}

/// A protocol that a member supports: an assignor's name and what the member tells the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

/// Who a member says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub member_id: MemberId,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
}

/// SyncGroup.
#[derive(Clone, Debug)]
pub struct Sync {
    pub who: Identity,
    /// Checked when there (version 5 and later).
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    /// Only the leader's count.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// One member of a LeaveGroup.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// Empty where an administrator removes a static member by its instance id.
    pub member_id: MemberId,
    pub instance_id: Option<Arc<str>>,
    pub reason: Option<Arc<str>>,
}

/// OffsetCommit.
#[derive(Clone, Debug)]
pub struct OffsetCommit {
    /// Generation -1 for a consumer that is no member.
    pub who: Identity,
    /// How long the offsets are kept from now on (versions 2 to 4); `None` for the broker's setting.
    pub retention_ms: Option<i64>,
    pub partitions: Vec<PartitionCommit>,
}

/// A partition as both sides know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    /// Kafka's partition index.
    pub index: i32,
    pub partition: PartitionNumber,
}

/// The offset of one partition in an OffsetCommit.
#[derive(Clone, Debug)]
pub struct PartitionCommit {
    pub of: TopicPartition,
    pub offset: i64,
    /// -1 when the client does not know it.
    pub leader_epoch: i32,
    pub metadata: Arc<str>,
}

/// What a command is answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Join(Result<Joined, NotJoined>),
    Sync(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    /// One result per member, or one for all.
    Leave(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// One result per partition, or one for all.
    Commit(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// One result per partition, or one for all.
    DeleteOffsets(Result<Vec<Result<(), GroupError>>, GroupError>),
    Delete(Result<(), GroupError>),
    /// To what only happens, nobody waits.
    Done,
}

/// A place in a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub member_id: MemberId,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    pub leader: Option<MemberId>,
    pub skip_assignment: bool,
    /// For the leader: everybody. Empty for the others.
    pub members: Vec<JoinedMember>,
}

/// What the leader is told of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: MemberId,
    pub instance_id: Option<Arc<str>>,
    /// Of the protocol that was chosen.
    pub metadata: Bytes,
}

/// Why a member did not join, and the id that the answer carries: a new one with [`GroupError::MemberIdRequired`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJoined {
    pub member_id: MemberId,
    pub error: GroupError,
}

/// A member's assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    /// Empty for a member that the leader left out.
    pub assignment: Bytes,
}

/// Why a group refuses; each is the Kafka error of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GroupError {
    #[error("the group id is empty or too long")]
    InvalidGroupId,
    #[error("the group does not exist")]
    GroupIdNotFound,
    #[error("the group has members")]
    NonEmptyGroup,
    #[error("the group is full")]
    GroupMaxSizeReached,
    #[error("the session timeout is outside the broker's bounds")]
    InvalidSessionTimeout,
    #[error("the member has no protocol in common with the group")]
    InconsistentGroupProtocol,
    #[error("the member joins again with the id that it was given")]
    MemberIdRequired,
    #[error("the group has no such member")]
    UnknownMemberId,
    #[error("another member has taken over the instance id")]
    FencedInstanceId,
    #[error("the generation is not the group's")]
    IllegalGeneration,
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    #[error("the offset's metadata is too large")]
    OffsetMetadataTooLarge,
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
}
