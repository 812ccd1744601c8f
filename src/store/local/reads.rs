//! Reads: rows from the overlay and sled as of one moment, bytes from segments.

use std::collections::BTreeSet;
use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;

use super::aligned::{round_down, round_up};
use super::codec::{to_u64, to_usize};
use super::frames::FrameReader;
use super::ops::Ops;
use super::overlay::Cell;
use super::rows::RowsFailure;
use super::segment::Segment;
use super::shared::Shared;
use crate::store::{BlobName, Key, KeyRange, Limit, Order, Row, Space, StoreError, Version};

/// Ranges that lie closer than this are read in one go, in bytes.
const GAP_MAX: u64 = 64 * 1024;

fn row(key: Key, cell: Cell) -> Row {
    let (version, value) = cell.unzip();
    Row {
        key,
        version: Version(version.unwrap_or(0)),
        value,
    }
}

impl Shared {
    /// A row as it stands.
    pub(super) fn row(&self, key: &Key) -> Result<Row, StoreError> {
        let encoded = key.encode();
        let cell = match self.overlay.get(&encoded) {
            Some(cell) => cell,
            None => self.rows.get(&encoded)?,
        };
        Ok(row(key.clone(), cell))
    }

    /// The rows of `keys` as of one moment.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Row>, StoreError> {
        let encoded: Vec<Bytes> = keys.iter().map(Key::encode).collect();
        // The pin is held until sled has been read.
        let (cells, _pin) = self.overlay.get_all(&encoded);
        let mut rows = Vec::with_capacity(keys.len());
        for ((key, encoded), cell) in keys.iter().zip(&encoded).zip(cells) {
            let cell = match cell {
                Some(cell) => cell,
                None => self.rows.get(encoded)?,
            };
            rows.push(row(key.clone(), cell));
        }
        Ok(rows)
    }

    /// The rows of a range as of one moment.
    pub(super) fn scan(
        &self,
        range: &KeyRange,
        order: Order,
        limit: Limit,
    ) -> Result<Vec<Row>, StoreError> {
        let Some((start, end)) = encoded_range(range) else {
            return Ok(Vec::new());
        };
        let mut rows = Vec::new();
        let mut bytes = 0;
        self.merged((&start, &end), order, limit, |key, version, value| {
            bytes += key.len() - 1 + value.len();
            let is_over = rows.len() >= limit.rows || bytes > limit.bytes;
            if is_over && !rows.is_empty() {
                return false;
            }
            if let Some(key) = Key::decode(&key) {
                rows.push(row(key, Some((version, value))));
            }
            true
        })?;
        Ok(rows)
    }

    /// Hands the rows of a range of encoded keys to `take` in order until it has enough (returns false). `limit` says
    /// when it will have enough at the latest.
    pub(super) fn merged(
        &self,
        (start, end): (&[u8], &[u8]),
        order: Order,
        limit: Limit,
        mut take: impl FnMut(Bytes, u64, Bytes) -> bool,
    ) -> Result<(), RowsFailure> {
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        let (part, _pin) = self.overlay.range(bounds, order, limit.rows, limit.bytes);
        let mut newer = part.rows.into_iter().peekable();
        let mut wants_more = true;
        let before = |a: &[u8], b: &[u8]| match order {
            Order::Ascending => a < b,
            Order::Descending => a > b,
        };
        self.rows.range(bounds, order, |key, version, value| {
            while let Some((other, cell)) = newer.next_if(|(other, _)| before(other, key)) {
                if let Some((version, value)) = cell {
                    wants_more = take(other, version, value);
                }
                if !wants_more {
                    return false;
                }
            }
            wants_more = match newer.next_if(|(other, _)| *other == key) {
                Some((other, Some((version, value)))) => take(other, version, value),
                Some((_, None)) => true,
                None => {
                    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                    take(key, version, value)
                }
            };
            wants_more
        })?;
        for (key, cell) in newer {
            let Some((version, value)) = cell else {
                continue;
            };
            wants_more = wants_more && take(key, version, value);
            if !wants_more {
                break;
            }
        }
        Ok(())
    }

    /// A segment that can be read, pinned.
    pub(super) fn pin(&self, name: BlobName) -> Result<Arc<Segment>, StoreError> {
        let pinned = self.segments.pin(name.0);
        pinned.ok_or(StoreError::Missing(name))
    }
}

