//! Every metric, declared once: name, type, unit (the end of the name), labels, what it says.
//!
//! To add one: a row here, and a call where it happens or, for what is read, in `server::scrape`.

use super::def::{Def, Kind, declare};
use super::instrument::{Counter, CounterGrid, CounterRow, Histogram, HistogramRow};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;

/// Bounds of durations, nanoseconds.
const DURATIONS: &[u64] = &[
    50 * MICROSECOND,
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    5 * MILLISECOND / 2,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    5 * SECOND / 2,
    10 * SECOND,
];

/// Bounds of sizes, bytes.
const SIZES: &[u64] = &[
    1 << 8,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
    1 << 26,
];

/// Bounds of numbers of things.
const NUMBERS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// How many values each label of what is counted may have.
#[expect(
    non_upper_case_globals,
    reason = "the labels' names stand in the table as they stand on the page"
)]
mod labels {
    /// Kafka's API keys, as they are on the wire.
    pub(super) const api: usize = 128;
    /// Kafka's error codes and [`super::ERROR_INDEX_OFFSET`].
    pub(super) const error: usize = 160;
    /// [`super::CloseReason`]s.
    pub(super) const reason: usize = super::CloseReason::ALL.len();
}

/// What is added to an error code to make it an index: the lowest is -1.
pub const ERROR_INDEX_OFFSET: i16 = 1;

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed it.
    Client,
    /// The connection broke.
    Lost,
    /// The client broke the protocol.
    Refused,
    /// It was idle for `connections.max.idle.ms`.
    Idle,
    /// It held memory that others waited for.
    Memory,
    /// A handler failed.
    Defect,
    /// The broker stops.
    Stopping,
}

impl CloseReason {
    /// All of them, in the order of their indices.
    pub const ALL: [Self; 7] = [
        Self::Client,
        Self::Lost,
        Self::Refused,
        Self::Idle,
        Self::Memory,
        Self::Defect,
        Self::Stopping,
    ];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Idle => "idle",
            Self::Memory => "memory",
            Self::Defect => "defect",
            Self::Stopping => "stopping",
        }
    }

    /// Counts a connection that ended for this reason.
    pub fn count(self) {
        CONNECTIONS_CLOSED.add(self as usize, 1);
    }
}

