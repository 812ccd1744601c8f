//! DeleteTopics as a decision: what Kafka's `ControllerApis.deleteTopics` checks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::rows::{Trim, TrimSubject, encode_trim, topic_key};
use super::topics::{Topic, Topics};
use crate::store::{Key, Version, Write};

/// A topic to delete: exactly one of the two names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeleteTopic {
    pub name: Option<String>,
    pub id: Option<Uuid>,
}

/// Why a topic is not deleted; the texts go to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    #[error("Neither topic name nor id were specified.")]
    Neither,
    #[error("You may not specify both topic name and topic id.")]
    Both,
    #[error("Duplicate topic name.")]
    DuplicateName,
    #[error("Duplicate topic id.")]
    DuplicateId,
    #[error("The provided topic name maps to an ID that was already supplied.")]
    NamedTwice,
    #[error("This server does not host this topic-partition.")]
    UnknownName,
    #[error("This server does not host this topic ID.")]
    UnknownId,
}

/// What to write and what to answer.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// One per request, in their order: the topic that goes.
    pub outcomes: Vec<Result<Arc<Topic>, DeleteError>>,
    pub guards: Vec<(Key, Version)>,
    /// Empty when no topic is deleted.
    pub writes: Vec<Write>,
}

/// Decides a DeleteTopics request. Deleting removes the topic's row and leaves a trim row in its place, which lists
/// the partitions whose rows a job removes later.
pub fn delete_topics(topics: &Topics, requests: &[DeleteTopic]) -> Deletion {
    let mut outcomes: Vec<_> = requests
        .iter()
        .map(|request| find(topics, request))
        .collect();
    refuse_repeats(requests, &mut outcomes);

    let mut deletion = Deletion::default();
    for topic in outcomes.iter().flatten() {
        let key = topic_key(&topic.name);
        deletion
            .guards
            .push((key.clone(), topics.version(topic.id)));
        deletion.writes.push(Write::Delete { key });
        let trim = Trim {
            subject: TrimSubject::Topic {
                id: topic.id,
                name: topic.name.to_string(),
                partitions: topic.partitions.clone(),
            },
            blobs: BTreeSet::new(),
        };
        deletion.writes.push(Write::Put {
            key: trim.key(),
            value: encode_trim(&trim),
            place_at: None,
        });
    }
    deletion.outcomes = outcomes;
    deletion
}

fn find(topics: &Topics, request: &DeleteTopic) -> Result<Arc<Topic>, DeleteError> {
    match (&request.name, &request.id) {
        (None, None) => Err(DeleteError::Neither),
        (Some(_), Some(_)) => Err(DeleteError::Both),
        (Some(name), None) => topics
            .by_name(name)
            .cloned()
            .ok_or(DeleteError::UnknownName),
        (None, Some(id)) => topics.by_id(*id).cloned().ok_or(DeleteError::UnknownId),
    }
}

/// Whatever is asked for twice is not deleted at all: by name, by id, or once by each.
fn refuse_repeats(requests: &[DeleteTopic], outcomes: &mut [Result<Arc<Topic>, DeleteError>]) {
    let (mut names, mut ids) = (HashMap::new(), HashMap::new());
    for request in requests {
        match (&request.name, request.id) {
            (Some(name), None) => *names.entry(name.as_str()).or_insert(0_u32) += 1,
            (None, Some(id)) => *ids.entry(id).or_insert(0_u32) += 1,
            _ => {}
        }
    }
    let mut found: BTreeMap<Uuid, u32> = BTreeMap::new();
    for (request, outcome) in requests.iter().zip(outcomes.iter_mut()) {
        match (&request.name, request.id) {
            (Some(name), None) if names[name.as_str()] > 1 => {
                *outcome = Err(DeleteError::DuplicateName);
            }
            (None, Some(id)) if ids[&id] > 1 => *outcome = Err(DeleteError::DuplicateId),
            _ => {}
        }
        if let Ok(topic) = outcome {
            *found.entry(topic.id).or_default() += 1;
        }
    }
    // A name that maps to an id that was itself a duplicate is refused too: it cannot be told which was meant.
    let duplicate_ids: BTreeSet<Uuid> = ids
        .into_iter()
        .filter_map(|(id, count)| (count > 1).then_some(id))
        .collect();
    for outcome in outcomes.iter_mut() {
        if let Ok(topic) = outcome
            && (found[&topic.id] > 1 || duplicate_ids.contains(&topic.id))
        {
            *outcome = Err(DeleteError::NamedTwice);
        }
    }
}
