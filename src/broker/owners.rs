//! Everybody who keeps something of a partition in memory, as the trim job sees them.

use super::committer::{Committer, TrimError};
use super::coordinator::Coordinator;
use super::trim::LogOwner;
use crate::base::{BoxFuture, PartitionNumber};

/// The logs, and the offsets that groups have committed for them.
#[derive(Debug)]
pub(super) struct Owners {
    pub(super) logs: Committer,
    pub(super) groups: Coordinator,
}

impl LogOwner for Owners {
    fn forget(&self, partitions: Vec<PartitionNumber>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.logs.forget(partitions.clone()).await;
            self.groups.forget(partitions).await;
        })
    }

    fn trim(&self, partition: PartitionNumber) -> BoxFuture<'_, Result<bool, TrimError>> {
        self.logs.trim(partition)
    }
}
