//! CreateTopics as a decision: what Kafka's `ReplicationControlManager` checks, in its order, for one broker.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::name::{self, CLUSTER_METADATA_TOPIC, NameError};
use super::rows::{Counter, TopicRow, counter_key, encode_counter, encode_topic, topic_key};
use super::topics::{Topic, Topics};
use crate::base::{NodeId, PartitionNumber};
use crate::config::{Config, ConfigError, TopicConfig};
use crate::store::{Key, Version, Write};

/// Partitions that one request may ask for; Kafka's `MAX_PARTITIONS_PER_BATCH`.
pub const CREATE_PARTITIONS_MAX: usize = 10_000;

/// Topics, settings and partitions together that one request may create; Kafka's `MAX_RECORDS_PER_USER_OP`.
pub const CREATE_RECORDS_MAX: usize = 10_000;

/// A topic to create, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopic {
    pub name: String,
    /// -1: the broker's default.
    pub partitions: i32,
    /// -1: the broker's default.
    pub replication_factor: i16,
    /// Who keeps which partition; empty: the broker decides.
    pub assignments: Vec<Assignment>,
    pub configs: Vec<(String, Option<String>)>,
    pub creator: Creator,
}

/// Who creates a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Creator {
    #[default]
    Client,
    /// The broker itself: one of Kafka's own topics, which no client may create.
    Broker,
}

/// The replicas of one partition, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    pub partition: i32,
    pub replicas: Vec<NodeId>,
}

/// What to do with a replication factor that this cluster has not the brokers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// Take any and keep one replica.
    Any,
    /// Refuse it, as Kafka does.
    Strict,
}

/// What the broker's settings say about new topics.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    pub config: &'a Config,
    /// The settings of a topic without overrides, shared by all of them.
    pub defaults: &'a Arc<TopicConfig>,
    pub node_id: NodeId,
    pub partitions: i32,
    pub replication_factor: i16,
    pub replication: Replication,
}

/// Why a topic is not created; the texts go to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("Duplicate topic name.")]
    Duplicate,
    #[error("Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited.")]
    Metadata,
    #[error("Topic '{0}' already exists: the broker keeps what it holds itself.")]
    Internal(String),
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collision { name: String, existing: String },
    #[error("Null value not supported for topic configs: {0}")]
    NullConfig(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("A manual partition assignment was specified, but {0} was not set to -1.")]
    Contradiction(&'static str),
    #[error("{0}")]
    Assignment(String),
    #[error("{0}")]
    ReplicationFactor(String),
    #[error("Number of partitions was set to an invalid non-positive value.")]
    Partitions,
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    #[error("Unable to perform excessively large batch operation.")]
    TooLarge,
}

/// What to write and what to answer.
#[derive(Clone, Debug, Default)]
pub struct Creation {
    /// One per request, in their order.
    pub outcomes: Vec<Result<Arc<Topic>, CreateError>>,
    /// The counter after the commit.
    pub next: u32,
    pub guards: Vec<(Key, Version)>,
    /// Empty when no topic is created.
    pub writes: Vec<Write>,
}

/// Decides a CreateTopics request. `draw_id` gives random topic ids.
pub fn create_topics(
    topics: &Topics,
    counter: Counter,
    rules: &Rules<'_>,
    requests: &[CreateTopic],
    draw_id: &mut dyn FnMut() -> Uuid,
) -> Creation {
    let mut named: HashMap<&str, u32> = HashMap::new();
    for request in requests {
        *named.entry(&request.name).or_default() += 1;
    }
    let once = |request: &&CreateTopic| named[request.name.as_str()] == 1;
    let asked = requests
        .iter()
        .filter(once)
        .map(|one| asked_count(rules, one));
    if asked.fold(0, usize::saturating_add) > CREATE_PARTITIONS_MAX {
        return refuse_all(requests.len(), counter, &CreateError::TooManyPartitions);
    }
    let mut creation = Creation {
        next: counter.next,
        ..Creation::default()
    };
    let mut records = 0_usize;
    for request in requests {
        let outcome = if named[request.name.as_str()] > 1 {
            Err(CreateError::Duplicate)
        } else {
            create_topic(topics, rules, request, &mut records, &mut creation, draw_id)
        };
        if outcome == Err(CreateError::TooLarge) {
            return refuse_all(requests.len(), counter, &CreateError::TooLarge);
        }
        creation.outcomes.push(outcome);
    }
    if !creation.writes.is_empty() {
        creation.guards.push((counter_key(), counter.version));
        creation.writes.push(Write::Put {
            key: counter_key(),
            value: encode_counter(creation.next),
            place_at: None,
        });
    }
    creation
}

/// As in Kafka a request that is too large fails as a whole.
fn refuse_all(requests: usize, counter: Counter, error: &CreateError) -> Creation {
    Creation {
        outcomes: vec![Err(error.clone()); requests],
        next: counter.next,
        ..Creation::default()
    }
}

/// How many partitions are asked for, rightly or not.
fn asked_count(rules: &Rules<'_>, request: &CreateTopic) -> usize {
    match (request.assignments.len(), request.partitions) {
        (0, -1) => usize::try_from(rules.partitions).unwrap_or(0),
        (0, partitions) => usize::try_from(partitions).unwrap_or(0),
        (assigned, _) => assigned,
    }
}

