//! JoinGroup (11), versions 0-9: a member comes to a group, or comes back, and waits for the others.
//!
//! - From version 4 on a dynamic member without an id gets one with error 79 and joins again with it (KIP-394).
//! - Version 5 adds static members (KIP-345), version 7 the protocol type, version 8 the reason (KIP-800), version 9
//!   `skip_assignment` (KIP-814). In version 0 the session timeout is the rebalance timeout too.
//! - Empty group id 24; session timeout outside `group.min.session.timeout.ms` and `group.max.session.timeout.ms` 26;
//!   no protocol in common 23; unknown member 25, one that was replaced 82; `group.max.size` 81.
//! - The answer comes when all members have joined or the largest rebalance timeout has passed.
//!
//! Deviation: `group.initial.rebalance.delay.ms` is 0 by default, 3000 in Kafka: a broker on its own starts and stops
//! with its tests, and an application of one consumer should not wait.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use uuid::Uuid;

use super::common::text;
use super::groups::{ask, client_host, of_group, shared};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{
    Command, Join, Joined, JoinedMember, NewMember, NotJoined, Protocol, Reply, StaticLeader,
};
use crate::protocol::shape::{BYTES, INT32, STRING, Shape, array, field};

/// A member without an id gets one and joins again from this version on.
const ID_FIRST_SINCE: i16 = 4;

/// The protocol type is answered, and a protocol may be null, from this version on.
const PROTOCOL_TYPE_SINCE: i16 = 7;

/// A static leader that returns is told to skip the assignment from this version on.
const SKIPS_SINCE: i16 = 9;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("group_id", STRING),
    field("session_timeout_ms", INT32),
    field("rebalance_timeout_ms", INT32).since(1),
    field("member_id", STRING),
    field("group_instance_id", STRING).since(5).null_since(5),
    field("protocol_type", STRING),
    field(
        "protocols",
        array(&[field("name", STRING), field("metadata", BYTES)]),
    ),
    field("reason", STRING).since(8).null_since(8),
])
.flexible_since(6);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<JoinGroupRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let join = Command::Join(Box::new(join(&call, &request)));
        let joined = ask(&call, &request.group_id, join, |reply| match reply {
            Reply::Join(joined) => Some(joined),
            _ => None,
        });
        let response = match joined.await {
            Ok(Ok(joined)) => welcome(call.version, joined),
            Ok(Err(NotJoined { member_id, error })) => {
                refuse(call.version, of_group(error)).with_member_id(text(&*member_id))
            }
            Err(code) => refuse(call.version, code).with_member_id(request.member_id.clone()),
        };
        call.reply(&response).into()
    })
}

fn join(call: &Call, request: &JoinGroupRequest) -> Join {
    let client_id = call.client_id.as_deref().unwrap_or_default();
    let instance_id = request.group_instance_id.as_ref();
    let named = instance_id.map_or(client_id, |id| id.as_str());
    let protocols = request.protocols.iter().map(|protocol| Protocol {
        name: shared(&protocol.name),
        // Copied: a slice would keep the whole request in memory as long as the member is there.
        metadata: protocol.metadata.to_vec().into(),
    });
    Join {
        member_id: shared(&request.member_id),
        instance_id: instance_id.map(shared),
        new_member_id: Arc::from(format!("{named}-{}", Uuid::new_v4())),
        client_id: Arc::from(client_id),
        client_host: Arc::from(client_host(call.connection.peer.ip())),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match call.version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms.max(0),
        },
        protocol_type: shared(&request.protocol_type),
        protocols: protocols.collect(),
        reason: request.reason.as_ref().map(shared),
        new_member: match call.version >= ID_FIRST_SINCE {
            true => NewMember::IdFirst,
            false => NewMember::AtOnce,
        },
        static_leader: match call.version >= SKIPS_SINCE {
            true => StaticLeader::SkipsAssignment,
            false => StaticLeader::Follows,
        },
    }
}

fn welcome(version: i16, joined: Joined) -> JoinGroupResponse {
    let member = |member: JoinedMember| {
        let instance_id = member.instance_id.filter(|_| version >= 5);
        JoinGroupResponseMember::default()
            .with_member_id(text(&*member.member_id))
            .with_group_instance_id(instance_id.map(|id| text(&*id)))
            .with_metadata(member.metadata)
    };
    let protocol_type = joined
        .protocol_type
        .filter(|_| version >= PROTOCOL_TYPE_SINCE);
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(protocol_type.map(|name| text(&*name)))
        .with_protocol_name(Some(text(
            joined.protocol_name.as_deref().unwrap_or_default(),
        )))
        .with_leader(text(joined.leader.as_deref().unwrap_or_default()))
        .with_skip_assignment(joined.skip_assignment && version >= SKIPS_SINCE)
        .with_member_id(text(&*joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect())
}

fn refuse(version: i16, code: ResponseError) -> JoinGroupResponse {
    let nameless = version >= PROTOCOL_TYPE_SINCE;
    JoinGroupResponse::default()
        .with_error_code(code.code())
        .with_generation_id(-1)
        .with_protocol_name(if nameless { None } else { Some(text("")) })
}
