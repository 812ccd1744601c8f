//! A store that fails when it is told to: for tests of what stands above the seam.

use std::collections::VecDeque;
use std::future::ready;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::memory::MemoryStore;
use super::{
    BlobInfo, BlobName, BlobStore, Commit, Key, KeyRange, Limit, MetaStore, Order, Outcome, Room,
    Row, Store, StoreError, Write,
};
use crate::base::BoxFuture;
use crate::metrics::Reading;

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: it is made.
    None,
    /// It fails, nothing is changed, and the caller knows.
    Unavailable,
    /// The same for want of room.
    Full,
    /// Nothing is changed, and the caller does not know.
    Lost,
    /// It takes effect, and the caller does not know.
    Unheard,
    /// A guard does not hold, as if another broker had been faster.
    Conflicts,
}

/// The ways in which a commit fails that a caller must tell apart.
pub(crate) const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::Lost, Fault::Unheard];

/// A memory engine whose commits fail on order.
#[derive(Debug, Default)]
pub(crate) struct FaultStore {
    inner: MemoryStore,
    plan: Mutex<VecDeque<Fault>>,
    full: AtomicBool,
}

impl FaultStore {
    /// An empty store without a fault.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn planned(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to the next commits; later ones are made.
    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.planned().extend(faults);
    }

    /// The commit after `passing` more fails.
    pub(crate) fn fail_after(&self, passing: usize, fault: Fault) {
        self.plan(std::iter::repeat_n(Fault::None, passing).chain([fault]));
    }

    /// Whether a planned fault has not come yet; it will not come any more.
    pub(crate) fn call_off(&self) -> bool {
        !std::mem::take(&mut *self.planned()).is_empty()
    }

    /// From now on there is room only for commits that remove something.
    pub(crate) fn fill(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    fn fault(&self, commit: &Commit) -> Fault {
        let removes = |write: &Write| matches!(write, Write::Delete { .. });
        if self.full.load(Ordering::SeqCst) && !commit.writes.iter().any(removes) {
            return Fault::Full;
        }
        self.planned().pop_front().unwrap_or(Fault::None)
    }
}

impl MetaStore for FaultStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Row>, StoreError>> {
        self.inner.get(keys)
    }

    fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: Limit,
    ) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        self.inner.scan(range, order, limit)
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        let reason = "on order".to_owned();
        let answer = match self.fault(&commit) {
            Fault::None => return self.inner.commit(commit),
            Fault::Unavailable => Err(StoreError::Unavailable { reason }),
            Fault::Full => Err(StoreError::Full { reason }),
            Fault::Lost => Err(StoreError::Unknown { reason }),
            Fault::Conflicts => Ok(Outcome::Conflict(Vec::new())),
            Fault::Unheard => {
                let made = self.inner.commit(commit);
                return Box::pin(async move {
                    made.await?;
                    Err(StoreError::Unknown { reason })
                });
            }
        };
        Box::pin(ready(answer))
    }
}

impl BlobStore for FaultStore {
    fn read<'a>(
        &'a self,
        name: BlobName,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>, StoreError>> {
        self.inner.read(name, ranges)
    }

    fn blobs(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>, StoreError>> {
        self.inner.blobs()
    }

    fn placed_keys(&self, name: BlobName) -> BoxFuture<'_, Result<Vec<Key>, StoreError>> {
        self.inner.placed_keys(name)
    }

    fn delete<'a>(&'a self, names: &'a [BlobName]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.delete(names)
    }
}

impl Store for FaultStore {
    fn cluster_id(&self) -> &str {
        self.inner.cluster_id()
    }

    fn room(&self) -> BoxFuture<'_, Result<Option<Room>, StoreError>> {
        self.inner.room()
    }

    fn gauges(&self) -> Vec<Reading> {
        self.inner.gauges()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.close()
    }
}
