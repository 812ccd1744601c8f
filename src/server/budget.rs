//! One budget for the bytes of requests over all connections.
//!
//! A frame is charged as its bytes arrive, not by the length it claims, so a client that announces 100 MiB and sends
//! one byte takes one chunk. Connections that each hold part of the budget could wait for each other for ever; so
//! there is one slot beside the budget: whoever holds it may receive the rest of its frame unbudgeted. Memory is
//! therefore bounded by the budget plus the largest frame allowed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::BoxFuture;

/// Bytes charged at a time: few enough that a silent sender ties up little, enough that a MiB costs four steps.
const CHUNK_SIZE: usize = 256 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Budget {
    size: usize,
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
            size,
            bytes: Arc::new(Semaphore::new(size)),
            chunk_size: size.min(CHUNK_SIZE),
            slot: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Bytes in all.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes that are charged now; the frame that has the slot is not among them.
    pub(super) fn used(&self) -> usize {
        self.size.saturating_sub(self.bytes.available_permits())
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

/// What one request has been charged; given back when dropped.
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
    slot: Option<OwnedSemaphorePermit>,
    waiting: Option<BoxFuture<'static, Grant>>,
}

impl Charge {
    /// Nothing charged yet.
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
            slot: None,
            waiting: None,
        }
    }

    /// How many bytes may be in memory.
    pub(super) fn covers(&self) -> usize {
        match self.slot {
            Some(_) => usize::MAX,
            None => self.bytes,
        }
    }

    /// Ready once `bytes` may be in memory, of `whole` that there will be: what is charged comes in chunks, but never
    /// more than `whole`.
    pub(super) fn poll_cover(
        &mut self,
        cx: &mut Context<'_>,
        bytes: usize,
        whole: usize,
    ) -> Poll<()> {
        while self.covers() < bytes {
            let chunk = whole.saturating_sub(self.bytes).min(self.budget.chunk_size);
            if self.waiting.is_none() && !self.try_grow(chunk) {
                let budget = Arc::clone(&self.budget);
                self.waiting = Some(Box::pin(budget.grant(chunk)));
            }
            if let Some(waiting) = &mut self.waiting {
                let granted = ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
                self.add(granted);
            }
        }
        Poll::Ready(())
    }

    /// Charges so many bytes without waiting. False: there is no memory now.
    fn try_grow(&mut self, bytes: usize) -> bool {
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

    fn add(&mut self, granted: Grant) {
        match granted {
            Grant::Bytes(permit) => {
                self.bytes += permit.num_permits();
                permit.forget();
            }
            Grant::Slot(permit) => self.slot = Some(permit),
            Grant::Closed => {}
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.covers();
        f.debug_struct("Charge").field("bytes", &bytes).finish()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.bytes.add_permits(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cover(charge: &mut Charge, bytes: usize) {
        std::future::poll_fn(|cx| charge.poll_cover(cx, bytes, bytes)).await;
    }

    #[tokio::test]
    async fn what_is_charged_comes_back() {
        let budget = Budget::new(1000);
        let mut charge = Charge::new(&budget);
        cover(&mut charge, 600).await;
        assert_eq!(charge.covers(), 600);
        let mut second = Charge::new(&budget);
        assert!(!second.try_grow(600), "only 400 are left");
        assert_eq!((budget.size(), budget.used()), (1000, 600));
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
        cover(&mut holders[0], 5000).await;
        assert_eq!(holders[0].covers(), usize::MAX, "it took the slot");
        let mut waiting = holders.remove(1);
        let second = tokio::spawn(async move {
            cover(&mut waiting, 1000).await;
            waiting
        });
        tokio::task::yield_now().await;
        assert_eq!(budget.waiting(), 1);
        drop(holders);
        let second = second.await.expect("the task ends");
        assert!(second.covers() >= 1000);
        assert_eq!(budget.waiting(), 0);
    }
}
