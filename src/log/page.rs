//! The value of a Run row: a page of runs. Format version u8, the largest timestamp before the page i64, and then
//! entries of fixed width, so that one is found by offset without decoding the others.

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};

use super::rows::{FORMAT, RowDamage};
use crate::base::{LeaderEpoch, ProducerEpoch, ProducerId};
use crate::store::Place;

/// Entries of a page at most; the next run begins a new page.
pub const RUNS_PER_PAGE_MAX: u32 = 256;

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Consecutive batches, at this place. A commit's own entry has a place relative to the commit's body.
    Data { place: Place },
    /// A transaction marker: no bytes, the reader makes its control batch ([`super::control_batch`]).
    Marker {
        outcome: MarkerOutcome,
        producer: ProducerId,
        producer_epoch: ProducerEpoch,
        coordinator_epoch: i32,
    },
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerOutcome {
    Commit,
    Abort,
}

/// A run: a stretch of consecutive batches of one partition inside one blob, or a transaction marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunEntry {
    pub base_offset: i64,
    /// Offset of the last record, included.
    pub last_offset: i64,
    pub kind: RunKind,
    /// Bytes of the batches.
    pub size: u32,
    pub batch_count: u32,
    pub max_timestamp: i64,
    pub leader_epoch: LeaderEpoch,
}

impl RunEntry {
    /// Bytes of an encoded entry.
    pub const SIZE: usize = 53;
    /// Where the [`Place`] slot lies in an entry.
    pub const PLACE_AT: u32 = 16;

    /// Writes the entry: base and last offset, the slot (place, or producer id, epoch and coordinator epoch), size,
    /// batch count, largest timestamp, leader epoch, kind.
    pub fn encode_to(&self, out: &mut BytesMut) {
        out.put_i64(self.base_offset);
        out.put_i64(self.last_offset);
        let kind = match self.kind {
            RunKind::Data { place } => {
                out.put_slice(&place.encode());
                0
            }
            RunKind::Marker {
                outcome,
                producer,
                producer_epoch,
                coordinator_epoch,
            } => {
                out.put_i64(producer.0);
                out.put_i16(producer_epoch.0);
                out.put_i32(coordinator_epoch);
                out.put_i16(0);
                match outcome {
                    MarkerOutcome::Commit => 1,
                    MarkerOutcome::Abort => 2,
                }
            }
        };
        out.put_u32(self.size);
        out.put_u32(self.batch_count);
        out.put_i64(self.max_timestamp);
        out.put_i32(self.leader_epoch.0);
        out.put_u8(kind);
    }

    fn decode(mut entry: &[u8]) -> Result<Self, RowDamage> {
        let damaged = |field| RowDamage::Field { row: "run", field };
        let rest = &mut entry;
        let short = |_: TryGetError| damaged("length");
        let base_offset = rest.try_get_i64().map_err(short)?;
        let last_offset = rest.try_get_i64().map_err(short)?;
        let slot = rest.try_get_u128().map_err(short)?.to_be_bytes();
        let size = rest.try_get_u32().map_err(short)?;
        let batch_count = rest.try_get_u32().map_err(short)?;
        let max_timestamp = rest.try_get_i64().map_err(short)?;
        let leader_epoch = LeaderEpoch(rest.try_get_i32().map_err(short)?);
        let kind = match rest.try_get_u8().map_err(short)? {
            0 => RunKind::Data {
                place: Place::decode(slot),
            },
            1 => marker(slot, MarkerOutcome::Commit),
            2 => marker(slot, MarkerOutcome::Abort),
            _ => return Err(damaged("kind")),
        };
        if base_offset < 0 || last_offset < base_offset {
            return Err(damaged("offset range"));
        }
        Ok(Self {
            base_offset,
            last_offset,
            kind,
            size,
            batch_count,
            max_timestamp,
            leader_epoch,
        })
    }
}

fn marker(slot: [u8; Place::SIZE], outcome: MarkerOutcome) -> RunKind {
    let mut slot = slot.as_slice();
    RunKind::Marker {
        outcome,
        producer: ProducerId(slot.get_i64()),
        producer_epoch: ProducerEpoch(slot.get_i16()),
        coordinator_epoch: slot.get_i32(),
    }
}

/// A page of runs as stored: entries are decoded one by one, when asked for.
#[derive(Clone, Debug)]
pub struct Page {
    value: Bytes,
}

impl Page {
    /// Bytes before the first entry.
    pub const HEADER_SIZE: usize = 9;
    /// Where the [`Place`] slot of the first entry lies in a page.
    pub const FIRST_PLACE_AT: u32 = 9 + RunEntry::PLACE_AT;

    /// Writes the start of a new page. `max_timestamp_before` is the largest timestamp of all runs before it (-1 none):
    /// it only grows from page to page, so that a page can be looked up by time.
    pub fn encode_header(max_timestamp_before: i64, out: &mut BytesMut) {
        out.put_u8(FORMAT);
        out.put_i64(max_timestamp_before);
    }

    /// Checks format and size of a page row's value.
    pub fn parse(value: Bytes) -> Result<Self, RowDamage> {
        let (row, size) = ("page", value.len());
        match value.first() {
            Some(&FORMAT) => {}
            Some(&format) => return Err(RowDamage::Format { row, format }),
            None => return Err(RowDamage::Size { row, size }),
        }
        match size.checked_sub(Self::HEADER_SIZE) {
            Some(entries) if entries.is_multiple_of(RunEntry::SIZE) => Ok(Self { value }),
            Some(_) | None => Err(RowDamage::Size { row, size }),
        }
    }

    /// The largest timestamp of all runs before this page when it was begun; -1 when there were none.
    pub fn max_timestamp_before(&self) -> i64 {
        (&self.value[1..Self::HEADER_SIZE]).get_i64()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        (self.value.len() - Self::HEADER_SIZE) / RunEntry::SIZE
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at `index`, which is below [`Page::len`].
    pub fn entry(&self, index: usize) -> Result<RunEntry, RowDamage> {
        RunEntry::decode(self.entry_bytes(index))
    }

    /// The index of the first run that ends at or after `offset`: the run that holds it, or, where compaction left a
    /// gap, the next one. [`Page::len`] when all runs lie before it.
    pub fn find(&self, offset: i64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if (&self.entry_bytes(middle)[8..16]).get_i64() < offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The entries from `index` on.
    pub fn entries_from(
        &self,
        index: usize,
    ) -> impl Iterator<Item = Result<RunEntry, RowDamage>> + '_ {
        (index..self.len()).map(|index| self.entry(index))
    }

    /// The page's value without its first `count` entries; its start stays, so that it can still be looked up by time.
    pub(super) fn without_first(&self, count: usize) -> Bytes {
        let kept = self
            .value
            .slice(Self::HEADER_SIZE + count * RunEntry::SIZE..);
        let mut value = BytesMut::with_capacity(Self::HEADER_SIZE + kept.len());
        value.put_slice(&self.value[..Self::HEADER_SIZE]);
        value.put_slice(&kept);
        value.freeze()
    }

    fn entry_bytes(&self, index: usize) -> &[u8] {
        let at = Self::HEADER_SIZE + index * RunEntry::SIZE;
        &self.value[at..at + RunEntry::SIZE]
    }
}
