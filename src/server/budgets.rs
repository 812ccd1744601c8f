//! Every memory budget of the broker in one table: `--print-budgets`, and lines at level debug once it is ready.
//!
//! The numbers are those that the owners of the memory work with. What grows with the number of connections is told per
//! piece, and is not in the sum.

use std::io::{self, Write};

use super::run::{local_options, workers};
use super::{Limits, http, inbox, pipeline, scrape};
use crate::broker::answer_memory::ANSWERS_SIZE_MAX;
use crate::broker::fetch_session::SESSIONS_SIZE_MAX;
use crate::broker::{DECOMPRESSED_SIZE_MAX, committer, coordinator};
use crate::config::{Config, keys};
use crate::protocol::shape::{ELEMENT_SIZE, ELEMENTS_MAX};
use crate::store::local::IDLE_BYTES_MAX;

/// Shown where no setting changes a budget.
const FIXED: &str = "-";

/// What of the broker's memory is bounded.
#[derive(Clone, Debug)]
struct MemoryBudget {
    name: &'static str,
    /// At most, for each of `per`.
    bytes: usize,
    per: Per,
    /// The key that changes it; [`FIXED`] where there is none.
    setting: &'static str,
    bounds: &'static str,
}

/// How often a budget is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Broker,
    Connection,
}

impl Per {
    /// `None` where it is there once.
    fn name(self) -> Option<&'static str> {
        match self {
            Per::Broker => None,
            Per::Connection => Some("connection"),
        }
    }
}

fn row(
    name: &'static str,
    bytes: usize,
    setting: &'static str,
    bounds: &'static str,
) -> MemoryBudget {
    MemoryBudget {
        name,
        bytes,
        per: Per::Broker,
        setting,
        bounds,
    }
}

/// The table.
fn budgets(config: &Config) -> Vec<MemoryBudget> {
    let mut rows = of_requests(config);
    rows.extend(of_records(config));
    if config.get(keys::OTTLA_STORE) != "memory" {
        rows.extend(of_local_store(config));
    }
    if config.get(keys::OTTLA_METRICS_LISTENER).is_some() {
        let bytes = http::CONNECTIONS_MAX * scrape::PARTITIONS_SIZE_MAX;
        let bounds = "pages of metrics that are being read, their lines about partitions";
        rows.push(row("metrics_pages", bytes, FIXED, bounds));
    }
    rows.extend(per_piece());
    rows
}

fn of_requests(config: &Config) -> Vec<MemoryBudget> {
    let limits = Limits::from(config);
    let memory_key = match config.get(keys::QUEUED_MAX_REQUEST_BYTES) {
        ..=0 => keys::OTTLA_REQUEST_MEMORY_BYTES.name(),
        _ => keys::QUEUED_MAX_REQUEST_BYTES.name(),
    };
    let elements_size = ELEMENTS_MAX as usize * ELEMENT_SIZE;
    vec![
        row(
            "requests",
            limits.request_memory_size,
            memory_key,
            "frames of requests from their first byte to their answer",
        ),
        row(
            "requests_slot",
            limits.frame_size_max,
            keys::SOCKET_REQUEST_MAX_BYTES.name(),
            "the one frame that is received although that is used up",
        ),
        row(
            "requests_decoded",
            limits.request_memory_size,
            memory_key,
            "what the elements of requests become, and their part of the answer",
        ),
        row(
            "requests_decoded_slot",
            elements_size,
            FIXED,
            "the one request that is handled although that is used up",
        ),
        row(
            "unpacking",
            DECOMPRESSED_SIZE_MAX,
            FIXED,
            "the compressed batch whose records are checked, one at a time",
        ),
        row(
            "unpacking_by_time",
            DECOMPRESSED_SIZE_MAX.saturating_mul(workers()),
            FIXED,
            "the compressed batches that are searched by time, one in each thread",
        ),
    ]
}

fn of_records(config: &Config) -> Vec<MemoryBudget> {
    let cache_size = config.get(keys::OTTLA_CACHE_BYTES);
    vec![
        row(
            "block_cache",
            usize::try_from(cache_size).unwrap_or(0),
            keys::OTTLA_CACHE_BYTES.name(),
            "record batches that were written or read lately",
        ),
        row(
            "answers",
            ANSWERS_SIZE_MAX,
            FIXED,
            "records of answers from their read until their client took them",
        ),
        row(
            "fetch_sessions",
            SESSIONS_SIZE_MAX,
            FIXED,
            "what fetch sessions remember",
        ),
        row(
            "committer",
            committer::STATE_SIZE_MAX,
            FIXED,
            "heads and producers of partitions that are written, about",
        ),
        row(
            "group_members",
            coordinator::MEMBERS_SIZE_MAX,
            FIXED,
            "what members of groups told of themselves, and their assignments",
        ),
    ]
}

fn of_local_store(config: &Config) -> Vec<MemoryBudget> {
    let options = local_options(config);
    let commit_size = committer::COMMIT_BYTES_MAX + Limits::from(config).frame_size_max;
    vec![
        row(
            "journal_buffer",
            commit_size.next_power_of_two(),
            keys::SOCKET_REQUEST_MAX_BYTES.name(),
            "the frame that is written: a full commit and the largest request",
        ),
        row(
            "overlay",
            options.overlay_bytes_max,
            keys::OTTLA_CHECKPOINT_OVERLAY_BYTES.name(),
            "rows that sled does not have yet",
        ),
        row(
            "row_store_cache",
            usize::try_from(options.sled_cache_bytes).unwrap_or(usize::MAX),
            keys::OTTLA_STORE_CACHE_BYTES.name(),
            "rows in sled's cache, as sled counts them",
        ),
        row(
            "snapshot_sort",
            options.snapshot_sort_bytes,
            FIXED,
            "rows that are sorted for a snapshot",
        ),
        row(
            "idle_read_buffers",
            IDLE_BYTES_MAX,
            FIXED,
            "buffers of reads that wait to be used again",
        ),
    ]
}

