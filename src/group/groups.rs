//! All groups: a decision on one of them, and its application.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::classic::{Classic, State};
use super::command::{
    Command, GroupError, Identity, Join, Leaving, MemberId, NotJoined, OffsetCommit, Reply, Sync,
    Ticket, TopicPartition,
};
use super::offsets::{self, CommittedOffset, Offsets};
use super::rows::{self, GROUP_ID_SIZE_MAX};
use super::session;
use super::turn::Turn;
use crate::base::PartitionNumber;
use crate::store::Write;

/// What the broker's configuration says about groups.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `group.min.session.timeout.ms`
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_ms_max: i32,
    /// `group.max.size`
    pub group_size_max: usize,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `offset.metadata.max.bytes`, which Kafka counts in UTF-16 units.
    pub offset_metadata_units_max: usize,
    /// `offsets.retention.minutes`
    pub offsets_retention_ms: i64,
}

/// A group with its offsets.
#[derive(Clone, Debug)]
pub struct Group {
    classic: Classic,
    offsets: Offsets,
}

impl Group {
    pub fn classic(&self) -> &Classic {
        &self.classic
    }

    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }
}

/// What a command comes to. Nothing has happened yet: the shell commits `writes`, applies `changes` and sends
/// `replies`, or forgets all of it.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    pub changes: Vec<Change>,
    /// At most one per key.
    pub writes: Vec<Write>,
    /// A command whose ticket is not here is parked: a later decision answers it.
    pub replies: Vec<(Ticket, Reply)>,
    /// What there is to say about it.
    pub effects: Vec<Effect>,
}

/// One change of a group in memory. Loading makes the same changes out of rows.
#[derive(Clone, Debug)]
pub enum Change {
    /// The group is this from now on; its offsets stay.
    Group(Box<Classic>),
    /// A member was heard of.
    Session { member_id: MemberId, now_ms: i64 },
    Offset {
        partition: PartitionNumber,
        offset: Option<CommittedOffset>,
    },
    /// The group is gone, with its offsets.
    Gone,
}

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Rebalancing {
        reason: String,
    },
    NewGeneration {
        generation: i32,
        members: usize,
    },
    MemberGone {
        member_id: MemberId,
        why: &'static str,
    },
    OffsetsExpired {
        count: usize,
    },
    GroupGone,
}

/// All groups of the broker.
#[derive(Debug)]
pub struct Groups {
    settings: Settings,
    groups: BTreeMap<Arc<str>, Group>,
}

impl Groups {
    /// No groups.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            groups: BTreeMap::new(),
        }
    }

    pub fn get(&self, group_id: &str) -> Option<&Group> {
        self.groups.get(group_id)
    }

    /// All groups by id.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Group)> {
        self.groups.iter()
    }

    /// What `command` comes to at `now_ms` (milliseconds since 1970-01-01 UTC). Changes nothing.
    pub fn decide(
        &self,
        now_ms: i64,
        ticket: Ticket,
        group_id: &str,
        command: &Command,
    ) -> Decision {
        let one = One {
            settings: &self.settings,
            group: self.groups.get(group_id),
            group_id,
            now_ms,
            ticket,
        };
        match command {
            Command::Join(join) => one.join(join),
            Command::Sync(sync) => one.sync(sync),
            Command::Heartbeat(who) => one.heartbeat(who),
            Command::Leave(members) => one.leave(members),
            Command::Commit(commit) => one.commit(commit),
            Command::DeleteOffsets(partitions) => one.delete_offsets(partitions),
            Command::Delete => one.delete(),
            Command::Expire => one.of_itself(|turn| turn.expire()),
            Command::Loaded => one.of_itself(|turn| turn.check_size()),
            Command::ExpireOffsets => one.expire_offsets(),
            Command::ForgetPartitions(partitions) => one.forget(partitions),
        }
    }

    /// Makes the changes of a decision whose writes are on their way, or of rows that were read.
    pub fn apply(&mut self, now_ms: i64, group_id: &Arc<str>, changes: Vec<Change>) {
        for change in changes {
            let group = || Group {
                classic: Classic::new(now_ms),
                offsets: Offsets::new(),
            };
            match change {
                Change::Gone => {
                    self.groups.remove(group_id);
                }
                Change::Group(classic) => {
                    self.groups
                        .entry(group_id.clone())
                        .or_insert_with(group)
                        .classic = *classic;
                }
                Change::Session { member_id, now_ms } => {
                    let group = self.groups.get_mut(group_id);
                    let member = group.and_then(|group| group.classic.members.get_mut(&member_id));
                    if let Some(member) = member {
                        Arc::make_mut(member).renew(now_ms);
                    }
                }
                Change::Offset { partition, offset } => {
                    let group = self.groups.entry(group_id.clone()).or_insert_with(group);
                    match offset {
                        Some(offset) => group.offsets.insert(partition, offset),
                        None => group.offsets.remove(&partition),
                    };
                }
            }
        }
    }
}

