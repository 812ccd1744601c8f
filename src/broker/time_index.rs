//! Offsets by time: the pages of a partition are ordered by the largest timestamp before them, so the page is found by
//! bisection, the run and the batch by their largest timestamps, the record by looking into that one batch.

use bytes::Bytes;

use super::DECOMPRESSED_SIZE_MAX;
use super::reader::{Isolation, ReadError, Reader, successor};
use crate::base::PartitionNumber;
use crate::log::{
    Check, Page, RecordAt, RunEntry, RunWalk, first_record_since, page_key, page_keys,
};
use crate::store::{KeyRange, Order};

impl Reader {
    /// The first record a reader sees whose timestamp is at or after `timestamp` (0 or more), in offset order.
    pub async fn offset_by_time(
        &self,
        partition: PartitionNumber,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<Option<RecordAt>, ReadError> {
        let head = self.view(partition).await?.head();
        let offsets = self.offsets(partition).await?;
        let start = offsets.log_start_offset;
        if head.max_timestamp < timestamp || start >= offsets.high_watermark {
            return Ok(None);
        }
        let mut page = self
            .page_by_time(partition, timestamp, start, offsets.high_watermark)
            .await?;
        while let Some((key, runs)) = page {
            for run in runs.entries_from(runs.find(start)) {
                let run = run.map_err(|damage| ReadError::Row { partition, damage })?;
                if run.max_timestamp < timestamp {
                    continue;
                }
                if let Some(found) = self.record_in(partition, &run, timestamp, start).await? {
                    return Ok((found.offset < offsets.end(isolation)).then_some(found));
                }
            }
            let range = KeyRange {
                start: successor(&key),
                ..page_keys(partition)
            };
            page = self.page(partition, range, Order::Ascending).await?;
        }
        Ok(None)
    }

    /// The record with the largest timestamp (KIP-734), if a reader sees it.
    pub async fn offset_of_max_timestamp(
        &self,
        partition: PartitionNumber,
        isolation: Isolation,
    ) -> Result<Option<RecordAt>, ReadError> {
        let head = self.view(partition).await?.head();
        let offsets = self.offsets(partition).await?;
        let start = offsets.log_start_offset;
        if head.max_timestamp_offset < start {
            return Ok(None);
        }
        let Some(run) = self.run_at(partition, head.max_timestamp_offset).await? else {
            return Ok(None);
        };
        let found = self
            .record_in(partition, &run, run.max_timestamp, start)
            .await?;
        Ok(found.filter(|found| found.offset < offsets.end(isolation)))
    }

    /// The first record of a run at or after an offset and a timestamp.
    async fn record_in(
        &self,
        partition: PartitionNumber,
        run: &RunEntry,
        timestamp: i64,
        offset_min: i64,
    ) -> Result<Option<RecordAt>, ReadError> {
        let bytes = self
            .run_bytes(partition, std::slice::from_ref(run), 0)
            .await?
            .to_bytes();
        // What was read from the disk has been checked by now.
        for batch in RunWalk::new(run, run.start(), &bytes, Check::Headers) {
            let batch = batch.map_err(|damage| ReadError::Damage { partition, damage })?;
            let batch = &bytes[batch.range()];
            match first_record_since(batch, timestamp, offset_min, DECOMPRESSED_SIZE_MAX) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => return Err(ReadError::Records { partition, error }),
            }
        }
        Ok(None)
    }

    async fn run_at(
        &self,
        partition: PartitionNumber,
        offset: i64,
    ) -> Result<Option<RunEntry>, ReadError> {
        let Some((_, page)) = self.page_of(partition, offset).await? else {
            return Ok(None);
        };
        let run = page.entries_from(page.find(offset)).next().transpose();
        run.map_err(|damage| ReadError::Row { partition, damage })
    }

    /// The last page between two offsets before which all timestamps are smaller: the first record that is not lies in
    /// it or behind it.
    async fn page_by_time(
        &self,
        partition: PartitionNumber,
        timestamp: i64,
        mut low: i64,
        mut high: i64,
    ) -> Result<Option<(Bytes, Page)>, ReadError> {
        let mut found = self.page_of(partition, low).await?;
        while low < high {
            // Rounded up, so that the range shrinks when it is one wide.
            let middle = low + (high - low + 1) / 2;
            match self.page_of(partition, middle).await? {
                Some((key, page)) if page.max_timestamp_before() < timestamp => {
                    low = middle;
                    found = Some((key, page));
                }
                Some(_) | None => high = middle - 1,
            }
        }
        Ok(found)
    }

    /// The page that an offset lies in: the last one that begins at or before it.
    async fn page_of(
        &self,
        partition: PartitionNumber,
        offset: i64,
    ) -> Result<Option<(Bytes, Page)>, ReadError> {
        let end = Some(page_key(partition, offset.saturating_add(1)).bytes);
        self.page(
            partition,
            KeyRange {
                end,
                ..page_keys(partition)
            },
            Order::Descending,
        )
        .await
    }
}
