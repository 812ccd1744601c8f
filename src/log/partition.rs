//! One partition's log in memory: what its rows say, and nothing that they do not.

use std::collections::HashMap;

use super::page::{RunEntry, RunKind};
use super::producer::ProducerState;
use super::rows::{Head, RowDamage, head_key, page_key, producer_of_key};
use crate::base::{PartitionNumber, ProducerId};
use crate::store::{Key, Place, Row, Version};

/// The page of runs that grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPage {
    pub(super) key: Key,
    pub(super) base_offset: i64,
    pub(super) entries: u32,
}

/// One partition's log as its owner holds it in memory. It can be dropped at any moment and loaded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLog {
    pub(super) partition: PartitionNumber,
    pub(super) head_key: Key,
    pub(super) head: Head,
    pub(super) head_version: Version,
    pub(super) page: Option<OpenPage>,
    pub(super) producers: HashMap<ProducerId, ProducerState>,
}

impl PartitionLog {
    /// Builds the state from the row of [`head_key`] and the rows of [`super::producer_keys`].
    /// An absent head is an empty log.
    pub fn load(
        partition: PartitionNumber,
        head: &Row,
        producers: &[Row],
    ) -> Result<Self, RowDamage> {
        let head_key = head_key(partition);
        debug_assert_eq!(head.key, head_key);
        let head_version = head.version;
        let head = match &head.value {
            Some(value) => Head::decode(value)?,
            None => Head::EMPTY,
        };
        let page = (head.page_base_offset >= 0).then(|| OpenPage {
            key: page_key(partition, head.page_base_offset),
            base_offset: head.page_base_offset,
            entries: head.page_entries,
        });
        let producers = producers.iter().filter_map(|row| {
            let value = row.value.as_ref()?;
            let state = || Ok((producer_of_key(&row.key)?, ProducerState::decode(value)?));
            Some(state())
        });
        Ok(Self {
            partition,
            head_key,
            head,
            head_version,
            page,
            producers: producers.collect::<Result<_, RowDamage>>()?,
        })
    }

    pub fn partition(&self) -> PartitionNumber {
        self.partition
    }

    /// Offsets and sizes as of the last commit.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Producers in memory: the size of this state, for whoever bounds the sum over partitions.
    pub fn producers_len(&self) -> usize {
        self.producers.len()
    }

    /// Makes a change that a commit has made durable: `version` and `blob` are what it returned. Gives the run with
    /// its place.
    pub fn apply(&mut self, change: Change, version: Version, blob: Option<Place>) -> RunEntry {
        debug_assert_eq!(change.partition, self.partition);
        for producer in &change.forgotten {
            self.producers.remove(producer);
        }
        self.producers.extend(change.producers);
        self.head = change.head;
        self.head_version = version;
        self.page = Some(change.page);
        let mut run = change.run;
        if let (RunKind::Data { place }, Some(blob)) = (&mut run.kind, blob) {
            place.blob = blob.blob;
            place.position += blob.position;
        }
        run
    }
}

/// What a commit changes in one partition: for [`PartitionLog::apply`].
#[derive(Clone, Debug)]
pub struct Change {
    pub partition: PartitionNumber,
    pub(super) head: Head,
    pub(super) page: OpenPage,
    pub(super) run: RunEntry,
    pub(super) producers: Vec<(ProducerId, ProducerState)>,
    pub(super) forgotten: Vec<ProducerId>,
}
