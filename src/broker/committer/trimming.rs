//! Raising log starts and removing what lies below them. The committer does it between two commits of appends: it alone
//! writes heads and pages, so neither can conflict with an append.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::{ATTEMPTS_MAX, Committer, Job, Task, load_log};
use crate::base::PartitionNumber;
use crate::broker::catalog;
use crate::broker::partitions::{LoadError, Seen};
use crate::cluster::{self, RowError, Trim, TrimSubject};
use crate::log::{LogStartError, LogTrim, aborted_below, pages_below};
use crate::store::{Commit, Limit, Order, Outcome, StoreError, Version, Write};

/// What is read of a log at a time, and so what one commit removes of it: pages are up to 14 KiB each.
const STEP: Limit = Limit {
    rows: 16,
    bytes: 256 << 10,
};

/// Logs that one commit changes at most.
const LOGS_PER_COMMIT_MAX: usize = 16;

/// Records to delete: all before `offset`, or all there are ([`crate::log::HIGH_WATERMARK`]).
#[derive(Clone, Copy, Debug)]
pub struct DeleteRecords {
    /// The topic that the partition was found in.
    pub topic_id: Uuid,
    pub partition: PartitionNumber,
    pub offset: i64,
}

/// Why a log was not trimmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    #[error(transparent)]
    OutOfRange(#[from] LogStartError),
    #[error("the topic has been deleted; ask for metadata again")]
    TopicDeleted,
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("rows changed under the commit {ATTEMPTS_MAX} times; try again")]
    Contended,
    #[error("the broker is stopping; ask again when it is back")]
    Stopping,
}

impl From<StoreError> for TrimError {
    fn from(error: StoreError) -> Self {
        TrimError::Load(error.into())
    }
}

/// What became of a log: where it begins now, and whether anything was changed, so that more may be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trimmed {
    log_start_offset: i64,
    changed: bool,
}

pub(super) type TrimAnswers = Vec<Result<Trimmed, TrimError>>;

/// One log of a [`Job::Trim`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Delete(DeleteRecords),
    /// Removes what is left below the log start.
    Rest(PartitionNumber),
}

impl Target {
    fn partition(self) -> PartitionNumber {
        match self {
            Target::Delete(DeleteRecords { partition, .. }) | Target::Rest(partition) => partition,
        }
    }
}

impl Committer {
    /// Deletes records: when this returns their logs begin where the answers say. The space that they took is given
    /// back later, by the trim job. A partition must not occur twice.
    pub async fn delete_records(
        &self,
        requests: &[DeleteRecords],
    ) -> Result<Vec<Result<i64, TrimError>>, TrimError> {
        let targets = requests.iter().copied().map(Target::Delete).collect();
        let answers = self.ask_to_trim(targets).await?.into_iter();
        let starts = answers.map(|answer| answer.map(|trimmed| trimmed.log_start_offset));
        Ok(starts.collect())
    }

    /// Removes some of what lies below a log's start. Returns whether more may be left.
    pub(super) async fn trim_rest(&self, partition: PartitionNumber) -> Result<bool, TrimError> {
        let mut answers = self.ask_to_trim(vec![Target::Rest(partition)]).await?;
        let trimmed = answers.pop().unwrap_or(Err(TrimError::Stopping))?;
        Ok(trimmed.changed)
    }

    async fn ask_to_trim(&self, targets: Vec<Target>) -> Result<TrimAnswers, TrimError> {
        let (answer, receiver) = oneshot::channel();
        let job = Job::Trim { targets, answer };
        self.jobs.send(job).await.map_err(|_| TrimError::Stopping)?;
        receiver.await.map_err(|_| TrimError::Stopping)
    }
}

/// What is decided of one log; without a trim nothing changes.
struct Decided {
    log_start_offset: i64,
    trim: Option<LogTrim>,
}

impl Task {
    pub(super) async fn trim(&mut self, targets: &[Target]) -> TrimAnswers {
        let mut answers = Vec::with_capacity(targets.len());
        for some in targets.chunks(LOGS_PER_COMMIT_MAX) {
            answers.extend(self.trim_some(some).await);
        }
        let changed = |answer: &Result<Trimmed, _>| answer.as_ref().is_ok_and(|one| one.changed);
        if answers.iter().any(changed) {
            self.parts.catalog.ask_for_trim();
        }
        answers
    }

