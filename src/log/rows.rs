//! Rows of a partition log: keys and values, big-endian, fixed width, each value beginning with its format version.
//!
//! | space | key | value |
//! | --- | --- | --- |
//! | Head | partition u32 | [`Head`] |
//! | Run | partition u32, 0 u8, base offset u64 | a [`super::Page`] |
//! | Run | partition u32, 1 u8, last offset u64 | [`AbortedTransaction`] |
//! | Producer | partition u32, producer id u64 | [`ProducerState`] |
//!
//! A page grows by Append, one entry per commit, and is found by the offset that its first entry began with: entries
//! below the log start go, the key stays.

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};

use super::producer::{BATCHES_KEPT, BatchMark, ProducerState};
use crate::base::{LeaderEpoch, PartitionNumber, ProducerEpoch, ProducerId};
use crate::store::{Key, KeyRange, Space};

/// The format of values that this build writes, and the only one there has been.
pub(super) const FORMAT: u8 = 1;
/// Kinds of key in the Run space, after the partition.
const PAGE_KEY: u8 = 0;
const ABORTED_KEY: u8 = 1;

/// A row's value is not what any build wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowDamage {
    #[error("{row} row has format {format}, this build knows {FORMAT}; start a newer build")]
    Format { row: &'static str, format: u8 },
    #[error("{row} row of {size} bytes is cut short or too long; restore it or verify the store")]
    Size { row: &'static str, size: usize },
    #[error("{row} row has an impossible {field}; restore it or verify the store")]
    Field {
        row: &'static str,
        field: &'static str,
    },
}

/// Key of a partition's [`Head`].
pub fn head_key(partition: PartitionNumber) -> Key {
    Key::new(Space::Head, partition.0.to_be_bytes().to_vec())
}

/// Key of the page whose first run begins at `base_offset`.
pub fn page_key(partition: PartitionNumber, base_offset: i64) -> Key {
    run_space_key(partition, PAGE_KEY, base_offset)
}

/// Keys of all pages of a partition, in offset order.
pub fn page_keys(partition: PartitionNumber) -> KeyRange {
    run_space_keys(partition, PAGE_KEY)
}

/// Key of an [`AbortedTransaction`].
pub fn aborted_key(partition: PartitionNumber, last_offset: i64) -> Key {
    run_space_key(partition, ABORTED_KEY, last_offset)
}

/// Keys of all aborted transactions of a partition, in the order of their markers.
pub fn aborted_keys(partition: PartitionNumber) -> KeyRange {
    run_space_keys(partition, ABORTED_KEY)
}

/// Key of a [`ProducerState`].
pub fn producer_key(partition: PartitionNumber, producer: ProducerId) -> Key {
    let mut key = Vec::with_capacity(12);
    key.put_u32(partition.0);
    key.put_i64(producer.0);
    Key::new(Space::Producer, key)
}

/// Keys of all producers of a partition.
pub fn producer_keys(partition: PartitionNumber) -> KeyRange {
    KeyRange::prefix(Space::Producer, partition.0.to_be_bytes().to_vec())
}

/// The producer that a key of [`producer_keys`] names.
pub(super) fn producer_of_key(key: &Key) -> Result<ProducerId, RowDamage> {
    let mut bytes = key.bytes.get(4..).unwrap_or_default();
    let id = bytes.try_get_i64().map_err(|_| RowDamage::Field {
        row: "producer",
        field: "key",
    })?;
    Ok(ProducerId(id))
}

fn run_space_key(partition: PartitionNumber, kind: u8, offset: i64) -> Key {
    let mut key = Vec::with_capacity(13);
    key.put_u32(partition.0);
    key.put_u8(kind);
    key.put_i64(offset);
    Key::new(Space::Run, key)
}

fn run_space_keys(partition: PartitionNumber, kind: u8) -> KeyRange {
    let mut prefix = Vec::with_capacity(5);
    prefix.put_u32(partition.0);
    prefix.put_u8(kind);
    KeyRange::prefix(Space::Run, prefix)
}

/// Reads the format byte and turns an early end into [`RowDamage::Size`].
fn decode<T>(
    row: &'static str,
    value: &[u8],
    fields: impl FnOnce(&mut &[u8]) -> Result<T, TryGetError>,
) -> Result<T, RowDamage> {
    let size = value.len();
    let mut rest = value;
    let format = rest.try_get_u8();
    match format {
        Err(_) => Err(RowDamage::Size { row, size }),
        Ok(FORMAT) => match fields(&mut rest) {
            Ok(decoded) if rest.is_empty() => Ok(decoded),
            Ok(_) | Err(_) => Err(RowDamage::Size { row, size }),
        },
        Ok(format) => Err(RowDamage::Format { row, format }),
    }
}

/// The state of a partition log that every append moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The offset that the next record gets: Kafka's log end offset.
    pub next_offset: i64,
    pub log_start_offset: i64,
    /// Bytes of the batches in its pages: those between the two, and what lies below the start and is not removed yet.
    pub size_bytes: u64,
    /// First offset of the oldest open transaction; -1 when none is open, and the last stable offset is the end.
    pub first_unstable_offset: i64,
    /// The epoch of the newest batch, -1 in an empty log.
    pub leader_epoch: LeaderEpoch,
    /// The largest timestamp that the log ever had and the base offset of the (first) run that has it; -1 both before
    /// the first record. The run may lie below the log start by now.
    pub max_timestamp: i64,
    pub max_timestamp_offset: i64,
    /// Base offset of the page that grows, -1 when there is none, and its entries.
    pub page_base_offset: i64,
    pub page_entries: u32,
}

