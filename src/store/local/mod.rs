//! The local engine: journal files + sled (ARCHITECTURE.md, docs/storage.md).
//!
//! Every commit goes to the journal, is synced, enters the overlay in memory and is answered; sled follows. On start the
//! journal since the last finished checkpoint is replayed. sled is a cache of rows that can be made anew at any time
//! from the newest row snapshot and the journal after it.

mod aligned;
mod aside;
mod assemble;
mod checkpoint;
mod codec;
pub mod disk;
mod folder;
mod frame;
mod frames;
mod gauges;
pub mod inspect;
mod journal;
mod keeper;
mod locks;
mod marks;
mod meta;
#[doc(hidden)]
pub mod mutant;
mod open;
mod ops;
mod options;
mod overlay;
mod pace;
mod reads;
mod rebuild;
mod replay;
mod rows;
mod segment;
mod segments;
mod shared;
mod snapshot;
mod sorted;
mod store_rows;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::oneshot;

use self::disk::{Disk, DiskSpace};
use self::journal::Writer;
use self::keeper::Keeper;
use self::locks::lock;
use self::shared::{Job, Shared};
use crate::base::BoxFuture;
use crate::metrics::Reading;
use crate::store::{
    BlobInfo, BlobName, BlobStore, Commit, Key, KeyRange, Limit, MetaStore, Order, Outcome, Room,
    Row, Store, StoreError,
};

pub use self::aligned::IDLE_BYTES_MAX;
pub use self::options::{Durability, LocalOptions, OpenError};
pub use self::rebuild::RebuiltRows;

/// The local engine. Dropping it without [`Store::close`] is as if the process had died.
#[derive(Debug)]
pub struct LocalStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for its lock.
    _lock: Option<File>,
}

impl LocalStore {
    /// Opens a folder of the file system, and makes it where it is not there.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_folder(path: &Path, options: LocalOptions) -> Result<Self, OpenError> {
        let new = folder::missing(path);
        let (disk, lock) = folder::take(path)?;
        let mut store = Self::open(options, disk, path.join(folder::SLED))?;
        folder::sync_names(&new)?;
        store._lock = Some(lock);
        Ok(store)
    }

    /// Opens the folder behind `disk`, with sled in `sled_folder`. Whoever calls sees to it that nobody else does.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "whoever opens a store gives the disk away"
    )]
    pub fn open(
        options: LocalOptions,
        disk: Arc<dyn Disk>,
        sled_folder: PathBuf,
    ) -> Result<Self, OpenError> {
        let (shared, start) = open::open(options, &disk, sled_folder)?;
        shared.keep_room().map_err(OpenError::io("data folder"))?;
        if shared.options.rebuild_rows {
            shared.move_all_rows()?;
        }
        let store = Self {
            shared: Arc::clone(&shared),
            threads: Mutex::default(),
            _lock: None,
        };
        let writer = Writer::new(Arc::clone(&shared), start);
        store.spawn("journal", move || writer.run())?;
        let keeper = Keeper::new(Arc::clone(&shared));
        store.spawn("keeper", move || keeper.run())?;
        shared.bell.ring();
        Ok(store)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        lock(&self.threads).push(thread.map_err(OpenError::io("thread"))?);
        Ok(())
    }

    /// Hands a job to the writer; the future waits for its answer.
    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(shared::Reply<T>) -> Job,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        if let Some(error) = self.shared.refusal() {
            return Box::pin(std::future::ready(Err(error)));
        }
        if !self.shared.queue.push(job(reply)) {
            return Box::pin(std::future::ready(Err(StoreError::Closed)));
        }
        Box::pin(async { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn is_open(&self) -> Result<(), StoreError> {
        match self.shared.closed.load(Ordering::Acquire) {
            true => Err(StoreError::Closed),
            false => Ok(()),
        }
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.shared.bell.stop();
        // Nobody is answered: whoever waits finds the store closed.
        drop(self.shared.queue.stop());
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had panicked");
            }
        }
    }
}

/// Does something that may wait for the disk where that harms nobody.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(act).await;
    done.unwrap_or_else(|error| {
        Err(StoreError::Unavailable {
            reason: format!("read ended early: {error}"),
        })
    })
}

impl MetaStore for LocalStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Row>, StoreError>> {
        Box::pin(async {
            self.is_open()?;
            self.shared.get(keys)
        })
    }

    fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: Limit,
    ) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(async move {
            self.is_open()?;
            self.shared.scan(&range, order, limit)
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        self.ask(|reply| Job::Commit { commit, reply })
    }
}

impl BlobStore for LocalStore {
    fn read<'a>(
        &'a self,
        name: BlobName,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>, StoreError>> {
        Box::pin(async move {
            self.is_open()?;
            let segment = self.shared.pin(name)?;
            let (shared, ranges) = (Arc::clone(&self.shared), ranges.to_vec());
            blocking(move || reads::read_ranges(&shared, &segment, &ranges)).await
        })
    }

    fn blobs(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>, StoreError>> {
        Box::pin(async {
            self.is_open()?;
            let active = self.shared.active.load(Ordering::Acquire);
            let info = |segment: &Arc<segment::Segment>| BlobInfo {
                name: BlobName(segment.generation()),
                size: segment.header.size,
                closed: segment.generation() != active,
            };
            Ok(self.shared.segments.live().iter().map(info).collect())
        })
    }

    fn placed_keys(&self, name: BlobName) -> BoxFuture<'_, Result<Vec<Key>, StoreError>> {
        Box::pin(async move {
            self.is_open()?;
            let segment = self.shared.pin(name)?;
            blocking(move || reads::placed_keys(&segment)).await
        })
    }

    fn delete<'a>(&'a self, names: &'a [BlobName]) -> BoxFuture<'a, Result<(), StoreError>> {
        let names = names.iter().map(|name| name.0).collect();
        self.ask(|reply| Job::Delete { names, reply })
    }
}

impl Store for LocalStore {
    fn cluster_id(&self) -> &str {
        &self.shared.cluster_id
    }

    fn room(&self) -> BoxFuture<'_, Result<Option<Room>, StoreError>> {
        Box::pin(async {
            self.is_open()?;
            let shared = Arc::clone(&self.shared);
            let space = blocking(move || {
                let space = shared.disk.space();
                space.map_err(|error| StoreError::Unavailable {
                    reason: format!("the file system does not tell its size: {error}"),
                })
            });
            let DiskSpace { total, available } = space.await?;
            Ok(Some(Room { total, available }))
        })
    }

    fn gauges(&self) -> Vec<Reading> {
        self.shared.gauges()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        if let Some(StoreError::Closed) = self.shared.refusal() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let closing = self.ask(|reply| Job::Close { reply });
        self.shared.closed.store(true, Ordering::Release);
        closing
    }
}

#[cfg(test)]
mod tests;
