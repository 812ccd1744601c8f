//! Reading ahead: while a client is busy with what it was given, the disk is busy with what it will ask for next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::partitions::PartitionView;
use super::reader::{ReadError, Reader};
use crate::base::PartitionNumber;

/// Bytes that are read ahead of a reader in one partition at most.
const READ_AHEAD_MAX: usize = 4 << 20;

/// Below this it is not worth a task of its own, bytes.
const READ_AHEAD_MIN: usize = 256 << 10;

/// The part of the block cache that one fetch may fill ahead: more would push out what others are about to read.
const CACHE_SHARE: usize = 4;

/// Whether somebody is reading ahead in a partition.
#[derive(Debug, Default)]
pub(super) struct ReadingAhead(AtomicBool);

/// The right to read ahead; given back when dropped.
struct Turn(Arc<PartitionView>);

impl Turn {
    fn take(view: &Arc<PartitionView>) -> Option<Self> {
        let taken = view.reading_ahead.0.swap(true, Ordering::AcqRel);
        (!taken).then(|| Self(Arc::clone(view)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.reading_ahead.0.store(false, Ordering::Release);
    }
}

impl Reader {
    /// How far a fetch of so many partitions reads ahead in each, bytes; 0 is not at all.
    pub fn read_ahead_size(&self, partitions: usize) -> usize {
        let share = self.cache_bytes_max() / CACHE_SHARE / partitions.max(1);
        match share.min(READ_AHEAD_MAX) {
            0..READ_AHEAD_MIN => 0,
            size => size,
        }
    }

    /// Sees to it that the runs from `offset` on are in the cache, or on their way, before they are asked for.
    pub(super) fn read_ahead(
        &self,
        partition: PartitionNumber,
        view: &Arc<PartitionView>,
        offset: i64,
        size: usize,
    ) {
        let is_near_the_end = offset >= view.head().next_offset || view.tail_from(offset).is_some();
        if size == 0 || is_near_the_end {
            return;
        }
        let Some(turn) = Turn::take(view) else { return };
        let reader = self.clone();
        tokio::spawn(async move {
            if let Err(error) = reader.fill(partition, offset, size).await {
                // Whoever reads there meets it as well, and tells the client.
                tracing::debug!(partition = partition.0, offset, %error, "not read ahead");
            }
            drop(turn);
        });
    }

    async fn fill(
        &self,
        partition: PartitionNumber,
        offset: i64,
        size: usize,
    ) -> Result<(), ReadError> {
        let runs = self.runs_from(partition, offset, size).await?;
        for at in 0..runs.len() {
            self.run_bytes(partition, &runs[at..], size).await?;
        }
        Ok(())
    }
}
