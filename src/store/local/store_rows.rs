//! Bringing the rows up to date at a start: from sled where it has proved itself, else from the newest snapshot, and
//! from the frames after that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::checkpoint::{Held, Unfinished};
use super::frame::Point;
use super::frames::Head;
use super::locks::lock;
use super::marks::CheckpointMark;
use super::mutant::Mutant;
use super::ops::{Kind, OpRef, Ops};
use super::options::OpenError;
use super::pace::Pace;
use super::replay::{Ending, Replayed, Vouched, replay};
use super::rows::RowsFailure;
use super::segment::Segment;
use super::shared::{Shared, replay_cost};

/// How far sled can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It holds exactly what comes before the base.
    Exact,
    /// It may hold some rows that are newer: each is looked at before a frame changes it.
    PerRow,
}

/// See the module.
pub(super) struct Replayer<'a> {
    pub(super) shared: &'a Shared,
}

pub(super) fn failed(unfinished: Unfinished) -> OpenError {
    match unfinished {
        Unfinished::Damaged { place, reason } => OpenError::Corrupt { place, reason },
        other => OpenError::Io {
            place: "the row cache".to_owned(),
            source: std::io::Error::other(other.to_string()),
        },
    }
}

impl Replayer<'_> {
    /// Sets sled up and tells where the replay begins.
    pub(super) fn base(&self, mark: Option<&CheckpointMark>) -> Result<(Point, Trust), OpenError> {
        let shared = self.shared;
        if let Some(mark) = mark {
            match self.believe(mark) {
                Ok(trust) => {
                    let (frame, instance) = (mark.point.frame, mark.instance);
                    tracing::info!(frame, instance, ?trust, "the row cache is believed");
                    *lock(&shared.held) = Held {
                        instance: mark.instance,
                        point: mark.point,
                    };
                    return Ok((mark.point, trust));
                }
                Err(reason) => tracing::warn!(reason, "the row cache is not believed: made anew"),
            }
        }
        let instance = shared.rows.greatest_instance();
        let instance = instance.max(mark.map_or(0, |mark| mark.instance));
        let point = shared.snapshot_point();
        shared.rows.forget();
        *lock(&shared.held) = Held { instance, point };
        if point.frame > 0 {
            shared.load_snapshot().map_err(failed)?;
        }
        Ok((point, Trust::Exact))
    }

    /// Opens sled if the mark and what sled says of itself agree.
    fn believe(&self, mark: &CheckpointMark) -> Result<Trust, String> {
        let shared = self.shared;
        let base = mark.point.frame;
        let snapshot = shared.snapshot_frame();
        if base < snapshot {
            return Err(format!(
                "it ends at frame {base}, before the snapshot at {snapshot}"
            ));
        }
        let mut sound = vec![Some(base)];
        if let Some(dirty) = &mark.dirty {
            let boot_id = shared.disk.boot_id().map_err(|error| error.to_string())?;
            if dirty.boot_id != boot_id {
                return Err("the machine went down during a checkpoint".to_owned());
            }
            sound.push(Some(dirty.target));
            if base == 0 {
                sound.push(None);
            }
        }
        let inner = shared
            .rows
            .open(mark.instance)
            .map_err(|failure| failure.0)?;
        if !sound.contains(&inner) {
            return Err(format!(
                "it says it holds frame {inner:?}, its mark says {base}"
            ));
        }
        Ok(match mark.dirty {
            None => Trust::Exact,
            Some(_) => Trust::PerRow,
        })
    }

    /// Replays the journal from `base` into the overlay.
    pub(super) fn attempt(
        &self,
        base: Point,
        trust: Trust,
        vouched: Vouched,
        segments: &BTreeMap<u64, Arc<Segment>>,
    ) -> Result<Replayed, OpenError> {
        self.shared.overlay.reset(base);
        let alignment = self.shared.segments.alignment();
        let most = bytes_behind(base, segments);
        let (mut pace, mut bytes) = (Pace::new(), 0);
        let mut sink = |head: &Head, rows: &[u8], after: Point| {
            bytes += head.header.length(alignment);
            if pace.is_due() {
                let frame = after.frame;
                tracing::info!(bytes, of_at_most = most, frame, "journal is being replayed");
            }
            self.take(head, rows, after, trust)
        };
        replay(segments, vouched, base, Ending::Secure, &mut sink)
    }

    /// Applies a frame, each operation only where the row is older.
    fn take(&self, head: &Head, rows: &[u8], after: Point, trust: Trust) -> Result<(), OpenError> {
        let shared = self.shared;
        let number = head.header.number;
        let mut changes = Vec::new();
        for op in Ops::new(rows) {
            let base = self.base_of(&op, number, trust);
            let base = base.map_err(|failure| failed(failure.into()))?;
            if let Some(base) = base {
                changes.push((op, base));
            }
        }
        shared.overlay.apply(after, |layer| {
            for (op, base) in changes {
                layer.apply(op.key, op.kind, op.value, number, || base);
            }
        });
        let length = head.header.length(shared.segments.alignment());
        let cost = replay_cost(length, head.header.head_length());
        shared.replay_cost.fetch_add(cost, Ordering::Relaxed);
        if shared.overlay.active_bytes() >= shared.options.checkpoint_overlay_bytes
            && let Some(frozen) = shared.overlay.freeze()
        {
            // Only frames that are durable come here.
            let moved = shared.checkpoint(&frozen);
            moved.map_err(failed)?;
        }
        Ok(())
    }

    /// What an operation goes on; outer `None` when sled has it already.
    fn base_of(
        &self,
        op: &OpRef<'_>,
        number: u64,
        trust: Trust,
    ) -> Result<Option<Option<Vec<u8>>>, RowsFailure> {
        let shared = self.shared;
        if shared.overlay.active_length(op.key).is_some() {
            return Ok(Some(None));
        }
        if trust == Trust::Exact && op.kind != Kind::Append {
            return Ok(Some(None));
        }
        let cell = shared.rows.get(op.key)?;
        let version = cell.as_ref().map_or(0, |(version, _)| *version);
        if trust == Trust::PerRow && version >= number && !Mutant::VersionCheck.is_left_out() {
            return Ok(None);
        }
        Ok(Some(cell.map(|(_, value)| value.to_vec())))
    }
}

/// Bytes that the journal files have from a point on: the journal ends somewhere in them.
fn bytes_behind(point: Point, segments: &BTreeMap<u64, Arc<Segment>>) -> u64 {
    let behind = segments
        .range(point.generation..)
        .map(|(generation, segment)| {
            let length = segment.header.size;
            match *generation == point.generation {
                true => length.saturating_sub(point.position),
                false => length,
            }
        });
    behind.sum()
}
