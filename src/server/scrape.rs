//! The metrics page: what was counted, and what is read now.

use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::Shared;
use super::health::Health;
use crate::api::Api;
use crate::base::PartitionNumber;
use crate::broker::partitions::Facts;
use crate::cluster::Topic;
use crate::metrics::table::{self, CloseReason, ERROR_INDEX_OFFSET};
use crate::metrics::{Page, process};

/// Bytes that the samples of partitions and topics may take on a page; further partitions are left out.
pub(super) const PARTITIONS_SIZE_MAX: usize = 4 * 1024 * 1024;

/// Samples of a partition and of a topic, and bytes of a sample beside the topic's name.
const PARTITION_SAMPLES: usize = 3;
const TOPIC_SAMPLES: usize = 4;
const SAMPLE_SIZE: usize = 80;

/// Partitions after which others get a turn: a page must not hold up a thread of the runtime.
const PARTITIONS_PER_TURN: usize = 256;

/// The page as of now.
pub(super) async fn page(health: &Health) -> String {
    let mut page = Page::default();
    page.family(&table::BUILD_INFO)
        .sample(&[env!("CARGO_PKG_VERSION")], 1);
    process(&mut page, health.started_seconds());
    if let Some(shared) = health.shared() {
        requests(&mut page, shared);
        connections(&mut page, shared);
        memory(&mut page, shared);
        topics(&mut page, shared).await;
        page.readings(&shared.broker.store.gauges());
        // A file system that does not tell its size has none on the page.
        if let Ok(Some(room)) = shared.broker.store.room().await {
            page.single(&table::DISK_BYTES, room.total);
            page.single(&table::DISK_FREE_BYTES, room.available);
        }
    }
    commits(&mut page);
    page.into_text()
}

fn requests(page: &mut Page, shared: &Shared) {
    let names: Vec<Option<String>> = (0..i16::from(u8::MAX))
        .map(|key| Api::find(shared.apis, key).map(|api| format!("{:?}", api.key)))
        .collect();
    let name = |key: usize| names.get(key)?.as_deref();
    page.histograms(&table::REQUEST_DURATION, name);
    page.counters(&table::REQUEST_BYTES, name);
    page.counters(&table::ANSWER_BYTES, name);
    let mut errors = page.family(table::ERRORS.def());
    for (key, error, count) in table::ERRORS.counted() {
        if let Some(name) = name(key) {
            errors.sample(&[name, &error_name(error)], count);
        }
    }
}

/// Kafka's name of an error code: `UNKNOWN_TOPIC_OR_PARTITION`.
fn error_name(index: usize) -> String {
    let code = i16::try_from(index).unwrap_or(i16::MAX) - ERROR_INDEX_OFFSET;
    match ResponseError::try_from_code(code) {
        Some(ResponseError::Unknown(_)) | None => code.to_string(),
        Some(error) => {
            let mut name = String::new();
            for c in format!("{error:?}").chars() {
                if c.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(c.to_ascii_uppercase());
            }
            name
        }
    }
}

fn connections(page: &mut Page, shared: &Shared) {
    page.single(&table::CONNECTIONS, shared.register.len());
    page.counter(&table::CONNECTIONS_ACCEPTED);
    page.counters(&table::CONNECTIONS_CLOSED, |index| {
        CloseReason::ALL.get(index).map(|reason| reason.name())
    });
    page.counter(&table::CONNECTIONS_TURNED_AWAY);
    let waiting = shared.budget.waiting() + shared.decoded.waiting();
    page.single(&table::CONNECTIONS_WAITING, waiting);
}

fn memory(page: &mut Page, shared: &Shared) {
    let (budget, reader) = (&shared.budget, &shared.broker.reader);
    let mut family = page.family(&table::MEMORY_BUDGET);
    family.sample(&["requests"], budget.size());
    family.sample(&["requests_decoded"], shared.decoded.size());
    family.sample(&["block_cache"], reader.cache_bytes_max());
    let mut family = page.family(&table::MEMORY_USED);
    family.sample(&["requests"], budget.used());
    family.sample(&["requests_decoded"], shared.decoded.used());
    family.sample(&["block_cache"], reader.cache_bytes());
}

