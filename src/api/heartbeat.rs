//! Heartbeat (12), versions 0-4: a member says that it is there.
//!
//! - 27 while the group waits for its members to join, 0 while it waits for the leader's assignment: the member's session
//!   begins anew in both cases. Unknown member 25, replaced static member 82 (version 3), wrong generation 22, empty group
//!   id 24.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::groups::{ask, code, identity};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{Command, Reply};
use crate::protocol::shape::{INT32, STRING, Shape, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field("group_id", STRING),
    field("generation_id", INT32),
    field("member_id", STRING),
    field("group_instance_id", STRING).since(3).null_since(3),
])
.flexible_since(4);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<HeartbeatRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let who = identity(
            &request.member_id,
            request.group_instance_id.as_ref(),
            request.generation_id,
        );
        let heard = ask(
            &call,
            &request.group_id,
            Command::Heartbeat(who),
            |reply| match reply {
                Reply::Heartbeat(heard) => Some(heard),
                _ => None,
            },
        );
        let code = heard.await.map_or_else(|error| error.code(), code);
        let response = HeartbeatResponse::default().with_error_code(code);
        call.reply(&response).into()
    })
}
