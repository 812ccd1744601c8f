//! The conformance suite: what `src/store/mod.rs` promises, as cases that run on every engine.

mod blobs;
mod concurrency;
mod engines;
mod rows;
mod scans;

use std::sync::Arc;

use bytes::Bytes;
use ottla::base::BoxFuture;
use ottla::store::{Commit, Key, Outcome, Place, Row, Space, Store, Version, Write};

/// One promise, tried on an empty store.
pub(crate) struct Case {
    pub(crate) promise: &'static str,
    pub(crate) run: fn(Arc<dyn Store>) -> BoxFuture<'static, ()>,
}

/// A table of cases out of async functions.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        &[$(crate::conformance::Case {
            promise: stringify!($case),
            run: |store| Box::pin($case(store)),
        }),+]
    };
}
pub(crate) use cases;

/// Every case there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [rows::CASES, scans::CASES, blobs::CASES, concurrency::CASES]
        .into_iter()
        .flatten()
}

fn key(name: &str) -> Key {
    Key::new(Space::Cluster, name.as_bytes().to_vec())
}

fn put(name: &str, value: impl Into<Bytes>) -> Write {
    Write::Put {
        key: key(name),
        value: value.into(),
        place_at: None,
    }
}

fn append(name: &str, bytes: impl Into<Bytes>) -> Write {
    Write::Append {
        key: key(name),
        bytes: bytes.into(),
        place_at: None,
    }
}

fn delete(name: &str) -> Write {
    Write::Delete { key: key(name) }
}

fn writes(writes: impl Into<Vec<Write>>) -> Commit {
    Commit {
        writes: writes.into(),
        ..Commit::default()
    }
}

/// A value that holds nothing but a place, relative to the commit's body.
fn relative(position: u64) -> Bytes {
    let blob = ottla::store::BlobName(0);
    Bytes::copy_from_slice(&Place { blob, position }.encode())
}

/// Commits what nothing stands against.
async fn done(store: &dyn Store, commit: Commit) -> (Version, Option<Place>) {
    match store.commit(commit).await {
        Ok(Outcome::Done { version, blob }) => (version, blob),
        other => panic!("expected a commit to be done: {other:?}"),
    }
}

/// Commits what a guard stands against; the rows of the guards.
async fn conflict(store: &dyn Store, commit: Commit) -> Vec<Row> {
    match store.commit(commit).await {
        Ok(Outcome::Conflict(rows)) => rows,
        other => panic!("expected a conflict: {other:?}"),
    }
}

async fn row(store: &dyn Store, name: &str) -> Row {
    let mut rows = store.get(&[key(name)]).await.expect("rows can be read");
    rows.pop().expect("one row per key")
}

async fn value(store: &dyn Store, name: &str) -> Option<Bytes> {
    row(store, name).await.value
}

/// Reads the place that a row's value begins with, and `len` bytes there.
async fn read_placed(store: &dyn Store, name: &str, len: u64) -> Bytes {
    let value = value(store, name).await.expect("the row is there");
    let place = Place::decode(value[..Place::SIZE].try_into().expect("16 bytes"));
    let range = place.position..place.position + len;
    let mut read = store
        .read(place.blob, &[range])
        .await
        .expect("placed bytes can be read");
    read.pop().expect("one result per range")
}

/// Bytes that are told from others.
fn pattern(seed: u64, len: usize) -> Bytes {
    let mut rng = ottla::base::Rng::seeded(seed);
    let words = std::iter::repeat_with(move || rng.next_u64().to_le_bytes());
    words.flatten().take(len).collect()
}
