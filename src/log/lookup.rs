//! What reads need: walking the batches of a run with all the checks that damage must not pass, cutting to the limits
//! of a fetch, and finding the record of a timestamp.

use std::ops::Range;

use super::batch::{ATTRIBUTES_AT, BATCH_HEADER_SIZE, BatchHeader, Codec, MAGIC, TimestampType};
use super::compression::decompress;
use super::deep::timestamp_of;
use super::page::RunEntry;
use super::records::Records;
use super::validate::RecordError;
use crate::base::crc32c;

/// Whether a walk computes CRCs: bytes fresh from a disk need it, bytes that this process just wrote do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Headers,
    HeadersAndCrc,
}

/// Bytes that are not what was written. The caller adds blob and partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batch at byte {position} of the run at offset {run_base_offset}: {reason}")]
pub struct RunDamage {
    pub run_base_offset: i64,
    /// In the run.
    pub position: u64,
    pub reason: &'static str,
}

/// A batch in the bytes that are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAt {
    /// Index of its first byte and its size, in the bytes given to the walk.
    pub start: usize,
    pub size: usize,
    pub header: BatchHeader,
}

impl BatchAt {
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.size
    }
}

/// Where in a run a batch begins: a reader that went this far can go on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPosition {
    /// The base offset that the batch must have: within a run nothing is left out.
    pub offset: i64,
    /// Bytes from the start of the run.
    pub position: u64,
}

/// Iterates over the whole batches in some bytes of a data run. Each is checked: magic, size, base offset, the run's
/// last offset and end, and its CRC if asked for. It stops, without error, before a batch that is not all there;
/// [`RunWalk::next_position`] tells where. Damage ends it.
#[derive(Clone, Debug)]
pub struct RunWalk<'a> {
    run: RunEntry,
    bytes: &'a [u8],
    at: usize,
    /// Position in the run of `bytes[0]`.
    start: u64,
    next_offset: i64,
    check: Check,
    damaged: bool,
}

impl<'a> RunWalk<'a> {
    /// Walks `bytes`, which begin at `from` in the run.
    pub fn new(run: &RunEntry, from: RunPosition, bytes: &'a [u8], check: Check) -> Self {
        Self {
            run: *run,
            bytes,
            at: 0,
            start: from.position,
            next_offset: from.offset,
            check,
            damaged: false,
        }
    }

    /// Where the next batch begins.
    pub fn next_position(&self) -> RunPosition {
        RunPosition {
            offset: self.next_offset,
            position: self.start + self.at as u64,
        }
    }

    /// Whether every batch of the run has been seen.
    pub fn is_at_end(&self) -> bool {
        self.next_position().position >= u64::from(self.run.size)
    }

    fn next_batch(&mut self) -> Result<Option<BatchAt>, &'static str> {
        let left_in_run = u64::from(self.run.size).saturating_sub(self.next_position().position);
        let rest = &self.bytes[self.at..];
        if left_in_run == 0 {
            return Ok(None);
        }
        if left_in_run < BATCH_HEADER_SIZE as u64 {
            return Err("the run ends inside a batch header");
        }
        let Some(header) = BatchHeader::parse(rest) else {
            return Ok(None);
        };
        let size = check_header(&header, &self.run, self.next_offset, left_in_run)?;
        let Some(batch) = rest.get(..size) else {
            return Ok(None);
        };
        if self.check == Check::HeadersAndCrc && crc32c(&batch[ATTRIBUTES_AT..]) != header.crc {
            return Err("its CRC does not match");
        }
        let start = self.at;
        self.at += size;
        self.next_offset = header.next_offset();
        Ok(Some(BatchAt {
            start,
            size,
            header,
        }))
    }
}

impl Iterator for RunWalk<'_> {
    type Item = Result<BatchAt, RunDamage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.damaged {
            return None;
        }
        let batch = self.next_batch().map_err(|reason| RunDamage {
            run_base_offset: self.run.base_offset,
            position: self.next_position().position,
            reason,
        });
        self.damaged = batch.is_err();
        batch.transpose()
    }
}

