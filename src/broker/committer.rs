//! The one writer of partition logs: takes the appends that wait, decides them (`log::sequence`), commits, publishes,
//! answers. While one commit is on its way to the disk the next one gathers: group commit without a timer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::cache::BlockCache;
use super::catalog::Catalog;
use super::partitions::{LoadError, Partitions, Seen};
use super::trim::LogOwner;
use crate::base::{BoxFuture, Clock, LeaderEpoch, PartitionNumber, Rope};
use crate::config::keys;
use crate::log::{
    AppendError, Appended, Batch, Change, PartitionLog, RunKind, SequenceSettings, Sequencer,
    head_key, producer_keys,
};
use crate::metrics::table;
use crate::store::{Commit, Key, Limit, Order, Outcome, Place, Row, Store, StoreError, Version};

mod trimming;

pub use trimming::{DeleteRecords, TrimError};
use trimming::{Target, TrimAnswers};

/// Requests that may wait for the committer before connections do.
const JOBS_MAX: usize = 1024;

/// Bytes of record batches after which a commit takes no further request.
pub const COMMIT_BYTES_MAX: usize = 8 << 20;

/// Times that a commit is decided anew because rows had changed under it.
const ATTEMPTS_MAX: u32 = 3;

/// Partitions and producers whose state is kept in memory; past either bound all of it is dropped and read again as it
/// is touched.
const PARTITIONS_KEPT_MAX: usize = 100_000;
const PRODUCERS_KEPT_MAX: usize = 400_000;

/// Bytes that one of each takes, about.
const PARTITION_KEPT_SIZE: usize = 300;
const PRODUCER_KEPT_SIZE: usize = 250;

/// Bytes that the kept state of partitions and producers takes at most, about.
pub const STATE_SIZE_MAX: usize =
    PARTITIONS_KEPT_MAX * PARTITION_KEPT_SIZE + PRODUCERS_KEPT_MAX * PRODUCER_KEPT_SIZE;

/// Commits between two looks at those bounds.
const COMMITS_BETWEEN_CHECKS: u64 = 256;

/// Runs whose pieces are smaller on average than this are copied together for the cache, bytes: a piece of its own
/// would cost more memory than it shares, and keep its whole request alive.
const CACHED_PIECE_MIN: usize = 4096;

/// A batch on its way into a log.
#[derive(Debug)]
pub struct Append {
    /// The topic that the partition was found in: an append to one that has been deleted since is refused.
    pub topic_id: Uuid,
    pub partition: PartitionNumber,
    pub batch: Batch,
}

/// Why a batch was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("the topic has been deleted; ask for metadata again")]
    TopicDeleted,
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("rows changed under the commit {ATTEMPTS_MAX} times; try again")]
    Contended,
    #[error("the broker is stopping; ask again when it is back")]
    Stopping,
}

/// What became of each append of a request, in its order.
pub type AppendAnswers = Vec<Result<Appended, ProduceError>>;

#[derive(Debug)]
enum Job {
    Append {
        appends: Vec<Append>,
        answer: oneshot::Sender<AppendAnswers>,
    },
    Trim {
        targets: Vec<Target>,
        answer: oneshot::Sender<TrimAnswers>,
    },
    Forget {
        partitions: Vec<PartitionNumber>,
        done: oneshot::Sender<()>,
    },
}

/// The way to the committer's task. Cheap to clone; the task ends when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Committer {
    jobs: mpsc::Sender<Job>,
}

/// What the committer works with.
#[derive(Debug)]
pub(crate) struct CommitterParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) catalog: Catalog,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Committer {
    /// Starts the task.
    pub(crate) fn start(parts: CommitterParts) -> Self {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        tokio::spawn(
            Task {
                parts,
                logs: HashMap::new(),
                commits: 0,
            }
            .run(waiting),
        );
        Self { jobs }
    }

    /// Hands a request's batches over. Their place in the order is settled when this returns; the answer follows on
    /// the receiver, which may be dropped without harm.
    pub async fn append(
        &self,
        appends: Vec<Append>,
    ) -> Result<oneshot::Receiver<AppendAnswers>, ProduceError> {
        let (answer, receiver) = oneshot::channel();
        let job = Job::Append { appends, answer };
        self.jobs
            .send(job)
            .await
            .map_err(|_| ProduceError::Stopping)?;
        Ok(receiver)
    }

    /// A barrier: when it returns, no append to these partitions is under way, and none will be if their topic is
    /// gone from the catalog.
    async fn forget_all(&self, partitions: Vec<PartitionNumber>) {
        let (done, receiver) = oneshot::channel();
        if self
            .jobs
            .send(Job::Forget { partitions, done })
            .await
            .is_ok()
        {
            // An error means that the task has ended, and with it every append.
            let _ = receiver.await;
        }
    }
}

impl LogOwner for Committer {
    fn forget(&self, partitions: Vec<PartitionNumber>) -> BoxFuture<'_, ()> {
        Box::pin(self.forget_all(partitions))
    }

    fn trim(&self, partition: PartitionNumber) -> BoxFuture<'_, Result<bool, TrimError>> {
        Box::pin(self.trim_rest(partition))
    }
}

