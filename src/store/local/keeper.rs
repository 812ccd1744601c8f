//! The keeper: one thread for what need not be done at once. It keeps a segment ready for the journal, moves the
//! overlay to sled, takes row snapshots, makes sled anew after it has failed, and gives dead segments back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::checkpoint::Unfinished;
use super::frame::Point;
use super::overlay::Frozen;
use super::segments::NoSegment;
use super::shared::{Job, Shared};

/// When to try again what could not be done.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The part of a file system that is kept free at most: one in so many bytes.
const KEPT_FREE_SHARE: u64 = 8;

/// The keeper's thread.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// A frozen layer that has not reached sled yet.
    frozen: Option<Frozen>,
    /// Whether the last attempt failed and was told of.
    failing: bool,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            frozen: None,
            failing: false,
        }
    }

    /// Works until the bell is stopped.
    pub(super) fn run(mut self) {
        let mut again = None;
        while self.shared.bell.wait(again) {
            again = None;
            if self.shared.refusal().is_some() {
                continue;
            }
            match self.work() {
                Ok(()) => self.failing = false,
                Err(Unfinished::Stopped) => continue,
                Err(error) => {
                    if !self.failing {
                        tracing::warn!(%error, "rows stay in memory and in the journal for now");
                    }
                    self.failing = true;
                    again = Some(AGAIN_AFTER);
                }
            }
            let passed = self.shared.snapshot_point().generation;
            if self.shared.segments.has_dead(passed) {
                again = Some(AGAIN_AFTER);
            }
            let trimmed = self.shared.read_pool.trim(Instant::now());
            again = again.or(trimmed);
        }
    }

    fn work(&mut self) -> Result<(), Unfinished> {
        self.prepare()?;
        if self.shared.rows.failure().is_some() {
            self.rebuild()?;
        }
        let snapshot_due = self.snapshot_is_due();
        if snapshot_due || self.frozen.is_some() || self.checkpoint_is_due() {
            let point = self.checkpoint()?;
            if snapshot_due && point.frame > self.shared.snapshot_frame() {
                self.shared.take_snapshot(point)?;
            }
        }
        let passed = self.shared.snapshot_point().generation;
        self.shared.segments.recycle(passed)?;
        Ok(())
    }

    /// Keeps room: a segment for the journal to go on in, and what is kept back for a full disk.
    fn prepare(&self) -> Result<(), Unfinished> {
        let shared = &self.shared;
        shared.keep_room()?;
        let half_full = match shared.segments.pin(shared.active.load(Ordering::Acquire)) {
            Some(active) => active.end() >= active.header.size / 2,
            None => false,
        };
        let mut made = shared.segments.prepare_reserve();
        if half_full && made.is_ok() {
            made = shared.segments.prepare();
        }
        match made {
            // The writer finds out when it needs one.
            Ok(()) | Err(NoSegment::Full(_)) => Ok(()),
            Err(NoSegment::Io(error)) => Err(error.into()),
        }
    }

    fn checkpoint_is_due(&self) -> bool {
        let shared = &self.shared;
        let cost = shared.replay_cost.load(Ordering::Relaxed);
        cost >= shared.options.checkpoint_journal_bytes
            || shared.overlay.active_bytes() >= shared.options.checkpoint_overlay_bytes
    }

    /// Whether the rows since the last snapshot are many, or dead segments wait only for one.
    fn snapshot_is_due(&self) -> bool {
        let shared = &self.shared;
        let size = shared.snapshot_size();
        let least = shared.options.snapshot_row_bytes_min.max(size);
        let passed = shared.snapshot_point().generation;
        let waiting = shared.segments.waiting_for_snapshot(passed);
        to_be_snapshot(shared) >= least || (waiting > 0 && waiting >= size)
    }

    /// Syncs the journal and freezes the overlay; everything before the point is durable.
    fn freeze(&mut self) -> Result<Point, Unfinished> {
        let (reply, answer) = oneshot::channel();
        if !self.shared.queue.push(Job::Freeze { reply }) {
            return Err(Unfinished::Stopped);
        }
        let (frozen, point) = match answer.blocking_recv() {
            Err(_) => return Err(Unfinished::Stopped),
            Ok(answer) => answer.map_err(|error| Unfinished::Failed(error.to_string()))?,
        };
        if frozen.is_some() {
            self.frozen = frozen;
        }
        Ok(point)
    }

    /// Moves the overlay to sled; everything before the point is there.
    fn checkpoint(&mut self) -> Result<Point, Unfinished> {
        let mut point = None;
        if self.frozen.is_none() {
            point = Some(self.freeze()?);
        }
        if let Some(frozen) = &self.frozen {
            self.shared.checkpoint(frozen)?;
            let point = frozen.point;
            self.frozen = None;
            return Ok(point);
        }
        // No row has changed since the last one: sled has everything as it is.
        let mut held = self.shared.held();
        if let Some(point) = point.filter(|point| point.frame > held.point.frame) {
            held.point = point;
            self.shared.settle_rows(held)?;
        }
        Ok(held.point)
    }

    /// Makes sled anew: from a snapshot of everything that is to be in it.
    fn rebuild(&mut self) -> Result<(), Unfinished> {
        let point = match &self.frozen {
            Some(frozen) => frozen.point,
            None => self.freeze()?,
        };
        if point.frame > self.shared.snapshot_frame() {
            self.shared.take_snapshot(point)?;
        }
        self.shared.load_snapshot()?;
        self.shared.overlay.drop_frozen();
        self.frozen = None;
        Ok(())
    }
}

impl Shared {
    /// Sees to it that data leave room for a snapshot and a checkpoint.
    pub(super) fn keep_room(&self) -> io::Result<()> {
        let total = self.disk.space()?.total;
        let overlay = u64::try_from(self.options.checkpoint_overlay_bytes).unwrap_or(u64::MAX);
        let wanted = self
            .snapshot_size()
            .saturating_add(to_be_snapshot(self))
            .saturating_add(overlay.saturating_mul(2));
        self.segments.keep_free(wanted.min(total / KEPT_FREE_SHARE));
        Ok(())
    }
}

/// Row section bytes since the last snapshot.
fn to_be_snapshot(shared: &Shared) -> u64 {
    let now = shared.overlay.point().rows_before;
    now.saturating_sub(shared.snapshot_point().rows_before)
}
