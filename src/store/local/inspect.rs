//! Looking at a data folder without changing any of it: what `ottla storage dump` and `verify` read.
//!
//! Rows are those of the newest snapshot and of the frames after it, in memory: sled is a cache and is left alone. What
//! is not as it was written is told with its place, and as much of the rest as can be known is still there.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::aligned::{AlignedBuffer, round_down, round_up};
use super::codec::{to_u64, to_usize};
use super::disk::{Disk, RealDisk};
use super::folder::LOCK;
use super::frame::Point;
use super::frames::{FrameReader, Head};
use super::marks::{self, CheckpointMark, RunMark};
use super::meta::{META, Meta};
use super::open::{Found, find, vouched_by};
use super::ops::{Kind, Ops};
use super::replay::{Ending, replay};
use super::segment::{Files, Segment};
use super::segments::SegmentRow;
use super::snapshot;
use super::sorted::SortedReader;
use super::{OpenError, sorted::SortedError};
use crate::store::{BlobName, Key, Version};

/// Something is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// File and byte, as far as they are known.
    pub place: String,
    pub reason: String,
}

/// What a folder says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderFacts {
    pub node_id: i32,
    pub cluster_id: String,
    /// Bytes of a usual segment.
    pub segment_size: u64,
    /// The marks and the snapshot, a line each, for people.
    pub files: Vec<String>,
}

/// What is known of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    pub blob: BlobName,
    pub file: String,
    pub size: u64,
    /// Where its last frame ends; `None` when nothing in it is needed any more.
    pub end: Option<u64>,
}

/// All rows as of the end of the journal.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub rows: BTreeMap<Key, (Version, Bytes)>,
    /// The last frame whose rows are among them.
    pub frame: u64,
    segments: BTreeMap<u64, SegmentRow>,
    /// Where frames end in the segments that the replay read.
    ends: BTreeMap<u64, u64>,
}

/// One change of a row in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// `put`, `delete` or `append`.
    pub kind: &'static str,
    /// Space number and bytes.
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub number: u64,
    pub previous: u64,
    /// The last frame that was known to be synced.
    pub synced: u64,
    /// Where it begins in its segment, and the bytes that it takes.
    pub position: u64,
    pub length: u64,
    /// Where its batch bytes lie.
    pub body: Range<u64>,
    /// The generation that goes on after it; 0 in all but the last frame of a segment.
    pub next: u64,
    pub changes: Vec<Change<'a>>,
}

/// What a walk over a segment meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met<'a> {
    Frame(Frame<'a>),
    Damage(Damage),
}

/// Whether a walk reads the batch bytes of each frame and holds them against their CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    HopOver,
    Check,
}

/// A folder that is looked at.
#[derive(Debug)]
pub struct Inspection {
    disk: Arc<dyn Disk>,
    names: Vec<String>,
    meta: Meta,
    segments: BTreeMap<u64, Arc<Segment>>,
    /// Held for its lock.
    _lock: Option<File>,
}

