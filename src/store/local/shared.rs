//! What the engine's threads and its callers share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::aligned::ReadPool;
use super::checkpoint::Held;
use super::disk::Disk;
use super::frame::Point;
use super::locks::{lock, wait};
use super::meta::Meta;
use super::options::LocalOptions;
use super::overlay::{Frozen, Overlay};
use super::rows::Rows;
use super::segments::Segments;
use super::snapshot::Snapshot;
use crate::store::{Commit, Outcome, StoreError};

/// How an operation of the writer is answered.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do, in the order asked.
#[derive(Debug)]
pub(super) enum Job {
    Commit {
        commit: Commit,
        reply: Reply<Outcome>,
    },
    /// Takes generations off the list of segments.
    Delete { names: Vec<u64>, reply: Reply<()> },
    /// Syncs, then freezes the overlay between two frames.
    Freeze {
        reply: Reply<(Option<Frozen>, Point)>,
    },
    /// Syncs and writes the clean-stop mark.
    Close { reply: Reply<()> },
}

/// A queue into a thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    signal: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    stopped: bool,
}

impl Queue {
    /// Adds a job; false when the thread is gone.
    pub(super) fn push(&self, job: Job) -> bool {
        let mut waiting = lock(&self.waiting);
        if waiting.stopped {
            return false;
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.signal.notify_one();
        true
    }

    /// Moves all that waits to `backlog`; waits for something until `deadline` where the backlog is empty. False
    /// when the queue has been stopped.
    pub(super) fn take(&self, backlog: &mut VecDeque<Job>, deadline: Option<Instant>) -> bool {
        let mut waiting = lock(&self.waiting);
        while backlog.is_empty() && waiting.jobs.is_empty() && !waiting.stopped {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            waiting = wait(&self.signal, waiting, left);
        }
        backlog.append(&mut waiting.jobs);
        !waiting.stopped
    }

    /// Lets the thread end, and returns what nobody will do any more.
    pub(super) fn stop(&self) -> VecDeque<Job> {
        let mut waiting = lock(&self.waiting);
        waiting.stopped = true;
        self.signal.notify_all();
        std::mem::take(&mut waiting.jobs)
    }
}

/// Wakes the keeper.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<BellState>,
    signal: Condvar,
}

#[derive(Debug, Default)]
struct BellState {
    rung: bool,
    stopped: bool,
}

impl Bell {
    pub(super) fn ring(&self) {
        lock(&self.state).rung = true;
        self.signal.notify_one();
    }

    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.signal.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.state).stopped
    }

    /// Waits until it rings, or for `timeout`; false when it has been stopped.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut state = lock(&self.state);
        if !state.rung && !state.stopped {
            state = wait(&self.signal, state, timeout);
        }
        state.rung = false;
        !state.stopped
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: LocalOptions,
    pub(super) cluster_id: String,
    pub(super) store_id: [u8; 16],
    pub(super) disk: Arc<dyn Disk>,
    pub(super) segments: Segments,
    pub(super) read_pool: Arc<ReadPool>,
    pub(super) overlay: Overlay,
    pub(super) rows: Rows,
    pub(super) queue: Queue,
    pub(super) bell: Arc<Bell>,
    /// The generation that is written to.
    pub(super) active: AtomicU64,
    /// The last frame that is known to be synced.
    pub(super) synced: AtomicU64,
    /// What a start would have to read of the journal since the last freeze, in bytes; see [`replay_cost`].
    pub(super) replay_cost: AtomicU64,
    pub(super) closed: AtomicBool,
    /// See [`Shared::held`].
    pub(super) held: Mutex<Held>,
    /// The newest row snapshot.
    pub(super) snapshot: Mutex<Option<Snapshot>>,
    poison: OnceLock<String>,
}

/// What a frame costs a start: its header and row section, and the hop over a long body.
pub(super) fn replay_cost(length: u64, rows: u64) -> u64 {
    const HOP: u64 = 64 * 1024;
    length.min(HOP + rows)
}

impl Shared {
    /// Nothing has been read yet: sled holds nothing, and the journal begins at `start`.
    pub(super) fn new(
        options: LocalOptions,
        meta: &Meta,
        segments: Segments,
        rows: Rows,
        bell: Arc<Bell>,
        start: Point,
    ) -> Self {
        Self {
            options,
            cluster_id: meta.cluster_id.clone(),
            store_id: meta.store_id,
            disk: Arc::clone(&segments.files.disk),
            read_pool: ReadPool::new(segments.files.disk.alignment(), Arc::clone(&bell)),
            segments,
            overlay: Overlay::new(start),
            rows,
            queue: Queue::default(),
            bell,
            active: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            replay_cost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            held: Mutex::new(Held {
                instance: 0,
                point: start,
            }),
            snapshot: Mutex::new(None),
            poison: OnceLock::new(),
        }
    }

    /// Refuses every write from now on.
    pub(super) fn poison(&self, reason: &str) {
        if self.poison.set(reason.to_owned()).is_ok() {
            tracing::error!(
                reason,
                "store poisoned: nothing is accepted until it is opened again"
            );
        }
    }

    /// The error of a poisoned or closed store.
    pub(super) fn refusal(&self) -> Option<StoreError> {
        let poisoned = |reason: &String| StoreError::Poisoned {
            reason: reason.clone(),
        };
        match self.closed.load(Ordering::Acquire) {
            true => Some(StoreError::Closed),
            false => self.poison.get().map(poisoned),
        }
    }

    /// The error of a poisoned store.
    pub(super) fn poisoned(&self) -> Option<StoreError> {
        let reason = self.poison.get()?.clone();
        Some(StoreError::Poisoned { reason })
    }
}
