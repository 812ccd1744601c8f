//! Decide, then apply: what one commit writes for the appends that wait, and what it changes once it is durable.
//!
//! [`Sequencer`] reads [`PartitionLog`]s and gathers one [`Commit`] and the answers; nothing is changed by it. After
//! the commit has returned, [`PartitionLog::apply`] makes the change. If the commit failed, the decision is dropped
//! and the log loaded again. All batches of a partition in one commit lie together in the body: one run.

use std::collections::{HashMap, HashSet};

use bytes::{Bytes, BytesMut};

use super::batch::{Batch, TimestampType};
use super::page::{Page, RUNS_PER_PAGE_MAX, RunEntry, RunKind};
use super::partition::{Change, OpenPage, PartitionLog};
use super::producer::{BatchMark, ProducerError, ProducerState, Verdict};
use super::rows::{Head, page_key, producer_key};
use crate::base::{LeaderEpoch, ProducerId};
use crate::store::{BlobName, Commit, Key, Place, Version, Write};

/// Producers that one partition remembers. At the bound the longest silent ones are forgotten as if they had expired.
pub const PRODUCERS_PER_PARTITION_MAX: usize = 10_000;
/// Producers that one commit forgets at least, where there are as many: so the search for them is rare at the bound,
/// and the commit stays small.
const PRODUCERS_FORGOTTEN: usize = 64;

/// What holds for all appends of a commit.
#[derive(Clone, Copy, Debug)]
pub struct SequenceSettings {
    /// This broker's clock: becomes the log append time.
    pub now_ms: i64,
    pub leader_epoch: LeaderEpoch,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    /// -1 with CreateTime; for a duplicate the stored batch's largest timestamp, as Kafka answers it.
    pub log_append_time_ms: i64,
    pub log_start_offset: i64,
    /// Whether the batch was stored before and this is the answer of then.
    pub duplicate: bool,
}

/// Why an append is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The run of this commit cannot take it; nothing is wrong with the batch: try again.
    #[error("no room in this commit for {size} more bytes of the partition; send the batch again")]
    CommitFull { size: usize },
    /// UNKNOWN_SERVER_ERROR: 2^63 records.
    #[error("offsets of the partition are used up; delete the topic")]
    OffsetsExhausted,
}

/// Gathers the appends of many partitions into one commit.
#[derive(Debug)]
pub struct Sequencer {
    settings: SequenceSettings,
    guards: Vec<(Key, Version)>,
    writes: Vec<Write>,
    /// The rewritten starts of all batches, back to back; where each ends, and what follows it in the body.
    stamps: BytesMut,
    parts: Vec<(usize, Bytes)>,
    body_size: u64,
    changes: Vec<Change>,
}

impl Sequencer {
    /// An empty commit.
    pub fn new(settings: SequenceSettings) -> Self {
        Self {
            settings,
            guards: Vec::new(),
            writes: Vec::new(),
            stamps: BytesMut::new(),
            parts: Vec::new(),
            body_size: 0,
            changes: Vec::new(),
        }
    }

    /// Decides the waiting appends of one partition, in order, and pushes one answer per batch. Called at most once
    /// per partition. The answers count once the commit is durable; if nothing was stored there is nothing to wait
    /// for and the partition has no [`Change`].
    pub fn partition<'a>(
        &mut self,
        log: &PartitionLog,
        batches: impl IntoIterator<Item = &'a Batch>,
        answers: &mut Vec<Result<Appended, AppendError>>,
    ) {
        let mut run = RunInProgress::new(log, self.body_size);
        for batch in batches {
            answers.push(self.append(log, &mut run, batch));
        }
        if run.batch_count > 0 {
            self.finish_run(log, run);
        }
    }

    /// The commit, and the changes in the order of the calls. An empty commit need not be made.
    pub fn finish(self) -> (Commit, Vec<Change>) {
        let stamps = self.stamps.freeze();
        let mut body = Vec::with_capacity(self.parts.len() * 2);
        let mut start = 0;
        for (end, rest) in self.parts {
            body.push(stamps.slice(start..end));
            if !rest.is_empty() {
                body.push(rest);
            }
            start = end;
        }
        let commit = Commit {
            guards: self.guards,
            writes: self.writes,
            body,
        };
        (commit, self.changes)
    }
}

/// The run that one partition gets in this commit, as far as it is decided.
struct RunInProgress {
    head: Head,
    /// Where the run begins in the body.
    position: u64,
    size: u32,
    batch_count: u32,
    max_timestamp: i64,
    producers: Touched,
}

impl RunInProgress {
    fn new(log: &PartitionLog, position: u64) -> Self {
        Self {
            head: log.head,
            position,
            size: 0,
            batch_count: 0,
            max_timestamp: -1,
            producers: Touched::default(),
        }
    }
}

