//! FindCoordinator (10), versions 0-6: which broker coordinates a group, a transactional id or a share partition: this one.
//!
//! - Version 1 adds the key's type (0 group, 1 transactional id), version 4 many keys in one request, version 6 share
//!   partitions (type 2; its keys are `group:topic id:partition`).
//! - An unknown type, or type 2 before version 6, is error 42 for every key.
//!
//! - Who asks for a group's first brings `__consumer_offsets` into being, as in Kafka, which answers 15 meanwhile and makes
//!   its clients ask again; here the topic is there with the answer. Nothing is written into it: offsets are rows.
//!
//! Gap: transactions and share groups are not served yet; whoever asks here learns so from those APIs.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::call::log_call;
use super::common::{node_id, text};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::cluster::CreateTopic;
use crate::config::keys;
use crate::protocol::shape::{INT8, STRING, Shape, field, list};

pub(super) const SHAPE: Shape = Shape::new(&[
    field("key", STRING).until(3),
    field("key_type", INT8).since(1),
    field("coordinator_keys", list(&STRING)).since(4),
])
.flexible_since(3);

const OFFSETS_TOPIC: &str = "__consumer_offsets";

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Kafka's stand-in for "no broker".
const NO_NODE: BrokerId = BrokerId(-1);
const NO_PORT: i32 = -1;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<FindCoordinatorRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        if request.key_type == GROUP {
            show_offsets_topic(&call).await;
        }
        call.reply(&answer(&call, &request)).into()
    })
}

/// Creates `__consumer_offsets` with the settings that Kafka gives it. A group works without it.
async fn show_offsets_topic(call: &Call) {
    let setting = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let topic = CreateTopic {
        name: OFFSETS_TOPIC.to_owned(),
        partitions: call.broker.config.get(keys::OFFSETS_TOPIC_NUM_PARTITIONS),
        replication_factor: 1,
        configs: vec![
            setting("cleanup.policy", "compact"),
            setting("compression.type", "producer"),
            setting("segment.bytes", "104857600"),
        ],
        ..CreateTopic::default()
    };
    if let Err(error) = call.broker.catalog.create_internal(topic).await {
        log_call!(warn, call, %error, topic = OFFSETS_TOPIC, "the topic is not there yet; trying again when it is asked for");
    }
}

fn answer(call: &Call, request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (host, port) = call.connection.advertised();
    let (host, port) = (text(host), i32::from(port));
    let verdict = |key: &str| check(call.version, request.key_type, key);
    if call.version < 4 {
        let response = FindCoordinatorResponse::default();
        let response = match verdict(&request.key) {
            Ok(()) => response
                .with_node_id(node_id(call))
                .with_host(host)
                .with_port(port),
            Err(_) => response
                .with_error_code(ResponseError::InvalidRequest.code())
                .with_node_id(NO_NODE)
                .with_port(NO_PORT),
        };
        return match (call.version, verdict(&request.key)) {
            (0, _) => response,
            // Kafka's text for "no error".
            (_, Ok(())) => response.with_error_message(Some(StrBytes::from_static_str("NONE"))),
            (_, Err(why)) => response.with_error_message(Some(text(why))),
        };
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        let coordinator = Coordinator::default().with_key(key.clone());
        match verdict(key) {
            Ok(()) => coordinator
                .with_node_id(node_id(call))
                .with_host(host.clone())
                .with_port(port),
            Err(why) => coordinator
                .with_error_code(ResponseError::InvalidRequest.code())
                .with_error_message(Some(text(why)))
                .with_node_id(NO_NODE)
                .with_port(NO_PORT),
        }
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}

/// Whether such a key has a coordinator, or why not.
fn check(version: i16, key_type: i8, key: &str) -> Result<(), String> {
    match key_type {
        GROUP | TRANSACTION => Ok(()),
        SHARE if version >= 6 && is_share_key(key) => Ok(()),
        SHARE if version >= 6 => Err(format!("Invalid share partition key: {key}")),
        SHARE => Err("Share coordinators are found from version 6 on".to_owned()),
        other => Err(format!("Unknown coordinator type received: {other}")),
    }
}

/// `group:topic id:partition`, the id in base64 as Kafka prints ids (`SharePartitionKey.validate`).
fn is_share_key(key: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut parts = key.rsplitn(3, ':');
    let partition = parts.next().and_then(|part| part.parse::<i32>().ok());
    let topic_id = parts
        .next()
        .filter(|id| id.len() == 22 && id.bytes().all(is_base64));
    // A group's name may hold colons itself.
    let group = parts.next().filter(|group| !group.trim().is_empty());
    partition.is_some() && topic_id.is_some() && group.is_some()
}
