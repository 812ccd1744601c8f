//! Removes what a deleted topic left behind: first the rows of its partitions, then the blobs in which nothing lives
//! any more.
//!
//! DeleteTopics writes a trim row; everything here reads and updates that row, so that it goes on where it was after
//! a restart. Each commit is bounded and guarded by the trim row, so two brokers cannot undo each other's notes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::catalog::{Catalog, CatalogError};
use super::free;
use crate::base::{BoxFuture, PartitionNumber};
use crate::cluster::{self, Trim};
use crate::store::{
    Commit, Key, KeyRange, Limit, Order, Outcome, Row, Space, Store, Version, Write,
};

/// Rows and bytes that one commit removes at most.
const STEP: Limit = Limit {
    rows: 500,
    bytes: 1 << 20,
};

/// The spaces whose keys begin with a partition number. Heads go first: an append that is still under way fails then.
const SPACES: [Space; 3] = [Space::Head, Space::Run, Space::Producer];

/// How long to wait before looking again at blobs that are still being written, or after an error.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// Whoever keeps partitions in memory and appends to them.
pub trait Forget: Send + Sync + std::fmt::Debug {
    /// When it returns, nothing of these partitions is in memory or under way, and none will be again: their topic is
    /// gone from the catalog.
    fn forget(&self, partitions: Vec<PartitionNumber>) -> BoxFuture<'_, ()>;
}

/// Runs until it is dropped: after a start, after each deletion, and as long as something is left to do.
pub async fn run(catalog: Catalog, store: Arc<dyn Store>, forget: Arc<dyn Forget>) {
    loop {
        let left = match trim_all(store.as_ref(), forget.as_ref()).await {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(%error, "deleted topics not removed yet; trying again");
                true
            }
        };
        if left {
            // A deletion meanwhile begins the next round at once.
            let _ = tokio::time::timeout(RETRY_DELAY, catalog.deleted()).await;
        } else {
            catalog.deleted().await;
        }
    }
}

/// One round over all deleted topics. Returns whether blobs are left that are still being written. What fails for one
/// topic does not hold up the others; the first error is returned in the end.
pub async fn trim_all(store: &dyn Store, forget: &dyn Forget) -> Result<bool, CatalogError> {
    let mut left = Ok(false);
    let mut range = cluster::trim_rows();
    loop {
        let one = Limit { rows: 1, bytes: 1 };
        let rows = store.scan(range.clone(), Order::Ascending, one).await?;
        let Some(row) = rows.into_iter().next() else {
            return left;
        };
        let mut after = row.key.bytes.to_vec();
        after.push(0);
        range.start = Bytes::from(after);
        let one = trim_one(store, forget, row).await;
        left = left.and_then(|left| Ok(one? || left));
    }
}

/// Returns whether blobs are left that are still being written.
async fn trim_one(store: &dyn Store, forget: &dyn Forget, row: Row) -> Result<bool, CatalogError> {
    let Some(mut work) = Work::from_row(store, row)? else {
        return Ok(false);
    };
    let before = work.trim.clone();
    work.remove_rows(forget).await?;
    work.trim.blobs = free::free_blobs(store, &work.trim.blobs).await?;
    if work.trim != before {
        work.commit(Vec::new()).await?;
    }
    Ok(!work.trim.blobs.is_empty())
}

/// A trim row and the version at which it was written last.
struct Work<'a> {
    store: &'a dyn Store,
    key: Key,
    version: Version,
    trim: Trim,
}

impl<'a> Work<'a> {
    fn from_row(store: &'a dyn Store, row: Row) -> Result<Option<Self>, CatalogError> {
        let Some(value) = row.value else {
            return Ok(None);
        };
        Ok(Some(Self {
            store,
            trim: cluster::decode_trim(&row.key, &value)?,
            key: row.key,
            version: row.version,
        }))
    }

    /// Removes all rows of all partitions and notes which blobs they pointed into. That all are gone is not written
    /// down by itself: a full disk takes only commits that remove something, and the space comes back after this.
    async fn remove_rows(&mut self, forget: &dyn Forget) -> Result<(), CatalogError> {
        if self.trim.partitions.is_empty() {
            return Ok(());
        }
        let partitions = self.trim.partitions.clone();
        forget.forget(partitions.clone()).await;
        for chunk in partitions.chunk_by(|left, right| left.0.checked_add(1) == Some(right.0)) {
            for space in SPACES {
                self.remove_range(partition_rows(space, chunk)).await?;
            }
        }
        self.trim.partitions.clear();
        tracing::info!(topic = self.trim.name, "rows of the deleted topic removed");
        Ok(())
    }

    async fn remove_range(&mut self, range: KeyRange) -> Result<(), CatalogError> {
        loop {
            let rows = self
                .store
                .scan(range.clone(), Order::Ascending, STEP)
                .await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in &rows {
                self.trim.blobs.extend(free::blobs_of(row));
            }
            let deletes = rows.into_iter().map(|row| Write::Delete { key: row.key });
            self.commit(deletes.collect()).await?;
        }
    }

    /// Commits `writes` together with the trim row as it now is, which goes when nothing is left to do.
    async fn commit(&mut self, mut writes: Vec<Write>) -> Result<(), CatalogError> {
        let done = self.trim.partitions.is_empty() && self.trim.blobs.is_empty();
        writes.push(match done {
            true => Write::Delete {
                key: self.key.clone(),
            },
            false => Write::Put {
                key: self.key.clone(),
                value: cluster::encode_trim(&self.trim),
                place_at: None,
            },
        });
        let commit = Commit {
            guards: vec![(self.key.clone(), self.version)],
            writes,
            body: Vec::new(),
        };
        match self.store.commit(commit).await? {
            Outcome::Done { version, .. } => {
                self.version = version;
                Ok(())
            }
            Outcome::Conflict(_) => Err(CatalogError::Contended),
        }
    }
}

/// The rows of consecutive partitions in a space whose keys begin with the partition number.
fn partition_rows(space: Space, consecutive: &[PartitionNumber]) -> KeyRange {
    let edge = |number: u32| Bytes::copy_from_slice(&number.to_be_bytes());
    let start = consecutive.first().map_or(0, |first| first.0);
    let end = consecutive.last().and_then(|last| last.0.checked_add(1));
    KeyRange {
        space,
        start: edge(start),
        end: end.map(edge),
    }
}

#[cfg(test)]
#[path = "trim_tests.rs"]
mod tests;
