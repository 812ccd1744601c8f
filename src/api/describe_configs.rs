//! DescribeConfigs (32), versions 1-4: the settings of topics, this broker, groups.
//!
//! - Resource types: topic (2), broker (4), broker logger (8), client metrics (16), group (32). Any other fails the whole
//!   request with error 42, as in Kafka.
//! - A broker with an empty name stands for the settings that were changed at run time for all brokers.
//! - Null or no keys: all settings; else those that are named and known. Secrets are null.
//! - Version 3 adds types and, on demand, the documentation.
//!
//! - A group or client metrics subscription that nobody has heard of is described with what it would inherit.
//!
//! Deviation: an answer has at most 64 MiB; resources that come after get error 44.
//!
//! Gaps: there are no loggers to describe, so a broker logger has no settings.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::common::{put_varint, text};
use super::config_resource::{Kind, Refused, check_node, invalid};
use super::{Answer, Call, Reply};
use crate::base::BoxFuture;
use crate::cluster::{self, Resource};
use crate::config::{Listed, ValueType};
use crate::protocol::shape::{BOOLEAN, INT8, STRING, Shape, array, field, list};

pub(super) const SHAPE: Shape = Shape::new(&[
    field(
        "resources",
        array(&[
            field("resource_type", INT8),
            field("resource_name", STRING),
            field("configuration_keys", list(&STRING)).null_since(0),
        ]),
    ),
    field("include_synonyms", BOOLEAN),
    field("include_documentation", BOOLEAN).since(3),
])
.flexible_since(4);

/// The type of a key that nobody knows.
const UNKNOWN_TYPE: i8 = 0;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => answer(&call, &request).await.into(),
            Err(reply) => reply.into(),
        }
    })
}

/// Bytes of an answer: a request of a few hundred kilobytes could ask for gigabytes. Kafka has no such bound; 10,000
/// topics with everything documented stay below it.
const ANSWER_SIZE_MAX: usize = 64 << 20;

/// Bytes that an answer grows by before they are put aside, so that growing copies none of them.
const PIECE_SIZE: usize = 64 * 1024;

async fn answer(call: &Call, request: &DescribeConfigsRequest) -> Reply {
    let mut kinds = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        match Kind::of(resource.resource_type) {
            Some(kind) => kinds.push(kind),
            None => return call.reply(&all_refused(request, resource)),
        }
    }
    let mut body = AnswerBody::new(call.version, request.resources.len());
    for (kind, resource) in kinds.into_iter().zip(&request.resources) {
        let result = match body.size() {
            ..ANSWER_SIZE_MAX => result(call, kind, resource, request),
            _ => refused(resource, too_much()),
        };
        if let Err(error) = body.push(&result) {
            return Reply::Close(format!("the answer does not encode: {error}"));
        }
        // Some resources have two hundred settings, and a request may ask for a hundred thousand.
        tokio::task::consume_budget().await;
    }
    call.reply_parts::<DescribeConfigsResponse>(body.finish())
}

fn too_much() -> Refused {
    let message = format!(
        "one answer describes at most {} MiB of settings; ask for fewer resources at a time",
        ANSWER_SIZE_MAX >> 20
    );
    (ResponseError::PolicyViolation, message)
}

fn result(
    call: &Call,
    kind: Kind,
    resource: &DescribeConfigsResource,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResult {
    match settings(call, kind, &resource.resource_name) {
        Ok(settings) => {
            let wanted = settings
                .into_iter()
                .filter(|setting| is_asked_for(resource, &setting.name));
            DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_configs(wanted.map(|one| described(one, request)).collect())
        }
        Err(refusal) => refused(resource, refusal),
    }
}

fn refused(resource: &DescribeConfigsResource, (code, message): Refused) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
        .with_error_code(code.code())
        .with_error_message(Some(text(message)))
}

/// The body of an answer, written resource by resource: as structs it would take five times the memory.
struct AnswerBody {
    version: i16,
    done: Vec<Bytes>,
    done_size: usize,
    open: BytesMut,
}

impl AnswerBody {
    fn new(version: i16, results: usize) -> Self {
        let mut open = BytesMut::new();
        open.put_i32(0); // throttle_time_ms
        let count = u32::try_from(results).unwrap_or(u32::MAX);
        match SHAPE.is_flexible(version) {
            true => put_varint(&mut open, count.saturating_add(1)),
            false => open.put_u32(count),
        }
        Self {
            version,
            done: Vec::new(),
            done_size: 0,
            open,
        }
    }

