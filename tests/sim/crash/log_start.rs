//! Records are deleted, and the machine loses power after every single change of the disk: what was acknowledged holds, a
//! log is dense from its start to its end, and no space is lost for good.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use ottla::base::{Rng, SystemClock};
use ottla::broker::catalog::CreateMode;
use ottla::broker::committer::{Append, DeleteRecords};
use ottla::broker::reader::{Isolation, ReadRequest};
use ottla::broker::{Broker, append_rules};
use ottla::cluster::{CreateTopic, Topic};
use ottla::config::Config;
use ottla::log::{FetchBudget, FirstBatch, HIGH_WATERMARK, ZstdSupport, validate};
use ottla::store::local::{Durability, LocalOptions, LocalStore};
use ottla::store::{Store, StoreError};

use super::sled_folder::SledFolder;
use super::world::small_options;
use super::{RUN_MAX, for_seeds};
use crate::disk::SimDisk;

/// Bytes of a record's value: a few fill a segment.
const VALUE_SIZE: usize = 3000;

/// What is known of the one log of the story.
#[derive(Debug, Default)]
struct Known {
    /// Values that were acknowledged, by offset.
    values: BTreeMap<i64, Vec<u8>>,
    /// The log start that was acknowledged last, and the one that was asked for last.
    start: i64,
    asked_start: i64,
}

struct Life {
    broker: Arc<Broker>,
    topic: Arc<Topic>,
}

impl Life {
    /// A start of the broker; the topic is made in the first life.
    async fn begin(store: Arc<dyn Store>) -> Result<Self, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let config = Arc::new(Config::default());
        let broker = Broker::start(config, store, Arc::new(SystemClock)).await;
        let broker = broker.map_err(|error| text(&error))?;
        let request = CreateTopic {
            name: "t".to_owned(),
            partitions: 1,
            replication_factor: 1,
            ..CreateTopic::default()
        };
        if broker.catalog.topics().by_name("t").is_none() {
            let created = broker.catalog.create(vec![request], CreateMode::Create);
            created.await.map_err(|error| text(&error))?;
        }
        let topic = broker.catalog.topics().by_name("t").cloned();
        let topic = topic.ok_or("the topic was not made")?;
        Ok(Self { broker, topic })
    }

    async fn append(&self, known: &mut Known, value: Vec<u8>) -> Result<(), String> {
        let rules = append_rules(&self.topic.config);
        let batch = validate(Some(&batch(&value)), &rules, ZstdSupport::Allowed, 0);
        let append = Append {
            topic_id: self.topic.id,
            partition: self.topic.partitions[0],
            batch: batch.map_err(|error| format!("{error:?}"))?,
        };
        let appended = self.broker.committer.append(vec![append]).await;
        let mut answers = appended.map_err(|e| e.to_string())?.await.unwrap();
        let appended = answers.remove(0).map_err(|e| e.to_string())?;
        known.values.insert(appended.base_offset, value);
        Ok(())
    }

    async fn delete_to(&self, known: &mut Known, offset: i64) -> Result<(), String> {
        let end = known.values.keys().next_back().map_or(0, |last| last + 1);
        let wanted = if offset == HIGH_WATERMARK {
            end
        } else {
            offset
        };
        known.asked_start = known.asked_start.max(wanted);
        let request = DeleteRecords {
            topic_id: self.topic.id,
            partition: self.topic.partitions[0],
            offset,
        };
        let deleted = self.broker.committer.delete_records(&[request]).await;
        let mut starts = deleted.map_err(|error| error.to_string())?;
        known.start = starts.remove(0).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Holds the log against what is known of it; what was not acknowledged may be there or not.
    async fn check(&self, known: &mut Known) -> Result<(), String> {
        let partition = self.topic.partitions[0];
        let reader = &self.broker.reader;
        let offsets = reader.offsets(partition).await.map_err(|e| e.to_string())?;
        let start = offsets.log_start_offset;
        if start != known.start && start != known.asked_start {
            return Err(format!("the log begins at {start}: {known:?}"));
        }
        let end = known.values.keys().next_back().map_or(0, |last| last + 1);
        if offsets.high_watermark < end {
            return Err(format!("the log ends at {}", offsets.high_watermark));
        }
        known.start = start;
        known.asked_start = start;
        let mut offset = start;
        while offset < offsets.high_watermark {
            let request = ReadRequest {
                partition,
                offset,
                budget: FetchBudget {
                    left: 1 << 20,
                    first: FirstBatch::Whole,
                },
                isolation: Isolation::ReadUncommitted,
                read_ahead_size: 0,
            };
            let read = reader.read(request).await.map_err(|e| e.to_string())?;
            let mut bytes = read.records.to_bytes();
            let sets = RecordBatchDecoder::decode_all(&mut bytes).map_err(|e| e.to_string())?;
            for record in sets.into_iter().flat_map(|set| set.records) {
                let value = record.value.unwrap_or_default().to_vec();
                let acknowledged = known.values.entry(record.offset).or_insert(value.clone());
                if record.offset != offset || *acknowledged != value {
                    return Err(format!("record {} in place of {offset}", record.offset));
                }
                offset += 1;
            }
        }
        Ok(())
    }
}