fn per_piece() -> Vec<MemoryBudget> {
    let input_size = inbox::AHEAD_SIZE + pipeline::DECODED_FREE;
    let per = |per, row| MemoryBudget { per, ..row };
    vec![
        per(
            Per::Connection,
            row(
                "connection_input",
                input_size,
                keys::MAX_CONNECTIONS.name(),
                "bytes read ahead and a small request decoded, both uncharged",
            ),
        ),
        per(
            Per::Connection,
            row(
                "connection_answers",
                pipeline::QUEUED_SIZE_MAX,
                keys::MAX_CONNECTIONS.name(),
                "answers that wait to be taken; one more goes behind them, its records charged to answers",
            ),
        ),
    ]
}

/// Bytes of all that are there once.
fn sum(budgets: &[MemoryBudget]) -> usize {
    let once = budgets.iter().filter(|budget| budget.per == Per::Broker);
    once.fold(0, |sum, budget| sum.saturating_add(budget.bytes))
}

/// Prints the table for people: name, bytes, setting, what it bounds; the last line is the sum.
pub fn print_budgets(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let budgets = budgets(config);
    let mut line = |name: &str, bytes: &str, setting: &str, bounds: &str| {
        let text = format!("{name:22} {bytes:>11}  {setting:42} {bounds}");
        writeln!(out, "{}", text.trim_end())
    };
    line("BUDGET", "BYTES", "SETTING", "WHAT IT BOUNDS")?;
    for budget in &budgets {
        let bounds = match budget.per.name() {
            None => budget.bounds.to_owned(),
            Some(piece) => format!("per {piece}: {}", budget.bounds),
        };
        line(
            budget.name,
            &budget.bytes.to_string(),
            budget.setting,
            &bounds,
        )?;
    }
    let sum = sum(&budgets).to_string();
    let note = "without those per piece, topics and partitions, and the program itself";
    line("sum", &sum, "", note)
}

/// The same in the log, at level debug.
pub(super) fn log_budgets(config: &Config) {
    let budgets = budgets(config);
    for budget in &budgets {
        let MemoryBudget {
            name,
            bytes,
            per,
            setting,
            bounds,
        } = budget;
        tracing::debug!(
            budget = name,
            bytes,
            per = per.name(),
            setting,
            "memory: {bounds}"
        );
    }
    tracing::debug!(
        bytes = sum(&budgets),
        "memory: the sum of what is there once"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(settings: &[(&str, &str)]) -> String {
        let config = Config::from_pairs(settings.iter().copied()).unwrap();
        let mut out = Vec::new();
        print_budgets(&config, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn bytes_of(page: &str, name: &str) -> Option<usize> {
        let line = page
            .lines()
            .find(|line| line.split(' ').next() == Some(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    #[test]
    fn settings_count_where_the_table_says_so() {
        let default = printed(&[]);
        for (name, key, set) in [
            ("requests", "ottla.request.memory.bytes", 2_000_000),
            ("requests", "queued.max.request.bytes", 3_000_000),
            ("requests_decoded", "queued.max.request.bytes", 3_000_000),
            ("requests_slot", "socket.request.max.bytes", 5_000_000),
            ("block_cache", "ottla.cache.bytes", 0),
            ("row_store_cache", "ottla.store.cache.bytes", 2_000_000),
        ] {
            let page = printed(&[(key, &set.to_string())]);
            assert_eq!(bytes_of(&page, name), Some(set), "{page}");
            let line = page.lines().find(|line| line.starts_with(name)).unwrap();
            assert!(line.contains(key), "{line}");
            assert_ne!(bytes_of(&default, name), Some(set), "{default}");
        }
        let overlay = printed(&[("ottla.checkpoint.overlay.bytes", "100000000")]);
        assert_eq!(bytes_of(&overlay, "overlay"), Some(800_000_000));
        let journal = printed(&[("socket.request.max.bytes", "5000000")]);
        assert_eq!(bytes_of(&journal, "journal_buffer"), Some(16 << 20));
    }

    #[test]
    fn the_sum_is_of_what_is_there_once() {
        let budgets = budgets(&Config::default());
        let all: usize = budgets.iter().map(|budget| budget.bytes).sum();
        let pieces: usize = per_piece().iter().map(|budget| budget.bytes).sum();
        assert_eq!(sum(&budgets), all - pieces);
        assert_eq!(bytes_of(&printed(&[]), "answers"), Some(128 << 20));
        assert_eq!(bytes_of(&printed(&[]), "fetch_sessions"), Some(64 << 20));
        assert_eq!(bytes_of(&printed(&[]), "sum"), Some(all - pieces));
    }

    #[test]
    fn only_what_is_there_is_listed() {
        let page = printed(&[("ottla.store", "memory")]);
        assert_eq!(bytes_of(&page, "overlay"), None, "{page}");
        assert_eq!(bytes_of(&page, "metrics_pages"), None, "{page}");
        let page = printed(&[("ottla.metrics.listener", "127.0.0.1:9404")]);
        assert!(bytes_of(&page, "metrics_pages") > Some(0), "{page}");
        assert!(bytes_of(&page, "overlay") > Some(0), "{page}");
    }
}
