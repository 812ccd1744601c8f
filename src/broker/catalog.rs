//! The shell around `cluster`: loads the topics, commits changes to them, publishes snapshots.
//!
//! A change is decided on the newest snapshot and committed with guards on every row that the decision read, so that
//! a snapshot may be old: the commit then conflicts, the rows are read again and the decision is made anew. A change
//! runs in a task of its own: a client that goes away in the middle cancels nothing.

mod alter;
mod change;
mod load;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, Notify, watch};

use super::live::LiveConfig;
use super::notices::Notices;
use crate::base::NodeId;
use crate::cluster::{
    self, AlterConfig, AlterError, Altered, Configs, Counter, CreateError, CreateTopic, Creator,
    DeleteError, DeleteTopic, GrowError, GrowTopic, Replication, RowError, Rules, Topic, Topics,
};
use crate::config::{Config, ConfigError, Overrides, TopicConfig, keys};
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
    Group(#[from] crate::group::RowError),
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
    /// The broker's settings as it was started with them.
    fixed: Arc<Config>,
    live: LiveConfig,
    settings: Settings,
    cluster_id: String,
    topics: watch::Sender<Arc<Topics>>,
    configs: watch::Sender<Arc<Configs>>,
    changing: Mutex<Changing>,
    /// Rung when a topic has been deleted or a log start raised.
    trim_due: Notify,
    notices: Notices,
}

/// Held by whoever is changing the topics or settings.
#[derive(Debug)]
struct Changing {
    counter: Counter,
    /// The settings of a topic without overrides.
    defaults: Arc<TopicConfig>,
}

impl Catalog {
    /// Reads all topics and settings.
    pub async fn load(store: Arc<dyn Store>, config: Arc<Config>) -> Result<Self, CatalogError> {
        let asked = config.get(keys::OTTLA_CLUSTER_ID);
        let inner = Inner {
            cluster_id: load_cluster_id(store.as_ref(), asked).await?,
            settings: Settings::read(&config),
            store,
            live: LiveConfig::new(Arc::clone(&config)),
            changing: Mutex::new(Changing {
                counter: Counter::default(),
                defaults: Arc::new(TopicConfig::resolve(&config, &Overrides::new())?),
            }),
            fixed: config,
            topics: watch::Sender::new(Arc::default()),
            configs: watch::Sender::new(Arc::default()),
            trim_due: Notify::new(),
            notices: Notices::default(),
        };
        let changing = inner.reload().await?;
        *inner.changing.lock().await = changing;
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

    /// What is set on brokers, groups and client metrics subscriptions.
    pub fn configs(&self) -> Arc<Configs> {
        self.0.configs.borrow().clone()
    }

    /// The broker's settings, which follow what is set on it at run time.
    pub fn config(&self) -> &LiveConfig {
        &self.0.live
    }

    /// The cluster's id as clients see it.
    pub fn cluster_id(&self) -> &str {
        &self.0.cluster_id
    }

    /// What the broker's configuration says about topics.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Returns when rows have been left behind that nobody has begun to trim.
    pub async fn trim_due(&self) {
        self.0.trim_due.notified().await;
    }

    /// Says that rows have been left behind which the trim job has to remove.
    pub(super) fn ask_for_trim(&self) {
        self.0.trim_due.notify_one();
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

    /// Changes settings: of all resources that can be changed, in one commit. They are in effect on return, where they
    /// have one.
    pub async fn alter(
        &self,
        requests: Vec<AlterConfig>,
        mode: CreateMode,
    ) -> Result<Vec<Result<Altered, AlterError>>, CatalogError> {
        let inner = self.0.clone();
        run_to_end(async move { inner.alter(&requests, mode).await }).await
    }

    /// Creates one of Kafka's own topics where it is not there yet. Returns when it is.
    pub async fn create_internal(&self, topic: CreateTopic) -> Result<(), CatalogError> {
        if self.topics().by_name(&topic.name).is_some() {
            return Ok(());
        }
        let topic = CreateTopic {
            creator: Creator::Broker,
            ..topic
        };
        let created = self.create(vec![topic], CreateMode::Create).await?;
        match created.into_iter().next() {
            // Somebody else was faster.
            None | Some(Ok(_) | Err(CreateError::Exists(_))) => Ok(()),
            Some(Err(error)) => {
                tracing::error!(%error, "the internal topic is not created");
                Err(CatalogError::Contended)
            }
        }
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
    fn rules<'a>(&self, config: &'a Config, defaults: &'a Arc<TopicConfig>) -> Rules<'a> {
        Rules {
            config,
            defaults,
            node_id: self.settings.node_id,
            partitions: self.settings.partitions,
            replication_factor: self.settings.replication_factor,
            replication: self.settings.replication,
        }
    }

    fn snapshot(&self) -> Arc<Topics> {
        self.topics.borrow().clone()
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
