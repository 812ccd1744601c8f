//! The rows of the cluster: keys and codecs. Fixed widths, big-endian; a value begins with the number of its layout,
//! which is part of the on-disk format. docs/storage.md draws them.
//!
//! | key | value after the layout byte |
//! | --- | --- |
//! | 1, topic name | topic id (16), ranges of partition numbers, overrides |
//! | 2 | next partition number (4): numbers below it were given out and are never given out again |
//! | 3 | next producer id (8): ids below it were given out or reserved |
//! | 4 | cluster id, with its length (4) before it |
//! | 5, topic id | of a deleted topic: name, ranges of partition numbers whose rows are to be removed, blobs |
//! | 6, resource type (1), resource name | overrides (`configs.rs`) |
//! | 7, partition number (4) | of a log with runs below its start: blobs |
//!
//! Ranges: count (4), then start (4) and length (4) each. Overrides: count (4), then key and value, each with its
//! length (4) before it. Blobs, those that may be free: count (4), name (8) each.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::name::TOPIC_NAME_SIZE_MAX;
use crate::base::PartitionNumber;
use crate::store::{BlobName, Key, KeyRange, Space, Version};

/// Partitions that a topic can have at most, so that a damaged row cannot ask for all memory.
pub const PARTITIONS_MAX: usize = 1_000_000;

/// The layout that this version of the broker writes, in every row here.
const LAYOUT: u8 = 1;

const KIND_TOPIC: u8 = 1;
const KIND_COUNTER: u8 = 2;
const KIND_PRODUCER_IDS: u8 = 3;
const KIND_FACTS: u8 = 4;
const KIND_TRIM: u8 = 5;
pub(super) const KIND_CONFIGS: u8 = 6;
const KIND_LOG_TRIM: u8 = 7;

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("the {0} row has layout {1}, which this version does not know; start a newer broker")]
    Layout(&'static str, u8),
    #[error("the {0} row is damaged: {1}; restore the data folder from a copy")]
    Damaged(&'static str, &'static str),
}

/// What the row of a topic says; the name is its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRow {
    pub id: Uuid,
    pub partitions: Vec<PartitionNumber>,
    pub overrides: BTreeMap<String, String>,
}

/// What is left to remove, and to give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trim {
    pub subject: TrimSubject,
    /// Removed rows pointed into these: to be looked at once more, and given back where nothing lives in them.
    pub blobs: BTreeSet<BlobName>,
}

/// What a [`Trim`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrimSubject {
    /// A deleted topic.
    Topic {
        id: Uuid,
        /// For messages.
        name: String,
        /// Their rows are still there, or some of them.
        partitions: Vec<PartitionNumber>,
    },
    /// A log whose start was raised: what lies below it.
    Log(PartitionNumber),
}

impl Trim {
    /// The key of its row.
    pub fn key(&self) -> Key {
        match &self.subject {
            TrimSubject::Topic { id, .. } => trim_key(id),
            TrimSubject::Log(partition) => log_trim_key(*partition),
        }
    }
}

/// The counter of partition numbers, with the version that its row has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    pub next: u32,
    pub version: Version,
}

/// Key of the row of a topic.
pub fn topic_key(name: &str) -> Key {
    with_kind(KIND_TOPIC, name.as_bytes())
}

/// The range of all topic rows.
pub fn topic_rows() -> KeyRange {
    KeyRange::prefix(Space::Cluster, vec![KIND_TOPIC])
}

/// The name of a topic from the key of its row.
pub fn topic_name_of(key: &Key) -> Result<&str, RowError> {
    const WHAT: &str = "topic";
    match key.bytes.split_first() {
        Some((&KIND_TOPIC, name)) if name.len() <= TOPIC_NAME_SIZE_MAX => {
            std::str::from_utf8(name).map_err(|_| RowError::Damaged(WHAT, "its name is not UTF-8"))
        }
        _ => Err(RowError::Damaged(WHAT, "its key is not a topic's")),
    }
}

/// Key of the counter of partition numbers.
pub fn counter_key() -> Key {
    with_kind(KIND_COUNTER, &[])
}

