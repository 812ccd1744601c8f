//! One budget for the records of answers over all connections, from the read to the last byte that its client takes.
//!
//! A client that asks for much and reads nothing holds its answer for as long as it likes. So a fetch is charged before
//! it reads, and gets fewer batches when there is no room; the charge goes with the last piece of the answer. What stays
//! small is free, so that a client like any other goes on however many are deaf; and a first batch that is larger than
//! what is free has one turn beside the budget, so that nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Bytes of records in answers that were not taken yet, over all connections.
pub const ANSWERS_SIZE_MAX: usize = 128 << 20;

/// Bytes of records that every answer may have uncharged.
pub const ANSWER_FREE: usize = 64 << 10;

/// What all answers share.
#[derive(Debug)]
pub struct AnswerMemory {
    size_max: usize,
    used: AtomicUsize,
    freed: Notify,
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl AnswerMemory {
    /// Room for `size_max` bytes.
    pub(super) fn new(size_max: usize) -> Arc<Self> {
        Arc::new(Self {
            size_max,
            used: AtomicUsize::new(0),
            freed: Notify::new(),
            turn: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Bytes that are charged now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Fetches that wait for room now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Charges up to `bytes`; how many there was room for.
    fn charge_up_to(&self, bytes: usize) -> usize {
        let mut granted = 0;
        let charge = |used: usize| {
            granted = bytes.min(self.size_max.saturating_sub(used));
            Some(used + granted)
        };
        // Never an error: the closure always has a value.
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, charge);
        granted
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            self.freed.notify_waiters();
        }
    }
}

/// What one answer is charged; given back when it is dropped.
#[derive(Debug)]
pub struct Charge {
    memory: Arc<AnswerMemory>,
    bytes: usize,
    turn: Option<OwnedSemaphorePermit>,
}

impl Charge {
    /// Nothing charged yet.
    pub(super) fn new(memory: &Arc<AnswerMemory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            bytes: 0,
            turn: None,
        }
    }

    /// Charges what an answer of `size` bytes takes, as far as there is room; how large the answer may be.
    pub(super) fn cover(&mut self, size: usize) -> usize {
        let missing = size.saturating_sub(ANSWER_FREE + self.bytes);
        self.bytes += self.memory.charge_up_to(missing);
        size.min(ANSWER_FREE + self.bytes)
    }

    /// The answer has `size` bytes now: gives back what it does not need. The turn stays with what it was taken for.
    pub(super) fn settle(&mut self, size: usize) {
        let needed = size.saturating_sub(ANSWER_FREE);
        let spare = self.bytes.saturating_sub(needed);
        self.bytes -= spare;
        self.memory.give_back(spare);
    }

    /// Waits until there is room for an answer of `size` bytes, or for the turn to have one batch that there is no room
    /// for. False: there was neither for so long.
    pub(super) async fn wait_for(&mut self, size: usize, patience: Duration) -> bool {
        let memory = Arc::clone(&self.memory);
        let _waiting = Waiting::new(&memory);
        let room = async {
            loop {
                // Made before the look: what is given back in between wakes it.
                let freed = memory.freed.notified();
                if self.cover(size) >= size {
                    return None;
                }
                tokio::select! {
                    biased;
                    turn = Arc::clone(&memory.turn).acquire_owned() => return turn.ok(),
                    () = freed => {}
                }
            }
        };
        match tokio::time::timeout(patience, room).await {
            Ok(turn) => {
                self.turn = turn.or(self.turn.take());
                true
            }
            Err(_) => false,
        }
    }

    /// The answer in pieces, its last one with the charge: pieces are written in order, and dropped when they are.
    pub fn ride_on(self, mut pieces: Vec<Bytes>) -> Vec<Bytes> {
        if (self.bytes > 0 || self.turn.is_some())
            && let Some(bytes) = pieces.pop()
        {
            pieces.push(Bytes::from_owner(Charged {
                bytes,
                _charge: self,
            }));
        }
        pieces
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes);
    }
}

/// Bytes that keep what was charged for them.
struct Charged {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts a waiting fetch for as long as it lives.
struct Waiting<'a>(&'a AnswerMemory);

impl<'a> Waiting<'a> {
    fn new(memory: &'a AnswerMemory) -> Self {
        memory.waiting.fetch_add(1, Ordering::Relaxed);
        Self(memory)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[test]
    fn an_answer_gets_what_there_is_room_for_and_a_little_is_free() {
        let memory = AnswerMemory::new(1000);
        let mut first = Charge::new(&memory);
        assert_eq!(first.cover(ANSWER_FREE + 600), ANSWER_FREE + 600);
        let mut second = Charge::new(&memory);
        assert_eq!(second.cover(ANSWER_FREE + 600), ANSWER_FREE + 400);
        let mut third = Charge::new(&memory);
        assert_eq!(third.cover(ANSWER_FREE + 600), ANSWER_FREE);
        second.settle(ANSWER_FREE + 100);
        assert_eq!(memory.used(), 700);
        drop((first, second, third));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_charge_goes_when_the_last_piece_does() {
        let memory = AnswerMemory::new(1000);
        let mut charge = Charge::new(&memory);
        charge.cover(ANSWER_FREE + 10);
        let mut pieces = charge.ride_on(vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")]);
        assert_eq!(pieces.concat(), b"abc");
        let last = pieces.pop();
        drop(pieces);
        assert_eq!(memory.used(), 10);
        drop(last);
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test]
    async fn one_has_the_turn_and_the_next_waits_for_it_or_for_room() {
        let memory = AnswerMemory::new(1000);
        let mut deaf = Charge::new(&memory);
        deaf.cover(ANSWER_FREE + 1000);
        let mut large = Charge::new(&memory);
        assert!(large.wait_for(2 * ANSWER_FREE, SOON).await);
        assert!(large.turn.is_some());
        let mut next = Charge::new(&memory);
        assert!(!next.wait_for(ANSWER_FREE + 500, SOON).await);
        assert_eq!(memory.waiting(), 0, "it has given up");
        let room = tokio::spawn(async move {
            let found = next
                .wait_for(ANSWER_FREE + 500, Duration::from_secs(60))
                .await;
            (found, next.turn.is_some())
        });
        tokio::task::yield_now().await;
        assert_eq!(memory.waiting(), 1);
        drop(deaf);
        assert_eq!(room.await.expect("the task ends"), (true, false));
        drop(large);
        assert_eq!(memory.used(), 0);
    }
}
