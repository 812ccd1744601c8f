//! DescribeGroups (15), versions 0-6: classic groups with their members.
//!
//! - The protocol and what members told of it only while the group is stable, as in Kafka. Version 3 adds what the client
//!   may do, version 4 instance ids.
//! - An unknown group is `Dead`: with error 69 and a text from version 6 on (KIP-1043), with error 0 below.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_groups_response::{
    DescribedGroup as Answered, DescribedGroupMember,
};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::common::text;
use super::groups::{GROUP_OPERATIONS, of_coordinator};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{DescribedGroup, DescribedMember};
use crate::protocol::shape::{BOOLEAN, STRING, Shape, field, list};

/// The state of a group that does not exist.
const DEAD: &str = "Dead";

/// `authorized_operations` when nobody asked.
const NOT_ASKED: i32 = i32::MIN;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("groups", list(&STRING)),
    field("include_authorized_operations", BOOLEAN).since(3),
])
.flexible_since(5);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<DescribeGroupsRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let asked: Vec<Arc<str>> = request
            .groups
            .iter()
            .map(|id| Arc::from(id.as_str()))
            .collect();
        let found = call.broker.coordinator.read(move |groups| {
            let described = asked.iter().map(|group_id| groups.describe(group_id));
            described.collect::<Vec<_>>()
        });
        let groups = match found.await {
            Ok(found) => {
                let groups = request.groups.iter().zip(found);
                let described = groups.map(|(group_id, group)| match group {
                    Some(group) => describe(&call, &request, group_id, group),
                    None => dead(call.version, group_id),
                });
                described.collect()
            }
            Err(error) => {
                let code = of_coordinator(&error).code();
                let failed = |group_id| named(group_id).with_error_code(code);
                request.groups.iter().map(failed).collect()
            }
        };
        call.reply(&DescribeGroupsResponse::default().with_groups(groups))
            .into()
    })
}

fn named(group_id: &GroupId) -> Answered {
    Answered::default()
        .with_group_id(group_id.clone())
        .with_authorized_operations(NOT_ASKED)
}

fn dead(version: i16, group_id: &GroupId) -> Answered {
    let dead = named(group_id).with_group_state(text(DEAD));
    if version < 6 {
        return dead;
    }
    dead.with_error_code(ResponseError::GroupIdNotFound.code())
        .with_error_message(Some(text(format!(
            "Group {} not found.",
            group_id.as_str()
        ))))
}

fn describe(
    call: &Call,
    request: &DescribeGroupsRequest,
    group_id: &GroupId,
    group: DescribedGroup,
) -> Answered {
    let member = |member: DescribedMember| {
        let instance_id = member.instance_id.filter(|_| call.version >= 4);
        DescribedGroupMember::default()
            .with_member_id(text(&*member.member_id))
            .with_group_instance_id(instance_id.map(|id| text(&*id)))
            .with_client_id(text(&*member.client_id))
            .with_client_host(text(&*member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    };
    let operations = match request.include_authorized_operations {
        true => GROUP_OPERATIONS,
        false => NOT_ASKED,
    };
    named(group_id)
        .with_group_state(text(group.state.name()))
        .with_protocol_type(text(&*group.protocol_type))
        .with_protocol_data(text(&*group.protocol))
        .with_members(group.members.into_iter().map(member).collect())
        .with_authorized_operations(operations)
}
