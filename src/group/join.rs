//! JoinGroup: how a member comes in, comes back, and takes over (`classicGroupJoin*`).

use std::sync::Arc;

use bytes::Bytes;

use super::classic::{JoinTimer, Member, State};
use super::command::{GroupError, Join, MemberId, NewMember, StaticLeader, Ticket};
use super::turn::{Assigns, Turn};

/// How long a new member may wait in its first join: it has no id yet with which it could send heartbeats, and a
/// client that gave up and joined again would otherwise be waited for.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 300_000;

/// Characters of a client's reason that are kept: it goes to the log. Kafka's own clients send no more (KIP-800).
const REASON_SIZE_MAX: usize = 255;

/// Members-to-be of one group that may have an id and not be back with it.
const PENDING_MEMBERS_MAX: usize = 100_000;

impl Turn<'_> {
    pub(super) fn join(&mut self, ticket: Ticket, join: &Join) {
        if !self.has_room_for(&join.member_id) {
            self.remove(&join.member_id, "the group is full");
            self.refuse_join(ticket, Arc::from(""), GroupError::GroupMaxSizeReached);
        } else if !self.group.admits(&join.protocol_type, &join.protocols) {
            let error = GroupError::InconsistentGroupProtocol;
            self.refuse_join(ticket, join.member_id.clone(), error);
        } else if join.member_id.is_empty() {
            self.join_new(ticket, join);
        } else if self.group.pending.contains_key(&join.member_id) && join.instance_id.is_none() {
            self.add(ticket, join, &join.member_id);
        } else {
            self.join_again(ticket, join);
        }
    }

    /// `group.max.size`. While members come, those count that are there: the last to come back are left out.
    fn has_room_for(&self, member_id: &str) -> bool {
        let size_max = self.settings.group_size_max;
        let member = self.group.members.get(member_id);
        match self.group.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let waiting = |member: &Arc<Member>| member.joining.is_some();
                member.is_some_and(waiting)
                    || self
                        .group
                        .members
                        .values()
                        .filter(|member| waiting(member))
                        .count()
                        < size_max
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.group.members.len() < size_max
            }
        }
    }

    fn join_new(&mut self, ticket: Ticket, join: &Join) {
        let new_id = &join.new_member_id;
        if let Some(instance_id) = &join.instance_id {
            match self
                .group
                .static_member(instance_id)
                .map(|member| member.id.clone())
            {
                Some(old_id) => self.take_over(ticket, join, &old_id),
                None => self.add(ticket, join, new_id),
            }
        } else if join.new_member == NewMember::AtOnce {
            self.add(ticket, join, new_id);
        } else if self.group.pending.len() >= PENDING_MEMBERS_MAX {
            self.refuse_join(ticket, Arc::from(""), GroupError::GroupMaxSizeReached);
        } else {
            let deadline_ms = self.now_ms + i64::from(join.session_timeout_ms);
            self.group.pending.insert(new_id.clone(), deadline_ms);
            self.refuse_join(ticket, new_id.clone(), GroupError::MemberIdRequired);
        }
    }

    fn add(&mut self, ticket: Ticket, join: &Join, member_id: &MemberId) {
        let group = &mut self.group;
        let member = Member {
            id: member_id.clone(),
            instance_id: join.instance_id.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: join.protocols.clone(),
            assignment: Bytes::new(),
            is_new: true,
            joining: Some(ticket),
            syncing: None,
            session_deadline_ms: Some(self.now_ms + NEW_MEMBER_JOIN_TIMEOUT_MS),
        };
        if let Some(JoinTimer::Initial { extend, .. }) = &mut group.join_timer {
            *extend = true;
        }
        if group.members.is_empty() {
            group.protocol_type = Some(join.protocol_type.clone());
        }
        group.leader.get_or_insert_with(|| member_id.clone());
        group.pending.remove(member_id);
        group.members.insert(member_id.clone(), Arc::new(member));
        self.rebalance_or_complete_join(|| reason("a new member", member_id, join));
    }

    /// A member that has an id, with or without changes.
    fn join_again(&mut self, ticket: Ticket, join: &Join) {
        let member_id = &join.member_id;
        let member = match self
            .group
            .check_member(member_id, join.instance_id.as_deref())
        {
            Ok(member) => member,
            Err(error) => return self.refuse_join(ticket, member_id.clone(), error),
        };
        let changed = member.protocols != join.protocols;
        let leads = self.group.is_leader(member_id);
        let rebalances = match self.group.state {
            State::Empty => {
                let error = GroupError::UnknownMemberId;
                return self.refuse_join(ticket, member_id.clone(), error);
            }
            State::PreparingRebalance => true,
            State::CompletingRebalance => changed,
            State::Stable => changed || leads,
        };
        if rebalances {
            self.update(ticket, join, member_id);
            let what = if changed {
                "changed protocols"
            } else {
                "a rejoin"
            };
            self.rebalance_or_complete_join(|| reason(what, member_id, join));
        } else {
            self.answer_join(ticket, member_id, Assigns::Yes);
        }
    }

    /// What the join says counts from now on, and the member waits in it. An earlier join of the same member is sent
    /// back: only the last one counts.
    fn update(&mut self, ticket: Ticket, join: &Join, member_id: &MemberId) {
        let earlier = self.with_member(member_id, |member| {
            member.protocols = join.protocols.clone();
            member.session_timeout_ms = join.session_timeout_ms;
            member.rebalance_timeout_ms = join.rebalance_timeout_ms;
            member.joining.replace(ticket)
        });
        if let Some(earlier) = earlier.flatten() {
            self.refuse_join(earlier, member_id.clone(), GroupError::RebalanceInProgress);
        }
    }

    /// A static member returns without its id: it gets a new one, its old self is fenced, and where nothing else
    /// changes the group does not rebalance (KIP-345, KIP-814).
    fn take_over(&mut self, ticket: Ticket, join: &Join, old_id: &MemberId) {
        let old_leader = self.group.leader.clone();
        let new_id = &join.new_member_id;
        self.replace_static(old_id, new_id);
        self.update(ticket, join, new_id);
        let now_ms = self.now_ms;
        self.with_member(new_id, |member| member.renew(now_ms));
        match self.group.state {
            State::Stable if self.group.select_protocol() == self.group.protocol_name => {
                self.with_member(new_id, |member| member.joining = None);
                self.persist();
                match join.static_leader {
                    StaticLeader::SkipsAssignment => {
                        self.answer_join(ticket, new_id, Assigns::Skips);
                    }
                    StaticLeader::Follows => self.answer_follower(ticket, new_id, old_leader),
                }
            }
            State::Stable | State::CompletingRebalance => {
                self.prepare_rebalance(reason("a static member's return", new_id, join));
            }
            State::PreparingRebalance | State::Empty => self.complete_join_if_all_came(),
        }
    }

    fn replace_static(&mut self, old_id: &MemberId, new_id: &MemberId) {
        let Some(old) = self.group.members.remove(old_id) else {
            return;
        };
        if let Some(ticket) = old.joining {
            self.refuse_join(ticket, old_id.clone(), GroupError::FencedInstanceId);
        }
        if let Some(ticket) = old.syncing {
            self.answer_sync(ticket, Err(GroupError::FencedInstanceId));
        }
        let group = &mut self.group;
        let mut new = Arc::unwrap_or_clone(old);
        new.id = new_id.clone();
        (new.joining, new.syncing, new.is_new) = (None, None, false);
        group.members.insert(new_id.clone(), Arc::new(new));
        if group.is_leader(old_id) {
            group.leader = Some(new_id.clone());
        }
        if let Some(timer) = &mut group.sync_timer
            && timer.waits_for.remove(old_id)
        {
            timer.waits_for.insert(new_id.clone());
        }
    }

    /// A client that does not know `skip_assignment` is told the old leader's id: it takes itself for a follower.
    fn answer_follower(&mut self, ticket: Ticket, new_id: &MemberId, leader: Option<MemberId>) {
        self.answer_join(ticket, new_id, Assigns::Yes);
        if let Some((_, super::Reply::Join(Ok(joined)))) = self.replies.last_mut() {
            joined.leader = leader;
            joined.members.clear();
        }
    }
}

fn reason(what: &str, member_id: &str, join: &Join) -> String {
    let client = short(join.reason.as_deref());
    format!("{what}: {member_id}; client reason: {client}")
}

/// What a client gave as its reason, cut where it is too long.
pub(super) fn short(reason: Option<&str>) -> &str {
    let reason = reason.unwrap_or("not provided");
    let end = reason.char_indices().nth(REASON_SIZE_MAX);
    end.map_or(reason, |(end, _)| &reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(short(None), "not provided");
        assert_eq!(short(Some("why")), "why");
        let long = "é".repeat(REASON_SIZE_MAX + 1);
        assert_eq!(short(Some(&long)), "é".repeat(REASON_SIZE_MAX));
    }
}
