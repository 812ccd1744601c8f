//! What the broker knows of each partition that was touched: its head, its newest runs, and who waits for more.
//!
//! The committer publishes here, fetches read here. Everything in it can be dropped and read from the store again.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;

use super::read_ahead::ReadingAhead;
use crate::base::PartitionNumber;
use crate::log::{Head, RowDamage, RunEntry, head_key};
use crate::store::{Store, StoreError, Version};

/// Newest runs of a partition that are kept in memory, so that a reader at the end needs no page.
const TAIL_RUNS_MAX: usize = 16;

/// Why a partition's state could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Damage(#[from] RowDamage),
}

/// All partitions that were touched.
#[derive(Debug)]
pub(crate) struct Partitions {
    store: Arc<dyn Store>,
    views: RwLock<HashMap<PartitionNumber, Arc<PartitionView>>>,
    waiter_ids: AtomicU64,
}

/// What went into a partition and out of it since its view was made.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    produced: Flow,
    fetched: Flow,
}

/// Bytes of record batches, and the offsets that they cover.
#[derive(Debug, Default)]
struct Flow {
    bytes: AtomicU64,
    records: AtomicU64,
}

/// What of a partition is on the metrics page.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub log_start_offset: i64,
    pub next_offset: i64,
    pub size_bytes: u64,
    pub produced_bytes: u64,
    pub produced_records: u64,
    pub fetched_bytes: u64,
    pub fetched_records: u64,
}

/// One partition as readers see it.
#[derive(Debug)]
pub(crate) struct PartitionView {
    traffic: Traffic,
    visible: Mutex<Visible>,
    waiters: Mutex<HashMap<u64, Arc<Notify>>>,
    /// Held while bytes come from the store, so that whoever wants the same ones waits for the cache instead.
    pub(super) cold_read: tokio::sync::Mutex<()>,
    pub(super) reading_ahead: ReadingAhead,
}

/// How a head came to be known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen {
    /// Read from the store: if it is newer, runs are missing from the tail.
    Read,
    /// By a commit that added this run.
    Appended(RunEntry),
    /// By a commit that removed runs below the log start.
    Trimmed,
}

#[derive(Debug)]
struct Visible {
    head: Head,
    version: Version,
    tail: VecDeque<RunEntry>,
}

impl Partitions {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            views: RwLock::default(),
            waiter_ids: AtomicU64::new(0),
        }
    }

    /// The view of a partition, read from the store when it is touched first.
    pub(crate) async fn view(
        &self,
        partition: PartitionNumber,
    ) -> Result<Arc<PartitionView>, LoadError> {
        if let Some(view) = self.known(partition) {
            return Ok(view);
        }
        self.read_head(partition).await
    }

    /// The view of a partition, after its head has been read from the store.
    pub(crate) async fn read_head(
        &self,
        partition: PartitionNumber,
    ) -> Result<Arc<PartitionView>, LoadError> {
        let rows = self.store.get(&[head_key(partition)]).await?;
        let (head, version) = match rows.first() {
            Some(row) => match &row.value {
                Some(value) => (Head::decode(value)?, row.version),
                None => (Head::EMPTY, Version::ABSENT),
            },
            None => (Head::EMPTY, Version::ABSENT),
        };
        Ok(self.update(partition, head, version, Seen::Read))
    }

    /// Makes a commit visible, and wakes nobody yet: see [`PartitionView::wake`].
    pub(crate) fn publish(
        &self,
        partition: PartitionNumber,
        head: Head,
        version: Version,
        seen: Seen,
    ) -> Arc<PartitionView> {
        let view = self.update(partition, head, version, seen);
        if let Seen::Appended(run) = seen {
            let records = run.last_offset.abs_diff(run.base_offset) + 1;
            view.traffic.produced.add(u64::from(run.size), records);
        }
        view
    }

    /// Counts what a fetch has taken out of a partition.
    pub(crate) fn count_fetched(&self, partition: PartitionNumber, bytes: u64, records: u64) {
        if let Some(view) = self.known(partition) {
            view.traffic.fetched.add(bytes, records);
        }
    }

    /// Drops what is known of partitions that are no more, and lets those who wait for them look again.
    pub(crate) fn forget(&self, partitions: &[PartitionNumber]) {
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        for partition in partitions {
            if let Some(view) = views.remove(partition) {
                view.wake();
            }
        }
    }

    /// Registers `waiter` with each of `views` until the guard is dropped.
    pub(crate) fn wait_on(&self, views: Vec<Arc<PartitionView>>, waiter: &Arc<Notify>) -> Parked {
        let id = self.waiter_ids.fetch_add(1, Ordering::Relaxed);
        for view in &views {
            view.waiters().insert(id, Arc::clone(waiter));
        }
        Parked { id, views }
    }

    fn known(&self, partition: PartitionNumber) -> Option<Arc<PartitionView>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        views.get(&partition).cloned()
    }

    /// A reader that read the head before a commit must not set it back: the newer version stays.
    fn update(
        &self,
        partition: PartitionNumber,
        head: Head,
        version: Version,
        seen: Seen,
    ) -> Arc<PartitionView> {
        let view = self.known(partition).unwrap_or_else(|| {
            let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
            let fresh = || Arc::new(PartitionView::new());
            Arc::clone(views.entry(partition).or_insert_with(fresh))
        });
        view.visible().update(head, version, seen);
        view
    }
}

