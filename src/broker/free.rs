//! Gives back blobs in which nothing lives any more.
//!
//! Candidates come from whoever removed rows that pointed into them. What decides is what the rows say today: every
//! row that was ever written with a place in the blob is looked up, and one run that still points there keeps it.
//! Nothing begins to point into a blob that is closed, so the answer "dead" stays true.

use std::collections::{BTreeSet, HashMap};

use crate::base::PartitionNumber;
use crate::log::{self, Page, RunKind};
use crate::store::{BlobInfo, BlobName, Row, Space, Store, StoreError};

/// Rows looked up at a time: pages are up to 14 KiB each.
const ROWS_MAX: usize = 64;

/// Gives back those of `candidates` in which nothing lives and to which nothing is added any more. Returns those that
/// are still being written: they have to be looked at again.
pub(super) async fn free_blobs(
    store: &dyn Store,
    candidates: &BTreeSet<BlobName>,
) -> Result<BTreeSet<BlobName>, StoreError> {
    let blobs = store.blobs().await?;
    let blobs: HashMap<BlobName, BlobInfo> =
        blobs.into_iter().map(|blob| (blob.name, blob)).collect();
    let known = candidates.iter().filter_map(|name| blobs.get(name));
    let (closed, open): (Vec<BlobInfo>, Vec<BlobInfo>) = known.partition(|blob| blob.closed);
    let (mut dead, mut bytes) = (Vec::new(), 0);
    for blob in closed {
        if !lives(store, blob.name).await? {
            dead.push(blob.name);
            bytes += blob.size;
        }
    }
    if !dead.is_empty() {
        store.delete(&dead).await?;
        tracing::info!(
            blobs = dead.len(),
            bytes,
            "space of deleted records given back"
        );
    }
    Ok(open.into_iter().map(|blob| blob.name).collect())
}

/// Whether any row points into the blob.
async fn lives(store: &dyn Store, name: BlobName) -> Result<bool, StoreError> {
    for keys in store.placed_keys(name).await?.chunks(ROWS_MAX) {
        let rows = store.get(keys).await?;
        if rows.iter().any(|row| points_into(row, name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A row that cannot be read is taken to point anywhere.
fn points_into(row: &Row, name: BlobName) -> bool {
    if row.value.is_none() {
        return false;
    }
    match places(row) {
        Some(blobs) => blobs.contains(&name),
        None => true,
    }
}

/// The blobs that a row which is about to be removed points into. What cannot be read points nowhere: its blobs stay
/// until something else names them.
pub(super) fn blobs_of(row: &Row) -> BTreeSet<BlobName> {
    places(row).unwrap_or_else(|| {
        tracing::warn!(key = ?row.key, "removed a row that cannot be read; its space is not given back");
        BTreeSet::new()
    })
}

/// The blobs that a row points into; `None` when it cannot be read. Only pages of runs point into blobs.
fn places(row: &Row) -> Option<BTreeSet<BlobName>> {
    let Some(value) = row.value.clone().filter(|_| is_page(row)) else {
        return Some(BTreeSet::new());
    };
    let page = Page::parse(value).ok()?;
    let mut blobs = BTreeSet::new();
    for entry in page.entries_from(0) {
        match entry.ok()?.kind {
            RunKind::Data { place } => {
                blobs.insert(place.blob);
            }
            RunKind::Marker { .. } => {}
        }
    }
    Some(blobs)
}

fn is_page(row: &Row) -> bool {
    let number = row.key.bytes.first_chunk().copied();
    let number = number.map(|bytes| PartitionNumber(u32::from_be_bytes(bytes)));
    row.key.space == Space::Run
        && number.is_some_and(|number| log::page_keys(number).contains(&row.key))
}
