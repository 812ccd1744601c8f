//! IncrementalAlterConfigs (44), versions 0-1: changes single settings of topics, brokers, groups and client metrics
//! subscriptions (KIP-339).
//!
//! - Operations: set (0), delete (1), append to (2) and subtract from (3) a list. The list is the one that is set, else
//!   the key's default, not what a topic inherits.
//! - Each resource is changed as a whole or not at all; all that can be are in one commit, durable when the answer leaves,
//!   and in effect where they have an effect.
//! - A broker is this one by its id, or all of them by an empty name.
//! - Topics and groups: an unknown key or a bad value is error 40. Brokers: a bad value, a key that needs a restart and
//!   another broker's id are error 42; a key that nobody knows is kept. Client metrics: an unknown key is error 42.
//! - A resource or a key twice, a null to set, an operation that nobody knows: error 42. An unknown topic: error 3.
//! - `validate_only` answers the same and changes nothing.
//!
//! Gaps: there are no loggers, so each change of a broker logger is error 40; a pattern of client metrics is not compiled.
//! Meant to differ from Kafka 4.3: an operation that nobody knows is error 42 for all types, where Kafka's controller has -1
//! for all but brokers; `min.insync.replicas` of a broker can be set (there it is error 40, because eligible leader
//! replicas are on); Java classes are kept and not loaded.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::common::text;
use super::config_resource::{Asked, Kind, Refused, alter, check_node, invalid, not_null};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::cluster::{AlterOp, Change};
use crate::protocol::shape::{BOOLEAN, INT8, STRING, Shape, array, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field(
        "resources",
        array(&[
            field("resource_type", INT8),
            field("resource_name", STRING),
            field(
                "configs",
                array(&[
                    field("name", STRING),
                    field("config_operation", INT8),
                    field("value", STRING).null_since(0),
                ]),
            ),
        ]),
    ),
    field("validate_only", BOOLEAN),
])
.flexible_since(1);

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, request).await).into(),
            Err(reply) => reply.into(),
        }
    })
}

async fn answer(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let asked: Vec<_> = request.resources.iter().map(asked).collect();
    let change = |kind: Kind, asked: &Asked<i8>| change(call, kind, asked);
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
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn asked(resource: &AlterConfigsResource) -> Asked<i8> {
    let settings = resource.configs.iter().map(|config| {
        let value = config.value.as_ref().map(ToString::to_string);
        (config.name.to_string(), value, config.config_operation)
    });
    Asked {
        kind: resource.resource_type,
        name: resource.resource_name.clone(),
        settings: settings.collect(),
    }
}

fn change(call: &Call, kind: Kind, asked: &Asked<i8>) -> Result<Change, Refused> {
    let with_value = asked.settings.iter().filter(|(.., op)| *op != DELETE);
    not_null(with_value.map(|(key, value, _)| (key, value)))?;
    if kind == Kind::BrokerLogger {
        return Err(change_logger(call, asked));
    }
    let ops = asked.settings.iter().map(|(key, value, op)| {
        let value = value.clone().unwrap_or_default();
        let op = match *op {
            SET => AlterOp::Set(value),
            DELETE => AlterOp::Delete,
            APPEND => AlterOp::Append(value),
            SUBTRACT => AlterOp::Subtract(value),
            other => return Err(invalid(format!("Unknown operations type {other}"))),
        };
        Ok((key.clone(), op))
    });
    Ok(Change::Incremental(ops.collect::<Result<_, _>>()?))
}

/// What Kafka's `RuntimeLoggerManager` answers where there are no loggers.
fn change_logger(call: &Call, asked: &Asked<i8>) -> Refused {
    let other = "Unexpected node id. Expected {own}, but received {name}";
    if let Err(refused) = check_node(call, &asked.name, other) {
        return refused;
    }
    match asked.settings.first() {
        Some((name, _, SET | DELETE)) => (
            ResponseError::InvalidConfig,
            format!("Logger {name} does not exist!"),
        ),
        Some((_, _, APPEND)) => {
            invalid("APPEND operation is not allowed for the BROKER_LOGGER resource")
        }
        Some((_, _, SUBTRACT)) => {
            invalid("SUBTRACT operation is not allowed for the BROKER_LOGGER resource")
        }
        Some((_, _, other)) => invalid(format!(
            "Unknown operation type {other} is not allowed for the BROKER_LOGGER resource"
        )),
        None => invalid("There is no logger to change"),
    }
}
