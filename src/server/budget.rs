//! One budget for the bytes of requests over all connections.
//!
//! A frame is charged as its bytes arrive, not by the length it claims, so a client that announces 100 MiB and sends
//! one byte takes one chunk. Connections that each hold part of the budget could wait for each other for ever; so
//! there is one slot beside the budget: whoever holds it may receive the rest of its frame unbudgeted. Memory is
//! therefore bounded by the budget plus the largest frame allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes charged at a time: few enough that a silent sender ties up little, enough that a MiB costs four steps.
const CHUNK_SIZE: usize = 256 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: Arc<Semaphore>,
    chunk_size: usize,
    slot: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Budget {
    /// A budget of `size` bytes, at least one.
    pub(super) fn new(size: usize) -> Arc<Self> {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            bytes: Arc::new(Semaphore::new(size)),
            chunk_size: size.min(CHUNK_SIZE),
            slot: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Connections that wait for memory now.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for the next chunk or for the slot, whichever is free first. Dropping the future gives up the place in
    /// the queue.
    async fn grant(self: Arc<Self>, bytes: usize) -> Grant {
        let _waiting = Waiting::new(&self);
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            Ok(permit) = Arc::clone(&self.bytes).acquire_many_owned(count) => Grant::Bytes(permit),
            Ok(permit) = Arc::clone(&self.slot).acquire_owned() => Grant::Slot(permit),
            else => Grant::Closed,
        }
    }
}

/// Counts a waiting connection for as long as it lives.
struct Waiting<'a>(&'a Budget);

impl<'a> Waiting<'a> {
    fn new(budget: &'a Budget) -> Self {
        budget.waiting.fetch_add(1, Ordering::Relaxed);
        Self(budget)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Grant {
    Bytes(OwnedSemaphorePermit),
    Slot(OwnedSemaphorePermit),
    /// Semaphores are closed by nobody.
    Closed,
}

/// What one frame has been charged; given back when dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
    slot: Option<OwnedSemaphorePermit>,
}

impl Charge {
    /// Nothing charged yet.
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
            slot: None,
        }
    }

    /// How many bytes of the frame may be in memory.
    pub(super) fn covers(&self) -> usize {
        match self.slot {
            Some(_) => usize::MAX,
            None => self.bytes,
        }
    }

    /// Charges the next chunk of a frame of `length` bytes without waiting. False: there is no memory now.
    pub(super) fn try_grow(&mut self, length: usize) -> bool {
        let bytes = self.next_chunk(length);
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        match self.budget.bytes.try_acquire_many(count) {
            Ok(permit) => {
                permit.forget();
                self.bytes += bytes;
                true
            }
            Err(_) => false,
        }
    }

    /// The next chunk of a frame of `length` bytes once there is memory for it; give it to [`Charge::add`].
    pub(super) fn grow(&self, length: usize) -> impl Future<Output = Granted> + Send + 'static {
        let bytes = self.next_chunk(length);
        let budget = Arc::clone(&self.budget);
        async move { Granted(budget.grant(bytes).await) }
    }

    /// Takes what was granted.
    pub(super) fn add(&mut self, granted: Granted) {
        match granted.0 {
            Grant::Bytes(permit) => {
                self.bytes += permit.num_permits();
                permit.forget();
            }
            Grant::Slot(permit) => self.slot = Some(permit),
            Grant::Closed => {}
        }
    }

    fn next_chunk(&self, length: usize) -> usize {
        length
            .saturating_sub(self.bytes)
            .min(self.budget.chunk_size)
    }
}

/// Memory on its way to a [`Charge`]; given back if it never gets there.
pub(super) struct Granted(Grant);

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.bytes.add_permits(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_charged_comes_back() {
        let budget = Budget::new(1000);
        let mut charge = Charge::new(&budget);
        assert!(charge.try_grow(600));
        assert_eq!(charge.covers(), 600);
        let mut second = Charge::new(&budget);
        assert!(!second.try_grow(600), "only 400 are left");
        drop(charge);
        assert!(second.try_grow(600));
        drop(second);
        assert_eq!(budget.bytes.available_permits(), 1000);
    }

    #[tokio::test]
    async fn the_slot_lets_one_frame_pass_when_all_wait() {
        let budget = Budget::new(1000);
        let mut holders: Vec<Charge> = (0..2).map(|_| Charge::new(&budget)).collect();
        assert!(holders.iter_mut().all(|holder| holder.try_grow(500)));
        let granted = holders[0].grow(5000).await;
        holders[0].add(granted);
        assert_eq!(holders[0].covers(), usize::MAX, "it took the slot");
        let second = tokio::spawn(holders[1].grow(5000));
        tokio::task::yield_now().await;
        assert_eq!(budget.waiting(), 1);
        drop(holders.remove(0));
        let granted = second.await.expect("the task ends");
        holders[0].add(granted);
        assert!(holders[0].covers() >= 1000);
        assert_eq!(budget.waiting(), 0);
    }
}
