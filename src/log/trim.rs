//! Raising a log start, and what goes with it: the runs that lie wholly below.
//!
//! A page whose runs all lie below goes; of one that begins below and ends above, the first runs are cut off. It keeps
//! its key: whoever looks for rows that point into a blob finds it by the key under which the place was written. A
//! page that is cut or removed grows no more; the next run begins a new one.

use std::collections::BTreeSet;

use super::page::{Page, RunKind};
use super::partition::PartitionLog;
use super::rows::{Head, RowDamage, aborted_key, aborted_keys, page_key, page_keys};
use crate::base::PartitionNumber;
use crate::store::{BlobName, Key, KeyRange, Row, Version, Write};

/// What stands for the high watermark where records are deleted (Kafka's `DeleteRecordsRequest.HIGH_WATERMARK`).
pub const HIGH_WATERMARK: i64 = -1;

/// The offset before which records are to be deleted is not one of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "offset {offset} lies outside the log, which ends at {high_watermark}; delete up to its end"
)]
pub struct LogStartError {
    pub offset: i64,
    pub high_watermark: i64,
}

/// What one commit changes in a log whose start is raised, or below whose start runs are left.
#[derive(Clone, Debug)]
pub struct LogTrim {
    partition: PartitionNumber,
    head: Head,
    pub guards: Vec<(Key, Version)>,
    pub writes: Vec<Write>,
    /// What the removed runs pointed into.
    pub blobs: BTreeSet<BlobName>,
}

impl LogTrim {
    pub fn partition(&self) -> PartitionNumber {
        self.partition
    }
}

/// Keys of the pages that begin below an offset.
pub fn pages_below(partition: PartitionNumber, offset: i64) -> KeyRange {
    KeyRange {
        end: Some(page_key(partition, offset).bytes),
        ..page_keys(partition)
    }
}

/// Keys of the aborted transactions whose markers lie below an offset.
pub fn aborted_below(partition: PartitionNumber, offset: i64) -> KeyRange {
    KeyRange {
        end: Some(aborted_key(partition, offset).bytes),
        ..aborted_keys(partition)
    }
}

impl PartitionLog {
    /// The log start that deleting the records before `offset` asks for ([`HIGH_WATERMARK`]: all of them). A start is
    /// never lowered.
    pub fn log_start_for(&self, offset: i64) -> Result<i64, LogStartError> {
        let high_watermark = self.head.next_offset;
        match offset {
            HIGH_WATERMARK => Ok(high_watermark),
            offset if (0..=high_watermark).contains(&offset) => {
                Ok(offset.max(self.head.log_start_offset))
            }
            _ => Err(LogStartError {
                offset,
                high_watermark,
            }),
        }
    }

    /// Decides a commit that raises the log start and removes what lies below it: of the rows of [`pages_below`] and
    /// [`aborted_below`] the first ones, or all. `None` when nothing changes.
    pub fn trim(
        &self,
        log_start_offset: i64,
        pages: &[Row],
        aborted: &[Row],
    ) -> Result<Option<LogTrim>, RowDamage> {
        let mut trim = LogTrim {
            partition: self.partition,
            head: self.head,
            guards: vec![(self.head_key.clone(), self.head_version)],
            writes: Vec::new(),
            blobs: BTreeSet::new(),
        };
        trim.head.log_start_offset = log_start_offset.max(self.head.log_start_offset);
        for row in pages {
            trim.page(row)?;
        }
        let aborted = aborted.iter().map(|row| row.key.clone());
        trim.writes.extend(aborted.map(|key| Write::Delete { key }));
        let changes = trim.head != self.head || !trim.writes.is_empty();
        // A log without a head never held a record, or is being deleted.
        if !changes || self.head_version == Version::ABSENT {
            return Ok(None);
        }
        trim.writes.push(Write::Put {
            key: self.head_key.clone(),
            value: trim.head.encode(),
            place_at: None,
        });
        Ok(Some(trim))
    }

    /// Makes a change that a commit of this version has made durable. Gives the head as it is now.
    pub fn apply_trim(&mut self, trim: &LogTrim, version: Version) -> Head {
        debug_assert_eq!(trim.partition, self.partition);
        self.head = trim.head;
        self.head_version = version;
        if self.head.page_base_offset < 0 {
            self.page = None;
        }
        self.head
    }
}

impl LogTrim {
    fn page(&mut self, row: &Row) -> Result<(), RowDamage> {
        let Some(value) = row.value.clone() else {
            return Ok(());
        };
        let page = Page::parse(value)?;
        let kept_from = page.find(self.head.log_start_offset);
        for run in page.entries_from(0).take(kept_from) {
            let run = run?;
            self.head.size_bytes = self.head.size_bytes.saturating_sub(run.size.into());
            if let RunKind::Data { place } = run.kind {
                self.blobs.insert(place.blob);
            }
        }
        let key = row.key.clone();
        if kept_from == page.len() {
            self.writes.push(Write::Delete { key });
        } else if kept_from > 0 {
            self.writes.push(Write::Put {
                key,
                value: page.without_first(kept_from),
                place_at: None,
            });
        } else {
            return Ok(());
        }
        if row.key == page_key(self.partition, self.head.page_base_offset) {
            self.head.page_base_offset = -1;
            self.head.page_entries = 0;
        }
        Ok(())
    }
}
