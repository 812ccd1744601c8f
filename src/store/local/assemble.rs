//! Gathers commits into a frame and lays it out.
//!
//! Guards are checked in order against the state that includes the frame's earlier commits. A commit that writes a
//! row which an earlier commit of the frame writes too has to wait for the next frame: both would give the row the
//! same version, and a guard could not tell one from the other.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::aligned::AlignedBuffer;
use super::codec::{Seal, length_u32, to_u64, to_usize};
use super::frame::{FrameHeader, HEADER_SIZE, Point, frame_length};
use super::ops::{Kind, OpRef};
use super::overlay::{Layer, Overlay};
use super::rows::{Rows, RowsFailure};
use super::segments::SegmentRow;
use crate::store::{BlobName, Commit, Key, Place, StoreError, Version, Write};

/// Bytes that a row's value may have at most.
pub(super) const VALUE_SIZE_MAX: usize = 16 * 1024 * 1024;

/// Bytes of row writes that one commit may have at most.
const COMMIT_ROWS_MAX: usize = 256 * 1024 * 1024;

/// Bytes copied and checksummed in one step, so that the checksum reads them from the cache.
const CHUNK: usize = 32 * 1024;

/// A row operation of the frame that is being gathered.
#[derive(Debug)]
struct Gathered {
    kind: Kind,
    value: Vec<u8>,
    /// Where in the value a place stands, its position relative to the body of the frame.
    place_at: Option<usize>,
    /// What an Append goes on, where the active layer does not have the row.
    base: Option<Vec<u8>>,
}

/// A frame that is being gathered.
#[derive(Debug)]
pub(super) struct Assembly {
    /// The number that it will have.
    pub(super) number: u64,
    ops: BTreeMap<Box<[u8]>, Gathered>,
    rows_length: usize,
    bodies: Vec<Bytes>,
    body_length: u64,
}

/// What became of a commit that was to be added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is part of the frame; where its body begins, relative to the frame's.
    Taken { body: Option<u64> },
    /// A guard does not hold.
    Conflict,
    /// It must go to the next frame.
    NotInThisFrame,
    /// It is not made, and nothing was changed.
    Refused(StoreError),
}

/// The state that guards are checked against, beside the frame itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    pub(super) overlay: &'a Overlay,
    pub(super) rows: &'a Rows,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) point: Point,
    pub(super) synced: u64,
    pub(super) seal: Seal,
    pub(super) alignment: u64,
    /// For the last frame of a segment, the one that comes after; else 0.
    pub(super) next_generation: u64,
}

/// A frame in its buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaidOut {
    pub(super) header: FrameHeader,
    pub(super) crc: u32,
    /// Bytes of the buffer to be written.
    pub(super) length: usize,
}

fn malformed(what: &str) -> StoreError {
    StoreError::Unavailable {
        reason: format!("commit is malformed: {what}"),
    }
}

impl From<RowsFailure> for StoreError {
    fn from(failure: RowsFailure) -> Self {
        StoreError::Unavailable {
            reason: format!("the row cache is being made anew ({failure})"),
        }
    }
}

