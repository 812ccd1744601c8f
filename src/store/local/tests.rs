//! The engine as a whole, on a real folder: what is acknowledged is there after a stop and after a death.

use std::path::Path;

use super::*;
use crate::base::Rng;
use crate::store::{Place, Space, Version, Write};

fn options() -> LocalOptions {
    LocalOptions {
        segment_size: Some(256 * 1024),
        ..LocalOptions::default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap()
}

fn key(number: u64) -> Key {
    Key::new(Space::Head, number.to_be_bytes().to_vec())
}

fn put(number: u64, value: &[u8]) -> Write {
    Write::Put {
        key: key(number),
        value: Bytes::copy_from_slice(value),
        place_at: None,
    }
}

fn append_placed(number: u64) -> Write {
    let place = Place {
        blob: BlobName(0),
        position: 0,
    };
    Write::Append {
        key: key(number),
        bytes: Bytes::copy_from_slice(&place.encode()),
        place_at: Some(0),
    }
}

fn body(seed: u64, size: usize) -> Bytes {
    let mut rng = Rng::seeded(seed);
    (0..size).map(|_| rng.next_u64().to_le_bytes()[0]).collect()
}

async fn done(store: &LocalStore, commit: Commit) -> Version {
    match store.commit(commit).await.unwrap() {
        Outcome::Done { version, .. } => version,
        conflict @ Outcome::Conflict(_) => panic!("{conflict:?}"),
    }
}

async fn value(store: &LocalStore, number: u64) -> Option<Bytes> {
    store.get(&[key(number)]).await.unwrap().remove(0).value
}

fn reopen(path: &Path) -> LocalStore {
    LocalStore::open_folder(path, options()).unwrap()
}

/// Writes commits with bodies, each with a place in row 1, and counts them in row 2.
async fn fill(store: &LocalStore, commits: Range<u64>) {
    for seed in commits {
        let commit = Commit {
            writes: vec![append_placed(1), put(2, &seed.to_be_bytes())],
            body: vec![body(seed, 5000 + usize::try_from(seed).unwrap())],
            ..Commit::default()
        };
        done(store, commit).await;
    }
}

/// Checks what `fill` wrote.
async fn check(store: &LocalStore, commits: u64) {
    let places = value(store, 1).await.unwrap();
    assert_eq!(places.len() as u64, commits * 16);
    let last = commits - 1;
    assert_eq!(value(store, 2).await.unwrap()[..], last.to_be_bytes());
    for (seed, place) in (0..).zip(places.chunks(16)) {
        let place = Place::decode(place.try_into().unwrap());
        let range = place.position..place.position + 5000 + seed;
        let read = store.read(place.blob, &[range]).await.unwrap();
        let expected = body(seed, 5000 + usize::try_from(seed).unwrap());
        assert!(read[0] == expected, "commit {seed}");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_stop_and_after_a_death() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = reopen(folder.path());
        let id = store.cluster_id().to_owned();
        fill(&store, 0..30).await;
        check(&store, 30).await;
        store.close().await.unwrap();
        assert_eq!(
            store.commit(Commit::default()).await,
            Err(StoreError::Closed)
        );
        drop(store);
        let store = reopen(folder.path());
        assert_eq!(store.cluster_id(), id);
        check(&store, 30).await;
        fill(&store, 30..150).await;
        drop(store);
        for last in [150, 151, 152] {
            let store = reopen(folder.path());
            check(&store, last).await;
            fill(&store, last..last + 1).await;
            check(&store, last + 1).await;
        }
    });
}

#[test]
fn a_folder_belongs_to_one_process_and_one_node() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path());
    let second = LocalStore::open_folder(folder.path(), options()).unwrap_err();
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    drop(store);
    let other = LocalOptions {
        node_id: 7,
        ..options()
    };
    let other = LocalStore::open_folder(folder.path(), other).unwrap_err();
    assert!(matches!(
        other,
        OpenError::OtherNode {
            found: 1,
            wanted: 7
        }
    ));
}

/// Budgets so small that every corner is reached often.
fn tiny() -> LocalOptions {
    LocalOptions {
        segment_size: Some(64 * 1024),
        frame_bytes_max: 16 * 1024,
        checkpoint_overlay_bytes: 4 * 1024,
        checkpoint_journal_bytes: 128 * 1024,
        snapshot_row_bytes_min: 8 * 1024,
        snapshot_sort_bytes: 4 * 1024,
        sled_cache_bytes: 1024 * 1024,
        ..LocalOptions::default()
    }
}

