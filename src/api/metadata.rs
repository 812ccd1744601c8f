//! Metadata (3), versions 0-13: brokers, and the topics asked for; creates missing ones where allowed.
//!
//! - Version 0 asks for all topics with an empty list, later versions with null; there, an empty list asks for none.
//! - Version 4 lets the client forbid creation; before, it is allowed. Version 7 adds the leader epoch, version 8 the
//!   authorized operations (all: there are no ACLs yet), version 10 topic ids.
//! - From version 12 topics can be asked for by id; where one id is given, names do not count, as in Kafka. Versions
//!   10 and 11 have the fields for it and refuse them with error 42.
//! - Version 13 adds an error for the whole request, which this broker never needs: it asks nobody to rebootstrap.
//! - The controller is this broker. Its address is the one that the client can reach (see `Connection::advertised`).
//!
//! Deviation: Kafka answers error 3 when it begins to create a topic and lists it on a later request. Here the topic
//! is there before the answer. Gap: the topics in which Kafka keeps its own state are neither listed nor created.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use uuid::Uuid;

use super::call::log_call;
use super::common::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS, node_id, rack, text, topic_name};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::broker::catalog::CreateMode;
use crate::cluster::{self, CreateError, CreateTopic, Topic, Topics};
use crate::protocol::shape::{BOOLEAN, STRING, Shape, UUID, array, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field(
        "topics",
        array(&[
            field("topic_id", UUID).since(10),
            field("name", STRING).null_since(10),
        ]),
    )
    .null_since(1),
    field("allow_auto_topic_creation", BOOLEAN).since(4),
    field("include_cluster_authorized_operations", BOOLEAN)
        .since(8)
        .until(10),
    field("include_topic_authorized_operations", BOOLEAN).since(8),
])
.flexible_since(9);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, request).await).into(),
            Err(reply) => reply.into(),
        }
    })
}

/// What a request asks for.
enum Wanted {
    All,
    Ids(Vec<Uuid>),
    /// Without repeats. `None` stands for a topic with neither name nor id.
    Names(Vec<Option<String>>),
}

impl Wanted {
    /// An error is what is answered about each topic: ids or null names are not supported in this version.
    fn of(
        topics: Option<Vec<MetadataRequestTopic>>,
        version: i16,
    ) -> Result<Self, Vec<MetadataResponseTopic>> {
        let topics = match topics {
            None => return Ok(Wanted::All),
            Some(topics) if topics.is_empty() && version == 0 => return Ok(Wanted::All),
            Some(topics) => topics,
        };
        let by_id = |topic: &MetadataRequestTopic| topic.name.is_none() || !topic.topic_id.is_nil();
        if version < 12 && topics.iter().any(by_id) {
            return Err(topics.into_iter().map(unsupported).collect());
        }
        let mut seen = HashSet::new();
        let ids: Vec<Uuid> = topics
            .iter()
            .map(|topic| topic.topic_id)
            .filter(|id| !id.is_nil() && seen.insert(*id))
            .collect();
        if !ids.is_empty() {
            return Ok(Wanted::Ids(ids));
        }
        let mut seen = HashSet::new();
        let names = topics
            .into_iter()
            .map(|topic| topic.name.map(|name| name.to_string()))
            .filter(|name| seen.insert(name.clone()));
        Ok(Wanted::Names(names.collect()))
    }
}

async fn answer(call: &Call, request: MetadataRequest) -> MetadataResponse {
    let wanted = match Wanted::of(request.topics, call.version) {
        Ok(wanted) => wanted,
        // As Kafka's answer to a request that failed as a whole, it names no broker.
        Err(topics) => return MetadataResponse::default().with_topics(topics),
    };
    if let Wanted::Names(names) = &wanted
        && request.allow_auto_topic_creation
        && call.broker.catalog.settings().auto_create
    {
        create_missing(call, names).await;
    }
    let topics = call.broker.catalog.topics();
    let answered = Answered {
        topics: &topics,
        node_id: node_id(call),
        operations: match request.include_topic_authorized_operations {
            true => TOPIC_OPERATIONS,
            false => i32::MIN,
        },
    };
    let (host, port) = call.connection.advertised();
    let broker = MetadataResponseBroker::default()
        .with_node_id(node_id(call))
        .with_host(text(host))
        .with_port(i32::from(port))
        .with_rack(rack(call));
    let response = MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(call.broker.catalog.cluster_id())))
        .with_controller_id(node_id(call))
        .with_topics(answered.all(wanted));
    match request.include_cluster_authorized_operations {
        true => response.with_cluster_authorized_operations(CLUSTER_OPERATIONS),
        false => response,
    }
}