impl Flow {
    fn add(&self, bytes: u64, records: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }
}

impl PartitionView {
    fn new() -> Self {
        let visible = Visible {
            head: Head::EMPTY,
            version: Version::ABSENT,
            tail: VecDeque::new(),
        };
        Self {
            traffic: Traffic::default(),
            visible: Mutex::new(visible),
            waiters: Mutex::default(),
            cold_read: tokio::sync::Mutex::default(),
            reading_ahead: ReadingAhead::default(),
        }
    }

    /// Offsets and sizes as of the newest commit.
    pub(crate) fn head(&self) -> Head {
        self.visible().head
    }

    /// What the metrics page shows.
    pub(crate) fn facts(&self) -> Facts {
        let head = self.head();
        let Traffic { produced, fetched } = &self.traffic;
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Facts {
            log_start_offset: head.log_start_offset,
            next_offset: head.next_offset,
            size_bytes: head.size_bytes,
            produced_bytes: read(&produced.bytes),
            produced_records: read(&produced.records),
            fetched_bytes: read(&fetched.bytes),
            fetched_records: read(&fetched.records),
        }
    }

    /// The runs in memory from the one that holds `offset` on; `None` when that one is no longer in memory.
    pub(crate) fn tail_from(&self, offset: i64) -> Option<Vec<RunEntry>> {
        let visible = self.visible();
        if visible.tail.front()?.base_offset > offset {
            return None;
        }
        let first = visible.tail.partition_point(|run| run.last_offset < offset);
        Some(visible.tail.range(first..).copied().collect())
    }

    /// Lets everyone who waits for this partition look again.
    pub(crate) fn wake(&self) {
        for waiter in self.waiters().values() {
            waiter.notify_one();
        }
    }

    fn visible(&self) -> MutexGuard<'_, Visible> {
        self.visible.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<u64, Arc<Notify>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visible {
    fn update(&mut self, head: Head, version: Version, seen: Seen) {
        if version < self.version {
            return;
        }
        let follows = |tail: &VecDeque<RunEntry>, run: &RunEntry| {
            tail.back()
                .is_none_or(|last| last.last_offset + 1 == run.base_offset)
        };
        match seen {
            Seen::Appended(run) => {
                if !follows(&self.tail, &run) {
                    self.tail.clear();
                }
                if self.tail.len() == TAIL_RUNS_MAX {
                    self.tail.pop_front();
                }
                self.tail.push_back(run);
            }
            Seen::Read if version > self.version => self.tail.clear(),
            Seen::Read | Seen::Trimmed => {}
        }
        self.head = head;
        self.version = version;
    }
}

/// A registration of a waiter; ends when dropped.
#[derive(Debug)]
pub(crate) struct Parked {
    id: u64,
    views: Vec<Arc<PartitionView>>,
}

impl Drop for Parked {
    fn drop(&mut self) {
        for view in &self.views {
            view.waiters().remove(&self.id);
        }
    }
}