impl Assembly {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            ops: BTreeMap::new(),
            rows_length: 0,
            bodies: Vec::new(),
            body_length: 0,
        }
    }

    /// Whether it would change nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.bodies.is_empty()
    }

    /// Bytes that it takes up in a segment.
    pub(super) fn length(&self, alignment: u64) -> u64 {
        frame_length(to_u64(self.rows_length), self.body_length, alignment)
    }

    pub(super) fn rows_length(&self) -> u64 {
        to_u64(self.rows_length)
    }

    pub(super) fn body_length(&self) -> u64 {
        self.body_length
    }

    /// The version of a row as the next commit of this frame sees it.
    fn version(&self, key: &[u8], before: Before<'_>) -> Result<u64, RowsFailure> {
        if let Some(op) = self.ops.get(key) {
            let gone = op.kind == Kind::Delete;
            return Ok(if gone { 0 } else { self.number });
        }
        match before.overlay.version(key) {
            Some(version) => Ok(version),
            None => before.rows.version(key),
        }
    }

    /// Adds a commit, all of it or nothing.
    pub(super) fn add(&mut self, commit: &Commit, before: Before<'_>) -> Added {
        match self.try_add(commit, before) {
            Ok(added) => added,
            Err(error) => Added::Refused(error),
        }
    }

    fn try_add(&mut self, commit: &Commit, before: Before<'_>) -> Result<Added, StoreError> {
        let body: u64 = commit.body.iter().map(|part| to_u64(part.len())).sum();
        check(commit, body)?;
        for (key, version) in &commit.guards {
            if Version(self.version(&key.encode(), before)?) != *version {
                return Ok(Added::Conflict);
            }
        }
        let mut own = BTreeMap::new();
        for write in &commit.writes {
            let key = Box::<[u8]>::from(&write.key().encode()[..]);
            if self.ops.contains_key(&key) {
                return Ok(Added::NotInThisFrame);
            }
            let op = self.gather(&key, write, before)?;
            if own.insert(key, op).is_some() {
                return Err(malformed("it writes a row twice"));
            }
        }
        for (key, op) in own {
            self.insert(key, op);
        }
        let begins_at = (body > 0).then_some(self.body_length);
        let parts = commit.body.iter().filter(|part| !part.is_empty());
        self.bodies.extend(parts.cloned());
        self.body_length += body;
        Ok(Added::Taken { body: begins_at })
    }

    fn insert(&mut self, key: Box<[u8]>, op: Gathered) {
        self.rows_length += super::ops::OP_OVERHEAD + key.len() + op.value.len();
        self.ops.insert(key, op);
    }

    fn gather(
        &self,
        key: &[u8],
        write: &Write,
        before: Before<'_>,
    ) -> Result<Gathered, StoreError> {
        let (kind, value, place_at) = match write {
            Write::Put {
                value, place_at, ..
            } => (Kind::Put, value, *place_at),
            Write::Append {
                bytes, place_at, ..
            } => (Kind::Append, bytes, *place_at),
            Write::Delete { .. } => (Kind::Delete, &Bytes::new(), None),
        };
        let base = match kind {
            Kind::Append => base(key, value.len(), before)?,
            Kind::Put | Kind::Delete => None,
        };
        let mut value = value.to_vec();
        let place_at = place_at.map(|at| to_usize(u64::from(at)));
        if let Some(slot) = place_at.and_then(|at| place_slot(&mut value, at)) {
            let place = Place::decode(*slot);
            let position = place.position.saturating_add(self.body_length);
            *slot = Place { position, ..place }.encode();
        }
        Ok(Gathered {
            kind,
            value,
            place_at,
            base,
        })
    }

    /// Adds a row of the engine's own.
    pub(super) fn put_segment(&mut self, generation: u64, row: Option<SegmentRow>) {
        let key: Box<[u8]> = SegmentRow::key(generation).into();
        if let Some(old) = self.ops.remove(&key) {
            self.rows_length -= super::ops::OP_OVERHEAD + key.len() + old.value.len();
        }
        let op = Gathered {
            kind: if row.is_some() {
                Kind::Put
            } else {
                Kind::Delete
            },
            value: row.map(|row| row.encode()).unwrap_or_default(),
            place_at: None,
            base: None,
        };
        self.insert(key, op);
    }

    /// Makes the frame in `buffer`: places are stamped now that it is known where the body will lie.
    pub(super) fn lay_out(&mut self, site: &Site, buffer: &mut AlignedBuffer) -> LaidOut {
        let Point {
            generation,
            position,
            ..
        } = site.point;
        let head_size = HEADER_SIZE + self.rows_length;
        let body_at = position + to_u64(head_size);
        for op in self.ops.values_mut() {
            if let Some(slot) = op.place_at.and_then(|at| place_slot(&mut op.value, at)) {
                let place = Place {
                    blob: BlobName(generation),
                    position: Place::decode(*slot).position.saturating_add(body_at),
                };
                *slot = place.encode();
            }
        }
        let length = to_usize(self.length(site.alignment));
        buffer.grow(length);
        let bytes = buffer.bytes_mut(length);
        let mut at = HEADER_SIZE;
        for (key, op) in &self.ops {
            at += op.as_ref(key).copy_to(&mut bytes[at..]);
        }
        debug_assert_eq!(at, head_size, "row lengths were counted right");
        let body_crc = copy_bodies(&self.bodies, &mut bytes[head_size..], site.seal);
        bytes[head_size + to_usize(self.body_length)..].fill(0);
        let header = FrameHeader {
            generation,
            position,
            number: self.number,
            previous: site.point.frame,
            previous_crc: site.point.crc,
            synced: site.synced,
            rows_before: site.point.rows_before,
            body_before: site.point.body_before,
            next_generation: site.next_generation,
            rows_count: length_u32(self.ops.len()),
            rows_length: length_u32(self.rows_length),
            body_length: self.body_length,
            body_crc,
        };
        let crc = header.seal(&mut bytes[..head_size], site.seal);
        LaidOut {
            header,
            crc,
            length,
        }
    }

    /// Makes its changes in the overlay.
    pub(super) fn apply(self, layer: &mut Layer) {
        for (key, op) in self.ops {
            layer.apply(&key, op.kind, &op.value, self.number, || op.base);
        }
    }
}