/// Creates the topics of these names that do not exist and can. Whatever fails shows as a topic that is still missing.
async fn create_missing(call: &Call, names: &[Option<String>]) {
    let catalog = &call.broker.catalog;
    let topics = catalog.topics();
    let missing: Vec<CreateTopic> = names
        .iter()
        .flatten()
        .filter(|name| topics.by_name(name).is_none() && cluster::validate(name).is_ok())
        .filter(|name| !cluster::is_internal(name) && *name != cluster::CLUSTER_METADATA_TOPIC)
        .map(|name| CreateTopic {
            name: name.clone(),
            partitions: -1,
            replication_factor: -1,
            ..CreateTopic::default()
        })
        .collect();
    if missing.is_empty() {
        return;
    }
    match catalog.create(missing, CreateMode::Create).await {
        Ok(outcomes) => {
            for outcome in outcomes {
                match outcome {
                    Ok(topic) => {
                        log_call!(info, call, topic = &*topic.name, "topic created on demand")
                    }
                    Err(CreateError::Exists(_)) => {}
                    Err(error) => log_call!(warn, call, %error, "topic not created on demand"),
                }
            }
        }
        Err(error) => log_call!(error, call, %error, "topics not created on demand"),
    }
}

/// What the topics of an answer are made from.
struct Answered<'a> {
    topics: &'a Topics,
    node_id: BrokerId,
    operations: i32,
}

impl Answered<'_> {
    fn all(&self, wanted: Wanted) -> Vec<MetadataResponseTopic> {
        match wanted {
            Wanted::All => self.topics.iter().map(|topic| self.topic(topic)).collect(),
            Wanted::Ids(ids) => ids.into_iter().map(|id| self.by_id(id)).collect(),
            Wanted::Names(names) => names.iter().map(|name| self.by_name(name)).collect(),
        }
    }

    fn by_id(&self, id: Uuid) -> MetadataResponseTopic {
        match self.topics.by_id(id) {
            Some(topic) => self.topic(topic),
            None => MetadataResponseTopic::default()
                .with_error_code(ResponseError::UnknownTopicId.code())
                .with_name(None)
                .with_topic_id(id),
        }
    }

    fn by_name(&self, name: &Option<String>) -> MetadataResponseTopic {
        let Some(name) = name else {
            return MetadataResponseTopic::default()
                .with_error_code(ResponseError::InvalidRequest.code())
                .with_name(None);
        };
        if let Some(topic) = self.topics.by_name(name) {
            return self.topic(topic);
        }
        let error = match cluster::validate(name) {
            Ok(()) => ResponseError::UnknownTopicOrPartition,
            Err(_) => ResponseError::InvalidTopicException,
        };
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(topic_name(name)))
            .with_is_internal(cluster::is_internal(name))
            .with_topic_authorized_operations(self.operations)
    }

    fn topic(&self, topic: &Arc<Topic>) -> MetadataResponseTopic {
        let partitions = (0..).zip(&topic.partitions).map(|(index, _)| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(self.node_id)
                .with_leader_epoch(0)
                .with_replica_nodes(vec![self.node_id])
                .with_isr_nodes(vec![self.node_id])
        });
        MetadataResponseTopic::default()
            .with_name(Some(topic_name(&topic.name)))
            .with_topic_id(topic.id)
            .with_is_internal(topic.internal)
            .with_partitions(partitions.collect())
            .with_topic_authorized_operations(self.operations)
    }
}

/// As Kafka's `MetadataRequest.getErrorResponse`: a null name becomes an empty one.
fn unsupported(topic: MetadataRequestTopic) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(ResponseError::InvalidRequest.code())
        .with_name(Some(topic.name.unwrap_or_default()))
        .with_topic_id(topic.topic_id)
}