impl Inspection {
    /// Opens a data folder that no broker uses, for reading only.
    ///
    /// # Errors
    /// See [`OpenError`]; a journal file or meta file that cannot be read at all is one.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let place = path.display().to_string();
        if !path.join(META).is_file() {
            return Err(OpenError::NoFolder { place });
        }
        let lock = match File::open(path.join(LOCK)) {
            // A folder that was copied without it: nobody holds it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            lock => Some(lock.map_err(OpenError::io(LOCK))?),
        };
        match lock.as_ref().map_or(Ok(()), File::try_lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { place }),
            Err(TryLockError::Error(error)) => return Err(OpenError::io(LOCK)(error)),
        }
        let disk = RealDisk::open_read_only(path).map_err(OpenError::io(&place))?;
        let mut inspection = Self::of_disk(Arc::new(disk))?;
        inspection._lock = lock;
        Ok(inspection)
    }

    /// Looks at the folder behind `disk`. Whoever calls sees to it that nobody changes it.
    ///
    /// # Errors
    /// See [`Inspection::open`].
    pub fn of_disk(disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let names = disk.list().map_err(OpenError::io("data folder"))?;
        let meta = Meta::read(&disk)?.ok_or_else(|| OpenError::corrupt(META, "it is missing"))?;
        let Found { segments, .. } = find(&Files::new(Arc::clone(&disk)), &names, &meta)?;
        Ok(Self {
            disk,
            names,
            meta,
            segments,
            _lock: None,
        })
    }

    /// What the folder says of itself; files that cannot be read are damage.
    pub fn facts(&self, damage: &mut Vec<Damage>) -> FolderFacts {
        let mut files = Vec::new();
        if let Some(RunMark { point, stopped }) = self.mark(marks::RUN, RunMark::decode, damage) {
            let how = if stopped {
                ", stopped in good order"
            } else {
                ""
            };
            files.push(format!("{}: frame {}{how}", marks::RUN, point.frame));
        }
        let checkpoint = self.mark(marks::CHECKPOINT, CheckpointMark::decode, damage);
        if let Some(mark) = checkpoint {
            let (instance, frame) = (mark.instance, mark.point.frame);
            let target = mark.dirty.map(|dirty| dirty.target);
            let to = target.map_or(String::new(), |to| format!(", being moved to frame {to}"));
            files.push(format!(
                "{}: instance {instance}, frame {frame}{to}",
                marks::CHECKPOINT
            ));
        }
        if let Ok(Some(snapshot)) = snapshot::find(&self.disk, &self.names, self.meta.store_id) {
            let (name, frame, size) = (snapshot.name, snapshot.point.frame, snapshot.size);
            files.push(format!("{name}: frame {frame}, {size} bytes"));
        }
        FolderFacts {
            node_id: self.meta.node_id,
            cluster_id: self.meta.cluster_id.clone(),
            segment_size: self.meta.segment_size,
            files,
        }
    }

    fn mark<T>(
        &self,
        name: &str,
        decode: fn(&[u8]) -> Option<T>,
        damage: &mut Vec<Damage>,
    ) -> Option<T> {
        let bytes = match marks::read(&self.disk, name) {
            Ok(bytes) => bytes?,
            Err(error) => {
                damage.push(Damage::new(name, error));
                return None;
            }
        };
        let mark = decode(&bytes);
        if mark.is_none() {
            damage.push(Damage::new(name, "it is not what was written"));
        }
        mark
    }

    /// All rows as of the end of the journal, or as of the frame before the first damaged one.
    pub fn rows(&self, damage: &mut Vec<Damage>) -> Rows {
        let mut rows = Rows::default();
        let mut from = self.start();
        let snapshot = match snapshot::find(&self.disk, &self.names, self.meta.store_id) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                damage.push(error.into());
                None
            }
        };
        if let Some(snapshot) = &snapshot {
            from = snapshot.point;
            if let Err(error) = rows.load(&self.disk, &snapshot.name, self.meta.store_id) {
                damage.push(error.into());
            }
        }
        rows.frame = from.frame;
        let mut unread = Vec::new();
        let run = self.mark(marks::RUN, RunMark::decode, &mut unread);
        let mark = self.mark(marks::CHECKPOINT, CheckpointMark::decode, &mut unread);
        let vouched = vouched_by(from.frame, run.as_ref(), mark.as_ref());
        let mut sink = |head: &Head, section: &[u8], _: Point| {
            rows.apply(head, section);
            Ok(())
        };
        match replay(&self.segments, vouched, from, Ending::Leave, &mut sink) {
            Ok(replayed) => {
                let ends = replayed.ends.into_iter();
                rows.ends = ends
                    .map(|(generation, (end, _))| (generation, end))
                    .collect();
                // Behind the end lies what was never acknowledged.
                let Point {
                    generation,
                    position,
                    ..
                } = replayed.point;
                rows.ends.insert(generation, position);
            }
            Err(error) => damage.push(error.into()),
        }
        for generation in rows.segments.keys() {
            if !self.segments.contains_key(generation) {
                let place = format!("journal generation {generation}");
                damage.push(Damage::new(&place, "its segment is not there"));
            }
        }
        rows
    }

    fn start(&self) -> Point {
        let first = self.segments.values().next();
        Point::start(first.map_or(0, |segment| segment.header.first_position()))
    }

    /// All segments, by generation.
    pub fn segments(&self, rows: &Rows) -> Vec<SegmentFacts> {
        let facts = |segment: &Arc<Segment>| SegmentFacts {
            blob: BlobName(segment.generation()),
            file: segment.file.name().to_owned(),
            size: segment.header.size,
            end: rows.end(segment.generation()),
        };
        self.segments.values().map(facts).collect()
    }

    /// Walks over the frames of a segment up to where the last one ends. Behind a damaged frame it goes on with the next
    /// sound one. `visit` ends the walk by returning false.
    pub fn frames(
        &self,
        segment: &SegmentFacts,
        bodies: Bodies,
        visit: &mut dyn FnMut(Met<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let Some(found) = self.segments.get(&segment.blob.0) else {
            return Ok(());
        };
        let end = segment.end.unwrap_or(found.header.first_position());
        let failed = |position, error: io::Error| {
            let place = found.place(position);
            Met::Damage(Damage::new(&place, error))
        };
        let mut position = found.header.first_position();
        let mut reader = match FrameReader::new(Arc::clone(found)) {
            Ok(reader) => reader,
            Err(error) => return visit(failed(position, error)).map(drop),
        };
        let mut is_known = true;
        while position < end {
            let head = match reader.head(position) {
                Ok(head) => head,
                Err(error) => return visit(failed(position, error)).map(drop),
            };
            let Some(head) = head else {
                if is_known {
                    let place = found.place(position);
                    let damage = Damage::new(&place, "the frame is not what was written");
                    if !visit(Met::Damage(damage))? {
                        return Ok(());
                    }
                }
                is_known = false;
                position += found.alignment();
                continue;
            };
            is_known = true;
            if bodies == Bodies::Check && !reader.body_is_sound(&head.header)? {
                let place = found.place(head.header.body_position());
                let reason = format!(
                    "the batch bytes of frame {} are not what was written",
                    head.header.number
                );
                if !visit(Met::Damage(Damage::new(&place, reason)))? {
                    return Ok(());
                }
            }
            let length = head.header.length(found.alignment());
            let section = reader.rows(&head)?;
            if !visit(Met::Frame(Frame::of(&head, length, section)))?
                || head.header.next_generation != 0
            {
                return Ok(());
            }
            position += length;
        }
        Ok(())
    }

    /// Bytes of a blob.
    pub fn read(&self, blob: BlobName, range: Range<u64>) -> Result<Bytes, Damage> {
        let Some(segment) = self.segments.get(&blob.0) else {
            let place = format!("journal generation {}", blob.0);
            return Err(Damage::new(&place, "its segment is not there"));
        };
        let damaged =
            |error: &dyn std::fmt::Display| Damage::new(&segment.place(range.start), error);
        let alignment = to_u64(segment.file.alignment());
        let length = segment.file.length().map_err(|error| damaged(&error))?;
        if range.end > length || range.start > range.end {
            return Err(damaged(&"the file ends before"));
        }
        let start = round_down(range.start, alignment);
        let size = to_usize(round_up(range.end, alignment).min(length) - start);
        let mut buffer = AlignedBuffer::new(size, segment.file.alignment());
        let read = segment.file.read(buffer.bytes_mut(size), start);
        read.map_err(|error| damaged(&error))?;
        let from = to_usize(range.start - start);
        let bytes = &buffer.bytes(size)[from..from + to_usize(range.end - range.start)];
        Ok(Bytes::copy_from_slice(bytes))
    }

    /// How a message names a place in a blob.
    pub fn place(&self, blob: BlobName, position: u64) -> String {
        match self.segments.get(&blob.0) {
            Some(segment) => segment.place(position),
            None => format!("journal generation {}, byte {position}", blob.0),
        }
    }
}

