//! A group of the classic protocol as data: what it is, and the questions that a decision asks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::command::{GroupError, Identity, JoinedMember, MemberId, Protocol, Ticket};
use super::subscription::{self, CONSUMER_PROTOCOL_TYPE};

/// Bytes that a member, one of its protocols, and a member-to-be take besides their texts.
const MEMBER_SIZE: usize = 512;
const PROTOCOL_SIZE: usize = 64;
const PENDING_SIZE: usize = 64;

/// Where a group stands; the page of [`super`] draws the transitions. A group that is gone is `Dead` to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    /// Kafka's name, in answers and filters.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// A classic group. All times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug)]
pub struct Classic {
    pub(super) state: State,
    /// When it came into this state: an empty group's offsets are kept from then on.
    pub(super) state_since_ms: i64,
    pub(super) generation: i32,
    /// `None` for a group that never had a member: offsets only.
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol_name: Option<Arc<str>>,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, Arc<Member>>,
    /// What the members of this generation read; `None` when that is not known.
    pub(super) subscribed_topics: Option<BTreeSet<Arc<str>>>,
    /// Members-to-be that were given an id, and until when they may come back with it.
    pub(super) pending: BTreeMap<MemberId, i64>,
    /// Set exactly in PreparingRebalance.
    pub(super) join_timer: Option<JoinTimer>,
    /// Set from the beginning of a generation until all its members have synced.
    pub(super) sync_timer: Option<SyncTimer>,
}

/// A member; clones of a group share it until one of them changes it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) protocols: Arc<[Protocol]>,
    pub(super) assignment: Bytes,
    /// Has not been part of a generation yet: its session may end while it waits in a join.
    pub(super) is_new: bool,
    /// The JoinGroup that waits for the others.
    pub(super) joining: Option<Ticket>,
    /// The SyncGroup that waits for the leader.
    pub(super) syncing: Option<Ticket>,
    /// `None` once it passed while the member was waiting for us: it is set anew with the answer.
    pub(super) session_deadline_ms: Option<i64>,
}

/// How long a rebalance waits for members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinTimer {
    /// The first rebalance of an empty group waits `group.initial.rebalance.delay.ms`, and again while members come.
    Initial {
        deadline_ms: i64,
        delay_ms: i32,
        /// How much longer it may be extended.
        remaining_ms: i32,
        /// A member came since the last extension.
        extend: bool,
    },
    /// Later ones wait for everybody, at most the largest rebalance timeout.
    Rebalance { deadline_ms: i64 },
}

/// How long a generation waits for its members' SyncGroup.
#[derive(Clone, Debug)]
pub(super) struct SyncTimer {
    pub(super) deadline_ms: i64,
    pub(super) waits_for: BTreeSet<MemberId>,
}

/// A timer of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Session(MemberId),
    Pending(MemberId),
    Join,
    Sync,
}

impl JoinTimer {
    fn deadline_ms(self) -> i64 {
        match self {
            JoinTimer::Initial { deadline_ms, .. } | JoinTimer::Rebalance { deadline_ms } => {
                deadline_ms
            }
        }
    }
}

impl Member {
    /// What it told about a protocol; nothing where it does not support it.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let mut supported = self.protocols.iter();
        supported
            .find(|supported| &*supported.name == protocol)
            .map_or_else(Bytes::new, |supported| supported.metadata.clone())
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|own| &*own.name == protocol)
    }

    /// Whether the end of its session does not matter now: it waits for us, not we for it.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    /// Starts its session anew.
    pub(super) fn renew(&mut self, now_ms: i64) {
        self.session_deadline_ms = Some(now_ms + i64::from(self.session_timeout_ms));
    }
}

