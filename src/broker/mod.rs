//! Shells around the cores: committer, reader, catalog, coordinator, fetch sessions, jobs. In reading order: what is
//! known of each partition; the way in and the way out; what a fetch adds to a read.

pub mod answer_memory;
mod cache;
pub mod catalog;
pub mod committer;
pub mod coordinator;
mod cut;
pub mod fetch;
pub mod fetch_session;
mod free;
pub mod live;
mod notices;
mod owners;
pub mod partitions;
pub mod producer_ids;
mod read_ahead;
pub mod reader;
mod time_index;
pub mod trim;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::base::Clock;
use crate::config::{Config, TopicConfig, keys};
use crate::log::{AppendRules, Keys};
use crate::store::Store;

use answer_memory::{ANSWERS_SIZE_MAX, AnswerMemory};
use cache::BlockCache;
use catalog::{Catalog, CatalogError};
use committer::{Committer, CommitterParts};
use coordinator::{Coordinator, CoordinatorParts};
use fetch_session::FetchSessions;
use live::LiveConfig;
use owners::Owners;
use partitions::Partitions;
use producer_ids::ProducerIds;
use reader::Reader;

/// One broker: what every request handler is given.
#[derive(Debug)]
pub struct Broker {
    pub config: LiveConfig,
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn Store>,
    pub catalog: Catalog,
    pub producer_ids: ProducerIds,
    pub committer: Committer,
    pub coordinator: Coordinator,
    pub reader: Reader,
    pub fetch_sessions: FetchSessions,
    /// For the records of answers.
    pub answer_memory: Arc<AnswerMemory>,
    /// Held while the records of a compressed batch are unpacked: one at a time, however many send some.
    pub unpacking: Semaphore,
}

impl Broker {
    /// Loads the topics and starts the tasks.
    pub async fn start(
        config: Arc<Config>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, CatalogError> {
        let catalog = Catalog::load(Arc::clone(&store), config).await?;
        let config = catalog.config().clone();
        let partitions = Arc::new(Partitions::new(Arc::clone(&store)));
        let cache_bytes = usize::try_from(config.get(keys::OTTLA_CACHE_BYTES)).unwrap_or(0);
        let cache = Arc::new(BlockCache::new(cache_bytes));
        let committer = Committer::start(CommitterParts {
            store: Arc::clone(&store),
            catalog: catalog.clone(),
            partitions: Arc::clone(&partitions),
            cache: Arc::clone(&cache),
            clock: Arc::clone(&clock),
        });
        let reader = Reader::new(Arc::clone(&store), partitions, cache);
        let slots_max = config.get(keys::MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS);
        let fetch_sessions = FetchSessions::new(usize::try_from(slots_max).unwrap_or(0));
        let coordinator = Coordinator::start(CoordinatorParts {
            store: Arc::clone(&store),
            catalog: catalog.clone(),
            clock: Arc::clone(&clock),
        })
        .await?;
        let owners = Arc::new(Owners {
            logs: committer.clone(),
            groups: coordinator.clone(),
        });
        tokio::spawn(trim::run(catalog.clone(), Arc::clone(&store), owners));
        Ok(Arc::new(Self {
            producer_ids: ProducerIds::new(Arc::clone(&store)),
            config,
            clock,
            store,
            catalog,
            committer,
            coordinator,
            reader,
            fetch_sessions,
            answer_memory: AnswerMemory::new(ANSWERS_SIZE_MAX),
            unpacking: Semaphore::new(1),
        }))
    }
}

/// Bytes that the records of a compressed batch may have where the broker must look into them.
pub const DECOMPRESSED_SIZE_MAX: usize = 64 << 20;

/// What a topic's settings ask of a batch.
pub fn append_rules(topic: &TopicConfig) -> AppendRules {
    use crate::config::{CompressionType, TimestampType as Configured};
    use crate::log::{Codec, TargetCompression, TimestampType};
    let codec = |codec, level| TargetCompression::Codec { codec, level };
    AppendRules {
        message_size_max: usize::try_from(topic.max_message_bytes).unwrap_or(0),
        segment_size_max: usize::try_from(topic.segment_bytes).unwrap_or(0),
        keys: match topic.cleanup_policy.compact {
            true => Keys::Required,
            false => Keys::Optional,
        },
        timestamp_type: match topic.message_timestamp_type {
            Configured::CreateTime => TimestampType::CreateTime,
            Configured::LogAppendTime => TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: topic.message_timestamp_before_max_ms,
        timestamp_after_max_ms: topic.message_timestamp_after_max_ms,
        compression: match topic.compression_type {
            CompressionType::Producer => TargetCompression::Producer,
            CompressionType::Uncompressed => codec(Codec::None, None),
            CompressionType::Gzip => codec(Codec::Gzip, Some(topic.compression_gzip_level)),
            CompressionType::Snappy => codec(Codec::Snappy, None),
            CompressionType::Lz4 => codec(Codec::Lz4, Some(topic.compression_lz4_level)),
            CompressionType::Zstd => codec(Codec::Zstd, Some(topic.compression_zstd_level)),
        },
        decompressed_size_max: DECOMPRESSED_SIZE_MAX,
    }
}
