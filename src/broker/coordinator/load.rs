//! Groups out of their rows: all of them at the start, one after a commit that failed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::PartitionNumber;
use crate::cluster::Topics;
use crate::group::{self, Change};
use crate::store::{Commit, Key, KeyRange, Space, Store, Version, Write};

use super::super::catalog::{self, CatalogError};

/// Rows that one commit removes at most.
const REMOVED_MAX: usize = 500;

/// What the rows of a group say.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) changes: Vec<Change>,
    /// Of the group's own row; absent for one with offsets only.
    pub(super) version: Version,
}

/// Which partition of which topic a number is.
type Names = HashMap<PartitionNumber, (Arc<str>, i32)>;

fn names(topics: &Topics) -> Names {
    let mut names = Names::new();
    for topic in topics.iter() {
        for (index, partition) in (0..).zip(&topic.partitions) {
            names.insert(*partition, (topic.name.clone(), index));
        }
    }
    names
}

/// All groups. Offsets of topics that were deleted before the last stop, and not removed yet, are removed.
pub(super) async fn read_groups(
    store: &dyn Store,
    topics: &Topics,
    now_ms: i64,
) -> Result<HashMap<Arc<str>, Loaded>, CatalogError> {
    let mut read = HashMap::new();
    let groups = group::group_rows();
    let offsets = KeyRange::all(Space::Offset);
    let orphans = read_rows(store, topics, (groups, offsets), now_ms, &mut read).await?;
    for keys in orphans.chunks(REMOVED_MAX) {
        let deletes = keys.iter().map(|key| Write::Delete { key: key.clone() });
        let commit = Commit {
            writes: deletes.collect(),
            ..Commit::default()
        };
        store.commit(commit).await?;
    }
    Ok(read)
}

/// One group; it has no changes where there are no rows.
pub(super) async fn read_group(
    store: &dyn Store,
    topics: &Topics,
    group_id: &Arc<str>,
    now_ms: i64,
) -> Result<Loaded, CatalogError> {
    let mut read = HashMap::new();
    let key = group::group_key(group_id);
    let mut end = key.bytes.to_vec();
    end.push(0);
    let groups = KeyRange {
        space: key.space,
        start: key.bytes,
        end: Some(end.into()),
    };
    let offsets = group::offset_rows(group_id);
    read_rows(store, topics, (groups, offsets), now_ms, &mut read).await?;
    Ok(read.remove(group_id).unwrap_or_default())
}

/// Returns the rows of offsets whose topic is gone.
async fn read_rows(
    store: &dyn Store,
    topics: &Topics,
    (groups, offsets): (KeyRange, KeyRange),
    now_ms: i64,
    read: &mut HashMap<Arc<str>, Loaded>,
) -> Result<Vec<Key>, CatalogError> {
    let mut orphans = Vec::new();
    catalog::scan(store, groups, |row, value| {
        let loaded = read.entry(group::group_of_key(&row.key)?).or_default();
        let classic = group::decode_group(&value, now_ms)?;
        loaded.changes.push(Change::Group(Box::new(classic)));
        loaded.version = row.version;
        Ok(())
    })
    .await?;
    let names = names(topics);
    catalog::scan(store, offsets, |row, value| {
        let (group_id, partition) = group::offset_of_key(&row.key)?;
        let Some((topic, index)) = names.get(&partition) else {
            orphans.push(row.key.clone());
            return Ok(());
        };
        let offset = group::decode_offset(&value, topic.clone(), *index)?;
        let offset = Some(offset);
        let loaded = read.entry(group_id).or_default();
        loaded.changes.push(Change::Offset { partition, offset });
        Ok(())
    })
    .await?;
    Ok(orphans)
}
