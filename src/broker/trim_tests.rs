//! Deleted topics over the memory engine: rows go, dead blobs go, living ones stay, and a restart loses nothing.

use std::sync::Mutex;

use bytes::BytesMut;

use super::*;
use crate::base::LeaderEpoch;
use crate::cluster::{CreateTopic, DeleteTopic};
use crate::config::Config;
use crate::log::{self, Page, RunEntry, RunKind};
use crate::store::fault::{FAULTS, FaultStore};
use crate::store::local::{LocalOptions, LocalStore};
use crate::store::memory::{BLOB_SIZE, MemoryStore};
use crate::store::{BlobName, Place};

/// Remembers what was to be forgotten.
#[derive(Clone, Debug, Default)]
struct Forgotten(Arc<Mutex<Vec<PartitionNumber>>>);

impl LogOwner for Forgotten {
    fn forget(&self, partitions: Vec<PartitionNumber>) -> BoxFuture<'_, ()> {
        self.0.lock().expect("no panic").extend(partitions);
        Box::pin(async {})
    }

    fn trim(&self, _: PartitionNumber) -> BoxFuture<'_, Result<bool, TrimError>> {
        Box::pin(async { Ok(false) })
    }
}

struct Setup {
    store: Arc<dyn Store>,
    catalog: Catalog,
    forgotten: Forgotten,
}

impl Setup {
    /// A broker with topics `a` (partitions 0 and 1) and `b` (partition 2).
    async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new())).await
    }

    async fn on(store: Arc<dyn Store>) -> Self {
        let config = Arc::new(Config::default());
        let catalog = Catalog::load(store.clone(), config).await.expect("loads");
        let create = |name: &str, partitions| CreateTopic {
            name: name.to_owned(),
            partitions,
            replication_factor: 1,
            ..CreateTopic::default()
        };
        let mode = crate::broker::catalog::CreateMode::Create;
        let topics = vec![create("a", 2), create("b", 1)];
        let created = catalog.create(topics, mode).await.expect("commits");
        assert!(created.iter().all(Result::is_ok));
        Self {
            store,
            catalog,
            forgotten: Forgotten::default(),
        }
    }

    /// A commit as the committer makes it: a run of `size` bytes with its page, head and producer row.
    async fn append(&self, partition: u32, offset: i64, size: usize) -> BlobName {
        let partition = PartitionNumber(partition);
        let mut page = BytesMut::new();
        Page::encode_header(-1, &mut page);
        let place = Place {
            blob: BlobName(0),
            position: 0,
        };
        let entry = RunEntry {
            base_offset: offset,
            last_offset: offset,
            kind: RunKind::Data { place },
            size: u32::try_from(size).expect("small"),
            batch_count: 1,
            max_timestamp: 0,
            leader_epoch: LeaderEpoch(0),
        };
        entry.encode_to(&mut page);
        let put = |key, value: &'static [u8]| Write::Put {
            key,
            value: Bytes::from_static(value),
            place_at: None,
        };
        let commit = Commit {
            guards: Vec::new(),
            writes: vec![
                put(log::head_key(partition), b"head"),
                put(
                    log::producer_key(partition, crate::base::ProducerId(7)),
                    b"p",
                ),
                Write::Put {
                    key: log::page_key(partition, offset),
                    value: page.freeze(),
                    place_at: Some(Page::FIRST_PLACE_AT),
                },
            ],
            body: vec![Bytes::from(vec![0; size])],
        };
        match self.store.commit(commit).await.expect("commits") {
            Outcome::Done { blob, .. } => blob.expect("it has a body").blob,
            Outcome::Conflict(_) => panic!("there are no guards"),
        }
    }

    async fn delete(&self, name: &str) {
        let request = DeleteTopic {
            name: Some(name.to_owned()),
            id: None,
        };
        let deleted = self.catalog.delete(vec![request]).await.expect("commits");
        assert!(deleted[0].is_ok());
    }

    async fn trim(&self) -> bool {
        let trimmed = trim_all(self.store.as_ref(), &self.forgotten).await;
        trimmed.expect("trims")
    }

    /// How many rows there are in each space of a partition, and how many trim rows.
    async fn rows(&self) -> (usize, usize) {
        let all = Limit {
            rows: 100_000,
            bytes: usize::MAX,
        };
        let mut rows = 0;
        for space in SPACES {
            let range = KeyRange::all(space);
            let scan = self.store.scan(range, Order::Ascending, all);
            rows += scan.await.expect("scans").len();
        }
        let trims = self.store.scan(cluster::trim_rows(), Order::Ascending, all);
        (rows, trims.await.expect("scans").len())
    }

    async fn blobs(&self) -> Vec<BlobName> {
        let blobs = self.store.blobs().await.expect("lists");
        blobs.into_iter().map(|blob| blob.name).collect()
    }
}

