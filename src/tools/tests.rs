//! A small folder: its dump is the one that was read last, and no flipped byte of it goes unseen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::dump::dump_all;
use super::verify::verify_all;
use crate::base::{LeaderEpoch, PartitionNumber};
use crate::cluster::{TopicRow, encode_topic, topic_key};
use crate::config::DumpFilter;
use crate::log::{self, Head, Page, RunEntry, RunKind};
use crate::store::local::inspect::{Damage, Inspection};
use crate::store::local::{LocalOptions, LocalStore};
use crate::store::{BlobName, Commit, MetaStore, Place, Store, Write};

const LOG: PartitionNumber = PartitionNumber(0);

fn put(key: crate::store::Key, value: Bytes, place_at: Option<u32>) -> Write {
    Write::Put {
        key,
        value,
        place_at,
    }
}

/// A batch of two records as it is stored.
fn batch(base_offset: i64, value: &'static str) -> Bytes {
    let record = |offset: i64| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: i32::try_from(offset).unwrap(),
        timestamp: 1_700_000_000_000 + base_offset + offset,
        key: None,
        value: Some(Bytes::from_static(value.as_bytes())),
        headers: Default::default(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &[record(0), record(1)], &options).unwrap();
    out[..8].copy_from_slice(&base_offset.to_be_bytes());
    out[12..16].copy_from_slice(&[0; 4]);
    out.freeze()
}

fn head(next_offset: i64, size_bytes: u64, page_entries: u32) -> Bytes {
    let head = Head {
        next_offset,
        size_bytes,
        leader_epoch: LeaderEpoch(0),
        max_timestamp: 1_700_000_000_000 + next_offset - 1,
        max_timestamp_offset: next_offset - 2,
        page_base_offset: 0,
        page_entries,
        ..Head::EMPTY
    };
    head.encode()
}

/// A run of one batch at `base_offset`, added to the only page.
fn append(base_offset: i64, size_before: u64, value: &'static str) -> (Commit, u64) {
    let body = batch(base_offset, value);
    let size = body.len() as u64;
    let entry = RunEntry {
        base_offset,
        last_offset: base_offset + 1,
        kind: RunKind::Data {
            place: Place {
                blob: BlobName(0),
                position: 0,
            },
        },
        size: u32::try_from(size).unwrap(),
        batch_count: 1,
        max_timestamp: 1_700_000_000_000 + base_offset + 1,
        leader_epoch: LeaderEpoch(0),
    };
    let mut bytes = BytesMut::new();
    let (key, is_first) = (log::page_key(LOG, 0), base_offset == 0);
    if is_first {
        Page::encode_header(-1, &mut bytes);
    }
    entry.encode_to(&mut bytes);
    let page = match is_first {
        true => put(key, bytes.freeze(), Some(Page::FIRST_PLACE_AT)),
        false => Write::Append {
            key,
            bytes: bytes.freeze(),
            place_at: Some(RunEntry::PLACE_AT),
        },
    };
    let entries = u32::try_from(base_offset / 2 + 1).unwrap();
    let head = head(base_offset + 2, size_before + size, entries);
    let writes = vec![put(log::head_key(LOG), head, None), page];
    let body = vec![body];
    (
        Commit {
            writes,
            body,
            ..Commit::default()
        },
        size_before + size,
    )
}

/// A topic with three batches in its first partition, and what `more` writes.
fn make(path: &Path, more: Vec<Write>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let options = LocalOptions {
        segment_size: Some(LocalOptions::SEGMENT_SIZE_MIN),
        // No frame is written for being idle.
        idle_after: Duration::from_secs(3600),
        seed: Some(7),
        ..LocalOptions::default()
    };
    runtime.block_on(async {
        let store = LocalStore::open_folder(path, options).unwrap();
        let topic = TopicRow {
            id: uuid::Uuid::from_u128(5),
            partitions: vec![LOG, PartitionNumber(1)],
            overrides: BTreeMap::new(),
        };
        let topic = put(topic_key("orders"), encode_topic(&topic), None);
        let mut commits = vec![Commit {
            writes: vec![topic],
            ..Commit::default()
        }];
        let mut size = 0;
        for (offset, value) in [(0, "first"), (2, "second"), (4, "third")] {
            let (commit, total) = append(offset, size, value);
            commits.push(commit);
            size = total;
        }
        commits.push(Commit {
            writes: more,
            ..Commit::default()
        });
        for commit in commits {
            store.commit(commit).await.unwrap();
        }
        store.close().await.unwrap();
    });
}

