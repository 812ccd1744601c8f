//! Reads of partition logs: which runs hold an offset, their bytes from the cache or the store, cut to what was asked.
//!
//! Batches go out as they came in. What comes from the disk is held against its run first: a damaged or recycled place
//! is reported, never served.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

use super::cache::BlockCache;
use super::cut::Cut;
use super::partitions::{Facts, LoadError, Parked, PartitionView, Partitions};
use crate::base::{PartitionNumber, Rope};
use crate::log::{
    Check, FetchBudget, FirstBatch, Head, Page, RecordError, RowDamage, RunDamage, RunEntry,
    RunKind, RunPosition, RunWalk, control_batch, head_key, page_key, page_keys,
};
use crate::metrics::table;
use crate::store::{KeyRange, Limit, Order, Place, Store, StoreError};

/// Records below this size are copied out of what was read with them, which may be 4 MiB: an answer that waits to be taken
/// is charged its records, and would keep all of that. Bytes.
const DETACHED_SIZE: usize = 256 * 1024;

/// Bytes that one read of a blob takes in at most, unless a single run is longer: what is read ahead for a reader that
/// goes on, and for the readers of the partitions in between.
const READ_SPAN_MAX: u64 = 1 << 20;

/// Runs that one read looks at. A partition of many tiny commits is answered in steps of this.
const RUNS_PER_READ_MAX: usize = 4096;

/// Times that a read is begun again because the log was trimmed under it.
pub(super) const ATTEMPTS_MAX: u32 = 4;

/// Heads that one read of rows asks for.
const HEADS_PER_READ_MAX: usize = 1024;

/// What a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    pub partition: PartitionNumber,
    pub offset: i64,
    /// Bytes that may be answered; the first batch of an answer is given whole even beyond them.
    pub budget: FetchBudget,
    pub isolation: Isolation,
    /// Bytes to have at hand for the read that follows; see [`Reader::read_ahead_size`].
    pub read_ahead_size: usize,
}

/// Where a log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
}

impl Offsets {
    /// The offset up to which (excluded) a reader sees records.
    pub fn end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable_offset,
        }
    }
}

/// Whole batches, beginning with the one that holds the offset asked for; empty at the end of the log.
#[derive(Debug)]
pub struct Read {
    pub partition: PartitionNumber,
    pub records: Rope,
    /// How many offsets the records cover.
    pub covered: u64,
    pub offsets: Offsets,
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("offset {offset} lies outside the log; reset it")]
    OutOfRange { offset: i64, offsets: Offsets },
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("damage in partition log {}: {damage}; keep the folder and restore the topic", .partition.0)]
    Damage {
        partition: PartitionNumber,
        damage: RunDamage,
    },
    /// The bytes are as they were written, but a producer wrote records that cannot be read.
    #[error("records of partition log {} cannot be read: {error}", .partition.0)]
    Records {
        partition: PartitionNumber,
        error: RecordError,
    },
    #[error("row of partition log {}: {damage}", .partition.0)]
    Row {
        partition: PartitionNumber,
        damage: RowDamage,
    },
}

impl ReadError {
    /// Whether the bytes went while they were being read: the head of now says what is left.
    pub(super) fn is_of_a_trim(&self) -> bool {
        matches!(self, ReadError::Store(StoreError::Missing(_)))
    }
}

/// Reads logs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    store: Arc<dyn Store>,
    partitions: Arc<Partitions>,
    cache: Arc<BlockCache>,
}

