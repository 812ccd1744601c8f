//! Offsets by time: the pages of a partition are ordered by the largest timestamp before them, so the page is found by
//! bisection, the run and the batch by their largest timestamps, the record by looking into that one batch.

use bytes::Bytes;

use super::DECOMPRESSED_SIZE_MAX;
use super::reader::{ATTEMPTS_MAX, Isolation, ReadError, Reader, successor};
use crate::base::PartitionNumber;
use crate::log::{
    BatchAt, Check, Page, RecordAt, RecordError, RunEntry, RunWalk, first_record_since,
    largest_record_from, page_key, page_keys,
};
use crate::store::{KeyRange, Order};

/// Looks at a batch and its bytes; false when it has seen enough.
type Look<'a> = &'a mut (dyn FnMut(&BatchAt, &[u8]) -> Result<bool, RecordError> + Send);

impl Reader {
    /// The first record a reader sees whose timestamp is at or after `timestamp` (0 or more), in offset order.
    pub async fn offset_by_time(
        &self,
        partition: PartitionNumber,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<Option<RecordAt>, ReadError> {
        for _ in 1..ATTEMPTS_MAX {
            match self.find_time(partition, timestamp, isolation).await {
                Err(error) if error.is_of_a_trim() => self.read_head(partition).await?,
                other => return other,
            }
        }
        self.find_time(partition, timestamp, isolation).await
    }

    async fn find_time(
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

    /// The first record with the largest timestamp in the log (KIP-734), if a reader sees it.
    pub async fn offset_of_max_timestamp(
        &self,
        partition: PartitionNumber,
        isolation: Isolation,
    ) -> Result<Option<RecordAt>, ReadError> {
        for _ in 1..ATTEMPTS_MAX {
            match self.find_largest(partition, isolation).await {
                Err(error) if error.is_of_a_trim() => self.read_head(partition).await?,
                other => return other,
            }
        }
        self.find_largest(partition, isolation).await
    }

    async fn find_largest(
        &self,
        partition: PartitionNumber,
        isolation: Isolation,
    ) -> Result<Option<RecordAt>, ReadError> {
        let head = self.view(partition).await?.head();
        let offsets = self.offsets(partition).await?;
        let start = offsets.log_start_offset;
        let found = if head.max_timestamp_offset >= start {
            let run = self.run_at(partition, head.max_timestamp_offset).await?;
            self.largest_in(partition, run, start).await?
        } else {
            self.largest_since(partition, start).await?
        };
        Ok(found.filter(|found| found.offset < offsets.end(isolation)))
    }

    /// The largest timestamp of all lies below the log start, or next to it: every run that is left is looked at.
    async fn largest_since(
        &self,
        partition: PartitionNumber,
        start: i64,
    ) -> Result<Option<RecordAt>, ReadError> {
        let (mut cut, mut largest) = (None, None);
        let mut page = self.page_of(partition, start).await?;
        while let Some((key, runs)) = page {
            for run in runs.entries_from(runs.find(start)) {
                let run = run.map_err(|damage| ReadError::Row { partition, damage })?;
                if run.base_offset < start {
                    // What the run says may be of a record below the start.
                    cut = self.largest_in(partition, Some(run), start).await?;
                } else if largest
                    .is_none_or(|known: RunEntry| run.max_timestamp > known.max_timestamp)
                {
                    largest = Some(run);
                }
            }
            let range = KeyRange {
                start: successor(&key),
                ..page_keys(partition)
            };
            page = self.page(partition, range, Order::Ascending).await?;
        }
        match (cut, largest) {
            (Some(cut), Some(run)) if cut.timestamp >= run.max_timestamp => Ok(Some(cut)),
            (cut, None) => Ok(cut),
            (_, largest) => self.largest_in(partition, largest, start).await,
        }
    }

    /// The first record with the largest timestamp of a run, at or after an offset.
    async fn largest_in(
        &self,
        partition: PartitionNumber,
        run: Option<RunEntry>,
        offset_min: i64,
    ) -> Result<Option<RecordAt>, ReadError> {
        let Some(run) = run else {
            return Ok(None);
        };
        let mut largest: Option<RecordAt> = None;
        let mut look = |batch: &BatchAt, bytes: &[u8]| {
            let is_larger = |timestamp| largest.is_none_or(|known| timestamp > known.timestamp);
            if batch.header.last_offset() >= offset_min && is_larger(batch.header.max_timestamp) {
                let found = largest_record_from(bytes, offset_min, DECOMPRESSED_SIZE_MAX)?;
                largest = match found {
                    Some(found) if is_larger(found.timestamp) => Some(found),
                    _ => largest,
                };
            }
            Ok(true)
        };
        self.batches_in(partition, &run, &mut look).await?;
        Ok(largest)
    }

    /// Hands the batches of a run to `look` until it has enough (returns false).
    async fn batches_in(
        &self,
        partition: PartitionNumber,
        run: &RunEntry,
        look: Look<'_>,
    ) -> Result<(), ReadError> {
        let bytes = self
            .run_bytes(partition, std::slice::from_ref(run), 0)
            .await?
            .to_bytes();
        // What was read from the disk has been checked by now.
        for batch in RunWalk::new(run, run.start(), &bytes, Check::Headers) {
            let batch = batch.map_err(|damage| ReadError::Damage { partition, damage })?;
            match look(&batch, &bytes[batch.range()]) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(ReadError::Records { partition, error }),
            }
        }
        Ok(())
    }

    /// The first record of a run at or after an offset and a timestamp.
    async fn record_in(
        &self,
        partition: PartitionNumber,
        run: &RunEntry,
        timestamp: i64,
        offset_min: i64,
    ) -> Result<Option<RecordAt>, ReadError> {
        let mut first = None;
        let mut look = |_: &BatchAt, bytes: &[u8]| {
            first = first_record_since(bytes, timestamp, offset_min, DECOMPRESSED_SIZE_MAX)?;
            Ok(first.is_none())
        };
        self.batches_in(partition, run, &mut look).await?;
        Ok(first)
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
