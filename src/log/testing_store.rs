//! A store that is a map, for tests of the sequencer: rows, versions, places and one blob, as an engine promises them.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::base::{LeaderEpoch, PartitionNumber};
use crate::store::{BlobName, Commit, Key, KeyRange, Place, Row, Version, Write};

pub(super) const DAY_MS: i64 = 86_400_000;

/// Rows and one blob: what an engine promises, and no more.
#[derive(Default)]
pub(super) struct Store {
    rows: BTreeMap<Key, (Version, Bytes)>,
    pub(super) blob: Vec<u8>,
    pub(super) commits: u64,
}

impl Store {
    const BLOB: BlobName = BlobName(9);

    pub(super) fn row(&self, key: &Key) -> Row {
        let found = self.rows.get(key).cloned();
        Row {
            key: key.clone(),
            version: found.as_ref().map_or(Version::ABSENT, |found| found.0),
            value: found.map(|found| found.1),
        }
    }

    pub(super) fn scan(&self, range: &KeyRange) -> Vec<Row> {
        let keys = self.rows.keys().filter(|key| range.contains(key));
        keys.map(|key| self.row(key)).collect()
    }

    pub(super) fn load(&self, partition: PartitionNumber) -> PartitionLog {
        let head = self.row(&head_key(partition));
        PartitionLog::load(partition, &head, &self.scan(&producer_keys(partition))).unwrap()
    }

    pub(super) fn commit(&mut self, commit: Commit) -> (Version, Option<Place>) {
        for (key, version) in &commit.guards {
            assert_eq!(self.row(key).version, *version);
        }
        self.commits += 1;
        let version = Version(self.commits);
        let start = self.blob.len() as u64;
        commit.body.iter().for_each(|part| self.blob.extend(part));
        let mut written = Vec::new();
        for write in commit.writes {
            written.push(write.key().clone());
            self.write(write, version, start);
        }
        written.sort();
        written.dedup();
        let rows_of_commit = self.rows.values().filter(|row| row.0 == version).count();
        assert!(rows_of_commit <= written.len(), "one write per key");
        let place = Place {
            blob: Self::BLOB,
            position: start,
        };
        (version, Some(place))
    }

    fn write(&mut self, write: Write, version: Version, start: u64) {
        let (key, mut value, new, place_at) = match write {
            Write::Delete { key } => {
                self.rows.remove(&key);
                return;
            }
            Write::Put {
                key,
                value,
                place_at,
            } => (key, BytesMut::new(), value, place_at),
            Write::Append {
                key,
                bytes,
                place_at,
            } => {
                let old = self.row(&key).value.unwrap_or_default();
                (key, BytesMut::from(&old[..]), bytes, place_at)
            }
        };
        let at = value.len();
        value.extend_from_slice(&new);
        if let Some(place_at) = place_at {
            let slot = &mut value[at + place_at as usize..][..Place::SIZE];
            let mut place = Place::decode(slot.try_into().unwrap());
            assert_eq!(place.blob, BlobName(0));
            place.blob = Self::BLOB;
            place.position += start;
            slot.copy_from_slice(&place.encode());
        }
        self.rows.insert(key, (version, value.freeze()));
    }

    /// All runs of a partition, checked against the bytes: dense from the log start, or a little before it, to the next
    /// offset. Of the first page that is left only the key says where it began.
    pub(super) fn check_runs(&self, log: &PartitionLog) -> Vec<RunEntry> {
        let head = log.head();
        let mut next_offset = None;
        let mut runs = Vec::new();
        let (mut max_timestamp, mut size) = (-1, 0);
        for row in self.scan(&page_keys(log.partition())) {
            let page = Page::parse(row.value.unwrap()).unwrap();
            let key = page_key(log.partition(), page.entry(0).unwrap().base_offset);
            assert!(row.key == key || (next_offset.is_none() && row.key < key));
            assert!(page.max_timestamp_before() >= max_timestamp);
            if head.log_start_offset == 0 {
                assert_eq!(page.max_timestamp_before(), max_timestamp);
            }
            assert!(page.len() <= RUNS_PER_PAGE_MAX as usize);
            for run in page.entries_from(0).map(Result::unwrap) {
                assert_eq!(run.base_offset, next_offset.unwrap_or(run.base_offset));
                assert_eq!(self.check_run(&run), run.batch_count);
                next_offset = Some(run.last_offset + 1);
                max_timestamp = max_timestamp.max(run.max_timestamp);
                size += u64::from(run.size);
                runs.push(run);
            }
        }
        assert_eq!(next_offset.unwrap_or(head.next_offset), head.next_offset);
        let first = runs.first().map_or(head.next_offset, |run| run.base_offset);
        assert!(first <= head.log_start_offset);
        assert!(head.max_timestamp >= max_timestamp);
        assert_eq!(head.size_bytes, size);
        runs
    }

    /// Raises a log start, and removes what lies below it in commits of `rows` rows.
    pub(super) fn trim(&mut self, log: &mut PartitionLog, offset: i64, rows: usize) {
        let mut start = log.log_start_for(offset).unwrap();
        loop {
            let some = |range| self.scan(&range).into_iter().take(rows).collect::<Vec<_>>();
            let pages = some(pages_below(log.partition(), start));
            let aborted = some(aborted_below(log.partition(), start));
            let Some(trim) = log.trim(start, &pages, &aborted).unwrap() else {
                return;
            };
            let commit = Commit {
                guards: trim.guards.clone(),
                writes: trim.writes.clone(),
                body: Vec::new(),
            };
            let (version, _) = self.commit(commit);
            let head = log.apply_trim(&trim, version);
            assert_eq!(*log, self.load(log.partition()));
            start = head.log_start_offset;
        }
    }

    fn check_run(&self, run: &RunEntry) -> u32 {
        let RunKind::Data { place } = run.kind else {
            panic!("only data was written");
        };
        assert_eq!(place.blob, Self::BLOB);
        let start = usize::try_from(place.position).unwrap();
        let bytes = &self.blob[start..start + run.size as usize];
        let mut walk = RunWalk::new(run, run.start(), bytes, Check::HeadersAndCrc);
        let batches = walk.by_ref().map(Result::unwrap).count();
        assert!(walk.is_at_end());
        u32::try_from(batches).unwrap()
    }
}

/// What holds at `now_ms`.
pub(super) fn settings(now_ms: i64) -> SequenceSettings {
    SequenceSettings {
        now_ms,
        leader_epoch: LeaderEpoch(0),
        producer_id_expiration_ms: DAY_MS,
    }
}

pub(super) type Answers = Vec<Result<Appended, AppendError>>;

/// Decides, commits, applies; the log must then be what its rows say.
pub(super) fn append(
    store: &mut Store,
    log: &mut PartitionLog,
    now_ms: i64,
    batches: &[Batch],
) -> Answers {
    let mut sequencer = Sequencer::new(settings(now_ms));
    let mut answers = Vec::new();
    sequencer.partition(log, batches, &mut answers);
    let (commit, changes) = sequencer.finish();
    if changes.is_empty() {
        assert!(commit.writes.is_empty() && commit.body.is_empty() && commit.guards.is_empty());
        return answers;
    }
    let (version, blob) = store.commit(commit);
    for change in changes {
        log.apply(change, version, blob);
    }
    assert_eq!(*log, store.load(log.partition()));
    answers
}
