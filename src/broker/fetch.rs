//! A fetch: read every partition of a session in its order, and wait for more while there is too little.
//!
//! The wait follows Kafka's `ReplicaManager.fetchMessages` and `DelayedFetch`: it ends with enough bytes, at the
//! deadline, or when a partition that could be read has an error or a diverging epoch; a topic that is not known does
//! not end it, as long as another partition can be read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Broker;
use super::answer_memory::Charge;
use super::fetch_session::{PartitionKey, TopicKey, Wanted};
use super::reader::{Isolation, Offsets, Read, ReadError, ReadRequest};
use crate::base::PartitionNumber;
use crate::cluster::Topics;
use crate::log::{FetchBudget, FirstBatch};

/// How much to read and how long to wait for it.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    pub wait_max: Duration,
    pub bytes_min: usize,
    pub bytes_max: usize,
    pub isolation: Isolation,
}

/// What a fetch found in one partition.
#[derive(Debug)]
pub enum Fetched {
    Records(Read),
    /// KIP-595: what the client read last is not what lies here; it truncates to `end_offset` of `epoch`.
    Diverging {
        epoch: i32,
        end_offset: i64,
        offsets: Offsets,
    },
    Failed(FetchError),
}

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("no such topic or partition; ask for metadata")]
    UnknownTopicOrPartition,
    #[error("no topic with this id; ask for metadata")]
    UnknownTopicId,
    #[error(transparent)]
    LeaderEpoch(#[from] LeaderEpochError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A client's leader epoch is not this broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaderEpochError {
    #[error("the leader epoch is older than this broker's; ask for metadata")]
    Fenced,
    #[error("the leader epoch is newer than this broker's; try again")]
    Unknown,
}

/// Bytes that are charged for the first batch of an answer, which is given whole however little was asked for: Kafka's
/// largest by default (`message.max.bytes`). One that is larger, where a topic allows it, is in nobody's budget.
const FIRST_BATCH_SIZE: usize = 1024 * 1024 + 12;

/// The leader epoch of every partition: a broker on its own never loses an election.
pub const LEADER_EPOCH: i32 = 0;

/// Holds the leader epoch that a client believes in against this broker's; -1 is no belief.
pub fn check_leader_epoch(current_leader_epoch: i32) -> Result<(), LeaderEpochError> {
    match current_leader_epoch {
        -1 | LEADER_EPOCH => Ok(()),
        ..LEADER_EPOCH => Err(LeaderEpochError::Fenced),
        _ => Err(LeaderEpochError::Unknown),
    }
}

impl Broker {
    /// Reads the partitions of a fetch in their order; one result for each, and what their records are charged.
    pub async fn fetch(
        &self,
        wanted: &[(PartitionKey, Wanted)],
        limits: FetchLimits,
    ) -> (Vec<Fetched>, Charge) {
        let deadline = Instant::now() + limits.wait_max;
        let mut round = self.fetch_round(wanted, limits, deadline).await;
        if !round.is_enough && !limits.wait_max.is_zero() {
            round = self
                .fetch_when_enough(round, wanted, limits, deadline)
                .await;
        }
        for fetched in &round.fetched {
            if let Fetched::Records(read) = fetched {
                self.reader.count_fetched(read);
            }
        }
        (round.fetched, round.charge)
    }

    /// Reads again whenever one of the partitions has more, until it is enough or too late. While it waits it holds
    /// no record: what many parked fetches have found so far would be in nobody's budget.
    async fn fetch_when_enough(
        &self,
        too_little: Round,
        wanted: &[(PartitionKey, Wanted)],
        limits: FetchLimits,
        deadline: Instant,
    ) -> Round {
        let waiter = Arc::new(Notify::new());
        let parked = self.reader.park(&too_little.readable, &waiter).await;
        drop(too_little);
        loop {
            // Read again after registering: a commit in between has woken nobody.
            let round = self.fetch_round(wanted, limits, deadline).await;
            if round.is_enough || parked.is_err() {
                return round;
            }
            drop(round);
            let waited = tokio::time::timeout_at(deadline, waiter.notified()).await;
            if waited.is_err() {
                return self.fetch_round(wanted, limits, deadline).await;
            }
        }
    }

    async fn fetch_round(
        &self,
        wanted: &[(PartitionKey, Wanted)],
        limits: FetchLimits,
        deadline: Instant,
    ) -> Round {
        let topics = self.catalog.topics();
        let mut round = Round {
            fetched: Vec::with_capacity(wanted.len()),
            readable: Vec::new(),
            is_enough: false,
            charge: Charge::new(&self.answer_memory),
            size: 0,
        };
        let read_ahead_size = self.reader.read_ahead_size(wanted.len());
        for (key, wanted) in wanted {
            let fetched = match find(&topics, key) {
                Ok(partition) => {
                    round.readable.push(partition);
                    let room = limits.bytes_max.saturating_sub(round.size);
                    let first = match round.size {
                        0 => FirstBatch::Whole,
                        _ => FirstBatch::Limited,
                    };
                    let request = ReadRequest {
                        partition,
                        offset: wanted.fetch_offset,
                        budget: FetchBudget {
                            left: room.min(usize::try_from(wanted.bytes_max).unwrap_or(0)),
                            first,
                        },
                        isolation: limits.isolation,
                        read_ahead_size,
                    };
                    self.fetch_charged(*wanted, request, &mut round, deadline)
                        .await
                        .inspect_err(|_| round.is_enough = true)
                }
                Err(error) => Err(error),
            };
            round.is_enough |= matches!(fetched, Ok(Fetched::Diverging { .. }));
            round.fetched.push(fetched.unwrap_or_else(Fetched::Failed));
        }
        round.is_enough |= round.readable.is_empty() || round.size >= limits.bytes_min;
        round
    }

