//! Memory that direct I/O accepts: buffers that begin at an aligned address, used again and again.
//!
//! On a virtual machine a page that the host must first hand out costs seconds of CPU per gigabyte; a page that was
//! used before costs nothing. So read buffers go back to a small pool when the last slice of them is dropped.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::locks::lock;
use super::shared::Bell;

/// Rounds up to a multiple of `alignment`, a power of two.
pub(super) fn round_up(length: u64, alignment: u64) -> u64 {
    debug_assert!(alignment.is_power_of_two(), "alignment is a power of two");
    length.saturating_add(alignment - 1) & !(alignment - 1)
}

/// Rounds down to a multiple of `alignment`, a power of two.
pub(super) fn round_down(length: u64, alignment: u64) -> u64 {
    debug_assert!(alignment.is_power_of_two(), "alignment is a power of two");
    length & !(alignment - 1)
}

/// Bytes that begin at a multiple of an alignment. What is in them is whatever was there before.
#[derive(Debug)]
pub(super) struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    alignment: usize,
}

impl AlignedBuffer {
    /// A buffer of at least `size` bytes.
    pub(super) fn new(size: usize, alignment: usize) -> Self {
        let memory = vec![0; size.saturating_add(alignment)];
        let start = memory.as_ptr().align_offset(alignment).min(alignment);
        Self {
            memory,
            start,
            alignment,
        }
    }

    /// Bytes that fit in.
    pub(super) fn size(&self) -> usize {
        self.memory.len() - self.alignment
    }

    /// Makes room for `size` bytes; what was in it is lost when it has to grow.
    pub(super) fn grow(&mut self, size: usize) {
        if self.size() < size {
            // The old memory goes back first, so that the peak is not the sum.
            self.memory = Vec::new();
            *self = Self::new(size.next_power_of_two(), self.alignment);
        }
    }

    /// Its first `length` bytes.
    pub(super) fn bytes(&self, length: usize) -> &[u8] {
        &self.memory[self.start..self.start + length]
    }

    /// Its first `length` bytes, to be written.
    pub(super) fn bytes_mut(&mut self, length: usize) -> &mut [u8] {
        &mut self.memory[self.start..self.start + length]
    }
}

/// Buffers for reads, given back when the last slice of them is dropped.
#[derive(Debug)]
pub(super) struct ReadPool {
    alignment: usize,
    /// Rung when there is something to trim.
    bell: Arc<Bell>,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    buffers: Vec<AlignedBuffer>,
    bytes: usize,
    /// The fewest bytes that were idle since the last trim: nobody has needed them.
    bytes_min: usize,
    /// When the next trim is due; none while nothing is idle.
    trim_at: Option<Instant>,
}

/// Idle bytes that a pool keeps at most.
pub const IDLE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a buffer may lie idle, about.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// Buffers below this size are not worth keeping: the allocator is as good at them.
const POOLED_BYTES_MIN: usize = 64 * 1024;

/// What their sizes are multiples of. Answers that clients do not take keep the buffers of their records, whole: a size
/// that is rounded up far would be memory in nobody's budget.
const POOLED_STEP: usize = 64 * 1024;

impl ReadPool {
    pub(super) fn new(alignment: usize, bell: Arc<Bell>) -> Arc<Self> {
        Arc::new(Self {
            alignment,
            bell,
            idle: Mutex::default(),
        })
    }

    /// A buffer of at least `size` bytes.
    pub(super) fn take(self: &Arc<Self>, size: usize) -> PooledBuffer {
        let reused = (size >= POOLED_BYTES_MIN)
            .then(|| self.reuse(size))
            .flatten();
        let wanted = match size {
            0..POOLED_BYTES_MIN => size,
            _ => size.next_multiple_of(POOLED_STEP),
        };
        PooledBuffer {
            buffer: Some(reused.unwrap_or_else(|| AlignedBuffer::new(wanted, self.alignment))),
            pool: Arc::clone(self),
        }
    }

    /// The smallest idle buffer that is large enough and hardly larger.
    fn reuse(&self, size: usize) -> Option<AlignedBuffer> {
        let mut idle = lock(&self.idle);
        let size_max = size.saturating_add(POOLED_STEP.max(size / 4));
        let fits = |buffer: &AlignedBuffer| (size..=size_max).contains(&buffer.size());
        let best = idle.buffers.iter().enumerate();
        let best = best.filter(|(_, buffer)| fits(buffer));
        let (index, _) = best.min_by_key(|(_, buffer)| buffer.size())?;
        let buffer = idle.buffers.swap_remove(index);
        idle.bytes -= buffer.size();
        idle.bytes_min = idle.bytes_min.min(idle.bytes);
        Some(buffer)
    }

