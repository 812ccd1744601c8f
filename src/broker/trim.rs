//! Removes what deleted topics and raised log starts left behind: first the rows, then the blobs in which nothing lives
//! any more.
//!
//! Whoever deletes a topic or raises a log start writes a trim row; everything here reads and updates that row, so that
//! it goes on where it was after a restart. Each commit is bounded and guarded by the trim row, so two brokers cannot
//! undo each other's notes. The rows of a log that lives on are its owner's to remove, step by step.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::catalog::{Catalog, CatalogError, get};
use super::committer::TrimError;
use super::free;
use crate::base::{BoxFuture, PartitionNumber};
use crate::cluster::{self, Trim, TrimSubject};
use crate::store::{
    Commit, Key, KeyRange, Limit, Order, Outcome, Row, Space, Store, StoreError, Version, Write,
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

/// Why a round of trimming did not get to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Log(#[from] TrimError),
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        JobError::Catalog(error.into())
    }
}

/// Whoever keeps partitions in memory and writes their rows.
pub trait LogOwner: Send + Sync + std::fmt::Debug {
    /// When it returns, nothing of these partitions is in memory or under way, and none will be again: their topic is
    /// gone from the catalog.
    fn forget(&self, partitions: Vec<PartitionNumber>) -> BoxFuture<'_, ()>;

    /// Removes some of the rows below the start of a log, and notes in its trim row what they pointed into. Returns
    /// whether more may be left.
    fn trim(&self, partition: PartitionNumber) -> BoxFuture<'_, Result<bool, TrimError>>;
}

/// Runs until it is dropped: after a start, after each deletion, and as long as something is left to do.
pub async fn run(catalog: Catalog, store: Arc<dyn Store>, logs: Arc<dyn LogOwner>) {
    loop {
        let left = match trim_all(store.as_ref(), logs.as_ref()).await {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(%error, "deleted records not removed yet; trying again");
                true
            }
        };
        if left {
            // A deletion meanwhile begins the next round at once.
            let _ = tokio::time::timeout(RETRY_DELAY, catalog.trim_due()).await;
        } else {
            catalog.trim_due().await;
        }
    }
}

/// One round over everything that was left behind. Returns whether blobs are left that are still being written. What
/// fails for one does not hold up the others; the first error is returned in the end.
pub async fn trim_all(store: &dyn Store, logs: &dyn LogOwner) -> Result<bool, JobError> {
    let mut left = Ok(false);
    for mut range in [cluster::trim_rows(), cluster::log_trim_rows()] {
        loop {
            let one = Limit { rows: 1, bytes: 1 };
            let rows = store.scan(range.clone(), Order::Ascending, one).await?;
            let Some(row) = rows.into_iter().next() else {
                break;
            };
            let mut after = row.key.bytes.to_vec();
            after.push(0);
            range.start = Bytes::from(after);
            let one = trim_one(store, logs, row).await;
            left = left.and_then(|left| Ok(one? || left));
        }
    }
    left
}

/// Returns whether blobs are left that are still being written.
async fn trim_one(store: &dyn Store, logs: &dyn LogOwner, mut row: Row) -> Result<bool, JobError> {
    let Some(mut work) = Work::from_row(store, row.clone())? else {
        return Ok(false);
    };
    if let TrimSubject::Log(partition) = work.trim.subject {
        while logs.trim(partition).await? {}
        // The owner of the log has noted more in the row.
        row = get(store, row.key).await?;
        let Some(noted) = Work::from_row(store, row)? else {
            return Ok(false);
        };
        work = noted;
    }
    let before = work.trim.clone();
    work.remove_rows(logs).await?;
    work.trim.blobs = free::free_blobs(store, &work.trim.blobs).await?;
    if work.trim != before || work.is_done() {
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

    /// The partitions of a deleted topic whose rows are still there.
    fn partitions(&mut self) -> Option<&mut Vec<PartitionNumber>> {
        match &mut self.trim.subject {
            TrimSubject::Topic { partitions, .. } => Some(partitions),
            TrimSubject::Log(_) => None,
        }
    }

    fn is_done(&mut self) -> bool {
        let rows_are_gone = self.partitions().is_none_or(|left| left.is_empty());
        rows_are_gone && self.trim.blobs.is_empty()
    }

    /// Removes all rows of a deleted topic and notes which blobs they pointed into. That all are gone is not written
    /// down by itself: a full disk takes only commits that remove something, and the space comes back after this.
    async fn remove_rows(&mut self, logs: &dyn LogOwner) -> Result<(), CatalogError> {
        let partitions = self.partitions().cloned().unwrap_or_default();
        if partitions.is_empty() {
            return Ok(());
        }
        logs.forget(partitions.clone()).await;
        for chunk in partitions.chunk_by(|left, right| left.0.checked_add(1) == Some(right.0)) {
            for space in SPACES {
                self.remove_range(partition_rows(space, chunk)).await?;
            }
        }
        if let TrimSubject::Topic {
            name, partitions, ..
        } = &mut self.trim.subject
        {
            partitions.clear();
            tracing::info!(topic = name, "rows of the deleted topic removed");
        }
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
        writes.push(match self.is_done() {
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