impl Gathered {
    fn as_ref<'a>(&'a self, key: &'a [u8]) -> OpRef<'a> {
        OpRef {
            kind: self.kind,
            placed: self.place_at.is_some(),
            key,
            value: &self.value,
        }
    }
}

/// What an Append of `added` bytes goes on, unless it is in the active layer.
fn base(key: &[u8], added: usize, before: Before<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let too_long = |length: usize| match length.saturating_add(added) > VALUE_SIZE_MAX {
        true => Err(malformed("the row's value would be too long")),
        false => Ok(()),
    };
    if let Some(length) = before.overlay.active_length(key) {
        too_long(length)?;
        return Ok(None);
    }
    let cell = match before.overlay.get(key) {
        Some(cell) => cell,
        None => before.rows.get(key)?,
    };
    let base = cell.map(|(_, value)| value.to_vec());
    too_long(base.as_ref().map_or(0, Vec::len))?;
    Ok(base)
}

fn place_slot(value: &mut [u8], at: usize) -> Option<&mut [u8; Place::SIZE]> {
    value.get_mut(at..)?.first_chunk_mut()
}

/// Whether a commit keeps to the seam's rules.
fn check(commit: &Commit, body: u64) -> Result<(), StoreError> {
    let mut rows = 0;
    let guarded = commit.guards.iter().map(|(key, _)| key);
    for key in guarded.chain(commit.writes.iter().map(Write::key)) {
        if key.bytes.len() >= Key::SIZE_MAX {
            return Err(malformed("a key is too long"));
        }
    }
    for write in &commit.writes {
        let (value, place_at) = match write {
            Write::Put {
                value, place_at, ..
            } => (value, place_at),
            Write::Append {
                bytes, place_at, ..
            } => (bytes, place_at),
            Write::Delete { .. } => continue,
        };
        if value.len() > VALUE_SIZE_MAX {
            return Err(malformed("a value is too long"));
        }
        rows += value.len();
        let Some(at) = place_at else { continue };
        let at = to_usize(u64::from(*at));
        let slot = value.get(at..).and_then(<[u8]>::first_chunk);
        let slot = slot.ok_or_else(|| malformed("a place does not lie in its value"))?;
        if Place::decode(*slot).position >= body {
            return Err(malformed("a place does not lie in the body"));
        }
    }
    match rows > COMMIT_ROWS_MAX {
        true => Err(malformed("its rows are too many bytes")),
        false => Ok(()),
    }
}

/// Copies bodies one after the other and returns their CRC.
fn copy_bodies(bodies: &[Bytes], target: &mut [u8], seal: Seal) -> u32 {
    let mut seal = seal;
    let mut at = 0;
    for chunk in bodies.iter().flat_map(|body| body.chunks(CHUNK)) {
        let copied = &mut target[at..at + chunk.len()];
        copied.copy_from_slice(chunk);
        seal = Seal::of_crc(seal.crc(&[copied]));
        at += chunk.len();
    }
    seal.crc(&[])
}

/// Whether a commit only gives space back, so that it may use what is kept for that on a full disk.
pub(super) fn gives_space_back(commit: &Commit) -> bool {
    let deletes = |write: &Write| matches!(write, Write::Delete { .. });
    commit.body.iter().all(Bytes::is_empty) && commit.writes.iter().any(deletes)
}