fn filter() -> DumpFilter {
    DumpFilter {
        topic: None,
        partition: None,
        segment: None,
        from_offset: 0,
        limit: 1000,
    }
}

fn dumped(path: &Path, filter: &DumpFilter) -> String {
    let mut out = Vec::new();
    dump_all(&Inspection::open(path).unwrap(), filter, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn damage(path: &Path) -> Vec<Damage> {
    verify_all(&Inspection::open(path).unwrap()).unwrap().1
}

fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn the_dump_of_a_small_folder_is_the_one_that_was_read_last() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), Vec::new());
    let before = contents(folder.path());
    let found = dumped(folder.path(), &filter());
    assert_eq!(damage(folder.path()), []);
    assert!(contents(folder.path()) == before, "nothing is changed");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tools/testdata/dump.txt");
    if std::env::var_os("OTTLA_BLESS").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "read it, then OTTLA_BLESS=1:\n{found}");

    let some = DumpFilter {
        topic: Some("orders".to_owned()),
        partition: Some(0),
        from_offset: 3,
        limit: 1,
        ..filter()
    };
    let found = dumped(folder.path(), &some);
    let has = |text: &str| found.contains(text);
    assert!(
        has("run 2 to 3") && has("... more") && !has("run 0 to 1"),
        "{found}"
    );
    assert!(!has("frame 1:") && !has("run 4 to 5"), "{found}");
}

/// Flips a byte, verifies, and puts it back.
fn flipped(path: &Path, file: &str, at: usize) -> Vec<Damage> {
    let path_of_file = path.join(file);
    let sound = fs::read(&path_of_file).unwrap();
    let mut damaged = sound.clone();
    damaged[at] ^= 4;
    fs::write(&path_of_file, &damaged).unwrap();
    let found = damage(path);
    fs::write(&path_of_file, &sound).unwrap();
    found
}

#[test]
fn damage_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), Vec::new());
    let segment = "journal-0000000000000001.seg";
    let bytes = fs::read(folder.path().join(segment)).unwrap();
    let find = |text: &[u8]| bytes.windows(text.len()).position(|part| part == text);
    let at = find(b"second").unwrap();

    let found = flipped(folder.path(), segment, at);
    let text = format!("{found:?}");
    assert_eq!(found.len(), 2, "{text}");
    assert!(found[0].reason.contains("batch bytes of frame"), "{text}");
    // The batch begins before its first value: what is named is where it begins.
    let run = &dumped(folder.path(), &filter());
    let run = run
        .lines()
        .find(|line| line.contains("run 2 to 3"))
        .unwrap();
    let byte = run
        .split("byte ")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    assert!(
        found[1].place.ends_with(&format!("byte {byte}")),
        "{text} {run}"
    );
    let whose = "its CRC does not match; topic orders, partition 0, offsets 2 to 3";
    assert!(found[1].reason.ends_with(whose), "{text}");

    let frame = at / 4096 * 4096;
    let found = flipped(folder.path(), segment, frame + 30);
    let place = format!("{segment} (generation 1), byte {frame}");
    assert!(found.iter().any(|one| one.place == place), "{found:?}");
    for file in ["run.mark", "checkpoint.mark"] {
        if folder.path().join(file).exists() {
            let found = flipped(folder.path(), file, 20);
            assert!(found.iter().any(|one| one.place == file), "{found:?}");
        }
    }
    let found = flipped(folder.path(), segment, 30);
    assert!(!found.is_empty(), "the header of the segment");
    assert_eq!(damage(folder.path()), [], "all is as it was");
}

#[test]
fn rows_that_do_not_fit_their_log_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut producer = BytesMut::new();
    producer.put_slice(&[1, 0]);
    let producer_key = log::producer_key(LOG, crate::base::ProducerId(9));
    make(
        folder.path(),
        vec![
            put(log::head_key(LOG), head(9, 1, 3), None),
            put(producer_key, producer.freeze(), None),
            put(log::head_key(PartitionNumber(7)), head(0, 0, 0), None),
        ],
    );
    let found = damage(folder.path());
    let has = |place: &str, reason: &str| {
        found
            .iter()
            .any(|one| one.place.contains(place) && one.reason.contains(reason))
    };
    let whose = "topic orders, partition 0";
    assert!(
        has(
            &format!("the head of {whose}"),
            "it ends at 9, its runs at 6"
        ),
        "{found:?}"
    );
    assert!(
        has(&format!("a producer of {whose}"), "cut short"),
        "{found:?}"
    );
    assert!(has("the head of log 7", "no topic"), "{found:?}");
}