    /// Reads a partition with as much of the memory for answers as there is. Where that is not enough for the first
    /// batch of the answer, waits for it until the deadline.
    async fn fetch_charged(
        &self,
        wanted: Wanted,
        mut request: ReadRequest,
        round: &mut Round,
        deadline: Instant,
    ) -> Result<Fetched, FetchError> {
        let whole = request.budget;
        let needed = match whole.first {
            FirstBatch::Whole => whole.left.max(FIRST_BATCH_SIZE),
            FirstBatch::Limited => whole.left,
        };
        let covered = round.charge.cover(round.size + needed);
        let covered = covered.saturating_sub(round.size);
        let is_short = covered < needed;
        if is_short {
            request.budget = FetchBudget {
                left: whole.left.min(covered),
                first: FirstBatch::Limited,
            };
        }
        let mut fetched = self.fetch_partition(wanted, request).await;
        if is_short && whole.first == FirstBatch::Whole && has_more(&fetched, wanted, request) {
            let patience = deadline.saturating_duration_since(Instant::now());
            if round.charge.wait_for(needed, patience).await {
                let covered = round.charge.cover(needed);
                request.budget.left = whole.left.min(covered);
                request.budget.first = FirstBatch::Whole;
                fetched = self.fetch_partition(wanted, request).await;
            }
        }
        if let Ok(Fetched::Records(read)) = &fetched {
            round.size += read.records.len();
            // Whoever is short of memory gets what there is instead of waiting for more.
            round.is_enough |= is_short && round.size > 0;
        }
        round.charge.settle(round.size);
        fetched
    }

    async fn fetch_partition(
        &self,
        wanted: Wanted,
        request: ReadRequest,
    ) -> Result<Fetched, FetchError> {
        check_leader_epoch(wanted.current_leader_epoch)?;
        if let Some(diverging) = self.diverging(request.partition, wanted).await? {
            return Ok(diverging);
        }
        Ok(Fetched::Records(self.reader.read(request).await?))
    }

    /// Holds the epoch of the client's last record against the log's history, which is one epoch long
    /// (Kafka's `Partition.readRecords`).
    async fn diverging(
        &self,
        partition: PartitionNumber,
        wanted: Wanted,
    ) -> Result<Option<Fetched>, FetchError> {
        if wanted.last_fetched_epoch < 0 {
            return Ok(None);
        }
        let offsets = self.reader.offsets(partition).await?;
        let offset = wanted.fetch_offset;
        if offset < offsets.log_start_offset || wanted.last_fetched_epoch > LEADER_EPOCH {
            return Err(ReadError::OutOfRange { offset, offsets }.into());
        }
        let end_offset = offsets.high_watermark;
        let diverging = Fetched::Diverging {
            epoch: LEADER_EPOCH,
            end_offset,
            offsets,
        };
        Ok((offset > end_offset).then_some(diverging))
    }
}

/// One pass over the partitions of a fetch.
#[derive(Debug)]
struct Round {
    fetched: Vec<Fetched>,
    /// The partitions that exist.
    readable: Vec<PartitionNumber>,
    /// Whether the client need not wait.
    is_enough: bool,
    /// What the records are charged, and how many bytes of them there are.
    charge: Charge,
    size: usize,
}

/// Whether nothing was read although the reader may see more.
fn has_more(fetched: &Result<Fetched, FetchError>, wanted: Wanted, request: ReadRequest) -> bool {
    match fetched {
        Ok(Fetched::Records(read)) => {
            read.records.is_empty() && wanted.fetch_offset < read.offsets.end(request.isolation)
        }
        Ok(Fetched::Diverging { .. } | Fetched::Failed(_)) | Err(_) => false,
    }
}

fn find(topics: &Topics, key: &PartitionKey) -> Result<PartitionNumber, FetchError> {
    let topic = match &key.topic {
        TopicKey::Name(name) => topics
            .by_name(name)
            .ok_or(FetchError::UnknownTopicOrPartition)?,
        TopicKey::Id(id) => topics.by_id(*id).ok_or(FetchError::UnknownTopicId)?,
    };
    let index = usize::try_from(key.index).ok();
    let partition = index.and_then(|index| topic.partitions.get(index));
    partition
        .copied()
        .ok_or(FetchError::UnknownTopicOrPartition)
}