/// What was counted by the committer, the engine and the cache.
fn commits(page: &mut Page) {
    page.histogram(&table::COMMIT_DURATION);
    page.histogram(&table::COMMIT_BYTES);
    page.histogram(&table::COMMIT_REQUESTS);
    page.histogram(&table::JOURNAL_WRITE_DURATION);
    page.histogram(&table::JOURNAL_SYNC_DURATION);
    page.histogram(&table::JOURNAL_FRAME_BYTES);
    page.histogram(&table::CHECKPOINT_DURATION);
    page.histogram(&table::SNAPSHOT_DURATION);
    page.counter(&table::ROW_STORE_REBUILDS);
    page.counter(&table::CACHE_HITS);
    page.counter(&table::CACHE_MISSES);
}

/// A topic and what is known of its partitions, by index.
struct Logs {
    topic: Arc<Topic>,
    partitions: Vec<(String, Facts)>,
}

async fn topics(page: &mut Page, shared: &Shared) {
    let topics = shared.broker.catalog.topics();
    let (mut left, mut count, mut left_out) = (PARTITIONS_SIZE_MAX, 0, 0);
    let mut logs = Vec::new();
    for topic in topics.iter() {
        let size = SAMPLE_SIZE + topic.name.len();
        let room = left.saturating_sub(TOPIC_SAMPLES * size);
        let shown = topic
            .partitions
            .len()
            .min(room / (PARTITION_SAMPLES * size));
        if shown > 0 {
            left -= (TOPIC_SAMPLES + shown * PARTITION_SAMPLES) * size;
        }
        left_out += topic.partitions.len() - shown;
        let mut partitions = Vec::with_capacity(shown);
        for (index, partition) in topic.partitions[..shown].iter().enumerate() {
            count += 1;
            if count % PARTITIONS_PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
            if let Some(facts) = facts(shared, *partition).await {
                partitions.push((index.to_string(), facts));
            }
        }
        if shown > 0 {
            let topic = Arc::clone(topic);
            logs.push(Logs { topic, partitions });
        }
    }
    page.single(&table::TOPICS, topics.len());
    let partitions = topics.iter().map(|topic| topic.partitions.len());
    page.single(&table::PARTITIONS, partitions.sum::<usize>());
    page.single(&table::PARTITIONS_LEFT_OUT, left_out);
    page.single(&table::FETCH_SESSIONS, shared.broker.fetch_sessions.len());
    by_partition(page, &logs);
    by_topic(page, &logs);
}

/// A log that cannot be read has no samples; whoever uses it gets the error.
async fn facts(shared: &Shared, partition: PartitionNumber) -> Option<Facts> {
    shared.broker.reader.facts(partition).await.ok()
}

fn by_partition(page: &mut Page, logs: &[Logs]) {
    type Read = fn(&Facts) -> String;
    let samples: [(_, Read); PARTITION_SAMPLES] = [
        (&table::LOG_START_OFFSET, |facts| {
            facts.log_start_offset.to_string()
        }),
        (&table::LOG_END_OFFSET, |facts| {
            facts.next_offset.to_string()
        }),
        (&table::LOG_BYTES, |facts| facts.size_bytes.to_string()),
    ];
    for (def, read) in samples {
        let mut family = page.family(def);
        for log in logs {
            for (index, facts) in &log.partitions {
                family.sample(&[&log.topic.name, index], read(facts));
            }
        }
    }
}

fn by_topic(page: &mut Page, logs: &[Logs]) {
    type Read = fn(&Facts) -> u64;
    let samples: [(_, Read); TOPIC_SAMPLES] = [
        (&table::PRODUCED_BYTES, |facts| facts.produced_bytes),
        (&table::PRODUCED_RECORDS, |facts| facts.produced_records),
        (&table::FETCHED_BYTES, |facts| facts.fetched_bytes),
        (&table::FETCHED_RECORDS, |facts| facts.fetched_records),
    ];
    for (def, read) in samples {
        let mut family = page.family(def);
        for log in logs {
            let sum: u64 = log.partitions.iter().map(|(_, facts)| read(facts)).sum();
            family.sample(&[&log.topic.name], sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_kafkas_names() {
        let index = |code: i16| usize::try_from(code + ERROR_INDEX_OFFSET).unwrap();
        assert_eq!(error_name(index(3)), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(error_name(index(-1)), "UNKNOWN_SERVER_ERROR");
        assert_eq!(error_name(index(17)), "INVALID_TOPIC_EXCEPTION");
        assert_eq!(error_name(index(158)), "158");
    }
}
