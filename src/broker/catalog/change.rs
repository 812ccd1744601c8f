//! Changes of the topics: decided on the newest snapshot, committed with guards, published.

use std::sync::Arc;

use uuid::Uuid;

use super::{ATTEMPTS_MAX, CatalogError, CreateMode, Inner, Outcomes};
use crate::cluster::{
    self, Counter, CreateError, CreateTopic, DeleteError, DeleteTopic, GrowError, GrowTopic,
    Resource, Topic, Topics,
};
use crate::config::Scope;
use crate::store::{Commit, Key, Outcome, StoreError, Version, Write};

/// What became of a commit; after all but the first the rows must be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Done(Version),
    /// Nothing was changed: a row was newer than the snapshot.
    Stale,
    Unknown,
}

impl Inner {
    pub(super) async fn create(
        &self,
        requests: &[CreateTopic],
        mode: CreateMode,
    ) -> Result<Outcomes<CreateError>, CatalogError> {
        let mut changing = self.changing.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let creation = cluster::create_topics(
                &self.snapshot(),
                changing.counter,
                &self.rules(&self.live.now(), &changing.defaults),
                requests,
                &mut Uuid::new_v4,
            );
            if creation.writes.is_empty() || mode == CreateMode::ValidateOnly {
                return Ok(creation.outcomes);
            }
            let attempt = self.commit(creation.guards, creation.writes).await?;
            if let Attempt::Done(version) = attempt {
                changing.counter = Counter {
                    next: creation.next,
                    version,
                };
                self.publish(creation.outcomes.iter().flatten(), |topics, topic| {
                    topics.insert(topic.clone(), version);
                });
                // Nobody chose the settings of an internal topic.
                let topics = creation.outcomes.iter().flatten();
                for topic in topics.filter(|topic| !topic.internal) {
                    let resource = Resource::Topic(topic.name.to_string());
                    self.notices.tell(Scope::Topic, &resource, &topic.overrides);
                }
                return Ok(creation.outcomes);
            }
            *changing = self.reload().await?;
            let topics = self.snapshot();
            let mut created = creation.outcomes.iter().flatten();
            if created.all(|topic| topics.by_id(topic.id).is_some()) {
                return Ok(creation.outcomes);
            }
        }
        Err(CatalogError::Contended)
    }

    pub(super) async fn delete(
        &self,
        requests: &[DeleteTopic],
    ) -> Result<Outcomes<DeleteError>, CatalogError> {
        let mut changing = self.changing.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let deletion = cluster::delete_topics(&self.snapshot(), requests);
            if deletion.writes.is_empty() {
                return Ok(deletion.outcomes);
            }
            let attempt = self.commit(deletion.guards, deletion.writes).await?;
            if let Attempt::Done(_) = attempt {
                self.publish(deletion.outcomes.iter().flatten(), |topics, topic| {
                    topics.remove(&topic.name);
                });
                self.trim_due.notify_one();
                return Ok(deletion.outcomes);
            }
            *changing = self.reload().await?;
            let topics = self.snapshot();
            let mut deleted = deletion.outcomes.iter().flatten();
            let gone = deleted.all(|topic| topics.by_id(topic.id).is_none());
            if gone && attempt == Attempt::Unknown {
                self.trim_due.notify_one();
                return Ok(deletion.outcomes);
            }
        }
        Err(CatalogError::Contended)
    }

    pub(super) async fn grow(
        &self,
        requests: &[GrowTopic],
        mode: CreateMode,
    ) -> Result<Outcomes<GrowError>, CatalogError> {
        let mut changing = self.changing.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let node_id = self.settings.node_id;
            let growth =
                cluster::create_partitions(&self.snapshot(), changing.counter, node_id, requests);
            if growth.writes.is_empty() || mode == CreateMode::ValidateOnly {
                return Ok(growth.outcomes);
            }
            let attempt = self.commit(growth.guards, growth.writes).await?;
            if let Attempt::Done(version) = attempt {
                changing.counter = Counter {
                    next: growth.next,
                    version,
                };
                self.publish(growth.outcomes.iter().flatten(), |topics, topic| {
                    topics.insert(topic.clone(), version);
                });
                return Ok(growth.outcomes);
            }
            *changing = self.reload().await?;
            let topics = self.snapshot();
            let mut grown = growth.outcomes.iter().flatten();
            let stands = grown.all(|topic| topics.by_id(topic.id) == Some(topic));
            if stands && attempt == Attempt::Unknown {
                return Ok(growth.outcomes);
            }
        }
        Err(CatalogError::Contended)
    }

    /// Readers keep the snapshot that they hold; without readers nothing is copied.
    pub(super) fn publish<'a>(
        &self,
        changed: impl Iterator<Item = &'a Arc<Topic>>,
        mut change: impl FnMut(&mut Topics, &Arc<Topic>),
    ) {
        self.topics.send_modify(|topics| {
            let topics = Arc::make_mut(topics);
            changed.for_each(|topic| change(topics, topic));
        });
    }

    pub(super) async fn commit(
        &self,
        guards: Vec<(Key, Version)>,
        writes: Vec<Write>,
    ) -> Result<Attempt, StoreError> {
        let commit = Commit {
            guards,
            writes,
            body: Vec::new(),
        };
        match self.store.commit(commit).await {
            Ok(Outcome::Done { version, .. }) => Ok(Attempt::Done(version)),
            Ok(Outcome::Conflict(_)) => Ok(Attempt::Stale),
            Err(StoreError::Unknown { .. }) => Ok(Attempt::Unknown),
            Err(error) => Err(error),
        }
    }
}
