//! A store that fails when it is told to: for tests of what stands above the seam.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{
    BlobInfo, BlobName, BlobStore, Commit, Key, KeyRange, Limit, MetaStore, Order, Outcome, Room,
    Row, Store, StoreError,
};
use crate::base::BoxFuture;

/// What happens to a commit instead of being made.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It fails and nothing is changed.
    Fails(StoreError),
    /// It is made, but nobody learns of it.
    MadeButUnknown,
    /// A guard does not hold, as if another broker had been faster.
    Conflicts,
    /// Nothing: it is made.
    None,
}

/// A store in front of another one.
#[derive(Debug)]
pub(crate) struct FaultStore {
    store: Arc<dyn Store>,
    next: Mutex<VecDeque<Fault>>,
}

impl FaultStore {
    /// Passes everything on to `store`.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            next: Mutex::default(),
        }
    }

    /// What happens to the next commits that have a body; later ones are made.
    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(faults);
    }

    fn fault(&self, commit: &Commit) -> Fault {
        if commit.body.is_empty() {
            return Fault::None;
        }
        let next = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        next.unwrap_or(Fault::None)
    }
}

impl MetaStore for FaultStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Row>, StoreError>> {
        self.store.get(keys)
    }

    fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: Limit,
    ) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        self.store.scan(range, order, limit)
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        match self.fault(&commit) {
            Fault::None => self.store.commit(commit),
            Fault::Fails(error) => Box::pin(async { Err(error) }),
            Fault::Conflicts => Box::pin(async { Ok(Outcome::Conflict(Vec::new())) }),
            Fault::MadeButUnknown => {
                let made = self.store.commit(commit);
                Box::pin(async {
                    made.await?;
                    Err(StoreError::Unknown {
                        reason: "told to".to_owned(),
                    })
                })
            }
        }
    }
}

impl BlobStore for FaultStore {
    fn read<'a>(
        &'a self,
        name: BlobName,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>, StoreError>> {
        self.store.read(name, ranges)
    }

    fn blobs(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>, StoreError>> {
        self.store.blobs()
    }

    fn placed_keys(&self, name: BlobName) -> BoxFuture<'_, Result<Vec<Key>, StoreError>> {
        self.store.placed_keys(name)
    }

    fn delete<'a>(&'a self, names: &'a [BlobName]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.delete(names)
    }
}

impl Store for FaultStore {
    fn room(&self) -> BoxFuture<'_, Result<Option<Room>, StoreError>> {
        self.store.room()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.close()
    }
}
