//! What of the runs that were read goes into an answer: whole batches, from an offset on, within a budget.

use std::ops::Range;

use bytes::Buf;

use crate::base::Rope;
use crate::log::{FetchBudget, RunEntry};

/// Takes whole batches until enough was taken.
pub(super) struct Cut {
    pub(super) records: Rope,
    /// The offset asked for.
    pub(super) offset: i64,
    /// The offset at which the reader's sight ends.
    pub(super) end: i64,
    pub(super) budget: FetchBudget,
    /// Offsets of the batches that were taken.
    pub(super) covered: u64,
    pub(super) full: bool,
}

impl Cut {
    /// Whether `next` need not be looked at.
    pub(super) fn is_full(&self, next: &RunEntry) -> bool {
        self.full || next.base_offset >= self.end
    }

    /// Takes what is wanted of a run.
    pub(super) fn take(&mut self, run: &RunEntry, bytes: &Rope) {
        let is_wanted = run.base_offset >= self.offset && run.last_offset < self.end;
        if is_wanted && bytes.len() <= self.budget.left && self.budget.admit(bytes.len()) {
            self.records.append(bytes.clone());
            self.covered += run.last_offset.abs_diff(run.base_offset) + 1;
            return;
        }
        let mut wanted = None;
        for batch in batch_spans(bytes) {
            if batch.last_offset < self.offset {
                continue;
            }
            if batch.base_offset >= self.end || !self.budget.admit(batch.size) {
                self.full = true;
                break;
            }
            self.covered += batch.last_offset.abs_diff(batch.base_offset) + 1;
            let start = wanted.map_or(batch.start, |range: Range<usize>| range.start);
            wanted = Some(start..batch.start + batch.size);
        }
        if let Some(range) = wanted {
            self.records.append(bytes.slice(range));
        }
    }
}

struct BatchSpan {
    start: usize,
    size: usize,
    base_offset: i64,
    last_offset: i64,
}

/// Where the batches of a run lie. The bytes were checked when they were taken in or read.
fn batch_spans(bytes: &Rope) -> impl Iterator<Item = BatchSpan> + '_ {
    /// Base offset, length, and everything up to the last offset delta.
    const NEEDED: usize = 27;
    let mut reader = bytes.reader();
    std::iter::from_fn(move || {
        let start = bytes.len() - reader.remaining();
        if reader.remaining() < NEEDED {
            return None;
        }
        let base_offset = reader.get_i64();
        let size = usize::try_from(reader.get_i32()).ok()?.checked_add(12)?;
        reader.advance(NEEDED - 16);
        let last_offset = base_offset.checked_add(i64::from(reader.get_i32()))?;
        let rest = size.checked_sub(NEEDED)?;
        if rest > reader.remaining() {
            return None;
        }
        reader.advance(rest);
        Some(BatchSpan {
            start,
            size,
            base_offset,
            last_offset,
        })
    })
}