    fn give_back(&self, buffer: AlignedBuffer) {
        let size = buffer.size();
        let mut idle = lock(&self.idle);
        if size >= POOLED_BYTES_MIN && idle.bytes.saturating_add(size) <= IDLE_BYTES_MAX {
            idle.bytes += size;
            idle.buffers.push(buffer);
            if idle.trim_at.is_none() {
                self.bell.ring();
            }
        }
    }

    /// Gives what nobody has needed for a while back to the allocator; how long until there may be more of it.
    pub(super) fn trim(&self, now: Instant) -> Option<Duration> {
        let mut idle = lock(&self.idle);
        if idle.buffers.is_empty() {
            idle.trim_at = None;
            return None;
        }
        match idle.trim_at {
            Some(due) if now < due => return Some(due - now),
            Some(_) => idle.drop_unneeded(),
            None => {}
        }
        idle.bytes_min = idle.bytes;
        idle.trim_at = (idle.bytes > 0).then(|| now + IDLE_TIME);
        idle.trim_at.map(|due| due - now)
    }
}

impl Idle {
    fn drop_unneeded(&mut self) {
        let mut unneeded = self.bytes_min;
        self.buffers.retain(|buffer| {
            let is_kept = buffer.size() > unneeded;
            if !is_kept {
                unneeded -= buffer.size();
                self.bytes -= buffer.size();
            }
            is_kept
        });
    }
}

/// A buffer on loan from a pool.
#[derive(Debug)]
pub(super) struct PooledBuffer {
    /// Present until it is dropped.
    buffer: Option<AlignedBuffer>,
    pool: Arc<ReadPool>,
}

impl PooledBuffer {
    /// Its first `length` bytes, to be read into.
    pub(super) fn bytes_mut(&mut self, length: usize) -> &mut [u8] {
        match &mut self.buffer {
            Some(buffer) => buffer.bytes_mut(length),
            None => &mut [],
        }
    }

    /// Hands its memory out; it goes back to the pool with the last slice.
    pub(super) fn freeze(self, length: usize) -> Bytes {
        Bytes::from_owner(self).slice(..length)
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        match &self.buffer {
            Some(buffer) => buffer.bytes(buffer.size()),
            None => &[],
        }
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.give_back(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_grow() {
        let mut buffer = AlignedBuffer::new(10, 4096);
        assert_eq!(buffer.bytes(10).as_ptr().align_offset(4096), 0);
        assert_eq!(buffer.size(), 10);
        buffer.grow(5000);
        assert_eq!(buffer.bytes_mut(5000).as_ptr().align_offset(4096), 0);
        assert!(buffer.size() >= 5000);
    }

    #[test]
    fn a_read_buffer_comes_back_when_its_last_slice_is_gone() {
        let pool = ReadPool::new(4096, Arc::default());
        let mut buffer = pool.take(100_000);
        buffer.bytes_mut(3).copy_from_slice(b"abc");
        let whole = buffer.freeze(100_000);
        let slice = whole.slice(1..3);
        drop(whole);
        assert_eq!(&slice[..], b"bc");
        assert_eq!(lock(&pool.idle).bytes, 0);
        drop(slice);
        assert_eq!(lock(&pool.idle).buffers.len(), 1);
        let again = pool.take(70_000);
        assert_eq!(lock(&pool.idle).bytes, 0);
        drop(again);
    }

    #[test]
    fn what_nobody_needs_is_given_back_and_what_is_used_is_not() {
        let pool = ReadPool::new(4096, Arc::default());
        let begin = Instant::now();
        assert_eq!(pool.trim(begin), None, "nothing is idle, nothing is due");
        let buffers = [(); 3].map(|()| pool.take(100_000));
        let size = 1 << 17;
        drop(buffers);
        assert_eq!(pool.trim(begin), Some(IDLE_TIME));
        let needed = pool.take(100_000);
        assert_eq!(pool.trim(begin + IDLE_TIME / 2), Some(IDLE_TIME / 2));
        drop(needed);
        assert_eq!(pool.trim(begin + IDLE_TIME), Some(IDLE_TIME));
        assert_eq!(lock(&pool.idle).bytes, size, "one was needed meanwhile");
        assert_eq!(pool.trim(begin + IDLE_TIME * 2), None);
        assert_eq!(lock(&pool.idle).bytes, 0);
    }

    #[test]
    fn rounding() {
        assert_eq!((round_up(0, 8), round_up(1, 8), round_up(8, 8)), (0, 8, 8));
        assert_eq!((round_down(7, 8), round_down(9, 8)), (0, 8));
    }
}