#[derive(Debug)]
struct Task {
    parts: CommitterParts,
    logs: HashMap<PartitionNumber, PartitionLog>,
    commits: u64,
}

/// The requests of one commit.
#[derive(Debug, Default)]
struct Round {
    requests: Vec<oneshot::Sender<AppendAnswers>>,
    items: Vec<Item>,
    bytes: usize,
}

/// One batch of a round, and which answer of which request it gets.
#[derive(Debug)]
struct Item {
    append: Append,
    request: usize,
    slot: usize,
    answer: Option<Result<Appended, ProduceError>>,
}

impl Round {
    fn add(&mut self, appends: Vec<Append>, answer: oneshot::Sender<AppendAnswers>) {
        let request = self.requests.len();
        self.requests.push(answer);
        for (slot, append) in appends.into_iter().enumerate() {
            self.bytes += append.batch.size();
            self.items.push(Item {
                append,
                request,
                slot,
                answer: None,
            });
        }
    }

    /// Sends every request its answers.
    fn answer(self) {
        let mut answers: Vec<AppendAnswers> = self.requests.iter().map(|_| Vec::new()).collect();
        let mut items = self.items;
        items.sort_unstable_by_key(|item| (item.request, item.slot));
        for item in items {
            let answer = item.answer.unwrap_or(Err(ProduceError::Stopping));
            answers[item.request].push(answer);
        }
        for (request, answers) in self.requests.into_iter().zip(answers) {
            // The client may have gone away meanwhile.
            let _ = request.send(answers);
        }
    }
}

