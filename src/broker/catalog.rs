//! The shell around `cluster`: loads the topics, commits changes to them, publishes snapshots.
//!
//! A change is decided on the newest snapshot and committed with guards on every row that the decision read, so that
//! a snapshot may be old: the commit then conflicts, the rows are read again and the decision is made anew. A change
//! runs in a task of its own: a client that goes away in the middle cancels nothing.

mod change;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, Notify, watch};

use super::notices::Notices;
use crate::base::NodeId;
use crate::cluster::{
    self, Counter, CreateError, CreateTopic, DeleteError, DeleteTopic, GrowError, GrowTopic,
    Replication, RowError, Rules, Topic, TopicRow, Topics,
};
use crate::config::{Config, ConfigError, TopicConfig, keys};
use crate::store::{Key, KeyRange, Limit, Order, Row, Store, StoreError, Version};

/// Times that a change is decided anew because another broker changed the same rows first.
const ATTEMPTS_MAX: u32 = 16;

/// Rows and bytes that one step of a scan asks for.
const SCAN_STEP: Limit = Limit {
    rows: 1_000,
    bytes: 1 << 20,
};

/// What happened to each topic of a request, in the order of the request.
pub type Outcomes<E> = Vec<Result<Arc<Topic>, E>>;

/// Why a change failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("others changed the topics {ATTEMPTS_MAX} times meanwhile; try again")]
    Contended,
    #[error(
        "the data folder belongs to cluster `{stored}`, not to `{asked}`; start it with its own id or another folder"
    )]
    ClusterId { stored: String, asked: String },
    #[error("all producer ids have been given out; move to a new cluster")]
    ProducerIdsExhausted,
    #[error("the broker is stopping; ask again when it is back")]
    Stopping,
}

/// Whether what is asked for is done or only checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateMode {
    Create,
    /// KIP-4's `validate_only`.
    ValidateOnly,
}

/// What the broker's configuration says about topics, read once.
#[derive(Clone, Debug)]
pub struct Settings {
    pub node_id: NodeId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
    /// `ottla.replication.factor`.
    pub replication: Replication,
    /// `auto.create.topics.enable`.
    pub auto_create: bool,
    /// `delete.topic.enable`.
    pub deletable: bool,
}

impl Settings {
    fn read(config: &Config) -> Self {
        let replication_factor = config.get(keys::DEFAULT_REPLICATION_FACTOR);
        Self {
            node_id: NodeId(config.get(keys::NODE_ID)),
            rack: config.get(keys::BROKER_RACK),
            partitions: config.get(keys::NUM_PARTITIONS),
            replication_factor: i16::try_from(replication_factor).unwrap_or(i16::MAX),
            replication: match config.get(keys::OTTLA_REPLICATION_FACTOR).as_str() {
                "any" => Replication::Any,
                _ => Replication::Strict,
            },
            auto_create: config.get(keys::AUTO_CREATE_TOPICS_ENABLE),
            deletable: config.get(keys::DELETE_TOPIC_ENABLE),
        }
    }
}

/// The topics of the cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    config: Arc<Config>,
    /// The settings of a topic without overrides.
    defaults: Arc<TopicConfig>,
    settings: Settings,
    cluster_id: String,
    topics: watch::Sender<Arc<Topics>>,
    /// Held by whoever is changing the topics.
    counter: Mutex<Counter>,
    deleted: Notify,
    notices: Notices,
}

impl Catalog {
    /// Reads all topics.
    pub async fn load(store: Arc<dyn Store>, config: Arc<Config>) -> Result<Self, CatalogError> {
        let defaults = Arc::new(TopicConfig::resolve(&config, &BTreeMap::new())?);
        let asked = config.get(keys::OTTLA_CLUSTER_ID);
        let inner = Inner {
            cluster_id: load_cluster_id(store.as_ref(), asked).await?,
            settings: Settings::read(&config),
            store,
            config,
            defaults,
            topics: watch::Sender::new(Arc::default()),
            counter: Mutex::default(),
            deleted: Notify::new(),
            notices: Notices::default(),
        };
        let counter = inner.reload().await?;
        *inner.counter.lock().await = counter;
        Ok(Self(Arc::new(inner)))
    }

    /// The topics as of the last change that was committed.
    pub fn topics(&self) -> Arc<Topics> {
        self.0.topics.borrow().clone()
    }

    /// Sees every change of the topics.
    pub fn watch(&self) -> watch::Receiver<Arc<Topics>> {
        self.0.topics.subscribe()
    }

    /// The cluster's id as clients see it.
    pub fn cluster_id(&self) -> &str {
        &self.0.cluster_id
    }

    /// What the broker's configuration says about topics.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Returns when topics have been deleted whose rows nobody has begun to trim.
    pub async fn deleted(&self) {
        self.0.deleted.notified().await;
    }

