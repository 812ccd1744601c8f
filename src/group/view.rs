//! What groups look like from outside: DescribeGroups and ListGroups.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::{Member, State};
use super::command::MemberId;
use super::groups::{Group, Groups};

/// The type of all groups here, as ListGroups names it.
const TYPE_CLASSIC: &str = "classic";

/// A group as DescribeGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    pub state: State,
    /// Empty for a group that has only offsets.
    pub protocol_type: Arc<str>,
    /// Empty unless the group is stable.
    pub protocol: Arc<str>,
    pub members: Vec<DescribedMember>,
}

/// A member of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub member_id: MemberId,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Of the chosen protocol; empty unless the group is stable.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

/// A group as ListGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group_id: Arc<str>,
    pub protocol_type: Arc<str>,
    pub state: State,
    pub group_type: &'static str,
}

impl Groups {
    /// The group, or `None` where Kafka speaks of a dead one.
    pub fn describe(&self, group_id: &str) -> Option<DescribedGroup> {
        self.get(group_id).map(Group::describe)
    }

    /// The groups whose state and type are among those asked for, in any case; no filter lets all pass.
    pub fn list(&self, states: &[String], types: &[String]) -> Vec<ListedGroup> {
        let passes = |filter: &[String], value: &str| {
            let equals = |asked: &String| asked.trim().eq_ignore_ascii_case(value);
            filter.is_empty() || filter.iter().any(equals)
        };
        let listed = self.iter().map(|(group_id, group)| ListedGroup {
            group_id: group_id.clone(),
            protocol_type: group.protocol_type(),
            state: group.classic().state,
            group_type: TYPE_CLASSIC,
        });
        let asked = |group: &ListedGroup| {
            passes(states, group.state.name()) && passes(types, group.group_type)
        };
        listed.filter(asked).collect()
    }
}

impl Group {
    fn protocol_type(&self) -> Arc<str> {
        let protocol_type = self.classic().protocol_type.clone();
        protocol_type.unwrap_or_else(|| Arc::from(""))
    }

    fn describe(&self) -> DescribedGroup {
        let group = self.classic();
        let protocol = match group.state {
            State::Stable => group.protocol_name.clone(),
            State::Empty | State::PreparingRebalance | State::CompletingRebalance => None,
        };
        let describe = |member: &Arc<Member>| DescribedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: protocol
                .as_deref()
                .map_or_else(Bytes::new, |protocol| member.metadata(protocol)),
            assignment: member.assignment.clone(),
        };
        DescribedGroup {
            state: group.state,
            protocol_type: self.protocol_type(),
            members: group.members.values().map(describe).collect(),
            protocol: protocol.unwrap_or_else(|| Arc::from("")),
        }
    }
}