declare! { @items []
    histogram REQUEST_DURATION(DURATIONS) "ottla_request_duration_seconds" [api]
        "Time from a whole request to its answer, the waits of a long poll and for the disk included.";
    counter REQUEST_BYTES "ottla_request_bytes_total" [api]
        "Bytes of requests that were begun, without their headers.";
    counter ANSWER_BYTES "ottla_answer_bytes_total" [api]
        "Bytes of answers, on their way to the client or there.";
    counter ERRORS "ottla_errors_total" [api, error]
        "Error codes in answers: one for each topic, partition or resource that has one.";

    read gauge CONNECTIONS "ottla_connections" []
        "Connections that are open.";
    counter CONNECTIONS_ACCEPTED "ottla_connections_accepted_total" []
        "Connections that were accepted.";
    counter CONNECTIONS_CLOSED "ottla_connections_closed_total" [reason]
        "Connections that have ended: closed by the client, lost, refused (the client broke the protocol), idle, \
         memory (it held what others waited for), defect (a handler failed), stopping.";
    counter CONNECTIONS_TURNED_AWAY "ottla_connections_turned_away_total" []
        "Connections that were closed at once because max.connections.per.ip was reached.";
    read gauge CONNECTIONS_WAITING "ottla_connections_waiting_for_memory" []
        "Connections whose request waits for request memory.";

    read gauge MEMORY_BUDGET "ottla_memory_budget_bytes" [budget]
        "What requests in memory and the block cache may take at most.";
    read gauge MEMORY_USED "ottla_memory_used_bytes" [budget]
        "What they take.";

    read gauge TOPICS "ottla_topics" []
        "Topics.";
    read gauge PARTITIONS "ottla_partitions" []
        "Partitions of all topics.";
    read gauge PARTITIONS_LEFT_OUT "ottla_partitions_left_out" []
        "Partitions without metrics of their own on this page, because it would be too long.";
    read gauge LOG_START_OFFSET "ottla_log_start_offset" [topic, partition]
        "The offset at which the log begins.";
    read gauge LOG_END_OFFSET "ottla_log_end_offset" [topic, partition]
        "The offset that the next record gets.";
    read gauge LOG_BYTES "ottla_log_bytes" [topic, partition]
        "Bytes of record batches between the two.";
    read counter PRODUCED_BYTES "ottla_produced_bytes_total" [topic]
        "Bytes of record batches that were appended since the broker started.";
    read counter PRODUCED_RECORDS "ottla_produced_records_total" [topic]
        "Records that were appended since the broker started.";
    read counter FETCHED_BYTES "ottla_fetched_bytes_total" [topic]
        "Bytes of record batches that were read for fetches since the broker started.";
    read counter FETCHED_RECORDS "ottla_fetched_records_total" [topic]
        "Offsets that these batches cover.";
    read gauge FETCH_SESSIONS "ottla_fetch_sessions" []
        "Incremental fetch sessions that are open.";

    histogram COMMIT_DURATION(DURATIONS) "ottla_commit_duration_seconds" []
        "Time from a commit of record batches to its being as durable as ottla.durability asks.";
    histogram COMMIT_BYTES(SIZES) "ottla_commit_bytes" []
        "Bytes of record batches in a commit.";
    histogram COMMIT_REQUESTS(NUMBERS) "ottla_commit_requests" []
        "Produce requests that share a commit.";

    histogram JOURNAL_WRITE_DURATION(DURATIONS) "ottla_journal_write_duration_seconds" []
        "Time of a write to the journal.";
    histogram JOURNAL_SYNC_DURATION(DURATIONS) "ottla_journal_sync_duration_seconds" []
        "Time of a sync of the journal.";
    histogram JOURNAL_FRAME_BYTES(SIZES) "ottla_journal_frame_bytes" []
        "Bytes of a frame of the journal: its batches, rows, header and padding.";
    read gauge JOURNAL_SEGMENTS "ottla_journal_segments" []
        "Segments of the journal that hold something.";
    read gauge JOURNAL_BYTES "ottla_journal_bytes" []
        "Bytes of these segments on the disk.";
    read gauge OVERLAY_ROWS "ottla_overlay_rows" []
        "Rows in memory that the row store does not have yet.";
    histogram CHECKPOINT_DURATION(DURATIONS) "ottla_checkpoint_duration_seconds" []
        "Time of a checkpoint: rows move from memory to the row store.";
    histogram SNAPSHOT_DURATION(DURATIONS) "ottla_snapshot_duration_seconds" []
        "Time of a row snapshot.";
    read gauge SNAPSHOT_BYTES "ottla_snapshot_bytes" []
        "Bytes of the newest row snapshot.";
    counter ROW_STORE_REBUILDS "ottla_row_store_rebuilds_total" []
        "Times that the row store was made anew from a snapshot.";
    read gauge STORE_POISONED "ottla_store_poisoned" []
        "1 when a write or sync has failed and nothing is accepted until the broker is started again, else 0.";
    read gauge DISK_BYTES "ottla_disk_size_bytes" []
        "Bytes of the file system of the data folder.";
    read gauge DISK_FREE_BYTES "ottla_disk_free_bytes" []
        "Bytes of it that are free.";

    counter CACHE_HITS "ottla_cache_hits_total" []
        "Reads of record batches that found them in the block cache.";
    counter CACHE_MISSES "ottla_cache_misses_total" []
        "Reads of record batches that went to the store.";

    read gauge BUILD_INFO "ottla_build_info" [version]
        "1; the label says which version runs.";
    read counter PROCESS_CPU "process_cpu_seconds_total" []
        "CPU time of the process, user and system.";
    read gauge PROCESS_RESIDENT "process_resident_memory_bytes" []
        "Memory of the process that is in RAM.";
    read gauge PROCESS_VIRTUAL "process_virtual_memory_bytes" []
        "Addresses that the process has reserved; most of them are never touched.";
    read gauge PROCESS_THREADS "process_threads" []
        "Threads of the process.";
    read gauge PROCESS_OPEN_FDS "process_open_fds" []
        "Open file descriptors.";
    read gauge PROCESS_MAX_FDS "process_max_fds" []
        "File descriptors that the process may have open.";
    read gauge PROCESS_START_TIME "process_start_time_seconds" []
        "When the process started, seconds since 1970-01-01 UTC.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_prometheus_conventions_have_them() {
        for def in TABLE {
            let name = def.name;
            let lower = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.chars().all(lower), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                def.kind == Kind::Counter,
                "{name}"
            );
            assert!(
                name.starts_with("ottla_") || name.starts_with("process_"),
                "{name}"
            );
            for suffix in ["_count", "_sum", "_bucket", "_ms", "_seconds_seconds"] {
                assert!(!name.ends_with(suffix), "{name}");
            }
            assert!(def.help.ends_with('.') && !def.help.contains('|'), "{name}");
            let same = TABLE.iter().filter(|other| other.name == name);
            assert_eq!(same.count(), 1, "{name}");
        }
    }

    #[test]
    fn every_bound_is_above_the_one_before() {
        for bounds in [DURATIONS, SIZES, NUMBERS] {
            assert!(
                bounds.windows(2).all(|pair| pair[0] < pair[1]),
                "{bounds:?}"
            );
        }
    }

    #[test]
    fn reasons_have_the_indices_of_their_names() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{}", reason.name());
        }
    }
}