/// Key of the counter of producer ids.
pub fn producer_ids_key() -> Key {
    with_kind(KIND_PRODUCER_IDS, &[])
}

/// Key of the cluster's facts: read, and written no more.
pub fn facts_key() -> Key {
    with_kind(KIND_FACTS, &[])
}

/// Key of the trim row of a deleted topic.
pub fn trim_key(topic_id: &Uuid) -> Key {
    with_kind(KIND_TRIM, topic_id.as_bytes())
}

/// Key of the trim row of a log.
pub fn log_trim_key(partition: PartitionNumber) -> Key {
    with_kind(KIND_LOG_TRIM, &partition.0.to_be_bytes())
}

/// The range of all trim rows of topics.
pub fn trim_rows() -> KeyRange {
    KeyRange::prefix(Space::Cluster, vec![KIND_TRIM])
}

/// The range of all trim rows of logs.
pub fn log_trim_rows() -> KeyRange {
    KeyRange::prefix(Space::Cluster, vec![KIND_LOG_TRIM])
}

/// The value of a topic row.
pub fn encode_topic(row: &TopicRow) -> Bytes {
    let mut value = BytesMut::new();
    value.put_u8(LAYOUT);
    value.put_slice(row.id.as_bytes());
    put_ranges(&mut value, &row.partitions);
    put_overrides(&mut value, &row.overrides);
    value.freeze()
}

/// The inverse of [`encode_topic`].
pub fn decode_topic(value: &[u8]) -> Result<TopicRow, RowError> {
    let mut reader = Reader::new("topic", value)?;
    let row = TopicRow {
        id: reader.uuid()?,
        partitions: reader.ranges()?,
        overrides: reader.overrides()?,
    };
    reader.finish(row)
}

/// The value of a trim row.
pub fn encode_trim(trim: &Trim) -> Bytes {
    let mut value = BytesMut::new();
    value.put_u8(LAYOUT);
    if let TrimSubject::Topic {
        name, partitions, ..
    } = &trim.subject
    {
        put_text(&mut value, name);
        put_ranges(&mut value, partitions);
    }
    put_length(&mut value, trim.blobs.len());
    for blob in &trim.blobs {
        value.put_u64(blob.0);
    }
    value.freeze()
}

/// The inverse of [`encode_trim`]; `key` is the row's key.
pub fn decode_trim(key: &Key, value: &[u8]) -> Result<Trim, RowError> {
    const WHAT: &str = "trim";
    let damaged = || RowError::Damaged(WHAT, "its key is not a trim row's");
    let mut reader = Reader::new(WHAT, value)?;
    let subject = match key.bytes.split_first() {
        Some((&KIND_TRIM, id)) => TrimSubject::Topic {
            id: Uuid::from_slice(id).map_err(|_| damaged())?,
            name: reader.text()?,
            partitions: reader.ranges()?,
        },
        Some((&KIND_LOG_TRIM, number)) => {
            let number = number.try_into().map_err(|_| damaged())?;
            TrimSubject::Log(PartitionNumber(u32::from_be_bytes(number)))
        }
        _ => return Err(damaged()),
    };
    let blobs = reader.blobs()?;
    reader.finish(Trim { subject, blobs })
}

/// The value of the counter of partition numbers.
pub fn encode_counter(next: u32) -> Bytes {
    let mut value = BytesMut::with_capacity(5);
    value.put_u8(LAYOUT);
    value.put_u32(next);
    value.freeze()
}

/// The inverse of [`encode_counter`].
pub fn decode_counter(value: &[u8]) -> Result<u32, RowError> {
    let mut reader = Reader::new("partition counter", value)?;
    let next = reader.u32()?;
    reader.finish(next)
}

/// The value of the counter of producer ids.
pub fn encode_producer_ids(next: i64) -> Bytes {
    let mut value = BytesMut::with_capacity(9);
    value.put_u8(LAYOUT);
    value.put_i64(next);
    value.freeze()
}

/// The inverse of [`encode_producer_ids`].
pub fn decode_producer_ids(value: &[u8]) -> Result<i64, RowError> {
    let mut reader = Reader::new("producer id", value)?;
    let next = reader.i64()?;
    if next < 0 {
        return Err(RowError::Damaged("producer id", "it is negative"));
    }
    reader.finish(next)
}