/// The header of the batch that must begin at or after `next_offset`; gives its size.
fn check_header(
    header: &BatchHeader,
    run: &RunEntry,
    next_offset: i64,
    left_in_run: u64,
) -> Result<usize, &'static str> {
    if header.magic != MAGIC {
        return Err("its magic is not 2");
    }
    let size = header.size().ok_or("its length is below a header")?;
    if size as u64 > left_in_run {
        return Err("it is longer than its run");
    }
    if header.base_offset != next_offset {
        return Err("its base offset does not follow the batch before it");
    }
    if header.last_offset_delta < 0 || header.last_offset() > run.last_offset {
        return Err("its last offset is beyond its run");
    }
    if size as u64 == left_in_run && header.last_offset() != run.last_offset {
        return Err("the last batch of the run does not end at the run's last offset");
    }
    Ok(size)
}

/// The start of a run.
impl RunEntry {
    pub fn start(&self) -> RunPosition {
        RunPosition {
            offset: self.base_offset,
            position: 0,
        }
    }
}

/// The rule of KIP-74: limits hold, but the first batch of an answer is given whole even beyond them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstBatch {
    /// Nothing is in the answer yet.
    Whole,
    /// Something is: the limit holds.
    Limited,
}

/// What may still go into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchBudget {
    pub left: usize,
    pub first: FirstBatch,
}

impl FetchBudget {
    /// Takes `size` bytes out of the budget, if they may go into the answer.
    pub fn admit(&mut self, size: usize) -> bool {
        let admitted = size <= self.left || self.first == FirstBatch::Whole;
        if admitted {
            self.left = self.left.saturating_sub(size);
            self.first = FirstBatch::Limited;
        }
        admitted
    }
}

/// A record that was found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordAt {
    pub offset: i64,
    pub timestamp: i64,
}

/// The first record of a stored batch at or after `offset_min` whose timestamp is `timestamp` or later: the exact
/// record, for which a compressed batch is unpacked (to `size_max` bytes at most).
pub fn first_record_since(
    batch: &[u8],
    timestamp: i64,
    offset_min: i64,
    size_max: usize,
) -> Result<Option<RecordAt>, RecordError> {
    let header = BatchHeader::parse(batch).ok_or(RecordError::Corrupt {
        reason: "it is shorter than a header",
    })?;
    if header.max_timestamp < timestamp {
        return Ok(None);
    }
    if header.timestamp_type() == TimestampType::LogAppendTime && header.base_offset >= offset_min {
        // All records have the batch's timestamp.
        return Ok(Some(RecordAt {
            offset: header.base_offset,
            timestamp: header.max_timestamp,
        }));
    }
    let mut first = None;
    each_record(batch, &header, size_max, |found| {
        let is_wanted = found.timestamp >= timestamp && found.offset >= offset_min;
        first = is_wanted.then_some(found);
        !is_wanted
    })?;
    Ok(first)
}

/// The first record with the largest timestamp among those of a stored batch at or after `offset_min`; a compressed
/// batch is unpacked to `size_max` bytes at most.
pub fn largest_record_from(
    batch: &[u8],
    offset_min: i64,
    size_max: usize,
) -> Result<Option<RecordAt>, RecordError> {
    let header = BatchHeader::parse(batch).ok_or(RecordError::Corrupt {
        reason: "it is shorter than a header",
    })?;
    let mut largest: Option<RecordAt> = None;
    each_record(batch, &header, size_max, |found| {
        let is_larger = largest.is_none_or(|largest| found.timestamp > largest.timestamp);
        if is_larger && found.offset >= offset_min {
            largest = Some(found);
        }
        true
    })?;
    Ok(largest)
}

/// Hands the records of a stored batch to `take` in order until it has enough (returns false).
fn each_record(
    batch: &[u8],
    header: &BatchHeader,
    size_max: usize,
    mut take: impl FnMut(RecordAt) -> bool,
) -> Result<(), RecordError> {
    let mut walk = |section: &[u8]| {
        for record in Records::new(section, header.record_count) {
            let record = record?;
            let found = RecordAt {
                offset: (header.base_offset).saturating_add(i64::from(record.offset_delta)),
                timestamp: timestamp_of(&record, header),
            };
            if !take(found) {
                break;
            }
        }
        Ok(())
    };
    let section = &batch[BATCH_HEADER_SIZE..];
    match header.codec() {
        Some(Codec::None) => walk(section),
        Some(codec) => walk(&decompress(codec, section, size_max)?),
        None => Err(RecordError::Corrupt {
            reason: "its compression type is unknown",
        }),
    }
}
