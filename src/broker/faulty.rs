//! A memory engine for tests whose commits fail on order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::base::BoxFuture;
use crate::store::memory::MemoryStore;
use crate::store::{
    BlobInfo, BlobName, BlobStore, Commit, Key, KeyRange, Limit, MetaStore, Order, Outcome, Room,
    Row, Store, StoreError, Write,
};

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing was changed, and the caller knows.
    Unavailable,
    /// Nothing was changed, and the caller does not know.
    Lost,
    /// It took effect, and the caller does not know.
    Unheard,
}

/// Every way in which a commit fails.
pub(super) const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::Lost, Fault::Unheard];

/// A store that lets some commits pass, fails one, and lets all later ones pass.
#[derive(Debug, Default)]
pub(super) struct FaultyStore {
    inner: MemoryStore,
    plan: Mutex<Option<(u32, Fault)>>,
    full: AtomicBool,
}

impl FaultyStore {
    /// An empty store without a fault.
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The commit after `passing` more fails.
    pub(super) fn fail_after(&self, passing: u32, fault: Fault) {
        *self.plan.lock().expect("no panic") = Some((passing, fault));
    }

    /// Whether a planned fault has not come yet; it will not come any more.
    pub(super) fn call_off(&self) -> bool {
        self.plan.lock().expect("no panic").take().is_some()
    }

    /// From now on there is room only for commits that remove something.
    pub(super) fn fill(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    fn due(&self) -> Option<Fault> {
        let mut plan = self.plan.lock().expect("no panic");
        match plan.as_mut()? {
            (0, fault) => {
                let fault = *fault;
                *plan = None;
                Some(fault)
            }
            (passing, _) => {
                *passing -= 1;
                None
            }
        }
    }
}

impl MetaStore for FaultyStore {
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
        let removes = |write: &Write| matches!(write, Write::Delete { .. });
        if self.full.load(Ordering::SeqCst) && !commit.writes.iter().any(removes) {
            return Box::pin(async move { Err(StoreError::Full { reason }) });
        }
        match self.due() {
            None => self.inner.commit(commit),
            Some(Fault::Unavailable) => {
                Box::pin(async move { Err(StoreError::Unavailable { reason }) })
            }
            Some(Fault::Lost) => Box::pin(async move { Err(StoreError::Unknown { reason }) }),
            Some(Fault::Unheard) => {
                let done = self.inner.commit(commit);
                Box::pin(async move {
                    done.await?;
                    Err(StoreError::Unknown { reason })
                })
            }
        }
    }
}

impl BlobStore for FaultyStore {
    fn read<'a>(
        &'a self,
        name: BlobName,
        ranges: &'a [std::ops::Range<u64>],
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

impl Store for FaultyStore {
    fn room(&self) -> BoxFuture<'_, Result<Option<Room>, StoreError>> {
        self.inner.room()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.close()
    }
}