fn blob_size() -> usize {
    usize::try_from(BLOB_SIZE).expect("fits")
}

#[tokio::test]
async fn rows_and_dead_blobs_of_a_deleted_topic_go_and_others_stay() {
    let setup = Setup::new().await;
    let dead = setup.append(0, 0, blob_size()).await;
    let shared = setup.append(1, 0, blob_size() / 2).await;
    assert_eq!(
        setup.append(2, 0, blob_size()).await,
        shared,
        "one blob for both"
    );
    let open = setup.append(2, 1, 10).await;
    assert_eq!(setup.rows().await, (10, 0));

    setup.delete("a").await;
    assert!(!setup.trim().await, "nothing is left to do");
    assert_eq!(setup.rows().await, (4, 0), "head, producer and pages of b");
    assert_eq!(setup.blobs().await, [shared, open]);
    assert_ne!(dead, shared);
    let forgotten = setup.forgotten.0.lock().expect("no panic").clone();
    assert_eq!(forgotten, [PartitionNumber(0), PartitionNumber(1)]);
    assert!(!setup.trim().await, "a second round finds nothing");
}

#[tokio::test]
async fn a_blob_that_is_still_written_is_given_back_once_it_is_closed() {
    let setup = Setup::new().await;
    let open = setup.append(0, 0, 10).await;
    setup.delete("a").await;
    assert!(setup.trim().await, "the open blob is left");
    assert_eq!(setup.rows().await, (0, 1), "the trim row remembers it");
    assert_eq!(setup.blobs().await, [open]);

    let next = setup.append(2, 0, blob_size()).await;
    assert_eq!(next, open, "it is written to its end");
    assert!(!setup.trim().await, "closed, but alive through b");
    assert_eq!(setup.blobs().await, [open]);
    setup.delete("b").await;
    assert!(!setup.trim().await);
    assert_eq!((setup.blobs().await, setup.rows().await), (vec![], (0, 0)));
}

#[tokio::test]
async fn many_rows_go_in_bounded_commits() {
    let setup = Setup::new().await;
    for offset in 0..1_300 {
        setup.append(0, offset, 1).await;
    }
    assert_eq!(setup.rows().await.0, 1_302);
    setup.delete("a").await;
    setup.trim().await;
    assert_eq!(setup.rows().await.0, 0);
}

#[tokio::test]
async fn the_job_begins_where_a_stopped_broker_was_and_sees_each_deletion() {
    let setup = Setup::new().await;
    setup.append(0, 0, blob_size()).await;
    setup.append(2, 0, blob_size()).await;
    setup.delete("a").await;
    // The catalog of the next start knows nothing of that deletion.
    let config = Arc::new(Config::default());
    let catalog = Catalog::load(setup.store.clone(), config).await;
    let setup = Setup {
        catalog: catalog.expect("loads"),
        ..setup
    };
    let forget = Arc::new(setup.forgotten.clone());
    let job = tokio::spawn(run(setup.catalog.clone(), setup.store.clone(), forget));
    let until = async |rows| {
        while setup.rows().await != rows {
            tokio::task::yield_now().await;
        }
    };
    until((3, 0)).await;
    setup.delete("b").await;
    until((0, 0)).await;
    assert_eq!(setup.blobs().await, []);
    job.abort();
}