impl Head {
    /// The head of a log that never held a record. A row that is absent means the same.
    pub const EMPTY: Head = Head {
        next_offset: 0,
        log_start_offset: 0,
        size_bytes: 0,
        first_unstable_offset: -1,
        leader_epoch: LeaderEpoch(-1),
        max_timestamp: -1,
        max_timestamp_offset: -1,
        page_base_offset: -1,
        page_entries: 0,
    };
    const SIZE: usize = 65;

    /// What read_committed consumers may read up to (excluded); never below the log start, as in Kafka's
    /// `UnifiedLog.maybeIncrementFirstUnstableOffset`.
    pub fn last_stable_offset(&self) -> i64 {
        if self.first_unstable_offset < 0 {
            self.next_offset
        } else {
            self.first_unstable_offset.max(self.log_start_offset)
        }
    }

    pub fn encode(&self) -> Bytes {
        let mut value = BytesMut::with_capacity(Self::SIZE);
        value.put_u8(FORMAT);
        value.put_i64(self.next_offset);
        value.put_i64(self.log_start_offset);
        value.put_u64(self.size_bytes);
        value.put_i64(self.first_unstable_offset);
        value.put_i32(self.leader_epoch.0);
        value.put_i64(self.max_timestamp);
        value.put_i64(self.max_timestamp_offset);
        value.put_i64(self.page_base_offset);
        value.put_u32(self.page_entries);
        value.freeze()
    }

    pub fn decode(value: &[u8]) -> Result<Self, RowDamage> {
        let head = decode("head", value, |rest| {
            Ok(Self {
                next_offset: rest.try_get_i64()?,
                log_start_offset: rest.try_get_i64()?,
                size_bytes: rest.try_get_u64()?,
                first_unstable_offset: rest.try_get_i64()?,
                leader_epoch: LeaderEpoch(rest.try_get_i32()?),
                max_timestamp: rest.try_get_i64()?,
                max_timestamp_offset: rest.try_get_i64()?,
                page_base_offset: rest.try_get_i64()?,
                page_entries: rest.try_get_u32()?,
            })
        })?;
        if head.log_start_offset < 0 || head.next_offset < head.log_start_offset {
            let field = "offset range";
            return Err(RowDamage::Field { row: "head", field });
        }
        Ok(head)
    }
}

/// An aborted transaction, for read_committed consumers (Kafka's transaction index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer: ProducerId,
    pub first_offset: i64,
    /// The last stable offset when the marker was written: where a search by offset may stop.
    pub last_stable_offset: i64,
}

impl AbortedTransaction {
    pub fn encode(&self) -> Bytes {
        let mut value = BytesMut::with_capacity(25);
        value.put_u8(FORMAT);
        value.put_i64(self.producer.0);
        value.put_i64(self.first_offset);
        value.put_i64(self.last_stable_offset);
        value.freeze()
    }

    pub fn decode(value: &[u8]) -> Result<Self, RowDamage> {
        decode("aborted transaction", value, |rest| {
            Ok(Self {
                producer: ProducerId(rest.try_get_i64()?),
                first_offset: rest.try_get_i64()?,
                last_stable_offset: rest.try_get_i64()?,
            })
        })
    }
}

impl ProducerState {
    /// The row's value: 24 bytes and 28 for each remembered batch.
    pub fn encode(&self) -> Bytes {
        let marks = self.marks();
        let mut value = BytesMut::with_capacity(24 + marks.len() * 28);
        value.put_u8(FORMAT);
        value.put_i16(self.epoch.0);
        value.put_i32(self.coordinator_epoch);
        value.put_i64(self.last_update_ms);
        value.put_i64(self.transaction_first_offset);
        value.put_u8(self.marks_len());
        for mark in marks {
            value.put_i32(mark.first_sequence);
            value.put_i32(mark.last_sequence);
            value.put_i64(mark.base_offset);
            value.put_i32(mark.last_offset_delta);
            value.put_i64(mark.timestamp);
        }
        value.freeze()
    }

    pub fn decode(value: &[u8]) -> Result<Self, RowDamage> {
        decode("producer", value, |rest| {
            let mut state = Self::new(ProducerEpoch(rest.try_get_i16()?));
            state.coordinator_epoch = rest.try_get_i32()?;
            let last_update_ms = rest.try_get_i64()?;
            state.transaction_first_offset = rest.try_get_i64()?;
            let marks = usize::from(rest.try_get_u8()?).min(BATCHES_KEPT);
            for _ in 0..marks {
                let mark = BatchMark {
                    first_sequence: rest.try_get_i32()?,
                    last_sequence: rest.try_get_i32()?,
                    base_offset: rest.try_get_i64()?,
                    last_offset_delta: rest.try_get_i32()?,
                    timestamp: rest.try_get_i64()?,
                };
                state.push(state.epoch, mark, last_update_ms);
            }
            state.last_update_ms = last_update_ms;
            Ok(state)
        })
    }
}