impl Reader {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        partitions: Arc<Partitions>,
        cache: Arc<BlockCache>,
    ) -> Self {
        Self {
            store,
            partitions,
            cache,
        }
    }

    /// Where the log begins and ends.
    pub async fn offsets(&self, partition: PartitionNumber) -> Result<Offsets, ReadError> {
        Ok(offsets_of(&*self.partitions.view(partition).await?))
    }

    /// What the batches of each partition take, in bytes, as its row says: nothing of it is kept in memory.
    pub async fn sizes(&self, partitions: &[PartitionNumber]) -> Result<Vec<u64>, LoadError> {
        let mut sizes = Vec::with_capacity(partitions.len());
        for some in partitions.chunks(HEADS_PER_READ_MAX) {
            let keys: Vec<_> = some.iter().map(|partition| head_key(*partition)).collect();
            for row in self.store.get(&keys).await? {
                let head = row.value.map(|value| Head::decode(&value)).transpose()?;
                sizes.push(head.unwrap_or(Head::EMPTY).size_bytes);
            }
        }
        Ok(sizes)
    }

    /// Registers `waiter` to be notified when one of the partitions gets more, until the result is dropped.
    pub(super) async fn park(
        &self,
        partitions: &[PartitionNumber],
        waiter: &Arc<Notify>,
    ) -> Result<Parked, LoadError> {
        let mut views = Vec::with_capacity(partitions.len());
        for partition in partitions {
            views.push(self.partitions.view(*partition).await?);
        }
        Ok(self.partitions.wait_on(views, waiter))
    }

    /// Reads batches from an offset on.
    pub async fn read(&self, request: ReadRequest) -> Result<Read, ReadError> {
        for _ in 1..ATTEMPTS_MAX {
            match self.try_read(request).await {
                Err(error) if error.is_of_a_trim() => self.read_head(request.partition).await?,
                other => return other,
            }
        }
        self.try_read(request).await
    }

    async fn try_read(&self, request: ReadRequest) -> Result<Read, ReadError> {
        let ReadRequest {
            partition,
            offset,
            budget,
            isolation,
            ..
        } = request;
        let view = self.partitions.view(partition).await?;
        let offsets = offsets_of(&view);
        if offset < offsets.log_start_offset || offset > offsets.high_watermark {
            return Err(ReadError::OutOfRange { offset, offsets });
        }
        let end = offsets.end(isolation);
        let mut cut = Cut {
            records: Rope::new(),
            offset,
            end,
            budget,
            covered: 0,
            full: false,
        };
        if offset < end && (budget.left > 0 || budget.first == FirstBatch::Whole) {
            let runs = match view.tail_from(offset) {
                Some(runs) => runs,
                None => self.runs_from(partition, offset, budget.left).await?,
            };
            if runs.first().is_none_or(|run| run.base_offset > offset) {
                // Perhaps it was there when the head was looked at, and is below the log start by now.
                self.read_head(partition).await?;
                let offsets = offsets_of(&view);
                if offset < offsets.log_start_offset {
                    return Err(ReadError::OutOfRange { offset, offsets });
                }
            }
            let mut last = offset;
            for (at, run) in runs.iter().enumerate() {
                if cut.is_full(run) {
                    break;
                }
                let bytes = self.run_bytes(partition, &runs[at..], budget.left).await?;
                cut.take(run, &bytes);
                last = run.last_offset;
            }
            self.read_ahead(
                partition,
                &view,
                last.saturating_add(1),
                request.read_ahead_size,
            );
        }
        let records = match cut.records.len() {
            ..DETACHED_SIZE => cut.records.detached(),
            _ => cut.records,
        };
        Ok(Read {
            partition,
            records,
            covered: cut.covered,
            offsets,
        })
    }

    /// The runs from the one that holds `offset` on, until they have `bytes_max` bytes, at least one if there is one.
    pub(super) async fn runs_from(
        &self,
        partition: PartitionNumber,
        offset: i64,
        bytes_max: usize,
    ) -> Result<Vec<RunEntry>, ReadError> {
        let mut runs = Vec::new();
        let mut bytes = 0;
        let after = page_key(partition, offset.saturating_add(1)).bytes;
        let pages = page_keys(partition);
        let mut range = KeyRange {
            end: Some(after.clone()),
            ..pages.clone()
        };
        let mut order = Order::Descending;
        while let Some((key, page)) = self.page(partition, range, order).await? {
            for run in page.entries_from(page.find(offset)) {
                let run = run.map_err(|damage| ReadError::Row { partition, damage })?;
                bytes += run.size as usize;
                runs.push(run);
                if bytes >= bytes_max || runs.len() >= RUNS_PER_READ_MAX {
                    return Ok(runs);
                }
            }
            // The first page is the last one that begins at or before the offset; then the ones behind it.
            let start = if order == Order::Descending {
                after.clone()
            } else {
                successor(&key)
            };
            range = KeyRange {
                start,
                ..pages.clone()
            };
            order = Order::Ascending;
        }
        Ok(runs)
    }

    /// The first page of a range of page keys.
    pub(super) async fn page(
        &self,
        partition: PartitionNumber,
        range: KeyRange,
        order: Order,
    ) -> Result<Option<(Bytes, Page)>, ReadError> {
        let limit = Limit {
            rows: 1,
            bytes: usize::MAX,
        };
        let row = self.store.scan(range, order, limit).await?.pop();
        let Some((key, value)) = row.and_then(|row| Some((row.key.bytes, row.value?))) else {
            return Ok(None);
        };
        let page = Page::parse(value).map_err(|damage| ReadError::Row { partition, damage })?;
        Ok(Some((key, page)))
    }

    /// The bytes of the first of `runs`. What has to be read takes in the following ones as far as they are near and
    /// wanted.
    pub(super) async fn run_bytes(
        &self,
        partition: PartitionNumber,
        runs: &[RunEntry],
        bytes_max: usize,
    ) -> Result<Rope, ReadError> {
        let Some(run) = runs.first() else {
            return Ok(Rope::new());
        };
        let place = match run.kind {
            RunKind::Data { place } => place,
            RunKind::Marker { .. } => {
                return Ok(control_batch(run).map(Rope::from).unwrap_or_default());
            }
        };
        let size = run.size as usize;
        if let Some(bytes) = self.cache.get(place, size) {
            table::CACHE_HITS.add(1);
            return Ok(bytes);
        }
        let view = self.view(partition).await?;
        let _turn = view.cold_read.lock().await;
        if let Some(bytes) = self.cache.get(place, size) {
            table::CACHE_HITS.add(1);
            return Ok(bytes);
        }
        table::CACHE_MISSES.add(1);
        let (near, end) = near_runs(runs, place, bytes_max);
        let range = place.position..end;
        let span = self
            .store
            .read(place.blob, std::slice::from_ref(&range))
            .await?;
        let span = span.into_iter().next().unwrap_or_default();
        for run in near {
            let RunKind::Data { place: at } = run.kind else {
                continue;
            };
            let skip = usize::try_from(at.position - place.position).unwrap_or(usize::MAX);
            let bytes = skip
                .checked_add(run.size as usize)
                .and_then(|end| span.get(skip..end));
            check_run(bytes.unwrap_or_default(), run)
                .map_err(|damage| ReadError::Damage { partition, damage })?;
        }
        self.cache.insert(place, span.clone().into());
        Ok(Rope::from(span).slice(0..size))
    }

    /// Counts what a fetch answers with.
    pub(super) fn count_fetched(&self, read: &Read) {
        if !read.records.is_empty() {
            let bytes = read.records.len() as u64;
            self.partitions
                .count_fetched(read.partition, bytes, read.covered);
        }
    }

    /// What the metrics page shows of a partition.
    pub async fn facts(&self, partition: PartitionNumber) -> Result<Facts, LoadError> {
        Ok(self.view(partition).await?.facts())
    }

    /// Gives back the memory of records that nobody has read or written lately.
    pub fn trim_cache(&self, now: Instant) {
        self.cache.trim(now);
    }

    /// The memory that the block cache may take, bytes.
    pub fn cache_bytes_max(&self) -> usize {
        self.cache.bytes_max()
    }

    /// The memory that the block cache takes, bytes.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Sees to it that what is known of a partition is as new as its rows.
    pub(super) async fn read_head(&self, partition: PartitionNumber) -> Result<(), ReadError> {
        self.partitions.read_head(partition).await?;
        Ok(())
    }

    pub(super) async fn view(
        &self,
        partition: PartitionNumber,
    ) -> Result<Arc<PartitionView>, LoadError> {
        self.partitions.view(partition).await
    }
}