/// The first encoded key of a range, and the one behind its last; `None` when nothing lies between.
fn encoded_range(range: &KeyRange) -> Option<(Bytes, Bytes)> {
    let start = Key::new(range.space, range.start.clone()).encode();
    let end = match &range.end {
        Some(end) => Key::new(range.space, end.clone()).encode(),
        None => Bytes::from(vec![range.space as u8 + 1]),
    };
    (start < end).then_some((start, end))
}

/// Reads ranges of a segment; neighbours in one go.
pub(super) fn read_ranges(
    shared: &Shared,
    segment: &Segment,
    ranges: &[Range<u64>],
) -> Result<Vec<Bytes>, StoreError> {
    let end = segment.end();
    for range in ranges {
        if range.start > range.end || range.end > end {
            return Err(StoreError::Corrupt {
                place: segment.place(range.start),
                reason: format!("nothing was written at {}..{}", range.start, range.end),
            });
        }
    }
    let mut read = vec![Bytes::new(); ranges.len()];
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.retain(|index| !ranges[*index].is_empty());
    order.sort_by_key(|index| ranges[*index].start);
    let near = |a: &usize, b: &usize| ranges[*b].start <= ranges[*a].end.saturating_add(GAP_MAX);
    for group in order.chunk_by(near) {
        let start = group.iter().map(|index| ranges[*index].start).min();
        let end = group.iter().map(|index| ranges[*index].end).max();
        let (start, end) = (start.unwrap_or(0), end.unwrap_or(0));
        let bytes = read_range(shared, segment, start..end)?;
        for index in group {
            let range = &ranges[*index];
            read[*index] = bytes.slice(to_usize(range.start - start)..to_usize(range.end - start));
        }
    }
    Ok(read)
}

fn read_range(shared: &Shared, segment: &Segment, range: Range<u64>) -> Result<Bytes, StoreError> {
    let alignment = to_u64(segment.file.alignment());
    let start = round_down(range.start, alignment);
    let size = to_usize(round_up(range.end, alignment) - start);
    let mut buffer = shared.read_pool.take(size);
    let read = segment.file.read(buffer.bytes_mut(size), start);
    read.map_err(|error| read_error(segment, start, &error))?;
    let bytes = buffer.freeze(size);
    Ok(bytes.slice(to_usize(range.start - start)..to_usize(range.end - start)))
}

fn read_error(segment: &Segment, position: u64, error: &std::io::Error) -> StoreError {
    let place = segment.place(position);
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => StoreError::Corrupt {
            place,
            reason: "the file ends before".to_owned(),
        },
        _ => StoreError::Unavailable {
            reason: format!("read of {place} failed: {error}"),
        },
    }
}

/// The keys of all rows that a segment's frames gave a place in it.
pub(super) fn placed_keys(segment: &Arc<Segment>) -> Result<Vec<Key>, StoreError> {
    let end = segment.end();
    let mut position = segment.header.first_position();
    let failed = |position, error: std::io::Error| read_error(segment, position, &error);
    let mut reader =
        FrameReader::new(Arc::clone(segment)).map_err(|error| failed(position, error))?;
    let mut keys = BTreeSet::new();
    while position < end {
        let head = reader
            .head(position)
            .map_err(|error| failed(position, error))?;
        let head = head.ok_or_else(|| StoreError::Corrupt {
            place: segment.place(position),
            reason: "the frame is not what was written".to_owned(),
        })?;
        let rows = reader
            .rows(&head)
            .map_err(|error| failed(position, error))?;
        for op in Ops::new(rows).filter(|op| op.placed) {
            keys.insert(Bytes::copy_from_slice(op.key));
        }
        if head.header.next_generation != 0 {
            // Of a segment that was closed just before a death only this frame says so.
            break;
        }
        position += head.header.length(segment.alignment());
    }
    Ok(keys.iter().filter_map(Key::decode).collect())
}

/// The space that comes after the last one begins no key.
const _: () = assert!((Space::Cluster as u8) < u8::MAX);
