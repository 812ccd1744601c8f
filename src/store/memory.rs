//! The memory engine, for tests and `--store memory`: rows in a tree, bodies as the caller's own [`Bytes`], all of it
//! gone with the process. Memory is bounded by what callers keep: blobs are closed every [`BLOB_SIZE`] so that deleting them frees it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::{
    BlobInfo, BlobName, BlobStore, Commit, Key, KeyRange, Limit, MetaStore, Order, Outcome, Place,
    Room, Row, Space, Store, StoreError, Version, Write,
};
use crate::base::{BoxFuture, encode_id};
use crate::metrics::Reading;

/// A blob is closed once it holds this many bytes.
pub const BLOB_SIZE: u64 = 16 * 1024 * 1024;

/// Rows and blobs in memory. Every operation is done when its function returns; the futures are ready.
#[derive(Debug)]
pub struct MemoryStore {
    cluster_id: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Key, (Version, Bytes)>,
    blobs: BTreeMap<BlobName, Blob>,
    last_version: u64,
    last_blob: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Blob {
    /// What the blob holds, by the position of each part's first byte; no part is empty.
    parts: BTreeMap<u64, Bytes>,
    size: u64,
    /// The rows that were written with a place in it.
    placed: BTreeSet<Key>,
}

impl Blob {
    fn closed(&self) -> bool {
        self.size >= BLOB_SIZE
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store with a random cluster id.
    pub fn new() -> Self {
        Self::of_cluster(encode_id(Uuid::new_v4()))
    }

    /// An empty store of this cluster.
    pub fn of_cluster(cluster_id: String) -> Self {
        Self {
            cluster_id,
            state: Mutex::default(),
        }
    }

    /// The state of a store that is not closed.
    fn open_state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(StoreError::Closed);
        }
        Ok(state)
    }
}

impl MetaStore for MemoryStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Row>, StoreError>> {
        let rows = self
            .open_state()
            .map(|state| keys.iter().map(|key| state.row(key)).collect());
        Box::pin(ready(rows))
    }

    fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: Limit,
    ) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        let rows = self
            .open_state()
            .map(|state| state.scan(&range, order, limit));
        Box::pin(ready(rows))
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        let outcome = self.open_state().and_then(|mut state| state.commit(commit));
        Box::pin(ready(outcome))
    }
}

impl BlobStore for MemoryStore {
    fn read<'a>(
        &'a self,
        name: BlobName,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>, StoreError>> {
        let bytes = self.open_state().and_then(|state| {
            let blob = state.blobs.get(&name).ok_or(StoreError::Missing(name))?;
            ranges.iter().map(|range| blob.read(name, range)).collect()
        });
        Box::pin(ready(bytes))
    }

    fn blobs(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>, StoreError>> {
        let infos = self.open_state().map(|state| {
            let info = |(name, blob): (&BlobName, &Blob)| BlobInfo {
                name: *name,
                size: blob.size,
                closed: blob.closed(),
            };
            state.blobs.iter().map(info).collect()
        });
        Box::pin(ready(infos))
    }

    fn placed_keys(&self, name: BlobName) -> BoxFuture<'_, Result<Vec<Key>, StoreError>> {
        let keys = self.open_state().and_then(|state| {
            let blob = state.blobs.get(&name).ok_or(StoreError::Missing(name))?;
            Ok(blob.placed.iter().cloned().collect())
        });
        Box::pin(ready(keys))
    }

    fn delete<'a>(&'a self, names: &'a [BlobName]) -> BoxFuture<'a, Result<(), StoreError>> {
        let done = self.open_state().and_then(|mut state| {
            let open = |name: &&BlobName| state.blobs.get(name).is_some_and(|blob| !blob.closed());
            if let Some(BlobName(name)) = names.iter().find(open) {
                let reason = format!("blob {name} is still being written and cannot be deleted");
                return Err(StoreError::Unavailable { reason });
            }
            state.blobs.retain(|name, _| !names.contains(name));
            Ok(())
        });
        Box::pin(ready(done))
    }
}

impl Store for MemoryStore {
    fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    fn room(&self) -> BoxFuture<'_, Result<Option<Room>, StoreError>> {
        Box::pin(ready(Ok(None)))
    }

    fn gauges(&self) -> Vec<Reading> {
        Vec::new()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State {
            closed: true,
            ..State::default()
        };
        Box::pin(ready(Ok(())))
    }
}

impl State {
    fn row(&self, key: &Key) -> Row {
        let stored = self.rows.get(key);
        Row {
            key: key.clone(),
            version: stored.map_or(Version::ABSENT, |(version, _)| *version),
            value: stored.map(|(_, value)| value.clone()),
        }
    }