fn offsets_of(view: &PartitionView) -> Offsets {
    let head = view.head();
    Offsets {
        high_watermark: head.next_offset,
        last_stable_offset: head.last_stable_offset(),
        log_start_offset: head.log_start_offset,
    }
}

/// The smallest key above `key`.
pub(super) fn successor(key: &Bytes) -> Bytes {
    let mut next = key.to_vec();
    next.push(0);
    next.into()
}

/// Those of `runs` that lie in one stretch from `place` on which is worth one read, and where that stretch ends.
fn near_runs(runs: &[RunEntry], place: Place, bytes_max: usize) -> (&[RunEntry], u64) {
    let span_max = READ_SPAN_MAX.max(bytes_max as u64).min(4 * READ_SPAN_MAX);
    let mut end = place.position + u64::from(runs[0].size);
    let mut count = 1;
    for run in &runs[1..] {
        let RunKind::Data { place: at } = run.kind else {
            break;
        };
        let run_end = at.position.saturating_add(u64::from(run.size));
        let is_near =
            at.blob == place.blob && at.position >= end && run_end - place.position <= span_max;
        if !is_near {
            break;
        }
        end = run_end;
        count += 1;
    }
    (&runs[..count], end)
}

/// Holds the bytes of a whole run, fresh from the disk, against its row.
fn check_run(bytes: &[u8], run: &RunEntry) -> Result<(), RunDamage> {
    let mut walk = RunWalk::new(run, run.start(), bytes, Check::HeadersAndCrc);
    walk.by_ref().try_for_each(|batch| batch.map(drop))?;
    if walk.is_at_end() {
        return Ok(());
    }
    let RunPosition { position, .. } = walk.next_position();
    let reason = "the bytes end before the run does";
    Err(RunDamage {
        run_base_offset: run.base_offset,
        position,
        reason,
    })
}
