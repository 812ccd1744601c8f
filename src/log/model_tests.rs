//! The sequencer against a plain model, in random commits of which some fail, while log starts are raised.

use std::collections::BTreeMap;

use super::testing::{NOW_MS, RULES, TestBatch};
use super::testing_store::{Store, settings};
use super::*;
use crate::base::{PartitionNumber, Rng};

/// What a producer did, kept for ever: the model knows no window, only what was answered last.
#[derive(Clone, Default)]
struct ModelProducer {
    epoch: i16,
    next_sequence: i32,
    stored: Vec<(i32, i32, i64)>,
}

#[derive(Clone, Default)]
struct Model {
    next_offset: i64,
    log_start_offset: i64,
    producers: BTreeMap<i64, ModelProducer>,
}

impl Model {
    /// The offset or the error code that the batch must be answered with.
    fn append(&mut self, id: i64, epoch: i16, sequence: i32, count: i32) -> Result<i64, i16> {
        if id >= 0 {
            let known = self.producers.contains_key(&id);
            let producer = self.producers.entry(id).or_default();
            if !known {
                producer.epoch = epoch;
                producer.next_sequence = sequence;
            }
            if epoch < producer.epoch {
                return Err(47);
            }
            if epoch > producer.epoch {
                if sequence != 0 {
                    return Err(45);
                }
                *producer = ModelProducer {
                    epoch,
                    ..ModelProducer::default()
                };
            }
            let window = producer.stored.iter().rev().take(5);
            let same = window
                .into_iter()
                .find(|mark| (mark.0, mark.1) == (sequence, count));
            if let Some(mark) = same {
                return Ok(mark.2);
            }
            if sequence != producer.next_sequence {
                return Err(45);
            }
            producer.stored.push((sequence, count, self.next_offset));
            producer.next_sequence = sequence.checked_add(count).unwrap();
        }
        self.next_offset += i64::from(count);
        Ok(self.next_offset - i64::from(count))
    }
}

fn code_of(answer: &Result<Appended, AppendError>) -> Result<i64, i16> {
    match answer {
        Ok(appended) => Ok(appended.base_offset),
        Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. })) => Err(45),
        Err(AppendError::Producer(ProducerError::InvalidProducerEpoch { .. })) => Err(47),
        Err(other) => panic!("unexpected {other:?}"),
    }
}

/// Up to five batches of three producers: fresh ones, retries of any age, gaps, old and new epochs.
fn random_batches(rng: &mut Rng, model: &Model) -> Vec<(i64, i16, i32, i32)> {
    let below = |rng: &mut Rng, bound: u64| i32::try_from(rng.below(bound)).unwrap();
    (0..1 + rng.below(5))
        .map(|_| {
            let id = i64::from(below(rng, 4)) - 1;
            let known = model.producers.get(&id).cloned().unwrap_or_default();
            let count = 1 + below(rng, 3);
            match rng.below(10) {
                0 => (id, known.epoch + 1, below(rng, 2), count),
                1 if known.epoch > 0 => (id, known.epoch - 1, known.next_sequence, count),
                2 => (id, known.epoch, known.next_sequence + 1, count),
                3..6 if !known.stored.is_empty() => {
                    let age = rng.below(8.min(known.stored.len() as u64));
                    let age = usize::try_from(age).unwrap();
                    let mark = known.stored[known.stored.len() - 1 - age];
                    (id, known.epoch, mark.0, mark.1)
                }
                _ => (id, known.epoch, known.next_sequence, count),
            }
        })
        .collect()
}

#[test]
fn a_thousand_random_commits_agree_with_the_model() {
    for seed in 0..20 {
        let mut rng = Rng::seeded(seed);
        let mut store = Store::default();
        let partitions = [0, 1, 2].map(PartitionNumber);
        let mut logs = partitions.map(|partition| store.load(partition));
        let mut models: [Model; 3] = Default::default();
        for _ in 0..60 {
            let mut sequencer = Sequencer::new(settings(NOW_MS));
            let mut answers = Vec::new();
            let mut expected = Vec::new();
            let models_before = models.clone();
            for (log, model) in logs.iter().zip(&mut models) {
                let mut batches = Vec::new();
                for (id, epoch, sequence, count) in random_batches(&mut rng, model) {
                    expected.push(model.append(id, epoch, sequence, count));
                    let batch = TestBatch::plain(usize::try_from(count).unwrap());
                    let batch = match id {
                        -1 => batch,
                        id => batch.producer(id, epoch, sequence),
                    };
                    batches.push(batch.valid(&RULES));
                }
                sequencer.partition(log, &batches, &mut answers);
            }
            let answers: Vec<_> = answers.iter().map(code_of).collect();
            assert_eq!(answers, expected, "seed {seed}");
            let (commit, changes) = sequencer.finish();
            if rng.one_in(10) {
                // The commit fails: loaded again, the logs are as before.
                let loaded = partitions.map(|partition| store.load(partition));
                assert_eq!(loaded, logs);
                logs = loaded;
                models = models_before;
                continue;
            }
            let (version, blob) = store.commit(commit);
            for change in changes {
                let at = usize::try_from(change.partition.0).unwrap();
                logs[at].apply(change, version, blob);
            }
            for (log, model) in logs.iter_mut().zip(&mut models) {
                if rng.one_in(8) {
                    raise_start(&mut rng, &mut store, log, model);
                }
            }
        }
        for (log, model) in logs.iter().zip(&models) {
            assert_eq!(*log, store.load(log.partition()));
            assert_eq!(log.head().next_offset, model.next_offset);
            assert_eq!(log.head().log_start_offset, model.log_start_offset);
            let runs = store.check_runs(log);
            // No run is left that nobody may read.
            let is_read = |run: &RunEntry| run.last_offset >= model.log_start_offset;
            assert!(runs.first().is_none_or(is_read), "seed {seed}");
        }
    }
}

/// Deletes records up to anywhere, also where they have been deleted already; what is refused changes nothing.
fn raise_start(rng: &mut Rng, store: &mut Store, log: &mut PartitionLog, model: &mut Model) {
    let end = u64::try_from(model.next_offset).unwrap();
    let offset = match rng.below(4) {
        0 => HIGH_WATERMARK,
        _ => i64::try_from(rng.below(end + 1)).unwrap(),
    };
    for refused in [model.next_offset + 1, -2, i64::MIN, i64::MAX] {
        let high_watermark = model.next_offset;
        let offset = refused;
        let error = LogStartError {
            offset,
            high_watermark,
        };
        assert_eq!(log.log_start_for(refused), Err(error));
    }
    let wanted = match offset {
        HIGH_WATERMARK => model.next_offset,
        offset => offset,
    };
    model.log_start_offset = model.log_start_offset.max(wanted);
    let rows = 1 + usize::try_from(rng.below(3)).unwrap();
    store.trim(log, offset, rows);
}