impl Task {
    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        while let Some(job) = waiting.recv().await {
            let mut round = Round::default();
            let mut next = Some(job);
            while let Some(job) = next.take() {
                match job {
                    Job::Append { appends, answer } => round.add(appends, answer),
                    // Everything before these two in the queue goes first.
                    Job::Trim { targets, answer } => {
                        self.commit(std::mem::take(&mut round)).await;
                        // Whoever asked may have gone away meanwhile.
                        let _ = answer.send(self.trim(&targets).await);
                    }
                    Job::Forget { partitions, done } => {
                        self.commit(std::mem::take(&mut round)).await;
                        self.forget(&partitions);
                        let _ = done.send(());
                    }
                }
                if round.bytes < COMMIT_BYTES_MAX {
                    next = waiting.try_recv().ok();
                }
            }
            self.commit(round).await;
        }
    }

    fn forget(&mut self, partitions: &[PartitionNumber]) {
        for partition in partitions {
            self.logs.remove(partition);
        }
        self.parts.partitions.forget(partitions);
    }

    /// Takes a round to its end: every request has its answer when this returns.
    async fn commit(&mut self, mut round: Round) {
        // A stable sort: the batches of a partition stay in the order in which they came.
        round.items.sort_by_key(|item| item.append.partition);
        self.refuse_deleted(&mut round.items);
        for attempt in 1..=ATTEMPTS_MAX {
            self.load(&mut round.items).await;
            match self.try_commit(&mut round.items).await {
                Attempt::Ended => break,
                Attempt::Conflict if attempt == ATTEMPTS_MAX => {
                    fail_waiting(&mut round.items, &ProduceError::Contended);
                }
                Attempt::Conflict => {}
            }
        }
        if !round.requests.is_empty() {
            table::COMMIT_REQUESTS.observe(round.requests.len() as u64);
        }
        round.answer();
        self.bound_memory();
    }

    fn refuse_deleted(&self, items: &mut [Item]) {
        let topics = self.parts.catalog.topics();
        let mut last_alive = None;
        for item in items {
            let topic_id = item.append.topic_id;
            if last_alive == Some(topic_id) || topics.by_id(topic_id).is_some() {
                last_alive = Some(topic_id);
            } else {
                item.answer = Some(Err(ProduceError::TopicDeleted));
            }
        }
    }

    /// Reads the state of every partition of the round that is not in memory.
    async fn load(&mut self, items: &mut [Item]) {
        for group in items.chunk_by_mut(|a, b| a.append.partition == b.append.partition) {
            let partition = group[0].append.partition;
            if self.logs.contains_key(&partition) || group.iter().all(|i| i.answer.is_some()) {
                continue;
            }
            match load_log(self.parts.store.as_ref(), partition).await {
                Ok(log) => {
                    self.logs.insert(partition, log);
                }
                Err(error) => {
                    tracing::error!(partition = partition.0, %error, "partition cannot be written");
                    fail_waiting(group, &error.into());
                }
            }
        }
    }

    /// Decides all that waits, commits it, and answers it if it did not conflict.
    async fn try_commit(&mut self, items: &mut [Item]) -> Attempt {
        let config = self.parts.catalog.config();
        let mut sequencer = Sequencer::new(SequenceSettings {
            now_ms: self.parts.clock.now_ms(),
            leader_epoch: LeaderEpoch(0),
            producer_id_expiration_ms: config.get(keys::PRODUCER_ID_EXPIRATION_MS).into(),
        });
        let mut decided = Vec::with_capacity(items.len());
        for group in items.chunk_by(|a, b| a.append.partition == b.append.partition) {
            let Some(log) = self.logs.get(&group[0].append.partition) else {
                continue;
            };
            let waiting = group.iter().filter(|item| item.answer.is_none());
            sequencer.partition(log, waiting.map(|item| &item.append.batch), &mut decided);
        }
        let (commit, changes) = sequencer.finish();
        let error = match self.store_commit(commit, changes).await {
            Ok(()) => None,
            Err(CommitError::Conflict) => return Attempt::Conflict,
            Err(CommitError::Store(error)) => Some(error),
        };
        let waiting = items.iter_mut().filter(|item| item.answer.is_none());
        for (item, decided) in waiting.zip(decided) {
            // A refusal stands whatever became of the commit; a success does not.
            item.answer = Some(match (&error, decided) {
                (Some(error), Ok(_)) => Err(error.clone().into()),
                (_, decided) => decided.map_err(ProduceError::from),
            });
        }
        Attempt::Ended
    }

    /// Commits and publishes. After a failure the partitions concerned are read anew before they are written again.
    async fn store_commit(
        &mut self,
        commit: Commit,
        changes: Vec<Change>,
    ) -> Result<(), CommitError> {
        if changes.is_empty() {
            return Ok(());
        }
        let body = commit.body.clone();
        let begun = Instant::now();
        match self.parts.store.commit(commit).await {
            Ok(Outcome::Done { version, blob }) => {
                table::COMMIT_DURATION.observe_since(begun);
                table::COMMIT_BYTES.observe(body.iter().map(|piece| piece.len() as u64).sum());
                self.publish(changes, version, blob, body);
                Ok(())
            }
            Ok(Outcome::Conflict(_)) => {
                self.drop_logs(&changes);
                Err(CommitError::Conflict)
            }
            Err(error) => {
                tracing::error!(%error, "commit failed, {} partitions not written", changes.len());
                self.drop_logs(&changes);
                Err(CommitError::Store(error))
            }
        }
    }

    fn publish(
        &mut self,
        changes: Vec<Change>,
        version: Version,
        blob: Option<Place>,
        body: Vec<Bytes>,
    ) {
        let mut pieces = body.into_iter();
        let mut views = Vec::with_capacity(changes.len());
        for change in changes {
            let Some(log) = self.logs.get_mut(&change.partition) else {
                continue;
            };
            let run = log.apply(change, version, blob);
            if let RunKind::Data { place } = run.kind {
                let bytes = take_run(&mut pieces, run.size as usize);
                self.parts.cache.insert(place, bytes);
            }
            let (partition, head) = (log.partition(), *log.head());
            views.push(self.parts.partitions.publish(
                partition,
                head,
                version,
                Seen::Appended(run),
            ));
        }
        for view in views {
            view.wake();
        }
    }

    fn drop_logs(&mut self, changes: &[Change]) {
        for change in changes {
            self.logs.remove(&change.partition);
        }
    }

    fn bound_memory(&mut self) {
        self.commits = self.commits.wrapping_add(1);
        if !self.commits.is_multiple_of(COMMITS_BETWEEN_CHECKS) {
            return;
        }
        let producers: usize = self.logs.values().map(PartitionLog::producers_len).sum();
        if self.logs.len() > PARTITIONS_KEPT_MAX || producers > PRODUCERS_KEPT_MAX {
            tracing::debug!(
                partitions = self.logs.len(),
                "dropped the committer's state to bound memory"
            );
            self.logs.clear();
        }
    }
}

/// How an attempt to commit a round ended.
enum Attempt {
    Ended,
    Conflict,
}

enum CommitError {
    Conflict,
    Store(StoreError),
}

fn fail_waiting(items: &mut [Item], error: &ProduceError) {
    for item in items.iter_mut().filter(|item| item.answer.is_none()) {
        item.answer = Some(Err(error.clone()));
    }
}

/// The next `size` bytes of a commit's body, as the cache keeps them.
fn take_run(pieces: &mut impl Iterator<Item = Bytes>, size: usize) -> Rope {
    let mut rope = Rope::new();
    while rope.len() < size {
        let Some(piece) = pieces.next() else { break };
        rope.push(piece);
    }
    let average = rope.len() / rope.pieces().len().max(1);
    if average < CACHED_PIECE_MIN {
        Bytes::from(rope.pieces().concat()).into()
    } else {
        rope
    }
}

async fn load_log(
    store: &dyn Store,
    partition: PartitionNumber,
) -> Result<PartitionLog, LoadError> {
    let key: Key = head_key(partition);
    let head = store.get(std::slice::from_ref(&key)).await?.pop();
    let absent = || Row {
        key,
        version: Version::ABSENT,
        value: None,
    };
    let limit = Limit {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    let producers = store
        .scan(producer_keys(partition), Order::Ascending, limit)
        .await?;
    Ok(PartitionLog::load(
        partition,
        &head.unwrap_or_else(absent),
        &producers,
    )?)
}
