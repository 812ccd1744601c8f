//! Row snapshots: all rows as of a frame in one sorted file, the last snapshot merged with the row sections of the
//! frames since. Never read out of sled: what sled has lost is not lost.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::Arc;
use std::time::Instant;

use super::checkpoint::{Held, Unfinished};
use super::disk::Disk;
use super::frame::Point;
use super::frames::Head;
use super::locks::lock;
use super::marks::UNFINISHED;
use super::ops::{Folded, Kind, Ops};
use super::options::OpenError;
use super::pace::Pace;
use super::replay::walk;
use super::rows::BATCH_ROWS;
use super::shared::Shared;
use super::sorted::{SortedError, SortedReader, SortedWriter};
use crate::metrics::table;

const NAME: (&str, &str) = ("snapshot-", ".rows");

/// What an operation in memory is taken to cost beside key and value, in bytes.
const OP_OVERHEAD: usize = 128;

/// The newest row snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) name: String,
    /// It has the rows of all frames before this point.
    pub(super) point: Point,
    /// Bytes of the file.
    pub(super) size: u64,
}

fn file_frame(name: &str) -> Option<u64> {
    let middle = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    u64::from_str_radix(middle, 16).ok()
}

/// The newest snapshot in a folder.
pub(super) fn find(
    disk: &Arc<dyn Disk>,
    names: &[String],
    store_id: [u8; 16],
) -> Result<Option<Snapshot>, OpenError> {
    let named = names.iter().filter(|name| file_frame(name).is_some());
    let Some(name) = named.max_by_key(|name| file_frame(name)) else {
        return Ok(None);
    };
    let (reader, point) =
        SortedReader::open(disk, name, store_id).map_err(|error| match error {
            SortedError::Io(source) => OpenError::io(name)(source),
            SortedError::Damaged { place, reason } => OpenError::Corrupt { place, reason },
        })?;
    if file_frame(name) != Some(point.frame) {
        return Err(OpenError::corrupt(
            name,
            "it is another snapshot than its name says",
        ));
    }
    Ok(Some(Snapshot {
        name: name.clone(),
        point,
        size: reader.length(),
    }))
}

/// Removes the snapshots that a newer one stands for.
pub(super) fn remove_old(disk: &Arc<dyn Disk>, names: &[String], newest: &Snapshot) {
    let old = |name: &&String| file_frame(name).is_some_and(|frame| frame < newest.point.frame);
    for name in names.iter().filter(old) {
        if let Err(error) = disk.remove(name) {
            tracing::warn!(file = name, %error, "old row snapshot could not be removed");
        }
    }
}

impl From<SortedError> for Unfinished {
    fn from(error: SortedError) -> Self {
        match error {
            SortedError::Io(error) => error.into(),
            SortedError::Damaged { place, reason } => Unfinished::Damaged { place, reason },
        }
    }
}

impl From<std::io::Error> for Unfinished {
    fn from(error: std::io::Error) -> Self {
        Unfinished::Failed(error.to_string())
    }
}

impl From<OpenError> for Unfinished {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Corrupt { place, reason } => Unfinished::Damaged { place, reason },
            other => Unfinished::Failed(other.to_string()),
        }
    }
}

impl Shared {
    /// The last frame whose rows the newest snapshot has.
    pub(super) fn snapshot_frame(&self) -> u64 {
        self.snapshot_point().frame
    }

    /// Behind the last frame whose rows the newest snapshot has.
    pub(super) fn snapshot_point(&self) -> Point {
        let snapshot = lock(&self.snapshot);
        let start = || Point::start(self.segments.alignment());
        snapshot
            .as_ref()
            .map_or_else(start, |snapshot| snapshot.point)
    }

    /// Bytes of the newest snapshot.
    pub(super) fn snapshot_size(&self) -> u64 {
        lock(&self.snapshot)
            .as_ref()
            .map_or(0, |snapshot| snapshot.size)
    }

    /// Fills a new instance of sled from the newest snapshot.
    pub(super) fn load_snapshot(&self) -> Result<(), Unfinished> {
        let Some(snapshot) = lock(&self.snapshot).clone() else {
            return Ok(());
        };
        let instance = self.held().instance.max(self.rows.greatest_instance()) + 1;
        let fresh = self.rows.create(instance)?;
        let (mut reader, point) = SortedReader::open(&self.disk, &snapshot.name, self.store_id)?;
        let (mut pace, mut rows) = (Pace::new(), 0_u64);
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        loop {
            let row = reader.next()?;
            let is_last = row.is_none();
            batch.extend(row);
            if batch.len() == BATCH_ROWS || is_last {
                if self.bell.is_stopped() {
                    return Err(Unfinished::Stopped);
                }
                let changes: Vec<_> = batch
                    .iter()
                    .map(|(key, row)| (&key[..], row.version, Some(&row.value[..])))
                    .collect();
                fresh.write(&changes)?;
                batch.clear();
            }
            if is_last {
                break;
            }
            rows += 1;
            if pace.is_due() {
                let (bytes, of) = (reader.position(), reader.length());
                tracing::info!(
                    bytes,
                    of,
                    rows,
                    "row cache is being made anew from the snapshot"
                );
            }
        }
        self.publish_rows(fresh, Held { instance, point })?;
        table::ROW_STORE_REBUILDS.add(1);
        let frame = point.frame;
        tracing::info!(rows, frame, "row cache made anew from the snapshot");
        Ok(())
    }