impl Classic {
    /// A group that comes into being: empty, generation 0, no protocol type.
    pub(super) fn new(now_ms: i64) -> Self {
        Self {
            state: State::Empty,
            state_since_ms: now_ms,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            subscribed_topics: None,
            pending: BTreeMap::new(),
            join_timer: None,
            sync_timer: None,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// The earliest time at which something happens by itself.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let sessions = self
            .members
            .values()
            .filter_map(|member| member.session_deadline_ms);
        let pending = self.pending.values().copied();
        let join = self.join_timer.map(JoinTimer::deadline_ms);
        let sync = self.sync_timer.as_ref().map(|timer| timer.deadline_ms);
        sessions.chain(pending).chain(join).chain(sync).min()
    }

    /// When a timer fires, if it runs.
    pub(super) fn deadline_ms(&self, timer: &Timer) -> Option<i64> {
        match timer {
            Timer::Session(id) => self.members.get(id)?.session_deadline_ms,
            Timer::Pending(id) => self.pending.get(id).copied(),
            Timer::Join => self.join_timer.map(JoinTimer::deadline_ms),
            Timer::Sync => Some(self.sync_timer.as_ref()?.deadline_ms),
        }
    }

    /// The timers that are due, the earliest first.
    pub(super) fn due(&self, now_ms: i64) -> Vec<Timer> {
        let sessions = self.members.keys().cloned().map(Timer::Session);
        let pending = self.pending.keys().cloned().map(Timer::Pending);
        let all = sessions.chain(pending).chain([Timer::Join, Timer::Sync]);
        let due = all.filter_map(|timer| Some((self.deadline_ms(&timer)?, timer)));
        let mut due: Vec<_> = due.filter(|(deadline, _)| *deadline <= now_ms).collect();
        due.sort();
        due.into_iter().map(|(_, timer)| timer).collect()
    }

    /// `protocol.type` is the consumers'.
    pub(super) fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Whether a topic is read by the group; where nobody can tell it is, for a group of consumers.
    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        let subscribed = self.subscribed_topics.as_ref();
        subscribed.map_or(self.is_consumer(), |topics| topics.contains(topic))
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// The member with this instance id.
    pub(super) fn static_member(&self, instance_id: &str) -> Option<&Arc<Member>> {
        let mut members = self.members.values();
        members.find(|member| member.instance_id.as_deref() == Some(instance_id))
    }

    /// Whether the member is who it says (KIP-345).
    pub(super) fn check_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<&Arc<Member>, GroupError> {
        if let Some(instance_id) = instance_id {
            match self.static_member(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(current) if &*current.id != member_id => {
                    return Err(GroupError::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        let member = self.members.get(member_id);
        member.ok_or(GroupError::UnknownMemberId)
    }

    /// The same, and that it is of this generation.
    pub(super) fn check_generation(&self, who: &Identity) -> Result<&Arc<Member>, GroupError> {
        let member = self.check_member(&who.member_id, who.instance_id.as_deref())?;
        match who.generation == self.generation {
            true => Ok(member),
            false => Err(GroupError::IllegalGeneration),
        }
    }

    /// Whether somebody with these protocols can be a member.
    pub(super) fn admits(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let common = |protocol: &Protocol| {
            let mut members = self.members.values();
            members.all(|member| member.supports(&protocol.name))
        };
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(common)
    }

    /// The protocol with the most votes; each member votes for the first of its own that all support. Of equals the
    /// first by name.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        let first = self.members.values().next()?;
        let common: BTreeSet<&str> = first
            .protocols
            .iter()
            .map(|protocol| &*protocol.name)
            .filter(|name| self.members.values().all(|member| member.supports(name)))
            .collect();
        for member in self.members.values() {
            let mut own = member.protocols.iter().map(|protocol| &protocol.name);
            if let Some(name) = own.find(|name| common.contains(&***name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes
            .iter()
            .max_by(|left, right| left.1.cmp(right.1).then(right.0.cmp(left.0)));
        most.map(|(name, _)| (*name).clone())
    }

    /// The topics that the members of this generation told of.
    pub(super) fn read_subscriptions(&self) -> Option<BTreeSet<Arc<str>>> {
        if !self.is_consumer() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.append(&mut subscription::topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// The largest of the members' rebalance timeouts.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        let timeouts = self
            .members
            .values()
            .map(|member| member.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0)
    }

    /// Bytes that the members take in memory, about.
    pub fn members_size(&self) -> usize {
        let size = |member: &Arc<Member>| {
            let protocols = member.protocols.iter();
            let protocols: usize = protocols
                .map(|protocol| PROTOCOL_SIZE + protocol.name.len() + protocol.metadata.len())
                .sum();
            let texts = member.id.len() + member.client_id.len() + member.client_host.len();
            MEMBER_SIZE + texts + protocols + member.assignment.len()
        };
        let pending: usize = self.pending.keys().map(|id| PENDING_SIZE + id.len()).sum();
        self.members.values().map(size).sum::<usize>() + pending
    }

    /// Whether everybody that is expected waits in a join.
    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// Everybody, as the leader is told.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let told = |member: &Arc<Member>| JoinedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        self.members.values().map(told).collect()
    }
}
