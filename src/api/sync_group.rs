//! SyncGroup (14), versions 0-5: the leader hands in the assignments, everybody gets its own.
//!
//! - Followers wait for the leader; one that it left out gets empty bytes. Repeated in a stable group the answer is the
//!   same again.
//! - Unknown member 25, replaced static member 82 (version 3), wrong generation 22, rebalance running 27, and in version 5
//!   another protocol type or name than the group's 23. Empty group id 24.

use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::common::text;
use super::groups::{ask, identity, of_group, shared};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{Command, Reply, Sync, Synced};
use crate::protocol::shape::{BYTES, INT32, STRING, Shape, array, field};

/// The protocol type and name are answered from this version on.
const PROTOCOL_SINCE: i16 = 5;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("group_id", STRING),
    field("generation_id", INT32),
    field("member_id", STRING),
    field("group_instance_id", STRING).since(3).null_since(3),
    field("protocol_type", STRING).since(5).null_since(5),
    field("protocol_name", STRING).since(5).null_since(5),
    field(
        "assignments",
        array(&[field("member_id", STRING), field("assignment", BYTES)]),
    ),
])
.flexible_since(4);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<SyncGroupRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let sync = Command::Sync(Box::new(sync(&request)));
        let synced = ask(&call, &request.group_id, sync, |reply| match reply {
            Reply::Sync(synced) => Some(synced),
            _ => None,
        });
        let response = match synced.await.and_then(|synced| synced.map_err(of_group)) {
            Ok(synced) => assignment(call.version, synced),
            Err(code) => SyncGroupResponse::default().with_error_code(code.code()),
        };
        call.reply(&response).into()
    })
}

fn sync(request: &SyncGroupRequest) -> Sync {
    let assignments = request.assignments.iter().map(|assignment| {
        // Copied: a slice would keep the whole request in memory as long as the generation lasts.
        let bytes = assignment.assignment.to_vec().into();
        (shared(&assignment.member_id), bytes)
    });
    Sync {
        who: identity(
            &request.member_id,
            request.group_instance_id.as_ref(),
            request.generation_id,
        ),
        protocol_type: request.protocol_type.as_ref().map(shared),
        protocol_name: request.protocol_name.as_ref().map(shared),
        assignments: assignments.collect(),
    }
}

fn assignment(version: i16, synced: Synced) -> SyncGroupResponse {
    let response = SyncGroupResponse::default().with_assignment(synced.assignment);
    match version >= PROTOCOL_SINCE {
        true => response
            .with_protocol_type(synced.protocol_type.map(|name| text(&*name)))
            .with_protocol_name(synced.protocol_name.map(|name| text(&*name))),
        false => response,
    }
}