/// One decision: the group as it is, and when and for whom it is asked.
struct One<'a> {
    settings: &'a Settings,
    group: Option<&'a Group>,
    group_id: &'a str,
    now_ms: i64,
    ticket: Ticket,
}

impl One<'_> {
    fn reply(&self, reply: Reply) -> Decision {
        Decision {
            replies: vec![(self.ticket, reply)],
            ..Decision::default()
        }
    }

    /// Kafka refuses an empty id here; an id that no row key could hold is refused too.
    fn check_id(&self) -> Result<(), GroupError> {
        match self.group_id.len() {
            1..=GROUP_ID_SIZE_MAX => Ok(()),
            _ => Err(GroupError::InvalidGroupId),
        }
    }

    fn turn(&self, group: &Group) -> Turn<'_> {
        Turn::of(&group.classic, self.now_ms, self.settings)
    }

    fn decided(&self, turn: Turn<'_>) -> Decision {
        let put = |value: Bytes| Write::Put {
            key: rows::group_key(self.group_id),
            value,
            place_at: None,
        };
        Decision {
            changes: vec![Change::Group(Box::new(turn.group))],
            writes: turn.row.map(put).into_iter().collect(),
            replies: turn.replies,
            effects: turn.effects,
        }
    }

    fn join(&self, join: &Join) -> Decision {
        let refuse = |error| {
            let member_id = join.member_id.clone();
            self.reply(Reply::Join(Err(NotJoined { member_id, error })))
        };
        if let Err(error) = self.check_id() {
            return refuse(error);
        }
        let bounds = self.settings.session_timeout_ms_min..=self.settings.session_timeout_ms_max;
        if !bounds.contains(&join.session_timeout_ms) {
            return refuse(GroupError::InvalidSessionTimeout);
        }
        let mut turn = match self.group {
            Some(group) => self.turn(group),
            None if join.member_id.is_empty() => Turn::of_new(self.now_ms, self.settings),
            None => return refuse(GroupError::UnknownMemberId),
        };
        turn.join(self.ticket, join);
        self.decided(turn)
    }

    fn sync(&self, sync: &Sync) -> Decision {
        let refuse = |error| self.reply(Reply::Sync(Err(error)));
        if let Err(error) = self.check_id() {
            return refuse(error);
        }
        let Some(group) = self.group else {
            return refuse(GroupError::UnknownMemberId);
        };
        let mut turn = self.turn(group);
        turn.sync(self.ticket, sync);
        self.decided(turn)
    }

    fn heartbeat(&self, who: &Identity) -> Decision {
        let heard = self.check_id().and_then(|()| {
            let group = self.group.ok_or(GroupError::UnknownMemberId)?;
            session::heartbeat(&group.classic, who)
        });
        match heard {
            Err(error) => self.reply(Reply::Heartbeat(Err(error))),
            Ok(reply) => Decision {
                changes: vec![self.session(&who.member_id)],
                ..self.reply(Reply::Heartbeat(reply))
            },
        }
    }

    fn session(&self, member_id: &MemberId) -> Change {
        Change::Session {
            member_id: member_id.clone(),
            now_ms: self.now_ms,
        }
    }

    fn leave(&self, members: &[Leaving]) -> Decision {
        if let Err(error) = self.check_id() {
            return self.reply(Reply::Leave(Err(error)));
        }
        let Some(group) = self.group else {
            let unknown = vec![Err(GroupError::UnknownMemberId); members.len()];
            return self.reply(Reply::Leave(Ok(unknown)));
        };
        let mut turn = self.turn(group);
        let results = turn.leave(members);
        turn.replies.push((self.ticket, Reply::Leave(Ok(results))));
        self.decided(turn)
    }

    fn commit(&self, commit: &OffsetCommit) -> Decision {
        let refuse = |error| self.reply(Reply::Commit(Err(error)));
        if self.group_id.len() > GROUP_ID_SIZE_MAX {
            return refuse(GroupError::InvalidGroupId);
        }
        let mut changes = Vec::new();
        match self.group {
            None if commit.who.generation < 0 => {}
            None => return refuse(GroupError::GroupIdNotFound),
            Some(group) => {
                if let Err(error) = offsets::check_commit(&group.classic, commit) {
                    return refuse(error);
                }
                changes.push(self.session(&commit.who.member_id));
            }
        }
        let mut results = Vec::with_capacity(commit.partitions.len());
        let mut kept = BTreeMap::new();
        for partition in &commit.partitions {
            let committed = offsets::committed(commit, partition, self.now_ms, self.settings);
            results.push(committed.map(|offset| {
                kept.insert(partition.of.partition, offset);
            }));
        }
        let mut decision = self.reply(Reply::Commit(Ok(results)));
        decision.changes = changes;
        for (partition, offset) in kept {
            decision.writes.push(Write::Put {
                key: rows::offset_key(self.group_id, partition),
                value: rows::encode_offset(&offset),
                place_at: None,
            });
            decision.changes.push(Change::Offset {
                partition,
                offset: Some(offset),
            });
        }
        decision
    }

    fn delete_offsets(&self, partitions: &[TopicPartition]) -> Decision {
        let checked = self.check_id().and_then(|()| {
            let group = self.group.ok_or(GroupError::GroupIdNotFound)?;
            offsets::check_delete(&group.classic, partitions)
        });
        let removed: Vec<PartitionNumber> = match &checked {
            Err(_) => Vec::new(),
            Ok(results) => {
                let allowed = partitions
                    .iter()
                    .zip(results)
                    .filter(|(_, result)| result.is_ok());
                allowed.map(|(partition, _)| partition.partition).collect()
            }
        };
        let mut decision = self.forget(&removed);
        decision.replies = vec![(self.ticket, Reply::DeleteOffsets(checked))];
        decision
    }

    /// Removes the offsets of these partitions where there are any.
    fn forget(&self, partitions: &[PartitionNumber]) -> Decision {
        let mut decision = self.reply(Reply::Done);
        let mut partitions = partitions.to_vec();
        partitions.sort_unstable();
        partitions.dedup();
        for partition in partitions {
            if self
                .group
                .is_some_and(|group| group.offsets.contains_key(&partition))
            {
                decision.writes.push(Write::Delete {
                    key: rows::offset_key(self.group_id, partition),
                });
                decision.changes.push(Change::Offset {
                    partition,
                    offset: None,
                });
            }
        }
        decision
    }

    fn delete(&self) -> Decision {
        match self.group {
            None => self.reply(Reply::Delete(Err(GroupError::GroupIdNotFound))),
            Some(group) if group.classic.state != State::Empty => {
                self.reply(Reply::Delete(Err(GroupError::NonEmptyGroup)))
            }
            Some(group) => Decision {
                replies: vec![(self.ticket, Reply::Delete(Ok(())))],
                ..self.remove(group)
            },
        }
    }

    fn remove(&self, group: &Group) -> Decision {
        let partitions: Vec<_> = group.offsets.keys().copied().collect();
        let mut decision = self.forget(&partitions);
        decision.writes.push(Write::Delete {
            key: rows::group_key(self.group_id),
        });
        decision.changes = vec![Change::Gone];
        decision.effects.push(Effect::GroupGone);
        decision
    }

    /// What nobody asked for.
    fn of_itself(&self, happen: impl FnOnce(&mut Turn<'_>)) -> Decision {
        let Some(group) = self.group else {
            return self.reply(Reply::Done);
        };
        let mut turn = self.turn(group);
        happen(&mut turn);
        turn.replies.push((self.ticket, Reply::Done));
        self.decided(turn)
    }

    /// An empty group goes with its last offset.
    fn expire_offsets(&self) -> Decision {
        let Some(group) = self.group else {
            return self.reply(Reply::Done);
        };
        let expired = offsets::expired(&group.classic, &group.offsets, self.now_ms, self.settings);
        let all = expired.len() == group.offsets.len();
        let idle = group.classic.state == State::Empty && group.classic.pending.is_empty();
        let mut decision = match all && idle {
            true => self.remove(group),
            false => self.forget(&expired),
        };
        if !expired.is_empty() {
            let count = expired.len();
            decision.effects.push(Effect::OffsetsExpired { count });
        }
        decision
    }
}
