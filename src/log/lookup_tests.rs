//! Walking runs, cutting them to a fetch, finding records by time, and every kind of damage.

use bytes::Bytes;

use super::batch::put;
use super::testing::{NOW_MS, RULES, TestBatch, TestRecord, stored};
use super::*;
use crate::base::LeaderEpoch;
use crate::store::{BlobName, Place};

/// A run of three batches of two records each, from offset 100, and where they begin and end.
fn run_of_three() -> (RunEntry, Vec<u8>, [usize; 4]) {
    let mut bytes = Vec::new();
    let mut ends = [0; 4];
    for n in 0..3 {
        let batch = TestBatch::plain(2).valid(&RULES);
        bytes.extend(stored(&batch, 100 + 2 * i64::try_from(n).unwrap(), NOW_MS));
        ends[n + 1] = bytes.len();
    }
    let run = RunEntry {
        base_offset: 100,
        last_offset: 105,
        kind: RunKind::Data {
            place: Place {
                blob: BlobName(1),
                position: 0,
            },
        },
        size: u32::try_from(bytes.len()).unwrap(),
        batch_count: 3,
        max_timestamp: NOW_MS,
        leader_epoch: LeaderEpoch(0),
    };
    (run, bytes, ends)
}

fn walk(run: &RunEntry, bytes: &[u8]) -> Result<usize, RunDamage> {
    let walk = RunWalk::new(run, run.start(), bytes, Check::HeadersAndCrc);
    walk.map(|batch| batch.map(|_| 1)).sum()
}

#[test]
fn a_run_is_walked_whole_and_in_parts() {
    let (run, bytes, ends) = run_of_three();
    assert_eq!(walk(&run, &bytes), Ok(3));
    for split in 0..=bytes.len() {
        let mut first = RunWalk::new(&run, run.start(), &bytes[..split], Check::HeadersAndCrc);
        let before: Vec<BatchAt> = first.by_ref().map(Result::unwrap).collect();
        let from = first.next_position();
        assert_eq!(first.is_at_end(), split == bytes.len());
        assert_eq!(from.position, ends[before.len()] as u64);
        let rest = &bytes[ends[before.len()]..];
        let mut second = RunWalk::new(&run, from, rest, Check::HeadersAndCrc);
        assert_eq!(
            second.by_ref().map(Result::unwrap).count(),
            3 - before.len()
        );
        assert!(second.is_at_end());
    }
}

#[test]
fn every_flipped_bit_that_matters_is_damage() {
    let (run, bytes, ends) = run_of_three();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let in_batch = ends.iter().rev().find(|start| **start <= bit / 8).unwrap();
        let is_leader_epoch = (12..16).contains(&(bit / 8 - in_batch));
        // Nothing protects the leader epoch: CRC and run do not cover it.
        assert_eq!(walk(&run, &damaged).is_ok(), is_leader_epoch, "bit {bit}");
    }
}

#[test]
fn bytes_of_another_place_are_damage() {
    let (run, bytes, ends) = run_of_three();
    let shifted = RunEntry {
        base_offset: 99,
        ..run
    };
    assert!(walk(&shifted, &bytes).is_err());
    let longer = RunEntry {
        last_offset: 106,
        ..run
    };
    assert!(walk(&longer, &bytes).is_err());
    let shorter = RunEntry {
        last_offset: 104,
        ..run
    };
    assert!(walk(&shorter, &bytes).is_err());
    let cut = RunEntry {
        size: u32::try_from(ends[2]).unwrap(),
        ..run
    };
    assert!(walk(&cut, &bytes[..ends[2]]).is_err());
    let repeated = [&bytes[..ends[1]], &bytes[..ends[1]], &bytes[ends[2]..]].concat();
    let damage = walk(&run, &repeated).unwrap_err();
    assert_eq!(
        (damage.run_base_offset, damage.position),
        (100, ends[1] as u64)
    );
    assert!(walk(&run, &vec![0; bytes.len()]).is_err());
    let mut walk = RunWalk::new(&run, run.start(), &[0xff; 100], Check::Headers);
    assert!(walk.next().unwrap().is_err());
    assert!(walk.next().is_none(), "damage ends the walk");
}

#[test]
fn the_first_batch_of_an_answer_may_exceed_the_budget_and_no_other() {
    let budget = |left, first| FetchBudget { left, first };
    for left in [0, 9, 10] {
        let mut whole = budget(left, FirstBatch::Whole);
        assert!(whole.admit(10));
        assert_eq!(whole, budget(0, FirstBatch::Limited));
        assert!(!whole.admit(1));
        let mut limited = budget(left, FirstBatch::Limited);
        assert_eq!(limited.admit(10), left == 10);
    }
    let mut small = budget(15, FirstBatch::Whole);
    assert!(small.admit(10));
    assert!(!small.admit(10));
    assert_eq!(small, budget(5, FirstBatch::Limited));
}

/// Timestamps now+0, +30, +10, +30, in a batch at offset 50.
fn timed(codec: Codec) -> Bytes {
    let records: Vec<TestRecord> = [0, 30, 10, 30]
        .map(|ms| (None, Some("value"), NOW_MS + ms))
        .into();
    let batch = TestBatch::of(&records).codec(codec).valid(&RULES);
    stored(&batch, 50, NOW_MS)
}

fn at(offset: i64, ms: i64) -> Option<RecordAt> {
    Some(RecordAt {
        offset,
        timestamp: NOW_MS + ms,
    })
}

#[test]
fn the_exact_record_of_a_timestamp_is_found() {
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let batch = timed(codec);
        let since =
            |ms, offset_min| first_record_since(&batch, NOW_MS + ms, offset_min, 1_000).unwrap();
        assert_eq!(since(-5, 0), at(50, 0));
        assert_eq!(since(1, 0), at(51, 30));
        assert_eq!(since(0, 52), at(52, 10));
        assert_eq!(since(30, 52), at(53, 30));
        assert_eq!(since(31, 0), None);
        assert_eq!(since(0, 54), None);
    }
    let bounded = first_record_since(&timed(Codec::Zstd), NOW_MS, 0, 10);
    let size_max = 10;
    assert_eq!(bounded, Err(RecordError::TooLargeUncompressed { size_max }));
    assert!(first_record_since(&[0; 60], 0, 0, 10).is_err());
}

#[test]
fn with_log_append_time_all_records_have_the_batchs() {
    let rules = AppendRules {
        timestamp_type: TimestampType::LogAppendTime,
        ..RULES
    };
    let batch = TestBatch::plain(3).codec(Codec::Lz4).valid(&rules);
    let batch = stored(&batch, 50, NOW_MS + 7);
    let since = |ms, offset_min| first_record_since(&batch, NOW_MS + ms, offset_min, 1_000);
    assert_eq!(since(7, 0), Ok(at(50, 7)));
    assert_eq!(since(7, 51), Ok(at(51, 7)));
    assert_eq!(since(8, 0), Ok(None));
}

#[test]
fn a_compressed_size_field_cannot_be_trusted() {
    let mut batch = timed(Codec::None).to_vec();
    put(&mut batch, 57, i32::MAX.to_be_bytes());
    assert!(first_record_since(&batch, NOW_MS + 31, 0, 1_000).is_ok());
}
