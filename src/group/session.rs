//! What a member does between its joins, and what time does to it: SyncGroup, Heartbeat, LeaveGroup, timers.

use bytes::Bytes;

use super::classic::{Classic, JoinTimer, State, Timer};
use super::command::{GroupError, Identity, Leaving, MemberId, Sync, Ticket};
use super::join;
use super::turn::Turn;

/// Reasons of one LeaveGroup that are kept: they go to the log.
const REASONS_MAX: usize = 8;

/// Whether a heartbeat counts, and what it is answered with: the member's session begins anew in either case but an
/// unknown or fenced member's.
pub(super) fn heartbeat(
    group: &Classic,
    who: &Identity,
) -> Result<Result<(), GroupError>, GroupError> {
    group.check_generation(who)?;
    Ok(match group.state {
        State::PreparingRebalance => Err(GroupError::RebalanceInProgress),
        State::Empty | State::CompletingRebalance | State::Stable => Ok(()),
    })
}

impl Turn<'_> {
    pub(super) fn sync(&mut self, ticket: Ticket, sync: &Sync) {
        let id = &sync.who.member_id;
        if let Err(error) = check_sync(&self.group, sync) {
            return self.answer_sync(ticket, Err(error));
        }
        match self.group.state {
            State::Empty => self.answer_sync(ticket, Err(GroupError::UnknownMemberId)),
            State::PreparingRebalance => {
                self.answer_sync(ticket, Err(GroupError::RebalanceInProgress));
            }
            State::CompletingRebalance => {
                self.note_sync(id);
                let earlier = self.with_member(id, |member| member.syncing.replace(ticket));
                if let Some(earlier) = earlier.flatten() {
                    self.answer_sync(earlier, Err(GroupError::RebalanceInProgress));
                }
                if self.group.is_leader(id) {
                    self.assign(&sync.assignments);
                }
            }
            State::Stable => {
                self.note_sync(id);
                let assignment = self
                    .group
                    .members
                    .get(id)
                    .map(|member| member.assignment.clone());
                self.answer_sync(ticket, assignment.ok_or(GroupError::UnknownMemberId));
            }
        }
    }

    fn note_sync(&mut self, member_id: &str) {
        if let Some(timer) = &mut self.group.sync_timer {
            timer.waits_for.remove(member_id);
            if timer.waits_for.is_empty() {
                self.group.sync_timer = None;
            }
        }
    }

    /// The leader's word: everybody has its assignment from now on, an empty one where the leader left it out.
    fn assign(&mut self, assignments: &[(MemberId, Bytes)]) {
        let ids: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for id in &ids {
            self.with_member(id, |member| member.assignment = Bytes::new());
        }
        for (id, assignment) in assignments {
            self.with_member(id, |member| member.assignment = assignment.clone());
        }
        self.enter(State::Stable);
        self.persist();
        let now_ms = self.now_ms;
        for id in &ids {
            let answered = self.with_member(id, |member| {
                let ticket = member.syncing.take()?;
                member.renew(now_ms);
                Some((ticket, member.assignment.clone()))
            });
            if let Some((ticket, assignment)) = answered.flatten() {
                self.answer_sync(ticket, Ok(assignment));
            }
        }
    }

    /// One result per member, in their order.
    pub(super) fn leave(&mut self, members: &[Leaving]) -> Vec<Result<(), GroupError>> {
        let results: Vec<_> = members
            .iter()
            .map(|member| self.leave_one(member))
            .collect();
        if results.iter().any(Result::is_ok) {
            match self.group.state {
                State::Empty => {}
                State::PreparingRebalance => self.complete_join_if_all_came(),
                State::CompletingRebalance | State::Stable => {
                    let reasons = members
                        .iter()
                        .zip(&results)
                        .filter(|(_, result)| result.is_ok());
                    let reasons: Vec<_> = reasons
                        .map(|(member, _)| join::short(member.reason.as_deref()))
                        .take(REASONS_MAX)
                        .collect();
                    self.prepare_rebalance(format!("members left: {}", reasons.join(", ")));
                }
            }
        }
        results
    }

    fn leave_one(&mut self, leaving: &Leaving) -> Result<(), GroupError> {
        let instance_id = leaving.instance_id.as_deref();
        let id = if leaving.member_id.is_empty() {
            // An administrator removes a static member.
            let member = instance_id.and_then(|id| self.group.static_member(id));
            member.ok_or(GroupError::UnknownMemberId)?.id.clone()
        } else if self.group.pending.contains_key(&leaving.member_id) {
            leaving.member_id.clone()
        } else {
            let member = self.group.check_member(&leaving.member_id, instance_id)?;
            member.id.clone()
        };
        self.remove(&id, "left");
        Ok(())
    }

    /// A group that has more members than it may loses those that come back last.
    pub(super) fn check_size(&mut self) {
        if self.group.members.len() > self.settings.group_size_max {
            self.prepare_rebalance("the group is over its maximal size".to_owned());
        }
    }

    /// What time has done. A timer that an earlier one of the same moment has settled is passed over.
    pub(super) fn expire(&mut self) {
        for timer in self.group.due(self.now_ms) {
            if self
                .group
                .deadline_ms(&timer)
                .is_none_or(|deadline| deadline > self.now_ms)
            {
                continue;
            }
            match timer {
                Timer::Session(id) => self.expire_session(&id),
                Timer::Pending(id) => {
                    self.remove(&id, "did not join with its id in time");
                    self.complete_join_if_none_is_missing();
                }
                Timer::Join => self.expire_join(),
                Timer::Sync => self.expire_sync(),
            }
        }
    }

    fn expire_session(&mut self, id: &MemberId) {
        let excused = self.with_member(id, |member| {
            let excused = member.is_excused();
            if excused {
                member.session_deadline_ms = None;
            }
            excused
        });
        if excused != Some(false) {
            return;
        }
        self.remove(id, "its session ended");
        match self.group.state {
            State::Empty => {}
            State::PreparingRebalance => self.complete_join_if_none_is_missing(),
            State::CompletingRebalance | State::Stable => {
                self.prepare_rebalance(format!("the session of {id} ended"));
            }
        }
    }

    /// After somebody was given up, also in the first rebalance of an empty group.
    fn complete_join_if_none_is_missing(&mut self) {
        if self.group.state == State::PreparingRebalance && self.group.all_joined() {
            self.complete_join();
        }
    }

    fn expire_join(&mut self) {
        let Some(JoinTimer::Initial {
            delay_ms,
            remaining_ms,
            extend: true,
            ..
        }) = self.group.join_timer
        else {
            return self.complete_join();
        };
        if remaining_ms == 0 {
            return self.complete_join();
        }
        let next_ms = self.settings.initial_rebalance_delay_ms.min(remaining_ms);
        self.group.join_timer = Some(JoinTimer::Initial {
            deadline_ms: self.now_ms + i64::from(next_ms),
            delay_ms: next_ms,
            remaining_ms: remaining_ms.saturating_sub(delay_ms).max(0),
            extend: false,
        });
    }

    /// Whoever did not sync in time is no member any more.
    fn expire_sync(&mut self) {
        let Some(timer) = self.group.sync_timer.take() else {
            return;
        };
        for id in &timer.waits_for {
            self.remove(id, "did not sync in time");
        }
        self.prepare_rebalance("members did not sync in time".to_owned());
    }
}

fn check_sync(group: &Classic, sync: &Sync) -> Result<(), GroupError> {
    group.check_generation(&sync.who)?;
    let differs = |asked: &Option<_>, own: &Option<_>| asked.is_some() && asked != own;
    if differs(&sync.protocol_type, &group.protocol_type)
        || differs(&sync.protocol_name, &group.protocol_name)
    {
        return Err(GroupError::InconsistentGroupProtocol);
    }
    Ok(())
}
