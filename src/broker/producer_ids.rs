//! Gives out producer ids (KIP-98). Blocks of them are reserved in a row before any is given out, so that no id is
//! ever given out twice; what is left of a block when the broker stops is never used.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use tokio::sync::Mutex;

use super::catalog::{CatalogError, get, run_to_end};
use crate::base::ProducerId;
use crate::cluster;
use crate::store::{Commit, Outcome, Store, StoreError, Write};

/// Ids in a block, as in Kafka.
const BLOCK_SIZE: i64 = 1_000;

/// Times that a block is asked for because another broker took one first.
const ATTEMPTS_MAX: u32 = 16;

/// The source of producer ids. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProducerIds(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    /// Reserved and not given out yet.
    block: std::sync::Mutex<Range<i64>>,
    /// Held by whoever reserves the next block.
    reserving: Mutex<()>,
}

impl ProducerIds {
    /// Reserves nothing until the first id is asked for.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Inner {
            store,
            block: std::sync::Mutex::new(0..0),
            reserving: Mutex::new(()),
        }))
    }

    /// An id that nobody has had before.
    pub async fn next(&self) -> Result<ProducerId, CatalogError> {
        if let Some(id) = self.0.take() {
            return Ok(id);
        }
        let inner = self.0.clone();
        run_to_end(async move { inner.reserve().await }).await
    }
}

impl Inner {
    fn take(&self) -> Option<ProducerId> {
        // A range is whole at any time: a panic elsewhere does not spoil it.
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        block.next().map(ProducerId)
    }

    async fn reserve(&self) -> Result<ProducerId, CatalogError> {
        let _reserving = self.reserving.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(id) = self.take() {
                return Ok(id);
            }
            let row = get(self.store.as_ref(), cluster::producer_ids_key()).await?;
            let start = match &row.value {
                Some(value) => cluster::decode_producer_ids(value)?,
                None => 0,
            };
            let Some(end) = start.checked_add(BLOCK_SIZE) else {
                return Err(CatalogError::ProducerIdsExhausted);
            };
            let commit = Commit {
                guards: vec![(row.key.clone(), row.version)],
                writes: vec![Write::Put {
                    key: row.key,
                    value: cluster::encode_producer_ids(end),
                    place_at: None,
                }],
                body: Vec::new(),
            };
            match self.store.commit(commit).await {
                Ok(Outcome::Done { .. }) => {
                    let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
                    *block = start + 1..end;
                    return Ok(ProducerId(start));
                }
                // Whoever wrote the row, or whether we did: the next block is free for sure.
                Ok(Outcome::Conflict(_)) | Err(StoreError::Unknown { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CatalogError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::fault::{FAULTS, Fault, FaultStore};
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn ids_begin_at_zero_and_are_never_given_out_twice() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let mut seen = BTreeSet::new();
        let first = ProducerIds::new(store.clone());
        for expected in 0..1_500 {
            let ProducerId(id) = first.next().await.expect("reserves");
            assert_eq!(id, expected, "dense while nothing stops");
            seen.insert(id);
        }
        // A restart, and another broker beside it.
        for source in [
            ProducerIds::new(store.clone()),
            first.clone(),
            ProducerIds::new(store),
        ] {
            for _ in 0..1_200 {
                let ProducerId(id) = source.next().await.expect("reserves");
                assert!(seen.insert(id), "{id} was given out before");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ids_asked_for_at_once_differ() {
        let ids = ProducerIds::new(Arc::new(MemoryStore::new()));
        let asked: Vec<_> = (0..50)
            .map(|_| {
                let ids = ids.clone();
                tokio::spawn(async move { ids.next().await })
            })
            .collect();
        let mut seen = BTreeSet::new();
        for one in asked {
            let ProducerId(id) = one.await.expect("runs").expect("reserves");
            assert!(seen.insert(id));
        }
        assert_eq!(seen.last(), Some(&49), "one block served them all");
    }

    #[tokio::test]
    async fn ids_end_without_wrapping() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let last = Write::Put {
            key: cluster::producer_ids_key(),
            value: cluster::encode_producer_ids(i64::MAX - 10),
            place_at: None,
        };
        let commit = Commit {
            writes: vec![last],
            ..Commit::default()
        };
        store.commit(commit).await.expect("writes");
        let ids = ProducerIds::new(store);
        assert_eq!(ids.next().await, Err(CatalogError::ProducerIdsExhausted));
    }

    #[tokio::test]
    async fn a_reservation_that_fails_gives_no_id_out_twice() {
        for fault in FAULTS {
            let store = FaultStore::new();
            let ids = ProducerIds::new(store.clone());
            store.fail_after(0, fault);
            let first = ids.next().await;
            assert_eq!(first.is_err(), fault == Fault::Unavailable, "{fault:?}");
            let mut seen: BTreeSet<i64> = first.iter().map(|id| id.0).collect();
            for source in [ids, ProducerIds::new(store)] {
                for _ in 0..3 {
                    let ProducerId(id) = source.next().await.expect("reserves");
                    assert!(seen.insert(id), "{fault:?}: {id} twice");
                }
            }
        }
    }
}