    /// Creates topics: all that can be, in one commit. They are durable and in [`Catalog::topics`] on return.
    pub async fn create(
        &self,
        requests: Vec<CreateTopic>,
        mode: CreateMode,
    ) -> Result<Outcomes<CreateError>, CatalogError> {
        let inner = self.0.clone();
        run_to_end(async move { inner.create(&requests, mode).await }).await
    }

    /// Gives topics more partitions: all that can be, in one commit. They can be written to on return.
    pub async fn grow(
        &self,
        requests: Vec<GrowTopic>,
        mode: CreateMode,
    ) -> Result<Outcomes<GrowError>, CatalogError> {
        let inner = self.0.clone();
        run_to_end(async move { inner.grow(&requests, mode).await }).await
    }

    /// Deletes topics: all that can be, in one commit. Their records are given back later, by the trim job.
    pub async fn delete(
        &self,
        requests: Vec<DeleteTopic>,
    ) -> Result<Outcomes<DeleteError>, CatalogError> {
        let inner = self.0.clone();
        run_to_end(async move { inner.delete(&requests).await }).await
    }
}

/// Runs a change in a task that outlives the caller.
pub(super) async fn run_to_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, CatalogError>> + Send + 'static,
) -> Result<T, CatalogError> {
    match tokio::spawn(change).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(CatalogError::Stopping),
        },
    }
}

impl Inner {
    fn rules(&self) -> Rules<'_> {
        Rules {
            config: &self.config,
            defaults: &self.defaults,
            node_id: self.settings.node_id,
            partitions: self.settings.partitions,
            replication_factor: self.settings.replication_factor,
            replication: self.settings.replication,
        }
    }

    fn snapshot(&self) -> Arc<Topics> {
        self.topics.borrow().clone()
    }

    /// Reads all topics and publishes them.
    async fn reload(&self) -> Result<Counter, CatalogError> {
        let mut topics = Topics::default();
        scan(self.store.as_ref(), cluster::topic_rows(), |row, value| {
            let name = cluster::topic_name_of(&row.key)?;
            let topic = self.topic(name, cluster::decode_topic(&value)?);
            topics.insert(Arc::new(topic), row.version);
            Ok(())
        })
        .await?;
        self.topics.send_replace(Arc::new(topics));
        let row = get(self.store.as_ref(), cluster::counter_key()).await?;
        let next = match &row.value {
            Some(value) => cluster::decode_counter(value)?,
            None => 0,
        };
        Ok(Counter {
            next,
            version: row.version,
        })
    }

    /// A topic whose settings are no longer valid (the folder was used by a newer broker) still works, by the
    /// defaults, and the log says so.
    fn topic(&self, name: &str, row: TopicRow) -> Topic {
        let config = if row.overrides.is_empty() {
            self.defaults.clone()
        } else {
            match TopicConfig::resolve(&self.config, &row.overrides) {
                Ok(config) => Arc::new(config),
                Err(error) => {
                    tracing::warn!(topic = name, %error, "settings of the topic do not count: its defaults are used");
                    self.defaults.clone()
                }
            }
        };
        Topic {
            id: row.id,
            name: Arc::from(name),
            partitions: row.partitions,
            config,
            overrides: row.overrides,
            internal: cluster::is_internal(name),
        }
    }
}

/// The row with this key.
pub(super) async fn get(store: &dyn Store, key: Key) -> Result<Row, StoreError> {
    let mut rows = store.get(std::slice::from_ref(&key)).await?;
    Ok(rows.pop().unwrap_or(Row {
        key,
        version: Version::ABSENT,
        value: None,
    }))
}

/// Gives every row of a range to `visit`, in key order, a bounded number of them in memory at a time.
pub(super) async fn scan(
    store: &dyn Store,
    mut range: KeyRange,
    mut visit: impl FnMut(&Row, Bytes) -> Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    loop {
        let rows = store
            .scan(range.clone(), Order::Ascending, SCAN_STEP)
            .await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        let mut after = last.key.bytes.to_vec();
        after.push(0);
        range.start = Bytes::from(after);
        for row in &rows {
            if let Some(value) = row.value.clone() {
                visit(row, value)?;
            }
        }
    }
}

/// The cluster's id is the store's. One that was made before the store had it has a row of its own, which counts.
async fn load_cluster_id(store: &dyn Store, asked: Option<String>) -> Result<String, CatalogError> {
    let row = get(store, cluster::facts_key()).await?;
    let stored = match row.value {
        Some(value) => cluster::decode_cluster_id(&value)?,
        None => store.cluster_id().to_owned(),
    };
    match asked {
        Some(asked) if asked != stored => Err(CatalogError::ClusterId { stored, asked }),
        _ => Ok(stored),
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
