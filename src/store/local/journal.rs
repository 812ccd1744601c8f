//! The writer: one thread that owns the journal. Takes all commits that wait, makes a frame of them, writes it, syncs,
//! applies it to the overlay and answers. While one frame syncs the next one gathers in the queue.

mod gather;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use self::gather::Answer;
use super::aligned::AlignedBuffer;
use super::assemble::{Assembly, LaidOut, Site};
use super::codec::to_u64;
use super::frame::{FrameHeader, Point};
use super::marks::{self, RunMark};
use super::options::Durability;
use super::segment::Segment;
use super::segments::{Purpose, SegmentRow};
use super::shared::{Job, Shared, replay_cost};
use crate::metrics::table;
use crate::store::StoreError;

/// A frame buffer larger than this goes back when the journal rests, in bytes.
const RESTING_BUFFER_MAX: usize = 256 * 1024;

/// Where the journal goes on.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) active: Arc<Segment>,
    pub(super) point: Point,
    /// The number of the next frame: above everything that was ever seen.
    pub(super) number: u64,
    /// Whether `active` must not be written to any more.
    pub(super) must_leave: bool,
    /// Rows of segments that are to be closed in the first frame of a new one.
    pub(super) to_close: Vec<(u64, SegmentRow)>,
}

/// The journal's thread.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    active: Arc<Segment>,
    active_is_reserve: bool,
    must_leave: bool,
    point: Point,
    number: u64,
    to_close: Vec<(u64, SegmentRow)>,
    /// The segment to go on in: its header is durable.
    next: Option<(Segment, Purpose)>,
    /// Whether the frame that is being gathered goes there.
    leaving: bool,
    /// Whether the next frame is the first after a cut.
    resumed: bool,
    buffer: AlignedBuffer,
    backlog: VecDeque<Job>,
    /// With [`Durability::Os`]: when the first write since the last sync was made.
    unsynced_since: Option<Instant>,
    /// When the last frame was written that nothing vouches for yet.
    unvouched_since: Option<Instant>,
    was_full: bool,
    /// Whether the clean-stop mark has been written: nothing comes after it.
    ended: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, start: Start) -> Self {
        let alignment = usize::try_from(shared.segments.alignment()).unwrap_or(4096);
        Self {
            active: start.active,
            active_is_reserve: false,
            must_leave: start.must_leave,
            point: start.point,
            number: start.number,
            to_close: start.to_close,
            next: None,
            leaving: false,
            resumed: false,
            buffer: AlignedBuffer::new(0, alignment),
            backlog: VecDeque::new(),
            unsynced_since: None,
            unvouched_since: None,
            was_full: false,
            ended: false,
            shared,
        }
    }

    /// Works until the queue is stopped.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let deadline = self.deadline();
            if !shared.queue.take(&mut self.backlog, deadline) {
                return;
            }
            match self.backlog.front() {
                None => self.rest(),
                Some(Job::Commit { .. } | Job::Delete { .. }) => self.frame(),
                Some(Job::Freeze { .. } | Job::Close { .. }) => self.control(),
            }
        }
    }

    /// When something is due though nobody asks.
    fn deadline(&self) -> Option<Instant> {
        if self.ended || self.shared.poisoned().is_some() {
            return None;
        }
        let options = &self.shared.options;
        let after = |since: Option<Instant>, wait: Duration| since?.checked_add(wait);
        let sync = after(self.unsynced_since, options.os_sync_interval);
        let vouch = after(self.unvouched_since, options.idle_after);
        sync.into_iter().chain(vouch).min()
    }

    /// Nobody has asked for anything until the deadline.
    fn rest(&mut self) {
        let options = &self.shared.options;
        let vouch = is_due(self.unvouched_since, options.idle_after);
        let sync = is_due(self.unsynced_since, options.os_sync_interval);
        if self.ended || self.shared.poisoned().is_some() || !(vouch || sync) {
            return;
        }
        let mut done = self.sync();
        if vouch && done.is_ok() {
            done = self.vouch();
        }
        if let Err(reason) = done {
            self.shared.poison(&reason);
        }
    }

    /// Writes an empty frame: it says of the last one that it was synced, so that damage to it is no torn write.
    fn vouch(&mut self) -> Result<(), String> {
        self.unvouched_since = None;
        if self.buffer.size() > RESTING_BUFFER_MAX {
            self.buffer = AlignedBuffer::new(0, self.active.file.alignment());
        }
        let room = self.active.header.size.saturating_sub(self.point.position);
        if self.must_leave || room < 2 * self.active.alignment() {
            return self.mark_run();
        }
        self.write(Assembly::new(self.number))?;
        self.unvouched_since = None;
        Ok(())
    }

    /// A job that is done between frames.
    fn control(&mut self) {
        match self.backlog.pop_front() {
            Some(Job::Freeze { reply }) => {
                let frozen = self.checked(Self::sync);
                let _ = reply.send(frozen.map(|()| {
                    self.shared.replay_cost.store(0, Ordering::Relaxed);
                    (self.shared.overlay.freeze(), self.point)
                }));
            }
            Some(Job::Close { reply }) => {
                let closed = self.checked(Self::stop);
                self.ended = true;
                let _ = reply.send(closed);
            }
            Some(other) => self.backlog.push_front(other),
            None => {}
        }
    }

    /// Does something that poisons the store where it fails.
    fn checked(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), StoreError> {
        if let Some(poisoned) = self.shared.poisoned() {
            return Err(poisoned);
        }
        act(self).map_err(|reason| {
            self.shared.poison(&reason);
            StoreError::Poisoned { reason }
        })
    }

    fn stop(&mut self) -> Result<(), String> {
        self.sync()?;
        let mark = RunMark {
            point: self.point,
            stopped: !self.must_leave,
        };
        let written = marks::replace(&self.shared.disk, marks::RUN, &mark.encode());
        written.map_err(|error| format!("{}: {error}", marks::RUN))
    }

    /// Makes everything that was written durable.
    fn sync(&mut self) -> Result<(), String> {
        let synced = &self.shared.synced;
        if self.unsynced_since.is_some() || synced.load(Ordering::Acquire) < self.point.frame {
            let done = self.active.file.sync_data();
            done.map_err(|error| self.failure("sync", &error))?;
            self.unsynced_since = None;
            synced.store(self.point.frame, Ordering::Release);
        }
        Ok(())
    }

    fn failure(&self, what: &str, error: &io::Error) -> String {
        let place = self.active.place(self.point.position);
        format!("{what} of {place} failed: {error}")
    }

    /// Makes one frame of what waits and answers it.
    fn frame(&mut self) {
        let mut assembly = Assembly::new(self.number);
        let mut answers = Vec::new();
        self.leaving = false;
        while let Some(job) = self.backlog.pop_front() {
            let left = match job {
                Job::Commit { commit, reply } => {
                    self.gather(&mut assembly, &mut answers, commit, reply)
                }
                Job::Delete { names, reply } => {
                    self.gather_delete(&mut assembly, &mut answers, names, reply)
                }
                control => Some(control),
            };
            if let Some(left) = left {
                self.backlog.push_front(left);
                break;
            }
        }
        let written = match assembly.is_empty() {
            true => Ok(None),
            false => self.write_in_room(assembly, &answers).map(Some),
        };
        match written {
            Ok(header) => {
                self.answer(answers, header);
                self.sync_in_time();
            }
            Err(reason) => {
                self.shared.poison(&reason);
                for answer in answers {
                    answer.fail(&reason);
                }
            }
        }
    }

    /// With [`Durability::Os`]: the sync that is due though commits come without a pause.
    fn sync_in_time(&mut self) {
        if is_due(self.unsynced_since, self.shared.options.os_sync_interval)
            && let Err(reason) = self.sync()
        {
            self.shared.poison(&reason);
        }
    }

    /// Writes a frame, in the next segment where the active one has no room.
    fn write_in_room(
        &mut self,
        mut assembly: Assembly,
        answers: &[Answer],
    ) -> Result<FrameHeader, String> {
        if self.leaving {
            self.go_on()?;
        }
        let is_first = self.point.position == self.active.header.first_position();
        let mut closed = match is_first {
            true => std::mem::take(&mut self.to_close),
            false => Vec::new(),
        };
        // What this frame deletes is not closed in it.
        closed.retain(|(generation, _)| !answers.iter().any(|answer| answer.deletes(*generation)));
        if is_first {
            let size = self.active.header.size;
            let own = SegmentRow {
                size,
                end: 0,
                body: 0,
            };
            assembly.put_segment(self.active.generation(), Some(own));
            for (generation, row) in &closed {
                // A segment without batches is of no more use than its rows: a snapshot will have them.
                assembly.put_segment(*generation, (row.body > 0).then_some(*row));
            }
        }
        // The number moved on if the last segment had to be closed.
        assembly.number = self.number;
        let header = self.write(assembly)?;
        if std::mem::take(&mut self.resumed) {
            // Nothing else names the new segment: its header could be damaged unseen.
            self.mark_run()?;
        }
        let rows_only = closed.iter().filter(|(_, row)| row.body == 0);
        let rows_only: Vec<u64> = rows_only.map(|(generation, _)| *generation).collect();
        let deleted = answers
            .iter()
            .any(|answer| matches!(answer, Answer::Deleted { .. }));
        if deleted || !rows_only.is_empty() {
            // A deletion counts once it is synced, whatever the mode.
            self.sync()?;
            self.shared.segments.retire(&rows_only);
            self.shared.bell.ring();
        }
        Ok(header)
    }

    /// Lets the run mark vouch for everything that was written.
    fn mark_run(&mut self) -> Result<(), String> {
        self.sync()?;
        let mark = RunMark {
            point: self.point,
            stopped: false,
        };
        let written = marks::replace(&self.shared.disk, marks::RUN, &mark.encode());
        written.map_err(|error| format!("{}: {error}", marks::RUN))
    }

    /// Leaves the active segment for the next one.
    fn go_on(&mut self) -> Result<(), String> {
        let Some((next, purpose)) = self.next.take() else {
            return Err("a frame has outgrown its segment".to_owned());
        };
        let generation = next.generation();
        tracing::debug!(generation, "segment change begins");
        if self.must_leave {
            self.point.generation = generation;
            self.point.position = next.header.first_position();
            self.point.body_before = 0;
            self.resumed = true;
        } else {
            let row = SegmentRow {
                size: self.active.header.size,
                end: self.point.position + self.active.alignment(),
                body: self.point.body_before,
            };
            self.close_active(generation, next.header.first_position())?;
            self.to_close.push((self.active.generation(), row));
        }
        self.must_leave = false;
        self.active_is_reserve = purpose == Purpose::Deletion;
        self.active = Arc::new(next);
        self.shared.segments.install(Arc::clone(&self.active));
        self.shared.active.store(generation, Ordering::Release);
        self.shared.bell.ring();
        tracing::debug!(generation, "segment change done");
        Ok(())
    }

    /// Writes the last frame of a segment, which names the next, and syncs the segment: holes never span two.
    fn close_active(&mut self, next_generation: u64, next_first: u64) -> Result<(), String> {
        let laid_out = self.put(&mut Assembly::new(self.number), next_generation)?;
        let done = self.active.file.sync_data();
        done.map_err(|error| self.failure("sync", &error))?;
        let alignment = self.active.alignment();
        self.active.set_end(self.point.position + alignment);
        self.point = Point::after(&laid_out.header, laid_out.crc, alignment, next_first);
        self.number += 1;
        self.unsynced_since = None;
        self.shared
            .synced
            .store(self.point.frame, Ordering::Release);
        self.shared.overlay.apply(self.point, |_| {});
        Ok(())
    }

    /// Lays a frame out at the point and writes it.
    fn put(&mut self, assembly: &mut Assembly, next_generation: u64) -> Result<LaidOut, String> {
        let site = Site {
            point: self.point,
            synced: self.shared.synced.load(Ordering::Acquire),
            seal: self.active.seal,
            alignment: self.active.alignment(),
            next_generation,
        };
        let laid_out = assembly.lay_out(&site, &mut self.buffer);
        let bytes = self.buffer.bytes(laid_out.length);
        let written = self.active.file.write(bytes, self.point.position);
        written.map_err(|error| self.failure("write", &error))?;
        table::JOURNAL_FRAME_BYTES.observe(to_u64(laid_out.length));
        Ok(laid_out)
    }

    /// Writes a frame, makes it as durable as was asked for, and makes its changes visible.
    fn write(&mut self, mut assembly: Assembly) -> Result<FrameHeader, String> {
        let laid_out = self.put(&mut assembly, 0)?;
        let now = Instant::now();
        match self.shared.options.durability {
            Durability::Fsync => {
                let done = self.active.file.sync_data();
                done.map_err(|error| self.failure("sync", &error))?;
                let synced = laid_out.header.number;
                self.shared.synced.store(synced, Ordering::Release);
            }
            Durability::Os => {
                self.unsynced_since.get_or_insert(now);
            }
        }
        let alignment = self.active.alignment();
        self.point = Point::after(&laid_out.header, laid_out.crc, alignment, 0);
        self.number += 1;
        self.unvouched_since = Some(now);
        self.active.set_end(self.point.position);
        let apply = |layer: &mut _| assembly.apply(layer);
        self.shared.overlay.apply(self.point, apply);
        self.note_cost(to_u64(laid_out.length), laid_out.header.head_length());
        Ok(laid_out.header)
    }

    /// Rings for the keeper when a budget is used up or the segment fills.
    fn note_cost(&self, length: u64, rows: u64) {
        let shared = &self.shared;
        let cost = replay_cost(length, rows);
        let cost = shared.replay_cost.fetch_add(cost, Ordering::Relaxed) + cost;
        let half = self.active.header.size / 2;
        let end = self.point.position;
        if cost >= shared.options.checkpoint_journal_bytes
            || shared.overlay.active_bytes() >= shared.options.checkpoint_overlay_bytes
            || (end >= half && end - length < half)
        {
            shared.bell.ring();
        }
    }
}

/// Whether it has been so long.
fn is_due(since: Option<Instant>, wait: Duration) -> bool {
    since.is_some_and(|since| since.elapsed() >= wait)
}
