//! The shell around `group`: one task owns all groups, decides what is asked of them, commits, and answers.
//!
//! What waits is taken together, decided in order, committed in one commit and answered when that has returned; reads
//! too, so that nobody hears of what is not durable. When a commit fails the groups that it touched are dropped and read
//! again, and whoever waits at them finds the coordinator anew, as Kafka's clients do after a failover.
//!
//! A request that waits for other members (a parked join or sync) is an answer that is kept; a client that goes away
//! cancels nothing, its answer just reaches nobody. Sessions are data: one timer is set, for the group that is next, and
//! a heartbeat moves no timer. So idle groups cost a look per session timeout each, and nothing per tick.

mod load;
mod task;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::catalog::{Catalog, CatalogError};
use crate::base::{Clock, PartitionNumber};
use crate::group::{Command, Groups, Reply};
use crate::store::Store;

use task::Task;

/// Requests that may wait for the task before connections do, and those that one commit answers at most.
const ASKS_MAX: usize = 1024;

/// Bytes that the members of all groups may take in memory, as they told of themselves; beyond it nobody joins.
pub const MEMBERS_SIZE_MAX: usize = 256 << 20;

/// How long to wait before offsets of deleted topics are tried to be removed again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a group did not answer. Each time its client should find the coordinator anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoordinatorError {
    #[error(
        "the group's rows were not written or read, it is read again; find the coordinator and retry"
    )]
    Lost,
    #[error(
        "the members of all groups take {MEMBERS_SIZE_MAX} bytes; nobody joins until some leave"
    )]
    Full,
    #[error("a partition of the commit was deleted meanwhile; ask for metadata again")]
    PartitionGone,
    #[error("the broker is stopping; ask again when it is back")]
    Stopping,
    #[error("the answer is of another kind than the question; report this as a defect")]
    Mismatch,
}

type Answer = Result<Reply, CoordinatorError>;

/// Runs on the groups as they are, and gives back what hands over its result once that is durable.
type Read = Box<dyn FnOnce(&Groups) -> Box<dyn FnOnce() + Send> + Send>;

enum Ask {
    Command {
        group_id: Arc<str>,
        command: Command,
        answer: oneshot::Sender<Answer>,
    },
    Read(Read),
    /// Committed offsets of these partitions go; answered once they are gone.
    Forget(Vec<PartitionNumber>, oneshot::Sender<()>),
}

/// All groups. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Coordinator {
    asks: mpsc::Sender<Ask>,
}

/// What the coordinator needs.
#[derive(Debug)]
pub struct CoordinatorParts {
    pub store: Arc<dyn Store>,
    pub catalog: Catalog,
    pub clock: Arc<dyn Clock>,
}

impl Coordinator {
    /// Reads all groups and starts the task that owns them.
    pub async fn start(parts: CoordinatorParts) -> Result<Self, CatalogError> {
        let mut task = Task::new(parts);
        task.load_all().await?;
        let (asks, queue) = mpsc::channel(ASKS_MAX);
        tokio::spawn(task.run(queue));
        Ok(Self { asks })
    }

    /// What the group answers; for a join or a sync that may take until others have come.
    pub async fn ask(&self, group_id: &str, command: Command) -> Answer {
        let (answer, answered) = oneshot::channel();
        let ask = Ask::Command {
            group_id: Arc::from(group_id),
            command,
            answer,
        };
        let sent = self.asks.send(ask).await;
        sent.map_err(|_| CoordinatorError::Stopping)?;
        answered.await.map_err(|_| CoordinatorError::Stopping)?
    }

    /// Removes the committed offsets of partitions whose topic is gone; returns once they are gone too.
    pub async fn forget(&self, partitions: Vec<PartitionNumber>) {
        loop {
            let (done, gone) = oneshot::channel();
            let sent = self.asks.send(Ask::Forget(partitions.clone(), done)).await;
            if sent.is_err() || gone.await.is_ok() {
                return;
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    /// What `look` finds, once all that it can see is durable.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Groups) -> T + Send + 'static,
    ) -> Result<T, CoordinatorError> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |groups| {
            let found = look(groups);
            Box::new(move || {
                // Whoever asked may have gone away.
                let _ = answer.send(found);
            })
        });
        let sent = self.asks.send(Ask::Read(read)).await;
        sent.map_err(|_| CoordinatorError::Stopping)?;
        answered.await.map_err(|_| CoordinatorError::Lost)
    }
}

#[cfg(test)]
mod tests;
