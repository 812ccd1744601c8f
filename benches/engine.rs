//! The local engine alone: small commits, large bodies, growing pages, reads, starts. Run with
//! `cargo bench --bench engine`; the data goes to a temporary folder, or below `OTTLA_BENCH_FOLDER`.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::store::local::{LocalOptions, LocalStore};
use ottla::store::{
    BlobName, BlobStore, Commit, Key, MetaStore, Outcome, Place, Space, Store, Write,
};

const MIB: usize = 1024 * 1024;

fn say(line: &str) {
    // Nothing can be done about a closed pipe.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Processor time of this process so far, all threads.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|ticks| ticks.parse::<u64>().ok())
    };
    let ticks = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
    Duration::from_millis(ticks * 10)
}

fn row(partition: u64, kind: u8) -> Key {
    let mut bytes = partition.to_be_bytes().to_vec();
    bytes.push(kind);
    Key::new(Space::Head, bytes)
}

/// What a produce of one batch commits: a head, a run at the end of a page, the batch.
fn commit(partition: u64, head: u64, body: Bytes) -> Commit {
    let place = Place {
        blob: BlobName(0),
        position: 0,
    };
    let mut run = place.encode().to_vec();
    run.extend_from_slice(&head.to_be_bytes());
    Commit {
        writes: vec![
            Write::Put {
                key: row(partition, 0),
                value: Bytes::copy_from_slice(&head.to_be_bytes()),
                place_at: None,
            },
            Write::Append {
                key: row(partition, 1 + u8::try_from(head / 300 % 200).unwrap_or(0)),
                bytes: run.into(),
                place_at: Some(0),
            },
        ],
        body: vec![body],
        ..Commit::default()
    }
}

async fn small_commits(store: &LocalStore, size: usize, count: u64) {
    let body = Bytes::from(vec![7; size]);
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut took = Vec::new();
    for head in 0..count {
        let started = Instant::now();
        let done = store.commit(commit(0, head, body.clone())).await;
        assert!(matches!(done, Ok(Outcome::Done { .. })), "{done:?}");
        took.push(started.elapsed());
    }
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_micros();
    let cpu = (cpu() - cpu_before).as_micros() / u128::from(count);
    let every = started.elapsed().as_micros() / u128::from(count);
    say(&format!(
        "{size} B commits one after the other: p50 {} us, p99 {} us, mean {every} us, {cpu} us of CPU each",
        at(50),
        at(99),
    ));
}

async fn bodies(store: &LocalStore, size: usize, total: usize, in_flight: usize) -> Vec<Place> {
    let body = Bytes::from(vec![7; size]);
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut waiting = VecDeque::new();
    let mut places = Vec::new();
    let count = total / size;
    for number in 0..count + in_flight {
        if number < count {
            let partition = 10 + u64::try_from(number % in_flight).unwrap_or(0);
            let head = u64::try_from(number / in_flight).unwrap_or(0);
            waiting.push_back(store.commit(commit(partition, head, body.clone())));
        }
        if (waiting.len() >= in_flight || number >= count)
            && let Some(first) = waiting.pop_front()
            && let Ok(Outcome::Done { blob, .. }) = first.await
        {
            places.extend(blob);
        }
    }
    report(
        &format!("write {size} B bodies, {in_flight} in flight"),
        total,
        started,
        cpu_before,
    );
    assert_eq!(places.len(), count);
    places
}

fn report(what: &str, total: usize, started: Instant, cpu_before: Duration) {
    let (took, cpu) = (started.elapsed().as_secs_f64(), cpu() - cpu_before);
    let gb = f64::from(u32::try_from(total / 1024).unwrap_or(u32::MAX)) * 1024.0 / 1e9;
    say(&format!(
        "{what}: {:.0} MB/s, {:.2} CPU s/GB",
        gb * 1000.0 / took,
        cpu.as_secs_f64() / gb
    ));
}

async fn reads(store: &LocalStore, places: &[Place], size: usize) {
    let (started, cpu_before) = (Instant::now(), cpu());
    let size_u64 = u64::try_from(size).unwrap_or(0);
    for place in places {
        let range = place.position..place.position + size_u64;
        let read = store.read(place.blob, &[range]).await;
        assert!(read.is_ok_and(|read| read[0].len() == size));
    }
    report(
        &format!("read {size} B"),
        places.len() * size,
        started,
        cpu_before,
    );
}

fn open(folder: &Path, what: &str) -> LocalStore {
    let started = Instant::now();
    let store = LocalStore::open_folder(folder, LocalOptions::default());
    let store = store.unwrap_or_else(|error| panic!("{error}"));
    say(&format!(
        "{what}: {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    ));
    store
}

fn main() {
    let below = std::env::var_os("OTTLA_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(below).expect("a folder for the data");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .build()
        .expect("a runtime");
    let store = open(folder.path(), "start, new folder");
    runtime.block_on(async {
        small_commits(&store, 100, 3000).await;
        small_commits(&store, 4096, 3000).await;
        small_commits(&store, 65_536, 1000).await;
        bodies(&store, 16 * 1024, 512 * MIB, 64).await;
        bodies(&store, 16 * 1024, 512 * MIB, 512).await;
        let places = bodies(&store, MIB, 2048 * MIB, 8).await;
        reads(&store, &places, MIB).await;
    });
    drop(store);
    let store = open(folder.path(), "start after a death");
    runtime.block_on(async {
        small_commits(&store, 100, 100).await;
        let closed = Instant::now();
        store.close().await.expect("it closes");
        say(&format!(
            "stop: {:.1} ms",
            closed.elapsed().as_secs_f64() * 1e3
        ));
    });
    drop(store);
    drop(open(folder.path(), "start after a stop"));
}
