//! The store seam: rows, blobs, commits.
//!
//! All state is two kinds of thing. **Rows** are a small ordered key-value space. **Blobs** are immutable byte objects
//! that hold record batches as producers sent them. All change is one kind of thing: a [`Commit`], at most one new
//! blob body and a set of row writes, guarded by "this row still has this version", all or nothing, durable when it
//! returns. Kafka's semantics live above this line and are written once; an engine knows nothing of Kafka.
//!
//! The traits have no default bodies: a default hides a missing implementation until it is needed.

mod error;
#[cfg(test)]
pub(crate) mod fault;
mod key;
pub mod local;
pub mod memory;

use bytes::Bytes;

use crate::base::BoxFuture;
use crate::metrics::Reading;

pub use error::StoreError;
pub use key::{Key, KeyRange, Space};

/// The version of a row: 0 when the row is absent, else a number that was never used before and only grows.
/// The local engine uses the number of the frame that wrote the row last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The version of a row that does not exist.
    pub const ABSENT: Version = Version(0);
}

/// A row as read: `value` is `None` exactly when `version` is [`Version::ABSENT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: Key,
    pub version: Version,
    pub value: Option<Bytes>,
}

/// How much a scan may return: it stops at whichever bound is reached first, but always returns at least one row
/// where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub rows: usize,
    pub bytes: usize,
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    /// From the end of the range: with a limit of one row, the greatest key below the end.
    Descending,
}

/// One change of one row.
///
/// `place_at` is the index in `value` (or `bytes`) of a 16-byte [`Place`] slot. The caller fills the slot with
/// blob 0 and a position relative to the start of the commit's body; the engine, which alone knows where the body
/// will lie, overwrites it with the blob's name and the absolute position before the write becomes visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the row to `value`.
    Put {
        key: Key,
        value: Bytes,
        place_at: Option<u32>,
    },
    /// Adds `bytes` to the end of the row's value; an absent row is treated as empty.
    Append {
        key: Key,
        bytes: Bytes,
        place_at: Option<u32>,
    },
    /// Removes the row; removing an absent row is no error.
    Delete { key: Key },
}

impl Write {
    /// The row that this write changes.
    pub fn key(&self) -> &Key {
        match self {
            Write::Put { key, .. } | Write::Append { key, .. } | Write::Delete { key } => key,
        }
    }
}

/// The name of a blob: given by the engine, never reused. A local journal segment is a blob per generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobName(pub u64);

/// Where bytes lie: blob and byte position in it. 16 bytes in rows, both fields big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub blob: BlobName,
    pub position: u64,
}

impl Place {
    /// Bytes of an encoded place.
    pub const SIZE: usize = 16;

    /// Big-endian blob name, then big-endian position.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.blob.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.position.to_be_bytes());
        bytes
    }

    /// The inverse of [`Place::encode`].
    pub fn decode(bytes: [u8; Self::SIZE]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(u64::MAX);
        Self {
            blob: BlobName(half(bits >> 64)),
            position: half(bits),
        }
    }
}

/// A change: all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Each row must have exactly this version when the commit takes effect.
    pub guards: Vec<(Key, Version)>,
    /// At most one write per key.
    pub writes: Vec<Write>,
    /// The bytes of the new blob part, in order; empty for a commit of rows only. Rows refer to it by `place_at`.
    pub body: Vec<Bytes>,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable and visible. Every row that it wrote has this version; `blob` is where its body went.
    Done {
        version: Version,
        blob: Option<Place>,
    },
    /// A guard did not hold and nothing was changed: the rows of all guards as they are.
    Conflict(Vec<Row>),
}

/// Rows. A read sees every commit that returned before the read was called.
pub trait MetaStore: Send + Sync + std::fmt::Debug {
    /// The rows of `keys`, in that order, absent ones included.
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Row>, StoreError>>;

    /// The rows of a range, in the order asked for.
    fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: Limit,
    ) -> BoxFuture<'_, Result<Vec<Row>, StoreError>>;

    /// Makes a change. The commit takes its place in the order when this function is *called*, not when its future
    /// is first polled; dropping the future does not undo it.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>>;
}

/// What is known of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    pub name: BlobName,
    /// Bytes that it takes up on disk.
    pub size: u64,
    /// True when nothing will be added to it any more; only such a blob may be deleted.
    pub closed: bool,
}

/// Blobs.
pub trait BlobStore: Send + Sync + std::fmt::Debug {
    /// Bytes of a blob, one result per range. [`StoreError::Missing`] when the blob has been deleted.
    fn read<'a>(
        &'a self,
        name: BlobName,
        ranges: &'a [std::ops::Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>, StoreError>>;

    /// All blobs there are, by name.
    fn blobs(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>, StoreError>>;

    /// The keys of all rows that were ever written with a place in this blob, without repeats. Whoever wants to
    /// delete a blob looks each of them up first: what those rows say *today* decides what lives.
    fn placed_keys(&self, name: BlobName) -> BoxFuture<'_, Result<Vec<Key>, StoreError>>;

    /// Gives blobs back. The caller vouches that no row points into them any more and that the commits which
    /// removed those rows have returned. The space is freed when every reader that is at it has finished.
    fn delete<'a>(&'a self, names: &'a [BlobName]) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// Room where an engine keeps everything, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub total: u64,
    /// What this process may still use.
    pub available: u64,
}

/// An engine: rows and blobs under one commit, and an end.
pub trait Store: MetaStore + BlobStore {
    /// The id of the cluster whose state this is, given or drawn when the store was made and the same ever since.
    fn cluster_id(&self) -> &str;

    /// How much room there is; `None` where nothing but memory bounds it.
    fn room(&self) -> BoxFuture<'_, Result<Option<Room>, StoreError>>;

    /// What the engine tells of itself on the metrics page, by the gauges of the table.
    fn gauges(&self) -> Vec<Reading>;

    /// Makes everything acknowledged durable and refuses what comes after. Idempotent.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
