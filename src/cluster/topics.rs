//! The topics there are: an immutable snapshot for readers, changed only by whoever committed the change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::name::unified;
use crate::base::PartitionNumber;
use crate::config::TopicConfig;
use crate::store::Version;

/// A topic as it stands. A change makes a new one; the id stays, the name and the numbers too.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Random at creation (KIP-516); a topic that is deleted and created again has another one.
    pub id: Uuid,
    pub name: Arc<str>,
    /// The log behind each partition; the index is Kafka's partition index.
    pub partitions: Vec<PartitionNumber>,
    /// The settings in effect: broker defaults under `overrides`.
    pub config: Arc<TopicConfig>,
    /// What was set for this topic itself.
    pub overrides: BTreeMap<String, String>,
    /// One of Kafka's own topics.
    pub internal: bool,
}

impl Topic {
    /// The log of a partition by Kafka's partition index; `None` when the topic has no such partition.
    pub fn partition(&self, index: i32) -> Option<PartitionNumber> {
        let index = usize::try_from(index).ok()?;
        self.partitions.get(index).copied()
    }

    /// Kafka's indexes of the partitions.
    pub fn indexes(&self) -> impl Iterator<Item = i32> + use<> {
        (0..).take(self.partitions.len())
    }
}

/// All topics, by name and by id.
#[derive(Clone, Debug, Default)]
pub struct Topics {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<Uuid, (Arc<Topic>, Version)>,
    /// Unified name, then name, of the topics that could collide with another.
    collidable: BTreeSet<(Box<str>, Arc<str>)>,
}

impl Topics {
    /// The topic of this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic with this id.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.by_id.get(&id).map(|(topic, _)| topic)
    }

    /// All topics in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no topic at all.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The version of the topic's row, for guards; [`Version::ABSENT`] when there is no such topic.
    pub fn version(&self, id: Uuid) -> Version {
        self.by_id
            .get(&id)
            .map_or(Version::ABSENT, |(_, version)| *version)
    }

    /// A topic that differs from `name` only in `.` and `_`, itself excluded.
    pub fn colliding(&self, name: &str) -> Option<&Arc<str>> {
        let unified = unified(name)?;
        self.collidable
            .range((unified.clone(), Arc::from(""))..)
            .take_while(|(other, _)| *other == unified)
            .map(|(_, existing)| existing)
            .find(|existing| existing.as_ref() != name)
    }

    /// Adds a topic whose row is committed, or replaces the one of the same name.
    pub fn insert(&mut self, topic: Arc<Topic>, version: Version) {
        self.remove(&topic.name);
        if let Some(unified) = unified(&topic.name) {
            self.collidable.insert((unified, topic.name.clone()));
        }
        self.by_id.insert(topic.id, (topic.clone(), version));
        self.by_name.insert(topic.name.clone(), topic);
    }

    /// Takes out a topic whose row is gone.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Topic>> {
        let topic = self.by_name.remove(name)?;
        self.by_id.remove(&topic.id);
        if let Some(unified) = unified(name) {
            self.collidable.remove(&(unified, topic.name.clone()));
        }
        Some(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::topic;
    use super::*;

    #[test]
    fn a_topic_is_found_by_name_and_by_id_until_it_is_removed() {
        let mut topics = Topics::default();
        let first = topic("orders", 3, 0);
        topics.insert(first.clone(), Version(7));
        assert_eq!(topics.by_name("orders"), Some(&first));
        assert_eq!(topics.by_id(first.id), Some(&first));
        assert_eq!(topics.version(first.id), Version(7));
        assert_eq!(first.partition(2), Some(PartitionNumber(2)));
        assert_eq!((first.partition(3), first.partition(-1)), (None, None));

        let second = topic("orders", 1, 3);
        topics.insert(second.clone(), Version(9));
        assert_eq!(topics.by_id(first.id), None, "replaced by a new creation");
        assert_eq!(topics.len(), 1);
        assert_eq!(topics.remove("orders"), Some(second.clone()));
        assert_eq!(topics.version(second.id), Version::ABSENT);
        assert!(topics.is_empty());
    }

    #[test]
    fn collisions_are_seen_in_both_directions_and_end_with_the_topic() {
        let mut topics = Topics::default();
        topics.insert(topic("a.b", 1, 0), Version(1));
        topics.insert(topic("a_c", 1, 1), Version(2));
        assert_eq!(topics.colliding("a_b").map(AsRef::as_ref), Some("a.b"));
        assert_eq!(topics.colliding("a.c").map(AsRef::as_ref), Some("a_c"));
        assert_eq!(topics.colliding("a.b"), None, "not with itself");
        assert_eq!(topics.colliding("ab"), None);
        topics.remove("a.b");
        assert_eq!(topics.colliding("a_b"), None);
    }
}
