//! One command's turn: what changes is a copy of the group, which becomes the group when the decision is applied.
//!
//! Here are the transitions that the commands share; each is the method of Kafka's `GroupMetadataManager` whose name
//! it resembles.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::{Classic, JoinTimer, Member, State, SyncTimer};
use super::command::{GroupError, Joined, MemberId, NotJoined, Reply, Synced, Ticket};
use super::groups::{Effect, Settings};
use super::rows;

/// How long a rebalance to which nobody came waits on at least: its members may have asked for no time at all.
const NOBODY_CAME_WAIT_MS_MIN: i32 = 1_000;

/// A decision in the making.
pub(super) struct Turn<'a> {
    pub(super) group: Classic,
    pub(super) now_ms: i64,
    pub(super) settings: &'a Settings,
    pub(super) replies: Vec<(Ticket, Reply)>,
    pub(super) effects: Vec<Effect>,
    /// The group's row as it is to be written.
    pub(super) row: Option<Bytes>,
}

/// Whether the leader is to be given its place without making the others wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assigns {
    Yes,
    Skips,
}

impl<'a> Turn<'a> {
    /// A turn on a group that exists.
    pub(super) fn of(group: &Classic, now_ms: i64, settings: &'a Settings) -> Self {
        Self {
            group: group.clone(),
            now_ms,
            settings,
            replies: Vec::new(),
            effects: Vec::new(),
            row: None,
        }
    }

    /// A turn on a group that this command brings into being. It is empty in the row, whatever follows.
    pub(super) fn of_new(now_ms: i64, settings: &'a Settings) -> Self {
        let mut turn = Self::of(&Classic::new(now_ms), now_ms, settings);
        turn.persist();
        turn
    }

    /// Writes the group as it is now.
    pub(super) fn persist(&mut self) {
        self.row = Some(rows::encode_group(&self.group));
    }

    pub(super) fn refuse_join(&mut self, ticket: Ticket, member_id: MemberId, error: GroupError) {
        let refusal = Reply::Join(Err(NotJoined { member_id, error }));
        self.replies.push((ticket, refusal));
    }

    pub(super) fn answer_sync(&mut self, ticket: Ticket, result: Result<Bytes, GroupError>) {
        let synced = result.map(|assignment| Synced {
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol_name.clone(),
            assignment,
        });
        self.replies.push((ticket, Reply::Sync(synced)));
    }

    /// The member's place in this generation; the leader is told of everybody.
    pub(super) fn answer_join(&mut self, ticket: Ticket, member_id: &MemberId, assigns: Assigns) {
        let group = &self.group;
        let leads = group.is_leader(member_id);
        let joined = Joined {
            member_id: member_id.clone(),
            generation: group.generation,
            protocol_type: group.protocol_type.clone(),
            protocol_name: group.protocol_name.clone(),
            leader: group.leader.clone(),
            skip_assignment: leads && assigns == Assigns::Skips,
            members: match leads {
                true => group.joined_members(),
                false => Vec::new(),
            },
        };
        self.replies.push((ticket, Reply::Join(Ok(joined))));
    }

    /// Changes a member that is there.
    pub(super) fn with_member<T>(
        &mut self,
        member_id: &str,
        change: impl FnOnce(&mut Member) -> T,
    ) -> Option<T> {
        let member = self.group.members.get_mut(member_id)?;
        Some(change(Arc::make_mut(member)))
    }

    /// Takes the member out. Its waiting requests are answered, so that nobody waits for ever; a client that is still
    /// there joins anew.
    pub(super) fn remove(&mut self, member_id: &str, why: &'static str) {
        let group = &mut self.group;
        group.pending.remove(member_id);
        if let Some(timer) = &mut group.sync_timer {
            timer.waits_for.remove(member_id);
        }
        let Some(member) = group.members.remove(member_id) else {
            return;
        };
        if group.is_leader(member_id) {
            group.leader = group.members.keys().next().cloned();
        }
        self.effects.push(Effect::MemberGone {
            member_id: member.id.clone(),
            why,
        });
        if let Some(ticket) = member.joining {
            self.refuse_join(ticket, Arc::from(""), GroupError::UnknownMemberId);
        }
        if let Some(ticket) = member.syncing {
            self.answer_sync(ticket, Err(GroupError::UnknownMemberId));
        }
    }

