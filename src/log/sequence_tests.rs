//! The sequencer case by case: offsets, pages, idempotence, expiry.

use super::testing::{NOW_MS, RULES, TestBatch};
use super::testing_store::{Answers, DAY_MS, Store, append, settings};
use super::*;
use crate::base::{PartitionNumber, ProducerEpoch, ProducerId};
use crate::store::{Key, Version};

fn offsets(answers: &Answers) -> Vec<i64> {
    let offset = |answer: &Result<Appended, AppendError>| answer.as_ref().unwrap().base_offset;
    answers.iter().map(offset).collect()
}

const P: PartitionNumber = PartitionNumber(3);

#[test]
fn offsets_follow_each_other_over_batches_and_commits() {
    let mut store = Store::default();
    let mut log = store.load(P);
    assert_eq!(*log.head(), Head::EMPTY);
    let batches: Vec<Batch> = [1, 3, 2]
        .map(|count| TestBatch::plain(count).valid(&RULES))
        .into();
    let answers = append(&mut store, &mut log, NOW_MS, &batches);
    assert_eq!(offsets(&answers), [0, 1, 4]);
    let answers = append(&mut store, &mut log, NOW_MS, &batches);
    assert_eq!(offsets(&answers), [6, 7, 10]);
    assert_eq!(answers[0].as_ref().unwrap().log_append_time_ms, -1);
    let runs = store.check_runs(&log);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].batch_count, 3);
    assert_eq!(log.head().size_bytes, store.blob.len() as u64);
    assert_eq!(log.head_version, Version(2));
}

#[test]
fn a_decision_that_is_dropped_changes_nothing() {
    let mut store = Store::default();
    let log = store.load(P);
    let before = log.clone();
    let batch = TestBatch::plain(1).producer(1, 0, 0).valid(&RULES);
    let mut sequencer = Sequencer::new(settings(NOW_MS));
    sequencer.partition(&log, [&batch], &mut Vec::new());
    drop(sequencer.finish());
    assert_eq!(log, before);
    let mut log = log;
    let answers = append(&mut store, &mut log, NOW_MS, &[batch]);
    assert!(!answers[0].as_ref().unwrap().duplicate);
}

#[test]
fn pages_are_begun_anew_when_they_are_full() {
    let mut store = Store::default();
    let mut log = store.load(P);
    let batch = [TestBatch::plain(1).valid(&RULES)];
    for _ in 0..RUNS_PER_PAGE_MAX * 2 + 1 {
        append(&mut store, &mut log, NOW_MS, &batch);
    }
    let pages = store.scan(&page_keys(P));
    let keys: Vec<Key> = pages.into_iter().map(|row| row.key).collect();
    assert_eq!(keys, [page_key(P, 0), page_key(P, 256), page_key(P, 512)]);
    store.check_runs(&log);
}

#[test]
fn log_append_time_is_stored_answered_and_remembered() {
    let mut store = Store::default();
    let mut log = store.load(P);
    let rules = AppendRules {
        timestamp_type: TimestampType::LogAppendTime,
        ..RULES
    };
    let batch = TestBatch::plain(2).producer(1, 0, 0).valid(&rules);
    let answers = append(
        &mut store,
        &mut log,
        NOW_MS + 5,
        std::slice::from_ref(&batch),
    );
    assert_eq!(answers[0].as_ref().unwrap().log_append_time_ms, NOW_MS + 5);
    let runs = store.check_runs(&log);
    assert_eq!(runs[0].max_timestamp, NOW_MS + 5);
    let header = BatchHeader::parse(&store.blob).unwrap();
    assert_eq!(header.max_timestamp, NOW_MS + 5);
    let again = append(&mut store, &mut log, NOW_MS + 9, &[batch]);
    assert_eq!(again[0].as_ref().unwrap().log_append_time_ms, NOW_MS + 5);
}

fn error(answer: &Result<Appended, AppendError>) -> ProducerError {
    match answer {
        Err(AppendError::Producer(error)) => *error,
        other => panic!("a producer error was expected, not {other:?}"),
    }
}

#[test]
fn retries_get_the_first_answer_also_after_a_restart() {
    let mut store = Store::default();
    let mut log = store.load(P);
    let batches: Vec<Batch> = (0..7)
        .map(|n| TestBatch::plain(2).producer(1, 0, n * 2).valid(&RULES))
        .collect();
    // Twice in one commit, and once more in the next, which then writes nothing.
    let twice = [batches[0].clone(), batches[0].clone()];
    let answers = append(&mut store, &mut log, NOW_MS, &twice);
    assert_eq!(offsets(&answers), [0, 0]);
    assert!(answers[1].as_ref().unwrap().duplicate);
    append(&mut store, &mut log, NOW_MS, &batches[1..]);
    let commits = store.commits;
    let mut log = store.load(P);
    let answers = append(&mut store, &mut log, NOW_MS, &batches[2..]);
    assert_eq!(offsets(&answers), [4, 6, 8, 10, 12]);
    assert_eq!(answers[0].as_ref().unwrap().log_append_time_ms, NOW_MS);
    assert_eq!(store.commits, commits);
    // Older than the window, and a partial overlap: out of order.
    let overlap = TestBatch::plain(3).producer(1, 0, 12).valid(&RULES);
    let answers = append(&mut store, &mut log, NOW_MS, &[batches[1].clone(), overlap]);
    for answer in &answers {
        let ProducerError::OutOfOrderSequence { expected, .. } = error(answer) else {
            panic!("must be out of order");
        };
        assert_eq!(expected, 14);
    }
}