/// Waits until the keeper has done something.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < patience, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn checkpoints_snapshots_and_recycling_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let open = || LocalStore::open_folder(folder.path(), tiny()).unwrap();
    runtime().block_on(async {
        let mut written = 0;
        for round in 0..6 {
            let store = open();
            if written > 0 {
                check(&store, written).await;
            }
            fill(&store, written..written + 40).await;
            written += 40;
            // Rows of their own, some of them deleted again.
            for number in 100..400 {
                done(
                    &store,
                    Commit {
                        writes: vec![put(number, &[7; 100])],
                        ..Commit::default()
                    },
                )
                .await;
            }
            let writes = (100..300)
                .map(|number| Write::Delete { key: key(number) })
                .collect();
            done(
                &store,
                Commit {
                    writes,
                    ..Commit::default()
                },
            )
            .await;
            eventually("a checkpoint", || store.shared.held().point.frame > 0);
            eventually("a snapshot", || store.shared.snapshot_frame() > 0);
            check(&store, written).await;
            assert_eq!(value(&store, 299).await, None);
            assert_eq!(value(&store, 300).await.unwrap(), vec![7; 100]);
            match round % 3 {
                0 => store.close().await.unwrap(),
                1 => drop(store),
                _ => {
                    drop(store);
                    std::fs::remove_dir_all(folder.path().join(folder::SLED)).unwrap();
                }
            }
        }
    });
}

#[test]
fn dead_segments_are_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = || {
        let names = std::fs::read_dir(folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| segment::file_number(name).is_some())
            .count()
    };
    runtime().block_on(async {
        let store = LocalStore::open_folder(folder.path(), tiny()).unwrap();
        for round in 0..20 {
            let placed = Write::Put {
                key: key(1),
                value: Bytes::copy_from_slice(&[0; 16]),
                place_at: Some(0),
            };
            for seed in 0..10 {
                let writes = vec![placed.clone()];
                let body = vec![body(seed, 10_000)];
                done(
                    &store,
                    Commit {
                        writes,
                        body,
                        ..Commit::default()
                    },
                )
                .await;
            }
            let blobs = store.blobs().await.unwrap();
            let dead: Vec<BlobName> = blobs
                .iter()
                .filter(|blob| blob.closed)
                .map(|blob| blob.name)
                .collect();
            for name in &dead {
                assert_eq!(
                    store.placed_keys(*name).await.unwrap(),
                    [key(1)],
                    "round {round}"
                );
            }
            store.delete(&dead).await.unwrap();
            for name in dead {
                let missing = store.read(name, std::slice::from_ref(&(0..1))).await;
                assert_eq!(missing, Err(StoreError::Missing(name)));
            }
            eventually("recycling", || !store.shared.segments.has_dead(u64::MAX));
        }
        assert!(files() <= 8, "{} files", files());
        drop(store);
        let store = LocalStore::open_folder(folder.path(), tiny()).unwrap();
        assert!(value(&store, 1).await.is_some());
    });
}

/// Whatever sled is like: after the command it holds all rows, and what the broker keeps of its rows is not needed.
#[test]
fn sled_is_made_anew_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let sled = folder.path().join(folder::SLED);
    runtime().block_on(async {
        let refused = LocalStore::rebuild_rows(&folder.path().join("none"));
        assert!(matches!(refused, Err(OpenError::NoFolder { .. })));
        let store = reopen(folder.path());
        fill(&store, 0..30).await;
        let refused = LocalStore::rebuild_rows(folder.path());
        assert!(matches!(refused, Err(OpenError::InUse { .. })));
        store.close().await.unwrap();
        drop(store);
        for round in 0..2 {
            let (store, rebuilt) = LocalStore::rebuild_rows(folder.path()).unwrap();
            assert_eq!(rebuilt.rows, 2);
            assert!(rebuilt.frame >= 30);
            assert_eq!(store.shared.overlay.bytes(), 0, "all rows are in sled");
            check(&store, 30).await;
            store.close().await.unwrap();
            drop(store);
            // The next one is of files that no sled would open.
            std::fs::remove_dir_all(&sled).unwrap();
            std::fs::create_dir_all(sled.join(format!("rows-{:016x}/db", round + 1))).unwrap();
        }
        check(&reopen(folder.path()), 30).await;
    });
}
