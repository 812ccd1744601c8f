//! DeleteGroups (42), versions 0-2: removes groups without members, and their offsets.
//!
//! - 68 for a group with members, 69 for an unknown one. A group that is named twice is answered once.

use std::collections::BTreeSet;

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::groups::{ask, code};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::group::{Command, Reply};
use crate::protocol::shape::{STRING, Shape, field, list};

pub(super) const SHAPE: Shape =
    Shape::new(&[field("groups_names", list(&STRING))]).flexible_since(2);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<DeleteGroupsRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let mut seen = BTreeSet::new();
        let mut results = Vec::new();
        for group_id in request.groups_names {
            if !seen.insert(group_id.clone()) {
                continue;
            }
            let deleted = ask(&call, &group_id, Command::Delete, |reply| match reply {
                Reply::Delete(deleted) => Some(deleted),
                _ => None,
            });
            let code = deleted.await.map_or_else(|error| error.code(), code);
            results.push(
                DeletableGroupResult::default()
                    .with_group_id(group_id)
                    .with_error_code(code),
            );
        }
        call.reply(&DeleteGroupsResponse::default().with_results(results))
            .into()
    })
}
