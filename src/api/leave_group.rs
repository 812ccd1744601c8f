//! LeaveGroup (13), versions 0-5: members go, and the others rebalance at once.
//!
//! - From version 3 on many at a time, each with its own code; an empty member id with an instance id is the removal of a
//!   static member by an administrator. Version 5 adds reasons (KIP-800). Below version 3 one member, its code at the top.
//! - Unknown member 25, also in an unknown group; replaced static member 82; empty group id 24 at the top.

use std::sync::Arc;

use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::common::text;
use super::groups::{ask, code, of_group, shared};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{Command, GroupError, Leaving, Reply};
use crate::protocol::shape::{STRING, Shape, array, field};

/// Many members in one request from this version on.
const MANY_SINCE: i16 = 3;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("group_id", STRING),
    field("member_id", STRING).until(2),
    field(
        "members",
        array(&[
            field("member_id", STRING),
            field("group_instance_id", STRING).null_since(3),
            field("reason", STRING).since(5).null_since(5),
        ]),
    )
    .since(3),
])
.flexible_since(4);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<LeaveGroupRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let leaving = leaving(call.version, &request);
        let command = Command::Leave(leaving.clone());
        let left = ask(&call, &request.group_id, command, |reply| match reply {
            Reply::Leave(results) => Some(results),
            _ => None,
        });
        let response = match left.await.and_then(|left| left.map_err(of_group)) {
            Ok(results) => answer(call.version, &leaving, results),
            Err(error) => LeaveGroupResponse::default().with_error_code(error.code()),
        };
        call.reply(&response).into()
    })
}

fn leaving(version: i16, request: &LeaveGroupRequest) -> Vec<Leaving> {
    if version < MANY_SINCE {
        return vec![Leaving {
            member_id: shared(&request.member_id),
            instance_id: None,
            reason: None,
        }];
    }
    let members = request.members.iter().map(|member| Leaving {
        member_id: shared(&member.member_id),
        instance_id: member.group_instance_id.as_ref().map(shared),
        reason: member.reason.as_ref().map(shared),
    });
    members.collect()
}

fn answer(
    version: i16,
    leaving: &[Leaving],
    results: Vec<Result<(), GroupError>>,
) -> LeaveGroupResponse {
    if version < MANY_SINCE {
        let only = results.into_iter().next().map_or(0, code);
        return LeaveGroupResponse::default().with_error_code(only);
    }
    let members = leaving.iter().zip(results).map(|(member, result)| {
        let instance_id: Option<&Arc<str>> = member.instance_id.as_ref();
        MemberResponse::default()
            .with_member_id(text(&*member.member_id))
            .with_group_instance_id(instance_id.map(|id| text(&**id)))
            .with_error_code(code(result))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}