    fn size(&self) -> usize {
        self.done_size + self.open.len()
    }

    fn push(&mut self, result: &DescribeConfigsResult) -> Result<(), anyhow::Error> {
        result.encode(&mut self.open, self.version)?;
        if self.open.len() >= PIECE_SIZE {
            self.done_size += self.open.len();
            self.done.push(self.open.split().freeze());
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<Bytes> {
        if SHAPE.is_flexible(self.version) {
            self.open.put_u8(0); // no tagged fields
        }
        self.done.push(self.open.freeze());
        self.done
    }
}

fn all_refused(
    request: &DescribeConfigsRequest,
    because: &DescribeConfigsResource,
) -> DescribeConfigsResponse {
    let message = text(format!(
        "Unexpected resource type {} for resource {}",
        because.resource_type,
        because.resource_name.as_str()
    ));
    let results = request.resources.iter().map(|resource| {
        DescribeConfigsResult::default()
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_error_message(Some(message.clone()))
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn is_asked_for(resource: &DescribeConfigsResource, name: &str) -> bool {
    match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| key.as_str() == name),
        _ => true,
    }
}

fn settings(call: &Call, kind: Kind, name: &str) -> Result<Vec<Listed>, Refused> {
    let config = call.broker.config.now();
    let set_on = |resource| call.broker.catalog.configs().of(&resource);
    match kind {
        Kind::Topic => topic_settings(call, name),
        Kind::Broker if name.is_empty() => Ok(config.list_cluster()),
        Kind::Broker => {
            check_broker(call, name, " or empty string,")?;
            Ok(config.list_broker())
        }
        Kind::BrokerLogger => {
            check_named(name, "Broker id")?;
            check_broker(call, name, "")?;
            Ok(Vec::new())
        }
        Kind::ClientMetrics => {
            check_named(name, "Client metrics subscription name")?;
            Ok(config.list_client_metrics(&set_on(Resource::ClientMetrics(name.to_owned()))))
        }
        Kind::Group => {
            check_named(name, "Group name")?;
            Ok(config.list_group(&set_on(Resource::Group(name.to_owned()))))
        }
    }
}

fn topic_settings(call: &Call, name: &str) -> Result<Vec<Listed>, Refused> {
    cluster::validate(name)
        .map_err(|error| (ResponseError::InvalidTopicException, error.to_string()))?;
    match call.broker.catalog.topics().by_name(name) {
        Some(topic) => Ok(call.broker.config.now().list_topic(&topic.overrides)),
        None => Err((
            ResponseError::UnknownTopicOrPartition,
            "This server does not host this topic-partition.".to_owned(),
        )),
    }
}

fn check_named(name: &str, what: &str) -> Result<(), Refused> {
    match name {
        "" => Err(invalid(format!("{what} must not be empty"))),
        _ => Ok(()),
    }
}

fn check_broker(call: &Call, name: &str, or_else: &str) -> Result<(), Refused> {
    if name.parse::<i32>().is_err() {
        return Err(invalid(format!(
            "Broker id must be an integer, but it is: {name}"
        )));
    }
    let other = format!("Unexpected broker id, expected {{own}}{or_else} but received {{name}}");
    check_node(call, name, &other)
}

/// A name on the wire; those of the table are not copied.
fn name(name: Cow<'static, str>) -> StrBytes {
    match name {
        Cow::Borrowed(name) => StrBytes::from_static_str(name),
        Cow::Owned(name) => text(name),
    }
}

fn described(setting: Listed, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let result = DescribeConfigsResourceResult::default()
        .with_name(name(setting.name))
        .with_value(setting.value.map(text))
        .with_read_only(setting.is_read_only)
        .with_config_source(setting.source.wire())
        .with_is_sensitive(setting.is_sensitive)
        .with_config_type(setting.value_type.map_or(UNKNOWN_TYPE, ValueType::wire));
    let documentation = request
        .include_documentation
        .then(|| setting.documentation.map(StrBytes::from_static_str))
        .flatten();
    let result = result.with_documentation(documentation);
    if !request.include_synonyms {
        return result;
    }
    let synonyms = setting.synonyms.into_iter().map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(name(synonym.name))
            .with_value(synonym.value.map(text))
            .with_source(synonym.source.wire())
    });
    result.with_synonyms(synonyms.collect())
}