    /// Takes a snapshot at `until`: every frame before it has been synced.
    pub(super) fn take_snapshot(&self, until: Point) -> Result<(), Unfinished> {
        let frame = until.frame;
        tracing::debug!(frame, "snapshot begins");
        let begun = Instant::now();
        let old = lock(&self.snapshot).clone();
        let from = self.snapshot_point();
        let mut sorter = Sorter {
            shared: self,
            ops: BTreeMap::new(),
            bytes: 0,
            runs: Vec::new(),
        };
        let segments = self.segments.all();
        let mut sink = |head: &Head, rows: &[u8], _| sorter.take(head.header.number, rows);
        walk(&segments, from, until.frame, &mut sink)?;
        drop(segments);
        let mut sources = Vec::new();
        if let Some(old) = &old {
            let (reader, _) = SortedReader::open(&self.disk, &old.name, self.store_id)?;
            sources.push(Source::new(Rows::File(Box::new(reader)))?);
        }
        for run in &sorter.runs {
            let (reader, _) = SortedReader::open(&self.disk, run, self.store_id)?;
            sources.push(Source::new(Rows::File(Box::new(reader)))?);
        }
        sources.push(Source::new(Rows::Memory(sorter.ops.into_iter()))?);
        let name = format!("{}{:016x}{}", NAME.0, until.frame, NAME.1);
        let aside = format!("{name}{UNFINISHED}");
        let mut writer = SortedWriter::create(&self.disk, &aside, self.store_id, &until)?;
        let (mut pace, mut rows) = (Pace::new(), 0_u64);
        while let Some((key, row)) = merge_next(&mut sources)? {
            if row.kind != Kind::Delete {
                let kind = Kind::Put;
                writer.add(&key, &Folded { kind, ..row })?;
            }
            rows += 1;
            if pace.is_due() {
                tracing::info!(rows, "row snapshot is being written");
            }
            if self.bell.is_stopped() {
                return Err(Unfinished::Stopped);
            }
        }
        drop(sources);
        let size = writer.finish()?;
        self.disk.rename(&aside, &name)?;
        self.disk.sync_folder()?;
        table::SNAPSHOT_DURATION.observe_since(begun);
        tracing::debug!(frame, rows, size, "snapshot done");
        let point = until;
        let new = Snapshot { name, point, size };
        *lock(&self.snapshot) = Some(new);
        for name in sorter.runs.iter().chain(old.as_ref().map(|old| &old.name)) {
            if let Err(error) = self.disk.remove(name) {
                tracing::warn!(file = name, %error, "unused file could not be removed");
            }
        }
        Ok(())
    }
}

/// Folds the operations of many frames in bounded memory.
struct Sorter<'a> {
    shared: &'a Shared,
    ops: BTreeMap<Box<[u8]>, Folded>,
    bytes: usize,
    /// Files of sorted operations, oldest first.
    runs: Vec<String>,
}

impl Sorter<'_> {
    fn take(&mut self, number: u64, rows: &[u8]) -> Result<(), OpenError> {
        for op in Ops::new(rows) {
            self.bytes += op.value.len();
            if let Some(folded) = self.ops.get_mut(op.key) {
                folded.fold(op.kind, op.placed, op.value, number);
            } else {
                self.bytes += op.key.len() + OP_OVERHEAD;
                self.ops.insert(op.key.into(), Folded::new(&op, number));
            }
        }
        match self.bytes >= self.shared.options.snapshot_sort_bytes {
            true => self.put_aside().map_err(OpenError::io("a sorted run")),
            false => Ok(()),
        }
    }

    fn put_aside(&mut self) -> std::io::Result<()> {
        let name = format!("sorted-{:04}{UNFINISHED}", self.runs.len());
        let shared = self.shared;
        let point = Point::start(0);
        let mut writer = SortedWriter::create(&shared.disk, &name, shared.store_id, &point)?;
        for (key, folded) in std::mem::take(&mut self.ops) {
            writer.add(&key, &folded)?;
        }
        self.bytes = 0;
        self.runs.push(name);
        writer.finish().map(|_| ())
    }
}

/// Rows in the order of their keys.
enum Rows {
    File(Box<SortedReader>),
    Memory(btree_map::IntoIter<Box<[u8]>, Folded>),
}

/// Rows, and the next of them.
struct Source {
    rows: Rows,
    next: Option<(Vec<u8>, Folded)>,
}

impl Source {
    fn new(rows: Rows) -> Result<Self, SortedError> {
        let mut source = Self { rows, next: None };
        source.advance()?;
        Ok(source)
    }

    /// The next row; behind it comes another.
    fn advance(&mut self) -> Result<Option<(Vec<u8>, Folded)>, SortedError> {
        let following = match &mut self.rows {
            Rows::File(reader) => reader.next()?,
            Rows::Memory(rows) => rows.next().map(|(key, folded)| (key.into_vec(), folded)),
        };
        Ok(std::mem::replace(&mut self.next, following))
    }
}

/// The next row of all sources, which are in the order of their age, oldest first.
fn merge_next(sources: &mut [Source]) -> Result<Option<(Vec<u8>, Folded)>, SortedError> {
    let heads = sources.iter().filter_map(|source| source.next.as_ref());
    let Some(key) = heads.map(|(key, _)| key).min().cloned() else {
        return Ok(None);
    };
    let mut merged: Option<Folded> = None;
    for source in sources {
        if source.next.as_ref().is_none_or(|(other, _)| *other != key) {
            continue;
        }
        let Some((_, newer)) = source.advance()? else {
            continue;
        };
        match &mut merged {
            None => merged = Some(newer),
            Some(older) => older.fold(newer.kind, newer.placed, &newer.value, newer.version),
        }
    }
    Ok(merged.map(|merged| (key, merged)))
}
