//! AlterConfigs (33), versions 0-2: sets all settings of topics, brokers, groups and client metrics subscriptions: what
//! is not named goes back to its default.
//!
//! - Checks, codes and effects are those of IncrementalAlterConfigs, which takes its place (KIP-339); broker loggers are
//!   not for it (42).

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::common::text;
use super::config_resource::{Asked, Kind, Refused, alter, not_null};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::cluster::Change;
use crate::protocol::shape::{BOOLEAN, INT8, STRING, Shape, array, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field(
        "resources",
        array(&[
            field("resource_type", INT8),
            field("resource_name", STRING),
            field(
                "configs",
                array(&[field("name", STRING), field("value", STRING).null_since(0)]),
            ),
        ]),
    ),
    field("validate_only", BOOLEAN),
])
.flexible_since(2);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, request).await).into(),
            Err(reply) => reply.into(),
        }
    })
}

async fn answer(call: &Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let asked: Vec<_> = request.resources.iter().map(asked).collect();
    let answers = alter(call, asked, request.validate_only, change).await;
    let responses = request.resources.into_iter().zip(answers);
    let responses = responses.map(|(resource, answer)| {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_message(None);
        match answer {
            Ok(()) => response,
            Err((code, message)) => response
                .with_error_code(code.code())
                .with_error_message(Some(text(message))),
        }
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn asked(resource: &AlterConfigsResource) -> Asked<()> {
    let settings = resource.configs.iter().map(|config| {
        let value = config.value.as_ref().map(ToString::to_string);
        (config.name.to_string(), value, ())
    });
    Asked {
        kind: resource.resource_type,
        name: resource.resource_name.clone(),
        settings: settings.collect(),
    }
}

fn change(_: Kind, asked: &Asked<()>) -> Result<Change, Refused> {
    not_null(asked.settings.iter().map(|(key, value, ())| (key, value)))?;
    let set = asked.settings.iter();
    let set = set.map(|(key, value, ())| (key.clone(), value.clone().unwrap_or_default()));
    Ok(Change::Replace(set.collect()))
}