fn create_topic(
    topics: &Topics,
    rules: &Rules<'_>,
    request: &CreateTopic,
    records: &mut usize,
    creation: &mut Creation,
    draw_id: &mut dyn FnMut() -> Uuid,
) -> Result<Arc<Topic>, CreateError> {
    check_name(topics, request)?;
    let overrides = overrides_of(request)?;
    let config = if overrides.is_empty() {
        rules.defaults.clone()
    } else {
        Arc::new(TopicConfig::resolve(rules.config, &overrides)?)
    };
    let count = partition_count(rules, request)?;

    *records = records.saturating_add(1 + overrides.len() + count);
    let end = u32::try_from(count)
        .ok()
        .and_then(|count| creation.next.checked_add(count));
    let end = match end {
        Some(end) if *records <= CREATE_RECORDS_MAX => end,
        _ => return Err(CreateError::TooLarge),
    };
    let topic = Arc::new(Topic {
        id: draw_topic_id(topics, draw_id),
        name: Arc::from(request.name.as_str()),
        partitions: (creation.next..end).map(PartitionNumber).collect(),
        config,
        overrides,
        internal: name::is_internal(&request.name),
    });
    creation.next = end;
    let key = topic_key(&topic.name);
    creation.guards.push((key.clone(), Version::ABSENT));
    creation.writes.push(Write::Put {
        key,
        value: encode_topic(&TopicRow {
            id: topic.id,
            partitions: topic.partitions.clone(),
            overrides: topic.overrides.clone(),
        }),
        place_at: None,
    });
    Ok(topic)
}

/// "Exists" wins over a bad or colliding name, as in Kafka.
fn check_name(topics: &Topics, request: &CreateTopic) -> Result<(), CreateError> {
    let name = request.name.as_str();
    if name == CLUSTER_METADATA_TOPIC {
        return Err(CreateError::Metadata);
    }
    if name::is_internal(name) && request.creator == Creator::Client {
        return Err(CreateError::Internal(name.to_owned()));
    }
    if topics.by_name(name).is_some() {
        return Err(CreateError::Exists(name.to_owned()));
    }
    name::validate(name)?;
    match topics.colliding(name) {
        None => Ok(()),
        Some(existing) => Err(CreateError::Collision {
            name: name.to_owned(),
            existing: existing.to_string(),
        }),
    }
}

fn overrides_of(request: &CreateTopic) -> Result<BTreeMap<String, String>, CreateError> {
    let nulls: Vec<&str> = request
        .configs
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    if !nulls.is_empty() {
        return Err(CreateError::NullConfig(nulls.join(",")));
    }
    let set = request.configs.iter().cloned();
    Ok(set
        .filter_map(|(name, value)| Some((name, value?)))
        .collect())
}

/// How many partitions the request amounts to.
fn partition_count(rules: &Rules<'_>, request: &CreateTopic) -> Result<usize, CreateError> {
    if !request.assignments.is_empty() {
        return assigned_count(rules, request);
    }
    let factor = match request.replication_factor {
        -1 => rules.replication_factor,
        factor if factor > 0 => factor,
        _ => {
            return Err(CreateError::ReplicationFactor(
                "Replication factor must be larger than 0, or -1 to use the default value."
                    .to_owned(),
            ));
        }
    };
    let partitions = match request.partitions {
        -1 => rules.partitions,
        partitions => partitions,
    };
    let partitions = usize::try_from(partitions)
        .ok()
        .filter(|partitions| *partitions > 0)
        .ok_or(CreateError::Partitions)?;
    if factor > 1 && rules.replication == Replication::Strict {
        return Err(CreateError::ReplicationFactor(format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
             reached because only 1 broker(s) are registered. Start the broker with \
             ottla.replication.factor=any to have any factor accepted."
        )));
    }
    Ok(partitions)
}

/// Checks assignments by hand: one broker, so every replica list is that broker.
fn assigned_count(rules: &Rules<'_>, request: &CreateTopic) -> Result<usize, CreateError> {
    if request.replication_factor != -1 {
        return Err(CreateError::Contradiction("replication factor"));
    }
    if request.partitions != -1 {
        return Err(CreateError::Contradiction("numPartitions"));
    }
    let mut seen = BTreeSet::new();
    for assignment in &request.assignments {
        if !seen.insert(assignment.partition) {
            return Err(CreateError::Assignment(format!(
                "Found multiple manual partition assignments for partition {}",
                assignment.partition
            )));
        }
        check_replicas(rules.node_id, &assignment.replicas).map_err(CreateError::Assignment)?;
    }
    if seen
        .iter()
        .zip(0..)
        .any(|(seen, expected)| *seen != expected)
    {
        return Err(CreateError::Assignment(
            "partitions should be a consecutive 0-based integer sequence".to_owned(),
        ));
    }
    Ok(seen.len())
}

/// Checks the replicas of a partition that were assigned by hand, or says what is wrong with them.
pub(super) fn check_replicas(node_id: NodeId, replicas: &[NodeId]) -> Result<(), String> {
    let problem = match replicas {
        [] => "an empty replica list.".to_owned(),
        _ => match replicas.iter().find(|replica| **replica != node_id) {
            Some(NodeId(other)) => {
                format!("broker {other}, but no such broker is registered.")
            }
            None if replicas.len() > 1 => format!("the broker {} more than once.", node_id.0),
            None => return Ok(()),
        },
    };
    Err(format!(
        "The manual partition assignment includes {problem}"
    ))
}

/// Ids that Kafka would not draw are left out: the reserved ones, and those that begin with a dash in base64, which
/// a command line takes for an option.
fn draw_topic_id(topics: &Topics, draw_id: &mut dyn FnMut() -> Uuid) -> Uuid {
    const DASH: u8 = 62;
    loop {
        let id = draw_id();
        let reserved = id.as_u128() <= 100;
        if !reserved && id.as_bytes()[0] >> 2 != DASH && topics.by_id(id).is_none() {
            return id;
        }
    }
}
