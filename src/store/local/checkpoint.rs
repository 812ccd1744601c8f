//! The checkpoint: moves the frozen layer of the overlay to sled, and says in the mark what sled holds.

use std::time::{Duration, Instant};

use super::frame::Point;
use super::locks::lock;
use super::marks::{self, CheckpointMark, Dirty};
use super::overlay::{Entry, Frozen};
use super::rows::{BATCH_ROWS, Instance, RowsFailure};
use super::shared::Shared;
use crate::metrics::table;

/// What sled is known to hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The number of the sled instance; 0 when there was none yet.
    pub(super) instance: u64,
    /// Everything before it is in sled.
    pub(super) point: Point,
}

/// Why a checkpoint did not finish.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfinished {
    /// The engine is being dropped.
    #[error("stopped")]
    Stopped,
    /// sled or the disk failed; the frozen layer stays in memory.
    #[error("{0}")]
    Failed(String),
    /// Stored bytes that are needed are not what was written.
    #[error("damage at {place}: {reason}")]
    Damaged { place: String, reason: String },
}

impl From<RowsFailure> for Unfinished {
    fn from(failure: RowsFailure) -> Self {
        Unfinished::Failed(failure.0)
    }
}

impl Shared {
    /// What sled is known to hold.
    pub(super) fn held(&self) -> Held {
        *lock(&self.held)
    }

    /// Writes the checkpoint mark: sled holds everything before `held.point`, and perhaps some of what comes up to
    /// `target`.
    pub(super) fn mark(&self, held: Held, target: Option<u64>) -> Result<(), Unfinished> {
        let failed =
            |error: std::io::Error| Unfinished::Failed(format!("{}: {error}", marks::CHECKPOINT));
        let dirty = match target {
            None => None,
            Some(target) => {
                let boot_id = self.disk.boot_id().map_err(failed)?;
                Some(Dirty { target, boot_id })
            }
        };
        let mark = CheckpointMark {
            instance: held.instance,
            point: held.point,
            dirty,
        };
        marks::replace(&self.disk, marks::CHECKPOINT, &mark.encode()).map_err(failed)?;
        *lock(&self.held) = held;
        Ok(())
    }

    /// Moves a frozen layer to sled. Every frame in it has been synced.
    pub(super) fn checkpoint(&self, frozen: &Frozen) -> Result<(), Unfinished> {
        let (frame, rows) = (frozen.point.frame, frozen.layer.rows.len());
        tracing::debug!(frame, rows, "checkpoint begins");
        let begun = Instant::now();
        let mut held = self.held();
        let mut fresh = None;
        if self.rows.is_empty() {
            held.instance += 1;
            fresh = Some(self.rows.create(held.instance)?);
        }
        self.mark(held, Some(frozen.point.frame))?;
        while frozen.has_readers() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut batch: Vec<(&[u8], &Entry)> = Vec::with_capacity(BATCH_ROWS);
        for (key, entry) in &frozen.layer.rows {
            batch.push((key, entry));
            if batch.len() == BATCH_ROWS {
                self.move_rows(fresh.as_ref(), &mut batch)?;
            }
        }
        self.move_rows(fresh.as_ref(), &mut batch)?;
        held.point = frozen.point;
        match fresh {
            Some(fresh) => self.publish_rows(fresh, held)?,
            None => self.settle_rows(held)?,
        }
        self.overlay.drop_frozen();
        table::CHECKPOINT_DURATION.observe_since(begun);
        tracing::debug!(frame, rows, "checkpoint done");
        Ok(())
    }

    fn move_rows(
        &self,
        fresh: Option<&Instance>,
        batch: &mut Vec<(&[u8], &Entry)>,
    ) -> Result<(), Unfinished> {
        if self.bell.is_stopped() {
            return Err(Unfinished::Stopped);
        }
        let changes: Vec<_> = batch
            .iter()
            .map(|(key, entry)| (*key, entry.version, entry.value.as_deref()))
            .collect();
        match fresh {
            Some(fresh) => fresh.write(&changes)?,
            None => self.rows.with_instance(|rows| rows.write(&changes))?,
        }
        batch.clear();
        Ok(())
    }

    /// Lets a new instance be read once it is durable, and marks it clean.
    pub(super) fn publish_rows(&self, fresh: Instance, held: Held) -> Result<(), Unfinished> {
        fresh.settle(held.point.frame)?;
        self.rows.publish(fresh);
        self.mark(held, None)
    }

    /// Makes what sled holds durable, and marks it clean.
    pub(super) fn settle_rows(&self, held: Held) -> Result<(), Unfinished> {
        let frame = held.point.frame;
        self.rows.with_instance(|rows| rows.settle(frame))?;
        self.mark(held, None)
    }
}