impl Sequencer {
    fn append(
        &mut self,
        log: &PartitionLog,
        run: &mut RunInProgress,
        batch: &Batch,
    ) -> Result<Appended, AppendError> {
        let header = batch.header();
        if header.producer().is_some() {
            if let Verdict::Duplicate(mark) = self.judge(log, run, batch)? {
                return Ok(Appended {
                    base_offset: mark.base_offset,
                    log_append_time_ms: mark.timestamp,
                    log_start_offset: run.head.log_start_offset,
                    duplicate: true,
                });
            }
        } else if header.is_transactional() {
            return Err(ProducerError::InvalidTransactionState.into());
        }
        let base_offset = run.head.next_offset;
        self.place(run, batch)?;
        if let Some((producer, epoch)) = header.producer() {
            let mark = BatchMark {
                first_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                base_offset,
                last_offset_delta: header.last_offset_delta,
                timestamp: batch.stored_max_timestamp(self.settings.now_ms),
            };
            let known = self.live(log, producer).copied();
            let state = run
                .producers
                .entry(producer, || known.unwrap_or(ProducerState::new(epoch)));
            state.push(epoch, mark, self.settings.now_ms);
        }
        Ok(Appended {
            base_offset,
            log_append_time_ms: match batch.timestamps() {
                TimestampType::CreateTime => -1,
                TimestampType::LogAppendTime => self.settings.now_ms,
            },
            log_start_offset: run.head.log_start_offset,
            duplicate: false,
        })
    }

    /// Kafka's rules for the batch of an idempotent producer: duplicates first, then its transaction, then order.
    fn judge(
        &self,
        log: &PartitionLog,
        run: &RunInProgress,
        batch: &Batch,
    ) -> Result<Verdict, ProducerError> {
        let header = batch.header();
        let Some((producer, epoch)) = header.producer() else {
            return Ok(Verdict::Next);
        };
        let known = run.producers.get(producer);
        let state = known.or_else(|| self.live(log, producer));
        let (first, last) = (header.base_sequence, header.last_sequence());
        let verdict = ProducerState::judge(state, epoch, first, last);
        let open = state.is_some_and(|state| state.transaction_first_offset >= 0);
        match verdict {
            Ok(Verdict::Duplicate(_)) => verdict,
            _ if header.is_transactional() && !open => Err(ProducerError::InvalidTransactionState),
            Ok(Verdict::Next) if open && !header.is_transactional() => {
                Err(ProducerError::InvalidTransactionState)
            }
            Ok(Verdict::Next) | Err(_) => verdict,
        }
    }