/// The cluster id in the facts row, which stores had before [`crate::store::Store::cluster_id`].
pub fn decode_cluster_id(value: &[u8]) -> Result<String, RowError> {
    let mut reader = Reader::new("cluster facts", value)?;
    let cluster_id = reader.text()?;
    reader.finish(cluster_id)
}

pub(super) fn with_kind(kind: u8, rest: &[u8]) -> Key {
    let mut bytes = BytesMut::with_capacity(1 + rest.len());
    bytes.put_u8(kind);
    bytes.put_slice(rest);
    Key::new(Space::Cluster, bytes)
}

fn put_length(value: &mut BytesMut, length: usize) {
    // Every length here was checked when it came in: names, settings and counts are far below 4 GiB.
    value.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn put_text(value: &mut BytesMut, text: &str) {
    put_length(value, text.len());
    value.put_slice(text.as_bytes());
}

pub(super) fn put_layout(value: &mut BytesMut) {
    value.put_u8(LAYOUT);
}

pub(super) fn put_overrides(value: &mut BytesMut, overrides: &BTreeMap<String, String>) {
    put_length(value, overrides.len());
    for (name, setting) in overrides {
        put_text(value, name);
        put_text(value, setting);
    }
}

fn put_ranges(value: &mut BytesMut, numbers: &[PartitionNumber]) {
    let ranges: Vec<_> = numbers
        .chunk_by(|left, right| left.0.checked_add(1) == Some(right.0))
        .collect();
    put_length(value, ranges.len());
    for range in ranges {
        value.put_u32(range[0].0);
        put_length(value, range.len());
    }
}

/// Reads a value; each read is checked, none reserves memory that the value does not cover.
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(what: &'static str, value: &'a [u8]) -> Result<Self, RowError> {
        match value.split_first() {
            Some((&LAYOUT, rest)) => Ok(Self { what, rest }),
            Some((&layout, _)) => Err(RowError::Layout(what, layout)),
            None => Err(RowError::Damaged(what, "it is empty")),
        }
    }

    fn damaged<T>(&self, how: &'static str) -> Result<T, RowError> {
        Err(RowError::Damaged(self.what, how))
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], RowError> {
        match self.rest.split_at_checked(size) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => self.damaged("it is too short"),
        }
    }

    fn u32(&mut self) -> Result<u32, RowError> {
        Ok(self.take(4)?.get_u32())
    }

    fn i64(&mut self) -> Result<i64, RowError> {
        Ok(self.take(8)?.get_i64())
    }

    fn length(&mut self) -> Result<usize, RowError> {
        Ok(usize::try_from(self.u32()?).unwrap_or(usize::MAX))
    }

    fn uuid(&mut self) -> Result<Uuid, RowError> {
        Ok(Uuid::from_u128(self.take(16)?.get_u128()))
    }

    fn text(&mut self) -> Result<String, RowError> {
        let size = self.length()?;
        match std::str::from_utf8(self.take(size)?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => self.damaged("a text is not UTF-8"),
        }
    }

    fn ranges(&mut self) -> Result<Vec<PartitionNumber>, RowError> {
        let mut numbers = Vec::new();
        for _ in 0..self.u32()? {
            let (start, count) = (self.u32()?, self.u32()?);
            let Some(end) = start.checked_add(count) else {
                return self.damaged("a range of partitions runs over");
            };
            if numbers.len() + self.count(count) > PARTITIONS_MAX {
                return self.damaged("it has more partitions than a topic can have");
            }
            numbers.extend((start..end).map(PartitionNumber));
        }
        Ok(numbers)
    }

    fn count(&self, count: u32) -> usize {
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    pub(super) fn overrides(&mut self) -> Result<BTreeMap<String, String>, RowError> {
        let mut overrides = BTreeMap::new();
        for _ in 0..self.u32()? {
            let name = self.text()?;
            overrides.insert(name, self.text()?);
        }
        Ok(overrides)
    }

    fn blobs(&mut self) -> Result<BTreeSet<BlobName>, RowError> {
        let mut blobs = BTreeSet::new();
        for _ in 0..self.u32()? {
            blobs.insert(BlobName(self.take(8)?.get_u64()));
        }
        Ok(blobs)
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, RowError> {
        if self.rest.is_empty() {
            Ok(value)
        } else {
            self.damaged("it is too long")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbers: impl IntoIterator<Item = u32>) -> Vec<PartitionNumber> {
        numbers.into_iter().map(PartitionNumber).collect()
    }

    fn example() -> TopicRow {
        TopicRow {
            id: Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
            partitions: numbers([7, 8, 9, 12]),
            overrides: BTreeMap::from([("k".to_owned(), "välue".to_owned())]),
        }
    }

    /// The bytes are the on-disk format: they may not change under layout 1.
    #[test]
    fn a_topic_row_has_these_bytes() {
        let mut golden = vec![1];
        golden.extend(1..=16);
        golden.extend([0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 12, 0, 0, 0, 1]);
        golden.extend([0, 0, 0, 1, 0, 0, 0, 1, b'k', 0, 0, 0, 6]);
        golden.extend("välue".as_bytes());
        assert_eq!(encode_topic(&example()), golden);
        assert_eq!(decode_topic(&golden), Ok(example()));
        assert_eq!(topic_key("ab").bytes.as_ref(), [1, b'a', b'b']);
        assert_eq!(topic_name_of(&topic_key("ab")), Ok("ab"));
        assert!(topic_rows().contains(&topic_key("zz")));
        assert!(!topic_rows().contains(&counter_key()));
    }

    #[test]
    fn the_small_rows_have_these_bytes() {
        assert_eq!(encode_counter(258), [1, 0, 0, 1, 2].as_slice());
        assert_eq!(decode_counter(&encode_counter(258)), Ok(258));
        assert_eq!(
            encode_producer_ids(258),
            [1, 0, 0, 0, 0, 0, 0, 1, 2].as_slice()
        );
        assert_eq!(decode_producer_ids(&encode_producer_ids(258)), Ok(258));
        assert!(decode_producer_ids(&encode_producer_ids(-1)).is_err());
        assert_eq!(
            decode_cluster_id(&[1, 0, 0, 0, 2, b'a', b'b']).as_deref(),
            Ok("ab")
        );
        let id = Uuid::from_u128(5);
        let trim = Trim {
            subject: TrimSubject::Topic {
                id,
                name: "gone".to_owned(),
                partitions: numbers(3..6),
            },
            blobs: BTreeSet::from([BlobName(9), BlobName(2)]),
        };
        assert_eq!(encode_trim(&trim).len(), 1 + 4 + 4 + 4 + 8 + 4 + 16);
        assert_eq!(decode_trim(&trim_key(&id), &encode_trim(&trim)), Ok(trim));
        let log_trim = Trim {
            subject: TrimSubject::Log(PartitionNumber(258)),
            blobs: BTreeSet::from([BlobName(9)]),
        };
        let key = log_trim.key();
        assert_eq!(key.bytes.as_ref(), [7, 0, 0, 1, 2]);
        let golden = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(encode_trim(&log_trim), golden.as_slice());
        assert_eq!(decode_trim(&key, &golden), Ok(log_trim));
        assert!(trim_rows().contains(&trim_key(&id)) && log_trim_rows().contains(&key));
        assert!(decode_trim(&counter_key(), &[1]).is_err());
    }

    #[test]
    fn every_cut_and_every_tail_is_refused() {
        let value = encode_topic(&example());
        for end in 0..value.len() {
            assert!(decode_topic(&value[..end]).is_err(), "cut at {end}");
        }
        let mut longer = value.to_vec();
        longer.push(0);
        assert_eq!(
            decode_topic(&longer),
            Err(RowError::Damaged("topic", "it is too long"))
        );
        longer[0] = 9;
        assert_eq!(decode_topic(&longer), Err(RowError::Layout("topic", 9)));
    }

    #[test]
    fn a_damaged_count_does_not_ask_for_memory() {
        let mut value = vec![1];
        value.extend([0; 16]);
        value.extend([0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(
            decode_topic(&value),
            Err(RowError::Damaged(
                "topic",
                "it has more partitions than a topic can have"
            ))
        );
    }
}