fn batch(value: &[u8]) -> bytes::Bytes {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: -1,
        timestamp: 1,
        key: None,
        value: Some(bytes::Bytes::copy_from_slice(value)),
        headers: Default::default(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, [&record], &options).unwrap();
    out.freeze()
}

/// Appends, and deletes what there is up to some record, or all of it.
async fn work(life: &Life, known: &mut Known, rng: &mut Rng) -> Result<(), String> {
    for round in 0..8 {
        for _ in 0..=rng.below(5) {
            let mut value = vec![0; VALUE_SIZE];
            value[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
            life.append(known, value).await?;
        }
        let end = known.values.keys().next_back().map_or(0, |last| last + 1);
        let left = u64::try_from(end - known.start).unwrap();
        let offset = match round % 3 {
            2 => HIGH_WATERMARK,
            _ => known.start + i64::try_from(rng.below(left + 1)).unwrap(),
        };
        life.delete_to(known, offset).await?;
    }
    Ok(())
}

/// One life of the store on a disk; its runtime ends with it, and so do all tasks that hold the store.
fn live<T>(
    options: &LocalOptions,
    disk: &SimDisk,
    sled: &SledFolder,
    story: impl AsyncFnOnce(Arc<dyn Store>) -> Result<T, String>,
) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let store = LocalStore::open(options.clone(), Arc::new(disk.clone()), sled.path());
    let store: Arc<dyn Store> = Arc::new(store.map_err(|error| error.to_string())?);
    let told = runtime.block_on(async { tokio::time::timeout(RUN_MAX, story(store)).await });
    disk.stop();
    told.unwrap_or_else(|_| Err("the store hangs".to_owned()))
}

/// Deletes all there is until no segment but the one that is written to ever held a record. A segment that is closed by a
/// deletion itself is looked at with the next one.
async fn give_all_back(life: &Life, known: &mut Known) -> Result<(), String> {
    loop {
        life.append(known, vec![2; 10]).await?;
        life.delete_to(known, HIGH_WATERMARK).await?;
        for _ in 0..20 {
            if all_is_given_back(&*life.broker.store).await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn all_is_given_back(store: &dyn Store) -> Result<bool, String> {
    let blobs = store.blobs().await.map_err(|error| error.to_string())?;
    for blob in blobs.iter().filter(|blob| blob.closed) {
        match store.placed_keys(blob.name).await {
            Ok(keys) if keys.is_empty() => {}
            Err(StoreError::Missing(_)) => {}
            Ok(_) => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(true)
}

#[test]
fn records_are_deleted_wherever_the_power_is_cut() {
    for_seeds(1, |seed| {
        let mut number = 0;
        loop {
            number += 1;
            let mut rng = Rng::seeded(seed);
            let options = small_options(&mut rng, Durability::Fsync);
            let (disk, sled) = (SimDisk::new(seed), SledFolder::new());
            disk.cut_at(number);
            let mut known = Known::default();
            let ended = live(&options, &disk, &sled, async |store| {
                work(&Life::begin(store).await?, &mut known, &mut rng).await
            });
            let is_over = ended.is_ok();
            let next = disk.next_boot();
            live(&options, &next, &sled, async |store| {
                let life = Life::begin(store).await?;
                life.check(&mut known).await?;
                life.append(&mut known, vec![1; VALUE_SIZE]).await?;
                life.delete_to(&mut known, HIGH_WATERMARK).await?;
                life.check(&mut known).await?;
                give_all_back(&life, &mut known).await?;
                life.check(&mut known).await
            })
            .map_err(|problem| format!("cut at change {number}: {problem}"))?;
            if is_over {
                return Ok(());
            }
        }
    });
}