impl Damage {
    fn new(place: &str, reason: impl std::fmt::Display) -> Self {
        Self {
            place: place.to_owned(),
            reason: reason.to_string(),
        }
    }
}

impl From<OpenError> for Damage {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Corrupt { place, reason } => Self { place, reason },
            other => Self::new("data folder", other),
        }
    }
}

impl From<SortedError> for Damage {
    fn from(error: SortedError) -> Self {
        match error {
            SortedError::Damaged { place, reason } => Self { place, reason },
            SortedError::Io(error) => Self::new("the row snapshot", error),
        }
    }
}

impl Rows {
    fn load(
        &mut self,
        disk: &Arc<dyn Disk>,
        name: &str,
        store_id: [u8; 16],
    ) -> Result<(), SortedError> {
        let (mut reader, _) = SortedReader::open(disk, name, store_id)?;
        while let Some((key, row)) = reader.next()? {
            self.put(&key, row.version, row.value);
        }
        Ok(())
    }

    fn apply(&mut self, head: &Head, section: &[u8]) {
        let number = head.header.number;
        self.frame = number;
        for op in Ops::new(section) {
            match op.kind {
                Kind::Put => self.put(op.key, number, op.value.to_vec()),
                Kind::Delete => self.delete(op.key),
                Kind::Append => {
                    let key = Key::decode(&Bytes::copy_from_slice(op.key));
                    let known = key.and_then(|key| self.rows.get(&key));
                    let mut value = known.map_or(Vec::new(), |(_, value)| value.to_vec());
                    value.extend_from_slice(op.value);
                    self.put(op.key, number, value);
                }
            }
        }
    }

    fn put(&mut self, key: &[u8], version: u64, value: Vec<u8>) {
        if let Some(key) = Key::decode(&Bytes::copy_from_slice(key)) {
            self.rows.insert(key, (Version(version), value.into()));
        } else if let Some((generation, row)) =
            SegmentRow::generation(key).zip(SegmentRow::decode(&value))
        {
            self.segments.insert(generation, row);
        }
    }

    fn delete(&mut self, key: &[u8]) {
        if let Some(key) = Key::decode(&Bytes::copy_from_slice(key)) {
            self.rows.remove(&key);
        } else if let Some(generation) = SegmentRow::generation(key) {
            self.segments.remove(&generation);
        }
    }

    /// Where the last frame of a segment ends, if anything in it is needed.
    fn end(&self, generation: u64) -> Option<u64> {
        let row = self.segments.get(&generation);
        let replayed = self.ends.get(&generation).copied();
        match row {
            Some(row) if row.end > 0 => Some(row.end),
            Some(row) => Some(replayed.unwrap_or(row.size)),
            None => replayed,
        }
    }
}

impl<'a> Frame<'a> {
    fn of(head: &Head, length: u64, section: &'a [u8]) -> Self {
        let header = &head.header;
        let body = header.body_position();
        let change = |op: super::ops::OpRef<'a>| Change {
            kind: match op.kind {
                Kind::Put => "put",
                Kind::Delete => "delete",
                Kind::Append => "append",
            },
            key: op.key,
            value: op.value,
        };
        Self {
            number: header.number,
            previous: header.previous,
            synced: header.synced,
            position: header.position,
            length,
            body: body..body + header.body_length,
            next: header.next_generation,
            changes: Ops::new(section).map(change).collect(),
        }
    }
}