#[test]
fn epochs_fence_and_start_at_zero() {
    let mut store = Store::default();
    let mut log = store.load(P);
    let batch = |epoch, sequence| {
        TestBatch::plain(1)
            .producer(1, epoch, sequence)
            .valid(&RULES)
    };
    // Nothing is known of the producer: any sequence will do.
    let answers = append(&mut store, &mut log, NOW_MS, &[batch(5, 40), batch(5, 41)]);
    assert_eq!(offsets(&answers), [0, 1]);
    let answers = append(
        &mut store,
        &mut log,
        NOW_MS,
        &[
            batch(4, 42),
            batch(6, 42),
            batch(6, 0),
            batch(5, 42),
            batch(6, 1),
        ],
    );
    let (epoch, current) = (ProducerEpoch(4), ProducerEpoch(5));
    assert_eq!(
        error(&answers[0]),
        ProducerError::InvalidProducerEpoch { epoch, current }
    );
    assert_eq!(
        error(&answers[1]),
        ProducerError::OutOfOrderSequence {
            first_sequence: 42,
            expected: 0
        }
    );
    assert_eq!(answers[2].as_ref().unwrap().base_offset, 2);
    let (epoch, current) = (ProducerEpoch(5), ProducerEpoch(6));
    assert_eq!(
        error(&answers[3]),
        ProducerError::InvalidProducerEpoch { epoch, current }
    );
    assert_eq!(answers[4].as_ref().unwrap().base_offset, 3);
}

#[test]
fn sequences_wrap_inside_and_between_batches() {
    let mut store = Store::default();
    let mut log = store.load(P);
    let batch = |count, sequence| {
        let batch = TestBatch::plain(count).producer(1, 0, sequence);
        batch.valid(&RULES)
    };
    let inside = [batch(4, i32::MAX - 1), batch(1, 2), batch(4, i32::MAX - 1)];
    let answers = append(&mut store, &mut log, NOW_MS, &inside);
    assert_eq!(offsets(&answers), [0, 4, 0]);
    let mut log = store.load(PartitionNumber(4));
    let between = [batch(1, i32::MAX), batch(1, 0), batch(1, i32::MAX)];
    let answers = append(&mut store, &mut log, NOW_MS, &between);
    assert_eq!(offsets(&answers), [0, 1, 0]);
}

#[test]
fn transactional_batches_need_an_open_transaction() {
    let mut store = Store::default();
    let mut log = store.load(P);
    let mut batch = TestBatch::plain(1).producer(1, 0, 0);
    batch.header.attributes |= 0x10;
    let answers = append(&mut store, &mut log, NOW_MS, &[batch.valid(&RULES)]);
    assert_eq!(error(&answers[0]), ProducerError::InvalidTransactionState);
}

#[test]
fn silent_producers_expire() {
    let mut store = Store::default();
    let mut log = store.load(P);
    let batch = |id, sequence| TestBatch::plain(1).producer(id, 0, sequence).valid(&RULES);
    append(&mut store, &mut log, NOW_MS, &[batch(1, 0), batch(2, 0)]);
    // Alive a millisecond before the day is over, forgotten at its end: then any sequence is taken.
    let late = NOW_MS + DAY_MS;
    let answers = append(&mut store, &mut log, late - 1, &[batch(1, 7)]);
    assert!(matches!(
        error(&answers[0]),
        ProducerError::OutOfOrderSequence { .. }
    ));
    let answers = append(&mut store, &mut log, late, &[batch(1, 7)]);
    assert_eq!(offsets(&answers), [2]);
    assert_eq!(log.producers_len(), 2);
    // When a new one comes, those that have expired go, and their rows with them.
    append(&mut store, &mut log, late, &[batch(3, 0)]);
    assert_eq!(log.producers_len(), 2);
    let rows = store.scan(&producer_keys(P));
    let keys: Vec<Key> = rows.into_iter().map(|row| row.key).collect();
    assert_eq!(keys, [1, 3].map(|id| producer_key(P, ProducerId(id))));
}

#[test]
fn producers_are_bounded_and_the_longest_silent_go() {
    let mut store = Store::default();
    let mut log = store.load(P);
    let first = i64::try_from(PRODUCERS_PER_PARTITION_MAX).unwrap();
    let batches = |ids: std::ops::Range<i64>| -> Vec<Batch> {
        ids.map(|id| TestBatch::plain(1).producer(id, 0, 0).valid(&RULES))
            .collect()
    };
    append(&mut store, &mut log, NOW_MS, &batches(0..100));
    append(&mut store, &mut log, NOW_MS + 1, &batches(100..first));
    assert_eq!(log.producers_len(), PRODUCERS_PER_PARTITION_MAX);
    append(&mut store, &mut log, NOW_MS + 2, &batches(first..first + 1));
    assert!(log.producers_len() <= PRODUCERS_PER_PARTITION_MAX);
    let next = |id| TestBatch::plain(1).producer(id, 0, 5).valid(&RULES);
    let answers = append(
        &mut store,
        &mut log,
        NOW_MS + 3,
        &[next(0), next(first - 1)],
    );
    assert!(answers[0].is_ok(), "forgotten: any sequence is taken");
    assert!(matches!(
        error(&answers[1]),
        ProducerError::OutOfOrderSequence { .. }
    ));
    assert_eq!(store.check_runs(&log).len(), 4);
}
