//! ListGroups (16), versions 0-5: all groups of this broker.
//!
//! - Version 4 adds states and a filter by them (KIP-518), version 5 types (KIP-848): here all are `classic`. Filters are
//!   compared in any case; nothing matches a state or type that Kafka does not know.

use kafka_protocol::messages::list_groups_response::ListedGroup as Answered;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::common::text;
use super::groups::{group_id, of_coordinator};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::ListedGroup;
use crate::protocol::shape::{STRING, Shape, field, list};

const STATES_SINCE: i16 = 4;
const TYPES_SINCE: i16 = 5;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("states_filter", list(&STRING)).since(4),
    field("types_filter", list(&STRING)).since(5),
])
.flexible_since(3);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<ListGroupsRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let texts = |filter: &[StrBytes]| -> Vec<String> {
            filter.iter().map(ToString::to_string).collect()
        };
        let (states, types) = (texts(&request.states_filter), texts(&request.types_filter));
        let listed = call
            .broker
            .coordinator
            .read(move |groups| groups.list(&states, &types));
        let response = match listed.await {
            Ok(listed) => {
                let groups = listed.into_iter().map(|group| answer(call.version, &group));
                ListGroupsResponse::default().with_groups(groups.collect())
            }
            Err(error) => {
                ListGroupsResponse::default().with_error_code(of_coordinator(&error).code())
            }
        };
        call.reply(&response).into()
    })
}

fn answer(version: i16, group: &ListedGroup) -> Answered {
    let mut answered = Answered::default()
        .with_group_id(group_id(&group.group_id))
        .with_protocol_type(text(&*group.protocol_type));
    if version >= STATES_SINCE {
        answered.group_state = text(group.state.name());
    }
    if version >= TYPES_SINCE {
        answered.group_type = text(group.group_type);
    }
    answered
}
