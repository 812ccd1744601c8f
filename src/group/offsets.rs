//! Committed offsets: what is kept, who may commit, delete and forget (`OffsetMetadataManager`, `ClassicGroup`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::classic::{Classic, State};
use super::command::{GroupError, OffsetCommit, PartitionCommit, TopicPartition};
use super::groups::Settings;
use crate::base::PartitionNumber;

/// The offset that a group has committed for a partition. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub topic: Arc<str>,
    /// Kafka's partition index.
    pub index: i32,
    pub offset: i64,
    /// -1 when the client did not know it.
    pub leader_epoch: i32,
    pub commit_time_ms: i64,
    /// Set where the commit asked for a retention time of its own.
    pub expire_time_ms: Option<i64>,
    /// Kafka keeps no null: a commit without metadata reads back as the empty text.
    pub metadata: Arc<str>,
}

/// The offsets of a group. Partition numbers are never reused, so a topic that was created anew has none.
pub type Offsets = BTreeMap<PartitionNumber, CommittedOffset>;

/// Whether this consumer may commit. A consumer that is no member (generation -1) may while nobody is.
pub(super) fn check_commit(group: &Classic, commit: &OffsetCommit) -> Result<(), GroupError> {
    let who = &commit.who;
    if who.generation < 0 && group.state == State::Empty {
        return Ok(());
    }
    if who.generation < 0 && who.member_id.is_empty() && who.instance_id.is_none() {
        return Err(GroupError::UnknownMemberId);
    }
    group.check_generation(who)?;
    match group.state {
        // The member has the new generation but not its partitions.
        State::CompletingRebalance => Err(GroupError::RebalanceInProgress),
        State::Empty | State::PreparingRebalance | State::Stable => Ok(()),
    }
}

/// The offset to keep of one partition of a commit.
pub(super) fn committed(
    commit: &OffsetCommit,
    partition: &PartitionCommit,
    now_ms: i64,
    settings: &Settings,
) -> Result<CommittedOffset, GroupError> {
    // Kafka measures by Java's String.length.
    if partition.metadata.encode_utf16().count() > settings.offset_metadata_units_max {
        return Err(GroupError::OffsetMetadataTooLarge);
    }
    Ok(CommittedOffset {
        topic: partition.of.topic.clone(),
        index: partition.of.index,
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        commit_time_ms: now_ms,
        expire_time_ms: commit
            .retention_ms
            .map(|retention_ms| now_ms.saturating_add(retention_ms)),
        metadata: partition.metadata.clone(),
    })
}

/// What an OffsetDelete removes: one result per partition.
pub(super) fn check_delete(
    group: &Classic,
    partitions: &[TopicPartition],
) -> Result<Vec<Result<(), GroupError>>, GroupError> {
    if group.state != State::Empty && !group.is_consumer() {
        return Err(GroupError::NonEmptyGroup);
    }
    let check = |partition: &TopicPartition| match group.is_subscribed(&partition.topic) {
        true => Err(GroupError::GroupSubscribedToTopic),
        false => Ok(()),
    };
    Ok(partitions.iter().map(check).collect())
}

/// The offsets that have been kept long enough. They are kept from their commit on, and where the group had members
/// and has none from then on; while it has members only topics that it does not read expire.
pub(super) fn expired(
    group: &Classic,
    offsets: &Offsets,
    now_ms: i64,
    settings: &Settings,
) -> Vec<PartitionNumber> {
    let kept_since = |offset: &CommittedOffset| match (&group.protocol_type, group.state) {
        (None, _) => Some(offset.commit_time_ms),
        (Some(_), State::Empty) => Some(group.state_since_ms),
        (Some(_), State::Stable) if group.is_consumer() && group.subscribed_topics.is_some() => {
            Some(offset.commit_time_ms)
        }
        (Some(_), State::Stable | State::PreparingRebalance | State::CompletingRebalance) => None,
    };
    let is_expired = |offset: &CommittedOffset| match (kept_since(offset), offset.expire_time_ms) {
        (None, _) => false,
        (Some(_), Some(expire_time_ms)) => now_ms >= expire_time_ms,
        (Some(since_ms), None) => now_ms - since_ms >= settings.offsets_retention_ms,
    };
    let candidates = offsets
        .iter()
        .filter(|(_, offset)| !group.is_subscribed(&offset.topic));
    let expired = candidates.filter(|(_, offset)| is_expired(offset));
    expired.map(|(partition, _)| *partition).collect()
}