    /// Takes a few logs to their end in one commit.
    async fn trim_some(&mut self, targets: &[Target]) -> TrimAnswers {
        for _ in 0..ATTEMPTS_MAX {
            let mut commit = Commit::default();
            let mut decided = Vec::with_capacity(targets.len());
            for target in targets {
                decided.push(self.decide(*target, &mut commit).await);
            }
            let stored = match commit.writes.is_empty() {
                true => Ok(Outcome::Done {
                    version: Version::ABSENT,
                    blob: None,
                }),
                false => self.parts.store.commit(commit).await,
            };
            match stored {
                Ok(Outcome::Done { version, .. }) => {
                    let answers = decided.into_iter();
                    return answers
                        .map(|one| Ok(self.publish_trim(&one?, version)))
                        .collect();
                }
                Ok(Outcome::Conflict(_)) => self.drop_targets(targets),
                Err(error) => {
                    tracing::error!(%error, "commit failed, {} log starts not raised", targets.len());
                    self.drop_targets(targets);
                    let fail =
                        |one: Result<Decided, _>| Err(one.err().unwrap_or(error.clone().into()));
                    return decided.into_iter().map(fail).collect();
                }
            }
        }
        targets.iter().map(|_| Err(TrimError::Contended)).collect()
    }

    /// Decides one log and adds what it writes to the commit.
    async fn decide(&mut self, target: Target, commit: &mut Commit) -> Result<Decided, TrimError> {
        let partition = target.partition();
        if let Target::Delete(DeleteRecords { topic_id, .. }) = target
            && self.parts.catalog.topics().by_id(topic_id).is_none()
        {
            return Err(TrimError::TopicDeleted);
        }
        let store = self.parts.store.as_ref();
        let log = match self.logs.entry(partition) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(load_log(store, partition).await?),
        };
        let log_start_offset = match target {
            Target::Delete(DeleteRecords { offset, .. }) => log.log_start_for(offset)?,
            Target::Rest(_) => log.head().log_start_offset,
        };
        let scan = |range| store.scan(range, Order::Ascending, STEP);
        let pages = scan(pages_below(partition, log_start_offset)).await?;
        let aborted = scan(aborted_below(partition, log_start_offset)).await?;
        let trim = log.trim(log_start_offset, &pages, &aborted);
        let trim = trim.map_err(LoadError::from)?;
        if let Some(trim) = &trim {
            let key = cluster::log_trim_key(partition);
            let row = catalog::get(store, key.clone()).await?;
            let known = row.value.map(|value| cluster::decode_trim(&key, &value));
            let mut blobs = known.transpose()?.map_or(BTreeSet::new(), |row| row.blobs);
            blobs.extend(&trim.blobs);
            let subject = TrimSubject::Log(partition);
            commit.guards.extend(trim.guards.iter().cloned());
            commit.guards.push((key.clone(), row.version));
            commit.writes.extend(trim.writes.iter().cloned());
            commit.writes.push(Write::Put {
                key,
                value: cluster::encode_trim(&Trim { subject, blobs }),
                place_at: None,
            });
        }
        Ok(Decided {
            log_start_offset,
            trim,
        })
    }

    fn publish_trim(&mut self, decided: &Decided, version: Version) -> Trimmed {
        let log = (decided.trim.as_ref()).and_then(|trim| self.logs.get_mut(&trim.partition()));
        if let (Some(log), Some(trim)) = (log, &decided.trim) {
            let head = log.apply_trim(trim, version);
            let partition = trim.partition();
            let view = (self.parts.partitions).publish(partition, head, version, Seen::Trimmed);
            view.wake();
        }
        Trimmed {
            log_start_offset: decided.log_start_offset,
            changed: decided.trim.is_some(),
        }
    }

    fn drop_targets(&mut self, targets: &[Target]) {
        for target in targets {
            self.logs.remove(&target.partition());
        }
    }
}