    /// What is known of a producer, unless that has expired.
    fn live<'a>(&self, log: &'a PartitionLog, producer: ProducerId) -> Option<&'a ProducerState> {
        let SequenceSettings {
            now_ms,
            producer_id_expiration_ms,
            ..
        } = self.settings;
        let state = log.producers.get(&producer)?;
        (!state.is_expired(now_ms, producer_id_expiration_ms)).then_some(state)
    }

    /// Gives the batch its offsets and its place in the body. Changes nothing when it refuses.
    fn place(&mut self, run: &mut RunInProgress, batch: &Batch) -> Result<(), AppendError> {
        let header = batch.header();
        let records = i64::from(header.last_offset_delta) + 1;
        let base_offset = run.head.next_offset;
        let next_offset = base_offset.checked_add(records);
        let next_offset = next_offset.ok_or(AppendError::OffsetsExhausted)?;
        let full = AppendError::CommitFull { size: batch.size() };
        let size = u32::try_from(batch.size()).ok();
        let size = size.and_then(|size| run.size.checked_add(size));
        run.size = size.ok_or(full)?;
        let SequenceSettings {
            now_ms,
            leader_epoch,
            ..
        } = self.settings;
        let rest = batch.stamp(base_offset, leader_epoch, now_ms, &mut self.stamps);
        self.parts.push((self.stamps.len(), rest));
        self.body_size += batch.size() as u64;
        run.batch_count += 1;
        run.head.next_offset = next_offset;
        run.head.size_bytes = run.head.size_bytes.saturating_add(batch.size() as u64);
        let timestamp = batch.stored_max_timestamp(now_ms);
        run.max_timestamp = run.max_timestamp.max(timestamp);
        Ok(())
    }

    /// The rows of one partition: its head, its run in a new or the open page, its producers.
    fn finish_run(&mut self, log: &PartitionLog, run: RunInProgress) {
        let entry = RunEntry {
            base_offset: log.head.next_offset,
            last_offset: run.head.next_offset - 1,
            kind: RunKind::Data {
                place: Place {
                    blob: BlobName(0),
                    position: run.position,
                },
            },
            size: run.size,
            batch_count: run.batch_count,
            max_timestamp: run.max_timestamp,
            leader_epoch: self.settings.leader_epoch,
        };
        let page = self.write_run(log, &entry);
        let mut head = run.head;
        head.leader_epoch = self.settings.leader_epoch;
        if entry.max_timestamp > head.max_timestamp {
            head.max_timestamp = entry.max_timestamp;
            head.max_timestamp_offset = entry.base_offset;
        }
        head.page_base_offset = page.base_offset;
        head.page_entries = page.entries;
        self.guards.push((log.head_key.clone(), log.head_version));
        self.writes.push(Write::Put {
            key: log.head_key.clone(),
            value: head.encode(),
            place_at: None,
        });
        let producers = run.producers.entries;
        let forgotten = self.forgotten(log, &producers);
        for (producer, state) in &producers {
            self.writes.push(Write::Put {
                key: producer_key(log.partition, *producer),
                value: state.encode(),
                place_at: None,
            });
        }
        for producer in &forgotten {
            let key = producer_key(log.partition, *producer);
            self.writes.push(Write::Delete { key });
        }
        self.changes.push(Change {
            partition: log.partition,
            head,
            page,
            run: entry,
            producers,
            forgotten,
        });
    }

    /// Adds the run to the open page, or begins a new one where there is none or it is full.
    fn write_run(&mut self, log: &PartitionLog, entry: &RunEntry) -> OpenPage {
        if let Some(page) = &log.page
            && page.entries < RUNS_PER_PAGE_MAX
        {
            let mut bytes = BytesMut::with_capacity(RunEntry::SIZE);
            entry.encode_to(&mut bytes);
            self.writes.push(Write::Append {
                key: page.key.clone(),
                bytes: bytes.freeze(),
                place_at: Some(RunEntry::PLACE_AT),
            });
            let entries = page.entries + 1;
            return OpenPage {
                entries,
                ..page.clone()
            };
        }
        let mut value = BytesMut::with_capacity(Page::HEADER_SIZE + RunEntry::SIZE);
        Page::encode_header(log.head.max_timestamp, &mut value);
        entry.encode_to(&mut value);
        let page = OpenPage {
            key: page_key(log.partition, entry.base_offset),
            base_offset: entry.base_offset,
            entries: 1,
        };
        self.writes.push(Write::Put {
            key: page.key.clone(),
            value: value.freeze(),
            place_at: Some(Page::FIRST_PLACE_AT),
        });
        page
    }

    /// The producers to forget: looked for only when a new one comes. Those that have expired, and at the bound the
    /// longest silent ones; never one with an open transaction.
    fn forgotten(
        &self,
        log: &PartitionLog,
        touched: &[(ProducerId, ProducerState)],
    ) -> Vec<ProducerId> {
        let is_new = |(producer, _): &&(ProducerId, _)| !log.producers.contains_key(producer);
        let new = touched.iter().filter(is_new).count();
        if new == 0 {
            return Vec::new();
        }
        let over = (log.producers.len() + new).saturating_sub(PRODUCERS_PER_PARTITION_MAX);
        let touched: HashSet<ProducerId> = touched.iter().map(|(producer, _)| *producer).collect();
        let SequenceSettings {
            now_ms,
            producer_id_expiration_ms,
            ..
        } = self.settings;
        let mut silent: Vec<(i64, ProducerId)> = (log.producers.iter())
            .filter(|(_, state)| over > 0 || state.is_expired(now_ms, producer_id_expiration_ms))
            .filter(|(producer, state)| {
                state.transaction_first_offset < 0 && !touched.contains(producer)
            })
            .map(|(producer, state)| (state.last_update_ms, *producer))
            .collect();
        silent.sort_unstable();
        silent.truncate(over.max(PRODUCERS_FORGOTTEN));
        silent.into_iter().map(|(_, producer)| producer).collect()
    }
}

/// Producers whose state this commit changes, in the order in which they came. Most partitions have one; beyond a
/// few an index is kept, so that a commit of thousands does not search for each.
#[derive(Default)]
struct Touched {
    entries: Vec<(ProducerId, ProducerState)>,
    index: HashMap<ProducerId, usize>,
}

impl Touched {
    /// Entries that are searched one by one.
    const SEARCHED: usize = 8;

    fn position(&self, producer: ProducerId) -> Option<usize> {
        if self.index.is_empty() {
            (self.entries.iter()).rposition(|(known, _)| *known == producer)
        } else {
            self.index.get(&producer).copied()
        }
    }

    fn get(&self, producer: ProducerId) -> Option<&ProducerState> {
        self.position(producer).map(|at| &self.entries[at].1)
    }

    fn entry(
        &mut self,
        producer: ProducerId,
        new: impl FnOnce() -> ProducerState,
    ) -> &mut ProducerState {
        let at = self.position(producer).unwrap_or_else(|| {
            self.entries.push((producer, new()));
            let len = self.entries.len();
            if len > Self::SEARCHED {
                let indexed = self.index.len();
                let fresh = self.entries[indexed..].iter().zip(indexed..);
                let fresh = fresh.map(|((producer, _), at)| (*producer, at));
                self.index.extend(fresh);
            }
            len - 1
        });
        &mut self.entries[at].1
    }
}
