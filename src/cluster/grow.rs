//! CreatePartitions as a decision: what Kafka's `ReplicationControlManager` checks, in its order, for one broker.

use std::collections::HashMap;
use std::sync::Arc;

use super::create::{CREATE_PARTITIONS_MAX, check_replicas};
use super::rows::{
    Counter, PARTITIONS_MAX, TopicRow, counter_key, encode_counter, encode_topic, topic_key,
};
use super::topics::{Topic, Topics};
use crate::base::{NodeId, PartitionNumber};
use crate::store::{Key, Version, Write};

/// A topic to give more partitions, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrowTopic {
    pub name: String,
    /// How many partitions it is to have in all.
    pub count: i32,
    /// The replicas of each new partition; `None`: the broker decides.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// Why a topic gets no partitions; the texts go to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrowError {
    #[error("Duplicate topic name.")]
    Duplicate,
    #[error("This server does not host this topic-partition.")]
    Unknown,
    #[error("Topic already has {0} partition(s).")]
    Same(usize),
    #[error(
        "The topic {name} currently has {partitions} partition(s); {asked} would not be an increase."
    )]
    Fewer {
        name: String,
        partitions: usize,
        asked: i32,
    },
    #[error(
        "Attempted to add {added} additional partition(s), but only {assigned} assignment(s) were specified."
    )]
    AssignmentCount { added: usize, assigned: usize },
    #[error("{0}")]
    Assignment(String),
    #[error("Excessively large number of partitions per request.")]
    TooMany,
}

/// What to write and what to answer.
#[derive(Clone, Debug, Default)]
pub struct Growth {
    /// One per request, in their order: the topic with its new partitions.
    pub outcomes: Vec<Result<Arc<Topic>, GrowError>>,
    /// The counter after the commit.
    pub next: u32,
    pub guards: Vec<(Key, Version)>,
    /// Empty when no topic grows.
    pub writes: Vec<Write>,
}

/// Decides a CreatePartitions request on the broker `node_id`. A request for more than [`CREATE_PARTITIONS_MAX`] new
/// partitions fails as a whole, as one for so many new topics does.
pub fn create_partitions(
    topics: &Topics,
    counter: Counter,
    node_id: NodeId,
    requests: &[GrowTopic],
) -> Growth {
    let mut named: HashMap<&str, u32> = HashMap::new();
    for request in requests {
        *named.entry(&request.name).or_default() += 1;
    }
    let mut growth = Growth {
        next: counter.next,
        ..Growth::default()
    };
    let mut added = 0_usize;
    for request in requests {
        let outcome = match named[request.name.as_str()] {
            1 => grow_topic(topics, node_id, request, &mut added, &mut growth),
            _ => Err(GrowError::Duplicate),
        };
        if outcome == Err(GrowError::TooMany) {
            return Growth {
                outcomes: vec![Err(GrowError::TooMany); requests.len()],
                next: counter.next,
                ..Growth::default()
            };
        }
        growth.outcomes.push(outcome);
    }
    if !growth.writes.is_empty() {
        growth.guards.push((counter_key(), counter.version));
        growth.writes.push(Write::Put {
            key: counter_key(),
            value: encode_counter(growth.next),
            place_at: None,
        });
    }
    growth
}

fn grow_topic(
    topics: &Topics,
    node_id: NodeId,
    request: &GrowTopic,
    added: &mut usize,
    growth: &mut Growth,
) -> Result<Arc<Topic>, GrowError> {
    let topic = topics.by_name(&request.name).ok_or(GrowError::Unknown)?;
    let more = added_count(topic, request)?;
    if let Some(assignments) = &request.assignments {
        if assignments.len() != more {
            return Err(GrowError::AssignmentCount {
                added: more,
                assigned: assignments.len(),
            });
        }
        for replicas in assignments {
            check_replicas(node_id, replicas).map_err(GrowError::Assignment)?;
        }
    }
    *added = added.saturating_add(more);
    let end = u32::try_from(more)
        .ok()
        .and_then(|more| growth.next.checked_add(more));
    let end = match end {
        Some(end)
            if *added <= CREATE_PARTITIONS_MAX
                && topic.partitions.len() + more <= PARTITIONS_MAX =>
        {
            end
        }
        _ => return Err(GrowError::TooMany),
    };
    let mut grown = Topic::clone(topic);
    grown
        .partitions
        .extend((growth.next..end).map(PartitionNumber));
    growth.next = end;
    let key = topic_key(&grown.name);
    growth.guards.push((key.clone(), topics.version(grown.id)));
    growth.writes.push(Write::Put {
        key,
        value: encode_topic(&TopicRow {
            id: grown.id,
            partitions: grown.partitions.clone(),
            overrides: grown.overrides.clone(),
        }),
        place_at: None,
    });
    Ok(Arc::new(grown))
}

/// How many partitions are to be added: one at least.
fn added_count(topic: &Topic, request: &GrowTopic) -> Result<usize, GrowError> {
    let partitions = topic.partitions.len();
    match usize::try_from(request.count) {
        Ok(count) if count == partitions => Err(GrowError::Same(partitions)),
        Ok(count) if count > partitions => Ok(count - partitions),
        _ => Err(GrowError::Fewer {
            name: request.name.clone(),
            partitions,
            asked: request.count,
        }),
    }
}