/// A trim that stopped after any of its commits goes on from what the trim row says.
#[tokio::test]
async fn a_trim_goes_on_after_a_restart() {
    let setup = Setup::new().await;
    let dead = setup.append(0, 0, blob_size()).await;
    let also_dead = setup.append(1, 0, blob_size()).await;
    setup.delete("a").await;
    let one = Limit { rows: 1, bytes: 1 };
    let rows = setup
        .store
        .scan(cluster::trim_rows(), Order::Ascending, one);
    let row = rows.await.expect("scans").remove(0);
    let work = Work::from_row(setup.store.as_ref(), row.clone()).expect("decodes");
    let mut work = work.expect("there is one");
    let first = [PartitionNumber(0)];
    work.remove_range(partition_rows(Space::Run, &first))
        .await
        .expect("removes");
    assert_eq!(
        setup.blobs().await,
        [dead, also_dead],
        "stopped before anything was freed"
    );

    let stale = Work::from_row(setup.store.as_ref(), row).expect("decodes");
    let stale = stale.expect("there is one").commit(Vec::new()).await;
    assert_eq!(
        stale,
        Err(CatalogError::Contended),
        "another broker's notes stand"
    );

    assert!(!setup.trim().await);
    assert_eq!((setup.blobs().await, setup.rows().await), (vec![], (0, 0)));
}

/// Each commit of a trim fails in each way; whatever was done by then, the next round ends it.
#[tokio::test]
async fn a_trim_survives_a_failure_of_any_of_its_commits() {
    for fault in FAULTS {
        for passing in 0.. {
            let faulty = FaultStore::new();
            let setup = Setup::on(faulty.clone()).await;
            setup.append(0, 0, blob_size()).await;
            setup.append(1, 0, blob_size()).await;
            let kept = setup.append(2, 0, blob_size()).await;
            setup.delete("a").await;
            faulty.fail_after(passing, fault);
            let failed = trim_all(setup.store.as_ref(), &setup.forgotten)
                .await
                .is_err();
            let not_reached = faulty.call_off();
            assert_eq!(failed, !not_reached, "{fault:?} after {passing}");
            assert!(!setup.trim().await);
            assert_eq!(setup.rows().await, (3, 0), "{fault:?} after {passing}");
            assert_eq!(setup.blobs().await, [kept], "{fault:?} after {passing}");
            if not_reached {
                assert!(passing > 3, "the trim has several commits");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_emptied_by_deleting_topics() {
    let faulty = FaultStore::new();
    let setup = Setup::on(faulty.clone()).await;
    setup.append(0, 0, blob_size()).await;
    setup.append(1, 0, blob_size()).await;
    faulty.fill();
    setup.delete("a").await;
    assert!(!setup.trim().await);
    assert_eq!((setup.blobs().await, setup.rows().await), (vec![], (0, 0)));
}

#[test]
fn ranges_end_where_the_numbers_end() {
    let last = [PartitionNumber(u32::MAX)];
    assert_eq!(partition_rows(Space::Head, &last).end, None);
    let range = partition_rows(Space::Head, &[PartitionNumber(1), PartitionNumber(2)]);
    assert!(range.contains(&log::head_key(PartitionNumber(2))));
    assert!(!range.contains(&log::head_key(PartitionNumber(3))));
    assert!(!range.contains(&log::head_key(PartitionNumber(0))));
}

/// On the real engine, where blobs are journal segments and closed by the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journal_segments_of_a_deleted_topic_are_given_back_after_a_restart() {
    const RUN_SIZE: usize = 1 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let open = || -> Arc<dyn Store> {
        let options = LocalOptions {
            segment_size: Some(LocalOptions::SEGMENT_SIZE_MIN),
            ..LocalOptions::default()
        };
        Arc::new(LocalStore::open_folder(folder.path(), options).expect("opens"))
    };
    let setup = Setup::on(open()).await;
    for offset in 0..12 {
        setup.append(0, offset, RUN_SIZE).await;
    }
    let kept = setup.append(2, 0, RUN_SIZE).await;
    let before = setup.blobs().await.len();
    assert!(before >= 4, "twelve MiB in segments of four");
    setup.delete("a").await;
    setup.store.close().await.expect("closes");
    drop(setup.catalog);
    drop(setup.store);

    let store = open();
    let trimmed = trim_all(store.as_ref(), &setup.forgotten).await;
    trimmed.expect("trims");
    let blobs = store.blobs().await.expect("lists");
    assert!(blobs.len() < before, "{blobs:?}");
    assert!(blobs.iter().any(|blob| blob.name == kept), "b lives there");
    let page = log::page_key(PartitionNumber(2), 0);
    let rows = store.get(&[page]).await.expect("reads");
    assert!(rows[0].value.is_some());
}
