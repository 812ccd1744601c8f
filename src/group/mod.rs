//! Groups as pure data: the classic group protocol and committed offsets, as Apache Kafka 4.3's `GroupMetadataManager`,
//! `ClassicGroup` and `OffsetMetadataManager` have them.
//!
//! [`Groups::decide`] looks at a group, a [`Command`] and the time and says what comes of it: rows to write, answers
//! (or none: the request is parked until a later decision answers it), and changes. [`Groups::apply`] makes the
//! changes, and is all that does; loading rows is the same. Nothing here waits, reads a clock or draws a random
//! number: timers are data, [`Classic::next_deadline_ms`] says when [`Command::Expire`] has something to do.
//!
//! # The states of a classic group
//!
//! | state | Join | Sync | Heartbeat | Leave | OffsetCommit of a member |
//! | --- | --- | --- | --- | --- | --- |
//! | Empty: no members | new members: the first rebalance begins | 25 | 25 | 25 | 25; generation -1 is kept |
//! | PreparingRebalance: members come | parked until all have come | 27 | 27, session renewed | member goes | kept |
//! | CompletingRebalance: the leader assigns | unchanged: its place again; changed or new: rebalance | parked until the leader's comes | ok | rebalance | 27 |
//! | Stable | follower unchanged: its place again; leader, changed or new: rebalance | its assignment | ok | rebalance | kept |
//! | Dead: no such group | without an id: creates it; with one: 25 | 25 | 25 | 25 | 69; generation -1 creates it |
//!
//! 22 ILLEGAL_GENERATION, 25 UNKNOWN_MEMBER_ID, 27 REBALANCE_IN_PROGRESS, 69 GROUP_ID_NOT_FOUND. A wrong generation
//! is 22 in every state, a member that another has taken over 82 (FENCED_INSTANCE_ID).
//!
//! | from | to | when |
//! | --- | --- | --- |
//! | Empty | PreparingRebalance | a member joins; the wait is `group.initial.rebalance.delay.ms`, extended while more come |
//! | Stable, CompletingRebalance | PreparingRebalance | a member joins, changes, leaves, or its session ends; nobody synced in time |
//! | PreparingRebalance | CompletingRebalance | all members have joined, or the largest rebalance timeout has passed: whoever did not come goes, static members stay |
//! | PreparingRebalance | Empty | nobody is left |
//! | CompletingRebalance | Stable | the leader has synced; members that do not sync within the rebalance timeout go |
//! | Empty | Dead | DeleteGroups; the last offset expired |
//!
//! # What is written
//!
//! A group's row is written where Kafka writes it: when the group comes into being, when the leader's assignment is
//! known, when a static member is replaced without a rebalance, when the group becomes empty. So a restart finds the
//! last stable generation, its members heartbeat on, and a rebalance that was under way begins again. Here a row holds
//! all protocols of a member, not only the chosen one, so that an unchanged member that rejoins changes nothing.
//!
//! # Where this differs from Kafka
//!
//! - A SyncGroup that waits while its member is removed is answered (25); Kafka leaves it to the client's time-out. An
//!   earlier join or sync of a member whose next one comes is answered (27) likewise.
//! - A static member that is replaced before it synced passes on the duty to sync; Kafka rebalances when it times out.
//! - A group id has at most [`GROUP_ID_SIZE_MAX`] bytes.
//! - An empty group whose members-to-be hold an id is not removed with its last offset.

mod classic;
mod command;
mod groups;
mod join;
mod offsets;
mod rows;
mod session;
mod subscription;
mod turn;
mod view;

pub use classic::{Classic, State};
pub use command::{
    Command, GroupError, Identity, Join, Joined, JoinedMember, Leaving, MemberId, NewMember,
    NotJoined, OffsetCommit, PartitionCommit, Protocol, Reply, StaticLeader, Sync, Synced, Ticket,
    TopicPartition,
};
pub use groups::{Change, Decision, Effect, Group, Groups, Settings};
pub use offsets::{CommittedOffset, Offsets};
pub use rows::{
    GROUP_ID_SIZE_MAX, RowError, decode_group, decode_offset, encode_offset, group_key,
    group_of_key, group_rows, offset_key, offset_of_key, offset_rows,
};
pub use view::{DescribedGroup, DescribedMember, ListedGroup};

#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod transcript_tests;