    /// Starts a rebalance where none is running, or ends its first phase if everybody is there.
    pub(super) fn rebalance_or_complete_join(&mut self, reason: impl FnOnce() -> String) {
        match self.group.state {
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.prepare_rebalance(reason());
            }
            State::PreparingRebalance => self.complete_join_if_all_came(),
        }
    }

    pub(super) fn prepare_rebalance(&mut self, reason: String) {
        if self.group.state == State::CompletingRebalance {
            self.call_off_sync();
        }
        self.group.sync_timer = None;
        let initial = self.group.state == State::Empty;
        self.enter(State::PreparingRebalance);
        self.effects.push(Effect::Rebalancing { reason });
        let timeout_ms = self.group.rebalance_timeout_ms();
        if initial {
            let delay_ms = self.settings.initial_rebalance_delay_ms;
            self.group.join_timer = Some(JoinTimer::Initial {
                deadline_ms: self.now_ms + i64::from(delay_ms),
                delay_ms,
                remaining_ms: timeout_ms.saturating_sub(delay_ms).max(0),
                extend: false,
            });
            return;
        }
        self.wait_for_joins(timeout_ms);
        if self.group.all_joined() {
            self.complete_join();
        }
    }

    /// Everybody that waits for the leader joins again instead.
    fn call_off_sync(&mut self) {
        let ids: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for id in ids {
            let now_ms = self.now_ms;
            let ticket = self.with_member(&id, |member| {
                member.assignment = Bytes::new();
                let ticket = member.syncing.take()?;
                member.renew(now_ms);
                Some(ticket)
            });
            if let Some(ticket) = ticket.flatten() {
                self.answer_sync(ticket, Err(GroupError::RebalanceInProgress));
            }
        }
    }

    fn wait_for_joins(&mut self, timeout_ms: i32) {
        self.group.join_timer = Some(JoinTimer::Rebalance {
            deadline_ms: self.now_ms + i64::from(timeout_ms),
        });
    }

    /// The first rebalance of an empty group ends by its timer only.
    pub(super) fn complete_join_if_all_came(&mut self) {
        let initial = matches!(self.group.join_timer, Some(JoinTimer::Initial { .. }));
        let preparing = self.group.state == State::PreparingRebalance;
        if preparing && !initial && self.group.all_joined() {
            self.complete_join();
        }
    }

    /// Ends the first phase: whoever did not come is no member any more, but for static members, which stay until
    /// their session ends. Where nobody came the wait goes on.
    pub(super) fn complete_join(&mut self) {
        let members = self.group.members.values();
        let late =
            members.filter(|member| member.joining.is_none() && member.instance_id.is_none());
        let late: Vec<MemberId> = late.map(|member| member.id.clone()).collect();
        for id in late {
            self.remove(&id, "did not rejoin in time");
        }
        if self.elect_leader() || self.group.members.is_empty() {
            self.start_generation();
        } else {
            let timeout_ms = self.group.rebalance_timeout_ms();
            self.wait_for_joins(timeout_ms.max(NOBODY_CAME_WAIT_MS_MIN));
        }
    }

    /// A leader that did not come is followed by one that did. False where nobody did.
    fn elect_leader(&mut self) -> bool {
        let came = |id: &MemberId| {
            let member = self.group.members.get(id);
            member.is_some_and(|member| member.joining.is_some())
        };
        if self.group.leader.as_ref().is_some_and(came) {
            return true;
        }
        let next = self.group.members.keys().find(|id| came(id)).cloned();
        match next {
            Some(id) => {
                self.group.leader = Some(id);
                true
            }
            None => false,
        }
    }

    fn start_generation(&mut self) {
        let group = &mut self.group;
        group.join_timer = None;
        group.generation = group.generation.saturating_add(1);
        group.protocol_name = group.select_protocol();
        group.subscribed_topics = group.read_subscriptions();
        self.effects.push(Effect::NewGeneration {
            generation: group.generation,
            members: group.members.len(),
        });
        if group.members.is_empty() {
            self.enter(State::Empty);
            self.persist();
            return;
        }
        group.sync_timer = Some(SyncTimer {
            deadline_ms: self.now_ms + i64::from(group.rebalance_timeout_ms()),
            waits_for: group.members.keys().cloned().collect(),
        });
        self.enter(State::CompletingRebalance);
        let ids: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for id in ids {
            let now_ms = self.now_ms;
            let ticket = self.with_member(&id, |member| {
                member.renew(now_ms);
                member.is_new = false;
                member.joining.take()
            });
            if let Some(ticket) = ticket.flatten() {
                self.answer_join(ticket, &id, Assigns::Yes);
            }
        }
    }

    pub(super) fn enter(&mut self, state: State) {
        self.group.state = state;
        self.group.state_since_ms = self.now_ms;
    }
}