    fn scan(&self, range: &KeyRange, order: Order, limit: Limit) -> Vec<Row> {
        let start = Key::new(range.space, range.start.clone());
        let end = match &range.end {
            Some(end) if *end <= range.start => return Vec::new(),
            Some(end) => Bound::Excluded(Key::new(range.space, end.clone())),
            None => match Space::from_number(range.space as u8 + 1) {
                Some(next) => Bound::Excluded(Key::new(next, Bytes::new())),
                None => Bound::Unbounded,
            },
        };
        let rows = self.rows.range((Bound::Included(start), end));
        match order {
            Order::Ascending => bounded(rows, limit),
            Order::Descending => bounded(rows.rev(), limit),
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<Outcome, StoreError> {
        check(&commit).map_err(|what| StoreError::Unavailable {
            reason: format!("commit is malformed: {what}"),
        })?;
        let holds = |(key, version): &(Key, Version)| self.row(key).version == *version;
        if !commit.guards.iter().all(holds) {
            let rows = commit.guards.iter().map(|(key, _)| self.row(key));
            return Ok(Outcome::Conflict(rows.collect()));
        }
        self.last_version += 1;
        let version = Version(self.last_version);
        let place = self.add_body(commit.body);
        for write in commit.writes {
            self.apply(write, version, place);
        }
        Ok(Outcome::Done {
            version,
            blob: place,
        })
    }

    /// Adds a body to the blob that is being written, or to a new one.
    fn add_body(&mut self, body: Vec<Bytes>) -> Option<Place> {
        let body: Vec<Bytes> = body.into_iter().filter(|part| !part.is_empty()).collect();
        if body.is_empty() {
            return None;
        }
        let current = BlobName(self.last_blob);
        if self.blobs.get(&current).is_none_or(Blob::closed) {
            self.last_blob += 1;
        }
        let name = BlobName(self.last_blob);
        let blob = self.blobs.entry(name).or_default();
        let position = blob.size;
        for part in body {
            let end = blob.size + part.len() as u64;
            blob.parts.insert(blob.size, part);
            blob.size = end;
        }
        Some(Place {
            blob: name,
            position,
        })
    }

    fn apply(&mut self, write: Write, version: Version, body: Option<Place>) {
        let (key, old, added, place_at) = match write {
            Write::Delete { key } => {
                self.rows.remove(&key);
                return;
            }
            Write::Put {
                key,
                value,
                place_at,
            } => (key, Bytes::new(), value, place_at),
            Write::Append {
                key,
                bytes,
                place_at,
            } => {
                let old = self.rows.remove(&key).map(|(_, value)| value);
                (key, old.unwrap_or_default(), bytes, place_at)
            }
        };
        let added = match (body, place_at) {
            (Some(body), Some(at)) => {
                if let Some(blob) = self.blobs.get_mut(&body.blob) {
                    blob.placed.insert(key.clone());
                }
                stamp(added, at as usize, body)
            }
            _ => added,
        };
        let value = if old.is_empty() {
            added
        } else {
            // Grows in place, at a doubling cost, unless a reader still holds the value.
            let mut grown = old
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            grown.extend_from_slice(&added);
            grown.freeze()
        };
        self.rows.insert(key, (version, value));
    }
}

/// The first of `rows`, as many as the limit allows and at least one.
fn bounded<'a>(
    rows: impl Iterator<Item = (&'a Key, &'a (Version, Bytes))>,
    limit: Limit,
) -> Vec<Row> {
    let mut taken: Vec<Row> = Vec::new();
    let mut bytes = 0;
    for (key, (version, value)) in rows {
        bytes += key.bytes.len() + value.len();
        if !taken.is_empty() && (taken.len() >= limit.rows || bytes > limit.bytes) {
            break;
        }
        taken.push(Row {
            key: key.clone(),
            version: *version,
            value: Some(value.clone()),
        });
    }
    taken
}

impl Blob {
    fn read(&self, name: BlobName, range: &Range<u64>) -> Result<Bytes, StoreError> {
        if range.start > range.end || range.end > self.size {
            return Err(StoreError::Corrupt {
                place: format!("blob {} at {}..{}", name.0, range.start, range.end),
                reason: format!("the blob has {} bytes", self.size),
            });
        }
        let mut found: Vec<Bytes> = Vec::new();
        let first = self.parts.range(..=range.start).next_back();
        let first = first.map_or(0, |(position, _)| *position);
        for (position, part) in self.parts.range(first..range.end) {
            let from = within(range.start, *position, part);
            let to = within(range.end, *position, part);
            if from < to {
                found.push(part.slice(from..to));
            }
        }
        Ok(match found.len() {
            1 => found.swap_remove(0),
            _ => Bytes::from(found.concat()),
        })
    }
}

/// The index of a blob position in a part that begins at `start`, at most the part's length.
fn within(position: u64, start: u64, part: &Bytes) -> usize {
    let index = usize::try_from(position.saturating_sub(start)).unwrap_or(usize::MAX);
    index.min(part.len())
}

/// Makes the place at `at` absolute. [`check`] has seen that it is there.
fn stamp(value: Bytes, at: usize, body: Place) -> Bytes {
    let mut value = BytesMut::from(value);
    if let Some(slot) = value.get_mut(at..at + Place::SIZE) {
        let mut encoded = [0; Place::SIZE];
        encoded.copy_from_slice(slot);
        let place = Place {
            blob: body.blob,
            position: Place::decode(encoded)
                .position
                .saturating_add(body.position),
        };
        slot.copy_from_slice(&place.encode());
    }
    value.freeze()
}

/// What is wrong with a commit, if anything: a mistake of the caller's that must not be half carried out.
fn check(commit: &Commit) -> Result<(), &'static str> {
    let mut keys = BTreeSet::new();
    let has_body = commit.body.iter().any(|part| !part.is_empty());
    for write in &commit.writes {
        if !keys.insert(write.key()) {
            return Err("two writes of one key");
        }
        if write.key().bytes.len() >= Key::SIZE_MAX {
            return Err("a key is too long");
        }
        let (Write::Put {
            value, place_at, ..
        }
        | Write::Append {
            bytes: value,
            place_at,
            ..
        }) = write
        else {
            continue;
        };
        let Some(at) = place_at else { continue };
        if !has_body {
            return Err("a place without a body");
        }
        if *at as usize + Place::SIZE > value.len() {
            return Err("a place outside its value");
        }
    }
    Ok(())
}
